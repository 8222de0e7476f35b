"""Pictures of classes: profiles over items and trajectories over time."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx


@pytest.fixture(autouse=True)
def no_screen():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def items():
    rng = np.random.default_rng(1)
    able = rng.random(300) < 0.4
    right = rng.random((300, 3)) < np.where(able, 0.9, 0.3)[:, None]
    data = pd.DataFrame(right.astype(int), columns=["A", "B", "C"])
    data["count"] = rng.poisson(np.where(able, 9, 3))
    data["z"] = rng.normal(np.where(able, 100, 30), 10)
    data["x"] = rng.normal(size=300)
    return data


@pytest.fixture(scope="module")
def growth():
    rng = np.random.default_rng(2)
    unit, t = np.repeat(np.arange(50), 4), np.tile(np.arange(4.0), 50)
    data = pd.DataFrame({"id": unit, "t": t, "y": 3 * (unit % 2) * t + rng.normal(size=200)})
    data["x"] = rng.normal(size=200)
    return bmx.Mixture("y ~ t | id", data, k=2).fit("em", seed=1, starts=2)


def lines(ax, gid=None):
    return [np.asarray(line.get_xydata()) for line in ax.lines if line.get_gid() == gid]


def test_probabilities_of_items(items):
    model = bmx.Mixture(bmx.items(["A", "B", "C"], family="binomial"), items, k=2)
    fit = model.fit("em", seed=1, starts=2)
    ax = bmx.plot.profile(fit, figsize=(4, 3), title="classes")
    assert ax.get_title() == "classes"
    drawn = np.array([line[:, 1] for line in lines(ax)])
    means = fit.predict(items.iloc[[0]])
    expected = np.array([[means[item][s].item() for item in "ABC"] for s in (1, 2)])
    np.testing.assert_allclose(drawn, expected, atol=1e-12)
    lower = fit.predict(items.iloc[[0]], ci=0.95)["lower"].to_numpy(float)
    caps = np.array([line[:, 1] for line in lines(ax, "cap")])[::2]
    np.testing.assert_allclose(np.sort(caps.ravel()), np.sort(lower), atol=0.05)


def test_means_beside_probabilities_at_covariates(items):
    family = {"A": "binomial", "count": "poisson", "z": "gaussian"}
    model = bmx.Mixture(bmx.items(list(family), family, "~ x"), items, k=2)
    fit = model.fit("em", seed=1, starts=2)
    left, right = bmx.plot.profile(fit, at={"x": 0.5}, ci=None)
    assert left.get_title(loc="left") == "x = 0.5"
    means = fit.predict(pd.DataFrame({"x": [0.5]}))
    np.testing.assert_allclose(lines(left)[0][:, 1], means["A"][1])
    second = [means[item][2].item() for item in ("count", "z")]
    np.testing.assert_allclose(lines(right)[1][:, 1], second)
    scaled = bmx.plot.profile(fit, at={"x": 0.5}, ci=None, standardise=True)[1]
    z = (means["z"][1].item() - items["z"].mean()) / items["z"].std(ddof=0)
    np.testing.assert_allclose(lines(scaled)[0][1, 1], z)
    with pytest.raises(bmx.FitError, match="an array of 2 matplotlib Axes"):
        bmx.plot.profile(fit, ax=left)
    with pytest.raises(bmx.FitError, match="is unknown"):
        bmx.plot.profile(fit, at={"nothing": 1.0})


def test_levels_have_a_probability_each(items):
    rng = np.random.default_rng(3)
    grade = pd.Categorical(rng.choice(list("pqr"), 300), ordered=True)
    data = items.assign(grade=grade, x=rng.normal(size=300))
    family = {"A": "binomial", "grade": "ordinal"}
    model = bmx.Mixture(bmx.items(list(family), family, "~ x"), data, k=2)
    fit = model.fit("map", seed=1, starts=2)
    ax = bmx.plot.profile(fit, ci=None)
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels == ["A", "grade: p", "grade: q", "grade: r"]
    drawn = lines(ax)[0][:, 1]
    assert np.isnan(drawn[1])
    assert drawn[2:].sum() == pytest.approx(1.0)
    # Over the components, by what each unit's own answers say of its membership.
    mean = fit.predict(by="membership")["grade"]
    members, by_component = fit.membership(), fit.predict()["grade"]
    np.testing.assert_allclose(mean["q"], (by_component["q"] * members).sum(axis=1))
    effect = bmx.plot.effects(fit, "x", response="grade", output="q")
    assert effect.get_ylabel() == "mean of grade = q"
    first = {"x": [data["x"].min()]}
    table = bmx.predictions(fit, first, response="grade").query("output == 'q'")
    begins = [line[0, 1] for line in lines(effect)]
    np.testing.assert_allclose(np.sort(begins), np.sort(table["estimate"].to_numpy(float)))
    with pytest.raises(bmx.FitError, match="is unknown"):
        bmx.plot.effects(fit, "x", response="grade", output="z")


def test_trajectories_have_a_line_for_each_unit(growth):
    ax = bmx.plot.trajectories(growth)
    data = growth.spec.spec.prepared.data
    own = lines(ax, "unit")
    assert len(own) == 50
    np.testing.assert_array_equal(own[7][:, 1], data.loc[data["id"] == 7, "y"])
    curves = lines(ax)
    predicted = growth.predict(pd.DataFrame({"t": curves[1][:, 0]}))[2]
    np.testing.assert_allclose(curves[1][:, 1], predicted)
    some = bmx.plot.trajectories(growth, lines=10, figsize=(4, 3))
    assert len(lines(some, "unit")) == 10
    assert "lines of 10 of 50 units" in some.get_title(loc="left")


def test_trajectories_need_groups_and_a_covariate(growth, items):
    single = bmx.Mixture("z ~ x", items, k=2).fit("em", seed=1, starts=1)
    with pytest.raises(bmx.FitError, match="units with several rows"):
        bmx.plot.trajectories(single)
    data = growth.spec.spec.prepared.table
    flat = bmx.Mixture("y ~ 1 | id", data, k=2).fit("em", seed=1, starts=1)
    with pytest.raises(bmx.FitError, match="over a covariate"):
        bmx.plot.trajectories(flat)
