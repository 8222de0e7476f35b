"""Models and fits in words: what a notebook or a terminal shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments.printing import Printed, as_html, as_text, html_table
from bayesmix.families import Family
from bayesmix.formula.encoders import FactorEncoder
from bayesmix.formula.times import KINDS, Times
from bayesmix.formula.tokens import right_side
from bayesmix.model import MixtureSpec
from bayesmix.model.layout import BlockLayout
from bayesmix.model.parts import Events, Part
from bayesmix.results.fitted import Fitted
from bayesmix.results.tables import sizes, summary

Lines = list[tuple[str, str]]

TRUNCATIONS = {
    "mixture": "of the mixture: the weights are the events' probabilities at time zero",
    "component": "of each component: the weights are given that the entry is reached",
}
OBSERVED = dict.fromkeys(KINDS, "{}-censored") | {"exact": "exact"}


def event_lines(spec: MixtureSpec, events: Events) -> Lines:
    """Events, what is written about each, and how they were observed; head and words."""
    part = spec.prepared.parts[0]
    names = list(map(str, spec.components))
    families = [family_words(f) for f in spec.layout.blocks[0].families]
    lines = _by_event("formula", names, [r.formula.text for r in part.readings])
    lines += _by_event("family", names, families)
    lines += [
        ("ancillary", f"{name}: {parameter} {design.formula.text}")
        for name, reading in zip(names, part.readings, strict=True)
        for parameter, design in reading.ancillary.items()
    ]
    lines.append((f"column {events.column}", _known(spec)))
    lines += [
        ("partial event", f"{code}: {' or '.join(map(str, may))}")
        for code, may in events.partial.items()
    ]
    found = spec.prepared.times
    for name, times in found.items():
        lines += times_lines(times, f"{name}: " if len(found) > 1 else "")
    if any(times.truncated for times in found.values()):
        lines.append(("truncation", TRUNCATIONS[events.truncation]))
    return lines


def times_lines(times: Times, of: str = "") -> Lines:
    """How many times were observed in which way, and how many entered late."""
    counts = np.bincount(times.code, minlength=len(KINDS) + 1).tolist()
    words = [
        f"{count} {OBSERVED[kind].format(kind)}"
        for kind, count in zip(KINDS, counts[:-1], strict=True)
        if count
    ]
    words += [f"{counts[-1]} of which nothing is known"] if counts[-1] else []
    lines = [("times", of + ", ".join(words))]
    if times.truncated:
        lines.append(("delayed entry", f"{of}{int((times.entry > 0).sum())} rows"))
    if times.background is not None:
        lines.append(
            ("background", f"{of}a rate beside the model's in {int(times.exposed.sum())} events")
        )
    return lines


def family_words(family: Family) -> str:
    """A family with what there is to choose about it: its link, or its options."""
    options = {name: v for name, v in family.options.items() if name != "columns"}
    inside = ", ".join(f"{name} {_value(v)}" for name, v in options.items())
    if family.parameters and not family.is_survival and not family.columns:
        inside = family.parameters[0].link.name
    return family.name + (f" ({inside})" if inside else "")


def _value(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_value, value))}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _by_event(head: str, names: list[str], words: list[str]) -> Lines:
    """One line where all events have the same, else one for each."""
    if len(set(words)) == 1:
        return [(head, words[0])]
    return [(head, f"{name}: {w}") for name, w in zip(names, words, strict=True)]


def _known(spec: MixtureSpec) -> str:
    """How many rows have each event, and how many are known partly or not at all."""
    allowed, k = spec.prepared.parts[0].allowed, spec.k
    assert allowed is not None
    may = allowed.sum(1)
    words = [
        f"{n} {name}" for n, name in zip(allowed[may == 1].sum(0), spec.components, strict=True)
    ]
    partly, unknown = int(((may > 1) & (may < k)).sum()), int((may == k).sum())
    words += [f"{partly} partly known"] if partly else []
    words += [f"{unknown} unknown"] if unknown and k > 1 else []
    return ", ".join(words)


def spec_lines(spec: MixtureSpec) -> list[tuple[str, str]]:
    """What a model is, as pairs of a heading and words."""
    events = spec.prepared.events
    lines = [(f"{spec.kind.component}s", f"{spec.k} ({', '.join(map(str, spec.components))})")]
    lines += _response_lines(spec) if events is None else event_lines(spec, events)
    terms = spec.layout.concomitant_terms
    lines.append(("weights", "constant" if terms is None else f"logit in {', '.join(terms)}"))
    lines += _size_lines(spec)
    units = f"{spec.rows.n} rows"
    if spec.prepared.group is not None:
        units += f" in {spec.rows.n_units} groups by {spec.prepared.group}"
    if spec.prepared.n_dropped:
        units += f" ({spec.prepared.n_dropped} rows with missing values dropped)"
    lines.append(("data", units))
    lines += [("missing", words) for words in missing_words(spec)]
    if spec.prepared.weights_column:
        lines.append(("case weights", f"{spec.prepared.weights_column} (sum {spec.n_obs:g})"))
    if spec.prepared.labels is not None:
        known = int((spec.prepared.labels.codes >= 0).sum())
        lines.append(("labels", f"{spec.prepared.labels_column}: {known} units known"))
    if spec.held:
        lines.append(("held", f"{len(spec.held)} parameters at given values"))
    return lines


def missing_words(spec: MixtureSpec) -> list[str]:
    """How many rows lack each response, where any does, and how many units lack them all."""
    found = {name: n for name, n in spec.prepared.n_missing.items() if n}
    if not found:
        return []
    per_unit = {p.response.name for p in spec.prepared.parts if p.regression.per == "unit"}
    rows, units = f"{spec.rows.n} rows", f"{spec.rows.n_units} units"
    each = [f"{name} in {n} of {units if name in per_unit else rows}" for name, n in found.items()]
    if len(each) > MOST_MISSING:
        n = found.values()
        each = [f"{len(found)} responses, each in {min(n)} to {max(n)} of {rows}"]
    nothing = spec.rows.n_unseen
    return each + ([f"{nothing} of {units} have no response at all"] if nothing else [])


# Responses whose missing values are listed one by one.
MOST_MISSING = 4


def _size_lines(spec: MixtureSpec) -> list[tuple[str, str]]:
    """How many coefficients there are, and the levels of the factors behind them."""
    kinds = [c.effect for c in spec.layout.coordinates if c.effect in EFFECT_WORDS]
    weights = sum(c.effect == "concomitant" for c in spec.layout.coordinates)
    count = f"{len(kinds)}" + (f", and {weights} of the weights" if weights else "")
    concomitant = spec.prepared.concomitant
    designs = [d for reading in spec.prepared.readings for d in reading.designs]
    designs += [] if concomitant is None else [concomitant]
    factors = {
        encoder.bound.expression.text: encoder.levels
        for design in designs
        for encoder in design.encoders
        if isinstance(encoder, FactorEncoder)
    }
    shown = "; ".join(f"{name} ({_first(levels, 'levels')})" for name, levels in factors.items())
    return [("coefficients", count), *([("factors", shown)] if shown else [])]


def _first(names: Sequence[Any], what: str) -> str:
    """All names, or of many the first ones and their number."""
    first = ", ".join(map(str, names[:6]))
    return first if len(names) <= 6 else f"{first}, ...: {len(names)} {what}"


def _response_lines(spec: MixtureSpec) -> list[tuple[str, str]]:
    """Components, and what is written about each response; equal ones stand together."""
    together: dict[tuple, list[str]] = {}
    for part, block in zip(spec.prepared.parts, spec.layout.blocks, strict=True):
        described = right_side(part.formula.text)
        key = (described, *_part_lines(part, block))
        together.setdefault(key, []).append(str(part.formula.response))
    lines = []
    for (described, *others), responses in together.items():
        lines += [("formula", f"{_first(responses, 'responses')} ~ {described}"), *others]
    return lines


def _part_lines(part: Part, block: BlockLayout) -> Lines:
    """What is written about one response, beside its formula."""
    regression = part.regression
    names = [family_words(f) for f in block.families]
    lines = [("family", names[0] if len(set(names)) == 1 else ", ".join(names))]
    if regression.fixed is not None:
        lines.append(("fixed", regression.fixed))
    for text, size in regression.nested or ():
        lines.append(("nested", f"{text} for {size} component{'s' if size > 1 else ''}"))
    if block.constants():
        lines.append(("dispersion", str(regression.dispersion)))
    if part.response.times is not None:
        lines += times_lines(part.response.times)
    return lines


def fit_lines(fitted: Fitted) -> list[tuple[str, str]]:
    """How a fit ended, as pairs of a heading and words."""
    agreeing = fitted.ends.agreeing
    requested = fitted.k_requested
    criteria = f"AIC {fitted.aic:.2f}, BIC {fitted.bic:.2f}, ICL {fitted.icl:.2f}"
    lines = [
        ("status", fitted.status),
        ("log-likelihood", f"{fitted.loglik:.4f} (df {fitted.df:.6g})"),
        ("criteria", f"{criteria} (N = {fitted.spec.n_obs:g})"),
        ("starts", f"{agreeing} of {len(fitted.ends.loglik)} reached the best"),
    ]
    lines += [("missing", words) for words in missing_words(fitted.spec)]
    if fitted.spec.k != requested:
        lines.append(("components", f"{fitted.spec.k} of {requested} requested"))
    return lines + [("note", reason) for reason in fitted.reasons]


def model_title(spec: MixtureSpec) -> str:
    """What a model is, in a few words."""
    return spec.kind.one if spec.k == 1 else spec.kind.several.format(spec.k)


def _short_summary(fitted: Fitted) -> pd.DataFrame:
    frame = summary(fitted)
    # The scale of an interval is stated where it is not the estimate's own.
    same = (frame["scale"] == "identity").all()
    return Printed(frame.drop(columns=["z", "scale"] if same else "z"))


def fit_text(fitted: Fitted) -> str:
    """A fit as text."""
    head = as_text(f"{model_title(fitted.spec)}, fitted by {fitted.method}", fit_lines(fitted))
    table = _short_summary(fitted)
    note = "\n\nIntervals are computed on the scale in the last column and transformed back."
    note = note if "scale" in table else ""
    return f"{head}\n\n{Printed(sizes(fitted))}\n\n{table}{note}"


def fit_html(fitted: Fitted) -> str:
    """A fit as HTML."""
    head = as_html(f"{model_title(fitted.spec)}, fitted by {fitted.method}", fit_lines(fitted))
    return head + html_table(sizes(fitted)) + html_table(_short_summary(fitted))


def selection_text(table: pd.DataFrame) -> str:
    """A selection table as text of at most 80 columns, with its flags below."""
    columns = ["k0", "status", "loglik", "df", "aic", "bic", "icl", "entropy", "smallest"]
    shown = table[columns].rename(columns={"k0": "k"})
    digits = {"entropy": 3, "smallest": 3}
    formats = {c: f"{{:.{digits.get(c, 2)}f}}".format for c in columns if table[c].dtype == float}
    lines = [shown.to_string(index=False, formatters=formats)]
    lines += [
        f"k = {k}: {flags}" for k, flags in zip(table["k0"], table["flags"], strict=True) if flags
    ]
    return "\n".join(lines)


def selection_html(table: pd.DataFrame) -> str:
    """A selection table as HTML, the best of every criterion in bold."""
    styled = table.copy()
    for criterion in ("aic", "bic", "icl"):
        low = table[criterion].idxmin()
        styled[criterion] = [
            f"<b>{v:.2f}</b>" if i == low else f"{v:.2f}" for i, v in table[criterion].items()
        ]
    return styled.to_html(index=False, escape=False, border=0, float_format=lambda x: f"{x:.4f}")


# --- models in sentences --------------------------------------------------------------------

SCALES = {
    "identity": "the {}",
    "log": "the logarithm of the {}",
    "logit": "the log odds of the {}",
    "probit": "the probit of the {}",
    "cloglog": "the complementary log-log of the {}",
    "inverse": "one over the {}",
}
TITLES = {
    "poisson": "Poisson",
    "gaussian": "Gaussian",
    "student_t": "Student's t",
    "mvnormal": "multivariate normal",
    "weibull": "Weibull",
    "weibull_ph": "Weibull (proportional hazards)",
    "loglogistic": "log-logistic",
    "gompertz": "Gompertz",
    "gengamma": "generalised gamma",
    "gengamma_orig": "generalised gamma (original parameters)",
    "genf": "generalised F",
    "genf_orig": "generalised F (original parameters)",
    "spline": "a Royston-Parmar spline",
    "promotion_time": "promotion-time (a share is cured)",
}
LOCATIONS = {"mu": "mean", "meanlog": "mean of the logarithm"}
TIME_LOCATIONS = {
    "mu": "location mu of the log time",
    "meanlog": "mean of the log time",
    "gamma0": "constant gamma0 of the spline",
    "theta": "parameter theta (minus the log of the cured share)",
}
EFFECT_WORDS = {
    "varying": "differ from component to component",
    "nested": "are shared by blocks of components",
    "fixed": "are the same in all components",
}


def model_sentences(spec: MixtureSpec) -> list[str]:
    """A model in sentences, for readers who know regression but no formulas."""
    if spec.prepared.events is None:
        sentences = [_who(spec)]
        alike: dict[tuple[str, ...], list[str]] = {}  # items of one kind are described together
        for part, block in zip(spec.prepared.parts, spec.layout.blocks, strict=True):
            own = [*_effects(spec, part, block), *_dispersions(block), *_random(spec, part, block)]
            alike.setdefault((_distribution(spec, block), *own), []).append(block.name)
        for (distribution, *own), names in alike.items():
            each = names[0] if len(names) == 1 else f"each of {', '.join(names)}"
            sentences += [f"The distribution of {each} is {distribution}.", *own]
    else:
        sentences = _event_sentences(spec, spec.prepared.events)
    sentences += _weight_sentences(spec)
    if spec.prepared.weights_column:
        column = spec.prepared.weights_column
        sentences.append(f"A unit counts as often as its weight in the column {column} says.")
    if spec.held:
        sentences.append(f"{len(spec.held)} parameters were held at given values.")
    return sentences


def family_title(family: Family) -> str:
    """The name of a family in a sentence."""
    if family.atom is not None:
        return f"a point mass at {family.atom:g}" if family.atom else "a point mass at zero"
    for extra in ("zero_inflated_", "hurdle_"):
        if family.name.startswith(extra):
            base = family.name.removeprefix(extra)
            return f"{extra[:-1].replace('_', '-')} {TITLES.get(base, base.replace('_', ' '))}"
    return TITLES.get(family.name, family.name.replace("_", " "))


def _who(spec: MixtureSpec) -> str:
    grouped = spec.prepared.units.grouped
    each = f"Each of the {spec.rows.n_units:,} {'groups of rows' if grouped else 'rows'}"
    if spec.k == 1:
        return f"{each} follows the same regression; there is one component only."
    labels = spec.prepared.labels
    known = 0 if labels is None else int((labels.codes >= 0).sum())
    seen = f"which is known for {known:,} of them" if known else "which is not observed"
    shared = "; the rows of a group share it" if grouped else ""
    return f"{each} belongs to one of {spec.k} components, {seen}{shared}."


def _distribution(spec: MixtureSpec, block: BlockLayout) -> str:
    clauses = []
    for family, members in block.groups():
        names = ", ".join(str(spec.components[s]) for s in members)
        where = "" if len(members) == spec.k else f" in component {names}"
        words = f"{family_title(family)}{where}"
        if len(family.locations) > 1:
            those = "the means of " if family.columns else ""
            words += f", and {those}{', '.join(family.locations)} are sums of effects"
        elif family.location is not None:
            known = TIME_LOCATIONS if family.is_survival else LOCATIONS
            mean = known.get(family.locations[0], family.locations[0])
            mean = "probability of success" if family.binomial else mean
            mean = "probability of a level above the first" if family.cuts else mean
            mean = f"level {mean}" if family.outputs and not family.cuts else mean
            scale = SCALES[family.parameters[0].link.name].format(mean)
            words += f", and {scale} is a sum of effects"
        clauses.append(words)
    return "; ".join(clauses)


def _effects(spec: MixtureSpec, part: Part, block: BlockLayout) -> list[str]:
    """Which coefficients are whose."""
    location = block.locations[0]
    terms: dict[str, list[str]] = {kind: [] for kind in EFFECT_WORDS}
    for term, column in zip(location.terms, location.index.T, strict=True):
        effect = spec.layout.coordinates[int(column.max())].effect if column.max() >= 0 else ""
        if effect in terms:  # the first threshold between levels is none
            terms[effect].append(term)
    if spec.k == 1:
        every = [name for names in terms.values() for name in names]
        out = [f"These terms have an effect: {', '.join(every)}."] if every else []
    else:
        out = [
            f"The effects of these terms {EFFECT_WORDS[kind]}: {', '.join(names)}."
            for kind, names in terms.items()
            if names
        ]
    offsets = dict.fromkeys(o for design in part.designs for o in design.formula.offsets)
    return [*out, f"Added with no coefficient: {', '.join(offsets)}."] if offsets else out


def _dispersions(block: BlockLayout) -> list[str]:
    cuts = block.thresholds
    if cuts is not None:
        owned = [(f"{cuts.variable}s", block.locations[0].index[:, cuts.column])]
    else:
        owned = [
            (predictor.variable, predictor.index[:, 0])
            for number, predictor in block.constants()
            if number not in block.roots
        ]
    if block.families[0].normal is not None:  # all of them make up one matrix
        owned = [("covariance", owned[0][1])]
    out = []
    for name, owners in owned:
        shared = len(set(owners[owners >= 0].tolist()))
        if shared == (owners >= 0).sum() > 1:
            out.append(f"Every component has its own {name}.")
        elif shared == 1:
            out.append(f"There is one {name}." if cuts is None else f"All share the {name}.")
        else:
            out.append(f"Blocks of components share the {name}.")
    return out


COVARIANCES = {
    "varying": "Their {} differs from component to component.",
    "fixed": "Their {} is the same in all components.",
    "proportional": "Their {}s are proportional to one another.",
}


def _random(spec: MixtureSpec, part: Part, block: BlockLayout) -> list[str]:
    """Which coefficients vary between clusters, and how."""
    if part.random is None:
        return []
    terms = " and ".join(block.random)
    words = f"Random effects of each {part.random.column} add to {terms}; they are normal."
    spread = "variance" if len(block.random) == 1 else "covariance"
    return [words] if spec.k == 1 else [words, COVARIANCES[block.random_covariance].format(spread)]


def _event_sentences(spec: MixtureSpec, events: Events) -> list[str]:
    """Who has which event, how its time is distributed, and what describes that."""
    names = ", ".join(map(str, spec.components))
    out = [f"Each of the {spec.rows.n:,} subjects has one of the events {names}."]
    out.append(f"Which one is known for {spec.prepared.n_known:,} of them.")
    block = spec.layout.blocks[0]
    for s, (name, family) in enumerate(zip(spec.components, block.families, strict=True)):
        clauses = [
            f"{SCALES[parameter.link.name].format(parameter.name)} {_depends(block, s, slot)}"
            for parameter, slot in zip(family.parameters, block.slots[s], strict=True)
        ]
        covariates = f": {'; '.join(clauses)}" if clauses else ""
        out.append(f"The time to {name} is {family_title(family)}{covariates}.")
    if any((times.entry > 0).any() for times in spec.prepared.times.values()):
        given = "from time zero" if events.truncation == "mixture" else "given entry is reached"
        out.append(f"Some subjects enter late; the probabilities of the events are {given}.")
    return out


def _depends(block: BlockLayout, s: int, slot: int) -> str:
    predictor = block.predictors[slot]
    terms = [t for t, at in zip(predictor.terms, predictor.index[s], strict=True) if at >= 0]
    covariates = [t for t in terms if t != "Intercept"]
    return f"depends on {', '.join(covariates)}" if covariates else "is the same for all"


def _weight_sentences(spec: MixtureSpec) -> list[str]:
    if spec.k == 1:
        return []
    terms = spec.layout.concomitant_terms
    if terms is None:
        return ["The probabilities of the components (their weights) are the same for all."]
    names = ", ".join(t for t in terms if t != "Intercept") or "nothing"
    logit = f"by a multinomial logit with component {spec.components[0]} as the baseline"
    return [f"How probable a component is depends on {names} {logit}."]
