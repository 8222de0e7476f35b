"""Columns and indexes of data as plain arrays, and back to equal ones.

`pack` gives a description that JSON can hold and puts the numbers and texts beside it;
`unpack` makes the same array of the two.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.errors import DataError
from bayesmix.storage.file import Arrays, as_json, from_json

Described = dict[str, Any]

MASKED = {f"{sign}{bits}" for sign in ("Int", "UInt") for bits in (8, 16, 32, 64)}
MASKED |= {"Float32", "Float64", "boolean"}


def pack(arrays: Arrays, at: str, values: Any, *dims: str) -> Described:
    """Take apart a Series, an Index or an array.

    Parameters
    ----------
    arrays : Arrays
        Where the parts are put.
    at : str
        Their name, "group/variable".
    values : Series, Index, pandas or NumPy array
    *dims : str
        Names of its dimensions.

    Returns
    -------
    dict
        What JSON can hold.

    Raises
    ------
    DataError
        For a type that a file cannot hold.
    """
    kind = _kind(values.dtype)
    if kind is None:
        leaf = at.rpartition("/")[2]
        raise DataError(
            f"{leaf}: values of type {values.dtype} cannot be saved; numbers, booleans, text, "
            "dates, intervals and categories of these can. Convert them in the data first"
        )
    if isinstance(values, pd.Series | pd.Index):
        values = values.to_numpy() if isinstance(values.dtype, np.dtype) else values.array
    return {"kind": kind, **_KINDS[kind][0](arrays, at, values, dims)}


def unpack(arrays: Arrays, described: Described) -> Any:
    """The array that `pack` took apart."""
    return _KINDS[described["kind"]][1](arrays, described)


def _kind(dtype: Any) -> str | None:
    if isinstance(dtype, np.dtype):
        if dtype.kind in "biuf" and dtype.itemsize <= 8:
            return "number"
        return {"M": "time", "m": "time", "O": "object", "U": "object"}.get(dtype.kind)
    if str(dtype) in MASKED:
        return "masked"
    if isinstance(dtype, pd.ArrowDtype):
        return "arrow" if dtype.kind in "biuf" or dtype.type is str else None
    kinds = {
        pd.CategoricalDtype: "categorical",
        pd.StringDtype: "object",
        pd.DatetimeTZDtype: "time",
        pd.PeriodDtype: "period",
        pd.IntervalDtype: "interval",
    }
    return kinds.get(type(dtype))


Dims = tuple[str, ...]


def _pack_number(arrays: Arrays, at: str, values: np.ndarray, dims: Dims) -> Described:
    return {"array": arrays.put(at, np.asarray(values), *dims)}


def _unpack_number(arrays: Arrays, described: Described) -> np.ndarray:
    return arrays.get(described["array"])


def _pack_masked(arrays: Arrays, at: str, values: Any, dims: Dims) -> Described:
    missing = np.asarray(values.isna())
    dtype = values.dtype.numpy_dtype
    plain = values.to_numpy(dtype=dtype, na_value=dtype.type(0))
    return {
        "dtype": str(values.dtype),
        "array": arrays.put(at, plain, *dims),
        "missing": arrays.put(f"{at}_missing", missing, *dims),
    }


def _unpack_masked(arrays: Arrays, described: Described) -> Any:
    out = pd.array(arrays.get(described["array"]), dtype=described["dtype"])
    out[arrays.get(described["missing"])] = pd.NA
    return out


def _pack_arrow(arrays: Arrays, at: str, values: Any, dims: Dims) -> Described:
    """Numbers as pandas' own with missing values, texts as objects, and the type in Arrow."""
    dtype = values.dtype
    if dtype.kind in "biuf":
        name = dtype.numpy_dtype.name
        pandas_name = name.replace("int", "Int").replace("uI", "UI").replace("float", "Float")
        plain: Any = values.astype("boolean" if name == "bool" else pandas_name)
    else:
        plain = np.asarray(values, dtype=object)
    return {"arrow": str(dtype.pyarrow_dtype), "values": pack(arrays, at, plain, *dims)}


def _unpack_arrow(arrays: Arrays, described: Described) -> Any:
    import pyarrow

    values = unpack(arrays, described["values"])
    dtype: Any = pd.ArrowDtype(pyarrow.type_for_alias(described["arrow"]))
    # One by one: NumPy would make whole numbers beyond 2^53 beside missing ones inexact.
    return pd.array([None if pd.isna(value) else value for value in values], dtype=dtype)


def _pack_categorical(arrays: Arrays, at: str, values: pd.Categorical, dims: Dims) -> Described:
    return {
        "codes": arrays.put(at, np.asarray(values.codes, np.int32), *dims),
        "levels": pack_index(arrays, f"{at}_levels", values.categories),
        "ordered": bool(values.ordered),
    }


def _unpack_categorical(arrays: Arrays, described: Described) -> pd.Categorical:
    levels = unpack_index(arrays, described["levels"])
    codes = arrays.get(described["codes"])
    return pd.Categorical.from_codes(codes, categories=levels, ordered=described["ordered"])


def _pack_object(arrays: Arrays, at: str, values: Any, dims: Dims) -> Described:
    """Texts, or objects of few kinds, as numbers of their levels; -1 where missing."""
    dtype = str(values.dtype)
    flat = np.asarray(values, dtype=object).ravel()
    missing = np.asarray(pd.isna(flat), dtype=bool)
    known = flat[~missing].tolist()
    plain = all(isinstance(v, str) for v in known)
    what = at.rpartition("/")[2]
    keys = known if plain else [json.dumps(as_json(v, what)) for v in known]
    number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    codes = np.full(len(flat), -1, dtype=np.int32)
    codes[~missing] = [number[key] for key in keys]
    return {
        "dtype": dtype,
        "codes": arrays.put(at, codes.reshape(np.shape(values)), *dims),
        "levels": arrays.put(f"{at}_levels", np.array(list(number), dtype=object)),
        "json": not plain,
        "none": dtype == "object" and all(v is None for v in flat[missing]),
    }


def _unpack_object(arrays: Arrays, described: Described) -> Any:
    found = arrays.get(described["levels"]).tolist()
    if described["json"]:
        found = [from_json(json.loads(v)) for v in found]
    dtype = described["dtype"]
    levels = np.empty(len(found) + 1, dtype=object)
    for i, level in enumerate(found):  # one by one: a level may be a tuple
        levels[i] = level
    # The last one is what the code -1 stands for.
    levels[-1] = None if described["none"] else np.nan
    values = levels[arrays.get(described["codes"])]
    if dtype == "object":
        return values
    if dtype in ("str", "string"):
        return pd.array(values, dtype=_string_dtype(dtype))
    return values.astype(dtype)


def _string_dtype(dtype: str) -> Any:
    if dtype == "string":
        return "string"
    try:
        return pd.StringDtype(na_value=np.nan)
    except TypeError:  # pandas 2
        return object


def _pack_time(arrays: Arrays, at: str, values: Any, dims: Dims) -> Described:
    zone = getattr(values.dtype, "tz", None)
    if zone is not None:
        try:
            pd.Timestamp(0, tz=str(zone))
        except (ValueError, KeyError, OSError) as error:
            msg = f"{at.rpartition('/')[2]}: the time zone {zone!r} has no name; use a named one"
            raise DataError(msg) from error
        values = pd.DatetimeIndex(values).tz_convert("UTC").tz_localize(None)
    plain = np.asarray(values)
    return {
        "dtype": str(plain.dtype),
        "zone": None if zone is None else str(zone),
        "array": arrays.put(at, plain.view(np.int64), *dims),
    }


def _unpack_time(arrays: Arrays, described: Described) -> Any:
    values = arrays.get(described["array"]).view(described["dtype"])
    if described["zone"] is None:
        return values
    return pd.DatetimeIndex(values).tz_localize("UTC").tz_convert(described["zone"]).array


def _pack_period(arrays: Arrays, at: str, values: Any, dims: Dims) -> Described:
    return {"dtype": str(values.dtype), "array": arrays.put(at, values.asi8, *dims)}


def _unpack_period(arrays: Arrays, described: Described) -> Any:
    ordinals = arrays.get(described["array"])
    dtype: Any = pd.api.types.pandas_dtype(described["dtype"])
    return pd.arrays.PeriodArray(ordinals, dtype=dtype)


def _pack_interval(arrays: Arrays, at: str, values: Any, dims: Dims) -> Described:
    return {
        "left": pack(arrays, f"{at}_left", values.left, *dims),
        "right": pack(arrays, f"{at}_right", values.right, *dims),
        "closed": values.closed,
    }


def _unpack_interval(arrays: Arrays, described: Described) -> Any:
    left, right = unpack(arrays, described["left"]), unpack(arrays, described["right"])
    return pd.arrays.IntervalArray.from_arrays(left, right, closed=described["closed"])


_KINDS: dict[str, tuple[Callable[..., Described], Callable[..., Any]]] = {
    "number": (_pack_number, _unpack_number),
    "masked": (_pack_masked, _unpack_masked),
    "arrow": (_pack_arrow, _unpack_arrow),
    "categorical": (_pack_categorical, _unpack_categorical),
    "object": (_pack_object, _unpack_object),
    "time": (_pack_time, _unpack_time),
    "period": (_pack_period, _unpack_period),
    "interval": (_pack_interval, _unpack_interval),
}


# --- indexes and frames --------------------------------------------------------------------


def pack_index(arrays: Arrays, at: str, index: pd.Index) -> Described:
    """Take apart an index with its names; arguments as in `pack`."""
    names = [as_json(name, "the name of the index") for name in index.names]
    if isinstance(index, pd.RangeIndex):
        return {"names": names, "range": [index.start, index.stop, index.step]}
    if isinstance(index, pd.MultiIndex):
        codes = [
            arrays.put(f"{at}_{i}", np.asarray(c, np.int32), "row")
            for i, c in enumerate(index.codes)
        ]
        levels = [pack_index(arrays, f"{at}_{i}_levels", v) for i, v in enumerate(index.levels)]
        return {"names": names, "codes": codes, "levels": levels}
    dim = f"{at.rpartition('/')[2]}_0"
    freq = getattr(index, "freqstr", None)
    return {"names": names, "values": pack(arrays, at, index, dim), "freq": freq}


def unpack_index(arrays: Arrays, described: Described) -> pd.Index:
    """The index that `pack_index` took apart."""
    names = [from_json(name) for name in described["names"]]
    if "range" in described:
        start, stop, step = described["range"]
        return pd.RangeIndex(start, stop, step, name=names[0])
    if "codes" in described:
        levels: list[Any] = [unpack_index(arrays, v) for v in described["levels"]]
        codes: list[Any] = [arrays.get(c) for c in described["codes"]]
        return pd.MultiIndex(levels=levels, codes=codes, names=names)
    values = unpack(arrays, described["values"])
    index = pd.Index(values, dtype=values.dtype, name=names[0])
    if isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex) and described["freq"]:
        try:
            return type(index)(index, freq=described["freq"])
        except ValueError:  # another pandas has another name for it
            return index
    return index


def pack_frame(arrays: Arrays, at: str, frame: pd.DataFrame) -> Described:
    """Take apart a data frame; its columns are `at`/column_0 and so on."""
    columns = []
    for i, name in enumerate(frame.columns):
        try:
            columns.append([name, pack(arrays, f"{at}/column_{i}", frame[name], "row")])
        except DataError as error:
            raise DataError(f"the column {name!r} cannot be saved ({error})") from error
    return {"columns": columns, "index": pack_index(arrays, f"{at}/index", frame.index)}


def unpack_frame(arrays: Arrays, described: Described) -> pd.DataFrame:
    """The data frame that `pack_frame` took apart."""
    index = unpack_index(arrays, described["index"])
    columns = {}
    for name, values in described["columns"]:
        column = unpack(arrays, values)
        columns[name] = pd.Series(column, index=index, dtype=column.dtype)
    return pd.DataFrame(columns, index=index)
