"""Equal units computed once: the same sums, the same fits."""

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx
from bayesmix.likelihood import em_pass, log_likelihood
from bayesmix.likelihood.compress import compressed
from bayesmix.likelihood.information import information
from bayesmix.results.fitted import standard_problem


def made(n=1500, seed=1):
    rng = np.random.default_rng(seed)
    one = rng.random(n) < 0.4
    right = rng.random((n, 4)) < np.where(one, 0.85, 0.3)[:, None]
    data = pd.DataFrame(right.astype(float), columns=list("ABCD"))
    return data.assign(g=rng.choice(["u", "v"], n), w=rng.integers(1, 4, n), x=rng.normal(size=n))


def specification(data, family="binomial", formula="~ 1", k=2, **options):
    return bmx.Mixture(bmx.items(list("ABCD"), family, formula), data, k=k, **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weights": "w"},
        {"formula": "~ g", "concomitant": "~ g"},
        {"family": "ordinal"},
        {"na_action": "fiml"},
    ],
)
def test_sums_over_units_are_the_same(options):
    data = made()
    if "na_action" in options:
        data["A"] = data["A"].mask(data.index % 7 == 0)
    whole = standard_problem(specification(data, **options).spec)
    few = compressed(whole)
    assert few.n_units <= 32 * (2 if "formula" in options else 1)
    weight = data["w"].sum() if "weights" in options else len(data)
    assert few.weight.sum() == weight
    theta = np.random.default_rng(2).normal(size=(3, whole.spec.layout.size))
    np.testing.assert_allclose(log_likelihood(few, theta), log_likelihood(whole, theta), 1e-12)
    a, b = em_pass(few, theta), em_pass(whole, theta)
    np.testing.assert_allclose(a.score, b.score, atol=1e-9)
    np.testing.assert_allclose(a.scoring, b.scoring, atol=1e-9)
    a, b = information(few, theta), information(whole, theta)
    np.testing.assert_allclose(a.matrix, b.matrix, atol=1e-8)


def test_fits_report_every_unit():
    data = made()
    fit = specification(data).fit("em", seed=1, starts=3)
    assert fit.n_obs == fit.n_units == len(data)
    assert len(fit.membership()) == len(data)
    table = data[list("ABCD")].value_counts().rename("n").reset_index()
    by_hand = specification(table, weights="n").fit("em", seed=1, starts=3)
    assert fit.loglik == pytest.approx(by_hand.loglik, abs=1e-7)
    np.testing.assert_allclose(fit.summary()["se"], by_hand.summary()["se"], rtol=1e-5)
    given = specification(data).fit("em", init=fit.membership().to_numpy())
    assert given.loglik == pytest.approx(fit.loglik, abs=1e-7)


def test_what_does_not_pay_stays_as_it_is():
    data = made()
    few = standard_problem(specification(data.head(200)).spec)
    assert compressed(few) is few
    continuous = standard_problem(specification(data, formula="~ x").spec)
    assert compressed(continuous) is continuous
    grouped = bmx.Mixture(bmx.items(list("ABCD"), "binomial"), data, k=2, group="g")
    grouped = standard_problem(grouped.spec)
    assert compressed(grouped) is grouped


def test_few_distinct_rows_of_a_response_are_evaluated_once(monkeypatch):
    monkeypatch.setenv("BAYESMIX_COMPILE", "0")
    data = made().assign(C=lambda d: d["C"].mask(d.index % 5 == 0))
    data["z"] = np.random.default_rng(5).normal(size=len(data))
    parts = [*bmx.items(["A", "C"], "categorical", "~ g"), bmx.Regression("z ~ x")]
    whole = standard_problem(bmx.Mixture(parts, data, k=2, na_action="fiml").spec)
    with_tables = [arrays.table(arrays.groups[0]) is not None for arrays in whole.blocks]
    assert with_tables == [True, True, False]
    theta = np.random.default_rng(2).normal(size=(2, whole.spec.layout.size))
    found = [
        log_likelihood(whole, theta),
        *em_pass(whole, theta)[:3],
        *information(whole, theta),
    ]
    for arrays in whole.blocks:
        monkeypatch.setattr(type(arrays), "table", lambda *_: None)
    again = standard_problem(bmx.Mixture(parts, data, k=2, na_action="fiml").spec)
    plain = [
        log_likelihood(again, theta),
        *em_pass(again, theta)[:3],
        *information(again, theta),
    ]
    for mine, theirs in zip(found, plain, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-8)
