"""Types of arguments, read off the annotations that the signatures have anyway."""

from __future__ import annotations

import ast
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from operator import call
from types import EllipsisType
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Kind:
    """What an argument may be: a test, and the words for it."""

    test: Callable[[Any], bool]
    words: str


def of_class(value: Any, name: str) -> bool:
    """Whether a value is of a class of this name, or of one derived from it.

    By name, so that no room needs to import a later one, nor a library that is slow to load.
    """
    return name in [base.__name__ for base in type(value).__mro__]


def is_number(value: Any) -> bool:
    """A finite real number that NumPy can hold."""
    if type(value) is float:
        return math.isfinite(value)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        return False
    if isinstance(value, np.complexfloating):
        return False
    return abs(value) < 2**63 if isinstance(value, int) else bool(np.isfinite(value))


def _is_limit(value: Any) -> bool:
    return is_number(value) or (isinstance(value, (float, np.floating)) and bool(np.isinf(value)))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_path(value: Any) -> bool:
    return isinstance(value, os.PathLike) and "\0" not in os.fspath(value)


def _is_hashable(value: Any) -> bool:
    """A name: what can be looked up, compared and written, missing values not among it."""
    try:
        hash(value)
        written = "\n" not in repr(value) and not isinstance(value, bool)
        return written and bool(value == value) and not callable(value)
    except Exception:  # noqa: BLE001 - a class of the user's may raise anything
        return False


def _is_listed(value: Any) -> bool:
    """A list in a wide sense: something with an order whose members can be counted."""
    if isinstance(value, (str, bytes, Mapping)) or of_class(value, "DataFrame"):
        return False
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    return all(hasattr(type(value), name) for name in ("__len__", "__iter__", "__getitem__"))


def _is_iterable(value: Any) -> bool:
    """Something to go through, once at least; what can be gone through once is not looked into."""
    if isinstance(value, (str, bytes)) or getattr(value, "ndim", 1) != 1:
        return False
    return isinstance(value, Iterable)


def _is_frame(value: Any) -> bool:
    return of_class(value, "DataFrame")


def _is_data(value: Any) -> bool:
    arrow = hasattr(type(value), "__arrow_c_stream__")
    named = any(of_class(value, name) for name in ("Scan", "LazyFrame", "FileSystemDataset"))
    return _is_frame(value) or arrow or _is_text(value) or _is_path(value) or named


PLAIN: dict[str, Kind] = {
    "None": Kind(lambda value: value is None, "None"),
    "Any": Kind(lambda _: True, "anything"),
    "object": Kind(lambda _: True, "anything"),
    "str": Kind(_is_text, "a text"),
    "bool": Kind(lambda v: isinstance(v, (bool, np.bool_)), "True or False"),
    "int": Kind(lambda v: is_number(v) and v == int(v), "a whole number"),
    "float": Kind(is_number, "a number"),
    "Limit": Kind(_is_limit, "a number or infinity"),
    "DataFrame": Kind(_is_frame, "a DataFrame"),
    "Data": Kind(_is_data, "a DataFrame, an Arrow table, or a path of Parquet or Feather files"),
    "PathLike": Kind(_is_path, "a path"),
    "Hashable": Kind(_is_hashable, "a name"),
    "Callable": Kind(callable, "a function"),
}
LISTS = {
    "Sequence": (_is_listed, "a list"),
    "list": (_is_listed, "a list"),
    "Iterable": (_is_iterable, "a list"),
}


@cache
def kind_of(annotation: str) -> Kind:
    """The kind of argument that an annotation means.

    Parameters
    ----------
    annotation : str
        Such as ``"Sequence[tuple[str, int]] | None"``.
    """
    return _read(ast.parse(annotation, mode="eval").body)


def _read(node: ast.expr) -> Kind:
    if isinstance(node, ast.BinOp):
        return _union(_alternatives(node))
    if isinstance(node, ast.Constant):  # None, or the name of a class in quotes
        return kind_of(node.value) if isinstance(node.value, str) else PLAIN["None"]
    if isinstance(node, ast.Subscript):
        return _generic(_name(node.value), node.slice)
    return _simple(_name(node))


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else str(getattr(node, "id", ""))


def _alternatives(node: ast.expr) -> list[Kind]:
    if isinstance(node, ast.BinOp):
        return [*_alternatives(node.left), *_alternatives(node.right)]
    return [_read(node)]


def _union(kinds: list[Kind]) -> Kind:
    words = list(dict.fromkeys(kind.words for kind in kinds if kind is not PLAIN["None"]))
    text = " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
    tests = [kind.test for kind in kinds]
    return Kind(lambda value: any(map(call, tests, repeat(value))), text)


def _simple(name: str) -> Kind:
    if name in PLAIN:
        return PLAIN[name]
    if name in LISTS:
        return Kind(*LISTS[name])
    if name in ("Mapping", "dict"):
        return Kind(lambda value: isinstance(value, Mapping), "a dict")
    article = "an" if name[:1] in "AEIOU" else "a"
    return Kind(lambda value: of_class(value, name), f"{article} {name}")


def _generic(name: str, inside: ast.expr) -> Kind:
    parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
    endless = isinstance(getattr(parts[-1], "value", None), EllipsisType)
    if name in LISTS or (name == "tuple" and endless):
        test, words = LISTS.get(name, LISTS["list"])
        member = _read(parts[0])
        return Kind(lambda v: test(v) and _all(v, member), f"{words} of {_plural(member.words)}")
    if name in ("Mapping", "dict"):
        key, value = map(_read, parts)
        return Kind(
            lambda v: isinstance(v, Mapping) and _all(v, key) and _all(v.values(), value),
            f"a dict of {_plural(key.words)} to {_plural(value.words)}",
        )
    if name == "tuple":
        members = [_read(part) for part in parts]
        return Kind(
            lambda v: (
                isinstance(v, (tuple, list))
                and len(v) == len(members)
                and all(m.test(x) for m, x in zip(members, v, strict=True))
            ),
            f"({', '.join(m.words for m in members)})",
        )
    return _simple(name)


def _all(values: Any, kind: Kind) -> bool:
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf" and kind is PLAIN["float"]:
        return bool(np.isfinite(values).all())
    return isinstance(values, Iterator) or all(map(kind.test, values))


def _plural(words: str) -> str:
    """The words for several: "lists of names" of "a list of names"; without an article, as is."""
    if " or " in words or words.startswith("("):
        return words
    bare = words.removeprefix("an ").removeprefix("a ")
    if bare == words:
        return words
    head, of, rest = bare.partition(" of ")
    return f"{head}s{of}{rest}"
