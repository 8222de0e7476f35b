"""Model formulas, read: response, right-hand side, offsets and group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from bayesmix.errors import FormulaError
from bayesmix.formula.algebra import RightSide, read_right_side
from bayesmix.formula.expressions import Expression, read_expression
from bayesmix.formula.tokens import Token, parts, tokenize


@dataclass(frozen=True)
class ParsedFormula:
    """A formula that has been read and found to be one.

    Parameters
    ----------
    text : str
        As given.
    response : str or None
        The left-hand side as written.
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
    effects : RandomTerms, or None
        From ``y ~ x + (1 + x | id)``.
    """

    text: str
    response: str | None
    offsets: tuple[str, ...]
    group: str | None
    intercept: bool | None
    names: tuple[str, ...]
    response_names: tuple[str, ...]
    functions: tuple[str, ...]
    right: RightSide
    effects: RandomTerms | None = None


@dataclass(frozen=True)
class RandomTerms:
    """Random effects ``(terms | cluster)``: the terms as a formula, and the cluster's column."""

    formula: ParsedFormula
    cluster: str


@lru_cache(maxsize=256)
def parse_formula(text: str, role: str) -> ParsedFormula:
    """Read a formula.

    Parameters
    ----------
    text : str
    role : {"formula", "fixed", "nested", "concomitant", "ancillary", "random"}
        Only a "formula" may have a response, a group and random effects; the others may omit the
        tilde.

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
    >>> parsed.response, parsed.functions, parsed.offsets, parsed.group
    ('p(Deaths, Total)', ('log', 'p'), ('z',), 'Center')
    """
    called = role if role == "formula" else f"{role} formula"
    label = f"The {called} {text!r:.200}"
    tokens = tokenize(text, label)
    if not tokens:
        raise FormulaError(f"{label} is empty. Write '~ 1' for an intercept alone, '~ 0' for none.")
    left, right = _sides(tokens, role, label)
    right, effects = _effects(right, text, role, label)
    right, group = _group(right, role, label)
    response = _response(left, text, label)
    source = text
    if effects is not None and not right:  # an intercept is left where nothing else is written
        source, right = "1", tokenize("1", label)
    side = read_right_side(right, source, label)
    inside = () if effects is None else (*effects.formula.names, effects.cluster)
    _refuse_response_on_right(response, left, side, (group, *inside), label)
    written = (*side.atoms, *side.offsets)
    names = [v for expression in written for v in expression.variables]
    names += [*(() if group is None else (group,)), *inside]
    functions = [f for e in (*written, *([response] if response else ())) for f in e.functions]
    functions += [] if effects is None else effects.formula.functions
    return ParsedFormula(
        text=text,
        response=None if response is None else response.text,
        offsets=tuple(e.text for e in side.offsets),
        group=group,
        intercept=side.intercept,
        names=tuple(dict.fromkeys(names)),
        response_names=() if response is None else response.variables,
        functions=tuple(dict.fromkeys(functions)),
        right=side,
        effects=effects,
    )


def _sides(tokens: list[Token], role: str, label: str) -> tuple[list[Token], list[Token]]:
    sides = parts(tokens, "~")
    if len(sides) > 2:
        raise FormulaError(f"{label}: there is more than one '~'. Write one.")
    if len(sides) == 1:
        if role == "formula":
            raise FormulaError(f"{label}: there is no '~'. Write 'response ~ terms'.")
        return [], sides[0]
    if sides[0] and role != "formula":
        raise FormulaError(f"{label}: only the main formula has a response. Write '~ terms' alone.")
    return sides[0], sides[1]


def _effects(
    tokens: list[Token], text: str, role: str, label: str
) -> tuple[list[Token], RandomTerms | None]:
    """Take the summand ``(terms | cluster)`` out of a right-hand side."""
    found = list(_with_bars(tokens))
    if not found:
        return tokens, None
    if role != "formula":
        raise FormulaError(f"{label}: random effects (... | id) belong to the main formula.")
    if len(found) > 1:
        raise FormulaError(
            f"{label}: there are {len(found)} groups of random effects. Write one, such as "
            "(1 + time | id); effects of two columns at once are not offered."
        )
    at = tokens.index(found[0]) if found[0] in tokens else len(tokens)
    left, right = tokens[:at], tokens[at + 1 :]
    summand = (not left or left[-1].text == "+") and (not right or right[0].text in ("+", "-", "|"))
    terms, column, *more = parts(found[0].inside, "|")
    if more or not (summand and terms and _is_column(column)):
        raise FormulaError(
            f"{label}: random effects are a summand (terms | id) with one column after '|', as in "
            "'y ~ time + (1 + time | id)'."
        )
    inner = parse_formula("~ " + text[terms[0].start : terms[-1].end], "random")
    if inner.offsets or inner.group:
        raise FormulaError(f"{label}: an offset has no random effect. Take it out of (... | id).")
    if not left and right and right[0].text == "+":
        right = right[1:]
    return left[:-1] + right, RandomTerms(inner, column[0].text.strip("`"))


def _with_bars(tokens: Iterable[Token]) -> Iterator[Token]:
    """Brackets that have a '|'; in those of a call it is an operator."""
    called = False
    for token in tokens:
        if token.is_op("(") and not called:
            bar = any(inner.is_op("|") for inner in token.inside)
            yield from (token,) if bar else _with_bars(token.inside)
        called = token.kind == "name"


def _is_column(tokens: list[Token]) -> bool:
    return len(tokens) == 1 and tokens[0].kind in ("name", "quoted")


def _group(tokens: list[Token], role: str, label: str) -> tuple[list[Token], str | None]:
    right, *columns = parts(tokens, "|")
    if not columns:
        return tokens, None
    if role != "formula":
        raise FormulaError(
            f"{label}: '| g' belongs to the main formula. Write it there, or group='g'."
        )
    if len(columns) > 1 or not _is_column(columns[0]):
        raise FormulaError(
            f"{label}: after '|' stands the one column whose rows share a component, as in "
            "'y ~ x | g'. Make a joint column of several."
        )
    return right, columns[0][0].text.strip("`")


def _response(tokens: list[Token], text: str, label: str) -> Expression | None:
    if not tokens:
        return None
    first, last = tokens[0], tokens[-1]
    call = first.kind == "name" and len(tokens) > 1 and tokens[1].is_op("(")
    if first.text == "offset" and call:
        raise FormulaError(f"{label}: offset(...) is not a response. Add it on the right side.")
    if not ((call and len(tokens) == 2) or _is_column(tokens)):
        raise FormulaError(
            f"{label}: the response is one column, a function of columns such as log(y) or "
            "I(a + b), p(successes, trials), or mv(y1, y2) for several columns."
        )
    if first.text in ("True", "False", "None"):
        raise FormulaError(f"{label}: {first.text} is a constant, not a response.")
    return read_expression(tokens, text[first.start : last.end], label)


# Responses of which only the first argument is the response itself.
_LOOSE = (("p",), ("truncated",), ("censored",))


def _refuse_response_on_right(
    response: Expression | None,
    tokens: list[Token],
    side: RightSide,
    others: tuple[str | None, ...],
    label: str,
) -> None:
    if response is None:
        return
    own = response.variables
    if response.functions[:1] in _LOOSE:  # trials may explain successes, limits a response
        own = read_expression(parts(tokens[1].inside, ",")[0] or tokens, "", label).variables
    used = {v for e in (*side.atoms, *side.offsets) for v in e.variables} | {*others}
    both = [name for name in own if name in used]
    if both:
        raise FormulaError(
            f"{label}: {both[0]!r} is both the response and on the right side. A response does not "
            "explain itself; remove it there."
        )
