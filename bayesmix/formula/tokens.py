"""Formula text cut into tokens, so that no part of it can be passed over in silence."""

from __future__ import annotations

import re
from typing import NamedTuple

from bayesmix.errors import FormulaError

_PATTERN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<string>'(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*")
    | (?P<quoted>`[^`]+`)
    | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
    | (?P<name>[^\W\d]\w*(?:\.\w+)*)
    | (?P<op>%in%|\*\*|//|==|!=|<=|>=|<<|>>|\|\||&&|[-+*/:%^|~()\[\]{},.=<>!&])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CLOSING = {"(": ")", "[": "]", "{": "}"}
# What no formula needs, and what takes a reader of formulas beyond its limits.
LONGEST = 100_000
LONGEST_NUMBER = 300
DEEPEST = 50


class Token(NamedTuple):
    """A piece of a formula: its kind (string, quoted, number, name, op), text and place."""

    kind: str
    text: str
    start: int
    end: int


def tokenize(text: str, label: str) -> list[Token]:
    """Cut a formula into tokens, white space left out.

    Parameters
    ----------
    text : str
    label : str
        What messages call the formula.

    Returns
    -------
    list of Token
    """
    if len(text) > LONGEST:
        raise FormulaError(
            f"The formula {text[:40]!r}... has {len(text)} characters; it may have {LONGEST}. Make "
            "columns of its parts."
        )
    tokens = []
    for match in _PATTERN.finditer(text):
        kind = match.lastgroup or "other"
        if kind == "other":
            raise FormulaError(f"{label}: {_unreadable(match.group())}")
        if kind == "number" and len(match.group()) > LONGEST_NUMBER:
            raise FormulaError(f"{label}: a number has more than {LONGEST_NUMBER} digits.")
        if kind != "space":
            tokens.append(Token(kind, match.group(), match.start(), match.end()))
    return tokens


def parted(text: str) -> tuple[str, str, str]:
    """What stands before the first tilde outside quotes, the tilde, and what stands after it.

    Without one all of the text comes first, as of `str.partition`.

    Examples
    --------
    >>> parted("`a~b` ~ x")
    ('`a~b` ', '~', ' x')
    """
    for match in _PATTERN.finditer(text):
        if match.group() == "~":
            return text[: match.start()], "~", text[match.end() :]
    return text, "", ""


def right_side(text: str) -> str:
    """What stands after the tilde of a formula, or all of it without one."""
    left, tilde, right = parted(text)
    return (right if tilde else left).strip()


def _unreadable(character: str) -> str:
    if character in "'\"`":
        return f"the quote {character} is not closed. Close it."
    return (
        f"the character {character!r} has no meaning in a formula. Put a column name that "
        "contains it in backticks: `name`."
    )


def match_brackets(tokens: list[Token], label: str) -> dict[int, int]:
    """Position of the closing bracket for the position of every opening one."""
    closers: dict[int, int] = {}
    still_open: list[int] = []
    for i, token in enumerate(tokens):
        if token.kind != "op":
            continue
        if token.text in _CLOSING:
            still_open.append(i)
            if len(still_open) > DEEPEST:
                raise FormulaError(f"{label}: more than {DEEPEST} brackets stand in each other.")
        elif token.text in ")]}":
            if not still_open or _CLOSING[tokens[still_open[-1]].text] != token.text:
                raise FormulaError(
                    f"{label}: the bracket {token.text!r} has no opening one. Balance the brackets."
                )
            closers[still_open.pop()] = i
    if still_open:
        raise FormulaError(
            f"{label}: the bracket {tokens[still_open[-1]].text!r} is not closed. "
            "Balance the brackets."
        )
    return closers


def top_level(tokens: list[Token]) -> list[Token]:
    """Keep the tokens outside all brackets."""
    outside = []
    depth = 0
    for token in tokens:
        bracket = token.kind == "op" and (token.text in _CLOSING) - (token.text in ")]}")
        depth += bracket
        if depth == 0 and not bracket:
            outside.append(token)
    return outside


def split_at(tokens: list[Token], operator: str) -> list[list[Token]]:
    """Cut the tokens at the occurrences of an operator outside all brackets."""
    cuts = {token for token in top_level(tokens) if token.text == operator and token.kind == "op"}
    runs: list[list[Token]] = [[]]
    for token in tokens:
        if token in cuts:
            runs.append([])
        else:
            runs[-1].append(token)
    return runs
