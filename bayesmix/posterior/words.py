"""A posterior in words: what a terminal or a notebook shows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayesmix._arguments.printing import as_html, as_text, html_table
from bayesmix.posterior.drawn import Drawn
from bayesmix.posterior.filled import filled_words
from bayesmix.posterior.tables import posterior_summary
from bayesmix.results.describe import model_title, spec_lines


def _lines(drawn: Drawn, table: pd.DataFrame) -> list[tuple[str, str]]:
    chains, draws = drawn.theta.shape[:2]
    lines = spec_lines(drawn.spec)
    if drawn.method == "laplace":
        lines.append(("draws", f"{draws}, proposal {drawn.sampler}, k-hat {drawn.khat:.2f}"))
    elif drawn.method == "stacking":
        lines.append(("draws", f"{draws}, from chains by {drawn.sampler} weighted by stacking"))
    else:
        kept = "" if drawn.thin == 1 else f", one kept of every {drawn.thin}"
        lines.append(("draws", f"{chains} chains of {draws} by {drawn.sampler}{kept}"))
        if drawn.apart is not None:
            shares = ", ".join(f"{drawn.modes[m].share:.0%}" for m in drawn.apart.mode)
            lines.append(("separate", f"chains from modes with {shares} of the mass"))
        least = f"smallest bulk ESS {table['ess_bulk'].min():.0f}"
        words = f"largest R-hat {table['r_hat'].max():.3f}, {least}"
        alone = f"{least}; R-hat needs at least 2 chains"
        lines.append(("convergence", alone if chains == 1 else words))
        divergent = int(np.sum(drawn.stats.get("diverging", 0)))
        if divergent:
            lines.append(("divergences", f"{divergent}"))
    if drawn.priors.is_sparse:
        lines.append(("filled components", f"{filled_words(drawn)}, of {drawn.spec.k}"))
    named = drawn.spec.kind.named
    labels = "the events name the components" if named else f"relabelled by {drawn.relabelling}"
    lines.append(("labels", labels))
    if len(drawn.modes) > 1 and drawn.modes[1].share > 0.005:
        shares = ", ".join(f"{m.share:.0%}" for m in drawn.modes if m.share > 0.005)
        lines.append(("modes", f"{shares} of the mass (Laplace's estimate)"))
    return lines


def _title(drawn: Drawn) -> str:
    model = model_title(drawn.spec)
    return f"Posterior of a {model[0].lower()}{model[1:]}, by {drawn.method}"


def posterior_text(drawn: Drawn) -> str:
    """A posterior as text."""
    table = posterior_summary(drawn, 0.95)
    title = _title(drawn)
    return f"{as_text(title, _lines(drawn, table))}\n\n{table}"


def posterior_html(drawn: Drawn) -> str:
    """A posterior as HTML."""
    table = posterior_summary(drawn, 0.95)
    title = _title(drawn)
    return as_html(title, _lines(drawn, table)) + html_table(table)
