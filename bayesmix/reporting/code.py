"""The Python code that makes a model and a fit again."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from bayesmix import methods
from bayesmix.families import Family, family, shipped
from bayesmix.model import MixtureSpec
from bayesmix.model.blocks import FamilyBlocks
from bayesmix.model.parts import Prepared, Reading, Regression


def model_code(spec: MixtureSpec, priors: Any, k: int) -> str:
    """The call that makes a model of `data`; what cannot be written is called ``your_...``."""
    prepared = spec.prepared
    concomitant = prepared.concomitant
    in_formula = any(p.formula.group is not None for p in prepared.parts)
    given = {
        "k": None if spec.kind.named else k,
        "group": None if in_formula else prepared.group,
        "labels": prepared.labels_column,
        **_of_events(prepared),
        "concomitant": None if concomitant is None else concomitant.formula.text,
        "weights": prepared.weights_column,
        "na_action": None if prepared.na_action == "error" else prepared.na_action,
    }
    arguments = _responses(prepared)
    arguments += [f"{option}={value!r}" for option, value in given.items() if value is not None]
    arguments += [] if priors is None else [f"priors={_priors(priors)}"]
    return f"spec = bmx.{spec.kind.call}(\n" + "".join(f"    {a},\n" for a in arguments) + ")"


def _responses(prepared: Prepared) -> list[str]:
    """The arguments that say what was observed, and its distribution."""
    regressions = [p.regression for p in prepared.parts]
    if len(regressions) == 1:
        by_name = {n: r.formula.text for n, r in _named(prepared)}
        alike = len(set(by_name.values())) < 2
        first = regressions[0].formula if alike else by_name
        return [repr(first), "data", *_given(regressions[0])]
    inner = ",\n        ".join(
        f"bmx.Regression({', '.join([repr(r.formula), *_given(r)])})" for r in regressions
    )
    return [f"[\n        {inner},\n    ]", "data"]


def _named(prepared: Prepared) -> list[tuple[Hashable, Reading]]:
    """Readings by the component that they belong to."""
    return list(zip(prepared.parts[0].names, prepared.parts[0].readings, strict=False))


def _of_events(prepared: Prepared) -> dict[str, Any]:
    """Options of competing events."""
    events = prepared.events
    if events is None:
        return {}
    ancillary = {
        name: {parameter: design.formula.text for parameter, design in reading.ancillary.items()}
        for name, reading in _named(prepared)
        if reading.ancillary
    }
    return {
        "event": events.column,
        "ancillary": ancillary or None,
        "partial_events": {c: list(e) for c, e in events.partial.items()} or None,
        "truncation": None if events.truncation == "mixture" else events.truncation,
    }


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
    if isinstance(value, FamilyBlocks):
        pairs = zip(value.families, value.sizes, strict=True)
        return f"{{{', '.join(f'{_family(f)}: {n!r}' for f, n in pairs)}}}"
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
