"""The fused passes against the NumPy passes, in the terms of a model's parameters."""

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx
from bayesmix.likelihood import build_problem, em_pass, fused, log_likelihood
from bayesmix.likelihood.information import information


def model(family, concomitant, labels=None):
    rng = np.random.default_rng(0)
    n = 3000
    data = pd.DataFrame(rng.normal(size=(n, 3)), columns=["x1", "x2", "x3"])
    data["w"] = rng.uniform(0.0, 2.0, n)
    data["trials"] = rng.integers(1, 9, n)
    data["known"] = (
        pd.Series(["a", "b"]).take(rng.integers(0, 2, n)).where(rng.random(n) < 0.2).to_numpy()
        if labels
        else None
    )
    eta = 0.3 + 0.2 * data.x1 + 0.5 * (rng.random(n) < 0.4) * data.x2
    data["gaussian"] = eta + rng.normal(size=n)
    data["poisson"] = rng.poisson(np.exp(eta))
    data["binomial"] = rng.binomial(data.trials, 1 / (1 + np.exp(-eta)))
    response = "p(binomial, trials)" if family == "binomial" else family
    return bmx.Mixture(
        f"{response} ~ x1 + offset(x3 / 10)",
        data,
        family=family,
        k=3,
        fixed="~ x3",
        nested=[("~ 0", 1), ("~ x2", 2)],
        dispersion=[1, 2] if family == "gaussian" else "varying",
        concomitant=concomitant,
        weights="w",
        labels=labels,
    )


@pytest.mark.parametrize("family", ["gaussian", "poisson", "binomial"])
@pytest.mark.parametrize(("concomitant", "labels"), [(None, None), ("~ x1", "known")])
def test_the_passes_agree(monkeypatch, family, concomitant, labels):
    spec = model(family, concomitant, labels).spec
    problem = build_problem(spec)
    theta = np.random.default_rng(1).normal(size=(2, spec.layout.size)) * 0.3
    assert not fused.is_fused(problem)
    numpy_pass, numpy_info = em_pass(problem, theta), information(problem, theta)
    monkeypatch.setattr(fused, "LARGE", 1)
    assert fused.is_fused(problem)
    fused_pass, fused_info = em_pass(problem, theta), information(problem, theta)
    for ours, theirs in zip(fused_pass[:-1], numpy_pass[:-1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-8)
    for number, squares in numpy_pass.squares.items():
        for ours, theirs in zip(fused_pass.squares[number], squares, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-8)
    for ours, theirs in zip(fused_info, numpy_info, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(log_likelihood(problem, theta), numpy_pass.loglik, rtol=1e-12)


def test_fits_do_not_depend_on_the_engine(monkeypatch):
    spec = model("poisson", "~ x1")
    small = spec.fit("em", seed=3, starts=2)
    monkeypatch.setattr(fused, "LARGE", 1)
    large = spec.fit("em", seed=3, starts=2)
    assert large.loglik == pytest.approx(small.loglik, abs=1e-6)
    np.testing.assert_allclose(large.summary()["se"], small.summary()["se"], rtol=1e-5)


def test_grouped_and_mixed_models_use_the_general_engine(monkeypatch):
    monkeypatch.setattr(fused, "LARGE", 1)
    data = bmx.load_data("betablocker")
    grouped = bmx.Mixture("p(Deaths, Total) ~ 1 | Center", data, family="binomial", k=2)
    assert not fused.is_fused(build_problem(grouped.spec))
    mixed = bmx.Mixture(
        "Faults ~ log(Length)", bmx.load_data("fabricfault"), family=["zero", "poisson"], k=2
    )
    assert not fused.is_fused(build_problem(mixed.spec))
