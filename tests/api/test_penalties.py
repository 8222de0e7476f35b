"""Paths over the strength of a penalty, and cross-validation."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmix as bmx
from bayesmix.estimation.held_out import fold_of, held_out


def lines(n=240, p=5):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(n, p))
    s = rng.random(n) < 0.5
    y = np.where(s, 3 * x[:, 0], 6 - 2 * x[:, 1]) + 0.8 * rng.normal(size=n)
    return pd.DataFrame(x, columns=list("abcde")[:p]).assign(y=y)


def test_each_unit_is_predicted_from_the_other_folds():
    data = lines()
    spec = bmx.Mixture("y ~ a + b", data, k=1)
    fit = spec.fit("em")
    fold = fold_of(len(data), 4, np.random.default_rng(1))
    assert np.bincount(fold).tolist() == [60] * 4
    found = held_out(fit._fitted, fold)
    for number in range(4):
        x = np.column_stack([np.ones(len(data)), data[["a", "b"]]])
        y, left = data["y"].to_numpy(), fold == number
        beta, rest = np.linalg.lstsq(x[~left], y[~left])[:2]
        sigma = np.sqrt(rest[0] / (~left).sum())
        truth = stats.norm.logpdf(y[left], x[left] @ beta, sigma)
        np.testing.assert_allclose(found[left], truth, atol=1e-5)


def test_a_path_of_the_lasso_drops_what_does_not_matter():
    data = lines()
    spec = bmx.Mixture("y ~ a + b + c + d + e", data, k=2)
    path = bmx.penalty_path(spec, "lasso", scale=[1.0, 0.01, 0.1], folds=4, seed=1, starts=4)
    table = path.table.set_index("scale")
    assert list(table.index) == [1.0, 0.1, 0.01]
    assert table.loc[1.0, "nonzero"] == 10
    assert table.loc[0.01, "nonzero"] <= 5
    assert table["held_out"].notna().all()
    assert path.best("one-se") in [path[s] for s in (1.0, 0.1, 0.01)]
    coefficients = path.coefficients()
    assert list(coefficients.columns) == [1.0, 0.1, 0.01]
    assert (coefficients.loc[list("cde"), 0.01].abs() < 0.15).all()
    assert "lasso over 3 scales" in repr(path)


def test_wrong_calls():
    spec = bmx.Mixture("y ~ a + b", lines(), k=1)
    with pytest.raises(bmx.SpecError, match="positive numbers"):
        bmx.penalty_path(spec, scale=[1, 0])
    with pytest.raises(bmx.SpecError, match="'elastic' is unknown"):
        bmx.penalty_path(spec, "elastic", scale=[1])
    with pytest.raises(bmx.SpecError, match="must be among"):
        bmx.penalty_path(spec, scale=[1], terms=["z"])
    path = bmx.penalty_path(spec, "ridge", scale=[1, 0.1])
    with pytest.raises(bmx.FitError, match="give folds="):
        path.best()
    with pytest.raises(bmx.FitError, match="more than the 240 units"):
        bmx.penalty_path(spec, scale=[1], folds=500)
