"""The demo: two published examples, fitted, explained in words and drawn, and a posterior."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

import bayesmix as bmx
from bayesmix.cli.parser import TEXTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bayesmix.api import PointFit, Posterior, Selection

Write = Callable[[str], None]

# Log-likelihoods with three components in Gruen and Leisch's vignette "regression-examples"
# of the R package flexmix, which fits both examples.
KNOWN_PATENTS = -197.6753
KNOWN_TRIAL = -159.3605

TREATMENT = "Treatment[Treated]"


def run(out: Path, seed: int, write: Write, sample: bool = True) -> list[Path]:
    """Fit both examples, write about them, and save their pictures.

    Parameters
    ----------
    out : Path
        Folder for the pictures; made if it is not there.
    seed : int
        Seed of the random starts.
    write : callable
        Takes the text, a few lines at a time; `print` will do.
    sample : bool
        Sample the posterior of the second example too, which takes most of the time.

    Returns
    -------
    list of Path
        The pictures.

    Raises
    ------
    OSError
        If the folder cannot be made or written to.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = run(Path(folder), seed=1, write=lambda text: None, sample=False)
    >>> [file.name for file in files][:2]
    ['patents-means.png', 'patents-memberships.png']
    """
    out.mkdir(parents=True, exist_ok=True)
    write(f"bayesmix {bmx.__version__}: two published examples, random starts from seed {seed}.")
    figures = {**patents(seed, write), **trial(seed, write)}
    if sample:
        figures |= bayes(seed, write)
    files = []
    for name, figure in figures.items():
        files.append(out / f"{name}.png")
        figure.savefig(files[-1], dpi=120)
    write("\nPictures\n--------")
    write("\n".join(f"  {file}" for file in files))
    return files


def patents(seed: int, write: Write) -> dict[str, Figure]:
    """The patent example: K by BIC, and what the components are."""
    data = bmx.load_data("patent")
    spec = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3, concomitant="~ RDS")
    write(TEXTS["demo"]["patents"])
    selection = bmx.select(spec, k=range(1, 6), seed=seed)
    fit = _chosen(selection, write)
    slopes, sizes = fit.coefficients().loc["lgRD"], fit.sizes()["size"]
    write("\nIn words: one percent more research spending goes with")
    for component, slope, size in zip(fit.components, slopes, sizes, strict=True):
        write(f"  {slope:.2f} percent more patents in component {component} ({size} companies)")
    write(_known(selection[3], KNOWN_PATENTS))
    return _pictures(fit, "patents")


def trial(seed: int, write: Write) -> dict[str, Figure]:
    """The beta-blocker trial: groups of centres, and the effect of the treatment."""
    write(TEXTS["demo"]["trial"])
    selection = bmx.select(_trial_model(), k=range(1, 5), seed=seed)
    fit = _chosen(selection, write)
    write(treatment_words(fit))
    write(_known(selection[3], KNOWN_TRIAL))
    return _pictures(fit, "beta-blockers")


def _trial_model() -> bmx.Mixture:
    data = bmx.load_data("betablocker")
    return bmx.Mixture(
        "p(Deaths, Total) ~ 1 | Center", data, family="binomial", k=3, fixed="~ Treatment"
    )


def bayes(
    seed: int, write: Write, draws: int | None = None, tune: int | None = None
) -> dict[str, Figure]:
    """The trial with three components by NUTS, beside maximum likelihood."""
    from matplotlib.figure import Figure

    spec = _trial_model()
    write(TEXTS["demo"]["bayes"])
    began = perf_counter()
    lengths = {"draws": draws, "tune": tune}
    given = {name: value for name, value in lengths.items() if value is not None}
    ml, post = spec.fit("em", seed=seed), spec.fit("nuts", seed=seed, **given)
    count = post.data["posterior"]["coef"].isel(component=0, term=0).size
    write(f"{count} draws in {perf_counter() - began:.1f} seconds.\n")
    fits = {"ML": ml, "Bayes": post}
    shown = ["component", "term", "ML_estimate", "ML_error", "Bayes_estimate", "Bayes_error"]
    write(bmx.compare_estimates(fits)[shown].round(3).to_string(index=False))
    write(f"\n{post.diagnostics()!r}")
    write(odds_words(post))
    write(f"\nLeaving out one centre at a time\n{post.loo(seed=seed)!r}")
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    bmx.plot.estimates(fits, ax=figure.subplots(1, 2, sharey=True))
    return {"beta-blockers-ml-and-bayes": figure}


def odds_words(post: Posterior) -> str:
    """The odds ratio of the treatment with its credible interval."""
    draws = post.data["posterior"]["coef"].sel(term=TREATMENT).isel(component=0).to_numpy()
    low, middle, high = np.exp(np.quantile(draws, [0.025, 0.5, 0.975]))
    return (
        f"\nIn words: treatment multiplies the odds of dying by {middle:.2f}, with 95% "
        f"probability by\n{low:.2f} to {high:.2f}; it lowers them in {np.mean(draws < 0):.1%} of "
        "the draws."
    )


def treatment_words(fit: PointFit) -> str:
    """The effect of the treatment as an odds ratio, and the mortality of the controls."""
    table = fit.summary()
    row = table[table["term"] == TREATMENT].iloc[0]
    ratio, low, high = np.exp(row[["estimate", "lower", "upper"]].to_numpy(dtype=float))
    change = f"{abs(1 - ratio):.0%} {'lower' if ratio < 1 else 'higher'}"
    control = fit.predict(pd.DataFrame({"Treatment": ["Control"]})).to_numpy()[0]
    centres = fit.clusters().value_counts()
    groups = ", ".join(
        f"{rate:.1%} ({int(centres.get(c, 0))} centres)"
        for c, rate in zip(fit.components, control, strict=True)
    )
    return (
        f"\nIn words: treatment multiplies the odds of dying by {ratio:.2f} (95% interval "
        f"{low:.2f} to\n{high:.2f}); the odds are {change}. Mortality of the controls by group "
        f"of centres:\n{groups}."
    )


def _chosen(selection: Selection, write: Write) -> PointFit:
    """Show the table of all K and the fit with the lowest BIC."""
    fit = selection.best("bic")
    write(repr(selection))
    write(f"\nBIC is lowest at K = {fit.k_requested}.\n")
    write(repr(fit))
    return fit


def _known(fit: PointFit, known: float) -> str:
    """The log-likelihood beside the published one."""
    near = abs(fit.loglik - known) < 0.01
    verdict = "they agree" if near else "they differ; other starts (--seed) may do better"
    return (
        f"\nLog-likelihood with K = 3: {fit.loglik:.4f} here, {known:.4f} in the vignette of "
        f"R's flexmix:\n{verdict}."
    )


def _pictures(fit: PointFit, name: str) -> dict[str, Figure]:
    """Means, memberships and weights, on figures that no screen and no pyplot knows of."""
    from matplotlib.figure import Figure

    figures: Mapping[str, Figure] = {
        "means": Figure(figsize=(6.4, 4.4), layout="constrained"),
        "memberships": Figure(figsize=(2.6 * fit.k, 3.0), layout="constrained"),
        "weights": Figure(figsize=(4.8, 3.6), layout="constrained"),
    }
    bmx.plot.fitted(fit, ax=figures["means"].subplots())
    panels = figures["memberships"].subplots(1, fit.k, sharey=True)
    bmx.plot.rootogram(fit, mark=fit.components[-1], ax=panels)
    bmx.plot.mixing(fit, ax=figures["weights"].subplots())
    return {f"{name}-{part}": figure for part, figure in figures.items()}
