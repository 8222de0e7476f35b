"""What the passes return, unpacked from the sums a kernel adds up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from bayesmix.kernels._call import Call

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PassResult:
    """The sums of one EM pass.

    Attributes
    ----------
    loglik : float
        ``sum_i w_i log sum_s pi_is f_is``.
    rsum : ndarray, shape (S,)
        ``sum_i w_i r_is``, r the responsibilities.
    score : ndarray, shape (S, P)
        ``sum_i w_i r_is d1_is x_i``, d1 = d log f / d eta.
    gram : ndarray, shape (S, P, P)
        ``sum_i w_i r_is W_is x_i x_i'``, W = -d2 log f / d eta2.
    ssq : ndarray, shape (S,), or None
        ``sum_i w_i r_is (y_i - eta_is)^2`` for gaussian, another family's own statistic; None for a
        family without dispersion.
    zscore : ndarray, shape (S, Q), or None
        ``sum_i w_i (r_is - pi_is) z_i``; None for constant weights.
    zinfo : ndarray, shape ((S - 1) Q, (S - 1) Q), or None
        ``sum_i w_i (diag(pi_i) - pi_i pi_i') (x) z_i z_i'`` without the first component.
    """

    loglik: float
    rsum: Floats
    score: Floats
    gram: Floats
    ssq: Floats | None
    zscore: Floats | None
    zinfo: Floats | None


@dataclass(frozen=True)
class InformationResult:
    """Log-likelihood, score and exact observed information at a point.

    Attributes
    ----------
    loglik : float
    score : ndarray, shape (D,)
    information : ndarray, shape (D, D)
        Minus the second derivative of the log-likelihood.

    Notes
    -----
    The parameters are, for each component, coef (P) and, if the family has one, log disp; then
    alpha of components 2 .. S (Q each), or for constant weights the logits log(pi_s / pi_1).
    """

    loglik: float
    score: Floats
    information: Floats


def em_shapes(call: Call) -> list[tuple[int, ...]]:
    """Shapes of loglik, rsum, ssq, score, gram, zscore and zinfo as `_passes.em_rows` adds them."""
    s, p, q = call.n_components, call.n_columns, call.n_concomitant
    return [(1,), (s,), (s,), (s, p), (s, p, p), (s, q), ((s - 1) * q, (s - 1) * q)]


def em_size(call: Call) -> int:
    """How many numbers an EM pass adds up."""
    return sum(math.prod(shape) for shape in em_shapes(call))


def em_result(call: Call, sums: Floats) -> PassResult:
    """Unpack the sums (em_size,) of an EM pass."""
    q = call.n_concomitant
    shapes = em_shapes(call)
    ends = list(accumulate(map(math.prod, shapes), initial=0))
    loglik, rsum, ssq, score, gram, zscore, zinfo = (
        sums[first:last].reshape(shape)
        for first, last, shape in zip(ends[:-1], ends[1:], shapes, strict=True)
    )
    return PassResult(
        loglik=float(loglik[0]),
        rsum=rsum,
        score=score,
        gram=gram + np.tril(gram, -1).swapaxes(-1, -2),
        ssq=ssq if call.family.dispersion else None,
        zscore=zscore if q else None,
        zinfo=_whole(zinfo, [(np.arange(call.n_components - 1) * q, q)]) if q else None,
    )


def information_size(call: Call) -> int:
    """How many parameters, D, the information is of."""
    s, q = call.n_components, call.n_concomitant or 1
    return s * (call.n_columns + call.family.dispersion) + (s - 1) * q


def information_result(call: Call, sums: Floats) -> InformationResult:
    """Unpack the sums (1 + D + D^2,) of an information pass."""
    s, q = call.n_components, call.n_concomitant or 1
    size, step = information_size(call), call.n_columns + call.family.dispersion
    blocks = [
        (np.arange(s) * step, call.n_columns),
        (s * step + np.arange(s - 1) * q, q),
    ]
    information = _whole(sums[1 + size :].reshape(size, size), blocks)
    return InformationResult(float(sums[0]), sums[1 : 1 + size], information)


def _whole(part: Floats, groups: list[tuple[NDArray[np.intp], int]]) -> Floats:
    """Complete a symmetric matrix of which the kernel added up every entry once.

    A group of square blocks (their places and width) are products of the same columns: also a block
    off the diagonal is symmetric, and its lower triangle stands for it.
    """
    part = part.copy()
    for places, width in groups:
        for j, row in enumerate(places):
            for column in places[:j]:
                block = part[row : row + width, column : column + width]
                block += np.tril(block, -1).T
    return part + part.T - np.diag(np.diag(part))
