"""Fits to multiply imputed data pooled, against Rubin's formulas written out."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmix as bmx
from bayesmix.comparison.pooling import rubin


def imputed(seed=0, n=150):
    """Two lines, and a covariate that is drawn anew in a third of the rows."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=n)
    s = rng.random(n) < 0.4
    y = np.where(s, 5 - x, x) + rng.normal(0, 0.7, n)
    data = pd.DataFrame({"x": x, "y": y})
    draw = np.random.default_rng(seed)
    data.loc[: n // 3, "x"] += draw.normal(0, 0.4, n // 3 + 1)
    return data


@pytest.fixture(scope="module")
def fits():
    found = [bmx.Mixture("y ~ x", imputed(i), k=2).fit("em", seed=1, starts=3) for i in range(4)]
    found[2] = found[2].relabel(order=[2, 1])  # components are matched
    return found


def by_hand(q, u, n):
    """Barnard and Rubin (1999), equations (1) to (4); Rubin (1987), (3.1.10)."""
    m = len(q)
    b = np.sum((q - q.mean()) ** 2) / (m - 1)
    t = u.mean() + (1 + 1 / m) * b
    gamma = (1 + 1 / m) * b / t
    old = (m - 1) / gamma**2
    observed = (n + 1) / (n + 3) * n * (1 - gamma)
    df = 1 / (1 / old + 1 / observed)
    r = (1 + 1 / m) * b / u.mean()
    return q.mean(), t, df, (r + 2 / (df + 3)) / (r + 1)


def test_rubins_rules(fits):
    table = bmx.pool(fits).summary(ci=0.9).set_index(["component", "term"])
    order = [[1, 2], [1, 2], [2, 1], [1, 2]]
    each = [f.summary().set_index(["component", "term"]) for f in fits]
    n = 150 - fits[0].df
    for component, at in ((1, 0), (2, 1)):
        slope = np.array(
            [e.loc[(o[at], "x"), ["estimate", "se"]] for e, o in zip(each, order, strict=True)],
            dtype=float,
        )
        q, t, df, fmi = by_hand(slope[:, 0], slope[:, 1] ** 2, n)
        row = table.loc[(component, "x")]
        reach = stats.t.ppf(0.95, df) * np.sqrt(t)
        wanted = [q, np.sqrt(t), q / np.sqrt(t), q - reach, q + reach, df, fmi]
        found = row[["estimate", "se", "z", "lower", "upper", "df", "fmi"]].astype(float)
        np.testing.assert_allclose(found, wanted, rtol=1e-8)
        assert row["p_value"] == pytest.approx(2 * stats.t.sf(abs(q) / np.sqrt(t), df), rel=1e-8)
        sigma = np.array(
            [e.loc[(o[at], "sigma"), ["estimate", "se"]] for e, o in zip(each, order, strict=True)],
            dtype=float,
        )
        q, t, df, _ = by_hand(np.log(sigma[:, 0]), (sigma[:, 1] / sigma[:, 0]) ** 2, n)
        row = table.loc[(component, "sigma")]
        assert row["estimate"] == pytest.approx(np.exp(q))
        assert row["se"] == pytest.approx(np.exp(q) * np.sqrt(t))
        assert row["upper"] == pytest.approx(np.exp(q + stats.t.ppf(0.95, df) * np.sqrt(t)))


def test_equal_fits_lose_nothing():
    t, df, fmi = rubin(np.full(3, 2.0), np.full(3, 0.25), np.inf)
    assert (t, df) == (0.25, np.inf)
    assert fmi == 0
    _, df, _ = rubin(np.full(3, 2.0), np.full(3, 0.25), 10.0)
    assert df == pytest.approx(11 / 13 * 10)


def test_large_data_have_rubins_first_degrees_of_freedom(fits):
    table = bmx.pool(fits, small_sample=False).summary()
    assert table.loc[0, "df"] > bmx.pool(fits).summary().loc[0, "df"]


def test_memberships_and_parameters(fits):
    pooled = bmx.pool(fits)
    names = [1, 2]
    each = [f.membership()[names].to_numpy() for f in fits]
    each[2] = each[2][:, ::-1]
    np.testing.assert_allclose(pooled.membership(), np.mean(each, axis=0))
    table = pooled.summary().set_index(["component", "term"])
    np.testing.assert_allclose(
        pooled.params["coef"].sel(component=2), table.loc[2].loc[["Intercept", "x"], "estimate"]
    )
    assert "4 point fits of imputed data" in repr(pooled)
    assert max(map(len, repr(pooled).split("\n"))) <= 80


def test_posteriors_are_stacked():
    posts = [
        bmx.Mixture("y ~ x", imputed(i), k=2).fit("laplace", draws=300, seed=i) for i in range(3)
    ]
    pooled = bmx.pool(posts)
    table = pooled.summary().set_index(["component", "term"])
    means = [p.summary().set_index(["component", "term"]).loc[(2, "x"), "mean"] for p in posts]
    assert table.loc[(2, "x"), "mean"] == pytest.approx(np.mean(means), abs=1e-10)
    draws = pooled.draws()
    assert draws.shape == (len(table), 900)
    assert table.loc[(2, "x"), "sd"] == pytest.approx(
        draws.loc[(2, "x", "varying")].to_numpy().std(ddof=1)
    )
    assert 0 < table.loc[(2, "x"), "fmi"] < 1


def test_what_cannot_be_pooled(fits):
    with pytest.raises(bmx.SpecError, match="two or more"):
        bmx.pool(fits[:1])
    with pytest.raises(bmx.SpecError, match="number 1 has other parameters"):
        bmx.pool([fits[0], bmx.Mixture("y ~ 1", imputed(), k=2).fit("em", seed=1)])
    with pytest.raises(bmx.SpecError, match="same units"):
        bmx.pool([fits[0], bmx.Mixture("y ~ x", imputed()[:100], k=2).fit("em", seed=1)])
    with pytest.raises(bmx.SpecError, match="not a fit"):
        bmx.pool([fits[0], "fit"])
    with pytest.raises(bmx.FitError, match="posteriors"):
        bmx.pool(fits).draws()
