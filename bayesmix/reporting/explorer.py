"""The widgets of a report in a notebook."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from bayesmix._arguments import door
from bayesmix.errors import FitError
from bayesmix.reporting.blocks import Block, Words
from bayesmix.reporting.page import resource, write_block
from bayesmix.reporting.slider_numbers import (
    event_sliders,
    mean_sliders,
    survival_sliders,
    weight_sliders,
)
from bayesmix.reporting.subject import make_subject
from bayesmix.reporting.units import unit_table


@dataclass(frozen=True)
class Explorer:
    """Widgets of a fit for a notebook.  Made by `explore`.

    Parameters
    ----------
    blocks : tuple of Block
        Sliders and tables, as a report has them.
    """

    blocks: tuple[Block, ...]

    def __repr__(self) -> str:
        return "Widgets for a notebook; bmx.report(fit, path) writes them to a page"

    def _repr_html_(self) -> str:
        body = "\n".join(map(write_block, self.blocks))
        style, script = resource("widgets.css"), resource("widgets.js")
        return f"<style>\n{style}</style>\n{body}\n<script>\n{script}</script>"


@door(error=FitError)
def explore(fit: Any) -> Explorer:
    """Explore a fit in a notebook: move sliders, click on units.

    Models with covariates have sliders: choose values and see the mean of every component, its
    weight, or a subject's probabilities over time, with 95% intervals.  The first covariate of a
    response is the horizontal axis of its means.  Models with several components have a table of
    the first 100 units: a click on a unit shows its memberships as bars.  All numbers are computed
    beforehand, so the widgets need no network and no running Python.  `report` puts the same
    widgets on a page.

    At most 120 combinations of values have sliders.  If there are too many covariates, the last
    numeric ones stay at their medians, then the last factors at their first levels; the caption
    says which, and at what.  If the data come in blocks, units are those of a sample.

    Parameters
    ----------
    fit : PointFit or Posterior

    Returns
    -------
    Explorer
        A notebook shows it as widgets if it is the last line of a cell.

    Raises
    ------
    SpecError
        If it is not a fit.
    FitError
        If the fit has nothing to explore: one component, and no covariates.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("mgus2")
    >>> spec = bmx.CompetingRisks("surv(years, status) ~ 1", data, "event", "exponential",
    ...                           concomitant="~ age + sex")
    >>> widgets = bmx.explore(spec.fit("em", seed=1))
    >>> "sliders" in widgets._repr_html_()
    True
    """
    subject = make_subject(fit, None)
    blocks: list[Block] = []
    for name, (one, spec) in subject.at_hand.items():
        if spec.kind.named:
            blocks += event_sliders(name, one, spec)
        else:
            for block in spec.layout.blocks:
                sliders = survival_sliders if block.survival else mean_sliders
                blocks += sliders(name, one, spec, block.name)
            blocks += weight_sliders(name, one, spec)
        if one.k > 1:  # open, unless sliders come first
            blocks.append(replace(unit_table(name, one.membership()), opened=not blocks))
    if not blocks:
        msg = "explore() shows memberships, and what depends on covariates; this fit has neither"
        raise FitError(msg)
    words = subject.sample_words
    return Explorer((*([Words(words, "note")] if words else []), *blocks))
