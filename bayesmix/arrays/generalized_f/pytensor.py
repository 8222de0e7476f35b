"""The functions of this room as operations of PyTensor, with their exact derivatives.

As a graph of elementary functions the quadrature would take minutes to compile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op

from bayesmix.arrays.autodiff import jets

_HIGHEST_ORDER = 2


class Elementwise(Op):
    """All derivatives of one order of a function of this package, in its q arguments.

    Parameters
    ----------
    name : str
        "log_density" or "log_upper".
    order : int
        0: the values, one output; 1: q outputs; 2: q * q outputs, row by row.
    """

    __props__ = ("name", "order")

    def __init__(self, name: str, order: int = 0) -> None:
        self.name, self.order = name, order

    def make_node(self, *arguments: Any) -> Apply:
        """Of arguments that have one shape."""
        inputs = [pt.cast(pt.as_tensor_variable(a), "float64") for a in arguments]
        outputs = [inputs[0].type() for _ in range(len(inputs) ** self.order)]
        return Apply(self, inputs, outputs)

    def perform(
        self,
        node: Apply,  # noqa: ARG002
        inputs: Sequence[np.ndarray],
        output_storage: Any,
    ) -> None:
        """Compute with NumPy."""
        for storage, value in zip(output_storage, self.values(*inputs), strict=True):
            storage[0] = value

    def values(self, *arguments: np.ndarray) -> list[np.ndarray]:
        """The outputs as arrays."""
        function = getattr(import_module("bayesmix.arrays.generalized_f"), self.name)
        if self.order == 0:
            return [np.asarray(function(*arguments))]
        jet = function(*jets(*arguments))
        derivatives = jet.first if self.order == 1 else jet.second
        return list(np.ascontiguousarray(derivatives.reshape(-1, *jet.shape)))

    def pullback(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],  # noqa: ARG002
        cotangents: Sequence[Variable],
    ) -> list[Variable]:
        """By the derivatives of the next order.

        Raises
        ------
        NotImplementedError
            For third derivatives.
        """
        if self.order == _HIGHEST_ORDER:
            raise NotImplementedError(f"third derivatives of {self.name} are not available")
        q = len(inputs)
        slopes = Elementwise(self.name, self.order + 1)(*inputs, return_list=True)
        used = [
            (i, c) for i, c in enumerate(cotangents) if not isinstance(c.type, DisconnectedType)
        ]
        return [sum(c * slopes[i * q + j] for i, c in used) for j in range(q)]


def elementwise(name: str, arguments: tuple[Any, ...]) -> Variable:
    """The function called `name` of numbers, arrays and PyTensor variables that broadcast."""
    tensors = [pt.as_tensor_variable(a) for a in arguments]
    return Elementwise(name)(*pt.broadcast_arrays(*tensors))


def _for_jax(op: Elementwise) -> Callable[..., Any]:
    """The operation as a differentiable function of JAX, which calls NumPy."""
    import jax

    def outputs(order: int, arguments: tuple) -> tuple:
        here = Elementwise(op.name, order)
        kind = jax.ShapeDtypeStruct(arguments[0].shape, arguments[0].dtype)

        def call(*given: Any) -> tuple:
            return tuple(here.values(*(np.asarray(a, dtype=float) for a in given)))

        count = len(arguments) ** order
        return tuple(
            jax.pure_callback(call, (kind,) * count, *arguments, vmap_method="broadcast_all")
        )

    def differentiable(order: int) -> Callable[..., tuple]:
        @jax.custom_jvp
        def function(*arguments: Any) -> tuple:
            return outputs(order, arguments)

        @function.defjvp
        def tangents(arguments: tuple, directions: tuple) -> tuple:
            q = len(arguments)
            slopes = differentiable(order + 1)(*arguments)
            moved = [0.0] * q**order
            for i, j in product(range(q**order), range(q)):
                moved[i] = moved[i] + slopes[i * q + j] * directions[j]
            return function(*arguments), tuple(moved)

        return function

    function = differentiable(op.order)

    def single(*arguments: Any) -> Any:
        found = function(*arguments)
        return found[0] if len(found) == 1 else found

    return single


if find_spec("jax") is not None:
    from pytensor.link.jax.dispatch import jax_funcify

    @jax_funcify.register(Elementwise)
    def _jax(op: Elementwise, **_: Any) -> Callable[..., Any]:
        return _for_jax(op)
