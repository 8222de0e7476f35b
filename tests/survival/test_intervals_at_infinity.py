"""A parameter at infinity takes the interval only from what depends on it."""

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx

GROUPS = ("a", "b", "c")


def cohort(nobody_cured):
    rng = np.random.default_rng(3)
    g = np.repeat(GROUPS, 100)
    cured = rng.random(300) < np.where(g == nobody_cured, 0.0, np.where(g == "c", 0.5, 0.3))
    times = np.where(cured, np.inf, rng.weibull(1.5, 300))
    ends = rng.uniform(2, 6, 300)
    # The last time of the group is an event: its cured share is zero.
    ends[g == nobody_cured] = 9.0
    return pd.DataFrame({"t": np.minimum(times, ends), "s": (times <= ends) * 1, "g": g})


def cure_fit(data):
    return bmx.Mixture(
        "surv(t, s) ~ 1", data, family=["weibull", "cured"], k=2, concomitant="~ g"
    ).fit("em", seed=1)


@pytest.mark.filterwarnings("ignore::bayesmix.IdentifiabilityWarning")
@pytest.mark.parametrize("nobody", ["a", "b"])
@pytest.mark.parametrize("interval", ["delta", "simulation"])
def test_a_group_without_cured_leaves_the_others_their_intervals(nobody, interval):
    """The reference group: the intercept and both contrasts are at infinity, their sums are not."""
    data = cohort(nobody)
    fit = cure_fit(data)
    assert fit.status == "boundary"
    options = {"interval": "simulation", "seed": 1} if interval == "simulation" else {}
    found = fit.cured_fraction(pd.DataFrame({"g": GROUPS}), **options).set_index("g")
    # The others alone, whose weights are all inside, with times that are shared.
    others = [g for g in GROUPS if g != nobody]
    inside = data[data.g != nobody]
    apart = cure_fit(inside).cured_fraction(pd.DataFrame({"g": others})).set_index("g")
    columns = ["estimate", "lower", "upper"]
    np.testing.assert_allclose(found.loc[others, columns], apart[columns], atol=0.02)
    assert found.loc[nobody, ["lower", "upper"]].isna().all()


@pytest.mark.filterwarnings("ignore::bayesmix.IdentifiabilityWarning")
def test_which_group_is_the_reference_changes_no_interval():
    data = cohort("a")
    new = pd.DataFrame({"g": ["b", "c"]})
    found = [
        cure_fit(data.assign(g=pd.Categorical(data.g, list(order)))).cured_fraction(new)
        for order in ("abc", "bca", "cab")
    ]
    for other in found[1:]:
        np.testing.assert_allclose(
            other[["estimate", "lower", "upper"]],
            found[0][["estimate", "lower", "upper"]],
            rtol=1e-3,
        )


def test_the_warning_counts_what_has_no_interval():
    fit = cure_fit(cohort("b"))
    with pytest.warns(bmx.IdentifiabilityWarning, match="no intervals for 1 of 3 numbers"):
        fit.cured_fraction(pd.DataFrame({"g": GROUPS}))
