"""Log densities by address: likelihood and Gaussian priors, as compiled code for other programs.

This module does not import numba: it asks for the compiled kernel when a density is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesmix.errors import NotFiniteError
from bayesmix.kernels import record as r
from bayesmix.kernels.pack import Arranged, Floats, Integers, Laid, address


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


def _description(laid: Laid, **fields: int) -> Integers:
    """A record of DENSITY."""
    fields |= {
        "model": laid.model_address, "pass_kernel": laid.pass_address,
        "offsets": address(laid.offsets), "length": laid.length,
    }  # fmt: skip
    return np.array([fields.get(name, 0) for name in r.names(r.DENSITY)], dtype=np.int64)


class Density:
    """The log density of z, theta = origin + factor z, as compiled code for other compiled code.

    Parameters
    ----------
    data : Arranged
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
        self, data: Arranged, origin: Floats, factor: Floats, free: Integers, prior: GaussianPrior
    ) -> None:
        from bayesmix.kernels.density import copy_callback, density_callback

        self.size = len(free)
        self._laid = Laid(data)
        parts = (origin, factor, [prior.value, prior.concentration], prior.slope, prior.curvature)
        numbers = np.concatenate([np.ravel(part) for part in parts]).astype(np.float64)
        free = np.ascontiguousarray(free, dtype=np.int64)
        self.arguments = _description(
            self._laid, f=self.size, free=address(free), numbers=address(numbers)
        )
        self._kernels: list[Any] = [density_callback(), copy_callback()]
        self.address, self.copy_address = (int(kernel.address) for kernel in self._kernels)
        self._kept = (free, numbers)
        self._call = self._kernels[0].ctypes

    def __call__(self, z: Floats) -> tuple[float, Floats]:
        """Log density and gradient (f,) at z (f,).

        Raises
        ------
        NotFiniteError
            Where one of them is not finite.
        """
        z = np.ascontiguousarray(z, dtype=np.float64)
        gradient, value = np.empty(self.size), np.empty(1)
        addresses = (address(a) for a in (z, gradient, value, self.arguments))
        if self._call(self.size, *addresses) != 0:
            raise NotFiniteError
        return float(value[0]), gradient


class Units:
    """The log-likelihood of every unit at theta, and its transposed derivative.

    Parameters
    ----------
    data : Arranged

    Attributes
    ----------
    call : ctypes function
        Of (arguments, theta, weights or 0, out), all addresses; `out` is (U,), or with weights (D,)
        the derivative of the sum of the log-likelihoods times these.  Any number of threads may
        call it.
    arguments : ndarray of int
    """

    def __init__(self, data: Arranged) -> None:
        from bayesmix.kernels.density import units_callback

        self._laid = Laid(data)
        self.size, self.n_units = self._laid.size, self._laid.n_units
        self.arguments = _description(self._laid)
        self.call: Any = units_callback().ctypes

    def log_likelihood(self, theta: Floats) -> Floats:
        """Log-likelihood (U,) at theta (D,)."""
        theta, out = np.ascontiguousarray(theta, dtype=np.float64), np.empty(self.n_units)
        self.call(address(self.arguments), address(theta), 0, address(out))
        return out

    def pull(self, theta: Floats, weights: Floats) -> Floats:
        """Derivative (D,) of the sum of the log-likelihoods times weights (U,)."""
        theta = np.ascontiguousarray(theta, dtype=np.float64)
        weights, out = np.ascontiguousarray(weights, dtype=np.float64), np.empty(self.size)
        self.call(address(self.arguments), address(theta), address(weights), address(out))
        return out
