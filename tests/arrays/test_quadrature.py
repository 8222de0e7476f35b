"""Rules of quadrature and roots."""

import numpy as np
import pytest

from bayesmix.arrays.quadrature import crossing, halved, legendre


@pytest.mark.parametrize("count", [2, 8, 28])
def test_a_rule_is_exact_for_polynomials_of_its_degree(count):
    nodes, weights = legendre(count)
    for power in range(0, 2 * count, 3):
        assert weights @ nodes**power == pytest.approx(1 / (power + 1), rel=1e-13)


def test_roots_by_both_ways():
    target = np.array([1e-200, 0.3, 7.0, 1e250])
    assert crossing(lambda t: np.log(t) - np.log(target), target / 50) == pytest.approx(target)
    end = np.full(4, 690.0)
    found = halved(lambda log_t: log_t < np.log(target), -end, end)
    assert np.exp(found) == pytest.approx(target, rel=1e-11)
    assert crossing(lambda t: -np.ones_like(t), np.ones(1)) == np.inf
