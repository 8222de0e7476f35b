"""What users of other packages type, and what it is called here: the tables of ``habits.toml``."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from bayesmix.errors import UnknownNameError

# What only results have, and methods of estimation that are no methods of a model.
OF_FITS = (
    "summary()", "predict()", "fitted()", "residuals()", "membership()", "clusters()",
    "coefficients()", "params", "mixing", "loglik", "aic", "bic", "status",
)  # fmt: skip
METHODS = ("em", "ml", "map", "laplace", "nuts")


@cache
def habits() -> dict[str, Any]:
    """The tables `options`, `families`, `fit_options` and `names`, read when one is needed."""
    tables = tomllib.loads(files(__package__).joinpath("habits.toml").read_text("utf-8"))
    tables["names"] |= {name.split("(")[0]: {"model": f"fit().{name}"} for name in OF_FITS}
    for method in METHODS:
        tables["names"][method] = {"model": f"fit({method!r})", "any": f"spec.fit({method!r})"}
    return tables


def family_name(name: str) -> str:
    """The name of a family as it is written here, if it is one of the usual other names."""
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    return habits()["families"].get(plain, plain)


def name_hint(name: str, kind: str) -> str:
    """What a name of another package is here; empty where the table has none.

    Parameters
    ----------
    name : str
        As typed.
    kind : str
        "point", "posterior" or "model".
    """
    row = habits()["names"].get(name, {})
    return row.get(kind) or row.get("any", "")


def option_hint(name: str, known: Sequence[str]) -> str:
    """What an option is called here, if it has a place among the known ones."""
    given, of_fit = habits()["options"].get(name, ""), habits()["fit_options"]
    several = [given] if isinstance(given, str) else given
    ours = next((each for each in several if each.split(",")[0] in known), several[-1])
    first = ours.split(",")[0]
    if first in known:
        return f"here it is {first}={ours.removeprefix(first)}"
    if ours and " " in ours:
        return f"here it is {ours}"
    ours = name if name in of_fit else ours
    if ours in of_fit and not set(of_fit).intersection(known):
        return f"it is for fit(): spec.fit(..., {ours}=)"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"did you mean {near[0]}=?" if near else ""


def unknown_name(owner: object, name: str, kind: str) -> UnknownNameError:
    """The error for an attribute that an object has not, with a hint where there is one."""
    title = type(owner).__name__
    hint, words = name_hint(name, kind), ""
    known = [each for each in dir(type(owner)) if not each.startswith("_")]
    if hint and re.split(r"\W", hint)[0] not in known:
        hint = f"fit().{hint}" if kind == "model" else ""
    if hint:
        words = f"; here it is .{hint}"
    elif not name.startswith("_") and (near := difflib.get_close_matches(name, known, n=1)):
        words = f"; did you mean .{near[0]}?"
    return UnknownNameError(f"{title} has no {name!r}{words}")
