"""What users of other packages type, and what it is called here: the tables of ``habits.toml``."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar

from bayesmix.errors import UnknownNameError

# What only fits and what only draws have, and methods of estimation that are no methods of a model.
OF_FITS = (
    "summary()", "predict()", "fitted()", "residuals()", "membership()", "clusters()",
    "coefficients()", "params", "mixing", "loglik", "aic", "bic", "icl", "entropy", "status",
    "converged", "classification()", "sizes()", "bootstrap()", "wald()", "covariance()",
    "dispersion()", "concomitant()", "relabel()", "plot()",
)  # fmt: skip
OF_DRAWS = (
    "loo()", "waic()", "diagnostics()", "evidence()", "sensitivity()", "khat", "to_datatree()",
)  # fmt: skip
# How objects of one kind come to those of another, which may have the name.
WAYS = {
    "model": {"any": "fit().", "point": "fit().", "posterior": "fit('nuts')."},
    "point": {"posterior": "spec.fit('nuts')."},
    "posterior": {"point": "point()."},
    "selection": {"any": "best().", "point": "best()."},
}
METHODS = ("em", "ml", "map", "laplace", "nuts")


@cache
def habits() -> dict[str, Any]:
    """The tables `options`, `families`, `fit_options` and `names`, read when one is needed."""
    tables = tomllib.loads(files(__package__).joinpath("habits.toml").read_text("utf-8"))
    names = tables["names"]
    for name in OF_FITS:
        names.setdefault(name.split("(")[0], {}).setdefault("point", name)
    for name in OF_DRAWS:
        names.setdefault(name.split("(")[0], {}).setdefault("posterior", name)
    for method in METHODS:
        names[method] = {"model": f"fit({method!r})", "any": f"spec.fit({method!r})"}
    return tables


def family_name(name: str) -> str:
    """The name of a family as it is written here, if it is one of the usual other names."""
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    return habits()["families"].get(plain, plain)


def name_hint(name: str, kind: str, known: Sequence[str]) -> str:
    """What a name of another package is here; empty where the table has none.

    Parameters
    ----------
    name : str
        As typed.
    kind : str
        A key of `WAYS`, or "" for an object of no such kind.
    known : sequence of str
        The names that the object has.
    """
    row = habits()["names"].get(name, {})
    for ours in (row.get(kind), row.get("any")):
        if ours and re.split(r"\W", ours)[0] in (*known, "bmx"):
            return ours
    for other, way in WAYS.get(kind, {}).items():
        if other in row and re.split(r"\W", way)[0] in known and not row[other].startswith("bmx"):
            return way + row[other]
    return ""


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
    known = [each for each in dir(type(owner)) if not each.startswith("_")]
    return UnknownNameError(f"{type(owner).__name__} has no {name!r}{_place(name, kind, known)}")


def unknown_function(module: str, name: str, known: Sequence[str]) -> UnknownNameError:
    """The error for a name that a module has not, with a hint where there is one."""
    place = _place(name, module, known)
    return UnknownNameError(f"module {module!r} has no attribute {name!r}{place}")


def _place(name: str, kind: str, known: Sequence[str]) -> str:
    if name.startswith("_"):  # asked for by Python itself
        return ""
    if hint := name_hint(name, kind, known):
        return f"; here it is {'' if hint.startswith('bmx.') else '.'}{hint}"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"; did you mean .{near[0]}?" if near else ""


class Hinted:
    """An object that points from a name of another package to the name here."""

    _kind: ClassVar[str] = ""

    def __getattr__(self, name: str) -> Any:
        """Raise the error that says what the name is here."""
        raise unknown_name(self, name, self._kind)
