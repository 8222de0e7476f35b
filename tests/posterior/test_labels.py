"""Relabelling: planted permutations, tiny cases by hand, and what must not be crossed."""

import importlib
import itertools

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linear_sum_assignment

import bayesmix as bmx
from bayesmix.errors import FitError
from bayesmix.likelihood import build_problem, log_likelihood, unit_terms
from bayesmix.model.params import permute
from bayesmix.posterior import labels
from bayesmix.posterior.labels.methods import costs, one_hot
from bayesmix.results.matching import assign

N = 90
ALL = ("pivot", "ecr", "stephens", "ordering")


def frame():
    rng = np.random.default_rng(5)
    x = rng.uniform(-1, 1, N)
    z = rng.integers(0, 5, N)
    return pd.DataFrame(
        {
            "x": x,
            "v": rng.normal(size=N),
            "g": np.repeat(np.arange(N // 3), 3),
            "w": rng.integers(0, 3, N),
            "y": np.array([-8.0, -4, 0, 4, 8])[z]
            + np.array([2, -2, 0, 2, -2])[z] * x
            + rng.normal(0, 0.6, N),
            "label": np.array(["a", "b", None])[rng.integers(0, 3, N)],
        }
    )


D = frame()


def make(formula="y ~ x", k=3, data=D, **options):
    spec = bmx.Mixture(formula, data, k=k, **options)._spec
    return spec, build_problem(spec)


def well_apart(spec, seed=0, n=60, noise=0.05):
    """Draws around one point with components far from each other."""
    rng = np.random.default_rng(seed)
    centre = np.zeros(spec.layout.size)
    for s in range(spec.k):
        for predictor in spec.layout.blocks[0].predictors:
            for term, at in zip(predictor.terms, predictor.index[s], strict=True):
                own = len(spec.layout.coordinates[at].components) == 1 if at >= 0 else False
                if own and predictor.variable == "coef":
                    level = 6.0 * s - 3.0 * (spec.k - 1)
                    centre[at] = level if term == "Intercept" else 1.5 * (-1) ** s
    return centre, centre + noise * rng.normal(size=(n, len(centre)))


def planted(spec, n, seed=1):
    """Random orders within the symmetric sets."""
    rng = np.random.default_rng(seed)
    orders = np.tile(np.arange(spec.k), (n, 1))
    for members in spec.layout.symmetric:
        at = np.array(members)
        orders[:, at] = rng.permuted(np.tile(at, (n, 1)), axis=1)
    return orders


MODELS = {
    "plain": {"k": 3},
    "two": {"k": 2},
    "five": {"k": 5},
    "concomitant": {"k": 3, "concomitant": "~ v"},
    "groups": {"k": 3, "formula": "y ~ x | g"},
    "weights": {"k": 3, "weights": "w"},
    "nested": {"k": 4, "formula": "y ~ 1", "nested": [("~ 0 + x", 2), ("~ 0", 2)]},
    "dispersion blocks": {"k": 4, "dispersion": [2, 2]},
    "one label known": {"k": 3, "labels": "one"},
}
DATA = D.assign(one=D.label.where(D.label == "a"))


# --- planted permutations ------------------------------------------------------------------


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("name", MODELS)
def test_planted_permutations_are_undone_exactly(name, method):
    spec, problem = make(data=DATA, **MODELS[name])
    centre, theta = well_apart(spec)
    orders = planted(spec, len(theta))
    switched = np.array([permute(spec.layout, t, o) for t, o in zip(theta, orders, strict=True)])
    assert (switched != theta).any()
    by = "Intercept" if method == "ordering" else None
    found = labels.relabel(problem, switched, method, mode=centre, by=by)
    assert_array_equal(found.orders, np.argsort(orders, axis=1))
    assert_allclose(found.theta, theta, atol=1e-12)


@pytest.mark.parametrize("method", ["ecr", "stephens"])
def test_without_a_mode_they_are_undone_up_to_one_permutation(method):
    spec, problem = make(k=4)
    theta = well_apart(spec)[1]
    orders = planted(spec, len(theta))
    switched = labels.relabel_theta(spec.layout, theta, orders)
    found = labels.relabel(problem, switched, method).orders
    once = np.take_along_axis(orders, found, axis=1)
    assert (once == once[0]).all()


def test_chains_keep_their_shape():
    spec, problem = make()
    centre, theta = well_apart(spec, n=40)
    switched = labels.relabel_theta(spec.layout, theta, planted(spec, 40)).reshape(4, 10, -1)
    found = labels.relabel(problem, switched, mode=centre)
    assert found.orders.shape == (40, 3)
    assert_allclose(found.theta, theta.reshape(4, 10, -1), atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_the_likelihood_does_not_change(name):
    spec, problem = make(data=DATA, **MODELS[name])
    theta = well_apart(spec, n=20, noise=1.0)[1]
    for method, by in (("stephens", None), ("ordering", "Intercept")):
        found = labels.relabel(problem, theta, method, by=by)
        assert_allclose(
            log_likelihood(problem, found.theta), log_likelihood(problem, theta), rtol=1e-10
        )


def test_fewer_draws_in_memory_give_the_same_labels():
    spec, problem = make()
    centre, theta = well_apart(spec, n=200)
    switched = labels.relabel_theta(spec.layout, theta, planted(spec, 200))
    for method in ("stephens", "ecr"):
        whole = labels.relabel(problem, switched, method, mode=centre)
        part = labels.relabel(problem, switched, method, mode=centre, limit=25 * 8 * N * 3)
        assert (whole.used, part.used) == (200, 25)
        assert_array_equal(whole.orders, part.orders)


# --- symmetry ------------------------------------------------------------------------------


def crosses(orders, symmetric):
    home = {s: i for i, members in enumerate(symmetric) for s in members}
    return any(home[place] != home[s] for order in orders for place, s in enumerate(order))


@pytest.mark.parametrize(
    "symmetric", [((0, 1), (2, 3)), ((0, 2, 4), (1,), (3,)), ((0,), (1, 2, 3, 4, 5))]
)
def test_no_method_crosses_symmetric_sets(symmetric):
    rng = np.random.default_rng(2)
    k = sum(map(len, symmetric))
    p = rng.dirichlet(np.full(k, 0.3), (50, 30)).swapaxes(1, 2)
    found = [
        labels.stephens(p, symmetric).orders,
        labels.ecr(one_hot(p.argmax(1), k), symmetric).orders,
        labels.ordering(rng.normal(size=(50, k)), symmetric),
    ]
    for orders in found:
        assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(k), (50, 1)))
        assert not crosses(orders, symmetric)
        assert (orders != np.arange(k)).any()


def test_distinguished_components_stay_and_nothing_is_computed(monkeypatch):
    spec, problem = make(data=DATA, labels="label", k=2)
    assert spec.layout.symmetric == ((0,), (1,))
    module = importlib.import_module("bayesmix.posterior.labels.relabel")
    monkeypatch.setattr(module, "membership_batches", None)
    monkeypatch.setattr(module, "unit_terms", None)
    theta = well_apart(spec)[1]
    for method in ALL:
        found = labels.relabel(problem, theta, method, mode=theta[0])
        assert_array_equal(found.orders, np.tile([0, 1], (len(theta), 1)))
        assert_array_equal(found.theta, theta)
        assert found.used == 0


# --- the machinery -------------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 3, 4, 5, 6])
def test_assignment_is_the_optimal_one(k):
    cost = np.random.default_rng(k).normal(size=(40, k, k))
    orders = assign(cost, (tuple(range(k)),))
    for one, order in zip(cost, orders, strict=True):
        rows, best = linear_sum_assignment(one)
        assert one[np.arange(k), order].sum() == pytest.approx(one[rows, best].sum())


def test_assignment_by_hand():
    cost = np.array([[[5.0, 1, 9], [1, 5, 9], [0, 0, 0]], [[1.0, 1, 1], [1, 1, 1], [1, 1, 1]]])
    assert_array_equal(assign(cost, ((0, 1, 2),)), [[1, 0, 2], [0, 1, 2]])
    assert_array_equal(assign(cost, ((0, 2), (1,))), [[0, 1, 2], [0, 1, 2]])
    assert_array_equal(assign(-cost, ((0, 2), (1,)))[0], [2, 1, 0])


def test_costs_are_the_sums_of_the_equation():
    rng = np.random.default_rng(3)
    p, c, w = rng.random((4, 3, 7)), rng.random((7, 3)), rng.random(7)
    expected = np.einsum("u,tsu,uj->tjs", w, p, c)
    assert_allclose(costs(p, c, w), expected)
    assert_allclose(costs(p, c, None), np.einsum("tsu,uj->tjs", p, c))


def test_ecr_by_hand():
    z = np.array([[0, 0, 1, 1], [1, 1, 0, 0], [0, 1, 1, 1], [1, 0, 0, 0]])
    # The second unit is 0 in two draws and 1 in two: two allocations differ from any pivot.
    own = labels.ecr(one_hot(z, 2), ((0, 1),))
    assert own.trace[-1] == pytest.approx(2)
    orders = np.array([[0, 1], [1, 0], [0, 1], [1, 0]])
    assert_array_equal(own.orders, orders if own.orders[0, 0] == 0 else orders[:, ::-1])


def reordered(p, orders):
    """Memberships (T, U, S) of the reordered components."""
    return np.take_along_axis(p, orders[:, None], axis=2)


def divergence(p, orders, w):
    q = reordered(p, orders)
    mean = q.mean(0)
    terms = np.where(q > 0, q * (np.log(np.where(q > 0, q, 1)) - np.log(mean)), 0.0)
    return float((terms.sum(2) * w).sum())


def test_stephens_lowers_its_objective_to_the_least():
    rng = np.random.default_rng(4)
    for _ in range(20):
        p, w = rng.dirichlet(np.ones(2), (7, 3)), rng.integers(1, 4, 3)
        found = labels.stephens(p.swapaxes(1, 2), ((0, 1),), weight=w)
        assert (np.diff(found.trace) < 0).all()
        assert found.trace[-1] == pytest.approx(divergence(p, found.orders, w))
        every = itertools.product([[0, 1], [1, 0]], repeat=7)
        least = min(divergence(p, np.array(orders), w) for orders in every)
        # A local minimum: no single draw can be improved, and it is close to the best of 128.
        assert found.trace[-1] <= least * 1.25 + 1e-12
        for t in range(7):
            other = found.orders.copy()
            other[t] = other[t, ::-1]
            q = reordered(p, found.orders).mean(0)
            kept, changed = (p[t][:, o[t]] for o in (found.orders, other))
            assert (w[:, None] * kept * np.log(q)).sum() >= (
                w[:, None] * changed * np.log(q)
            ).sum() - 1e-9


def test_stephens_trace_falls_on_a_hard_case():
    rng = np.random.default_rng(6)
    p = rng.dirichlet(np.full(4, 0.8), (300, 40))
    found = labels.stephens(p.swapaxes(1, 2), ((0, 1, 2, 3),))
    assert len(found.trace) > 3
    assert (np.diff(found.trace) < 0).all()
    assert found.trace[-1] == pytest.approx(divergence(p, found.orders, np.ones(40)))


def test_weights_count_as_copies():
    rng = np.random.default_rng(7)
    p, w = rng.dirichlet(np.full(3, 0.5), (80, 12)).swapaxes(1, 2), rng.integers(0, 4, 12)
    copied = np.repeat(p, w, axis=2)
    symmetric = ((0, 1, 2),)
    z = one_hot(p.argmax(1), 3)
    pairs = [
        (labels.stephens(p, symmetric, weight=w), labels.stephens(copied, symmetric)),
        (labels.ecr(z, symmetric, weight=w), labels.ecr(np.repeat(z, w, axis=2), symmetric)),
    ]
    for weighted, repeated in pairs:
        assert_array_equal(weighted.orders, repeated.orders)
        assert_allclose(weighted.trace, repeated.trace)


def test_agreement_by_hand():
    a = np.array([[0, 1, 2], [1, 0, 2], [2, 1, 0], [0, 1, 2]])
    rolled = a[:, [1, 2, 0]]  # another numbering of the same labels
    b = a.copy()
    b[3] = [0, 2, 1]
    table = labels.agreement({"a": a, "rolled": rolled, "b": b})
    assert table.loc["a", "rolled"] == 1.0
    assert table.loc["a", "b"] == table.loc["b", "rolled"] == 0.75
    assert_array_equal(np.diag(table), 1.0)
    assert_array_equal(table, table.T)


def test_methods_agree_on_separated_components():
    spec, problem = make()
    centre, theta = well_apart(spec)
    switched = labels.relabel_theta(spec.layout, theta, planted(spec, len(theta)))
    orders = {m: labels.relabel(problem, switched, m, mode=centre).orders for m in ALL}
    assert (labels.agreement(orders) == 1).all(axis=None)


@pytest.mark.parametrize("k", [3, 16])
def test_many_orders_are_applied_one_by_one_alike(k):
    spec, _ = make("y ~ 1", k=k, concomitant="~ v")
    rng = np.random.default_rng(8)
    theta = rng.normal(size=(25, spec.layout.size))
    orders = rng.permuted(np.tile(np.arange(k), (25, 1)), axis=1)
    expected = [permute(spec.layout, t, o) for t, o in zip(theta, orders, strict=True)]
    assert_allclose(labels.relabel_theta(spec.layout, theta, orders), expected)


@pytest.mark.parametrize("name", MODELS)
def test_memberships_are_those_of_every_draw(name, monkeypatch):
    spec, problem = make(data=DATA, **MODELS[name])
    theta = well_apart(spec, n=7, noise=2.0)[1]
    expected = np.array([unit_terms(problem, t)[1] for t in theta])
    assert_allclose(labels.draw_memberships(problem, theta), expected, atol=1e-12)
    monkeypatch.setattr("bayesmix.posterior.labels.draws.BATCH", 1)
    monkeypatch.setattr("bayesmix.likelihood.densities.BLOCK", 1)
    assert_allclose(labels.draw_memberships(problem, theta), expected, atol=1e-12)


def test_memberships_follow_the_order():
    spec, problem = make()
    theta = well_apart(spec, n=6, noise=2.0)[1]
    orders = planted(spec, 6)
    p = labels.draw_memberships(problem, theta)
    moved = labels.draw_memberships(problem, labels.relabel_theta(spec.layout, theta, orders))
    assert_allclose(reordered(p, orders), moved, atol=1e-12)
    z = moved.argmax(2)
    assert_array_equal(one_hot(z, 3).argmax(1), z)


# --- orderings -----------------------------------------------------------------------------


def test_values_of_components():
    spec, _ = make(concomitant="~ v")
    theta = np.random.default_rng(9).normal(size=(4, spec.layout.size))
    location, sigma = spec.layout.blocks[0].predictors
    for by, expected in (
        ("Intercept", theta[:, location.index[:, 0]]),
        ("x", theta[:, location.index[:, 1]]),
        ("sigma", np.exp(theta[:, sigma.index[:, 0]])),
        (None, theta[:, location.index[:, 0]]),
    ):
        assert_allclose(labels.component_values(spec, theta, by), expected)
    logits = np.where(spec.layout.alpha >= 0, theta[:, spec.layout.alpha], 0.0)
    pi = np.exp(np.einsum("tsq,uq->tus", logits, np.column_stack([np.ones(N), D.v])))
    pi /= pi.sum(2, keepdims=True)
    assert_allclose(labels.component_values(spec, theta, "weight"), pi.mean(1))


def test_orderings_stay_within_blocks():
    spec, problem = make("y ~ 1", k=4, nested=[("~ 0 + x", 2), ("~ 0", 2)])
    theta = well_apart(spec)[1]
    with pytest.raises(FitError, match="is shared"):  # by the components of its block
        labels.component_values(spec, theta, "x")
    ordered = labels.relabel(problem, theta[:, ::-1].copy(), "ordering").theta
    location = spec.layout.blocks[0].predictors[0]
    index = location.index[:, location.terms.index("Intercept")]
    for members in spec.layout.symmetric:
        assert (np.diff(ordered[:, index[list(members)]], axis=1) >= 0).all()


def test_default_order_of_fixed_effects_is_by_what_differs():
    spec, _ = make("y ~ 0", k=2, fixed="~ 1 + x", dispersion="varying")
    theta = np.random.default_rng(1).normal(size=(3, spec.layout.size))
    index = spec.layout.blocks[0].predictors[1].index[:, 0]
    assert_allclose(labels.component_values(spec, theta), np.exp(theta[:, index]))


def test_several_responses_name_their_terms():
    data = D.assign(y2=D.y * 0.5)
    spec = bmx.Mixture([bmx.Regression("y ~ x"), bmx.Regression("y2 ~ x")], data, k=2)._spec
    theta = np.random.default_rng(1).normal(size=(3, spec.layout.size))
    second = spec.layout.blocks[1].predictors[0].index[:, 1]
    assert_allclose(labels.component_values(spec, theta, "y2: x"), theta[:, second])


# --- refusals ------------------------------------------------------------------------------


def test_refusals():
    spec, problem = make(fixed="~ v")
    theta = well_apart(spec)[1]
    with pytest.raises(FitError, match="is unknown; use one of"):
        labels.relabel(problem, theta, "alphabet")
    with pytest.raises(FitError, match="give mode="):
        labels.relabel(problem, theta, "pivot")
    with pytest.raises(FitError, match="shared by interchangeable components"):
        labels.relabel(problem, theta, "ordering", by="v")
    with pytest.raises(FitError, match=r"names no parameter.*'Intercept', 'x', 'sigma', 'weight'"):
        labels.relabel(problem, theta, "ordering", by="nothing")
