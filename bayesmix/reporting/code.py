"""The Python code that makes a model and a fit again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bayesmix import methods
from bayesmix.families import Family, family, shipped
from bayesmix.model import MixtureSpec
from bayesmix.model.parts import Regression


def model_code(spec: MixtureSpec, priors: Any, k: int) -> str:
    """The call that makes a model of `data`; what cannot be written is called ``your_...``."""
    prepared = spec.prepared
    regressions = [p.regression for p in prepared.parts]
    if len(regressions) == 1:
        arguments = [repr(regressions[0].formula), "data", *_given(regressions[0])]
    else:
        inner = ",\n        ".join(
            f"bmx.Regression({', '.join([repr(r.formula), *_given(r)])})" for r in regressions
        )
        arguments = [f"[\n        {inner},\n    ]", "data"]
    in_formula = any(p.formula.group is not None for p in prepared.parts)
    concomitant = prepared.concomitant
    given = {
        "concomitant": None if concomitant is None else concomitant.formula.text,
        "group": None if in_formula else prepared.group,
        "weights": prepared.weights_column,
        "labels": prepared.labels_column,
        "na_action": None if prepared.na_action == "error" else prepared.na_action,
    }
    return _call("Mixture", [*arguments, f"k={k}"], given, priors)


def events_code(spec: MixtureSpec, priors: Any, k: int) -> str:  # noqa: ARG001
    """The call that makes a model of competing events of `data`; k follows from them."""
    prepared, events = spec.prepared, spec.prepared.events
    assert events is not None
    texts = {name: part.formula.text for name, part in zip(events.names, events.parts, strict=True)}
    alike = len(set(texts.values())) == 1
    families = zip(events.names, events.families, strict=True)
    ancillary = {
        name: {parameter: design.formula.text for parameter, design in part.ancillary.items()}
        for name, part in zip(events.names, events.parts, strict=True)
        if part.ancillary
    }
    concomitant = prepared.concomitant
    given = {
        "event": events.column,
        "ancillary": ancillary or None,
        "concomitant": None if concomitant is None else concomitant.formula.text,
        "partial_events": {c: list(e) for c, e in events.partial.items()} or None,
        "truncation": None if events.truncation == "mixture" else events.truncation,
        "weights": prepared.weights_column,
        "na_action": None if prepared.na_action == "error" else prepared.na_action,
    }
    inner = ", ".join(f"{name!r}: {_family(family)}" for name, family in families)
    arguments = [repr(texts[events.names[0]] if alike else texts), "data"]
    return _call("CompetingRisks", [*arguments, f"family={{{inner}}}"], given, priors)


def _call(name: str, arguments: list[str], given: Mapping[str, Any], priors: Any) -> str:
    """The call with its arguments, those that were given, and the priors."""
    arguments += [f"{option}={value!r}" for option, value in given.items() if value is not None]
    arguments += [] if priors is None else [f"priors={_priors(priors)}"]
    return f"spec = bmx.{name}(\n" + "".join(f"    {a},\n" for a in arguments) + ")"


def _given(regression: Regression) -> list[str]:
    """The arguments of a regression that are not at their defaults."""
    default = Regression("")
    out = []
    for name in ("family", "fixed", "nested", "dispersion", "per", "random_covariance"):
        value = getattr(regression, name)
        written = _family(value) if name == "family" else repr(value)
        if written != repr(getattr(default, name)):
            out.append(f"{name}={written}")
    return out


def _family(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_family, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name!r}: {_family(f)}' for name, f in value.items())}}}"
    if not isinstance(value, Family):
        return repr(value)
    made = shipped(value)
    if made is None:
        return f"your_{value.name}"
    usual, options = family(value.name), dict(made.get("options", {}))
    if usual.parameters and made["link"] != usual.parameters[0].link.name:
        options = {"link": made["link"], **options}
    given = "".join(f", {name}={option!r}" for name, option in options.items())
    return f"bmx.family({value.name!r}{given})" if given else repr(value.name)


def _priors(priors: Any) -> str:
    if not isinstance(priors, Mapping):
        return repr(priors)
    inner = "".join(f"        {name!r}: bmx.{prior!r},\n" for name, prior in priors.items())
    return f"{{\n{inner}    }}"


def fit_code(method: str, asked: Mapping[str, str]) -> str:
    """The call that fits a model."""
    options = "".join(f", {name}={value}" for name, value in asked.items())
    return f"spec.fit({methods.call_of(method)!r}{options})"
