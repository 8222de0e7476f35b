"""Written expressions such as ``log(Day / 27)``: which variables and functions they use."""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from bayesmix.errors import FormulaError
from bayesmix.formula.evaluation import UNREACHABLE, syntax_tree
from bayesmix.formula.tokens import Token, flat, tokenize

_CONSTANTS = ("True", "False", "None")
_INSTEAD = {
    "^": "is not a power here. Write x**2 for a square",
    "%in%": "belongs to R. Write (x == 'a') | (x == 'b')",
    "&&": "is not known. Write & between conditions in brackets",
    "||": "is not known. Write | between conditions in brackets",
    "!": "is not known. Write ~ before a condition in brackets",
    ".": f"is refused: {UNREACHABLE}",
}


@dataclass(frozen=True)
class Expression:
    """One written expression.

    Parameters
    ----------
    text : str
        As written.
    source : str
        The same in Python, variables and functions numbered: ``f0 ( v0 / 27 )``.
    variables : tuple of str
        v0, v1, ...
    functions : tuple of str
        f0, f1, ...: one for every call, for each may have a state of its own.
    """

    text: str
    source: str
    variables: tuple[str, ...]
    functions: tuple[str, ...]


def read_expression(tokens: Sequence[Token], text: str, label: str) -> Expression:
    """Read the tokens of one expression.

    Parameters
    ----------
    tokens : sequence of Token
    text : str
        The expression as written.
    label : str
        What messages call the formula.

    Returns
    -------
    Expression

    Raises
    ------
    FormulaError
        For syntax that is not on the list of `evaluation`.
    """
    braced = tokens[0].text == "{"
    padded = [None, *flat(tokens), None]
    variables: dict[str, int] = {}
    functions: list[str] = []
    parts = []
    for (before, token), after in zip(pairwise(padded), padded[2:], strict=False):
        assert token is not None
        role = _role(token, before, after, label)
        if role == "variable":
            parts.append(f"v{variables.setdefault(token.text.strip('`'), len(variables))}")
        elif role == "function":
            parts.append(f"f{len(functions)}")
            functions.append(token.text)
        else:
            parts.append(token.text)
    if braced:
        parts[0], parts[-1] = "(", ")"
    source = " ".join(parts)
    try:
        syntax_tree(source)
    except FormulaError as error:
        raise FormulaError(f"{label}: {text!r:.200} is refused: {error}.") from None
    return Expression(text, source, tuple(variables), tuple(functions))


def _role(token: Token, before: Token | None, after: Token | None, label: str) -> str:
    """Say what a token stands for: a "variable", a "function" or itself ("")."""
    if token.kind == "quoted":
        return "variable"
    if token.kind == "op" and token.text in _INSTEAD:
        raise FormulaError(f"{label}: {token.text!r} {_INSTEAD[token.text]}.")
    if token.kind != "name" or token.text in _CONSTANTS:
        return ""
    if keyword.iskeyword(token.text):
        raise FormulaError(
            f"{label}: {token.text!r} does not act row by row. Combine conditions in brackets "
            "with & | ~, or call a function of your own."
        )
    before_text = "" if before is None else before.text
    after_text = "" if after is None else after.text
    if after_text == "=" and before_text in ("(", ","):
        return ""
    return "function" if after_text == "(" else "variable"


@lru_cache(maxsize=256)
def read_text(text: str, what: str) -> Expression:
    """A text that is one expression; `what` names it in messages."""
    label = f"The {what} {text!r:.200}"
    tokens = tokenize(text, label)
    if not tokens:
        raise FormulaError(f"{label} is empty. Write an expression.")
    return read_expression(tokens, text.strip(), label)
