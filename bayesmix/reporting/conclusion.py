"""A conclusion in a few sentences, and a methods paragraph for a paper."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from bayesmix import methods
from bayesmix.comparison import compare, predictions
from bayesmix.errors import BayesmixError
from bayesmix.model import MixtureSpec
from bayesmix.model.layout import BlockLayout
from bayesmix.plot.bands import weights_and_limits
from bayesmix.reporting.blocks import Block, Table, Words
from bayesmix.reporting.convergence import fit_warnings
from bayesmix.reporting.files import fixed, interval, number, plural
from bayesmix.reporting.subject import Subject
from bayesmix.results.describe import model_sentences
from bayesmix.results.simulation import response_name
from bayesmix.results.tables import ENDS

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
CLEAR, VAGUE = 0.8, 0.5
SOURCES = {
    "EM algorithm": "McLachlan and Peel (2000), Finite Mixture Models",
    "NUTS": "Hoffman and Gelman (2014), Journal of Machine Learning Research 15, 1593-1623",
    "LOO": "Vehtari, Gelman and Gabry (2017), Statistics and Computing 27, 1413-1432 (LOO)",
}


def conclusion(subject: Subject) -> Iterator[Block]:
    """The groups, how large and how distinct they are, and which fit is preferred."""
    yield from _preferred(subject)
    for name, (fit, _) in subject.at_hand.items():
        sentences = [*_groups(fit), *_cured(fit), *_clearness(fit)]
        if fit_warnings(subject.fits[name]):
            sentences.append("Deal with the warnings below before you rely on this.")
        yield Words(subject.named(name, " ".join(sentences)))
        yield _glance(name, fit)


def _preferred(subject: Subject) -> Iterator[Block]:
    """Which of several fits of one kind to the same data is better, in words."""
    for fits, by in ((subject.posteriors, "loo"), (subject.points, "bic")):
        if len(fits) < 2:
            continue
        try:
            yield Words(f"{compare(fits, by).verdict}")
        except BayesmixError:  # its section says why they cannot be compared
            return


def _groups(fit: Any) -> Iterator[str]:
    spec, (share, _) = fit.numbers.spec, weights_and_limits(fit, None)
    if spec.k == 1:
        yield "One group: all units follow the same model."
        return
    each = ", ".join(f"{c} ({100 * p:.0f}%)" for c, p in zip(spec.components, share, strict=True))
    yield f"{_in_words(spec.k).capitalize()} {spec.kind.groups}: {each}."
    small = [str(c) for c, p in zip(spec.components, share, strict=True) if p < 0.05]
    if small:
        yield f"Fewer than one unit in twenty belongs to {', '.join(small)}."


def _cured(fit: Any) -> Iterator[str]:
    """The share that never has the event, if there is one."""
    if not any(block.survival for block in fit.numbers.spec.layout.blocks):
        return
    try:
        found = fit.cured_fraction(by=True).iloc[0]
    except BayesmixError:  # everybody has it, or several responses are times
        return
    if found[["estimate", "upper"]].max() < 0.005:  # a gompertz whose shape is not negative
        return
    share, *ends = (f"{100 * found[n]:.0f}%" for n in ENDS)
    limits = f" (95% interval {ends[0]} to {ends[1]})" if np.isfinite(found["lower"]) else ""
    yield f"An estimated {share}{limits} never have the event."


def _clearness(fit: Any) -> Iterator[str]:
    """How well one can tell who belongs where."""
    spec = fit.numbers.spec
    if not spec.hidden:
        return
    certain = fit.membership().to_numpy(float).max(1).mean()
    words = f"A unit's most probable group has a probability of {certain:.2f} on average"
    chance = (certain - 1 / spec.k) / (1 - 1 / spec.k)
    if chance > CLEAR:
        yield f"{words}: the groups are clearly apart."
    elif chance > VAGUE:
        yield f"{words}: most units can be assigned, some cannot."
    else:
        yield f"{words}: the groups overlap, and who belongs where is mostly unknown."


def _glance(name: str, fit: Any) -> Table:
    """Share and typical response of each component, with intervals: a row for each quantity."""
    spec = fit.numbers.spec
    share, limits = weights_and_limits(fit, 0.95)
    numbers = dict(zip(ENDS, (share, *(limits or (np.nan, np.nan))), strict=True))
    found = [pd.DataFrame({"quantity": "share", "component": spec.components, **numbers})]
    percent = [[f"{100 * p:.0f}%" for p in row] for row in found[0][ENDS].to_numpy()]
    cells = [[f"{p} ({low} to {high})" if fit.k > 1 else p for p, low, high in percent]]
    for block in spec.layout.blocks:
        what: dict[str, Any] = {"what": "quantile_time", "q": 0.5} if block.survival else {}
        try:
            means = predictions(fit, by=True, response=block.name, **what)
        except BayesmixError:  # a family of the user's without a mean
            continue
        own = means[means["component"].notna()]
        outputs = list(dict.fromkeys(own["output"])) if "output" in own else [None]
        # Of two levels one says all.
        of_levels = not block.families[0].columns
        for output in outputs[1:] if len(outputs) == 2 and of_levels else outputs:
            rows = own if output is None else own[own["output"] == output]
            found.append(rows.assign(quantity=_quantity(spec, block, output)))
            cells.append([_with_interval(*ends) for ends in rows[ENDS].itertuples(index=False)])
    frame = pd.concat(found, ignore_index=True).reindex(columns=["quantity", "component", *ENDS])
    shown = pd.DataFrame(cells, columns=[str(c) for c in spec.components])
    shown.insert(0, "", [part["quantity"].iloc[0] for part in found])
    heading = f"The {spec.kind.groups} at a glance"
    caption = f"{heading} ({name}), averaged over the data, with 95% intervals"
    return Table(f"groups_{name}", caption, frame, shown)


def _quantity(spec: MixtureSpec, block: BlockLayout, output: Any) -> str:
    if block.survival:
        return f"median of {response_name(spec, block)}"
    if output is None or block.families[0].columns:
        return f"mean of {block.name if output is None else output}"
    return f"probability of {block.name} = {output}"


def _with_interval(value: float, lower: float, upper: float) -> str:
    """A number with its interval; a time that too few reach has none."""
    if np.isposinf(value):
        return "not reached"
    ends = interval(lower, upper)
    return f"{number(value)} ({ends})" if ends else number(value)


# --- a paragraph for a paper -----------------------------------------------------------------


def methods_paragraph(subject: Subject) -> Iterator[Block]:
    """The methods paragraph with its numbers, to be pasted into a paper."""
    for name, fit in subject.fits.items():
        spec = subject.specs[name]
        parts = [_fitted(spec, fit), " ".join(model_sentences(spec)), *_ended(subject, name)]
        yield Words(subject.named(name, " ".join(parts)))
    yield Words(f"References: {'; '.join(_sources(subject))}.", "note")


def _fitted(spec: MixtureSpec, fit: Any) -> str:
    several = spec.k > 1 or spec.kind.named
    kind = spec.kind.model.format(_in_words(spec.k)) if several else "regression"
    units = plural(spec.n_units, spec.kind.unit)
    rows = f", {plural(spec.n_obs, 'row')}" if spec.n_units != spec.n_obs else ""
    how = methods.words(fit.method)
    dropped = spec.prepared.n_dropped
    left = f" ({plural(dropped, 'row')} with missing values excluded)" if dropped else ""
    return (
        f"We fitted a {kind} to {units}{rows}{left} ({how}), using bayesmix {version('bayesmix')}."
    )


def _in_words(count: int) -> str:
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


def _ended(subject: Subject, name: str) -> Iterator[str]:
    fit = subject.fits[name]
    if name in subject.points:
        starts = fit.starts
        entropy = f", relative entropy {fit.entropy:.2f}" if fit.numbers.spec.hidden else ""
        among = (
            f"highest log-likelihood of {len(starts)} starts, reached by "
            f"{starts.attrs['agreeing']} of them,"
            if len(starts) > 1
            else "log-likelihood"
        )
        yield (
            f"The {among} was {fixed(fit.loglik)} with "
            f"{plural(fit.df, 'free parameter')} (AIC {fixed(fit.aic, 1)}, BIC "
            f"{fixed(fit.bic, 1)}{entropy})."
        )
        return
    if fit.method == "laplace":
        draws = plural(len(fit.source.draws), "draw")
        yield f"We took {draws} from the posterior (Pareto k-hat {fit.khat:.2f})."
    else:
        found = fit.diagnostics().table
        sizes = fit.data["posterior"].sizes
        yield (
            f"{plural(sizes['chain'], 'chain')} of {plural(sizes['draw'], 'draw')} after tuning "
            f"had R-hat of at most {found['r_hat'].max():.3f} and effective sample sizes of at "
            f"least {found['ess_bulk'].min():.0f}."
        )
    loo = subject.predictive[name][0]
    yield (
        f"The expected log predictive density by leave-one-out cross-validation was "
        f"{fixed(loo.elpd, 1)} (standard error {fixed(loo.se, 1)})."
    )


def _sources(subject: Subject) -> list[str]:
    used = {
        "EM algorithm": subject.points,
        "NUTS": [fit for fit in subject.posteriors.values() if fit.method == "nuts"],
        "LOO": subject.posteriors,
    }
    return [SOURCES[name] for name, fits in used.items() if fits]
