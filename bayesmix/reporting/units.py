"""Which unit belongs where, and what is predicted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.errors import BayesmixError
from bayesmix.model import MixtureSpec
from bayesmix.reporting.blocks import Block, Choice, Details, Table, Words
from bayesmix.reporting.chosen import typical_events
from bayesmix.reporting.files import number
from bayesmix.reporting.pictures import (
    curves_picture,
    profile_picture,
    rootogram_picture,
    states_picture,
    survival_picture,
    weights_picture,
)
from bayesmix.reporting.slider_numbers import (
    event_sliders,
    mean_sliders,
    survival_sliders,
    weight_sliders,
)
from bayesmix.reporting.subject import Subject

HEAD = 100
# Fits with more numbers of components than these are shown by a slider.
MOST_SIDE_BY_SIDE = 2
CLEAR = 0.9


def memberships(subject: Subject) -> Iterator[Block]:
    """Sizes of the components, a picture, and the memberships of the units."""
    for name, (fit, spec) in subject.at_hand.items():
        if fit.k == 1:
            continue
        members = fit.membership()
        yield _sizes(name, fit, members, spec)
        yield rootogram_picture(name, fit)
        if spec.layout.concomitant_terms is not None:
            yield weights_picture(name, fit)
            yield from weight_sliders(name, fit, spec)
        yield unit_table(name, members)


def unit_table(name: str, members: pd.DataFrame) -> Details:
    """Memberships of the units, each of which a click shows as bars."""
    table = members.reset_index(names=members.index.name or "row")
    table.columns = [_column(c, members) for c in table.columns]
    table["component"] = members.columns[members.to_numpy().argmax(1)]
    bars = tuple(_column(c, members) for c in members.columns)
    return _head(f"memberships_{name}", f"Memberships of {name}", table, "units", bars)


def _column(name: Any, members: pd.DataFrame) -> str:
    return f"component {name}" if name in list(members.columns) else str(name)


def _sizes(name: str, fit: Any, members: pd.DataFrame, spec: MixtureSpec) -> Table:
    values = members.to_numpy()
    best = values.argmax(1)
    columns = {
        "component": list(fit.components),
        "mean membership": np.average(values, axis=0, weights=spec.rows.weight),
        "units where it is most probable": np.bincount(best, minlength=fit.k),
        f"of these above {CLEAR:g}": [
            int((values[best == s, s] > CLEAR).sum()) for s in range(fit.k)
        ],
    }
    if spec.rows.units.grouped:
        columns["their rows"] = np.bincount(best[spec.rows.units.codes], minlength=fit.k)
    table = pd.DataFrame(columns)
    return Table(f"sizes_{name}", f"Sizes of the components ({name})", table)


def _head(
    name: str, caption: str, table: pd.DataFrame, what: str, bars: tuple[str, ...] = ()
) -> Details:
    """The first lines of a long table, behind a line that opens them."""
    short = table.head(HEAD)
    part = "all" if len(short) == len(table) else f"the first {HEAD} of"
    caption = f"{caption} ({part} {len(table):,} {what})"
    return Details(caption, (Table(name, caption, table, short, bars),))


def events(subject: Subject) -> Iterator[Block]:
    """Probabilities of competing events over time."""
    of_events = {n: pair for n, pair in subject.at_hand.items() if pair[1].kind.named}
    for name, (fit, _) in of_events.items():
        yield states_picture(name, fit)
        try:
            table = fit.aalen_johansen()
        except BayesmixError:  # the picture's place says why
            continue
        yield _head(f"states_{name}", f"Probabilities of {name} over time", table, "rows")
    for name, (fit, spec) in of_events.items():
        yield from event_sliders(name, fit, spec)
        yield typical_events(name, fit, spec)


def survival(subject: Subject) -> Iterator[Block]:
    """Survival curves of mixtures of times, and the times by which shares have had the event."""
    for name, (fit, spec) in subject.at_hand.items():
        times = [b.name for b in spec.layout.blocks if b.survival and not spec.kind.named]
        for number_of, response in enumerate(times):
            yield survival_picture(name, fit, response)
            table = fit.quantile_time(by=True, response=response)
            table["component"] = table["component"].astype(object).fillna("all")
            shown = table.map(lambda v: number(v) if isinstance(v, float) else v)
            caption = (
                f"Times of {response} by which these shares have had the event ({name}), averaged "
                "over the rows"
            )
            key = f"times_{name}" + (f"_{number_of + 1}" if len(times) > 1 else "")
            yield Table(key, caption, table, shown)
            yield from survival_sliders(name, fit, spec, response)


def predictions(subject: Subject) -> Iterator[Block]:
    """Fitted means beside the data, and a picture of the components' means."""
    # Competing events have probabilities and times in place of means of a response.
    means = {n: pair for n, pair in subject.at_hand.items() if not pair[1].kind.named}
    numbered = _numbered(means)
    if numbered:
        yield Choice("Fit", tuple((n, tuple(_curves(n, *pair))) for n, pair in numbered.items()))
    for name, (fit, spec) in means.items():
        if name not in numbered:
            yield from _curves(name, fit, spec)
        try:
            table = _predicted(fit, spec)
        except BayesmixError as error:
            yield Words(subject.named(name, f"no predictions: {error}"), "note")
            continue
        yield _head(f"predictions_{name}", f"Predictions of {name}", table, "rows")


def _numbered(fits: dict[str, tuple[Any, MixtureSpec]]) -> dict[str, tuple[Any, MixtureSpec]]:
    """Fits with three or more numbers of components, in their order, for a slider."""
    numbers = {name: spec.k for name, (_, spec) in fits.items()}
    several = len(set(numbers.values())) > MOST_SIDE_BY_SIDE
    return {n: fits[n] for n in sorted(fits, key=lambda n: numbers[n])} if several else {}


def _curves(name: str, fit: Any, spec: MixtureSpec) -> Iterator[Block]:
    """A picture of every response, and its means by sliders."""
    blocks = spec.layout.blocks
    apart = [b.name for b in blocks if any(f.outputs for f in b.families)]
    if apart:
        yield profile_picture(name, fit)
    for block in blocks:
        if block.name not in apart:
            yield curves_picture(name, fit, block.name)
        if not block.survival:
            yield from mean_sliders(name, fit, spec, block.name)


def _predicted(fit: Any, spec: MixtureSpec) -> pd.DataFrame:
    """Observed responses, marginal means and the components' means, by row."""
    columns = [name for part in spec.prepared.parts for name in part.response.columns]
    observed = spec.prepared.data[columns].reset_index(names="row")
    marginal = _flat(fit.predict(by="marginal"), "predicted")
    means = _flat(fit.predict(), "component")
    return pd.concat([observed, marginal, means], axis=1)


def _flat(values: pd.DataFrame | pd.Series, prefix: str) -> pd.DataFrame:
    """Columns as one line of words, the rows numbered from 0."""
    if isinstance(values, pd.Series):
        return pd.DataFrame({prefix: values.to_numpy()})
    names = []
    for column in values.columns:
        words = [str(w) for w in (column if isinstance(column, tuple) else (column,))]
        names.append(" ".join([prefix, *words]).removesuffix(" estimate"))
    return pd.DataFrame(values.to_numpy(), columns=names)
