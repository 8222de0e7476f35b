"""Fits with different numbers of components."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from bayesmix import methods
from bayesmix._arguments import Hinted, anything, check_known, door, generator
from bayesmix.api.competing import CompetingRisks
from bayesmix.api.mixture import Mixture
from bayesmix.api.pointfit import PointFit
from bayesmix.comparison.evidence import model_probabilities
from bayesmix.errors import FitError, SpecError, warn, warnings_about
from bayesmix.estimation.likelihood_ratio import LikelihoodRatioTest, bootstrap_test, vuong_test
from bayesmix.estimation.select import best_of, check_range, selection_table
from bayesmix.results import describe

KINDS = ("bootstrap", "vlmr")
RESAMPLES = 200


@door(error=FitError)
@dataclass(frozen=True, eq=False, repr=False)
class Selection(Hinted):
    """Fits with different numbers of components.  Made by `select`.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> spec = bmx.Mixture("Faults ~ 1", bmx.load_data("fabricfault"), family="poisson")
    >>> selection = bmx.select(spec, k=[1, 2, 3], seed=1)
    >>> selection.best("bic").k, selection[3].status
    (2, 'converged')
    """

    _kind: ClassVar[str] = "selection"
    _fits: dict[int, PointFit]

    @property
    def table(self) -> pd.DataFrame:
        """One row for each requested number of components.

        Columns: k, k0 (the number requested), converged, status, iterations, agreeing (number
        of starts that reached the best), loglik, df, aic, bic, icl, sabic, caic, entropy
        (relative, 1 = clear-cut), smallest (the smallest mean weight), and flags: what to
        check before you choose the fit.
        """
        return selection_table({k: f._fitted for k, f in self._fits.items()})

    def __getitem__(self, k: int) -> PointFit:
        if k not in self._fits:
            raise KeyError(f"k={k!r} was not fitted; there are {list(self._fits)}")
        return self._fits[k]

    def best(self, by: str = "bic") -> PointFit:
        """The fit with the best value of a criterion.

        Parameters
        ----------
        by : str
            "bic", "bic_units", "aic", "icl", "sabic", "caic" or "loglik".

        Returns
        -------
        PointFit
            Degenerate and spurious fits are never chosen.

        Raises
        ------
        FitError
            If the criterion is unknown, or every fit is degenerate or spurious.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> spec = bmx.Mixture("Faults ~ 1", bmx.load_data("fabricfault"), family="poisson")
        >>> selection = bmx.select(spec, k=[1, 2, 3], seed=1)
        >>> [selection.best(by).k for by in ("bic", "icl")]
        [2, 2]
        """
        return self._fits[best_of({k: f._fitted for k, f in self._fits.items()}, by)]

    def test(
        self,
        k0: int,
        k1: int | None = None,
        kind: str = "bootstrap",
        *,
        n_boot: int | None = None,
        seed: Any = None,
        progress: bool | None = None,
        n_jobs: int | None = None,
    ) -> LikelihoodRatioTest:
        """Test k0 components against k1 with a likelihood ratio.

        Parameters
        ----------
        k0, k1 : int
            The requested numbers of components; by default k1 is k0 + 1.
        kind : str
            "bootstrap": simulate responses from the fit with k0 components, and fit both models
            to them (McLachlan 1987).  "vlmr": compare with a weighted sum of chi-squares (Vuong
            1989; Lo, Mendell and Rubin 2001).  That is quick and customary, but the theorem
            behind it does not hold for numbers of components (Jeffries 2003).
        n_boot : int, optional
            Number of resamples for "bootstrap", 200 by default.
        seed : int or numpy.random.Generator, optional
        progress : bool, optional
        n_jobs : int, optional
            Number of processes for the resamples; -1 means one for each core.  More than one
            needs joblib.  By default, a bootstrap of more than ten seconds uses several processes
            if joblib is installed.  The result does not depend on the number.

        Returns
        -------
        LikelihoodRatioTest
            It has `statistic`, `p_value` and `draws`.

        Raises
        ------
        FitError
            If a fit is degenerate, spurious or reduced, the kind is unknown, an option belongs to
            another kind, joblib is missing for `n_jobs`, or responses cannot be simulated.

        Warns
        -----
        ConvergenceWarning
            If a fit stopped before it converged: the statistic may be too low or too high.
            If Ctrl-C ended a bootstrap: it has the resamples so far, if these are 19 or more.

        References
        ----------
        McLachlan (1987), Applied Statistics 36, 318-324.  Vuong (1989), Econometrica 57,
        307-333.  Lo, Mendell and Rubin (2001), Biometrika 88, 767-778.  Jeffries (2003),
        Biometrika 90, 991-994.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> spec = bmx.Mixture("Faults ~ 1", bmx.load_data("fabricfault"), family="poisson")
        >>> selection = bmx.select(spec, k=[1, 2], seed=1)
        >>> selection.test(1, 2, kind="vlmr").p_value < 0.05
        True
        """
        k1 = k0 + 1 if k1 is None else k1
        missing = [n for n in (k0, k1) if n not in self._fits]
        if missing:
            raise FitError(f"test(): k={missing[0]!r} was not fitted; there are {list(self._fits)}")
        check_known(f"test(kind={kind!r})", kind, KINDS)
        small, large = self._fits[k0]._fitted, self._fits[k1]._fitted
        if kind == "bootstrap":
            n = RESAMPLES if n_boot is None else n_boot
            rng = generator(seed)
            return bootstrap_test(small, large, n, rng, progress, n_jobs)
        given = {"n_boot": n_boot, "seed": seed, "progress": progress, "n_jobs": n_jobs}
        wrong = [f"{name}=" for name, value in given.items() if value is not None]
        if wrong:
            raise FitError(f"{', '.join(wrong)} belongs to kind='bootstrap', not to 'vlmr'")
        return vuong_test(small, large)

    def evidence(
        self,
        method: str = "nuts",
        prior: Mapping[int, float] | None = None,
        seed: Any = None,
        **options: Any,
    ) -> pd.DataFrame:
        r"""Posterior probabilities of the numbers of components.

        .. math:: P(k \mid y) \propto P(k) \int p(y \mid \theta_k) p(\theta_k) d\theta_k

        Every model is fitted again with Bayes and its own priors; `Posterior.evidence` gives its
        evidence.  Evidence compares priors as much as models: vague priors favour few
        components.

        Parameters
        ----------
        method : str
            "nuts" or "laplace".
        prior : dict of int to float, optional
            Prior probabilities P(k) by requested k; by default all are equal.
        seed : int or numpy.random.Generator, optional
        **options
            Options of `Mixture.fit`, such as ``draws``.

        Returns
        -------
        DataFrame
            Indexed by requested k: log_evidence, error (its standard error), prior and
            probability.

        Raises
        ------
        FitError
            If the evidence of a posterior cannot be computed (see `Posterior.evidence`), or the
            prior probabilities are for other k.
        SpecError
            If the priors are flat.

        References
        ----------
        Fruehwirth-Schnatter (2004), Econometrics Journal 7, 143-167.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> spec = bmx.Mixture("Faults ~ 1", bmx.load_data("fabricfault"), family="poisson")
        >>> selection = bmx.select(spec, k=[1, 2], seed=1)
        >>> table = selection.evidence("laplace", seed=1)
        >>> int(table["probability"].idxmax())
        2
        """
        prior = dict.fromkeys(self._fits, 1 / len(self._fits)) if prior is None else dict(prior)
        if set(prior) != set(self._fits) or not all(p >= 0 for p in prior.values()):
            msg = f"prior={prior!r} must give a probability for each of {list(self._fits)}"
            raise FitError(msg)
        rng = generator(seed)
        rows = []
        for k, fit in self._fits.items():
            posterior = fit.spec.fit(method, seed=int(rng.integers(2**31)), **options)
            try:
                found = posterior.evidence(rng)
            except FitError as error:
                raise FitError(f"k = {k}: {error}") from None
            rows.append((found.log_evidence, found.error, float(prior[k])))
        out = pd.DataFrame(
            rows, columns=["log_evidence", "error", "prior"], index=pd.Index(self._fits, name="k")
        )
        out["prior"] /= out["prior"].sum()
        logs, before = out["log_evidence"].to_numpy(), out["prior"].to_numpy()
        return out.assign(probability=model_probabilities(logs, before))

    def __repr__(self) -> str:
        return f"Selection of the number of components\n{describe.selection_text(self.table)}"

    def _repr_html_(self) -> str:
        return describe.selection_html(self.table)


@door(k=anything)
def select(
    spec: Mixture | CompetingRisks,
    k: Iterable[int] | int = range(1, 6),
    method: str = "em",
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Selection:
    """Fit a model with different numbers of components.

    Parameters
    ----------
    spec : Mixture
    k : iterable of int, or int
        One number of components, or several.
    method : str
        "em", "ml" or "map".
    checkpoint : str or path, optional
        A file, such as "selection.nc", that keeps every fit as soon as it is made.  If the run
        is interrupted, the same call makes only the missing fits.
    **options
        Options of `Mixture.fit` except ``init``: every k makes its own starts.

    Returns
    -------
    Selection
        ``selection[k]`` is a fit, `table` has all criteria, and ``best("bic")`` chooses a fit.

    Raises
    ------
    SpecError
        If the model is not a `Mixture` (competing events have as many components as events), a
        k is not a positive whole number, or an option does not apply.

    Warns
    -----
    ConvergenceWarning
        If Ctrl-C stopped it: the selection then has the fits made so far.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("betablocker")
    >>> spec = bmx.Mixture("p(Deaths, Total) ~ 1 | Center", data, family="binomial", k=2,
    ...                    fixed="~ Treatment")
    >>> bmx.select(spec, k=[1, 2, 3], seed=1).best("bic").k
    3
    """
    if isinstance(spec, CompetingRisks):
        raise SpecError(
            "select() takes a Mixture, not CompetingRisks; the events are its components, and "
            "bmx.compare() chooses families"
        )
    if "init" in options:
        raise SpecError("select() makes its own starts for every k; leave init= out")
    methods.named(method, "point")
    saved = None
    if checkpoint is not None:
        given = {**options, "method": method}
        saved = methods.checkpoint(spec.with_k(1)._spec, spec._priors, checkpoint, given)
        options["seed"] = saved.seed
    fits: dict[int, Any] = {}
    requested = list(check_range(k))
    for n in requested:
        try:
            with warnings_about(f"k = {n}"):
                fits[n] = _kept_or_made(spec.with_k(n), method, options, saved)
        except KeyboardInterrupt:
            if not fits:
                raise
            wanted, made = (", ".join(map(str, ks)) for ks in (requested, fits))
            warn("interrupted", f"interrupted: of k = {wanted} only {made} ran")
            break
    return Selection(fits)


def _kept_or_made(model: Mixture, method: str, options: Mapping[str, Any], saved: Any) -> PointFit:
    """The fit from the checkpoint, or a new one that is kept there unless it is interrupted."""
    name = f"k_{model.k}"
    kept = None if saved is None else saved.get_fit(name, model._spec)
    if kept is not None:
        return model._result(kept)  # type: ignore[return-value]
    fit: PointFit = model.fit(method, **options)
    if fit._fitted.interrupted:
        raise KeyboardInterrupt
    if saved is not None:
        saved.put_fit(name, fit._fitted)
    return fit
