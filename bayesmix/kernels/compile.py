"""Compilation of the kernels, and the few instructions Python has no word for.

A kernel is a C callback (`numba.cfunc`) whose arguments are integers and addresses, so one compiled
kernel serves every family, array layout and number of columns, and can be handed to other compiled
code by address.  A family is a small callback of its own that a kernel calls once a block.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import carray, cfunc, njit, types
from numba.extending import intrinsic

from bayesmix.kernels.cache import DiskCache, log_once

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc

# Division by zero must not branch (numba's default raises), and no callee is called from Python.
_CALLEE = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_KERNEL = {"error_model": "numpy", "fastmath": {"contract"}}
_lock = threading.Lock()


def scalar(function: Callable[..., Any]) -> Any:
    """Compile a function of scalars that LLVM inlines into the loop calling it.

    Parameters
    ----------
    function : callable
        Straight-line arithmetic; conditional expressions become selects.

    Returns
    -------
    numba dispatcher
    """
    return njit(function, forceinline=True, fastmath={"contract"}, **_CALLEE)


def elementwise(function: Callable[..., Any]) -> Any:
    """Compile a function over a block of rows; every element is computed as written."""
    return njit(function, fastmath={"contract"}, **_CALLEE)


def reduction(function: Callable[..., Any]) -> Any:
    """Compile a function over a block of rows whose sums LLVM may reorder to vectorise them."""
    return njit(function, fastmath={"contract", "reassoc", "nsz"}, **_CALLEE)


def callback(function: Callable[..., Any], signature: Any, cache_name: str | None) -> CFunc:
    """Compile a kernel, or load it from this machine's cache.

    Parameters
    ----------
    function : callable
        The kernel.
    signature : numba signature
        Integers and floats only.
    cache_name : str or None
        File name in the cache folder; None compiles without a cache.

    Returns
    -------
    CFunc
        With `.address` and `.ctypes`; the latter releases the GIL while it runs.
    """
    if cache_name is not None:
        # Code that several processes have kept is linked by name: no two kernels may share one.
        function.__name__ = function.__qualname__ = cache_name.replace("-", "_")
    with _lock:
        try:
            return _cached_callback(function, signature, cache_name)
        except (ImportError, AttributeError, TypeError) as error:
            log_once(f"kernels are compiled in every process: no cache for this numba ({error!r})")
            return cfunc(signature, **_KERNEL)(function)


def _cached_callback(function: Callable[..., Any], signature: Any, cache_name: str | None) -> CFunc:
    """Do as `numba.cfunc`, with another cache, from private parts of numba, which may move."""
    from numba.core.ccallback import CFunc
    from numba.core.sigutils import normalize_signature

    kernel: Any = CFunc(function, normalize_signature(signature), locals={}, options=dict(_KERNEL))
    kernel._cache = DiskCache(cache_name)
    kernel.compile()
    return kernel


@intrinsic
def to_bits(_typing: Any, _value: Any) -> Any:
    """Give the 64 bits of a float as an unsigned integer."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.uint64(types.float64), codegen


@intrinsic
def from_bits(_typing: Any, _bits: Any) -> Any:
    """Give the float with these 64 bits."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.uint64), codegen


def _pointer_to(element: types.Type) -> Any:
    @intrinsic
    def pointer(_typing: Any, _address: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return types.CPointer(element)(types.int64), codegen

    return pointer


_double_pointer = _pointer_to(types.float64)
_integer_pointer = _pointer_to(types.int64)
_byte_pointer = _pointer_to(types.uint8)


@njit(forceinline=True, **_CALLEE)
def doubles(address: int, size: int) -> Any:
    """View the `size` floats at an address as an array, without a copy or ownership."""
    return carray(_double_pointer(address), size)


@njit(forceinline=True, **_CALLEE)
def matrix(address: int, rows: int, columns: int) -> Any:
    """View the C-ordered (rows, columns) floats at an address as an array."""
    return carray(_double_pointer(address), (rows, columns))


@njit(forceinline=True, **_CALLEE)
def integers(address: int, size: int) -> Any:
    """View the `size` 64-bit integers at an address as an array."""
    return carray(_integer_pointer(address), size)


@njit(forceinline=True, **_CALLEE)
def flags(address: int, size: int) -> Any:
    """View the `size` bytes at an address as an array."""
    return carray(_byte_pointer(address), size)


def records(kind: np.dtype) -> Any:
    """Compile the view of records at an address as an array, whose elements are read by name."""
    pointer = _pointer_to(numba.from_dtype(kind))

    @njit(forceinline=True, **_CALLEE)
    def view(address: int) -> Any:
        return carray(pointer(address), 1 << 40)

    return view


def polynomial(*coefficients: float) -> Any:
    """Compile a polynomial by Horner's rule, the highest power's coefficient first."""

    @intrinsic
    def evaluate(_typing: Any, _x: Any) -> Any:
        def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            value, *rest = (ir.Constant(ir.DoubleType(), float(c)) for c in coefficients)
            for each in rest:
                product = builder.fmul(value, args[0], flags=("contract",))
                value = builder.fadd(product, each, flags=("contract",))
            return value

        return types.float64(types.float64), codegen

    return evaluate


def caller(signature: Any) -> Any:
    """Compile calls of functions by address: ``call(address, (one, another))``."""

    @intrinsic
    def call(_typing: Any, _address: Any, values: Any) -> Any:
        def codegen(context: Any, builder: Any, given: Any, args: Any) -> Any:
            kinds = [context.get_value_type(kind) for kind in signature.args]
            nothing = signature.return_type == types.void
            result = ir.VoidType() if nothing else context.get_value_type(signature.return_type)
            pointer = builder.inttoptr(args[0], ir.FunctionType(result, kinds).as_pointer())
            have = zip(given.args[1].types, signature.args, strict=True)
            passed = [
                context.cast(builder, builder.extract_value(args[1], i), one, other)
                for i, (one, other) in enumerate(have)
            ]
            value = builder.call(pointer, passed)
            return context.get_dummy_value() if nothing else value

        return signature.return_type(types.int64, values), codegen

    return call


def loader(count: int) -> Any:
    """Compile the reading of `count` numbers, `stride` apart, as a tuple."""

    @intrinsic
    def load(_typing: Any, _address: Any, _stride: Any, _i: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            base = builder.inttoptr(args[0], ir.DoubleType().as_pointer())
            places = (_place(builder, args, j) for j in range(count))
            values = [builder.load(builder.gep(base, [place])) for place in places]
            return context.make_tuple(builder, signature.return_type, values)

        return types.UniTuple(types.float64, count)(*[types.int64] * 3), codegen

    return load


@intrinsic
def store(_typing: Any, _address: Any, _stride: Any, _i: Any, values: Any) -> Any:
    """Write a tuple's numbers `stride` apart."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        base = builder.inttoptr(args[0], ir.DoubleType().as_pointer())
        for j in range(len(signature.args[3].types)):
            place = _place(builder, args, j)
            builder.store(builder.extract_value(args[3], j), builder.gep(base, [place]))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3, values), codegen


def _place(builder: Any, args: Any, j: int) -> Any:
    return builder.add(builder.mul(args[1], ir.Constant(ir.IntType(64), j)), args[2])
