"""Known components and families that differ: matched by name where families are a dict."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import bayesmix as bmx

RNG = np.random.default_rng(8)
NEVER = RNG.random(300) < 0.35
ENDS = RNG.uniform(1, 5, 300)
TIMES = np.where(NEVER, np.inf, 2 * RNG.weibull(1.4, 300))
DATA = pd.DataFrame({"t": np.minimum(TIMES, ENDS), "s": (TIMES <= ENDS) * 1})
# A third of those who never have it are known.
KNOWN = NEVER & (RNG.random(300) < 0.33)
DATA["known"] = np.where(KNOWN, "immune", None)
FAMILIES = {"prone": "weibull", "immune": "cured"}


def best_by_hand():
    """The log-likelihood of the cure model with known immune units, maximised by SciPy."""

    def minus(theta):
        shape, scale, p = np.exp(theta[0]), np.exp(theta[1]), 1 / (1 + np.exp(-theta[2]))
        s = stats.weibull_min.sf(DATA.t, shape, scale=scale)
        f = stats.weibull_min.pdf(DATA.t, shape, scale=scale)
        mixed = np.where(DATA.s == 1, (1 - p) * f, p + (1 - p) * s)
        return -np.log(np.where(KNOWN, p, mixed)).sum()

    found = optimize.minimize(minus, [0.3, 0.7, -0.5], method="BFGS", options={"gtol": 1e-7})
    return -found.fun, 1 / (1 + np.exp(-found.x[2]))


def spec(family=FAMILIES, labels="known", data=DATA, k=2):
    return bmx.Mixture("surv(t, s) ~ 1", data, family=family, k=k, labels=labels)


@pytest.mark.parametrize("order", [("prone", "immune"), ("immune", "prone")])
def test_a_dict_matches_labels_and_families(order):
    fit = spec({name: FAMILIES[name] for name in order}).fit("em", seed=1)
    loglik, share = best_by_hand()
    assert fit.components == order
    assert fit.loglik == pytest.approx(loglik, abs=1e-5)
    assert fit.mixing["immune"] == pytest.approx(share, abs=1e-4)
    assert (fit.membership().loc[KNOWN, "immune"] == 1).all()


def test_a_dict_names_components_without_labels():
    fit = spec(labels=None).fit("em", seed=1)
    assert fit.components == ("prone", "immune")
    assert set(fit.simulate(seed=1)["component"]) == {"prone", "immune"}


def test_a_saved_fit_keeps_the_names(tmp_path):
    fit = spec().fit("em", seed=1)
    fit.save(tmp_path / "fit.nc")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = bmx.load(tmp_path / "fit.nc")
    assert again.components == fit.components
    assert again.loglik == fit.loglik
    assert again.spec._spec.prepared.parts[0].regression.family == FAMILIES


def test_two_responses_name_the_same_components():
    data = DATA.assign(y=RNG.normal(NEVER * 2.0, 1.0))
    other = {"immune": "gaussian", "prone": "gaussian"}
    parts = [
        bmx.Regression("surv(t, s) ~ 1", family=FAMILIES),
        bmx.Regression("y ~ 1", family=other),
    ]
    fit = bmx.Mixture(parts, data, k=2, labels="known").fit("em", seed=1)
    means = fit.predict()["y"].iloc[0]
    assert means["immune"] > means["prone"]


@pytest.mark.parametrize(
    ("family", "k", "word"),
    [
        (FAMILIES, 3, "k=2"),
        ({"prone": "weibull", "other": "cured"}, 2, "immune"),
        ({**FAMILIES, "third": "weibull"}, 2, "k=3"),
    ],
)
def test_names_that_do_not_agree(family, k, word):
    with pytest.raises(bmx.SpecError, match=word):
        spec(family, k=k)


def test_a_list_says_which_label_meets_which_family():
    with pytest.warns(UserWarning, match="'immune' is weibull"):
        spec(["weibull", "cured"])
    # Categories in the user's own order, one for each family, are meant.
    told = DATA.assign(known=pd.Categorical(DATA.known, ["prone", "immune"]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = spec(["weibull", "cured"], data=told).fit("em", seed=1)
    assert fit.loglik == pytest.approx(best_by_hand()[0], abs=1e-5)
