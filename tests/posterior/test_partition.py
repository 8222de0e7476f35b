"""Consensus partitions against all partitions of six units, and by hand."""

import itertools
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from bayesmix.errors import FitError
from bayesmix.posterior.partition import (
    binder,
    canonical,
    consensus,
    credible_ball,
    criterion,
    distances,
    similarity,
)
from bayesmix.posterior.partition.search import best_cut, refine


def all_partitions(n):
    """Every partition of n units, as labels in order of appearance."""

    def longer(labels):
        if len(labels) == n:
            yield np.array(labels)
            return
        for new in range(max(labels) + 2):
            yield from longer([*labels, new])

    return list(longer([0]))


SIX = all_partitions(6)


def hard(allocations):
    """Allocations (T, U) as memberships (T, U, S) of zeros and ones."""
    return (allocations[..., None] == np.arange(allocations.max() + 1)).astype(float)


def variation(a, b):
    return distances("vi", a, canonical(b)[None])[0]


def draws(seed, n_units=6, n_draws=30):
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 5))
    share = rng.dirichlet(np.full(k, 0.7), n_units)
    return np.array([[rng.choice(k, p=p) for p in share] for _ in range(n_draws)])


def same(labels):
    return labels[:, None] == labels


# --- distances -----------------------------------------------------------------------------


def test_there_are_203_partitions_of_six():
    assert len(SIX) == 203  # Bell's number


def plain_variation(a, b):
    """From the definition, -sum p(k, m) (log2 p(k, m) / p(k) + log2 p(k, m) / p(m))."""
    value = 0.0
    for k, m in itertools.product(set(a.tolist()), set(b.tolist())):
        both = np.mean((a == k) & (b == m))
        if both:
            value -= both * (np.log2(both / np.mean(a == k)) + np.log2(both / np.mean(b == m)))
    return value


def plain_binder(a, b):
    pairs = list(itertools.combinations(range(len(a)), 2))
    return np.mean([(a[i] == a[j]) != (b[i] == b[j]) for i, j in pairs])


@pytest.mark.parametrize("distance", [variation, binder])
def test_distances_are_metrics(distance):
    some = SIX[::7]
    d = np.array([[distance(a, b) for b in some] for a in some])
    assert_allclose(d, d.T, atol=1e-12)
    assert ((d < 1e-12) == np.eye(len(some), dtype=bool)).all()
    assert (d[:, :, None] <= d[:, None, :] + d.T[None] + 1e-12).all()


def test_distances_by_definition():
    for a, b in itertools.product(SIX[::11], SIX[::13]):
        assert variation(a, b) == pytest.approx(plain_variation(a, b), abs=1e-12)
        assert binder(a, b) == pytest.approx(plain_binder(a, b), abs=1e-12)


def test_distances_by_hand():
    whole, halves, single = np.zeros(4, int), np.array([0, 0, 1, 1]), np.arange(4)
    crossed = np.array([0, 1, 0, 1])
    assert variation(whole, halves) == pytest.approx(1)
    assert variation(whole, single) == pytest.approx(2)
    assert variation(halves, crossed) == pytest.approx(2)
    assert binder(whole, halves) == pytest.approx(4 / 6)
    assert binder(whole, single) == pytest.approx(1)
    assert binder(halves, crossed) == pytest.approx(4 / 6)


def test_distances_do_not_see_labels():
    a, b = np.array([7, 7, 2, 9, 2]), np.array([0, 1, 0, 1, 1])
    assert_array_equal(canonical(a), [0, 0, 1, 2, 1])
    for distance in (variation, binder):
        assert distance(a, canonical(a)) == pytest.approx(0, abs=1e-12)
        assert distance(a, b) == pytest.approx(distance(canonical(a), 1 - b))


# --- similarities --------------------------------------------------------------------------


def test_similarity_by_hand():
    z = np.array([[0, 0, 1], [1, 1, 0], [0, 1, 1], [2, 2, 2]])
    expected = np.array([[1, 0.75, 0.25], [0.75, 1, 0.5], [0.25, 0.5, 1]])
    assert_allclose(similarity(hard(z)), expected)


def test_similarity_of_memberships():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), (5, 4))
    expected = np.einsum("tis,tjs->ij", p, p) / 5
    np.fill_diagonal(expected, 1)
    assert_allclose(similarity(p), expected)
    z = p.argmax(2)
    assert_allclose(similarity(hard(z)), np.mean([same(one) for one in z], axis=0))


def test_similarity_in_blocks(monkeypatch):
    z = draws(3, n_units=23, n_draws=41)
    expected = np.mean([same(one) for one in z], axis=0)
    assert_allclose(similarity(hard(z)), expected)
    monkeypatch.setattr("bayesmix.posterior.partition.losses.BLOCK", 100)
    assert_allclose(similarity(hard(z)), expected)
    monkeypatch.setattr("bayesmix.posterior.partition.losses.SINGLE", 10)
    found = similarity(hard(z))
    assert found.dtype == np.float32
    assert_allclose(found, expected, rtol=1e-6)
    labels = consensus(hard(z), loss="vi").labels
    monkeypatch.undo()
    assert_array_equal(labels, consensus(hard(z), loss="vi").labels)


def test_too_many_units_are_refused():
    with pytest.raises(FitError, match=r"30000 units .* 3\.6 GB.*sample of the units"):
        similarity(np.zeros((2, 30_000, 1)))


# --- expected losses -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_expected_losses_are_means_over_draws(seed):
    z = draws(seed)
    p = similarity(hard(z))
    for c in SIX[::9]:
        assert criterion("binder", c, p) == pytest.approx(np.mean([plain_binder(c, d) for d in z]))
        plain = [plain_variation(c, d) for d in z]
        assert_allclose(distances("vi", c, z), plain, atol=1e-12)


def test_bound_by_definition():
    z = draws(5)
    p = similarity(hard(z))
    for c in SIX[::9]:
        terms = [
            np.log2((c == c[i]).sum()) + np.log2(p[i].sum()) - 2 * np.log2(p[i][c == c[i]].sum())
            for i in range(6)
        ]
        assert criterion("vi", c, p) == pytest.approx(np.mean(terms))


def test_without_uncertainty_the_bound_is_the_distance():
    truth = np.array([0, 0, 1, 1, 1, 2])
    p = same(truth).astype(float)
    for c in SIX:
        # One draw: sum_j P_ij is the size of its cluster, and Jensen has nothing to do.
        assert criterion("vi", c, p) == pytest.approx(variation(c, truth), abs=1e-12)


# --- the consensus -------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["vi", "binder"])
@pytest.mark.parametrize("seed", range(12))
def test_consensus_is_the_best_of_all_partitions(loss, seed):
    z = draws(seed)
    p = similarity(hard(z))
    value = partial(criterion, loss)
    least = min(value(c, p) for c in SIX)
    found = consensus(hard(z), loss=loss)
    assert found.criterion == pytest.approx(least)
    assert found.criterion == pytest.approx(value(found.labels, p))
    if loss == "binder":
        assert found.expected_loss == pytest.approx(least)
    else:
        # What the bound stands for: the best partition by the draws is hardly better.
        every = [distances("vi", c, z).mean() for c in [found.labels, *SIX]]
        assert every[0] <= 1.15 * min(every)


@pytest.mark.parametrize("loss", ["vi", "binder"])
def test_no_more_clusters_than_allowed(loss):
    for seed in range(4):
        z = draws(seed)
        found = consensus(hard(z), loss=loss, max_k=2)
        assert found.k <= 2
        value = partial(criterion, loss)
        p = similarity(hard(z))
        assert found.criterion == pytest.approx(min(value(c, p) for c in SIX if c.max() < 2))


def test_every_cut_is_compared():
    from scipy.cluster.hierarchy import cut_tree, linkage
    from scipy.spatial.distance import squareform

    z = draws(8, n_units=40, n_draws=60)
    p = similarity(hard(z))
    for loss in ("vi", "binder"):
        value = partial(criterion, loss)
        for method in ("average", "complete"):
            tree = linkage(squareform(1 - p, checks=False), method)
            least = min(value(cut[:], p) for cut in cut_tree(tree).T)
            assert value(best_cut(loss, p, method, 40), p) == pytest.approx(least)


@pytest.mark.parametrize("loss", ["vi", "binder"])
def test_moves_lower_the_criterion_to_where_no_move_helps(loss):
    z = draws(9, n_units=15, n_draws=40)
    p = similarity(hard(z))
    value = partial(criterion, loss)
    start = np.random.default_rng(1).integers(0, 4, 15)
    end = refine(loss, p, start, 15)
    assert value(end, p) < value(start, p)
    for i, k in itertools.product(range(15), range(end.max() + 2)):
        moved = end.copy()
        moved[i] = k
        assert value(moved, p) >= value(end, p) - 1e-9


@pytest.mark.parametrize("loss", ["vi", "binder"])
def test_planted_clusters_are_found(loss):
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, 120)
    z = np.where(rng.random((300, 120)) < 0.8, truth, rng.integers(0, 3, (300, 120)))
    switched = np.array([rng.permutation(3)[one] for one in z])  # labels do not matter
    found = consensus(hard(switched), loss=loss)
    assert variation(found.labels, truth) == pytest.approx(0, abs=1e-12)


def test_uncertainty_of_units():
    z = np.array([[0, 0, 0, 1, 1, 1]] * 6 + [[0, 0, 1, 1, 1, 1]] * 4)
    found = consensus(hard(z), loss="binder")
    assert_array_equal(found.labels, [0, 0, 0, 1, 1, 1])
    # The third unit is with the others' cluster in 4 of 10 draws: it then disagrees with
    # all five others; each of them disagrees with it alone.
    assert_allclose(found.uncertainty, [0.08, 0.08, 0.4, 0.08, 0.08, 0.08])
    assert found.expected_loss == pytest.approx(found.uncertainty.mean())


def test_one_unit_and_one_cluster():
    assert_array_equal(consensus(np.ones((5, 1, 1))).labels, [0])
    found = consensus(np.ones((5, 4, 1)))
    assert found.k == 1
    assert found.expected_loss == pytest.approx(0, abs=1e-12)


def test_refusals():
    with pytest.raises(FitError, match="'vi', 'binder'"):
        consensus(np.ones((2, 3, 1)), loss="median")


def test_a_partition_is_printed_in_words():
    """Two units surely together, the third surely apart: no loss."""
    found = consensus(hard(np.tile([0, 0, 1], (5, 1))))
    assert repr(found).splitlines() == [
        "Partition of 3 units into 2 clusters, of sizes 2, 1",
        "  expected loss     0.000 (vi)",
        "  mean uncertainty  0.000 of the other units",
    ]


# --- the credible ball -----------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["vi", "binder"])
def test_the_ball_is_the_smallest_with_its_share(loss):
    allocations = draws(3, n_draws=40)
    found = consensus(hard(allocations), loss=loss)
    distance = {"vi": variation, "binder": binder}[loss]
    far = np.array([distance(found.labels, z) for z in allocations])
    ball = found.ball(0.8)
    assert (far <= ball.radius + 1e-12).mean() >= 0.8
    assert (far < ball.radius - 1e-12).mean() < 0.8
    inside = [z for z, d in zip(allocations, far, strict=True) if d <= ball.radius + 1e-12]
    counts = [len(set(z.tolist())) for z in inside]
    assert ball.upper.max() + 1 == min(counts)
    assert ball.lower.max() + 1 == max(counts)
    assert distance(found.labels, ball.horizontal) == pytest.approx(ball.radius)
    table = ball.summary()
    assert table["distance"][3] == pytest.approx(ball.radius)
    assert "Credible ball of 80 percent" in repr(ball)
    with pytest.raises(FitError, match="a share between 0 and 1"):
        credible_ball(found.labels, allocations, loss, 1.0)


def test_a_ball_of_memberships_draws_the_components():
    sure = np.zeros((50, 4, 2))
    sure[:, :2, 0] = sure[:, 2:, 1] = 1.0
    ball = consensus(sure).ball()
    assert ball.radius == 0.0
    half = np.full((400, 1, 2), 0.5)
    open_ = consensus(np.concatenate([sure[:1].repeat(400, 0), half], axis=1)).ball()
    assert open_.radius > 0
    assert_array_equal(np.unique(open_.horizontal[:2]), open_.horizontal[:1])
