"""Compilation of the kernels, and the few instructions Python has no word for.

A kernel is a C callback (`numba.cfunc`) whose arguments are integers and addresses, so one compiled
kernel serves every family, array layout and number of columns, and can be handed to other compiled
code by address.  A family is a small callback of its own that a kernel calls once a block.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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


# (full, m, dispersion, y, aux, const, eta, out): see `_family_block`.
FAMILY_SIGNATURE = types.void(types.int64, types.int64, types.float64, *[types.int64] * 5)


@intrinsic
def call_family(
    _typing: Any,
    _address: Any,
    _full: Any,
    _m: Any,
    _dispersion: Any,
    _y: Any,
    _aux: Any,
    _const: Any,
    _eta: Any,
    _out: Any,
) -> Any:
    """Call the family's callback at an address."""

    def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        values = [context.get_value_type(kind) for kind in FAMILY_SIGNATURE.args]
        pointer = ir.FunctionType(ir.VoidType(), values).as_pointer()
        builder.call(builder.inttoptr(args[0], pointer), args[1:])
        return context.get_dummy_value()

    return types.void(types.int64, *FAMILY_SIGNATURE.args), codegen


# (model, theta, given, working) -> log-likelihood, and (model, theta, closed, new): see
# `_small_sums` and `_small_step`.
SMALL_PASS_SIGNATURE = types.float64(*[types.int64] * 4)
SMALL_STEP_SIGNATURE = types.void(*[types.int64] * 4)


@intrinsic
def call_pass(
    _typing: Any, _address: Any, _model: Any, _theta: Any, _given: Any, _working: Any
) -> Any:
    """Call the pass over small data at an address."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        pointer = ir.FunctionType(ir.DoubleType(), [ir.IntType(64)] * 4).as_pointer()
        return builder.call(builder.inttoptr(args[0], pointer), args[1:])

    return types.float64(types.int64, *SMALL_PASS_SIGNATURE.args), codegen


@intrinsic
def call_step(
    _typing: Any, _address: Any, _model: Any, _theta: Any, _closed: Any, _new: Any
) -> Any:
    """Call the M step of small data at an address."""

    def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        pointer = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * 4).as_pointer()
        builder.call(builder.inttoptr(args[0], pointer), args[1:])
        return context.get_dummy_value()

    return types.void(types.int64, *SMALL_STEP_SIGNATURE.args), codegen
