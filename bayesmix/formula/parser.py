"""Model formulas, read: response, right-hand side, offsets and group."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from bayesmix.errors import FormulaError
from bayesmix.formula.algebra import RightSide, read_right_side
from bayesmix.formula.expressions import Expression, read_expression
from bayesmix.formula.tokens import Token, match_brackets, split_at, tokenize

__all__ = ["ParsedFormula", "parse_formula"]

ROLES = ("formula", "fixed", "nested", "concomitant", "ancillary")


@dataclass(frozen=True)
class ParsedFormula:
    """A formula that has been read and found to be one.

    Parameters
    ----------
    text : str
        As given.
    response : str or None
        The left-hand side as written.
    rhs : str
        The right-hand side without tilde, offsets and group; "1" or "0" where nothing
        is left.
    offsets : tuple of str
        The expressions inside ``offset(...)``.
    group : str or None
        From ``y ~ x | g``.
    intercept : bool or None
        True: written; False: removed; None: not mentioned.
    names : tuple of str
        Variables of the right-hand side, offsets and group included.
    response_names : tuple of str
        Variables of the left-hand side.
    functions : tuple of str
        Functions called on either side.
    right : RightSide
        What the design is built from.
    """

    text: str
    response: str | None
    rhs: str
    offsets: tuple[str, ...]
    group: str | None
    intercept: bool | None
    names: tuple[str, ...]
    response_names: tuple[str, ...]
    functions: tuple[str, ...]
    right: RightSide


def parse_formula(text: str, role: str) -> ParsedFormula:
    """Read a formula.

    Parameters
    ----------
    text : str
    role : {"formula", "fixed", "nested", "concomitant", "ancillary"}
        Only a "formula" may have a response and a group; the others may omit the tilde.

    Returns
    -------
    ParsedFormula

    Raises
    ------
    FormulaError
        With what was given, what is allowed and what to do.

    Examples
    --------
    >>> parsed = parse_formula("p(Deaths, Total) ~ log(Dose) + offset(z) | Center", "formula")
    >>> parsed.response, parsed.rhs, parsed.offsets, parsed.group
    ('p(Deaths, Total)', 'log(Dose)', ('z',), 'Center')
    """
    if role not in ROLES:
        raise ValueError(f"role={role!r} is not one of {ROLES}")
    if not isinstance(text, str):
        raise FormulaError(
            f"The {_called(role)} is a {type(text).__name__}; write it as text, such as "
            + ("'y ~ x'." if role == "formula" else "'~ x'.")
        )
    return _parse(text, role)


def _called(role: str) -> str:
    return role if role == "formula" else f"{role} formula"


@lru_cache(maxsize=256)
def _parse(text: str, role: str) -> ParsedFormula:
    label = f"The {_called(role)} {text!r}"
    tokens = tokenize(text, label)
    if not tokens:
        raise FormulaError(f"{label} is empty. Write '~ 1' for an intercept alone, '~ 0' for none.")
    match_brackets(tokens, label)
    left, right = _sides(tokens, role, label)
    right, group = _group(right, role, label)
    response = _response(left, text, label)
    side = read_right_side(right, text, label)
    _refuse_response_on_right(response, left, side, group, label)
    written = (*side.atoms, *side.offsets)
    names = [v for expression in written for v in expression.variables]
    names += [] if group is None else [group]
    functions = [f for e in (*written, *([response] if response else ())) for f in e.functions]
    empty = "1" if side.intercept is not False and role not in ("fixed", "nested") else "0"
    return ParsedFormula(
        text=text,
        response=None if response is None else response.text,
        rhs=side.text or empty,
        offsets=tuple(e.text for e in side.offsets),
        group=group,
        intercept=side.intercept,
        names=tuple(dict.fromkeys(names)),
        response_names=() if response is None else response.variables,
        functions=tuple(dict.fromkeys(functions)),
        right=side,
    )


def _sides(tokens: list[Token], role: str, label: str) -> tuple[list[Token], list[Token]]:
    sides = split_at(tokens, "~")
    if len(sides) > 2:
        raise FormulaError(f"{label}: there is more than one '~'. Write one.")
    if len(sides) == 1:
        if role == "formula":
            raise FormulaError(f"{label}: there is no '~'. Write 'response ~ terms'.")
        return [], sides[0]
    if sides[0] and role != "formula":
        raise FormulaError(f"{label}: only the main formula has a response. Write '~ terms' alone.")
    return sides[0], sides[1]


def _group(tokens: list[Token], role: str, label: str) -> tuple[list[Token], str | None]:
    parts = split_at(tokens, "|")
    if len(parts) == 1:
        return tokens, None
    if role != "formula":
        raise FormulaError(
            f"{label}: '| g' belongs to the main formula. Write it there, or group='g'."
        )
    column = parts[1]
    if len(parts) > 2 or len(column) != 1 or column[0].kind not in ("name", "quoted"):
        raise FormulaError(
            f"{label}: after '|' stands the one column whose rows share a component, as in "
            "'y ~ x | g'. Make a joint column of several."
        )
    return parts[0], column[0].text.strip("`")


def _response(tokens: list[Token], text: str, label: str) -> Expression | None:
    if not tokens:
        return None
    first, last = tokens[0], tokens[-1]
    call = first.kind == "name" and len(tokens) > 1 and tokens[1].text == "("
    whole = call and match_brackets(tokens, label)[1] == len(tokens) - 1
    if first.text == "offset" and call:
        raise FormulaError(f"{label}: offset(...) is no response. Add it on the right side.")
    if not (whole or (len(tokens) == 1 and first.kind in ("name", "quoted"))):
        raise FormulaError(
            f"{label}: the response is one column, a function of columns such as log(y) or "
            "I(a + b), or p(successes, trials)."
        )
    if first.text in ("True", "False", "None"):
        raise FormulaError(f"{label}: {first.text} is a constant, not a response.")
    return read_expression(tokens, text[first.start : last.end], label)


def _refuse_response_on_right(
    response: Expression | None,
    tokens: list[Token],
    side: RightSide,
    group: str | None,
    label: str,
) -> None:
    if response is None:
        return
    own = response.variables
    if response.functions[:1] == ("p",):  # the trials may explain the successes
        own = read_expression(split_at(tokens[2:-1], ",")[0] or tokens, "", label).variables
    used = {v for e in (*side.atoms, *side.offsets) for v in e.variables} | {group}
    both = [name for name in own if name in used]
    if both:
        raise FormulaError(
            f"{label}: {both[0]!r} is both the response and on the right side. A response does not "
            "explain itself; remove it there."
        )
