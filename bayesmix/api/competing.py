"""The public classes of competing events."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

from bayesmix._arguments import door
from bayesmix.api.base import MODELS
from bayesmix.api.model import Model
from bayesmix.api.pointfit import PointFit
from bayesmix.api.posterior import Posterior
from bayesmix.api.quantities import EventQuantities
from bayesmix.errors import DataError
from bayesmix.families import Family, resolve
from bayesmix.formula.scope import Scope
from bayesmix.formula.sources import Data
from bayesmix.model import assemble
from bayesmix.model.events import event_components, event_rows, prepare_components
from bayesmix.model.histories import flag_pieces
from bayesmix.model.kinds import COMPETING
from bayesmix.model.parts import Prepared
from bayesmix.survival.check import refuse_mistakes


class CompetingRisksFit(PointFit, EventQuantities):
    """A fit of competing events by maximum likelihood, or to the posterior mode.

    Made by `CompetingRisks.fit`.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("mgus2")
    >>> spec = bmx.CompetingRisks(
    ...     "surv(years, status) ~ 1", data, event="event", family="exponential"
    ... )
    >>> fit = spec.fit("em", seed=1)
    >>> fit.status, round(fit.loglik, 4)
    ('converged', -3667.0955)
    >>> fit.mean_time()[["event", "estimate"]].round(3).values.tolist()
    [['death', 9.743], ['pcm', 20.951]]
    """


class CompetingRisksPosterior(Posterior, EventQuantities):
    """The posterior of a model of competing events.

    Made by `CompetingRisks.fit` with method "nuts" or "laplace".

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("mgus2")
    >>> spec = bmx.CompetingRisks(
    ...     "surv(years, status) ~ 1", data, event="event", family="exponential"
    ... )
    >>> posterior = spec.fit("laplace", seed=1)
    >>> posterior.components, posterior.khat < 0.7
    (('death', 'pcm'), True)
    """


@door
class CompetingRisks(Model):
    r"""A mixture model of competing events.

    Every subject has one of several events.  The model says which one, and when:

    .. math::

       P(\text{event } s \text{ by } t \mid w, x) =
           \pi_s(w; \alpha) \, F_s(t \mid x, \theta_s)

    with the probabilities :math:`\pi_s` a multinomial logit in the concomitant
    covariates (the first event is the baseline) and :math:`F_s` the distribution of
    the time to event s among those who have it.  An observation contributes
    :math:`\log \sum_s m_s \pi_s L_s`: :math:`m_s` is 1 if its event may have been s, else 0,
    and :math:`L_s` is the density at an exact time, the survival function at a
    right-censored one, or the probability of an interval.

    Parameters
    ----------
    formula : str or dict of event to str
        ``"surv(time, status) ~ x"`` for all events, or a dict with one formula for each event,
        which then has its own times, censoring and covariates.  The covariates act on the
        location parameter of the event's family.
    data : DataFrame
        One row for each subject.
    event : str
        Column that names each subject's event; missing where the event is unknown.
        A Categorical keeps the order of its categories; strings are sorted.
    family : str, Family or dict of event to these
        Distributions of the times.  An event of the dict that no row has comes last, for
        instance one with the family "cured".
    ancillary : dict of event to dict of str to str, optional
        Formulas for the other parameters, ``{"death": {"shape": "~ sex"}}``.
    concomitant : str, optional
        Covariates of the event probabilities, ``"~ age + sex"``.
    partial_events : dict of str to list of str, optional
        Codes in the event column that stand for several events.
    truncation : str
        How delayed entry, ``surv(entry, time, status, kind="counting")``, enters.
        "mixture" divides a subject's likelihood by
        :math:`\sum_s \pi_s S_s(\text{entry})`: the event probabilities are those at time
        zero.  "component" divides each :math:`L_s` by its own
        :math:`S_s(\text{entry})`: the event probabilities are those at entry.
    weights : str, optional
        Column of frequency weights; w equals w copies of the subject.
    priors : None, "flat" or dict
        As for `Mixture`.  The names are those of `PointFit.params`, such as "scale",
        "shape[sex]", "weight" or "alpha[age]", on their link scales.
    na_action : str
        "error"; "drop": exclude rows with missing values in the columns used; or "fiml": a row
        without a time still contributes its event.  A missing event means an unknown event and
        a missing bound an open interval: neither counts as a missing value.

    Raises
    ------
    SpecError, FormulaError, DataError
        The message says what was given, what is allowed and what to do.

    References
    ----------
    Larson and Dinse (1985), Applied Statistics 34, 201-211.  Jackson et al. (2022),
    Statistical Methods in Medical Research 31, 1656-1674.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("mgus2")
    >>> spec = bmx.CompetingRisks(
    ...     "surv(years, status) ~ 1",
    ...     data,
    ...     event="event",
    ...     family={"pcm": "weibull", "death": "lognormal"},
    ... )
    >>> spec.components
    ('death', 'pcm')
    """

    _point_class: ClassVar[type[PointFit]] = CompetingRisksFit
    _posterior_class: ClassVar[type[Posterior]] = CompetingRisksPosterior

    def __init__(
        self,
        formula: str | Mapping[Hashable, str],
        data: Data,
        event: str,
        family: str | Family | Mapping[Hashable, str | Family],
        ancillary: Mapping[Hashable, Mapping[str, str]] | None = None,
        concomitant: str | None = None,
        partial_events: Mapping[Hashable, Sequence[Hashable]] | None = None,
        truncation: str = "mixture",
        weights: str | None = None,
        priors: str | Mapping[str, Any] | None = None,
        na_action: str = "error",
    ) -> None:
        scope = Scope.capture(2)
        read: dict[str, Any] = {"event": event, "ancillary": ancillary, "concomitant": concomitant}
        read |= {"weights": weights, "na_action": na_action, "scope": scope}
        data, stream = event_rows(data, formula, **read)
        try:
            families, partial = event_components(data, event, weights, family, partial_events)
            more: dict[str, Any] = {"partial": partial, "truncation": truncation, "stream": stream}
            prepared = prepare_components(formula, data, families, **read, **more)
        except DataError:
            if na_action == "error" and event in data.columns:
                refuse_mistakes(data, formula, event, partial_events, scope, None)
            raise
        flag_pieces(data, prepared)
        _refuse_mistakes(prepared, families, formula, scope)
        super().__init__(assemble(prepared, len(families)), priors)


def _refuse_mistakes(
    prepared: Prepared, families: Mapping[Hashable, Any], formula: Any, scope: Scope
) -> None:
    """Refuse what `check_survival` calls a mistake in the rows that count."""
    table = prepared.table
    if prepared.weight is not None:
        table = table[prepared.weight > 0]
    never = {name: not resolve(f, survival=True).params for name, f in families.items()}
    events = prepared.events
    assert events is not None
    try:
        refuse_mistakes(table, formula, events.column, events.partial or None, scope, never)
    except DataError as error:
        if len(table) == len(prepared.table):
            raise
        zero = f" (rows whose weight in {prepared.weights_column!r} is zero do not count)"
        raise DataError(f"{error}{zero}") from None


MODELS[COMPETING] = CompetingRisks
