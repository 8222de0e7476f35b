"""Hypotheses about estimates: arithmetic on their names, such as ``b1 = b2``."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bayesmix.errors import FitError

Restrictions = Callable[[np.ndarray], np.ndarray]

BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
UNARY: dict[type, Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
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
    for side in sides:
        _check(side, places, text, names)

    def restrictions(values: np.ndarray) -> np.ndarray:
        parts = [_value(side, places, values) for side in sides]
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


def _check(
    node: ast.expr, places: Mapping[str, np.ndarray], text: str, names: Mapping[str, Any]
) -> None:
    """Only numbers, the names, arithmetic, exp, log and sqrt."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return
    if isinstance(node, ast.Name) and node.id in places:
        return
    if isinstance(node, ast.BinOp) and type(node.op) in BINARY:
        _check(node.left, places, text, names)
        _check(node.right, places, text, names)
        return
    if isinstance(node, ast.UnaryOp) and type(node.op) in UNARY:
        _check(node.operand, places, text, names)
        return
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        known = node.func.id in FUNCTIONS and len(node.args) == 1 and not node.keywords
        if known:
            _check(node.args[0], places, text, names)
            return
    shown = [*list(names)[:8], *(["..."] if len(names) > 8 else [])]
    raise FitError(
        f"the hypothesis {text!r} has {ast.unparse(node)!r}, which is none of the estimates; they "
        f"are {', '.join(shown)}"
    )


def _value(node: ast.expr, places: Mapping[str, np.ndarray], values: np.ndarray) -> Any:
    if isinstance(node, ast.Constant):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        chosen = values[places[node.id]]
        return chosen[0] if len(chosen) == 1 else chosen
    if isinstance(node, ast.BinOp):
        left = _value(node.left, places, values)
        return BINARY[type(node.op)](left, _value(node.right, places, values))
    if isinstance(node, ast.UnaryOp):
        return UNARY[type(node.op)](_value(node.operand, places, values))
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    return FUNCTIONS[node.func.id](_value(node.args[0], places, values))
