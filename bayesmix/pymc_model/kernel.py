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
    return theta, UnitSums(_Kernel(arrange(problem)))(theta)


class _Kernel:
    """Data and the kernel's view of them, which is made anew where the data are copied to."""

    def __init__(self, data: Arranged) -> None:
        self.data = data
        self.units = Units(data)

    def __getstate__(self) -> Arranged:
        return self.data

    def __setstate__(self, data: Arranged) -> None:
        self.__init__(data)  # type: ignore[misc]


class UnitSums(Op):
    """theta (D,) -> log-likelihood of every unit (U,).

    With weights (U,) as well, the derivative (D,) of the weighted sum of these.

    Parameters
    ----------
    kernel : _Kernel
    """

    def __init__(self, kernel: _Kernel) -> None:
        self.kernel = kernel

    def make_node(self, *given: Any) -> Apply:
        """Apply to theta, or to theta and weights."""
        units = self.kernel.units
        size = units.n_units if len(given) == 1 else units.size
        inputs = [pt.as_tensor(values, dtype="float64") for values in given]
        return Apply(self, inputs, [pt.vector(shape=(size,), dtype="float64")])

    def perform(self, _node: Apply, inputs: list, output_storage: list) -> None:
        """Compute the value."""
        units = self.kernel.units
        output_storage[0][0] = (units.log_likelihood if len(inputs) == 1 else units.pull)(*inputs)

    def pullback(self, inputs: Any, _outputs: Any, cotangents: Any) -> list:
        """Derivative of a weighted sum of the units' log-likelihoods.

        Raises
        ------
        NotImplementedError
            For second derivatives.
        """
        if len(inputs) > 1:
            raise NotImplementedError("second derivatives of the kernel are not available")
        return [self(inputs[0], cotangents[0])]


# Compiled functions hold addresses of this process, so PyTensor is given no key to keep them by.


@numba_funcify.register(UnitSums)
def _compiled(op: UnitSums, node: Apply, **_: Any) -> Any:
    units = op.kernel.units
    call, arguments, size = units.call, units.arguments.ctypes.data, node.outputs[0].type.shape[0]

    @numba_njit
    def value(theta):  # type: ignore[no-untyped-def]
        at, out = np.ascontiguousarray(theta), np.empty(size)
        call(arguments, at.ctypes.data, 0, out.ctypes.data)
        return out if len(at) > 0 else out[:0]  # `at` has to live until here

    @numba_njit
    def slope(theta, weights):  # type: ignore[no-untyped-def]
        at, given, out = np.ascontiguousarray(theta), np.ascontiguousarray(weights), np.empty(size)
        call(arguments, at.ctypes.data, given.ctypes.data, out.ctypes.data)
        return out if len(at) + len(given) > 0 else out[:0]  # they have to live until here

    return value if len(node.inputs) == 1 else slope
