"""Fused passes over the rows of a mixture of regressions.

One sweep over blocks of 256 rows computes log densities, responsibilities and the weighted sums
that EM or Newton's method needs, without an array of rows x components.  The kernels are compiled
by numba when first used and kept on disk; importing this package does not import numba.

For ungrouped rows i, components s, and eta_is = offset_i + x_i' coef_s, the log-likelihood is

    loglik = sum_i w_i log sum_s pi_s(z_i) f(y_i | eta_is, disp_s)

with constant weights or pi_s(z) = exp(z' alpha_s) / sum_t exp(z' alpha_t).

Examples
--------
>>> import numpy as np
>>> X = np.column_stack([np.ones(4), [0.0, 1.0, 2.0, 3.0]])
>>> coef = np.array([[0.0, 0.1], [1.0, 0.5]])
>>> result = em_pass("poisson", X, [1.0, 0.0, 5.0, 11.0], coef, logprior=np.log([0.5, 0.5]))
>>> round(float(result.rsum.sum()), 9)
4.0
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesmix.kernels._call import prepare, run
from bayesmix.kernels._results import (
    InformationResult,
    PassResult,
    em_result,
    em_size,
    information_result,
    information_size,
)
from bayesmix.kernels.density import GaussianPrior, SmallDensity, SmallUnits
from bayesmix.kernels.families import FAMILIES, KernelFamily
from bayesmix.kernels.pack import (
    KINDS,
    SmallData,
    SmallMixture,
    SmallPass,
    SmallRun,
)
from bayesmix.kernels.pack_times import TimesChunk, TimesData, TimesItem, TimesPredictor
from bayesmix.kernels.warm import is_compiled, warm

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc

__all__ = [
    "FAMILIES",
    "KINDS",
    "GaussianPrior",
    "InformationResult",
    "KernelFamily",
    "PassData",
    "PassResult",
    "SmallData",
    "SmallDensity",
    "SmallMixture",
    "SmallPass",
    "SmallRun",
    "SmallUnits",
    "TimesChunk",
    "TimesData",
    "TimesItem",
    "TimesPredictor",
    "em_pass",
    "information_pass",
    "is_compiled",
    "logterms_pass",
    "warm",
]


class PassData(TypedDict, total=False):
    """The optional arguments of a pass: see `em_pass`."""

    logprior: ArrayLike | None
    Z: ArrayLike | None
    alpha: ArrayLike | None
    offset: ArrayLike | None
    aux: ArrayLike | None
    const: ArrayLike | None
    weight: ArrayLike | None
    allowed: ArrayLike | None


def em_pass(
    family: str | KernelFamily,
    X: ArrayLike,
    y: ArrayLike,
    coef: ArrayLike,
    disp: ArrayLike | None = None,
    *,
    n_threads: int = 1,
    **data: Unpack[PassData],
) -> PassResult:
    """E step and the sums of the M step in one sweep over the rows.

    Parameters
    ----------
    family : str or KernelFamily
        "gaussian" (identity link), "poisson" (log), "binomial" (logit), or a family's own.
    X : array_like, shape (n, P)
        Design matrix; float64 is read where it is, whatever its layout.
    y : array_like, shape (n,)
    coef : array_like, shape (S, P)
    disp : array_like, shape (S,), optional
        Dispersion parameters (gaussian: sigma).
    n_threads : int
        Threads; the result does not depend on it.
    logprior : array_like, shape (S,), optional
        Logarithms of constant weights; either this or Z and alpha.
    Z, alpha : array_like, shapes (n, Q) and (S, Q), optional
        Concomitant design (any layout) and coefficients, the first row of alpha zero.
    offset : array_like, shape (n,), optional
    aux : array_like, shape (n,), optional
        Trials (binomial).
    const : array_like, shape (n,), optional
        What does not depend on the parameters in a row's log density (poisson: -lgamma(y + 1)).
    weight : array_like, shape (n,), optional
        Case weights.
    allowed : array_like of bool, shape (n, S), optional
        The components a row may belong to (all).

    Returns
    -------
    PassResult

    Raises
    ------
    ValueError
        For an unknown family, a missing argument or shapes that do not fit.

    Notes
    -----
    Contiguous float64 vectors and C-ordered bool flags are read where they are; anything else is
    copied in every pass, so convert it once before.  Workspace is a few blocks of 256 rows,
    whatever n is.

    A component that is not allowed, or has density zero, has responsibility 0; a row without any
    other makes the log-likelihood -inf, unless its weight is 0.
    """
    call = prepare(family, X, y, coef, disp, **data)
    return em_result(call, run(_em_kernel, call, em_size(call), n_threads=n_threads))


def information_pass(
    family: str | KernelFamily,
    X: ArrayLike,
    y: ArrayLike,
    coef: ArrayLike,
    disp: ArrayLike | None = None,
    *,
    n_threads: int = 1,
    **data: Unpack[PassData],
) -> InformationResult:
    """Score and exact observed information of the log-likelihood in one sweep over the rows.

    Parameters
    ----------
    family, X, y, coef, disp, n_threads, **data
        As in `em_pass`.

    Returns
    -------
    InformationResult

    Notes
    -----
    With g_is the complete-data score of row i in component s and H_is the second derivative of that
    component's log density, Louis (1982) gives

        I = sum_i w_i { sum_s r_is (-H_is) - [ sum_s r_is g_is g_is' - gbar_i gbar_i' ] } + I_alpha,

    gbar_i = sum_s r_is g_is, I_alpha the multinomial logit's information.

    References
    ----------
    Louis, T. A. (1982). Finding the observed information matrix when using the EM algorithm.
    Journal of the Royal Statistical Society B 44, 226-233.
    """
    call = prepare(family, X, y, coef, disp, **data)
    size = information_size(call)
    sums = run(_information_kernel, call, 1 + size + size * size, n_threads=n_threads)
    return information_result(call, sums)


def logterms_pass(
    family: str | KernelFamily,
    X: ArrayLike,
    y: ArrayLike,
    coef: ArrayLike,
    disp: ArrayLike | None = None,
    *,
    n_threads: int = 1,
    **data: Unpack[PassData],
) -> tuple[NDArray[np.float64], float]:
    """Responsibilities of all rows, and the log-likelihood.

    Parameters
    ----------
    family, X, y, coef, disp, n_threads, **data
        As in `em_pass`.

    Returns
    -------
    posterior : ndarray, shape (n, S)
        ``r_is = pi_is f_is / sum_t pi_it f_it``; zeros in a row where every density is zero.
    loglik : float
    """
    call = prepare(family, X, y, coef, disp, **data)
    posterior = np.empty((call.n_rows, call.n_components))
    sums = run(_em_kernel, call, em_size(call), posterior, n_threads)
    return posterior, float(sums[0])


def _em_kernel() -> CFunc:
    from bayesmix.kernels._passes import em_callback

    return em_callback()


def _information_kernel() -> CFunc:
    from bayesmix.kernels._information import information_callback

    return information_callback()
