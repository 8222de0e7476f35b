"""From the arguments of the command line to models and fits, by the public names."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

import bayesmix as bmx
from bayesmix.cli.options import OPTIONS, Named, effects, squeezed
from bayesmix.distributions import KINDS
from bayesmix.errors import SpecError
from bayesmix.formula.tokens import parted
from bayesmix.methods import named

OWN = ("fixed", "nested", "dispersion", "random_covariance")


def regressions(formulas: Sequence[str], options: dict[str, Any]) -> list[bmx.Regression]:
    """The part of each response in the model.

    Parameters
    ----------
    formulas : sequence of str
        One for each response.
    options : dict
        Those of the model as they were given; what belongs to a single response is taken
        out.

    Raises
    ------
    SpecError
        If the numbers of formulas and families differ, or an option names no response.
    """
    names = [squeezed(parted(formula)[0]) for formula in formulas]
    parts: list[dict[str, Any]] = [
        {} if family is None else {"family": family}
        for family in _families(len(names), options.pop("family", []))
    ]
    for option in OWN:
        for given in options.pop(option, []):
            response, value = _nested(given) if option == "nested" else given
            flag = f"--{option.replace('_', '-')}"
            part = parts[_place(flag, response, names, formulas)]
            if option == "nested":
                part.setdefault(option, []).append(value)
            elif option in part:
                raise SpecError(f"{flag} is given twice for {response or names[0]}; give it once")
            else:
                part[option] = value
    return [bmx.Regression(formula, **part) for formula, part in zip(formulas, parts, strict=True)]


def made_family(given: Named) -> Any:
    """The name of a family, or the family with its options."""
    return bmx.family(given.name, **given.options) if given.options else given.name


def _families(n_formulas: int, given: list[list[Named]]) -> list[Any]:
    """The family of each response, or its list by component; None where none was given."""
    if not given:
        return [None] * n_formulas
    if len(given) not in (1, n_formulas):
        formulas = "1 formula" if n_formulas == 1 else f"{n_formulas} formulas"
        raise SpecError(
            f"--family is given {len(given)} times for {formulas}; give it once for each formula, "
            "in their order, or once for all; one for each component has commas: "
            "gaussian,student_t"
        )
    made = [[made_family(one) for one in families] for families in given]
    every = [families[0] if len(families) == 1 else families for families in made]
    return every * n_formulas if len(every) == 1 else every


def _place(option: str, response: str, names: list[str], formulas: Sequence[str]) -> int:
    """Which of the responses an option is for."""
    if not response and len(names) == 1:
        return 0
    if response in names:
        return names.index(response)
    written = [parted(formula)[0].strip() for formula in formulas]
    word = option in ("--dispersion", "--random-covariance")
    example = f"{written[0]}=fixed" if word else f"'{written[0]} ~ x'"
    what = f"{response!r} is not among the responses" if response else "there are several responses"
    msg = f"{option}: {what} {', '.join(written)}; name the one it is for, {option} {example}"
    raise SpecError(msg)


def _nested(given: list[str]) -> tuple[str, tuple[str, int]]:
    text, size = given
    if not size.isdecimal():
        raise SpecError(f"--nested: {size!r} is not a number of components; write --nested '~ x' 2")
    response, formula = effects(text)
    return response, (formula, int(size))


# What a model of competing events takes of the options of a mixture.
WITH_EVENTS = ("family", "concomitant", "weights", "priors", "na_action")


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
    options["priors"] = _priors(options.pop("prior", []), options.pop("flat_priors", False))
    used = given.command == "check" or given.method not in (None, "em", "ml")
    if options["priors"] is not None and not used:
        msg = f"maximum likelihood (--method {given.method or 'em'}) uses no priors; leave them out"
        raise SpecError(msg)
    events = given_of(given, "events")
    make = _mixture if "event" not in events else _competing
    call = make(given, data, options, events)
    # A formula may use names of whoever calls Mixture: here of nobody.
    return eval("__call__()", {"__builtins__": {}, "__call__": call})


def check_rows(given: argparse.Namespace, data: pd.DataFrame) -> Any:
    """How every kind of row of survival times is read, by `check_survival`."""
    events = given_of(given, "events")
    families = [one.event for several in given.family or [] for one in several]
    response = _formulas(given.formula[0], events, families, data)
    names = {name: events[name] for name in ("event", "truncation") if name in events}
    return bmx.check_survival(data, response, partial_events=_codes(events), **names)


def _mixture(
    given: argparse.Namespace, data: pd.DataFrame, options: dict[str, Any], events: dict[str, Any]
) -> Callable[[], Any]:
    named = any(one.event for families in options.get("family", []) for one in families)
    if events or named:
        names = [*map(_flag, events), *(["--family EVENT=..."] if named else [])]
        msg = f"{', '.join(names)} goes with --event, the column of competing events; give it too"
        raise SpecError(msg)
    options["k"] = _numbers(given)[0]
    parts = regressions(given.formula, options)
    return partial(bmx.Mixture, parts, data, **options)


def _competing(
    given: argparse.Namespace, data: pd.DataFrame, options: dict[str, Any], events: dict[str, Any]
) -> Callable[[], Any]:
    wrong = [name for name in options if name not in WITH_EVENTS]
    if wrong:
        raise SpecError(f"{', '.join(map(_flag, wrong))} does not go with --event; leave it out")
    if "family" not in options:
        msg = "--event needs --family, one for all events or for each: pcm=weibull,death=gompertz"
        raise SpecError(msg)
    if len(given.formula) > 1:
        raise SpecError(
            f"--event goes with one FORMULA; {len(given.formula)} were given: write "
            "--event-formula EVENT FORMULA for an event that has its own"
        )
    families = [one for several in options.pop("family") for one in several]
    every = {one.event: made_family(one) for one in families}
    if len(every) < len(families) or ("" in every and len(every) > 1):
        msg = "--family names each event once, pcm=weibull,death=gompertz, or one family for all"
        raise SpecError(msg)
    options["family"] = every.get("", every)
    extra: dict[Hashable, dict[str, str]] = {}
    for event, parameter, text in events.pop("ancillary", []):
        extra.setdefault(event, {})[parameter] = text
    formula = _formulas(given.formula[0], events, every, data)
    events["partial_events"] = _codes(events)
    events.pop("event_formula", None)
    if extra:
        events["ancillary"] = extra
    return partial(bmx.CompetingRisks, formula, data, **options, **events)


def _codes(events: Mapping[str, Any]) -> dict[str, list[str]] | None:
    return dict(events.get("partial_events", [])) or None


def _formulas(
    usual: str, events: Mapping[str, Any], families: Iterable[Hashable], data: pd.DataFrame
) -> Any:
    """The usual formula, or one for each event where some have their own."""
    own = dict(events.get("event_formula", []))
    if not own:
        return usual
    seen = data[events["event"]].dropna().unique() if events["event"] in data else []
    codes = _codes(events) or {}
    names = [str(name) for name in (*seen, *families) if name not in codes and name]
    return {**dict.fromkeys(names, usual), **own}


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _numbers(given: argparse.Namespace) -> list[int]:
    """The numbers of components; competing events have one, which the data tell."""
    if given.k is not None:
        return list(given.k)
    return [1, 2, 3, 4, 5] if given.command == "select" else [2]


def _priors(given: list[tuple[str, str, list[float]]], flat: bool) -> Any:
    if flat and given:
        raise SpecError("--flat-priors and --prior contradict each other; give one of them")
    if not given:
        return "flat" if flat else None
    return {name: _prior(kind, values) for name, kind, values in given}


def _prior(kind: str, values: list[float]) -> Any:
    names = KINDS[kind].parameters if kind in KINDS else ()
    if kind in KINDS and len(names) != len(values):
        raise SpecError(f"the {kind} prior takes {', '.join(names)}; given {len(values)} numbers")
    return bmx.Prior(kind, **dict(zip(names, values, strict=False)))


def select(given: argparse.Namespace, spec: Any) -> Any:
    """Fits with several numbers of components."""
    options = _fit_options(given, spec, "fit", "point")
    if named(options.get("method", "em")).gives == "posterior":
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
    drawing = named(given.method or "em").gives == "posterior"
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
        options["fixed_params"] = dict(_held(names, *held) for held in options["fixed_params"])
    return options


def _held(
    names: Mapping[str, Any], component: str, parameter: str, text: str
) -> tuple[tuple[Any, str], float]:
    if component not in names:
        raise SpecError(
            f"--hold: {component!r} is no component of this model, which has "
            f"{', '.join(names)}; write --hold COMPONENT PARAMETER VALUE"
        )
    try:
        return (names[component], parameter), float(text)
    except ValueError:
        msg = f"--hold: {text!r} is not a number; write --hold COMPONENT PARAMETER VALUE"
        raise SpecError(msg) from None


def _refuse(options: Mapping[str, Any], method: str) -> None:
    names = ", ".join(map(_flag, options))
    raise SpecError(f"{names} does not go with --method {method}; leave it out")
