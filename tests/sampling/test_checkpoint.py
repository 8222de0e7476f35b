"""A run that was ended goes on from its checkpoint, to the same draws and fits."""

import signal
import threading

import numpy as np
import nutpie
import pandas as pd
import pytest

import bayesmix as bmx
from bayesmix import storage

OPTIONS = {"seed": 3, "draws": 200, "tune": 100, "chains": 2, "thin": 1, "progress": False}

pytestmark = pytest.mark.filterwarnings("ignore::bayesmix.ConvergenceWarning")


class Killed(BaseException):
    """As if the process had ended."""


@pytest.fixture(scope="module")
def spec():
    rng = np.random.default_rng(1)
    x = rng.normal(size=60)
    return bmx.Mixture("y ~ x", pd.DataFrame({"x": x, "y": 1 + x + rng.normal(size=60)}), k=1)


def killed_after(monkeypatch, parts, name):
    """The run ends when so many parts have been kept."""
    usual, made = getattr(storage.Checkpoint, name), []

    def put(self, *args):
        if len(made) == parts:
            raise Killed
        made.append(args[0])
        usual(self, *args)

    monkeypatch.setattr(storage.Checkpoint, name, put)
    return made


def test_a_killed_run_goes_on_to_the_same_draws(spec, tmp_path, monkeypatch):
    whole = spec.fit("nuts", checkpoint=tmp_path / "whole.nc", **OPTIONS)
    assert whole.data["posterior"].sizes["draw"] == 200
    with monkeypatch.context() as patch:
        killed_after(patch, 3, "put")
        with pytest.raises(Killed):
            spec.fit("nuts", checkpoint=tmp_path / "run.nc", **OPTIONS)
    with monkeypatch.context() as patch:
        made = killed_after(patch, 100, "put")
        again = spec.fit("nuts", checkpoint=tmp_path / "run.nc", **OPTIONS)
        assert len(made) == 1  # of two rounds of two chains
    assert (again.data["posterior"]["coef"] == whole.data["posterior"]["coef"]).all()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.nc", "whole.nc"]


def test_draws_in_rounds_are_of_the_posterior(spec, tmp_path):
    """The mean and spread of a regression's slope, against those without a checkpoint."""
    more = {**OPTIONS, "draws": 1000}
    one = spec.fit("nuts", checkpoint=tmp_path / "run.nc", **more).summary().set_index("term")
    two = spec.fit("nuts", **more).summary().set_index("term")
    np.testing.assert_allclose(one["mean"], two["mean"], atol=0.3 * two["sd"].max())
    np.testing.assert_allclose(one["sd"], two["sd"], rtol=0.15)
    assert (one["ess_bulk"] > 500).all()


def test_a_random_seed_is_kept(spec, tmp_path):
    options = {**OPTIONS, "seed": None, "draws": 100}
    one, two = (spec.fit("nuts", checkpoint=tmp_path / "run.nc", **options) for _ in range(2))
    assert (one.data["posterior"]["coef"] == two.data["posterior"]["coef"]).all()


def test_files_of_other_runs_are_refused(spec, tmp_path):
    path = tmp_path / "run.nc"
    options = {**OPTIONS, "draws": 100}
    spec.fit("nuts", checkpoint=path, **options)
    before = path.read_bytes()
    for change in ({"seed": 4}, {"draws": 120}, {"tune": 90}):
        with pytest.raises(bmx.DataError, match=r"belongs to another run \(.* was .*, now "):
            spec.fit("nuts", checkpoint=path, **{**options, **change})
    other = bmx.Mixture("y ~ 1", pd.DataFrame({"y": np.arange(9.0) ** 2}), k=1)
    with pytest.raises(bmx.DataError, match="the model or its data was"):
        other.fit("nuts", checkpoint=path, **options)
    with pytest.raises(bmx.DataError, match=r"is the checkpoint of a run"):
        bmx.load(path)
    assert path.read_bytes() == before
    spec.save(path)
    with pytest.raises(bmx.DataError, match="is a file, but no checkpoint"):
        spec.fit("nuts", checkpoint=path, **options)


def test_what_a_checkpoint_does_not_go_with(spec, tmp_path):
    path = tmp_path / "run.nc"
    for method, options in (
        ("em", {}),
        ("laplace", {}),
        ("nuts", {"sampler": "pymc"}),
        ("nuts", {"seed": np.random.default_rng(1)}),
    ):
        with pytest.raises(bmx.SpecError, match="checkpoint="):
            spec.fit(method, checkpoint=path, **options)
    assert not path.exists()


def test_ctrl_c_gives_the_draws_so_far(spec, monkeypatch):
    sample = nutpie.sample

    def interrupted(model, **options):
        running = sample(model, **options)
        threading.Timer(1.0, signal.raise_signal, [signal.SIGINT]).start()
        return running

    monkeypatch.setattr(nutpie, "sample", interrupted)
    options = {**OPTIONS, "draws": 500_000}
    with pytest.warns(bmx.ConvergenceWarning, match=r"interrupted: .* of 500000 and 2 requested"):
        posterior = spec.fit("nuts", **options)
    sizes = posterior.data["posterior"].sizes
    assert 10 <= sizes["draw"] < 500_000
    assert np.isfinite(posterior.data["posterior"]["coef"]).all()


def test_a_killed_selection_makes_the_fits_that_are_missing(tmp_path, monkeypatch):
    data = bmx.load_data("fabricfault")
    spec = bmx.Mixture("Faults ~ log(Length)", data, family="poisson")
    path, options = tmp_path / "selection.nc", {"k": [1, 2, 3], "seed": 1, "starts": 3}
    whole = bmx.select(spec, **options)
    with monkeypatch.context() as patch:
        killed_after(patch, 2, "put_fit")
        with pytest.raises(Killed):
            bmx.select(spec, checkpoint=path, **options)
    with monkeypatch.context() as patch:
        made = killed_after(patch, 100, "put_fit")
        again = bmx.select(spec, checkpoint=path, **options)
    assert made == ["k_3"]
    pd.testing.assert_frame_equal(again.table, whole.table)
    pd.testing.assert_frame_equal(again[2].summary(), whole[2].summary())
    with pytest.raises(bmx.DataError, match="belongs to another run"):
        bmx.select(spec, checkpoint=path, **{**options, "starts": 4})


def test_ctrl_c_gives_the_fits_so_far(monkeypatch):
    spec = bmx.Mixture("Faults ~ log(Length)", bmx.load_data("fabricfault"), family="poisson")
    usual = type(spec).fit

    def fit(self, *args, **options):
        if self.spec.k == 3:
            raise KeyboardInterrupt
        return usual(self, *args, **options)

    monkeypatch.setattr(type(spec), "fit", fit)
    words = "interrupted: of k = 1, 2, 3, 4 only 1, 2 ran"
    with pytest.warns(bmx.ConvergenceWarning, match=words):
        selection = bmx.select(spec, k=[1, 2, 3, 4], seed=1, starts=2)
    assert list(selection.table["k"]) == [1, 2]
    with pytest.raises(KeyboardInterrupt):
        bmx.select(spec, k=[3], seed=1)
