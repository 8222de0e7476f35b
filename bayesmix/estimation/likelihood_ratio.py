"""Tests of k0 against k1 components by the ratio of their likelihoods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from time import monotonic

import numpy as np

from bayesmix._arguments import whole_number
from bayesmix._arguments.printing import Described, Lines, p_value
from bayesmix.errors import FitError, warn
from bayesmix.estimation.bootstrap import as_many_as_run, simulated_rows
from bayesmix.estimation.maximise import LOST, Options, make_starts, refitted
from bayesmix.estimation.progress import Progress
from bayesmix.likelihood.engine import information
from bayesmix.likelihood.information import unit_scores
from bayesmix.model import Rows
from bayesmix.results.fitted import Fitted

# Starts of the larger model in every resample, beside its fit to the data; the statistic needs
# neither the last digits nor parameters that are at infinity.
STARTS = 5
ROUGH = Options(tol=1e-6, max_iter=200)
# Seconds of work from which it is shared among processes, and resamples that tell.
WORTH_SHARING, TRIED = 10.0, 4
# Resamples, of which a p-value of 0.05 takes so many.
LEAST = 19
# Terms of a series that are added at once, and in all.
TERMS, MOST_TERMS = 1 << 12, 1 << 20


CAVEAT = (
    "Vuong's theorem does not hold for numbers of components (Jeffries 2003), and this test "
    "rejects the smaller model too often or too seldom; kind='bootstrap' does not rely on it"
)


@dataclass(frozen=True, eq=False, repr=False)
class LikelihoodRatioTest(Described):
    """A test of k0 against k1 components.  Made by `Selection.test`.

    Parameters
    ----------
    kind : str
        "bootstrap" or "vlmr".
    k0, k1 : int
        The requested numbers of components.
    statistic : float
        2 (log L1 - log L0).
    p_value : float
        Probability of a statistic at least as large with k0 components.  For a bootstrap,
        (1 + number of larger draws) / (1 + number of draws): never zero.
    adjusted : (float, float)
        Statistic and p-value adjusted by Lo, Mendell and Rubin; missing for "bootstrap".

    Examples
    --------
    >>> import bayesmix as bmx
    >>> spec = bmx.Mixture("Faults ~ 1", bmx.load_data("fabricfault"), family="poisson")
    >>> selection = bmx.select(spec, k=[1, 2], seed=1)
    >>> test = selection.test(1, 2, n_boot=99, seed=1, progress=False)
    >>> round(test.statistic, 2), round(test.p_value, 2), test.draws.shape
    (38.56, 0.01, (99,))
    """

    kind: str
    k0: int
    k1: int
    statistic: float
    p_value: float
    adjusted: tuple[float, float] = (np.nan, np.nan)
    _draws: np.ndarray = field(default_factory=lambda: np.empty(0))
    _weights: np.ndarray = field(default_factory=lambda: np.empty(0))

    @property
    def draws(self) -> np.ndarray:
        """Statistics of the resamples, missing where a refit failed; empty for "vlmr"."""
        return self._draws.copy()

    @property
    def weights(self) -> np.ndarray:
        """Weights of the chi-squares for "vlmr", descending; empty for "bootstrap"."""
        return self._weights.copy()

    @property
    def caveat(self) -> str:
        """What to keep in mind about this kind of test."""
        return CAVEAT if self.kind == "vlmr" else ""

    def _title(self) -> str:
        return f"Likelihood-ratio test ({self.kind})"

    def _lines(self) -> Lines:
        lines = [
            ("test", f"k = {self.k0} against k = {self.k1}"),
            ("statistic", f"{self.statistic:.4g}"),
            ("p-value", p_value(self.p_value)),
        ]
        if self.kind == "bootstrap":
            usable = int(np.isfinite(self.draws).sum())
            return [*lines, ("resamples", f"{usable} of {len(self.draws)} with two maxima")]
        value, p = self.adjusted
        adjusted = f"{value:.4g}, p-value {p_value(p)}"
        return [*lines, ("adjusted", adjusted), ("caveat", self.caveat)]


def _checked(small: Fitted, large: Fitted) -> float:
    """The statistic of two fits that can be compared."""
    if not small.spec.k < large.spec.k:
        raise FitError(
            f"the test needs k0 < k1, and the fits have {small.spec.k} and {large.spec.k} "
            "components"
        )
    for f, side in ((small, "too high"), (large, "too low")):
        if f.method not in ("em", "ml"):
            raise FitError(
                f"the test compares maximum likelihoods, and k={f.spec.k} was fitted by "
                f"{f.method!r}; use select(..., method='em')"
            )
        if f.status not in ("converged", "boundary", "max_iter"):
            raise FitError(
                f"the fit with k={f.spec.k} is {f.status}, so that its likelihood is not a regular "
                f"maximum: {' '.join(f.reasons)}"
            )
        if f.status == "max_iter":
            msg = (
                f"the fit with k={f.spec.k} stopped before it converged, so the statistic may be "
                f"{side}; select(..., max_iter=) with more iterations makes sure"
            )
            warn("max_iter", msg)
    return 2 * (large.loglik - small.loglik)


# --- bootstrap -----------------------------------------------------------------------------


def bootstrap_test(
    small: Fitted,
    large: Fitted,
    n_boot: int,
    rng: np.random.Generator,
    progress: bool | None,
    n_jobs: int | None,
) -> LikelihoodRatioTest:
    """The parametric bootstrap of the likelihood ratio (McLachlan 1987).

    Responses are drawn from the smaller fit and both models fitted to them, each resample
    with a random generator of its own: the result does not depend on `n_jobs`.

    Raises
    ------
    FitError
        If the fits cannot be compared, responses not simulated, or no refit succeeds.
    """
    observed = _checked(small, large)
    n_boot = whole_number("n_boot", n_boot, "the number of resamples", LEAST, FitError)
    if n_jobs not in (None, -1):
        n_jobs = whole_number("n_jobs", n_jobs, "the number of processes", 1, FitError)
    if small.spec.rows.weight is not None and (small.spec.rows.weight != 1).any():
        raise FitError(
            "test(kind='bootstrap') draws a response for each row, and a case weight stands for "
            "several: repeat the rows instead of weights=, or use kind='vlmr'"
        )
    with Progress(progress, n_boot, small.problem) as shown:
        tell = partial(shown.update, "bootstrap of the likelihood ratio")
        values = _resampled(small, large, rng.spawn(n_boot), n_jobs)
        draws = np.array(as_many_as_run(values, n_boot, LEAST, tell))
    usable = draws[np.isfinite(draws)]
    if 2 * len(usable) < len(draws):
        raise FitError(
            f"only {len(usable)} of {len(draws)} resamples have regular maxima of both models; use "
            "smaller k, or dispersion='fixed'"
        )
    p = (1 + int((usable >= observed).sum())) / (1 + len(usable))
    sizes = small.k_requested, large.k_requested
    return LikelihoodRatioTest("bootstrap", *sizes, observed, p, _draws=draws)


def _resampled(
    small: Fitted, large: Fitted, rngs: list[np.random.Generator], n_jobs: int | None
) -> Iterator[float]:
    """The statistic of every resample, in several processes where that pays."""
    one = partial(_resample, small.bare, large.bare)
    begin = monotonic()
    done = 0 if n_jobs not in (None, 1) else TRIED if n_jobs is None else len(rngs)
    for rng in rngs[:done]:
        yield one(rng)
    rest = rngs[done:]
    left = len(rest) * (monotonic() - begin) / max(done, 1)
    if not rest or (n_jobs is None and left < WORTH_SHARING):
        yield from map(one, rest)
        return
    try:
        from joblib import Parallel, delayed
    except ImportError:
        if n_jobs is not None:
            raise FitError(
                f"n_jobs={n_jobs} needs joblib: pip install joblib, or leave n_jobs= out"
            ) from None
        yield from map(one, rest)
        return
    jobs = -1 if n_jobs is None else n_jobs
    yield from Parallel(n_jobs=jobs, return_as="generator")(delayed(one)(rng) for rng in rest)


def _resample(small: Fitted, large: Fitted, rng: np.random.Generator) -> float:
    """The statistic of one resample; NaN where a model has no regular maximum."""
    rows0, rows1 = simulated_rows(small, rng, (small.spec, large.spec))
    with np.errstate(all="ignore"):
        low = _regular(refitted(small.spec, rows0, small.theta, options=ROUGH))
        high = _with_starts(large, rows1, rng, STARTS)
        if high < low - ROUGH.tol * abs(low):
            high = max(high, _with_starts(large, rows1, rng, 4 * STARTS))
    return float(np.maximum(0.0, 2 * (high - low)))  # which keeps NaN, as max does not


def _with_starts(fitted: Fitted, rows: Rows, rng: np.random.Generator, n_starts: int) -> float:
    """The log-likelihood of the best regular end from a fit and other starts."""
    more = partial(make_starts, n_starts=n_starts, rng=rng)
    return _regular(refitted(fitted.spec, rows, fitted.theta, None, ROUGH, more))


def _regular(end: tuple[np.ndarray, float, str]) -> float:
    """The log-likelihood of an end; NaN unless it is regular."""
    return np.nan if end[2] in LOST else end[1]


# --- Vuong, Lo, Mendell, Rubin ---------------------------------------------------------------


def vuong_test(small: Fitted, large: Fitted) -> LikelihoodRatioTest:
    r"""The likelihood ratio against a weighted sum of chi-squares (Vuong 1989, theorem 3.3).

    Its weights are the eigenvalues of

    .. math::

       W = \begin{pmatrix} B_{ff} J_f^{-1} & B_{fg} J_g^{-1} \\
                          -B_{gf} J_f^{-1} & -B_{gg} J_g^{-1} \end{pmatrix}

    with the observed information J of the larger model f and the smaller one g, and the
    sums B over units of the products of their scores.  Lo, Mendell and Rubin (2001) divide
    the statistic by 1 + 1 / ((p - q) log n), with p and q parameters and n units.

    Raises
    ------
    FitError
        If the fits cannot be compared, or an information is not positive definite.
    """
    observed = _checked(small, large)
    parts = [_scores(f) for f in (large, small)]
    sign = np.repeat([1.0, -1.0], [len(j) for _, j in parts])
    scores = np.hstack([s for s, _ in parts])
    w = small.spec.rows.weight
    product = scores.T @ (scores if w is None else scores * w[:, None])
    size = len(parts[0][1])
    inverse = np.zeros_like(product)
    inverse[:size, :size] = np.linalg.inv(parts[0][1])
    inverse[size:, size:] = np.linalg.inv(parts[1][1])
    weights = np.sort(np.linalg.eigvals(sign[:, None] * product @ inverse).real)[::-1]
    extra = large.spec.df - small.spec.df
    adjusted = observed / (1 + 1 / (extra * np.log(small.spec.n_units)))
    p, p_adjusted = (weighted_chi2_sf(x, weights) for x in (observed, adjusted))
    sizes, both = (small.k_requested, large.k_requested), (adjusted, p_adjusted)
    return LikelihoodRatioTest("vlmr", *sizes, observed, p, both, _weights=weights)


def _scores(fitted: Fitted) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the units (U, f) and the information (f, f), scaled to a diagonal of one."""
    free = np.flatnonzero(fitted.spec.free)
    j = information(fitted.problem, fitted.theta[None]).matrix[0][np.ix_(free, free)]
    diagonal = np.diag(j)
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, np.nan))
    j = j * np.outer(scale, scale)
    if not np.isfinite(j).all() or np.linalg.eigvalsh(j)[0] < 1e-10:
        raise FitError(
            f"the information of the fit with k={fitted.spec.k} is not positive definite: a "
            "parameter is at infinity or not determined; use kind='bootstrap'"
        )
    return unit_scores(fitted.problem, fitted.theta)[:, free] * scale, j


def weighted_chi2_sf(x: float, weights: np.ndarray) -> float:
    r"""P(sum_j w_j Z_j^2 > x) for independent standard normal Z_j.

    .. math::

       \tfrac12 + \sum_{i=0}^\infty \frac{\sin(\tfrac12 \sum_j \arctan(2 w_j u_i) - x u_i)}
       {\pi (i + \tfrac12) \prod_j (1 + 4 w_j^2 u_i^2)^{1/4}}, \quad u_i = (i + \tfrac12) \Delta

    is exact but for the chance that the sum is further than 2 pi / Delta from x: the
    characteristic function is inverted.

    Parameters
    ----------
    x : float
    weights : ndarray, shape (m,)
        Of any sign.

    References
    ----------
    Davies (1973), Biometrika 60, 415-417.
    """
    size = np.abs(weights).max(initial=0.0)
    w = weights[np.abs(weights) > 1e-9 * size]
    if not len(w):
        return float(x < 0)
    w, x = w / size, x / size
    step = 2 * np.pi / (abs(x) + np.abs(w).sum() + 12 * np.sqrt(np.square(w).sum()) + 80)
    total, first = 0.5, 0
    while first < MOST_TERMS:
        i = np.arange(first, first + TERMS) + 0.5
        wu = np.multiply.outer(2 * step * i, w)
        size_i = np.exp(-0.25 * np.log1p(np.square(wu)).sum(1)) / (np.pi * i)
        total += float((np.sin(0.5 * np.arctan(wu).sum(1) - x * step * i) * size_i).sum())
        if size_i[-1] < 1e-15:
            break
        first += TERMS
    return float(np.clip(total, 0.0, 1.0))
