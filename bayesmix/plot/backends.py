"""Which library draws a picture: matplotlib, or one of ArviZ's interactive backends."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from bayesmix.errors import FitError

__all__ = ["INTERACTIVE", "PICTURES", "interactive", "matplotlib_only"]

# Backends of ArviZ, and the packages that each needs.
INTERACTIVE = {"plotly": ("plotly", "webcolors"), "bokeh": ("bokeh",)}
PICTURES = (
    "coefficients",
    "compare",
    "diagnostics",
    "estimates",
    "posterior_predictive",
    "prior_predictive",
    "states",
)


def interactive(backend: str | None, ax: Any) -> bool:
    """Whether an interactive picture is asked for, and can be drawn.

    Raises
    ------
    FitError
        If the backend is unknown, not installed, or given together with `ax`.
    """
    if backend is None or _is_matplotlib(backend):
        return False
    if ax is not None:
        msg = f"ax= takes matplotlib's axes, which {backend} cannot draw on; leave out one of them"
        raise FitError(msg)
    missing = [name for name in INTERACTIVE[backend] if importlib.util.find_spec(name) is None]
    if missing:
        needs = " and ".join(missing)
        raise FitError(f"backend={backend!r} needs {needs}: pip install 'bayesmix[interactive]'")
    return True


def _is_matplotlib(backend: str) -> bool:
    if backend != "matplotlib" and backend not in INTERACTIVE:
        known = ", ".join(map(repr, ("matplotlib", *INTERACTIVE)))
        raise FitError(f"backend={backend!r} is unknown; use one of {known}")
    return backend == "matplotlib"


def matplotlib_only[**P, R](picture: Callable[P, R]) -> Callable[P, R]:
    """A picture without an interactive form: another backend is refused by name."""

    @wraps(picture)
    def drawn(*args: Any, backend: str | None = None, **options: Any) -> R:
        if not (backend is None or _is_matplotlib(backend)):
            msg = (
                f"{picture.__name__}() is drawn by matplotlib only; those with an interactive form "
                f"are {', '.join(PICTURES)}"
            )
            raise FitError(msg)
        return picture(*args, **options)

    return cast("Callable[P, R]", drawn)
