"""Short descriptions of values for messages; they never fail and never flood a terminal."""

from __future__ import annotations

import math
from typing import Any

LONGEST = 80


def type_name(value: Any) -> str:
    """What a value is, in a word or two."""
    kind = type(value)
    if _is_infinite(value):
        return "not finite"
    if isinstance(value, (list, tuple)) and any(map(_is_infinite, value)):
        return "not finite throughout"
    plain = {"NoneType": "None", "str": "a text", "bool": "a truth value"}
    return plain.get(kind.__name__, f"of type {kind.__name__}")


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def shown(value: Any) -> str:
    """A value on one short line: its Python text, or its shape where that is long.

    Parameters
    ----------
    value : object
        Anything, also what has no text of its own.
    """
    name = type(value).__name__
    shape = getattr(value, "shape", None) if hasattr(type(value), "shape") else None
    if isinstance(shape, tuple) and len(shape):
        return f"<{name} of shape {shape}>"
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a text that raises says nothing; the type does
        return f"<{name}>"
    if "\n" in text:  # a page of its own
        return f"<{name}>"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."
