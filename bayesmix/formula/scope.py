"""The user's own functions and variables, as formulas may use them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any


class Scope:
    """Names of the user's functions and variables that a formula may use.

    A captured scope looks into the user's frame. `restrict` keeps the values of some
    names and lets go of the frame; a pickle or a copy keeps the names looked up so far.

    Parameters
    ----------
    namespaces : iterable of mapping
        Looked into one after the other.

    Examples
    --------
    >>> scope = Scope([{"half": lambda x: x / 2}])
    >>> "half" in scope, scope["half"](3.0)
    (True, 1.5)
    """

    def __init__(self, namespaces: Iterable[Mapping[str, Any]] = ()) -> None:
        self._namespaces = tuple(namespaces)
        self._used: dict[str, Any] = {}

    @classmethod
    def capture(cls, depth: int = 0) -> Scope:
        """Take the frame that calls this (0), or that frame's caller (1), and so on."""
        frame = sys._getframe(depth + 1)
        return cls((frame.f_locals, frame.f_globals))

    def restrict(self, names: Iterable[str]) -> Scope:
        """Keep those of the names that are here."""
        kept = Scope()
        kept._used = {name: self.peek(name) for name in names if name in self}
        return kept

    def peek(self, name: str) -> Any:
        """Look up a name, not an attribute, without counting it as used."""
        if not name.startswith("__"):  # a module's own: __builtins__, __loader__
            for namespace in (self._used, *self._namespaces):
                if name in namespace:
                    return namespace[name]
        raise KeyError(name)

    def __getitem__(self, name: str) -> Any:
        value = self.peek(name)
        self._used[name] = value
        return value

    def __contains__(self, name: str) -> bool:
        try:
            self.peek(name)
        except KeyError:
            return False
        return True

    def __getstate__(self) -> dict[str, Any]:
        return {"_namespaces": (), "_used": dict(self._used)}
