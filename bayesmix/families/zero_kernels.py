"""Compiled terms of families with extra zeros, made of the term of the other responses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bayesmix.families.kernel import Kernel, Term

Numbers = tuple[float, ...]
# The smallest probability of counts above zero.
LEAST = 2.3e-308


def with_psi(base: Any, name: str, make_term: Any) -> Kernel:
    """The kernel of a family with extra zeros, from that of the others."""
    reads = ("y", *(number for number in base.reads if number != "y"))
    return replace(
        base, name=name, make_term=make_term, reads=reads, base=base,
        parameters=base.parameters + 1, make_table=None, looked=(0, 0, 0),
    )  # fmt: skip


def inflated_term(ops: Any, base: Kernel) -> Term:
    """Give psi + (1 - psi) f at zero and (1 - psi) f elsewhere.

    A zero is a mixture of two terms: its slopes are their mean, its bends their mean plus the
    slopes' covariance.
    """
    others, psi_of, join = _reader(ops, base), _psi(ops), _join(ops, base)
    exp, expm1, log1p, pick = ops.exp, ops.expm1, ops.log1p, ops.pick

    def term(*given: float) -> Numbers:
        zero = given[0] == 0.0
        d = others(given[0], *given)
        log_psi, log_left, psi, left = psi_of(given[-1])
        counted = log_left + d[0]
        odds = counted - log_psi  # the log odds that a zero is counted
        small = exp(-abs(odds))
        most, least = 1.0 / (1.0 + small), small / (1.0 + small)
        is_counted, is_own = pick(odds > 0.0, most, least), pick(odds > 0.0, least, most)
        both = pick(zero, most * least, 0.0)
        # 1 - f, which a zero that is surely counted leaves small.
        rare = -expm1(d[0])
        slope = is_own * left * rare
        bend = slope * (left - psi - left * left * rare) / (psi + left * exp(d[0]))
        bend = pick(rare < 0.5, bend, both - psi * left)
        return join(
            d,
            pick(zero, pick(odds > 0.0, counted, log_psi) + log1p(small), counted),
            pick(zero, is_counted, 1.0),
            both,
            left,
            pick(zero, slope, -psi),
            psi * left,
            pick(zero, -bend, psi * left),
        )

    return term


def cut_off_term(ops: Any, base: Kernel) -> Term:
    """Give psi at zero and (1 - psi) f / (1 - f(0)) elsewhere, of counts."""
    return _hurdle(ops, base, _cut_off(ops, base))


def positive_term(ops: Any, base: Kernel) -> Term:
    """Give psi at zero and (1 - psi) f elsewhere, where f has no zero."""
    return _hurdle(ops, base, _reader(ops, base))


def _hurdle(ops: Any, base: Kernel, others: Any) -> Term:
    psi_of, join, pick = _psi(ops), _join(ops, base), ops.pick

    def term(*given: float) -> Numbers:
        zero = given[0] == 0.0
        d = others(pick(zero, 1.0, given[0]), *given)
        log_psi, log_left, psi, left = psi_of(given[-1])
        counted = pick(zero, 0.0, 1.0)
        logf = pick(zero, log_psi, log_left + d[0])
        return join(d, logf, counted, 0.0, left, left - counted, psi * left, psi * left)

    return term


def _reader(ops: Any, base: Kernel) -> Any:
    """The others' term at any y, of the numbers of the whole."""
    term = ops.scalar(base.build(ops))
    if base.reads[0] == "y":
        return ops.scalar(lambda y, *given: term(y, *given[1:-1]))
    return ops.scalar(lambda _, *given: term(*given[1:-1]))


def _cut_off(ops: Any, base: Kernel) -> Any:
    """The others' term, divided by 1 - f(0).

    With h = -log f(0) and o = 1 / (exp(h) - 1), the logarithm of 1 - f(0) has the slopes
    -o times those of f(0).  The constant of a count of zero is zero.
    """
    log1mexp, pick = ops.log1mexp, ops.pick
    term = ops.scalar(base.build(ops))
    assert base.reads == ("y", "const")

    def above_zero(log_zero: float) -> Numbers:
        there = log_zero < -LEAST
        log_some, odds = log1mexp(pick(there, -log_zero, LEAST))
        return log_some, pick(there, odds, 0.0)

    some = ops.scalar(above_zero)

    def one(y: float, *given: float) -> Numbers:
        d, z = term(y, *given[1:-1]), term(0.0, 0.0, given[2])
        log_some, odds = some(z[0])
        a = odds * z[1]
        return d[0] - log_some, d[1] + a, d[2], d[3] + odds * z[3] - a * (a + z[1])

    def two(y: float, *given: float) -> Numbers:
        d, z = term(y, *given[1:-1]), term(0.0, 0.0, given[2], given[3])
        log_some, odds = some(z[0])
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
    exp, log1p, pick = ops.exp, ops.log1p, ops.pick

    def psi(eta: float) -> Numbers:
        small = exp(-abs(eta))
        log_both, one, other = log1p(small), 1.0 / (1.0 + small), small / (1.0 + small)
        return (
            pick(eta > 0.0, 0.0, eta) - log_both,
            pick(eta > 0.0, -eta, 0.0) - log_both,
            pick(eta > 0.0, one, other),
            pick(eta > 0.0, other, one),
        )

    return ops.scalar(psi)


def _join(ops: Any, base: Kernel) -> Any:
    """What a term gives, of the others' d and of psi.

    Of the others with probability r, of which `both` is the variance: slopes r d', curvatures
    times `left`, minus second derivatives r h - both d' d'; those of psi are given.
    """
    pick = ops.pick
    # What the others would give for a zero that is none of theirs may be infinite.
    of = ops.scalar(lambda r, x: pick(r > 0.0, x, 0.0))

    def one(
        d: Numbers, logf: float, r: float, both: float, left: float, slope: float, c: float,
        bend: float,
    ) -> Numbers:  # fmt: skip
        a = of(r, d[1])
        return logf, r * a, slope, left * d[2], c, r * of(r, d[3]) - both * a * a, both * a, bend

    def two(
        d: Numbers, logf: float, r: float, both: float, left: float, slope: float, c: float,
        bend: float,
    ) -> Numbers:  # fmt: skip
        a, b = of(r, d[1]), of(r, d[2])
        return (
            logf, r * a, r * b, slope, left * d[3], left * d[4], c,
            r * of(r, d[5]) - both * a * a,
            r * of(r, d[6]) - both * a * b, r * of(r, d[7]) - both * b * b,
            both * a, both * b, bend,
        )  # fmt: skip

    return ops.scalar({1: one, 2: two}[base.parameters])
