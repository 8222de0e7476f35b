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
    leaf, kind = at.rpartition("/")[2], _kind(values.dtype)
    if kind is None:
        raise DataError(
            f"{leaf}: values of type {values.dtype} cannot be saved; numbers, booleans, text, "
            "dates, intervals and categories of these can. Convert them in the data first"
        )
    if isinstance(values, pd.Series | pd.Index):
        values = values.to_numpy() if isinstance(values.dtype, np.dtype) else values.array
    parts = _KINDS[kind][0](values, leaf).items()
    return {"kind": kind, **{name: _put(arrays, at, name, part, dims) for name, part in parts}}


def _put(arrays: Arrays, at: str, name: str, part: Any, dims: tuple[str, ...]) -> Any:
    """Put the array of a part beside the description, that of a Series or an Index too."""
    place = at if name in ("array", "codes", "values") else f"{at}_{name}"
    if isinstance(part, np.ndarray):
        return arrays.put(place, part, *(() if name == "levels" else dims))
    if isinstance(part, pd.Series):
        return pack(arrays, place, part, *dims)
    return pack_index(arrays, place, part) if isinstance(part, pd.Index) else part


def unpack(arrays: Arrays, described: Described) -> Any:
    """The array that `pack` took apart."""
    parts = {name: _get(arrays, name, part) for name, part in described.items()}
    return _KINDS[described["kind"]][1](parts)


def _get(arrays: Arrays, name: str, part: Any) -> Any:
    if isinstance(part, dict):
        return unpack(arrays, part) if "kind" in part else unpack_index(arrays, part)
    return arrays.get(part) if name in ("array", "codes", "levels", "missing") else part


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


# --- kinds of columns: their parts, and the array of these ---------------------------------


def _masked_parts(values: Any, _: str) -> Described:
    dtype = values.dtype.numpy_dtype
    plain = values.to_numpy(dtype=dtype, na_value=dtype.type(0))
    return {"dtype": str(values.dtype), "array": plain, "missing": np.asarray(values.isna())}


def _masked(parts: Described) -> Any:
    out: Any = pd.array(parts["array"], dtype=parts["dtype"])
    out[parts["missing"]] = pd.NA
    return out


def _arrow_parts(values: Any, _: str) -> Described:
    """Numbers as pandas' own with missing values, texts as objects, and the type in Arrow."""
    dtype, plain = values.dtype, pd.Series(values)
    if dtype.kind in "biuf":
        name = dtype.numpy_dtype.name
        pandas_name = name.replace("int", "Int").replace("uI", "UI").replace("float", "Float")
        plain = plain.astype("boolean" if name == "bool" else pandas_name)
    else:
        plain = plain.astype(object)
    return {"arrow": str(dtype.pyarrow_dtype), "values": plain}


def _arrow(parts: Described) -> Any:
    import pyarrow

    dtype: Any = pd.ArrowDtype(pyarrow.type_for_alias(parts["arrow"]))
    # One by one: NumPy would make whole numbers beyond 2^53 beside missing ones inexact.
    return pd.array([None if pd.isna(value) else value for value in parts["values"]], dtype=dtype)


def _categorical_parts(values: pd.Categorical, _: str) -> Described:
    codes = np.asarray(values.codes, np.int32)
    return {"codes": codes, "levels": values.categories, "ordered": bool(values.ordered)}


def _categorical(parts: Described) -> pd.Categorical:
    return pd.Categorical.from_codes(parts["codes"], parts["levels"], ordered=parts["ordered"])


def _object_parts(values: Any, what: str) -> Described:
    """Texts, or objects of few kinds, as numbers of their levels; -1 where missing."""
    dtype = str(values.dtype)
    flat = np.asarray(values, dtype=object).ravel()
    missing = np.asarray(pd.isna(flat), dtype=bool)
    known = flat[~missing].tolist()
    plain = all(isinstance(v, str) for v in known)
    keys = known if plain else [json.dumps(as_json(v, what)) for v in known]
    number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    codes = np.full(len(flat), -1, dtype=np.int32)
    codes[~missing] = [number[key] for key in keys]
    return {
        "dtype": dtype,
        "codes": codes.reshape(np.shape(values)),
        "levels": np.array(list(number), dtype=object),
        "json": not plain,
        "none": dtype == "object" and all(v is None for v in flat[missing]),
    }


def _object(parts: Described) -> Any:
    found, dtype = parts["levels"].tolist(), parts["dtype"]
    if parts["json"]:
        found = [from_json(json.loads(v)) for v in found]
    levels = np.empty(len(found) + 1, dtype=object)
    for i, level in enumerate(found):  # one by one: a level may be a tuple
        levels[i] = level
    # The last one is what the code -1 stands for.
    levels[-1] = None if parts["none"] else np.nan
    values = levels[parts["codes"]]
    if dtype in ("str", "string"):
        return pd.array(values, dtype=_string_dtype(dtype))
    return values.astype(dtype, copy=False)


def _string_dtype(dtype: str) -> Any:
    if dtype == "string":
        return "string"
    try:
        return pd.StringDtype(na_value=np.nan)
    except TypeError:  # pandas 2
        return object


def _time_parts(values: Any, what: str) -> Described:
    zone = getattr(values.dtype, "tz", None)
    if zone is not None:
        try:
            pd.Timestamp(0, tz=str(zone))
        except (ValueError, KeyError, OSError) as error:
            msg = f"{what}: the time zone {zone!r} has no name; use a named one"
            raise DataError(msg) from error
        values = pd.DatetimeIndex(values).tz_convert("UTC").tz_localize(None)
    plain, named = np.asarray(values), None if zone is None else str(zone)
    return {"dtype": str(plain.dtype), "zone": named, "array": plain.view(np.int64)}


def _time(parts: Described) -> Any:
    values = parts["array"].view(parts["dtype"])
    if parts["zone"] is None:
        return values
    return pd.DatetimeIndex(values).tz_localize("UTC").tz_convert(parts["zone"]).array


def _period_parts(values: Any, _: str) -> Described:
    return {"dtype": str(values.dtype), "array": values.asi8}


def _period(parts: Described) -> Any:
    dtype: Any = pd.api.types.pandas_dtype(parts["dtype"])
    return pd.arrays.PeriodArray(parts["array"], dtype=dtype)


def _interval_parts(values: Any, _: str) -> Described:
    left, right = pd.Series(values.left), pd.Series(values.right)
    return {"left": left, "right": right, "closed": values.closed}


def _interval(parts: Described) -> Any:
    return pd.arrays.IntervalArray.from_arrays(
        parts["left"], parts["right"], closed=parts["closed"]
    )


_KINDS: dict[str, tuple[Callable[[Any, str], Described], Callable[[Described], Any]]] = {
    "number": (lambda values, _: {"array": np.asarray(values)}, lambda parts: parts["array"]),
    "masked": (_masked_parts, _masked),
    "arrow": (_arrow_parts, _arrow),
    "categorical": (_categorical_parts, _categorical),
    "object": (_object_parts, _object),
    "time": (_time_parts, _time),
    "period": (_period_parts, _period),
    "interval": (_interval_parts, _interval),
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
