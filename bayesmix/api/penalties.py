"""Fits over a path of penalties, with cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import check_known, door, generator, one_of
from bayesmix._arguments.printing import Described, Printed
from bayesmix.api.mixture import Mixture
from bayesmix.api.pointfit import PointFit
from bayesmix.distributions import Prior
from bayesmix.errors import FitError, SpecError, warnings_about
from bayesmix.estimation.held_out import fold_of, held_out

# The prior of each kind of penalty, and its scale.
PENALTIES = {"ridge": ("normal", "sigma"), "lasso": ("laplace", "b")}
# Of a coefficient that counts as zero, the share of the prior's scale.
ZERO = 1e-3
RULES = ("min", "one-se")


@door(error=FitError)
@dataclass(frozen=True, eq=False, repr=False)
class PenaltyPath(Described):
    """Fits with penalties of different strengths.  Made by `penalty_path`.

    Parameters
    ----------
    penalty : str
        "ridge" or "lasso".
    terms : tuple of str
        The terms with penalised coefficients.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import bayesmix as bmx
    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame(rng.normal(size=(200, 3)), columns=["a", "b", "c"])
    >>> data["y"] = 2 * data["a"] + rng.normal(size=200)
    >>> spec = bmx.Mixture("y ~ a + b + c", data, k=1)
    >>> path = bmx.penalty_path(spec, "lasso", scale=[1.0, 0.02], folds=4, seed=1)
    >>> list(path.table["nonzero"])
    [3, 1]
    """

    penalty: str
    terms: tuple[str, ...]
    _fits: Mapping[float, PointFit]
    _by_unit: Mapping[float, np.ndarray] | None

    @property
    def table(self) -> pd.DataFrame:
        """One row for each scale: status, loglik, nonzero, and held_out with its error.

        nonzero counts the penalised coefficients that are not zero.  held_out is the log
        predictive density of all units, each predicted by a fit to the other folds.
        """
        rows = []
        for scale, fit in self._fits.items():
            row: dict[str, Any] = {"scale": scale, "status": fit.status, "loglik": fit.loglik}
            row["nonzero"] = self._nonzero(scale)
            if self._by_unit is not None:
                values = self._by_unit[scale]
                row["held_out"] = float(values.sum())
                row["error"] = float(np.sqrt(len(values)) * values.std(ddof=1))
            rows.append(row)
        return Printed(rows)

    def __getitem__(self, scale: float) -> PointFit:
        if scale not in self._fits:
            raise KeyError(f"scale={scale!r} was not fitted; there are {list(self._fits)}")
        return self._fits[scale]

    def best(self, rule: str = "min") -> PointFit:
        """The fit that best predicts units that it has not seen.

        Parameters
        ----------
        rule : str
            "min": the largest `held_out`.  "one-se": the strongest penalty whose `held_out` is
            within one standard error of the largest (Breiman and others 1984); the standard
            error is that of the difference.

        Returns
        -------
        PointFit

        Raises
        ------
        FitError
            If the path was made without `folds`, or the rule is unknown.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> import bayesmix as bmx
        >>> rng = np.random.default_rng(1)
        >>> data = pd.DataFrame(rng.normal(size=(200, 3)), columns=["a", "b", "c"])
        >>> data["y"] = 2 * data["a"] + rng.normal(size=200)
        >>> spec = bmx.Mixture("y ~ a + b + c", data, k=1)
        >>> path = bmx.penalty_path(spec, "ridge", scale=[1.0, 0.01], folds=4, seed=1)
        >>> path.best() is path[1.0]
        True
        """
        check_known(f"best({rule!r})", rule, RULES)
        by_unit = self._by_unit
        if by_unit is None:
            raise FitError("best() needs cross-validation; give folds= to penalty_path()")
        top = max(by_unit, key=lambda scale: float(by_unit[scale].sum()))
        if rule == "min":
            return self._fits[top]
        near = []
        for scale, values in by_unit.items():
            behind = by_unit[top] - values
            if behind.sum() <= np.sqrt(len(behind)) * behind.std(ddof=1):
                near.append(scale)
        return self._fits[min(near)]

    def coefficients(self) -> pd.DataFrame:
        """The penalised coefficients: terms and components by scale.

        Returns
        -------
        DataFrame
        """
        columns = {scale: self._penalised(scale).stack() for scale in self._fits}
        return pd.DataFrame(columns).rename_axis(columns="scale")

    def _penalised(self, scale: float) -> pd.DataFrame:
        return self._fits[scale].coefficients().loc[list(self.terms)]

    def _nonzero(self, scale: float) -> int:
        values = self._penalised(scale).to_numpy()
        least = ZERO * scale if self.penalty == "lasso" else 0.0
        return int((np.abs(values) > least).sum())

    def _title(self) -> str:
        return f"Path of the {self.penalty} over {len(self._fits)} scales"

    def _table(self) -> pd.DataFrame:
        return self.table


@door(error=SpecError, penalty=one_of(*PENALTIES))
def penalty_path(
    spec: Mixture,
    penalty: str = "lasso",
    *,
    scale: Sequence[float],
    terms: Sequence[str] | None = None,
    folds: int | None = None,
    seed: Any = None,
    starts: int = 10,
) -> PenaltyPath:
    r"""Fit a model with penalties of different strengths, and compare the predictions.

    The penalty acts as a prior of the coefficients, and each fit is the mode

    .. math:: \log L - \sum_j |\beta_j| / b \quad \text{(lasso)} \qquad
              \log L - \tfrac12 \sum_j \beta_j^2 / \sigma^2 \quad \text{(ridge)}.

    All other parameters keep the priors of the model.  Penalised covariates should be on
    comparable scales, as ``scale(x)`` makes them.

    Parameters
    ----------
    spec : Mixture
    penalty : str
        "lasso", a Laplace prior with scale b, or "ridge", a normal one with standard deviation
        sigma, around zero.
    scale : list of float
        The scales, in your units; a small scale is a strong penalty.
    terms : list of str, optional
        Terms of `PointFit.coefficients` to penalise; by default all except intercepts.
    folds : int, optional
        Number of folds for cross-validation; without it `held_out` is missing.
    seed : int or numpy.random.Generator, optional
    starts : int
        Number of starts of the first fit; each later fit starts from the fit before.

    Returns
    -------
    PenaltyPath
        ``path[scale]`` is a fit; `table` compares them, and `best` chooses one.

    Raises
    ------
    SpecError
        If the penalty or a term is unknown, or a scale is not positive.

    References
    ----------
    Khalili and Chen (2007), Journal of the American Statistical Association 102, 1025-1038:
    the lasso in mixtures of regressions.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import bayesmix as bmx
    >>> rng = np.random.default_rng(1)
    >>> data = pd.DataFrame(rng.normal(size=(200, 3)), columns=["a", "b", "c"])
    >>> data["y"] = 2 * data["a"] + rng.normal(size=200)
    >>> spec = bmx.Mixture("y ~ a + b + c", data, k=1)
    >>> path = bmx.penalty_path(spec, "lasso", scale=[1.0, 0.02])
    >>> [round(abs(v), 2) for v in path[0.02].coefficients()[1].loc[["b", "c"]].tolist()]
    [0.0, 0.0]
    """
    scales = [float(s) for s in scale]
    if not scales or len(set(scales)) < len(scales) or not all(0 < s < np.inf for s in scales):
        msg = f"scale={scales} must be different positive numbers, such as [1, 0.3, 0.1, 0.03]"
        raise SpecError(msg)
    known = _terms(spec)
    wanted = known if terms is None else tuple(terms)
    strange = [t for t in wanted if t not in known]
    if strange or not wanted:
        raise SpecError(f"terms={list(wanted)} must be among the model's {list(known)}")
    rng = generator(seed)
    fold = None if folds is None else fold_of(spec.spec.rows.n_units, folds, rng)
    kind, name = PENALTIES[penalty]
    fits: dict[float, PointFit] = {}
    by_unit: dict[float, np.ndarray] = {}
    before: PointFit | None = None
    for s in sorted(scales, reverse=True):  # the weakest penalty first
        centred = {"mu": 0.0, name: s}
        priors = {f"coef[{term}]": Prior(kind, **centred) for term in wanted}
        model = Mixture._of(spec.spec, {**(spec._priors or {}), **priors})
        begin = {"starts": starts, "seed": rng} if before is None else {"init": before.params}
        with warnings_about(f"scale = {s:g}"):
            before = model.fit("map", **begin)
        fits[s] = before
        if fold is not None:
            by_unit[s] = held_out(before._fitted, fold)
    return PenaltyPath(penalty, wanted, fits, by_unit if fold is not None else None)


def _terms(spec: Mixture) -> tuple[str, ...]:
    """The terms that may be penalised."""
    blocks = spec.spec.layout.blocks
    if len(blocks) > 1 or blocks[0].survival:
        msg = "penalty_path() needs a Mixture with one response that is not a survival time"
        raise SpecError(msg)
    if spec._priors == "flat":
        raise SpecError("priors='flat' cannot be combined with a penalty; leave priors= out")
    return tuple(t for t in blocks[0].terms if t != "Intercept")
