"""Families that differ by component, with one that grows with k."""

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(4)
    u = rng.random(300)
    y = np.where(u < 0.3, 0, rng.poisson(np.where(u < 0.7, 3.0, 14.0)))
    return pd.DataFrame({"y": y, "x": rng.normal(size=300)})


def families(spec):
    return [f.name for f in spec.spec.layout.blocks[0].families]


def test_a_family_that_grows(data):
    spec = bmx.Mixture("y ~ 1", data, family={"zero": 1, "poisson": "k"}, k=3)
    assert families(spec) == ["zero", "poisson", "poisson"]
    assert families(spec.with_k(2)) == ["zero", "poisson"]
    assert families(spec.with_k(5)) == ["zero"] + ["poisson"] * 4
    listed = bmx.Mixture("y ~ 1", data, family=["zero", "poisson", "poisson"], k=3)
    assert spec.fit(seed=1).loglik == pytest.approx(listed.fit(seed=1).loglik, abs=1e-9)


def test_select_grows_the_family(data):
    spec = bmx.Mixture("y ~ 1", data, family={"zero": 1, "poisson": "k"}, k=2)
    selection = bmx.select(spec, k=range(2, 5), seed=1)
    best = selection.best("bic")
    assert best.k == 3
    assert best.mixing.iloc[0] == pytest.approx(0.3, abs=0.08)
    assert selection.test(2, 3, n_boot=19, seed=1, progress=False).p_value == 0.05


def test_the_order_is_that_of_the_dict_and_own_families_are_keys(data):
    own = bmx.Family(
        "small", params={"mu": "log"}, location="mu", logpdf=lambda y, mu: -y / mu - np.log(mu)
    )
    spec = bmx.Mixture("y ~ 1", data, family={own: "k", "zero": 1}, k=3)
    assert families(spec) == ["small", "small", "zero"]


def test_fixed_numbers(data):
    spec = bmx.Mixture("y ~ 1", data, family={"zero": 1, "poisson": 2}, k=3)
    assert families(spec) == ["zero", "poisson", "poisson"]
    with pytest.raises(bmx.SpecError, match="has 3 components, but k=4; write 'k'"):
        spec.with_k(4)


def test_a_saved_model_still_grows(data, tmp_path):
    spec = bmx.Mixture("y ~ 1", data, family={"zero": 1, "poisson": "k"}, k=3)
    fit = spec.fit(seed=1)
    fit.save(tmp_path / "fit.nc")
    again = bmx.load(tmp_path / "fit.nc")
    assert again.loglik == fit.loglik
    assert families(again.spec.with_k(4)) == ["zero"] + ["poisson"] * 3


def test_of_one_response_among_several(data):
    d = data.assign(z=np.where(data.y > 8, 2.0, -2.0) + np.random.default_rng(1).normal(size=300))
    parts = [
        bmx.Regression("y ~ 1", family={"zero": 1, "poisson": "k"}),
        bmx.Regression("z ~ 1", family="gaussian"),
    ]
    spec = bmx.Mixture(parts, d, k=2).with_k(3)
    assert families(spec) == ["zero", "poisson", "poisson"]


WRONG = {
    "too few": (
        {"zero": 1, "poisson": "k"},
        1,
        r"k=1; use k of at least 2, as in select\(..., k=range\(2",
    ),
    "two rests": ({"zero": "k", "poisson": "k"}, 3, "one of them to 'k'"),
    "nothing": ({"zero": 0, "poisson": "k"}, 3, "positive whole numbers"),
    "mixed": ({"zero": 1, "poisson": "gaussian"}, 3, "family="),
    "unknown": ({"zero": 1, "poison": "k"}, 3, "poison"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_numbers(data, name):
    family, k, words = WRONG[name]
    with pytest.raises(bmx.SpecError, match=words):
        bmx.Mixture("y ~ 1", data, family=family, k=k)


@pytest.mark.parametrize("formulas", [["y ~ x", "y ~ 1"], ("y ~ 1", "y ~ x")])
def test_formulas_of_components_are_nested(data, formulas):
    with pytest.raises(bmx.BayesmixError, match=r"nested=\[\('~ 0', 1\), \('~ x', 1\)\]"):
        bmx.Mixture(formulas, data)
