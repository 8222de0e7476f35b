"""Fits in the order of a criterion, with what can be said about the differences."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import check_known, door
from bayesmix.comparison.pointwise import standard_error
from bayesmix.comparison.same_data import check_fits, check_same_data, mixture_spec
from bayesmix.comparison.scores import CRITERIA, Score, available, is_posterior, score, weights
from bayesmix.errors import SpecError


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Fits ranked by a criterion.  Made by `compare`.

    Parameters
    ----------
    by : str
    table : DataFrame
        One row for each fit, best first: rank; value; difference from the best, value - best;
        for loo and waic se and se_difference, from the terms of the units; df, or the
        effective number of parameters p; weight, if the criterion has one (see `compare`);
        warning.
    best_by : dict of str to str
        The best fit by each criterion that all fits have.
    verdict : str
        Which fit is best, whether the difference is within its error, and whether the criteria
        disagree.
    """

    by: str
    table: pd.DataFrame
    best_by: Mapping[str, str]
    verdict: str

    @property
    def best(self) -> str:
        """The name of the best fit."""
        return str(self.table.index[0])

    def _shown(self) -> pd.DataFrame:
        empty = not self.table["warning"].any()
        return self.table.drop(columns="warning") if empty else self.table

    def __repr__(self) -> str:
        table = self._shown().to_string(float_format=lambda x: f"{x:.2f}", na_rep="")
        return f"{_title(self.by)}\n{table}\n\n{textwrap.fill(self.verdict, 80)}"

    def _repr_html_(self) -> str:
        table = self._shown().to_html(float_format=lambda x: f"{x:.2f}", na_rep="", border=0)
        head = f"<strong>{html.escape(_title(self.by))}</strong>"
        return f"<div>{head}{table}<p>{html.escape(self.verdict)}</p></div>"


def _title(by: str) -> str:
    return f"Comparison by {CRITERIA[by].title} ({CRITERIA[by].better})"


@door
def compare(fits: Mapping[str, Any], by: str | None = None) -> Comparison:
    r"""Rank fits to the same data by a criterion.

    For loo and waic, the standard error of the difference between fits a and b comes from its U
    terms,

    .. math::

       \mathrm{se} = \sqrt{U \, V_u (\mathrm{elpd}_{au} - \mathrm{elpd}_{bu})} ,

    with the sample variance V over the U units that count.

    Parameters
    ----------
    fits : dict of str to fit
        Point fits and posteriors by name, two or more.
    by : str, optional
        "loo", "waic" or "evidence" (`Posterior.evidence`), for posteriors; "bic", "aic",
        "icl" or "bic_units", for point fits, and for posteriors at their `point()`.  The
        default is "loo" if all fits are posteriors, else "bic".

    Returns
    -------
    Comparison
        Weights are stacking weights for loo and waic, Akaike weights for aic, and posterior
        probabilities of equally likely models for evidence (approximately for bic and
        bic_units).

    Raises
    ------
    SpecError
        If the criterion is unknown, or the fits are to different rows, responses,
        units, case weights or labels.
    FitError
        If loo or waic is requested for a point fit.

    References
    ----------
    Vehtari, Gelman and Gabry (2017), Statistics and Computing 27, 1413-1432,
    equation (24).  Sivula, Magnusson, Matamoros and Vehtari (2020), arXiv:2008.10296:
    differences of elpd below 4 are small whatever their error.  Kass and Raftery
    (1995), Journal of the American Statistical Association 90, 773-795: the words
    for BIC.  Burnham and Anderson (2002), section 2.6: those for AIC.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("fabricfault")
    >>> spec = bmx.Mixture("Faults ~ log(Length)", data, family="poisson", k=1)
    >>> fits = {f"k = {k}": spec.with_k(k).fit(seed=1) for k in (1, 2)}
    >>> bmx.compare(fits, by="bic").best
    'k = 2'
    """
    known = check_fits(fits, "compare")
    if by is None:
        by = "loo" if all(map(is_posterior, known.values())) else "bic"
    check_known(f"compare(by={by!r})", by, CRITERIA, SpecError)
    check_same_data(known, "compare")
    scores = {name: score(name, fit, by) for name, fit in known.items()}
    order = _order(scores, by)
    ranked = {name: scores[name] for name in order}
    best_by = {by: order[0]}
    for other in available(known, by):
        best_by[other] = _order({n: score(n, f, other) for n, f in known.items()}, other)[0]
    table = _table(ranked, by)
    verdict = _verdict(table, ranked, by, best_by)
    if CRITERIA[by].pointwise and mixture_spec(known[order[0]]).prepared.weights_column is not None:
        verdict += " By its case weight a unit counts as a whole, with all its copies."
    return Comparison(by, table, best_by, verdict)


def _order(scores: Mapping[str, Score], by: str) -> list[str]:
    sign = -1.0 if CRITERIA[by].of_draws else 1.0
    return sorted(
        scores,
        key=lambda n: (not scores[n].sound, sign * np.nan_to_num(scores[n].value, nan=np.inf)),
    )


def _table(ranked: Mapping[str, Score], by: str) -> pd.DataFrame:
    scores = list(ranked.values())
    best = scores[0]
    criterion = CRITERIA[by]
    columns: dict[str, Any] = {
        "rank": np.arange(1, len(scores) + 1),
        "value": [s.value for s in scores],
        "difference": [s.value - best.value for s in scores],
    }
    if criterion.of_draws:
        columns["se"] = [s.se for s in scores]
        columns["se_difference"] = [_se_difference(best, s) for s in scores]
    columns["p" if criterion.pointwise else "df"] = [s.parameters for s in scores]
    sound = [s for s in scores if s.sound]
    found = weights(sound, by) if sound else None
    if found is not None:
        columns["weight"] = np.append(found, np.full(len(scores) - len(sound), np.nan))
    columns["warning"] = [s.warning for s in scores]
    return pd.DataFrame(columns, index=pd.Index(list(ranked), name="fit"))


def _se_difference(best: Score, other: Score) -> float:
    if other is best:
        return 0.0
    if best.by_unit is None or other.by_unit is None:
        return float(np.hypot(best.se, other.se))
    with np.errstate(invalid="ignore"):
        return standard_error(other.by_unit - best.by_unit)


def _verdict(
    table: pd.DataFrame, ranked: Mapping[str, Score], by: str, best_by: Mapping[str, str]
) -> str:
    title = CRITERIA[by].title
    unsound = [name for name, s in ranked.items() if not s.sound]
    if len(unsound) == len(ranked):
        return f"No fit has a {title} that can be used; see the warnings."
    best = table.index[0]
    rivals = table.iloc[1 : len(table) - len(unsound)]
    parts = [f"{best!r} is best by {title}."]
    if len(rivals):
        reading = _predictive_words if CRITERIA[by].pointwise else _penalised_words
        parts.append(reading(rivals, by))
    if unsound:
        parts.append(f"{_plain(map(repr, unsound))} cannot be ranked; see the warning.")
    if any(s.warning for s in ranked.values() if s.sound):
        parts.append("Mind the warnings.")
    return " ".join([*parts, _agreement(best, by, best_by)]).strip()


def _predictive_words(rivals: pd.DataFrame, by: str) -> str:
    """Words for differences of elpd with standard errors."""
    nearest = rivals.iloc[0]
    gap, error = -nearest["difference"], nearest["se_difference"]
    words = f"{rivals.index[0]!r} is {gap:.1f} behind in elpd, with a standard error of {error:.1f}"
    within = rivals.index[-rivals["difference"] <= 2 * rivals["se_difference"]]
    if rivals.index[0] not in within:
        words += ": more than twice its error"
        words += ", but below 4, which is small whatever the error." if gap < 4 else "."
    else:
        words += f": within its error (two standard errors), so {CRITERIA[by].title} does not "
        words += "tell them apart."
    others = [name for name in within if name != rivals.index[0]]
    if others:
        verb = "is" if len(others) == 1 else "are"
        words += f" {_plain(map(repr, others))} {verb} within the error too."
    return words


def _penalised_words(rivals: pd.DataFrame, by: str) -> str:
    """Words for differences of criteria that have no standard error."""
    gap = abs(float(rivals["difference"].iloc[0]))
    reading = [words for limit, words in CRITERIA[by].reading if gap < limit][:1]
    return ": ".join([f"{rivals.index[0]!r} is {gap:.1f} behind", *reading]) + "."


def _agreement(best: Any, by: str, best_by: Mapping[str, str]) -> str:
    others = {name: winner for name, winner in best_by.items() if name != by}
    against: dict[str, list[str]] = {}
    for name, winner in others.items():
        if winner != best:
            against.setdefault(winner, []).append(CRITERIA[name].title)
    if against:
        clauses = (
            f"{_plain(titles)} {'prefers' if len(titles) == 1 else 'prefer'} {winner!r}"
            for winner, titles in against.items()
        )
        return f"The criteria disagree: {'; '.join(clauses)}."
    titles = [CRITERIA[name].title for name in others]
    if not titles:
        return ""
    return f"{_plain(titles)} {'agrees' if len(titles) == 1 else 'agree'}."


def _plain(titles: Iterable[str]) -> str:
    *head, last = titles
    return f"{', '.join(head)} and {last}" if head else last
