"""Hypotheses about estimates: arithmetic on their names, such as ``b1 = b2``."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bayesmix.errors import FitError
from bayesmix.formula.evaluation import value_of

Restrictions = Callable[[np.ndarray], np.ndarray]

OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd)
FUNCTIONS: dict[str, Callable[[Any], Any]] = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt}


def as_texts(hypothesis: str | Sequence[str]) -> list[str]:
    """One hypothesis or several as a list.

    Raises
    ------
    FitError
        If there is none.
    """
    texts = [hypothesis] if isinstance(hypothesis, str) else list(hypothesis)
    if not texts:
        raise FitError(f"hypothesis={hypothesis!r} is empty; write one such as 'b1 = b2'")
    return texts


def parse(text: str, names: Mapping[str, np.ndarray]) -> Restrictions:
    """What a hypothesis says to be zero, as a function of the estimates.

    Parameters
    ----------
    text : str
        Sides joined by ``=``, each arithmetic on names and numbers; without ``=`` the
        expression is compared with zero.  ``a = b = c`` says two things.
    names : mapping of str to ndarray of int
        Places of the estimates that a name stands for; with several, the hypothesis is made
        of each.

    Returns
    -------
    callable
        From estimates (m,) to what would be zero, (r,).

    Raises
    ------
    FitError
        If the text is no arithmetic on these names.
    """
    if not isinstance(text, str) or not text.strip():
        raise FitError(f"the hypothesis {text!r} is not a text such as 'b1 = b2'")
    coded, places = _coded(text, names)
    sides = [_tree(side, text) for side in coded.split("=") if side.strip()]
    if len(sides) != coded.count("=") + 1:
        raise FitError(f"the hypothesis {text!r} has an empty side; write it as 'b1 = b2'")
    if (strange := next((n for side in sides for n in _strange(side, places)), None)) is not None:
        every = list(names)
        written = ast.unparse(strange)
        for code in places:
            written = written.replace(code, every[int(code[1:-1])])
        shown = [*every[:8], *(["..."] if len(every) > 8 else [])]
        raise FitError(
            f"the hypothesis {text!r} has {written!r}, which is none of the estimates; they are "
            f"{', '.join(shown)}"
        )

    def restrictions(values: np.ndarray) -> np.ndarray:
        chosen = {name: values[at[0] if len(at) == 1 else at] for name, at in places.items()}
        parts = [value_of(side, chosen, FUNCTIONS) for side in sides]
        first = parts[0]
        others = parts[1:] or [0.0]
        return np.concatenate([np.atleast_1d(np.asarray(first - o, float)) for o in others])

    return restrictions


def _coded(text: str, names: Mapping[str, np.ndarray]) -> tuple[str, dict[str, np.ndarray]]:
    """The text with identifiers in place of the names, which may be any text, longest first."""
    places: dict[str, np.ndarray] = {}
    out, at = "", 0
    ordered = sorted(names, key=len, reverse=True)
    while at < len(text):
        whole = at == 0 or not _inside(text[at - 1])
        found = next((n for n in ordered if whole and _stands(text, n, at)), None)
        if found is None:
            out, at = out + text[at], at + 1
            continue
        code = f"v{list(names).index(found)}_"
        places[code] = names[found]
        out, at = out + code, at + len(found)
    return out, places


def _inside(character: str) -> bool:
    return character.isalnum() or character in "_."


def _stands(text: str, name: str, at: int) -> bool:
    end = at + len(name)
    return text.startswith(name, at) and not (
        end < len(text) and _inside(name[-1]) and (_inside(text[end]) or text[end] == "[")
    )


def _tree(side: str, text: str) -> ast.expr:
    try:
        return ast.parse(side.strip(), mode="eval").body
    except SyntaxError:
        msg = f"the hypothesis {text!r} cannot be read; write arithmetic such as 'b1 - 2 * b2 = 0'"
        raise FitError(msg) from None


def _strange(node: ast.expr, places: Mapping[str, np.ndarray]) -> Iterator[ast.expr]:
    """What is neither a number, nor a name, nor arithmetic, exp, log or sqrt of these."""
    match node:
        case ast.Constant(value=int() | float()):
            return
        case ast.Name(id=name) if name in places:
            return
        case ast.BinOp(op=op, left=left, right=right) if isinstance(op, OPERATORS):
            inside = [left, right]
        case ast.UnaryOp(op=op, operand=operand) if isinstance(op, OPERATORS):
            inside = [operand]
        case ast.Call(func=ast.Name(id=name), args=[one], keywords=[]) if name in FUNCTIONS:
            inside = [one]
        case _:
            yield node
            return
    for part in inside:
        yield from _strange(part, places)
