"""Fits of many kinds, and everything that a fit says, for tests in this and other processes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd

import bayesmix as bmx
from bayesmix.estimation.point import FitOptions, fit_point
from bayesmix.storage.file import checksum, read


def manifest(path):
    """What a file says of its model."""
    with h5py.File(path) as file:
        return json.loads(file.attrs["bayesmix"])


def rewritten(path, *, signed=True, **changes):
    """Change entries of a manifest; signed: with the checksum that it then needs."""
    full = {**manifest(path), **changes}
    if signed:
        full["contents"] = checksum(full, read(path, lambda _: None)[1])
    with h5py.File(path, "r+") as file:
        file.attrs["bayesmix"] = json.dumps(full)


def half(x):
    return x / 2


def waiting_logpdf(y, rate):
    return np.log(rate) - rate * y


def waiting_mean(rate):
    return 1 / rate


WAITING = bmx.Family(
    "waiting",
    params={"rate": "log"},
    location="rate",
    logpdf=waiting_logpdf,
    mean=waiting_mean,
)


def simulated(n=90):
    rng = np.random.default_rng(5)
    x = rng.uniform(0, 3, n)
    second = np.arange(n) % 3 == 0
    return pd.DataFrame(
        {
            "x": x,
            "z": rng.normal(size=n),
            "y": np.where(second, 3 - x, 1 + 2 * x) + rng.normal(0, 0.4, n),
            "count": rng.poisson(np.where(second, 1.0, 6.0)),
            "time": rng.exponential(np.where(second, 5.0, 0.5)),
            "site": pd.Categorical.from_codes(np.arange(n) % 4, ["d", "c", "b", "a"], ordered=True),
            "w": 1.0 + np.arange(n) % 2,
            "known": np.where(np.arange(n) % 5 == 0, np.where(second, "low", "high"), None),
        }
    )


def grouped():
    spec = bmx.Mixture(
        "p(Deaths, Total) ~ 1 | Center",
        bmx.load_data("betablocker"),
        family="binomial",
        k=3,
        fixed="~ Treatment",
    )
    return spec.fit(seed=1, starts=2)


def weighted():
    data = simulated()
    data.index = pd.date_range("2020-01-31", periods=len(data), freq="ME", name="month")
    data.loc[data.index[[3, 8]], "z"] = np.nan
    spec = bmx.Mixture(
        "y ~ x + site",
        data,
        weights="w",
        concomitant="~ z",
        nested=[("~ 0", 1), ("~ z", 1)],
        dispersion="fixed",
        na_action="drop",
    )
    return spec.fit("ml", seed=1, starts=2)


def labelled():
    return bmx.Mixture("y ~ x", simulated(), k=3, labels="known").fit(seed=1, starts=2)


def several():
    first = bmx.Regression("y ~ x", family=["gaussian", "student_t"], fixed="~ z")
    second = bmx.Regression("count ~ 1 + offset(log(w))", family=bmx.family("poisson"))
    return bmx.Mixture([first, second], simulated(), k=2, concomitant="~ 1").fit(seed=1, starts=2)


def held():
    spec = bmx.Mixture("y ~ x", simulated(), k=3, dispersion=[1, 2])
    known = {(2, "x"): 2.0, (1, "sigma"): 0.7, (3, "weight"): 0.3}
    return spec.fit(seed=1, starts=2, fixed_params=known)


def reduced():
    spec = bmx.Mixture("y ~ x", simulated(), k=4, concomitant="~ z")
    fit = spec.fit(seed=1, starts=3, min_weight=0.2)
    assert fit.k < fit.k_requested == 4
    return fit


def mode():
    data = bmx.load_data("Mehta")
    spec = bmx.Mixture(
        "p(Response, Total) ~ Drug | Site",
        data,
        family=bmx.family("binomial", link="probit"),
        k=2,
    )
    return bmx.PointFit(fit_point(spec._spec, "map", FitOptions(seed=1, starts=2)))


def transformed():
    cut, levels = 1.5, ["a", "b", "c", "d"]
    formula = "y ~ bs(x, df=4) + I(z > cut) + half(count)"
    spec = bmx.Mixture(
        formula,
        simulated(),
        fixed="~ poly(z, 2) + center(time) + C(site, levels=levels)",
        concomitant="~ scale(x) + np.tanh(z)",
    )
    assert (cut, levels) != ()
    return spec.fit(seed=1, starts=2, max_iter=60)


def own_family():
    data = simulated()
    data.index = pd.MultiIndex.from_arrays([data["site"], range(len(data))], names=["site", None])
    return bmx.Mixture("time ~ x", data, family=WAITING, k=2).fit(seed=1, starts=2)


MADE = (
    grouped,
    weighted,
    labelled,
    several,
    held,
    reduced,
    mode,
    transformed,
    own_family,
)
OWN = {"functions": {"half": half}, "families": {"waiting": WAITING}}


def results(fit):
    """Everything that a fit says, as texts; floats to their last digit."""
    new = fit.spec._spec.prepared.data.iloc[::-1].head(7)
    frames = {
        "summary": fit.summary(),
        "membership": fit.membership(),
        "rows": fit.membership(rows=True),
        "starts": fit.starts,
        "sizes": fit.sizes(),
        "covariance": fit.covariance(),
        "link": fit.predict(new, "link"),
        "mean": fit.predict(new),
        "fitted": fit.fitted(),
        "new": fit.membership(new),
        "mixing": fit.mixing.to_frame(),
    }
    out = {name: frame_text(frame) for name, frame in frames.items()}
    numbers = [fit.loglik, fit.aic, fit.bic, fit.bic_units, fit.icl, fit.n_obs, fit.n_units]
    out["numbers"] = [float(v).hex() for v in numbers]
    out["whole"] = [fit.df, fit.k, fit.k_requested, fit.n_dropped, fit.iterations]
    out["words"] = [fit.method, fit.status, *fit.reasons, *map(str, fit.components), repr(fit)]
    out["trace"] = fit.trace.tobytes().hex()
    values = fit.params.to_dict()
    out["params"] = json.dumps(values, default=str)
    return json.loads(json.dumps(out))


def frame_text(frame):
    parts = [
        str(frame.dtypes.tolist()),
        repr(frame.index.tolist()),
        str(frame.index.dtype),
        repr(frame.index.names),
        repr(frame.columns.tolist()),
        repr(frame.attrs),
    ]
    parts += [repr(frame.iloc[:, j].tolist()) for j in range(frame.shape[1])]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


# --- how the files tests/data/format_1_*.nc were made --------------------------------------


def written_point():
    data = simulated()
    data.index = pd.MultiIndex.from_arrays([data["site"], range(90)], names=["site", "row"])
    spec = bmx.Mixture("y ~ half(x) + I(z > 1)", data, concomitant="~ scale(w)", fixed="~ count")
    return spec.fit(seed=1, starts=2)


def written_spec():
    data = simulated()
    data.index = pd.date_range("2020-01-01", periods=90, name="day")
    data.loc[data.index[:3], "z"] = np.nan
    responses = [
        bmx.Regression("y ~ poly(x, 2)", family=["gaussian", "gaussian"]),
        bmx.Regression("count ~ 1 + offset(log(w))", family="poisson", fixed="~ z"),
    ]
    priors = {"coef_y": bmx.Prior("normal", mu=0, sigma=3)}
    return bmx.Mixture(responses, data, labels="known", na_action="drop", priors=priors)


def written_posterior():
    data = bmx.load_data("fabricfault")
    spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
    drawn = spec.fit("laplace", draws=40, seed=1)._drawn
    energy = -drawn.log_density
    return replace(drawn, stats={"diverging": energy > 0.0, "energy": energy})
