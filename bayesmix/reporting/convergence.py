"""How the fits ended, with warnings first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from bayesmix import methods
from bayesmix.comparison.scores import is_posterior
from bayesmix.reporting.blocks import Block, Table, Words
from bayesmix.reporting.criteria import criteria_doubts
from bayesmix.reporting.files import fixed, plural
from bayesmix.reporting.pictures import diagnostics_picture
from bayesmix.reporting.subject import Subject
from bayesmix.sampling.laplace import GOOD_K

SMALL_SHARE = 0.01


def convergence(subject: Subject) -> Iterator[Block]:
    """Warnings of every fit, and how it ended."""
    warned, rows = [], []
    for name, fit in subject.fits.items():
        warned += [Words(subject.named(name, words), "warning") for words in fit_warnings(fit)]
        ended = _posterior_end(fit) if name in subject.posteriors else _point_end(fit)
        rows.append((name, methods.words(fit.method), *ended))
    ends = pd.DataFrame(rows, columns=["fit", "method", "status", "in numbers"])
    fine = "The fit ended" if len(rows) == 1 else "All fits ended"
    yield from warned
    if not warned and criteria_doubts(subject):
        yield Words(f"{fine} well.", "good")
        yield Words("One of the criteria cannot be relied on; its section says which.", "note")
    elif not warned:
        yield Words(f"{fine} well; there are no warnings.", "good")
    yield Table("convergence", "How the fits ended", ends)


def chains(subject: Subject) -> Iterator[Block]:
    """Pictures of the chains of posteriors by NUTS."""
    for name, fit in subject.posteriors.items():
        if fit.method == "nuts":
            yield diagnostics_picture(name, fit)


def fit_warnings(fit: Any) -> list[str]:
    """What is wrong with a fit, in sentences."""
    return posterior_warnings(fit) if is_posterior(fit) else point_warnings(fit)


def point_warnings(fit: Any) -> list[str]:
    """What a reader of a point fit needs to know."""
    if fit.status == "converged" or fit.reasons:
        return list(fit.reasons)
    return [f"The fit ended with the status {fit.status!r}."]


def _point_end(fit: Any) -> tuple[str, str]:
    starts = fit.starts
    agreeing = starts.attrs["agreeing"]
    words = f"{agreeing} of {plural(len(starts), 'start')} reached the best log-likelihood"
    return fit.status, f"{words}, {fixed(fit.loglik, 4)}"


def posterior_warnings(fit: Any) -> list[str]:
    """What a reader of a posterior needs to know."""
    words = []
    if fit.method == "laplace":
        if not fit.khat <= GOOD_K:
            words.append(
                f"Laplace's approximation is poor here: Pareto k-hat is {fit.khat:.2f}, above "
                f"{GOOD_K}. Its intervals may be wrong."
            )
    else:
        found = fit.diagnostics()
        words += [str(finding) for finding in found.findings]
        if "unvisited modes" in found.kinds:  # reported already
            return words
    modes = fit.modes
    nowhere = (modes["chains"] == 0) & (modes["apart"] == "")
    missed = modes[nowhere & (modes["share"] > SMALL_SHARE)]
    if len(missed):
        shares = ", ".join(f"{share:.0%}" for share in missed["share"])
        words.append(
            f"The posterior has {plural(len(missed), 'mode')} that no chain began in, with about "
            f"{shares} of the mass (Laplace's estimate)."
        )
    return words


def _posterior_end(fit: Any) -> tuple[str, str]:
    if fit.method == "laplace":
        good = fit.khat <= GOOD_K
        return "good" if good else "poor", f"Pareto k-hat {fit.khat:.2f} (good up to {GOOD_K})"
    diagnosis = fit.diagnostics()
    worst, least = diagnosis.table["r_hat"].max(), diagnosis.table["ess_bulk"].min()
    sizes = fit.data["posterior"].sizes
    words = f"{plural(sizes['chain'], 'chain')} of {plural(sizes['draw'], 'draw')}; "
    if np.isfinite(worst):
        words += f"largest R-hat {worst:.3f}, "
    words += f"smallest effective sample size {least:.0f}"
    if diagnosis.divergences > 0:
        words += f", {diagnosis.divergences:.1%} of transitions divergent"
    return "converged" if diagnosis.healthy else "see the warnings", words
