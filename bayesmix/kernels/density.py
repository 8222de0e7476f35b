"""A log density of few parameters and its gradient, by address: likelihood and Gaussian priors.

This module does not import numba: it asks for the compiled kernel when a density is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesmix.errors import NotFiniteError
from bayesmix.kernels._call import Floats
from bayesmix.kernels.pack import Integers, SmallData
from bayesmix.kernels.pack_times import TimesData


@dataclass(frozen=True)
class GaussianPrior:
    """What is added to the log-likelihood, in the coordinates z of the density.

        value + z' slope - z' curvature z / 2 + concentration sum_s log pi_s

    `slope` (f,) and `curvature` (f, f); pi_s are the constant weights.
    """

    value: float
    slope: Floats
    curvature: Floats
    concentration: float = 0.0


class SmallDensity:
    """The log density of z, theta = origin + factor z, as compiled code for other compiled code.

    Parameters
    ----------
    data : SmallData or TimesData
    origin : ndarray, shape (D,)
    factor : ndarray, shape (f, f)
    free : ndarray of int, shape (f,)
        The entries of theta that move.
    prior : GaussianPrior

    Attributes
    ----------
    address, copy_address : int
        Of C functions (f, z, gradient, value, arguments), which gives 0 or a positive number where
        the density is not finite, and (f, f, z, out, arguments), which copies z.  Any number of
        threads may call them, and no Python is run.
    arguments : ndarray of int
        Its address is their last argument.  It and this object must live as long as they are used.
    """

    def __init__(
        self,
        data: SmallData | TimesData,
        origin: Floats,
        factor: Floats,
        free: Integers,
        prior: GaussianPrior,
    ) -> None:
        from bayesmix.kernels._small_slope import copy_callback, density_callback

        self.size = len(free)
        self._arrays = data.for_scores()
        numbers = np.concatenate(
            [
                np.ravel(origin),
                np.ravel(factor),
                [prior.value, prior.concentration],
                np.ravel(prior.slope),
                np.ravel(prior.curvature),
            ]
        ).astype(np.float64)
        free = np.ascontiguousarray(free, dtype=np.int64)
        zeros = self._arrays.zeros
        self.arguments = np.array(
            [
                self._arrays.model.ctypes.data,
                self._arrays.work,
                zeros.start,
                zeros.stop,
                self.size,
                free.ctypes.data,
                numbers.ctypes.data,
            ],
            dtype=np.int64,
        )
        self._kernels: tuple[Any, Any] = (density_callback(), copy_callback())
        self._kept = (free, numbers)
        self._call = self._kernels[0].ctypes

    @property
    def address(self) -> int:
        """Of the log density."""
        return self._kernels[0].address

    @property
    def copy_address(self) -> int:
        """Of the function that copies z."""
        return self._kernels[1].address

    def __call__(self, z: Floats) -> tuple[float, Floats]:
        """Log density and gradient (f,) at z (f,).

        Raises
        ------
        NotFiniteError
            Where one of them is not finite.
        """
        z = np.ascontiguousarray(z, dtype=np.float64)
        gradient, value = np.empty(self.size), np.empty(1)
        addresses = (a.ctypes.data for a in (z, gradient, value, self.arguments))
        if self._call(self.size, *addresses) != 0:
            raise NotFiniteError
        return float(value[0]), gradient


class SmallUnits:
    """The log-likelihood of every unit at theta, and its transposed derivative.

    Parameters
    ----------
    data : SmallData

    Attributes
    ----------
    value, slope : ctypes functions
        Of (arguments, theta, out) and (arguments, theta, weights, out), all addresses; `out` is
        (U,) and (D,).  Any number of threads may call them.
    arguments : ndarray of int
    """

    def __init__(self, data: SmallData) -> None:
        from bayesmix.kernels._small_units import slopes_callback, units_callback

        self._arrays = data.for_scores()
        _, _, self.size, self.n_units = self._arrays.shape
        zeros = self._arrays.zeros
        self.arguments = np.array(
            [self._arrays.model.ctypes.data, self._arrays.work, zeros.start, zeros.stop],
            dtype=np.int64,
        )
        self.value: Any = units_callback().ctypes
        self.slope: Any = slopes_callback().ctypes

    def log_likelihood(self, theta: Floats) -> Floats:
        """Log-likelihood (U,) at theta (D,)."""
        theta, out = np.ascontiguousarray(theta, dtype=np.float64), np.empty(self.n_units)
        self.value(*(a.ctypes.data for a in (self.arguments, theta, out)))
        return out

    def pull(self, theta: Floats, weights: Floats) -> Floats:
        """Derivative (D,) of the sum of the log-likelihoods times weights (U,)."""
        theta = np.ascontiguousarray(theta, dtype=np.float64)
        weights, out = np.ascontiguousarray(weights, dtype=np.float64), np.empty(self.size)
        self.slope(*(a.ctypes.data for a in (self.arguments, theta, weights, out)))
        return out
