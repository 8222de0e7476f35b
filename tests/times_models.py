"""Small models of times: every way they are observed, and regressions beside them."""

import numpy as np
import pandas as pd

import bayesmix as bmx

N = 24


def frame():
    rng = np.random.default_rng(8)
    time = rng.weibull(1.3, N) * 3.0 + 0.1
    status = (rng.random(N) < 0.7).astype(int)
    event = np.where(status == 1, np.where(rng.random(N) < 0.5, "a", "b"), None)
    event[1], event[3] = "a", "a or b"  # a censored time of a known event, a partial code
    lower = np.where(np.arange(N) % 4 == 0, 0.0, time)
    upper = np.where(np.arange(N) % 5 == 0, np.inf, time + np.where(np.arange(N) % 3, 0.8, 0.0))
    return pd.DataFrame(
        {
            "t": time,
            "s": status,
            "event": event,
            "known": np.where(event == "a or b", None, event),
            "entry": np.where(np.arange(N) % 3, 0.4 * time, 0.0),
            "lo": lower,
            "up": upper,
            "x": rng.normal(size=N),
            "z": rng.normal(size=N),
            "w": rng.integers(0, 4, N),
            "g": np.repeat(np.arange(N // 3), 3),
            "count": rng.poisson(2.0, N),
            "y": rng.gamma(2.0, 1.0, N),
        }
    )


D = frame()
PAIR = {"a": "weibull", "b": "gompertz"}
BOUNDS = "surv(lo, up, kind='interval')"


def competing(formula="surv(t, s) ~ x", family=PAIR, **options):
    return bmx.CompetingRisks(formula, D, "known", family, **options)


def latent(formula="surv(t, s) ~ x", family="weibull", **options):
    return bmx.Mixture(formula, D, family=family, k=2, **options)


CASES = {
    "exact and right-censored": competing,
    "weights of events by covariates": lambda: competing(concomitant="~ z"),
    "intervals, left-censored": lambda: competing(f"{BOUNDS} ~ x"),
    "intervals of lognormal and loglogistic times": lambda: competing(
        f"{BOUNDS} ~ x", {"a": "lognormal", "b": "loglogistic"}
    ),
    "delayed entry to the mixture": lambda: competing(
        "surv(entry, t, s, kind='counting') ~ x", concomitant="~ z"
    ),
    "delayed entry to each component": lambda: competing(
        "surv(entry, t, s, kind='counting') ~ x", truncation="component"
    ),
    "a cured share": lambda: competing(family=PAIR | {"cured": "cured"}, concomitant="~ x"),
    "partial events, ancillary covariates": lambda: bmx.CompetingRisks(
        "surv(t, s) ~ 1",
        D,
        "event",
        PAIR,
        partial_events={"a or b": ["a", "b"]},
        ancillary={"a": {"shape": "~ z"}},
    ),
    "a response for each event": lambda: competing(
        {"a": f"{BOUNDS} ~ 1", "b": "surv(t, s) ~ x"}, {"a": "exponential", "b": "weibull_ph"}
    ),
    "gamma times": lambda: competing(family={"a": "gamma", "b": "exponential"}),
    "classes of times": latent,
    "classes of groups": lambda: latent("surv(t, s) ~ x | g", "lognormal", concomitant="~ 1"),
    "weighted": lambda: latent(weights="w", fixed="~ z"),
    "times and counts": lambda: bmx.Mixture(
        [
            bmx.Regression("surv(t, s) ~ x", family=["weibull", "cured"]),
            bmx.Regression("count ~ 1", family="negative_binomial", fixed="~ z"),
        ],
        D,
        k=2,
    ),
}
# What a sampler without a kernel evaluates beside times.
REGRESSIONS = {
    "gamma": lambda: bmx.Mixture("y ~ x", D, family="gamma", k=2, concomitant="~ z"),
    "negative binomial in groups": lambda: bmx.Mixture(
        "count ~ x + offset(z) | g", D, family="negative_binomial", k=2
    ),
    "times beside a background": lambda: latent(
        "surv(entry, t, s, kind='counting', background=0.3 * y) ~ x", ["weibull", "cured"]
    ),
    "two families": lambda: bmx.Mixture("count ~ x", D, family=["zero", "poisson"], k=2),
    "two responses": lambda: bmx.Mixture(
        [bmx.Regression("y ~ x", family="gamma"), bmx.Regression("count ~ 1", family="poisson")],
        D,
        k=2,
        group="g",
    ),
}


def density_in_a_graph(family, obs, variables):
    """The log density of times as the PyMC model has it: how they were observed is data."""
    from bayesmix.arrays.symbolic import Symbol, plain
    from bayesmix.families.survival.base import Seen

    times = obs.times
    kinds = ("exact", "right", "left", "interval")
    entry = times.entry if times.truncated else None
    upper = np.where(times.code < 2, times.lower, times.upper)
    seen = Seen(times.code, times.lower, upper, entry, kinds)
    etas = tuple(Symbol(v) for v in variables)
    return plain(family.log_density_of(obs._replace(times=seen), family.linked(etas)))
