"""The picture of effects shows the numbers of `predictions` and `slopes`."""

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
def fit():
    rng = np.random.default_rng(8)
    data = pd.DataFrame({"x": rng.normal(size=200), "g": rng.choice(["a", "b"], 200)})
    mean = np.where(rng.random(200) < 0.4, 3.0, 0.5) + 0.3 * data["x"] + 0.4 * (data["g"] == "b")
    data["y"] = rng.poisson(np.exp(mean))
    return bmx.Mixture("y ~ x", data, "poisson", 2, fixed="~ g").fit(seed=1)


@pytest.mark.parametrize("show", ["predictions", "slopes"])
def test_curves_are_the_numbers_of_the_verbs(fit, show):
    ax = bmx.plot.effects(fit, "x", show=show, at={"g": "b"})
    assert [line.get_label() for line in ax.lines] == ["component 1", "component 2", "all"]
    x = ax.lines[0].get_xdata()
    grid = {"x": list(x[[0, -1]]), "g": "b"}
    found = bmx.predictions(fit, grid) if show == "predictions" else bmx.slopes(fit, "x", grid)
    own = found[(found["component"] == 2).fillna(False).to_numpy(bool)]
    np.testing.assert_allclose(ax.lines[1].get_ydata()[[0, -1]], own["estimate"], rtol=1e-6)
    assert len(ax.collections) == 3


def test_levels_are_points_and_what_cannot_be_drawn_is_refused(fit):
    ax = bmx.plot.effects(fit, "g", title="by group", figsize=(4, 3))
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b"]
    assert ax.get_title() == "by group"
    with pytest.raises(bmx.FitError, match="not a variable"):
        bmx.plot.effects(fit, "z")
    with pytest.raises(bmx.FitError, match="unknown"):
        bmx.plot.effects(fit, "x", show="curves")
    with pytest.raises(bmx.FitError, match="several values"):
        bmx.plot.effects(fit, "x", at={"g": ["a", "b", "a"]})
