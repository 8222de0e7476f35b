"""What a family gives the compiled kernels: one scalar function of a row.

No numba here: the kernels compile the function when they first use it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Links that the kernels reach by the chain rule from the one that a term is written for.
OTHER_LINKS = {
    "log": ("identity", "inverse"),
    "identity": ("log", "inverse"),
    "logit": ("probit", "cloglog", "log", "identity"),
}

Term = Callable[..., tuple[float, ...]]
Block = Callable[..., None]
Line = Callable[[float, float, float, float], tuple[float, ...]]


@dataclass(frozen=True)
class Kernel:
    """A regression family as the kernels see it.

    Parameters
    ----------
    name : str
        Part of the cache's file name.
    make_term : callable
        ``make_term(ops)`` returns ``term(*numbers, *etas)``: of a row the numbers that `reads`
        names, and the p linear predictors.  It gives a tuple of scalars: the log density; its p
        derivatives; p positive curvatures for a scoring step; with `statistic` the squared
        residual; then the lower triangle of minus the second derivatives, row by row.
    reads : tuple of str
        Of "y", "trials" and "const" (what in the log density depends on the data alone).
    parameters : int
        How many linear predictors the term has: a family without parameters has one that it
        ignores.
    link : str
        The first parameter's link that the term is written for.  Others follow by the chain rule.
    statistic : bool
        Whether the second parameter is a scale that has a closed form given the first.
    base : Kernel, optional
        Another family's kernel that the term is made of, by ``make_term(ops, base)``.
    blocks : bool
        For any number of parameters, or densities of several rows: ``make_term(ops)`` returns
        ``term(level, n, numbers, etas, out)`` of n rows, with arrays (len(reads), rows),
        (parameters, rows) and (outputs, rows).  It writes the numbers above one below the other:
        at level 0 or 1 those up to the derivatives, at 2 up to the curvatures, from 3 on all.
    together : callable, optional
        Where rows of a cluster have a density together: ``together(obs, x)`` gives what the term
        reads of each cluster, (m, C), in the place of `reads`.  Its predictors are then the
        location's coefficients, one by one, and the other parameters.  Curvatures of level 2 come
        with what stands between parameters, in the place of the second derivatives.
    make_table : callable, optional
        Of a term of counts: ``make_table(ops)`` returns ``table(y, *etas)``, what does not depend
        on the first predictor.  The term reads these numbers behind its predictors; where the
        other parameters are constant it is given them by count.
    looked : tuple of int
        How many of these numbers the log density reads, and with its derivatives, and in all.

    Notes
    -----
    `ops` is `bayesmix.kernels.math`: ``exp, log, log1p, expm1, stirling, ...`` that vectorise, or
    one of `families.by_term`, the same for arrays.  A term may use these, arithmetic and
    ``pick(condition, one, other)``, of which both are computed, and in graphs their slopes: each
    has arguments from its own range.  One of blocks may use conditions too, on numbers of rows
    below level 4 only: there arrays give all rows as one.  Its derivatives may only
    be infinite or NaN where the log density is -inf.  Its compiled form is kept on disk if
    `make_term` is a module's function without defaults or a closure.
    """

    name: str
    make_term: Callable[..., Term | Block]
    reads: tuple[str, ...] = ("y",)
    parameters: int = 1
    link: str = "identity"
    statistic: bool = False
    base: Kernel | None = None
    blocks: bool = False
    together: Callable[..., Any] | None = None
    make_table: Callable[..., Term] | None = None
    looked: tuple[int, int, int] = (0, 0, 0)

    @property
    def made_of(self) -> tuple[Callable[..., Any], ...]:
        """The functions whose source decides what the term computes."""
        own = (self.make_term,) if self.make_table is None else (self.make_term, self.make_table)
        return (*own, *(() if self.base is None else self.base.made_of))

    def short(self, ops: Any) -> Term | Block:
        """The term that reads what a table has."""
        return self.make_term(ops) if self.base is None else self.make_term(ops, self.base)

    def build(self, ops: Any) -> Term | Block:
        """The term as a function of numbers, made with the functions in `ops`."""
        if self.make_table is None:
            return self.short(ops)
        short, table = ops.scalar(self.short(ops)), ops.scalar(self.make_table(ops))
        others = len(self.reads) + 1
        return lambda *given: short(*given, *table(given[0], *given[others:]))


@dataclass(frozen=True)
class TimesKernel:
    """A family of times as the kernels see it: a number x of the time whose distribution is known.

    Parameters
    ----------
    name : str
        Part of the cache's file name.
    make_line : callable
        ``make_line(ops)`` returns ``line(t, log_t, first, second)``, of a time, its logarithm
        and the linear predictors of the family's parameters in their order (what it does not
        have is any number).  It gives twelve numbers: x, with its derivatives in the first, the
        second, and by first first, first second and second second; then log |dx / dt| with its.
    along : str
        The distribution of x: "extreme" (x is the log cumulative hazard), "logistic" (the log
        odds of an event by t) or "normal" (the normal quantile of the distribution function).
    straight : bool
        Whether x is linear in log t: what is known given survival to a delayed entry is then one
        term, not the difference of two that may both be huge.

    Notes
    -----
    `ops` is `bayesmix.kernels.times`: ``exp, log, log1p`` as for `Kernel`, ``log_exprel`` with two
    derivatives, and ``clip``, which keeps x finite.  `make_line` is kept on disk as there.
    """

    name: str
    make_line: Callable[[Any], Line]
    along: str
    straight: bool = False
    parameters: int = 2
    statistic: bool = False
    looked: tuple[int, int, int] = (0, 0, 0)
