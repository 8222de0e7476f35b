"""Compiled terms of families with extra zeros, made of the term of the other responses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bayesmix.families.kernel import Kernel, Term

Numbers = tuple[float, ...]


def with_psi(base: Any, name: str, make_term: Any) -> Kernel | None:
    """The kernel of a family with extra zeros; None where the others have none of this form."""
    if not isinstance(base, Kernel):
        return None
    reads = ("y", *(number for number in base.reads if number != "y"))
    return replace(
        base, name=name, make_term=make_term, reads=reads, parameters=base.parameters + 1, base=base
    )


def inflated_term(ops: Any, base: Kernel) -> Term:
    """Give psi + (1 - psi) f at zero and (1 - psi) f elsewhere.

    A zero is a mixture of two terms: its slopes are their mean, its bends their mean plus the
    slopes' covariance.
    """
    others, psi_of, join = _reader(ops, base), _psi(ops), _join(ops, base)
    exp, expm1, log1p = ops.exp, ops.expm1, ops.log1p

    def term(*given: float) -> Numbers:
        zero = given[0] == 0.0
        d = others(given[0], *given)
        log_psi, log_left, psi, left = psi_of(given[-1])
        counted = log_left + d[0]
        odds = counted - log_psi  # the log odds that a zero is counted
        small = exp(-abs(odds))
        most, least = 1.0 / (1.0 + small), small / (1.0 + small)
        is_counted, is_own = (most, least) if odds > 0.0 else (least, most)
        both = most * least if zero else 0.0
        # 1 - f, which a zero that is surely counted leaves small.
        rare = -expm1(d[0])
        slope = is_own * left * rare
        bend = slope * (left - psi - left * left * rare) / (psi + left * exp(d[0]))
        bend = bend if rare < 0.5 else both - psi * left
        return join(
            d,
            (counted if odds > 0.0 else log_psi) + log1p(small) if zero else counted,
            is_counted if zero else 1.0,
            both,
            left,
            slope if zero else -psi,
            psi * left,
            -bend if zero else psi * left,
        )

    return term


def cut_off_term(ops: Any, base: Kernel) -> Term:
    """Give psi at zero and (1 - psi) f / (1 - f(0)) elsewhere, of counts."""
    return _hurdle(ops, base, _cut_off(ops, base))


def positive_term(ops: Any, base: Kernel) -> Term:
    """Give psi at zero and (1 - psi) f elsewhere, where f has no zero."""
    return _hurdle(ops, base, _reader(ops, base))


def _hurdle(ops: Any, base: Kernel, others: Any) -> Term:
    psi_of, join = _psi(ops), _join(ops, base)

    def term(*given: float) -> Numbers:
        zero = given[0] == 0.0
        d = others(1.0 if zero else given[0], *given)
        log_psi, log_left, psi, left = psi_of(given[-1])
        counted = 0.0 if zero else 1.0
        logf = log_psi if zero else log_left + d[0]
        return join(d, logf, counted, 0.0, left, left - counted, psi * left, psi * left)

    return term


def _reader(ops: Any, base: Kernel) -> Any:
    """The others' term at any y, of the numbers of the whole."""
    term = ops.scalar(base.make_term(ops))
    if base.reads[0] == "y":
        return ops.scalar(lambda y, *given: term(y, *given[1:-1]))
    return ops.scalar(lambda _, *given: term(*given[1:-1]))


def _cut_off(ops: Any, base: Kernel) -> Any:
    """The others' term, divided by 1 - f(0).

    With h = -log f(0) and o = 1 / (exp(h) - 1), the logarithm of 1 - f(0) has the slopes
    -o times those of f(0).  The constant of a count of zero is zero.
    """
    log1mexp = ops.log1mexp
    term = ops.scalar(base.make_term(ops))
    assert base.reads == ("y", "const")

    def one(y: float, *given: float) -> Numbers:
        d, z = term(y, *given[1:-1]), term(0.0, 0.0, given[2])
        log_some, odds = log1mexp(-z[0] if z[0] < -1e-300 else 1e-300)
        a = odds * z[1]
        return d[0] - log_some, d[1] + a, d[2], d[3] + odds * z[3] - a * (a + z[1])

    def two(y: float, *given: float) -> Numbers:
        d, z = term(y, *given[1:-1]), term(0.0, 0.0, given[2], given[3])
        log_some, odds = log1mexp(-z[0] if z[0] < -1e-300 else 1e-300)
        a, b = odds * z[1], odds * z[2]
        return (
            d[0] - log_some, d[1] + a, d[2] + b, d[3], d[4],
            d[5] + odds * z[5] - a * (a + z[1]),
            d[6] + odds * z[6] - a * (b + z[2]),
            d[7] + odds * z[7] - b * (b + z[2]),
        )  # fmt: skip

    return ops.scalar({1: one, 2: two}[base.parameters])


def _psi(ops: Any) -> Any:
    """log(psi), log(1 - psi), psi and 1 - psi of a logit."""
    exp, log1p = ops.exp, ops.log1p

    def psi(eta: float) -> Numbers:
        small = exp(-abs(eta))
        log_both, one, other = log1p(small), 1.0 / (1.0 + small), small / (1.0 + small)
        return (
            (0.0 if eta > 0.0 else eta) - log_both,
            (-eta if eta > 0.0 else 0.0) - log_both,
            (one if eta > 0.0 else other),
            (other if eta > 0.0 else one),
        )

    return ops.scalar(psi)


def _join(ops: Any, base: Kernel) -> Any:
    """What a term gives, of the others' d and of psi.

    Of the others with probability r, of which `both` is the variance: slopes r d', curvatures
    times `left`, minus second derivatives r h - both d' d'; those of psi are given.
    """

    def one(
        d: Numbers, logf: float, r: float, both: float, left: float, slope: float, c: float,
        bend: float,
    ) -> Numbers:  # fmt: skip
        a = d[1]
        return logf, r * a, slope, left * d[2], c, r * d[3] - both * a * a, both * a, bend

    def two(
        d: Numbers, logf: float, r: float, both: float, left: float, slope: float, c: float,
        bend: float,
    ) -> Numbers:  # fmt: skip
        a, b = d[1], d[2]
        return (
            logf, r * a, r * b, slope, left * d[3], left * d[4], c,
            r * d[5] - both * a * a,
            r * d[6] - both * a * b, r * d[7] - both * b * b,
            both * a, both * b, bend,
        )  # fmt: skip

    return ops.scalar({1: one, 2: two}[base.parameters])
