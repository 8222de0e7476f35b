"""Criteria and tables of how clearly units are classified, by hand."""

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(7)
    d = pd.DataFrame({"y": np.r_[rng.normal(0, 1, 90), rng.normal(2.5, 1, 60)], "w": 1})
    d.loc[:9, "w"] = 3
    return bmx.Mixture("y ~ 1", d, weights="w").fit(seed=1)


def test_criteria(fit):
    n = 90 + 60 + 20
    assert fit.n_obs == n
    assert fit.sabic == pytest.approx(-2 * fit.loglik + 5 * np.log((n + 2) / 24))
    assert fit.caic == pytest.approx(-2 * fit.loglik + 5 * (np.log(n) + 1))
    p = fit.membership().to_numpy()
    w = np.where(np.arange(150) < 10, 3, 1)
    each = -(p * np.log(p)).sum(1)
    assert fit.entropy == pytest.approx(1 - (w * each).sum() / (n * np.log(2)))


def test_classification(fit):
    table = fit.classification()
    p, own = fit.membership().to_numpy(), fit.clusters().to_numpy()
    w = np.where(np.arange(150) < 10, 3, 1)
    for i, s in enumerate((1, 2)):
        average = np.average(p[own == s, i], weights=w[own == s])
        weight = fit.mixing[s]
        assert table.loc[s, "weight"] == pytest.approx(weight)
        assert table.loc[s, "assigned"] == pytest.approx(w[own == s].sum() / w.sum())
        assert table.loc[s, "membership"] == pytest.approx(average)
        odds = average / (1 - average) / (weight / (1 - weight))
        assert table.loc[s, "odds"] == pytest.approx(odds)


def test_one_component_is_clear_cut():
    fit = bmx.Mixture("y ~ 1", pd.DataFrame({"y": np.arange(9.0)}), k=1).fit()
    assert fit.entropy == 1.0
    assert fit.classification().iloc[0, :3].tolist() == [1, 1, 1]


def test_the_table_of_a_selection():
    d = bmx.load_data("patent")
    spec = bmx.Mixture("Patents ~ lgRD", d, family="poisson", concomitant="~ RDS")
    with pytest.warns(bmx.ConvergenceWarning):
        selection = bmx.select(spec, k=range(1, 5), seed=1)
    table = selection.table.set_index("k0")
    for k in range(1, 5):
        for name in ("sabic", "caic", "entropy", "icl"):
            assert table.loc[k, name] == getattr(selection[k], name)
        assert table.loc[k, "smallest"] == selection[k].mixing.min()
        assert table.loc[k, "agreeing"] == selection[k].starts.attrs["agreeing"]
    assert table.loc[3, "flags"] == ""
    assert "of 20 starts" in table.loc[4, "flags"]
    assert max(map(len, repr(selection).splitlines())) <= 80
    assert "k = 4: " in repr(selection)


@pytest.mark.parametrize("method", ["em", "laplace"])
def test_units_beyond_every_density_have_no_membership(method):
    rng = np.random.default_rng(3)
    time = rng.weibull(2, 200) * np.where(rng.random(200) < 0.5, 3, 10)
    data = pd.DataFrame({"years": time, "died": 1})
    found = bmx.Mixture("surv(years, died) ~ 1", data, "gompertz", k=2).fit(method, seed=1)
    far = pd.DataFrame({"years": [5.0, 1e6], "died": 1}, index=["near", "far"])  # in minutes
    np.testing.assert_allclose(found.membership(far[:1]).sum(axis=1), 1.0)
    for call in (found.membership, found.clusters):
        with pytest.raises(bmx.DataError, match=r"1 of 2 units, such as row = 'far'.* unit of"):
            call(far)
    with pytest.raises(bmx.DataError, match="1 of 2 units"):
        found.predict(far, by="membership")
