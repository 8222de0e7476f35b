"""The log-likelihood of the units as an Op around the compiled kernel.

For any sampler that works with PyTensor's own linkers or numba: one sweep over the rows gives
the value, another the gradient, and no array of rows x components is made.  PyTensor is
imported with this module.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch import numba_funcify
from pytensor.link.numba.dispatch.basic import numba_njit

from bayesmix.errors import SpecError
from bayesmix.kernels import Arranged, Units
from bayesmix.likelihood import build_problem
from bayesmix.likelihood.arrange import arrange, known
from bayesmix.model import MixtureSpec


def kernel_log_likelihood(spec: MixtureSpec) -> tuple[Any, Any]:
    """What `unit_log_likelihood` gives, computed by the kernel.

    Parameters
    ----------
    spec : MixtureSpec

    Returns
    -------
    theta : TensorVariable, shape (D,)
        A placeholder.
    loglik : TensorVariable, shape (U,)

    Raises
    ------
    SpecError
        If the kernels do not know the model.
    """
    problem = build_problem(spec)
    if not known(problem):
        unknown = sorted({f.name for b in spec.layout.blocks for f in b.families})
        raise SpecError(
            f"likelihood='kernel' has no compiled form of this model (families {', '.join(unknown)}"
            f"{', weights that are held' if spec.weights.held is not None else ''}); use "
            "likelihood='graph'"
        )
    theta = pt.vector("theta", shape=(spec.layout.size,), dtype="float64")
    return theta, UnitLogLikelihood(_Kernel(arrange(problem)))(theta)


class _Kernel:
    """Data and the kernel's view of them, which is made anew where the data are copied to."""

    def __init__(self, data: Arranged) -> None:
        self.data = data
        self.units = Units(data)

    def __getstate__(self) -> Arranged:
        return self.data

    def __setstate__(self, data: Arranged) -> None:
        self.__init__(data)  # type: ignore[misc]


class UnitLogLikelihood(Op):
    """theta (D,) -> log-likelihood of every unit (U,).

    Parameters
    ----------
    kernel : _Kernel
    """

    def __init__(self, kernel: _Kernel) -> None:
        self.kernel = kernel

    def make_node(self, theta: Any) -> Apply:
        """Apply to theta."""
        out = pt.vector(shape=(self.kernel.units.n_units,), dtype="float64")
        return Apply(self, [pt.as_tensor(theta, dtype="float64")], [out])

    def perform(self, _node: Apply, inputs: list, output_storage: list) -> None:
        """Compute the value."""
        output_storage[0][0] = self.kernel.units.log_likelihood(inputs[0])

    def pullback(self, inputs: Any, _outputs: Any, cotangents: Any) -> list:
        """Derivative of a weighted sum of the units' log-likelihoods."""
        return [UnitSlope(self.kernel)(inputs[0], cotangents[0])]


class UnitSlope(Op):
    """theta (D,), weights (U,) -> derivative (D,) of the weighted sum of log-likelihoods.

    Parameters
    ----------
    kernel : _Kernel
    """

    def __init__(self, kernel: _Kernel) -> None:
        self.kernel = kernel

    def make_node(self, theta: Any, weights: Any) -> Apply:
        """Apply to theta and weights."""
        out = pt.vector(shape=(self.kernel.units.size,), dtype="float64")
        given = [pt.as_tensor(values, dtype="float64") for values in (theta, weights)]
        return Apply(self, given, [out])

    def perform(self, _node: Apply, inputs: list, output_storage: list) -> None:
        """Compute the value."""
        output_storage[0][0] = self.kernel.units.pull(*inputs)


# Compiled functions hold addresses of this process, so PyTensor is given no key to keep them by.


@numba_funcify.register(UnitLogLikelihood)
def _value(op: UnitLogLikelihood, **_: Any) -> Any:
    units = op.kernel.units
    call, arguments, n_units = units.call, units.arguments.ctypes.data, units.n_units

    @numba_njit
    def value(theta):  # type: ignore[no-untyped-def]
        at, out = np.ascontiguousarray(theta), np.empty(n_units)
        call(arguments, at.ctypes.data, 0, out.ctypes.data)
        return out if len(at) > 0 else out[:0]  # `at` has to live until here

    return value


@numba_funcify.register(UnitSlope)
def _slope(op: UnitSlope, **_: Any) -> Any:
    units = op.kernel.units
    call, arguments, size = units.call, units.arguments.ctypes.data, units.size

    @numba_njit
    def slope(theta, weights):  # type: ignore[no-untyped-def]
        at, given, out = np.ascontiguousarray(theta), np.ascontiguousarray(weights), np.empty(size)
        call(arguments, at.ctypes.data, given.ctypes.data, out.ctypes.data)
        return out if len(at) + len(given) > 0 else out[:0]  # they have to live until here

    return slope
