"""The public classes: results of a kind of model have its classes, copies and pickles hold."""

import copy
import pickle
import warnings

import numpy as np
import pytest

import bayesmix as bmx
from bayesmix.api import Mixture, PointFit, Posterior


class OtherFit(PointFit):
    """The result class of another kind of model."""


class OtherPosterior(Posterior):
    """Its posterior."""


class Other(Mixture):
    """Another kind of model, with results of its own."""

    _point_class = OtherFit
    _posterior_class = OtherPosterior


@pytest.fixture(scope="module")
def other():
    data = bmx.load_data("fabricfault")
    return Other("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")


@pytest.fixture(scope="module")
def fit(other):
    return other.fit(seed=1)


def test_a_kind_of_model_has_results_of_its_own_classes(other, fit):
    assert type(fit) is OtherFit
    assert type(fit.relabel(order=[1, 2])) is OtherFit
    assert type(other.with_k(3)) is Other
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bmx.ConvergenceWarning)
        posterior = other.fit("laplace", draws=200, seed=1)
    assert type(posterior) is OtherPosterior
    assert type(posterior.point()) is OtherFit
    assert type(posterior.relabel("ordering", by="weight")) is OtherPosterior


def test_a_model_and_its_fit_agree_on_sizes(other, fit):
    rows = len(bmx.load_data("fabricfault"))
    for thing in (other, fit):
        assert (thing.components, thing.k, thing.df) == ((1, 2), 2, 4)
        assert (thing.n_obs, thing.n_units, thing.n_dropped) == (rows, rows, 0)
    assert fit.spec.spec == other.spec


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_fits_copy_and_pickle(fit, again):
    new = again(fit)
    assert type(new) is OtherFit
    assert new.loglik == fit.loglik
    np.testing.assert_array_equal(new.covariance(), fit.covariance())
