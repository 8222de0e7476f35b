"""A model in LaTeX, in the few commands that matplotlib draws too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bayesmix.model import MixtureSpec
from bayesmix.model.layout import BlockLayout
from bayesmix.model.params import coefficient_columns
from bayesmix.model.parts import Part
from bayesmix.reporting.blocks import Equation
from bayesmix.results.describe import family_title

LINKS = {
    "identity": "{}",
    "log": r"\log {}",
    "logit": r"\mathrm{{logit}}\, {}",
    "probit": r"\Phi^{{-1}}({})",
    "cloglog": r"\log\{{-\log(1 - {})\}}",
    "inverse": r"1 / {}",
}
# Coefficients of varying, fixed and nested effects; b(s) is the block of component s.
SYMBOLS = {"varying": r"\beta_{%s%d}", "fixed": r"\gamma_{%s%d}", "nested": r"\delta_{%s%d}"}
OWNERS = {"varying": "s", "fixed": "", "nested": "b(s)"}
WIDTH = 3  # terms on a row
# Letters that LaTeX reads as commands, and what stands for those that text cannot hold.
SPECIAL = re.compile(r"[_%$#&{}]")
SYMBOL = {"~": r"\sim", "^": r"\wedge", "\\": r"\backslash"}


def upright(text: str) -> str:
    """A name as upright letters."""
    parts = (part for part in re.split(r"([~^\\])", text) if part)
    return "{" + " ".join(SYMBOL.get(part) or _letters(part) for part in parts) + "}"


def _letters(text: str) -> str:
    return r"\text{" + SPECIAL.sub(lambda m: "\\" + m[0], text) + "}"


def model_equations(spec: MixtureSpec) -> list[Equation]:
    """The likelihood, the families, their linear predictors, and the weights."""
    if spec.kind.named:
        return [_events(), *_event_predictors(spec), _weights(spec)]
    out = [_mixture(spec)]
    for part, block in zip(spec.prepared.parts, spec.layout.blocks, strict=True):
        out += _families(spec, block)
        out.append(_predictor(spec, part, block))
    return [*out, _weights(spec)] if spec.k > 1 else out


def _mixture(spec: MixtureSpec) -> Equation:
    grouped, several = spec.prepared.units.grouped, len(spec.layout.blocks) > 1
    owner = "" if spec.k == 1 else "s"
    density = rf"f_{{{owner}r}}(y_{{ir}} \mid x_i)" if several else rf"f_{owner}(y_i \mid x_i)"
    inner = (r"\prod_{i \in u} " if grouped else "") + (r"\prod_r " if several else "") + density
    unit = "u" if grouped else "i"
    if spec.k == 1:
        density = inner.replace("f_(", "f(")
        return Equation((rf"L_{unit} = {density}",), "The likelihood of a unit: its density.")
    weight = r"\pi_s" if spec.layout.concomitant_terms is None else rf"\pi_s(w_{unit})"
    words = f"The likelihood of {'a group u of rows i' if grouped else 'a row i'}: the densities "
    words += "of the components s, weighted by the components' probabilities."
    return Equation((rf"L_{unit} = \sum_{{s=1}}^{{{spec.k}}} {weight} {inner}",), words)


def _events() -> Equation:
    row = r"L_i = \sum_s m_{is}\, \pi_s(w_i)\, L_{is}"
    words = (
        "The likelihood of a subject i: m is 1 for the events s that the subject may have had, "
        "else 0; L of an event is the density at an exact time, the survival function at a "
        "right-censored one, or the probability of an interval."
    )
    return Equation((row,), words)


def _event_predictors(spec: MixtureSpec) -> Iterator[Equation]:
    """The distribution of the time to every event, and what its parameters depend on."""
    block = spec.layout.blocks[0]
    for s, (name, family) in enumerate(zip(spec.components, block.families, strict=True)):
        rows, counted = [family.equation] if family.equation else [], 0
        for parameter, slot in zip(family.parameters, block.slots[s], strict=True):
            predictor = block.predictors[slot]
            left = LINKS[parameter.link.name].format(upright(parameter.name))
            terms = []
            for term, at in zip(predictor.terms, predictor.index[s], strict=True):
                if at >= 0:
                    counted += 1
                    covariate = "" if term == "Intercept" else rf"\,{upright(term)}_{{i}}"
                    terms.append(rf"\beta_{{{s + 1},{counted}}}{covariate}")
            rows += _sum(left, terms)
        source = f" ({family.source})" if family.source else ""
        words = f"Event {s + 1}, {name}: the {family_title(family)} distribution{source}."
        yield Equation(tuple(rows), words)


def _sum(left: str, terms: Sequence[str]) -> tuple[str, ...]:
    """A sum of terms, a few on each row."""
    rows = [" + ".join(terms[i : i + WIDTH]) for i in range(0, len(terms), WIDTH)]
    return (f"{left} = {rows[0]}", *(rf"\qquad + {row}" for row in rows[1:]))


def _families(spec: MixtureSpec, block: BlockLayout) -> Iterator[Equation]:
    for family, members in block.groups():
        names = ", ".join(str(spec.components[s]) for s in members)
        title = family_title(family)
        where = "" if len(members) == spec.k else f" (component {names})"
        if family.equation:
            words = f"Density of the {title} family{where}: {family.source}."
            yield Equation((family.equation,), words)


def _predictor(spec: MixtureSpec, part: Part, block: BlockLayout) -> Equation:
    left = {
        _location("eta", spec.k)
        if family.cuts
        else LINKS[family.parameters[0].link.name].format(_location(name, spec.k))
        for family, _ in block.groups()
        for name in family.locations
    }
    response = f" of {block.name}" if len(spec.layout.blocks) > 1 else ""
    offsets = dict.fromkeys(o for design in part.designs for o in design.formula.offsets)
    terms = [*_terms(spec, block), *(rf"{upright(text)}_{{i}}" for text in offsets)]
    if not left or not terms:
        return Equation((), f"There is nothing to estimate{response} but the weights.")
    words = f"The linear predictor{response} of row i"
    words += "." if spec.k == 1 else " in component s: coefficients with s differ by component."
    if len(left) > 1 and any(len(f.locations) > 1 for f, _ in block.groups()):
        words += " Each of the parameters on the left has coefficients of its own."
    return Equation(_sum(", ".join(sorted(left)), terms), words)


def _location(name: str, k: int) -> str:
    index = "i" if k == 1 else "si"
    return rf"\{name}_{{{index}}}" if name in ("mu", "eta") else f"{upright(name)}_{{{index}}}"


def _terms(spec: MixtureSpec, block: BlockLayout) -> Iterator[str]:
    location = block.locations[0]
    counts, columns = dict.fromkeys(SYMBOLS, 0), coefficient_columns(block)
    for term, column in ((location.terms[j], location.index[:, j]) for j in columns):
        kind = spec.layout.coordinates[int(column.max())].effect
        counts[kind] += 1
        symbol = SYMBOLS[kind] % ("" if spec.k == 1 else OWNERS[kind], counts[kind])
        yield symbol if term == "Intercept" else rf"{symbol}\,{upright(term)}_{{i}}"


def _weights(spec: MixtureSpec) -> Equation:
    terms = spec.layout.concomitant_terms
    if terms is None:
        total = rf"\pi_1 + \cdots + \pi_{{{spec.k}}} = 1"
        return Equation((total,), "The weights are the same everywhere.")
    unit = "u" if spec.prepared.units.grouped else "i"
    pieces = [
        rf"\alpha_{{s{j}}}" + ("" if term == "Intercept" else rf"\,{upright(term)}_{{{unit}}}")
        for j, term in enumerate(terms, 1)
    ]
    left = rf"\log\frac{{\pi_s(w_{unit})}}{{\pi_1(w_{unit})}}"
    words = f"The weights, with component {spec.components[0]} as the baseline."
    return Equation(_sum(left, pieces), words)
