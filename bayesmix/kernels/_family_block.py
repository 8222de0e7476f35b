"""A family's scalar function as a callback over a block of rows."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bayesmix.kernels import math as _math
from bayesmix.kernels.cache import source_digest
from bayesmix.kernels.compile import FAMILY_SIGNATURE, callback, doubles, matrix, scalar
from bayesmix.kernels.families import (
    D1,
    D_DISP,
    H_CROSS,
    H_DISP,
    LOGF,
    N_TERMS,
    STATISTIC,
    KernelFamily,
    W,
)
from bayesmix.kernels.record import BLOCK

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc


@functools.cache
def family_callback(family: KernelFamily) -> CFunc:
    """Compile or load a family's callback.

    Parameters
    ----------
    family : KernelFamily

    Returns
    -------
    CFunc
        Of ``(full, m, dispersion, y, aux, const, eta, out)``: for m rows from the four addresses it
        writes logf, d1, w (and the statistic) of each row to out, BLOCK values apart; with ``full``
        also the derivatives in the dispersion.
    """
    term = scalar(family.make_term(_math))
    function = _with_dispersion(term) if family.dispersion else _without_dispersion(term)
    return callback(function, FAMILY_SIGNATURE, _cache_name(family))


def _cache_name(family: KernelFamily) -> str | None:
    return cache_name(f"family-{family.name}", family.make_term)


def cache_name(stem: str, make: Callable[[Any], Any], *used: ModuleType) -> str | None:
    """File name in the cache; None where a change of what `make` makes could go unnoticed.

    `used` are modules elsewhere whose numbers are compiled in.
    """
    if not inspect.isfunction(make) or make.__closure__ or make.__defaults__:
        return None
    source = inspect.getsourcefile(make)
    if source is None or not Path(source).is_file():
        return None
    sources = [Path(source), *(Path(str(module.__file__)) for module in used)]
    return f"{stem}-{make.__name__}-{source_digest(sources)}"


# One array for all outputs: LLVM does not vectorise a loop for which it would have to check many
# pairs of arrays for overlap.


def _without_dispersion(term: Any) -> Callable[..., None]:
    def family(
        _full: int, m: int, dispersion: float, y: int, aux: int, const: int, eta: int, out: int
    ) -> None:
        y_, aux_, const_, eta_ = doubles(y, m), doubles(aux, m), doubles(const, m), doubles(eta, m)
        terms = matrix(out, N_TERMS, BLOCK)
        for i in range(m):
            logf, d1, w = term(y_[i], aux_[i], const_[i], eta_[i], dispersion)
            terms[LOGF, i] = logf
            terms[D1, i] = d1
            terms[W, i] = w

    return family


def _with_dispersion(term: Any) -> Callable[..., None]:
    def family(
        full: int, m: int, dispersion: float, y: int, aux: int, const: int, eta: int, out: int
    ) -> None:
        y_, aux_, const_, eta_ = doubles(y, m), doubles(aux, m), doubles(const, m), doubles(eta, m)
        terms = matrix(out, N_TERMS, BLOCK)
        if full == 0:  # what is not stored is not computed
            for i in range(m):
                logf, d1, w, statistic, _, _, _ = term(
                    y_[i], aux_[i], const_[i], eta_[i], dispersion
                )
                terms[LOGF, i] = logf
                terms[D1, i] = d1
                terms[W, i] = w
                terms[STATISTIC, i] = statistic
        else:
            for i in range(m):
                logf, d1, w, _, d_disp, h_disp, h_cross = term(
                    y_[i], aux_[i], const_[i], eta_[i], dispersion
                )
                terms[LOGF, i] = logf
                terms[D1, i] = d1
                terms[W, i] = w
                terms[D_DISP, i] = d_disp
                terms[H_DISP, i] = h_disp
                terms[H_CROSS, i] = h_cross

    return family
