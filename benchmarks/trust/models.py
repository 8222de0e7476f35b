"""Ten kinds of models with all their priors said, and data drawn from them.

A data set is made in the order of the model: parameters from the priors, responses from the
parameters, then what the observer does to them (censoring, labels lost).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import bayesmix as bmx

__all__ = ["CASES", "Case", "data_set"]

Frame = pd.DataFrame
ROWS = 80


def normal(mu: float, sigma: float) -> bmx.Prior:
    return bmx.Prior("normal", mu=mu, sigma=sigma)


POSITIVE = bmx.Prior("lognormal", mu=0, sigma=0.5)
WEIGHT = bmx.Prior("dirichlet", concentration=3)
LINE = {"coef": normal(0, 2), "sigma": POSITIVE, "weight": WEIGHT}
COUNT = {"coef[Intercept]": normal(1, 1), "coef[x]": normal(0, 0.5)}
TIMES = {
    "scale[Intercept]": normal(0, 1),
    "scale[x]": normal(0, 0.7),
    "shape[Intercept]": normal(0.3, 0.3),
}
LOGTIMES = {
    "meanlog[Intercept]": normal(0, 1),
    "meanlog[x]": normal(0, 0.7),
    "sdlog[Intercept]": normal(-0.3, 0.3),
}


@dataclass(frozen=True)
class Case:
    """A kind of model.

    Parameters
    ----------
    name : str
    model : callable
        From a data frame to the specification.
    unseen : mapping
        Columns of any response that the model takes, to draw parameters before there are data.
    seen : callable
        From covariates, simulated responses and a generator to the data that are analysed.
    exchangeable : tuple of int
        Positions of the components that are put in order, by the parameter `by`.
    by : str
    rows : int
    """

    name: str
    model: Callable[[Frame], Any]
    unseen: Mapping[str, Any]
    seen: Callable[[Frame, Frame, np.random.Generator], Frame]
    exchangeable: tuple[int, ...] = ()
    by: str = "coef"
    rows: int = ROWS


def covariates(rows: int, rng: np.random.Generator) -> Frame:
    frame = pd.DataFrame(rng.normal(size=(rows, 3)), columns=["x", "z", "v"])
    return frame.assign(g=np.arange(rows) // 3, trials=8)


def data_set(case: Case, rng: np.random.Generator) -> tuple[Any, xr.Dataset]:
    """A specification with data drawn from its own priors, and the parameters behind them.

    Raises
    ------
    bayesmix.BayesmixError
        If the data cannot be used, as where an event never occurred.  Whether that is so
        depends on the data alone, so leaving such a set out does not bias ranks.
    """
    rows = covariates(case.rows, rng)
    before = case.model(rows.assign(**case.unseen))
    prior = before.sample_prior(draws=1, seed=rng)["prior"].to_dataset().isel(chain=0, draw=0)
    drawn = before.simulate(prior, rows, seed=rng)
    return case.model(case.seen(rows, drawn, rng)), prior


def whole(rows: Frame, drawn: Frame, rng: np.random.Generator) -> Frame:
    return rows.assign(y=drawn.drop(columns="component").iloc[:, 0].to_numpy())


def labelled(rows: Frame, drawn: Frame, rng: np.random.Generator) -> Frame:
    """Three labels of ten are known."""
    label = drawn["component"].astype(str).where(rng.random(len(rows)) < 0.3)
    return whole(rows, drawn, rng).assign(label=pd.Categorical(label, ["a", "b"]))


def until(*events: str) -> Callable[[Frame, Frame, np.random.Generator], Frame]:
    """Times end at an independent time, and who has had no event by then has no known one."""

    def censored(rows: Frame, drawn: Frame, rng: np.random.Generator) -> Frame:
        end = rng.uniform(0.5, 6, len(rows))
        seen = drawn["time"].to_numpy() <= end
        return rows.assign(
            time=np.minimum(drawn["time"], end),
            status=seen.astype(int),
            event=pd.Categorical(drawn["component"].astype(str).where(seen), events),
        )

    return censored


def partly(rows: Frame, drawn: Frame, rng: np.random.Generator) -> Frame:
    """Of a third of the events a or b it is only known that it was one of them."""
    data = until("a", "b", "c")(rows, drawn, rng)
    event = data["event"].astype(object)
    lost = event.isin(["a", "b"]) & (rng.random(len(rows)) < 1 / 3)
    event = pd.Categorical(event.mask(lost, "a_or_b"), ["a", "b", "c", "a_or_b"])
    return data.assign(event=event)


def gaussian(data: Frame) -> Any:
    return bmx.Mixture("y ~ x", data, k=2, priors=LINE)


def binomial(data: Frame) -> Any:
    priors = {"coef": normal(0, 1.5), "weight": WEIGHT}
    return bmx.Mixture("p(y, trials) ~ x | g", data, family="binomial", k=2, priors=priors)


def poisson(data: Frame) -> Any:
    priors = {**COUNT, "alpha": normal(0, 1)}
    return bmx.Mixture("y ~ x", data, family="poisson", k=2, concomitant="~ z", priors=priors)


def negative_binomial(data: Frame) -> Any:
    priors = {**COUNT, "alpha": POSITIVE, "weight": WEIGHT}
    return bmx.Mixture("y ~ x", data, family="negative_binomial", k=2, priors=priors)


def nested(data: Frame) -> Any:
    blocks = [("~ 0", 1), ("~ v", 2)]
    return bmx.Mixture("y ~ 1", data, k=3, fixed="~ x", nested=blocks, priors=LINE)


def zeros(data: Frame) -> Any:
    families = ["zero", "poisson", "poisson"]
    return bmx.Mixture("y ~ x", data, family=families, k=3, priors={**COUNT, "weight": WEIGHT})


def labels(data: Frame) -> Any:
    return bmx.Mixture("y ~ x", data, k=2, labels="label", priors=LINE)


def events(data: Frame) -> Any:
    family = {"a": "weibull", "b": "lognormal"}
    priors = {**TIMES, **LOGTIMES, "weight": WEIGHT}
    return bmx.CompetingRisks(
        "surv(time, status) ~ x", data, event="event", family=family, priors=priors
    )


def cure(data: Frame) -> Any:
    family = {"a": "weibull", "cured": "cured"}
    return bmx.CompetingRisks(
        "surv(time, status) ~ x",
        data,
        event="event",
        family=family,
        concomitant="~ z",
        priors={**TIMES, "alpha": normal(0, 1)},
    )


def partial(data: Frame) -> Any:
    return bmx.CompetingRisks(
        "surv(time, status) ~ x",
        data,
        event="event",
        family={"a": "weibull", "b": "lognormal", "c": "lognormal"},
        partial_events={"a_or_b": ["a", "b"]},
        priors={**TIMES, **LOGTIMES, "weight": WEIGHT},
    )


def some(*values: Any) -> list[Any]:
    """Values in turn, as many as there are rows."""
    return [values[i % len(values)] for i in range(ROWS)]


REAL = {"y": np.arange(ROWS) / 10}
WHOLE = {"y": some(0, 1, 2, 3)}
TWO = {"time": 1.0, "status": 1, "event": some("a", "b")}
CASES = {
    case.name: case
    for case in (
        Case("gaussian", gaussian, REAL, whole, (0, 1)),
        Case("binomial, grouped", binomial, WHOLE, whole, (0, 1)),
        Case("poisson with concomitants", poisson, WHOLE, whole, (0, 1)),
        Case("negative binomial", negative_binomial, WHOLE, whole, (0, 1)),
        Case("fixed and nested effects", nested, REAL, whole, (1, 2)),
        Case("zero inflation", zeros, WHOLE, whole, (1, 2)),
        Case(
            "known labels",
            labels,
            {**REAL, "label": pd.Categorical(some("a", "b"), ["a", "b"])},
            labelled,
        ),
        Case("competing events, censored", events, TWO, until("a", "b")),
        Case("cure", cure, {**TWO, "event": "a"}, until("a")),
        Case("partial events", partial, {**TWO, "event": some("a", "b", "c", "a_or_b")}, partly),
    )
}
