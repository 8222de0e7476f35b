"""Threads, progress, and Ctrl-C in the middle of a fit."""

import signal

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx
from bayesmix.estimation import em, likelihood_ratio, maximise
from bayesmix.estimation.progress import Progress


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    high = rng.random(400) < 0.4
    return pd.DataFrame({"x": x, "y": np.where(high, 3 + x, -x) + rng.normal(size=400)})


@pytest.fixture(scope="module")
def spec(data):
    return bmx.Mixture("y ~ x", data, k=2)


@pytest.mark.parametrize("method", ["em", "ml", "map"])
def test_any_number_of_threads_gives_the_same_bits(spec, method):
    found = [spec.fit(method, seed=1, starts=2, n_threads=n).loglik for n in (None, 1, 3)]
    assert found[0] == found[1] == found[2]


def test_threads_of_posteriors(spec):
    one, two = (spec.fit("laplace", draws=50, seed=1, n_threads=n).summary() for n in (1, 2))
    assert one.equals(two)


def test_the_number_of_threads_is_checked(spec):
    with pytest.raises(
        bmx.SpecError, match="the number of threads must be an integer of at least 1"
    ):
        spec.fit("em", n_threads=0)


def test_a_fit_that_is_interrupted_gives_the_best_so_far(spec, monkeypatch):
    """By a signal, before the first step of Newton's method."""
    passes = []

    def newton(*args, **options):
        passes.append(1)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(maximise, "newton", newton)
        with pytest.warns(
            bmx.ConvergenceWarning, match="interrupted: this is the best so far of 3"
        ):
            fit = spec.fit("em", seed=1, starts=3)
    whole = spec.fit("em", seed=1, starts=3)
    assert passes == [1]
    assert fit.status == "max_iter"
    assert np.isfinite(fit.loglik)
    assert whole.loglik - 1 < fit.loglik <= whole.loglik


@pytest.mark.parametrize("blocks", [False, True])
def test_starts_on_a_sample_are_interrupted_with_the_best_so_far(data, blocks, monkeypatch):
    stages = []
    monkeypatch.setattr(Progress, "update", lambda _, stage, *__: stages.append(stage))
    monkeypatch.setattr(maximise, "MANY_UNITS", 300)
    monkeypatch.setattr(maximise, "newton", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    given = bmx.scan(data, rows=150) if blocks else data
    with pytest.warns(bmx.ConvergenceWarning, match="interrupted: this is the best so far"):
        fit = bmx.Mixture("y ~ x", given, k=2).fit(seed=1, starts=3)
    monkeypatch.undo()
    whole = bmx.Mixture("y ~ x", data, k=2).fit(seed=1, starts=3)
    assert fit.status == "max_iter"
    assert whole.loglik - 20 < fit.loglik < whole.loglik
    assert (stages[0], stages[-1]) == ("starts on a sample, EM", "EM")


def test_an_interruption_at_the_end_of_a_prior_is_reported(data, monkeypatch):
    """By a signal while sigma is held there, which gives no mode."""
    usual = maximise.newton

    def newton(problem, *args, **options):
        if problem.spec.held:
            signal.raise_signal(signal.SIGINT)
        usual(problem, *args, **options)

    monkeypatch.setattr(maximise, "newton", newton)
    priors = {"sigma": bmx.Prior("uniform", lower=4, upper=9)}
    with pytest.warns(bmx.ConvergenceWarning, match="interrupted: this is the best so far"):
        fit = bmx.Mixture("y ~ x", data, k=1, priors=priors).fit("map", seed=1)
    assert fit.status == "max_iter"


def test_before_there_is_anything_an_interruption_is_one(spec, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(em, "em_pass", interrupted)
    monkeypatch.setenv("BAYESMIX_COMPILE", "0")
    with pytest.raises(KeyboardInterrupt):
        spec.fit("em", seed=1, starts=1, init=[1, 2] * 200)


@pytest.mark.filterwarnings("ignore::bayesmix.ConvergenceWarning")
def test_a_selection_that_is_interrupted_ends(spec, monkeypatch):
    def newton(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(maximise, "newton", newton)
    with pytest.raises(KeyboardInterrupt):
        bmx.select(spec, k=[2, 3], seed=1)


@pytest.mark.parametrize("enough", [True, False])
def test_a_likelihood_ratio_test_that_is_interrupted_has_the_resamples_so_far(
    spec, monkeypatch, enough
):
    """Its p-value counts those: of 25 resamples, statistics of 0 to 24, against what was seen."""
    selection = bmx.select(spec, k=[1, 2], seed=1, starts=2)
    values = iter(range(25 if enough else 18))

    def resample(*_):
        for value in values:
            return float(value)
        raise KeyboardInterrupt

    monkeypatch.setattr(likelihood_ratio, "_resample", resample)
    if not enough:
        with pytest.raises(KeyboardInterrupt):
            selection.test(1, 2, n_boot=50, n_jobs=1)
        return
    with pytest.warns(bmx.ConvergenceWarning, match="of 50 resamples only 25 ran"):
        found = selection.test(1, 2, n_boot=50, n_jobs=1)
    np.testing.assert_array_equal(found.draws, np.arange(25))
    assert found.p_value == (1 + (np.arange(25) >= found.statistic).sum()) / 26


@pytest.mark.filterwarnings("ignore::bayesmix.ConvergenceWarning")
def test_progress_tells_how_long_it_may_take(spec, capsys):
    """Gains of a half of the one before, a second each: log2(0.25 / 1e-10) seconds for 0.25."""
    shown = Progress(
        True, 1, spec.fit("em", seed=1, max_iter=2, init=[1, 2] * 200)._fitted.standard
    )
    shown.update("EM", 1, -2.0)
    shown.update("EM", 1, -1.0)
    shown.begin -= 3 + 1e-3
    shown.last -= 3
    shown.update("EM", 1, -0.5)
    goal = 1e-10 * 1.5
    expected = np.log(goal / 0.5) / np.log(0.5)
    assert f"about {expected:.0f} s left" in capsys.readouterr().err
