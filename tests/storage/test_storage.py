"""Saving and loading, copies and pickles: equal results afterwards, and clear refusals."""

from __future__ import annotations

import copy
import errno
import json
import multiprocessing
import operator
import os
import pickle
import subprocess
import sys
import textwrap
from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from storage_models import (
    MADE,
    OWN,
    WAITING,
    half,
    manifest,
    mode,
    results,
    rewritten,
    simulated,
    waiting_logpdf,
)
from vignette_models import flexmix_models

import bayesmix as bmx
from bayesmix import storage
from bayesmix.distributions import Prior
from bayesmix.errors import DataError
from bayesmix.formula.splines import BSpline
from bayesmix.likelihood import build_problem, log_likelihood
from bayesmix.model import MixtureSpec
from bayesmix.model.parts import Events, Part, Prepared, Reading
from bayesmix.posterior.drawn import Apart, Drawn
from bayesmix.posterior.mode import Mode
from bayesmix.priors import PriorModel
from bayesmix.results.fitted import Ends, Fitted
from bayesmix.storage import columns, objects
from bayesmix.storage.file import Arrays, read, write

DATA = Path(__file__).parents[1] / "data"

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::bayesmix.{name}")
    for name in ("DegenerateWarning", "ConvergenceWarning", "IdentifiabilityWarning")
]


@pytest.fixture(scope="module", autouse=True)
def one_engine():
    """Equal to the last bit: one engine here and in the processes that read back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAYESMIX_COMPILE", "0")
        yield


@pytest.fixture(scope="module")
def fits(one_engine):
    return {make.__name__: make() for make in MADE}


@pytest.fixture(params=[make.__name__ for make in MADE])
def fit(request, fits):
    return fits[request.param]


# --- there and back ------------------------------------------------------------------------


def test_every_vignette_model(tmp_path):
    rng = np.random.default_rng(1)
    for name, model in flexmix_models(bmx).items():
        model.save(tmp_path / "spec.nc")
        again = bmx.load(tmp_path / "spec.nc")
        assert repr(again) == repr(model), name
        old, new = model._spec, again._spec
        assert new.layout.coordinates == old.layout.coordinates
        assert new.layout.symmetric == old.layout.symmetric
        pd.testing.assert_frame_equal(new.prepared.data, old.prepared.data)
        theta = rng.normal(0, 0.1, (2, old.layout.size))
        np.testing.assert_array_equal(
            log_likelihood(build_problem(new), theta),
            log_likelihood(build_problem(old), theta),
        )


def test_fits_come_back_equal(fit, tmp_path):
    fit.save(tmp_path / "fit.nc")
    again = bmx.load(tmp_path / "fit.nc", **OWN)
    assert type(again) is bmx.PointFit
    assert results(again) == results(fit)
    pd.testing.assert_frame_equal(again.summary(), fit.summary())
    pd.testing.assert_frame_equal(again.starts, fit.starts)
    xr.testing.assert_identical(again.params, fit.params)
    np.testing.assert_array_equal(again._fitted.theta, fit._fitted.theta)
    assert again._fitted.spec.layout.symmetric == fit._fitted.spec.layout.symmetric
    if fit._fitted.penalty is not None:
        assert again._fitted.log_prior == fit._fitted.log_prior
    # What is loaded is saved as it was.
    again.save(tmp_path / "twice.nc")
    assert manifest(tmp_path / "twice.nc") == manifest(tmp_path / "fit.nc")


def test_the_model_of_a_fit_can_be_saved_and_fitted_again(fit, fits, tmp_path):
    fit.spec.save(tmp_path / "spec.nc")
    again = bmx.load(tmp_path / "spec.nc", **OWN)
    assert repr(again) == repr(fit.spec)
    assert again.log_likelihood(fit.params) == pytest.approx(fit.loglik, rel=1e-10)
    if fit is fits["grouped"]:
        assert again.fit(seed=1, starts=2).loglik == fit.loglik


def test_in_a_fresh_process(fits, tmp_path):
    for name, fit in fits.items():
        fit.save(tmp_path / f"{name}.nc")
    code = textwrap.dedent("""
        import json, sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[1])
        import bayesmix as bmx
        from storage_models import OWN, results
        out = {p.stem: results(bmx.load(p, **OWN)) for p in Path(sys.argv[2]).glob("*.nc")}
        print(json.dumps(out))
        assert not {"pymc", "arviz", "pytensor", "nutpie"} & set(sys.modules)
    """)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(DATA.parent), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {name: results(fit) for name, fit in fits.items()}


def test_names_of_the_users(tmp_path):
    data = simulated()
    cut, knots, where = 1.5, np.array([1.0, 2.0]), 0.25
    spec = bmx.Mixture("y ~ bs(x, knots=knots) + I(z > cut) + I(half(z) > where)", data)
    spec.save(tmp_path / "spec.nc")
    described = manifest(tmp_path / "spec.nc")["scope"]
    assert described["cut"] == {"value": 1.5}
    assert "array" in described["knots"]
    assert described["half"] == {"needed": "a function"}
    assert "data" not in described
    with pytest.raises(DataError, match=r"of yours.*'half' \(a function\).*functions=\{'half'"):
        bmx.load(tmp_path / "spec.nc")
    # Values are as they were saved; functions are those that are given.
    again = bmx.load(tmp_path / "spec.nc", functions={**globals(), "cut": -9, "x": 1})
    np.testing.assert_array_equal(
        again._spec.rows.blocks[0].matrix, spec._spec.rows.blocks[0].matrix
    )
    with pytest.raises(DataError, match=r"term 'I\(half\(z\) > where\)'.*your 'half'"):
        bmx.load(tmp_path / "spec.nc", functions={"half": lambda x: x})
    assert (cut, where, len(knots)) == (1.5, 0.25, 2)


def test_functions_hidden_by_the_users(tmp_path):
    def log(x):
        return np.log2(x)

    spec = bmx.Mixture("y ~ log(w) + exp(x)", simulated())
    spec.save(tmp_path / "spec.nc")
    assert manifest(tmp_path / "spec.nc")["scope"] == {"log": {"needed": "a function"}}
    with pytest.raises(DataError, match="'log'"):
        bmx.load(tmp_path / "spec.nc")
    # A function that the model did not use does not come in.
    again = bmx.load(tmp_path / "spec.nc", functions={"log": log, "exp": half, "np": np})
    assert again.df == spec.df


def test_functions_of_numpy_in_formulas(tmp_path):
    bmx.Mixture("y ~ np.where(x > 1, x, z) + np.arctan(z)", simulated()).save(tmp_path / "a.nc")
    assert manifest(tmp_path / "a.nc")["scope"] == {}
    assert bmx.load(tmp_path / "a.nc").k == 2


def test_the_earlier_name_of_functions(tmp_path):
    bmx.Mixture("y ~ half(x)", simulated()).save(tmp_path / "a.nc")
    with pytest.warns(FutureWarning, match="use functions="):
        assert bmx.load(tmp_path / "a.nc", scope={"half": half}).k == 2


def test_families_of_the_users(fits, tmp_path):
    path = tmp_path / "own.nc"
    fits["own_family"].save(path)
    with pytest.raises(DataError, match=r"family of your own, 'waiting'.*families=\{'waiting'"):
        bmx.load(path)
    other = bmx.Family(
        "waiting", params={"rate": "inverse"}, location="rate", logpdf=waiting_logpdf
    )
    with pytest.raises(DataError, match=r"'inverse'.*was saved with"):
        bmx.load(path, families={"waiting": other})
    changed = replace(WAITING, logpdf=lambda y, rate: 2 * np.log(rate) - rate * y)
    with pytest.raises(DataError, match=r"log-likelihood.*density of a family \(waiting\)"):
        bmx.load(path, families={"waiting": changed})


def test_log_likelihoods_are_compared_to_the_digits_that_parameters_have(tmp_path):
    """Beside late entries the limit of lognormal times is a Pareto distribution, at -infinity."""
    path, step = tmp_path / "pareto.nc", 1e-3
    entry = np.linspace(1, 2, 20)
    data = pd.DataFrame({"a": entry, "b": entry * np.linspace(1.1, 9, 20), "s": 1})
    spec = bmx.Mixture("surv(a, b, s, kind='counting') ~ 1", data, family="lognormal", k=1)
    params = spec.fit("em", seed=1, starts=1).params
    for far, kept in ((1e14, True), (1.0, False)):
        given = params.assign(meanlog=0 * params.meanlog - far, sdlog=0 * params.sdlog + 16.1)
        fit = spec.fit("em", init=given, max_iter=0)
        fit.save(path)
        described = manifest(path)["point"]
        rewritten(path, point=described | {"loglik": fit.loglik + step})
        if kept:
            assert bmx.load(path).loglik == fit.loglik + step
        else:
            with pytest.raises(DataError, match="density of a family"):
                bmx.load(path)


def test_priors_and_options_of_a_model(tmp_path):
    given = {
        "coef[x]": Prior("normal", mu=0.1, sigma=1 / 3),
        "sigma": Prior("gamma", alpha=2, beta=1),
    }
    spec = bmx.Mixture("y ~ x", simulated())._spec
    for priors in (None, "flat", given):
        storage.save(tmp_path / "spec.nc", spec, priors)
        assert storage.load(tmp_path / "spec.nc").priors == priors
    call = manifest(tmp_path / "spec.nc")["call"]
    assert call["k"] == 2
    assert call["responses"][0]["formula"] == "y ~ x"
    assert call["na_action"] == "error"


def drawn():
    """Draws as a sampler leaves them, with numbers that need all their digits."""
    rng = np.random.default_rng(3)
    fitted = mode()._fitted
    size = fitted.spec.layout.size
    theta = rng.normal(size=(2, 5, size))
    modes = tuple(
        Mode(rng.normal(size=size), -1 / 3 - i, rng.normal(size=(size, size)), 0.1 + i, 0.5)
        for i in range(2)
    )
    return Drawn(
        spec=fitted.spec,
        priors=fitted.penalty.model,
        method="nuts",
        sampler="nutpie",
        theta=theta,
        raw=theta[..., ::-1],
        log_density=rng.normal(size=(2, 5)),
        stats={
            "diverging": rng.uniform(size=(2, 5)) > 0.5,
            "tree depth": rng.integers(0, 9, (2, 5)),
            "energy": rng.normal(size=(2, 5)),
        },
        modes=modes,
        chain_mode=np.array([0, 1]),
        point=fitted,
        relabelling="ecr",
    )


def test_draws_come_back_equal(tmp_path):
    before = drawn()
    storage.save(tmp_path / "draws.nc", before)
    stored = storage.load(tmp_path / "draws.nc")
    after = stored.value
    assert stored.kind == "posterior"
    assert isinstance(after, Drawn)
    for name in ("theta", "raw", "log_density", "chain_mode"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name), strict=True)
    assert list(after.stats) == list(before.stats)
    for name, values in before.stats.items():
        np.testing.assert_array_equal(after.stats[name], values, strict=True)
    for a, b in zip(after.modes, before.modes, strict=True):
        for f in fields(Mode):
            np.testing.assert_array_equal(getattr(a, f.name), getattr(b, f.name))
    assert (after.method, after.sampler, after.relabelling) == ("nuts", "nutpie", "ecr")
    assert np.isnan(after.khat)
    assert after.priors.single == before.priors.single
    assert after.priors.concentration == before.priors.concentration
    assert after.point.log_prior == before.point.log_prior
    np.testing.assert_array_equal(after.log_likelihood, before.log_likelihood)
    with_khat = replace(before, khat=0.1 + 0.2, modes=before.modes[:1])
    storage.save(tmp_path / "draws.nc", with_khat)
    again = storage.load(tmp_path / "draws.nc").value
    assert again.khat == 0.1 + 0.2
    assert len(again.modes) == 1


def test_a_posterior_gives_equal_tables(tmp_path):
    data = bmx.load_data("fabricfault")
    priors = {"coef[log(Length)]": Prior("normal", mu=1, sigma=0.5)}
    spec = bmx.Mixture("Faults ~ log(Length)", data, family="poisson", k=1, priors=priors)
    posterior = spec.fit("laplace", draws=100, seed=1)
    storage.save(tmp_path / "draws.nc", posterior._drawn, priors)
    again = bmx.load(tmp_path / "draws.nc")
    assert type(again) is type(posterior)
    pd.testing.assert_frame_equal(again.summary(), posterior.summary(), check_exact=True)
    pd.testing.assert_frame_equal(again.membership(), posterior.membership(), check_exact=True)
    assert repr(again) == repr(posterior)
    assert again.point().spec._priors == priors


def test_what_was_asked_is_stored_as_texts(tmp_path):
    data = bmx.load_data("fabricfault")
    spec = bmx.Mixture("Faults ~ log(Length)", data, family="poisson", k=1)
    held = {(1, "Intercept"): np.float64(-4.0)}
    fit = spec.fit(seed=np.int64(7), init=spec.fit(seed=1), fixed_params=held, progress=False)
    asked = {"seed": "7", "init": "your_init", "fixed_params": "{(1, 'Intercept'): -4.0}"}
    posterior = spec.fit("laplace", seed=np.random.default_rng(1), draws=20)
    drawn = {"draws": "20", "seed": "your_seed"}
    for made, wanted in ((fit._fitted, asked), (posterior._drawn, drawn)):
        assert made.asked == wanted
        storage.save(tmp_path / "asked.nc", made)
        assert storage.load(tmp_path / "asked.nc").value.asked == wanted


def test_everything_is_stored():
    """A field added to one of these classes has to be stored: `storage` must learn of it."""
    known = {
        # "standard" is None
        MixtureSpec: "layout rows weights prepared held standard smooths whole",
        Prepared: "parts units concomitant weight labels scope group weights_column labels_column "
        "columns n_dropped table fiml stream constants",
        Part: "regression readings described random events allowed",
        Reading: "formula response designs kinds",
        Events: "column partial truncation",
        Fitted: "spec theta loglik method status iterations ends k_requested trace reasons penalty "
        "asked",
        Drawn: "spec priors method sampler theta raw log_density stats modes chain_mode point "
        "relabelling khat thin asked apart beside",
        Apart: "theta raw log_density stats mode",
        Mode: "theta log_density factor log_mass share",
        # "map" and "smooths" follow
        PriorModel: "single concentration spread standard map smooths lean opened",
        Prior: "kind parameters",
        bmx.Regression: "formula family fixed nested dispersion per random_covariance",
    }
    for kind, names in known.items():
        assert [f.name for f in fields(kind)] == names.split(), kind
    assert Ends._fields == ("loglik", "iterations", "status", "agreeing", "log_posterior")


# --- columns -------------------------------------------------------------------------------

N = 6
COLUMNS = {
    "float": pd.Series([0.1, -0.0, np.nan, np.inf, 1e-320, 3.0]),
    "float32": pd.Series(np.linspace(0, 1, N, dtype="f4")),
    "float16": pd.Series(np.linspace(0, 1, N), dtype="float16"),
    "integers": pd.Series([-(2**63), 2**63 - 1, 0, 1, 2, 3]),
    "unsigned": pd.Series([2**64 - 1, 0, 1, 2, 3, 4], dtype="u8"),
    "int8": pd.Series(range(N), dtype="i1"),
    "bool": pd.Series([True, False] * 3),
    "nullable": pd.Series([1, None, 3, 4, 5, 2**62], dtype="Int64"),
    "nullable float": pd.Series([0.1, None, 3, 4, 5, 6], dtype="Float32"),
    "nullable bool": pd.Series([True, None, False, True, True, True], dtype="boolean"),
    "text": pd.Series(["a", "", "é\n", "日本", "a", "nan"]),
    "missing text": pd.Series(["a", None, "b", "a", "a", np.nan]),
    "string": pd.Series(["a", None, "b", "a", "a", "c"], dtype="string"),
    "object text": pd.Series(["a", None, "b", "a", "a", "c"], dtype=object),
    "strange text": pd.Series(["a\0", "\ud800", "b", "a", "a", "c"], dtype=object),
    "objects": pd.Series([1, "a", 2.5, None, (1, "x"), True], dtype=object),
    "dates": pd.Series([pd.Timestamp("2020-01-01").date()] * N, dtype=object),
    "all missing": pd.Series([None] * N, dtype=object),
    "ordered": pd.Series(pd.Categorical(list("bacbaa"), ["c", "b", "a", "z"], ordered=True)),
    "factor": pd.Series(pd.Categorical(["b", None, "b", "a", "a", "a"])),
    "integer factor": pd.Series(pd.Categorical([3, 1, 2, 3, 3, 3])),
    "empty factor": pd.Series(pd.Categorical([None] * N, categories=[])),
    "intervals": pd.Series(pd.cut(np.arange(N), [-1, 2, 9])),
    "times": pd.Series(pd.DatetimeIndex(["NaT", *["2020-01-01 00:00:00.000000001"] * 5])),
    "seconds": pd.Series(np.arange(N).astype("M8[s]")),
    "zones": pd.Series(pd.date_range("2020-03-28", periods=N, tz="Europe/Berlin")),
    "spans": pd.Series(pd.to_timedelta(np.arange(N), "h")),
    "periods": pd.Series(pd.period_range("2020-01", periods=N, freq="M")),
    "interval array": pd.Series(pd.interval_range(0.0, 6.0, N, closed="left")),
}
INDEXES = {
    "plain": pd.RangeIndex(N),
    "steps": pd.RangeIndex(5, 17, 2, name="row"),
    "integers": pd.Index([5, 3, 3, 1, 0, -1], name=("a", 1)),
    "text": pd.Index(list("fedcba"), name="who"),
    "objects": pd.Index(list("fedcba"), dtype=object),
    "mixed": pd.Index([1, "a", 2.5, "b", "c", "d"], dtype=object),
    "bool": pd.Index([True, False] * 3),
    "dates": pd.date_range("2020", periods=N, freq="D", name="day"),
    "factor": pd.CategoricalIndex(list("abcabc"), categories=list("cba"), ordered=True),
    "periods": pd.period_range("2020-01", periods=N, freq="Q"),
    "intervals": pd.interval_range(0, N),
    "several": pd.MultiIndex.from_product(
        [["b", "a"], pd.date_range("2020", periods=3)], names=["g", None]
    ),
}


def test_columns_and_indexes_come_back_equal(tmp_path):
    frame = pd.DataFrame(COLUMNS)
    for name, index in INDEXES.items():
        arrays = Arrays()
        described = columns.pack_frame(arrays, "training", frame.set_axis(index))
        write(tmp_path / "frame.nc", {"frame": described}, arrays)
        found, back = read(tmp_path / "frame.nc", lambda _: None)
        again = columns.unpack_frame(back, found["frame"])
        pd.testing.assert_frame_equal(
            again, frame.set_axis(index), check_exact=True, check_freq=True
        )
        assert again.index.names == index.names, name
    kinds = [type(v) for v in again["objects"]]
    assert kinds == [type(v) for v in frame["objects"]]
    assert again["object text"][("b", pd.Timestamp("2020-01-02"))] is None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("double", [1.5, None, 2.0, -1.0, 0.0, 1e300]),
        ("float", [1.5, None, 2.0, -1.0, 0.0, 3.0]),
        ("int64", [1, None, 2**62 + 1, -1, 0, 5]),
        ("uint8", [1, None, 255, 3, 0, 5]),
        ("bool", [True, None, False, True, True, False]),
        ("string", ["a", None, "b", "", "é", "a"]),
        ("large_string", ["a", None, "b", "", "é", "a"]),
    ],
)
def test_columns_of_arrow_come_back_equal(name, values, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    dtype = pd.ArrowDtype(pyarrow.type_for_alias(name))
    frame = pd.DataFrame({"v": pd.array(values, dtype=dtype)})
    arrays = Arrays()
    described = columns.pack_frame(arrays, "training", frame)
    write(tmp_path / "frame.nc", {"frame": described}, arrays)
    found, back = read(tmp_path / "frame.nc", lambda _: None)
    again = columns.unpack_frame(back, found["frame"])
    pd.testing.assert_frame_equal(again, frame, check_exact=True)


def test_fits_to_arrow_frames_come_back_equal(tmp_path):
    pytest.importorskip("pyarrow")
    data = simulated().convert_dtypes(dtype_backend="pyarrow")
    fit = bmx.Mixture("y ~ x", data).fit("em", seed=1)
    fit.save(tmp_path / "fit.nc")
    again = bmx.load(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(again.summary(), fit.summary())
    pd.testing.assert_frame_equal(again.predict(), fit.predict())


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1j] * N),
        pd.Series([{"a": 1}] * N),
        pd.Series([object()] * N),
        pd.Series(pd.arrays.SparseArray([0.0] * N)),
    ],
)
def test_columns_that_a_file_cannot_hold(values, tmp_path):
    with pytest.raises(DataError, match=r"column 'v' cannot be saved.*of type"):
        columns.pack_frame(Arrays(), "training", pd.DataFrame({"v": values}))


def test_columns_that_are_not_in_use_do_not_matter(tmp_path):
    data = simulated().assign(other=[object()] * 90)
    spec = bmx.Mixture("y ~ x", data)
    spec.save(tmp_path / "spec.nc")
    assert list(bmx.load(tmp_path / "spec.nc")._spec.prepared.data) == ["y", "x"]
    with pytest.raises(DataError, match=r"index.*object"):
        bmx.Mixture("y ~ x", data.set_axis(data["other"].to_numpy())).save(tmp_path / "spec.nc")
    assert bmx.load(tmp_path / "spec.nc").df == spec.df


# --- the file ------------------------------------------------------------------------------


def test_only_numbers_and_texts_in_a_file(fits, tmp_path):
    path = tmp_path / "fit.nc"
    fits["transformed"].save(path)
    found = []
    with h5py.File(path) as file:
        file.visititems(lambda _, v: found.append(v) if isinstance(v, h5py.Dataset) else None)
        assert len(found) > 10
        assert all(v.dtype.kind in "iuf" or h5py.check_string_dtype(v.dtype) for v in found)
        assert list(file.attrs) == ["bayesmix"] or "_NCProperties" in file.attrs
    # Other programs can read it.
    with xr.open_datatree(path) as tree:
        assert {"training", "point"} <= set(tree.children)


def test_a_file_is_replaced_whole_or_not_at_all(fits, tmp_path, monkeypatch):
    path = tmp_path / "fit.nc"
    fits["held"].save(path)
    before = path.read_bytes()

    def fails(*_, **__):
        raise OSError("the disk is full")

    for step in ("fsync", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(os, step, fails)
            with pytest.raises(OSError, match="disk is full"):
                fits["labelled"].save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]
    fits["labelled"].save(str(path))
    assert bmx.load(str(path)).k == 3
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


def refuses(number):
    def replace(*_):
        raise OSError(number, os.strerror(number))

    return replace


def test_places(fits, tmp_path, monkeypatch):
    fit = fits["held"]
    with pytest.raises(FileNotFoundError, match=r"folder .*nowhere.* does not exist; make it"):
        fit.save(tmp_path / "nowhere" / "fit.nc")
    with pytest.raises(DataError, match="is a folder"):
        fit.save(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no file") as found:
        bmx.load(tmp_path / "fit.nc")
    assert found.value.errno == errno.ENOENT
    for call in (fit.save, fit.report, bmx.load):  # both an error of ours and the system's
        with pytest.raises(OSError, match=r"too long; give another path$") as caught:
            call(tmp_path / ("x" * 300))
        assert isinstance(caught.value, DataError)
        assert caught.value.errno == errno.ENAMETOOLONG
        assert caught.value.filename.endswith("x" * 300)
    for number, kind, remedy in (
        (errno.EACCES, PermissionError, "give another path"),
        (errno.ENOSPC, OSError, "make room, or give another path"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", refuses(number))
            with pytest.raises(kind, match=rf"{os.strerror(number)}; {remedy}$") as caught:
                fit.save(tmp_path / "fit.nc")
        again = pickle.loads(pickle.dumps(caught.value))
        assert caught.value.errno == number
        assert (type(again), str(again)) == (type(caught.value), str(caught.value))
    monkeypatch.chdir(tmp_path)
    fit.save("ein fit, ü.nc")
    (tmp_path / "link.nc").symlink_to("ein fit, ü.nc")
    assert bmx.load("link.nc").loglik == fit.loglik
    fits["labelled"].save("link.nc")
    assert (tmp_path / "link.nc").is_symlink()
    assert bmx.load("ein fit, ü.nc").loglik == fits["labelled"].loglik


def test_damaged_files(fits, tmp_path):
    path = tmp_path / "fit.nc"
    fits["held"].save(path)
    whole = path.read_bytes()
    for part in np.linspace(0, len(whole) - 1, 25).astype(int):
        path.write_bytes(whole[:part])
        with pytest.raises(DataError, match=r"(cannot be read|damaged).*(save|copy)"):
            bmx.load(path)
    number = np.float64(fits["held"]._fitted.theta[0]).tobytes()
    assert number in whole
    path.write_bytes(whole.replace(number, np.float64(1.0).tobytes()))
    with pytest.raises(DataError, match="edited: its contents are not what was written"):
        bmx.load(path)


def test_foreign_files(tmp_path):
    path = tmp_path / "other.nc"
    path.write_text("y,x\n1,2\n")
    with pytest.raises(DataError, match="no NetCDF-4 file at all"):
        bmx.load(path)
    xr.DataTree.from_dict({"/posterior": xr.Dataset({"a": 1.0})}).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(DataError, match=r"not of bayesmix: it has no manifest.*groups: posterior"):
        bmx.load(path)


def test_formats_and_kinds_of_another_version(fits, tmp_path):
    path = tmp_path / "fit.nc"
    fits["held"].save(path)
    rewritten(path, kind="survival", bayesmix="7.1")
    with pytest.raises(DataError, match=r"bayesmix 7\.1 and holds 'survival'.*reads 'spec'"):
        bmx.load(path)
    rewritten(path, format=99, kind="point")
    with pytest.raises(DataError, match=r"7\.1 in format 99.*reads the formats 1, 2, 3.*version"):
        bmx.load(path)


def test_a_design_that_is_no_longer_the_same(fits, tmp_path, monkeypatch):
    path = tmp_path / "fit.nc"
    fits["transformed"].save(path)
    libraries = {**manifest(path)["libraries"], "pandas": "0.1"}
    rewritten(path, libraries=libraries)
    made = BSpline.columns
    monkeypatch.setattr(BSpline, "columns", lambda self, x: made(self, x) * (1 + 1e-6))
    with pytest.raises(DataError) as error:
        bmx.load(path, **OWN)
    assert "the term 'bs(x, df=4)[0]' of 'y'; the term 'bs(x, df=4)[1]' of 'y'" in str(error.value)
    assert "pandas 0.1 (here " in str(error.value)
    assert "poly" not in str(error.value)


def test_checksums_see_changes_and_not_the_last_digit():
    rng = np.random.default_rng(1)
    x = rng.normal(size=20000) * 1e3
    first = {"x": objects.fingerprint(x)}

    def differ(values):
        return objects.differences(first, {"x": objects.fingerprint(values)})

    assert differ(x) == []
    assert differ(x * (1 + 1e-14)) == []
    assert differ(x + rng.normal(size=len(x)) * 1e-12) == []
    swapped = x.copy()
    swapped[[3, 4]] = swapped[[4, 3]]
    one = x.copy()
    one[7] += 0.01
    for values in (x * (1 + 1e-6), x[:-1], swapped, one, -x):
        assert differ(values) == ["x"]
    assert objects.differences(first, {}) == ["x (no longer there)"]
    assert objects.differences({}, first) == ["x (not there before)"]
    for values in (np.zeros(3), np.empty(0), np.array([1.7e308] * 9), np.array([5e-324])):
        assert objects.fingerprint(values) == objects.fingerprint(values.copy())


# --- files of each format ------------------------------------------------------------------

POINT = {"count": 0.061521289229, "Intercept": 0.83235811307, "half(x)": 3.80786347739}
POINT["I(z > 1)"] = 0.05328348936


def test_a_point_fit_in_format_1():
    """Written by bayesmix 0.1.0; the numbers are those of the fit that was saved."""
    fit = bmx.load(DATA / "format_1_point.nc", functions={"half": half})
    assert fit.loglik == pytest.approx(-89.98336874242017, rel=1e-9)
    assert (fit.method, fit.status, fit.df, fit.k) == ("em", "converged", 11, 2)
    assert fit.coefficients()[1].to_dict() == pytest.approx(POINT, rel=1e-6)
    assert fit.membership().index.names == ["site", "row"]
    assert fit.starts.attrs["agreeing"] == len(fit.starts) == 2


def test_a_specification_in_format_1():
    spec = bmx.load(DATA / "format_1_spec.nc")
    assert (spec.components, spec.df, spec.n_dropped) == (("high", "low"), 12, 3)
    assert spec._priors == {"coef_y": Prior("normal", mu=0, sigma=3)}
    assert spec._spec.prepared.index.name == "day"
    assert spec.fit(seed=1, starts=2).loglik == pytest.approx(-265.076036966992, rel=1e-8)


def test_a_posterior_in_format_1():
    posterior = bmx.load(DATA / "format_1_posterior.nc")
    draws = posterior._drawn
    assert (posterior.method, draws.theta.shape, list(draws.stats)) == (
        "laplace",
        (1, 40, 4),
        ["diverging", "energy"],
    )
    means = [0.8654530418115465, -3.5939747524291263, -2.8775945812299235, -0.8931289204661598]
    np.testing.assert_allclose(draws.theta.mean((0, 1)), means, rtol=1e-9)
    assert posterior.point().loglik == pytest.approx(-86.3971643601825, rel=1e-9)


# --- copies and pickles --------------------------------------------------------------------


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_and_pickles(fit, again):
    other = again(fit)
    assert results(other) == results(fit)
    assert results(again(other)) == results(fit)
    model = again(fit.spec)
    assert repr(model) == repr(fit.spec)
    assert model.log_likelihood(fit.params) == pytest.approx(fit.loglik, rel=1e-12)


def test_in_processes_of_joblib(fits):
    """Sent to a process that begins from nothing, and back."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for name in ("grouped", "held", "mode", "reduced"):
            fit = fits[name]
            table = pool.apply(operator.methodcaller("summary"), (fit,))
            pd.testing.assert_frame_equal(table, fit.summary(), check_exact=True)
        fit = fits["grouped"]
        other = pool.apply(operator.methodcaller("fit", seed=1, starts=2), (fit.spec,))
        assert results(other) == results(fit)
