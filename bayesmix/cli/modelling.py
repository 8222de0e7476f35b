"""From the arguments of the command line to models and fits, by the public names."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

import bayesmix as bmx
from bayesmix.cli.options import OPTIONS
from bayesmix.errors import SpecError
from bayesmix.priors import KINDS

__all__ = ["fit", "make_model", "select"]

DRAWING = ("laplace", "nuts")


def given_of(given: argparse.Namespace, *parts: str) -> dict[str, Any]:
    """The options of some parts that were given, by their Python names."""
    names = {
        option.name
        for option in OPTIONS
        if option.part in parts and given.command in option.commands.split()
    }
    return {name: v for name, v in vars(given).items() if name in names and v is not None}


def make_model(given: argparse.Namespace, data: pd.DataFrame) -> Any:
    """The model with the first of the numbers of components.

    Raises
    ------
    SpecError, FormulaError, DataError
        As `Mixture` does.
    """
    options = given_of(given, "model")
    options["k"] = _numbers(given)[0]
    options["priors"] = _priors(options.pop("prior", []), options.pop("flat_priors", False))
    if "family" in options:
        options["family"] = _family(options["family"])
    if "nested" in options:
        options["nested"] = [(formula, _size(size)) for formula, size in options["nested"]]
    call = partial(bmx.Mixture, given.formula, data, **options)
    # A formula may use names of whoever calls Mixture: here of nobody.
    return eval("__call__()", {"__builtins__": {}, "__call__": call})


def _numbers(given: argparse.Namespace) -> list[int]:
    if given.k is not None:
        return list(given.k)
    return [2] if given.command == "fit" else [1, 2, 3, 4, 5]


def _family(pairs: list[tuple[str, str | None]]) -> Any:
    made = [name if link is None else bmx.family(name, link=link) for name, link in pairs]
    return made[0] if len(made) == 1 else made


def _size(text: str) -> int:
    if not text.isdecimal():
        msg = f"--nested: {text!r} is no number of components; write --nested '~ x' 2"
        raise SpecError(msg)
    return int(text)


def _priors(given: list[tuple[str, str, list[float]]], flat: bool) -> Any:
    if flat and given:
        msg = "--flat-priors and --prior contradict each other; give one of them"
        raise SpecError(msg)
    if not given:
        return "flat" if flat else None
    return {name: _prior(kind, values) for name, kind, values in given}


def _prior(kind: str, values: list[float]) -> Any:
    names = KINDS[kind].parameters if kind in KINDS else ()
    if kind in KINDS and len(names) != len(values):
        msg = f"the {kind} prior takes {', '.join(names)}; given {len(values)} numbers"
        raise SpecError(msg)
    return bmx.Prior(kind, **dict(zip(names, values, strict=False)))


def select(given: argparse.Namespace, spec: Any) -> Any:
    """Fits with several numbers of components."""
    options = _fit_options(given, spec, "fit", "point")
    if options.get("method") in DRAWING:
        options["method"] = "em"
    return bmx.select(spec, k=_numbers(given), progress=given.progress, **options)


def fit(given: argparse.Namespace, spec: Any) -> tuple[Any, Any]:
    """The fit, and the selection before it where there are several numbers of components."""
    if len(_numbers(given)) == 1:
        if given.by is not None:
            msg = "--by chooses among several numbers of components; give them, such as --k 1:5"
            raise SpecError(msg)
        options = _fit_options(given, spec, "fit", "point", "draws")
        return spec.fit(progress=given.progress, **options), None
    drawing = given.method in DRAWING
    sampling = given_of(given, "draws")
    if sampling and not drawing:
        _refuse(sampling, given.method or "em")
    selection = select(given, spec)
    best = selection.best(given.by or "bic")
    if not drawing:
        return best, selection
    chosen = spec.with_k(best.k_requested)
    options = _fit_options(given, chosen, "fit", "draws")
    return chosen.fit(progress=given.progress, **options), selection


def _fit_options(given: argparse.Namespace, spec: Any, *parts: str) -> dict[str, Any]:
    """Arguments of `fit`, with the start and the held parameters as Python has them."""
    options = given_of(given, *parts)
    if "init" in options:
        options["init"] = bmx.load(options["init"])
    if "fixed_params" in options:
        names = {str(component): component for component in spec.components}
        options["fixed_params"] = {
            (names.get(component, component), parameter): _held(value)
            for component, parameter, value in options["fixed_params"]
        }
    return options


def _held(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        msg = f"--hold: {text!r} is no number; write --hold COMPONENT PARAMETER VALUE"
        raise SpecError(msg) from None


def _refuse(options: Mapping[str, Any], method: str) -> None:
    names = ", ".join(f"--{name.replace('_', '-')}" for name in options)
    msg = f"{names} does not go with --method {method}; leave it out"
    raise SpecError(msg)
