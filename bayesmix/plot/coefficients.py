"""Coefficients with their intervals, of one fit or side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments.classes import PointFit, Posterior
from bayesmix.comparison import compare_estimates
from bayesmix.errors import FitError
from bayesmix.plot.picture import interactive, picture
from bayesmix.plot.style import Axes, beside, colour, lines_down, marker, panels
from bayesmix.results.smooths import COEFFICIENTS
from bayesmix.results.tables import ENDS, KEYS

SPREAD = 0.5


@picture
def coefficients(
    fits: PointFit | Posterior | Mapping[str, PointFit | Posterior],
    terms: Sequence[str] | None = None,
    ci: float = 0.95,
    ax: Any = None,
    backend: str | None = None,
) -> Any:
    """Draw coefficients with their intervals, a panel for each term.

    Point fits have Wald intervals, posteriors have means and equal-tailed credible intervals.
    A fixed effect is drawn once, in the line "all".  A hollow marker has no interval (at a
    boundary, or held).  Several fits are matched by the names of their components, in the order
    that each fit reports; `estimates` matches them by the memberships of the units.

    Parameters
    ----------
    fits : PointFit or Posterior, or dict of str to these
    terms : sequence of str, optional
        Some of the terms of the summary; by default all with a regression coefficient.
    ci : float
        Coverage of the intervals.
    ax : array of Axes, optional
        One for each term.
    backend : {"matplotlib", "plotly", "bokeh"}, optional
        "plotly" and "bokeh" give an interactive picture.
    figsize : (float, float), optional
        Width and height of a new picture in inches.
    title : str, optional

    Returns
    -------
    ndarray of Axes, one for each term; of an interactive backend ArviZ's PlotCollection

    Raises
    ------
    FitError
        If a term is unknown, or `ax` does not fit.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("fabricfault")
    >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
    >>> axes = bmx.plot.coefficients(spec.fit("em", seed=1))
    >>> [a.get_title() for a in axes]
    ['log(Length)', 'Intercept']
    """
    named = dict(fits) if isinstance(fits, Mapping) else {"": fits}
    if not named:
        raise FitError("coefficients() needs a fit, or a dict with at least one")
    tables = {name: coefficient_rows(fit, ci) for name, fit in named.items()}
    return draw_panels(tables, terms, ax, "estimate", backend)


def draw_panels(
    tables: Mapping[str, pd.DataFrame],
    terms: Sequence[str] | None,
    ax: Any,
    label: str,
    backend: str | None,
) -> Any:
    """A panel for each term with the estimates and intervals of every table.

    Parameters
    ----------
    tables : dict of str to DataFrame
        By the name of the fit: term, effect, line, estimate, lower, upper.
    terms : sequence of str, or None
        Those wanted; None: all.
    ax : array of Axes, or None
    label : str
        Below the horizontal axes.
    backend : str, or None

    Raises
    ------
    FitError
        If a term is unknown, or `ax` does not fit.
    """
    known = list(dict.fromkeys(t for table in tables.values() for t in table["term"]))
    wanted = known if terms is None else list(terms)
    unknown = [t for t in wanted if t not in known]
    if unknown or not wanted:
        raise FitError(f"terms={unknown or wanted!r}: use some of {known}")
    lines, n = _lines(tables, wanted), len(tables)
    shifts = [SPREAD * (number / (n - 1) - 0.5) if n > 1 else 0.0 for number in range(n)]
    if interactive(backend, ax):
        from bayesmix.plot.interactive import draw_intervals

        return draw_intervals(str(backend), tables, wanted, lines, shifts, label)
    axes = panels(ax, len(wanted), "one for each term", share_x=False)
    for panel, term in zip(axes, wanted, strict=True):
        own = [table[table["term"] == term] for table in tables.values()]
        for number, (name, table) in enumerate(zip(tables, own, strict=True)):
            looks = range(len(lines)) if len(tables) == 1 else [number] * len(lines)
            _draw(panel, table, lines, shifts[number], looks, name)
        if not all((table["effect"] == "dispersion").all() for table in own):
            panel.axvline(0, color="0.6", linewidth=0.8, zorder=0)
        panel.set_title(term)
        panel.set_xlabel(label)
    lines_down(axes[0], lines)
    axes[0].set_ylabel("component")
    if len(tables) > 1:
        axes[-1].legend(fontsize="small", **beside(ax is None))
    return axes


def coefficient_rows(fit: PointFit | Posterior, ci: float) -> pd.DataFrame:
    """Rows of the summary with regression coefficients; a fixed effect once, as "all"."""
    table = fit.summary(ci).rename(columns={"mean": "estimate"})
    return with_lines(table[table["effect"].isin(COEFFICIENTS)])


def with_lines(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the line of each row; a fixed effect stands once, as "all"."""
    fixed = table["effect"] == "fixed"
    table = table[~(fixed & table.duplicated(["term", "effect"]))]
    line = table["component"].astype(object).mask(table["effect"] == "fixed", "all")
    return table.assign(line=line)


def _lines(tables: Mapping[str, pd.DataFrame], terms: Sequence[str]) -> list[Any]:
    """The lines of a panel: components in their order, and "all" below them."""
    seen = dict.fromkeys(
        c for table in tables.values() for c in table.loc[table["term"].isin(terms), "line"]
    )
    return [c for c in seen if c != "all"] + (["all"] if "all" in seen else [])


def _draw(
    ax: Axes,
    table: pd.DataFrame,
    lines: list[Any],
    shift: float,
    looks: Sequence[int],
    name: str,
) -> None:
    """Estimates and intervals of one term of one fit; a number for the look of each line."""
    numbers = table[ENDS].to_numpy(dtype=float)
    for i, (line, (estimate, *ends)) in enumerate(zip(table["line"], numbers, strict=True)):
        number = looks[lines.index(line)]
        look = "0.3" if line == "all" and len(set(looks)) > 1 else colour(number)
        place = lines.index(line) + shift
        known = bool(np.isfinite(ends).all() and ends[0] < ends[1])
        if known:
            ax.plot(ends, [place, place], color=look, linewidth=1.6)
        ax.plot(
            [estimate],
            [place],
            linestyle="none",
            marker=marker(number),
            color=look,
            markerfacecolor=look if known else "white",
            label=name if i == 0 and name else None,
        )


@picture
def estimates(
    fits: Mapping[str, PointFit | Posterior],
    terms: Sequence[str] | None = None,
    dispersions: bool = False,
    ax: Any = None,
    backend: str | None = None,
) -> Any:
    """Draw the estimates of several fits of one model, a panel for each term.

    The numbers are those of `compare_estimates`, which matches the components of later fits to
    those of the first.  Point fits have 95% confidence intervals, posteriors have means and 95%
    credible intervals.  A fixed effect is drawn once, in the line "all".  A hollow marker has no
    interval.

    Parameters
    ----------
    fits : dict of str to PointFit or Posterior
        Two or more by name, such as ``{"ML": ml, "Bayes": posterior}``.
    terms : sequence of str, optional
        Some of the terms; by default all that are drawn.
    dispersions : bool
        Whether to draw dispersions too, on their natural scale.
    ax : array of Axes, optional
        One for each term.
    backend : {"matplotlib", "plotly", "bokeh"}, optional
        "plotly" and "bokeh" give an interactive picture.
    figsize : (float, float), optional
        Width and height of a new picture in inches.
    title : str, optional

    Returns
    -------
    ndarray of Axes, one for each term; of an interactive backend ArviZ's PlotCollection

    Raises
    ------
    SpecError
        If the fits are not of one model and the same data.
    FitError
        If `fits` is not a dict of two or more, a term is unknown, or `ax` does not fit.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("fabricfault")
    >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
    >>> both = {"EM": spec.fit("em", seed=1), "MAP": spec.fit("map", seed=1)}
    >>> [a.get_title() for a in bmx.plot.estimates(both)]
    ['log(Length)', 'Intercept']
    """
    if not isinstance(fits, Mapping) or len(fits) < 2:
        raise FitError(
            'estimates() needs a dict of two or more fits by name, such as {"ML": ml, "Bayes": '
            "post}; coefficients() draws one"
        )
    tables = estimate_rows(fits, dispersions)
    return draw_panels(tables, terms, ax, "estimate, 95% interval", backend)


def estimate_rows(fits: Mapping[str, Any], dispersions: bool) -> dict[str, pd.DataFrame]:
    """What is drawn of each fit: component, term, effect, line, estimate, lower, upper."""
    table = compare_estimates(fits)
    kinds = (*COEFFICIENTS, "dispersion") if dispersions else COEFFICIENTS
    table = table[table["effect"].isin(kinds)]
    tables = {}
    for name in fits:
        own = table[[*KEYS, *(f"{name}_{end}" for end in ENDS)]]
        tables[name] = with_lines(own.set_axis([*KEYS, *ENDS], axis=1))
    return tables
