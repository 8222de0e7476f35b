"""Formula text cut into tokens, so that no part of it can be passed over in silence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
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
    """A piece of a formula: its kind (string, quoted, number, name, op), text and place.

    Brackets are one token with what stands `inside`; its text is the opening one.
    """

    kind: str
    text: str
    start: int
    end: int
    inside: tuple[Token, ...] = ()

    def is_op(self, *operators: str) -> bool:
        """Whether it is one of these operators."""
        return self.kind == "op" and self.text in operators


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
    return _nested(tokens, label)


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


def _nested(tokens: list[Token], label: str) -> list[Token]:
    """The tokens with brackets as one token each."""
    levels: list[list[Token]] = [[]]
    for token in tokens:
        if token.is_op(*_CLOSING):
            levels[-1].append(token)
            levels.append([])
            if len(levels) > DEEPEST + 1:
                raise FormulaError(f"{label}: more than {DEEPEST} brackets stand in each other.")
        elif token.is_op(*_CLOSING.values()):
            if len(levels) == 1 or _CLOSING[levels[-2][-1].text] != token.text:
                raise FormulaError(
                    f"{label}: the bracket {token.text!r} has no opening one. Balance the brackets."
                )
            inside = tuple(levels.pop())
            levels[-1][-1] = levels[-1][-1]._replace(end=token.end, inside=inside)
        else:
            levels[-1].append(token)
    if len(levels) > 1:
        raise FormulaError(
            f"{label}: the bracket {levels[-2][-1].text!r} is not closed. Balance the brackets."
        )
    return levels[0]


def flat(tokens: Iterable[Token]) -> Iterator[Token]:
    """The tokens with brackets taken apart again."""
    for token in tokens:
        yield token
        if token.is_op(*_CLOSING):
            yield from flat(token.inside)
            yield Token("op", _CLOSING[token.text], token.end - 1, token.end)


def split_at(tokens: Iterable[Token], *operators: str) -> list[list[Token]]:
    """Cut the tokens at operators, each of which stands first in the run that it begins."""
    runs: list[list[Token]] = [[]]
    for token in tokens:
        if token.is_op(*operators):
            runs.append([])
        runs[-1].append(token)
    return runs


def parts(tokens: Iterable[Token], operator: str) -> list[list[Token]]:
    """What stands between the occurrences of an operator."""
    first, *others = split_at(tokens, operator)
    return [first, *(run[1:] for run in others)]
