"""Hurdle lognormal family: zeros with a probability of their own, lognormal amounts."""

from dataclasses import replace
from typing import Any

from bayesmix.families.kernel import Kernel, Term
from bayesmix.families.numbers import for_numbers
from bayesmix.families.regression.gaussian import FAMILY as NORMAL
from bayesmix.families.survival.lognormal import FAMILY as TIMES
from bayesmix.families.zeros import hurdle


def kernel_term(ops: Any, base: Kernel) -> Term:
    """Give the normal density of log(y), const = -log(y)."""
    normal = ops.scalar(base.build(ops))

    def term(const: float, mu: float, log_sigma: float) -> tuple[float, ...]:
        d = normal(-const, mu, log_sigma)
        return d[0] + const, d[1], d[2], d[3], d[4], d[6], d[7], d[8]  # less the statistic

    return term


assert isinstance(NORMAL.kernel, Kernel)
AMOUNTS = Kernel("lognormal", kernel_term, reads=("const",), parameters=2, base=NORMAL.kernel)
FAMILY = hurdle(replace(for_numbers(TIMES), kernel=AMOUNTS))
