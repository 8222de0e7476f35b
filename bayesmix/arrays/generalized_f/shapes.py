"""Shapes of the generalized F distribution: d, s1, s2 and the normaliser of its density."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmix import arrays as xp

__all__ = ["HALF_LOG_2PI", "inverse_shapes", "normaliser", "rises"]

Array = Any
HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


def inverse_shapes(Q: Array, P: Array | None) -> tuple[Array, Array]:
    """1 / s1 and 1 / s2, the rates at which the lower and the upper tail of w fall.

    1 / s1 + 1 / s2 = d^2 and (1 / s1 - 1 / s2) = Q d.  With P = None (zero) one of them is zero.
    """
    positive = Q >= 0
    size = xp.where(positive, Q, -Q)
    if P is None:
        slow, quick = Q * Q, 0.0 * Q
    else:
        d = xp.sqrt(Q * Q + 2 * P)
        slow, quick = 0.5 * d * (d + size), P * d / (d + size)
    return xp.where(positive, slow, quick), xp.where(positive, quick, slow)


def normaliser(Q: Array, P: Array | None) -> Array:
    """n(Q, P) = R(1 / (s1 + s2)) - R(1 / s1) - R(1 / s2), with R(r) = S(1 / r) of Stirling.

    The density of w at zero is exp(n) / sqrt(2 pi): by Stirling's formula all large terms cancel
    exactly, so that n goes smoothly to zero with Q and P.
    """
    lower, upper = inverse_shapes(Q, P)
    total = -xp.stirling_inverse(lower)
    if P is None:
        return total - xp.stirling_inverse(upper)
    return total - xp.stirling_inverse(upper) + xp.stirling_inverse(0.5 * P)


def rises(w: Array, Q: Array, P: Array | None) -> Array:
    """Whether the upper tail is the one to integrate at w, and the lower its complement.

    From the mode outwards where both shapes are at least one.  A tail with a shape s < 1 is long
    and flat and ends in a cliff at odds of about 1 / (s1 + s2): it is taken up to the cliff, by
    `slow.slow_tail`, and the other tail beyond.
    """
    lower, upper = inverse_shapes(Q, P)
    a, b = (xp.where(r > 0, r, 1.0) for r in (lower, upper))
    along = xp.sqrt(lower + upper) * w
    odds = along - xp.log(a) + xp.log(b)  # their logarithm, d w + log(s1 / s2)
    cliff = along - xp.log(a) + xp.log1p(upper / a)  # the same + log(s1 + s2)
    mirrored = along + xp.log(b) - xp.log1p(lower / b)  # the same - log(s1 + s2)
    crosses = xp.where(
        lower > 1, xp.where(upper > 1, odds, cliff), xp.where(upper > 1, mirrored, w)
    )
    return crosses >= 0
