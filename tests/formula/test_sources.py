"""Rows that come in blocks against the same rows in memory."""

import errno
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

import bayesmix as bmx
from bayesmix.formula.sources import survey, tables

N = 1200


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    g = rng.permutation(np.repeat(np.arange(N // 4), 4))
    late = rng.random(N // 4) < 0.4
    x, w = rng.normal(size=N), rng.normal(size=N // 4)
    f = rng.choice(["a", "b", "c"], size=N, p=[0.6, 0.39, 0.01])
    mean = np.where(late[g], 2 + x, -1 - 0.5 * x) + 0.5 * (f == "b")
    time = rng.weibull(np.where(late[g], 2.5, 1.2)) * np.exp(0.3 * mean)
    end = rng.exponential(4, size=N)
    return pd.DataFrame(
        {
            "g": g,
            "x": x,
            "w": w[g],
            "f": f,
            "y": 50 + 3 * (mean + rng.normal(size=N)),
            "count": rng.poisson(np.exp(0.5 * mean) * rng.gamma(2, 0.5, size=N)),
            "success": rng.random(N) < 1 / (1 + np.exp(-mean)),
            "time": np.minimum(time, end),
            "status": (time <= end).astype(int),
            "weight": (1.0 + g % 3)[np.arange(N)],
            "label": pd.Series(np.where(late, "late", "early")[g]).where(g % 5 == 0),
        }
    )


MODELS = {
    "plain": ("count ~ x", {"family": "poisson", "fixed": "~ f"}),
    "groups": ("y ~ x + f", {"group": "g", "concomitant": "~ w", "weights": "weight"}),
    "labels": ("y ~ x", {"group": "g", "labels": "label", "dispersion": "fixed"}),
    "times": ("surv(time, status) ~ x", {"family": "weibull", "group": "g"}),
    "spline": ("surv(time, status) ~ x", {"family": bmx.family("spline", df=2), "k": 1}),
    "dispersion": ("count ~ x", {"family": "negative_binomial", "group": "g"}),
    "one": ("success ~ x + f", {"family": "binomial", "k": 1}),
    "zeros": ("count ~ x", {"family": ["zero", "poisson"]}),
}


def both(data, name, method="em", **options):
    formula, more = MODELS[name]
    found = []
    for given in (data, bmx.scan(data, rows=250)):
        spec = bmx.Mixture(formula, given, **{"k": 2, **more})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(spec.fit(method, seed=1, **options))
    return found


@pytest.mark.parametrize("name", MODELS)
def test_estimates_and_errors_are_those_in_memory(data, name):
    whole, parts = both(data, name, tol=1e-12)
    assert parts.loglik == pytest.approx(whole.loglik, rel=1e-12)
    columns = ["estimate", "se", "lower", "upper"]
    mine, theirs = (f.summary()[columns].to_numpy(float) for f in (parts, whole))
    np.testing.assert_allclose(mine, theirs, rtol=1e-7, atol=1e-8)
    for criterion in ("bic", "bic_units", "icl", "entropy", "n_obs", "n_units"):
        assert getattr(parts, criterion) == pytest.approx(getattr(whole, criterion), rel=1e-9)
    np.testing.assert_allclose(parts.mixing, whole.mixing, rtol=1e-8)


@pytest.mark.parametrize("name", ["groups", "labels"])
def test_memberships_and_tables_are_those_in_memory(data, name):
    whole, parts = both(data, name)
    expected = whole.membership(rows=True)
    found = pd.concat(list(parts.membership(rows=True)))
    pd.testing.assert_frame_equal(found.sort_index(), expected, atol=1e-7)
    pd.testing.assert_frame_equal(parts.sizes(), whole.sizes(), atol=1e-7)
    pd.testing.assert_frame_equal(parts.classification(), whole.classification(), atol=1e-6)
    clusters = pd.concat(list(parts.clusters()))
    pd.testing.assert_series_equal(clusters.sort_index(), whole.clusters().sort_index())
    means = pd.concat(list(parts.predict(by="marginal"))).sort_index()
    pd.testing.assert_series_equal(means, whole.predict(by="marginal"), atol=1e-6)
    robust = parts.covariance("robust").to_numpy()
    np.testing.assert_allclose(robust, whole.covariance("robust"), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", ["ml", "map", "laplace"])
def test_the_other_methods(data, method):
    options = {"draws": 200} if method == "laplace" else {"tol": 1e-12}
    whole, parts = both(data, "plain", method, **options)
    mine, theirs = (f.summary().select_dtypes(float).iloc[:, 0] for f in (parts, whole))
    np.testing.assert_allclose(mine, theirs, rtol=1e-3 if method == "laplace" else 1e-6, atol=1e-4)


def test_any_number_of_threads_gives_the_same_bits(data):
    spec = bmx.Mixture("count ~ x + f", bmx.scan(data, rows=100), family="poisson", k=2)
    one, three = (spec.fit("em", seed=1, n_threads=n).loglik for n in (1, 3))
    assert one == three


@pytest.fixture
def stored(data, tmp_path):
    """The rows in two Parquet files, and as a Feather file."""
    half = N // 2
    data[:half].to_parquet(tmp_path / "part-1.parquet")
    data[half:].to_parquet(tmp_path / "part-2.parquet")
    feather.write_feather(
        pa.Table.from_pandas(data, preserve_index=False), tmp_path / "all.feather"
    )
    return tmp_path


def sources(data, folder):
    return {
        "polars": pl.from_pandas(data),
        "arrow": pa.Table.from_pandas(data),
        "pattern": str(folder / "part-*.parquet"),
        "path": folder / "all.feather",
    }


@pytest.mark.parametrize("kind", ["polars", "arrow", "pattern", "path"])
@pytest.mark.parametrize("small", [True, False])
def test_tables_and_files(data, stored, kind, small):
    source = sources(data, stored)[kind]
    spec = bmx.Mixture("y ~ x + f", source if small else bmx.scan(source, rows=500), k=2)
    expected = bmx.Mixture("y ~ x + f", data, k=2).fit(seed=1, starts=3)
    fit = spec.fit("em", seed=1, starts=3)
    assert fit.loglik == pytest.approx(expected.loglik, rel=1e-9)
    assert isinstance(fit.membership(), pd.DataFrame) == small


def test_files_that_do_not_fit_are_read_for_every_pass(data, stored, monkeypatch):
    expected = bmx.Mixture("y ~ x", data, k=2, group="g").fit(seed=1, starts=3)
    ordered = data.sort_values("g", kind="stable")
    ordered.to_parquet(stored / "sorted.parquet", row_group_size=100)
    monkeypatch.setattr(tables, "SHARE", 0.0)
    source = bmx.scan(stored / "sorted.parquet", rows=130)
    fit = bmx.Mixture("y ~ x", source, k=2, group="g").fit(seed=1, starts=3)
    assert fit.loglik == pytest.approx(expected.loglik, rel=1e-9)
    with pytest.raises(bmx.DataError, match=r"group g = \d+ are not together.*Sort the files"):
        bmx.Mixture("y ~ x", bmx.scan(stored / "all.feather", rows=130), k=2, group="g")


def test_a_group_larger_than_a_block_stays_whole(data):
    one = data.assign(g=np.where(data["g"] < 200, 0, data["g"]))
    found = [
        bmx.Mixture("y ~ x", d, k=2, group="g").fit(seed=1, init=[i % 2 + 1 for i in range(101)])
        if d is one
        else bmx.Mixture("y ~ x", d, k=2, group="g").fit(seed=1, starts=3)
        for d in (one, bmx.scan(one, rows=50))
    ]
    assert found[0].n_units == found[1].n_units == 101
    sizes = [len(m) for m in found[1].membership()]
    assert sum(sizes) == 101
    assert found[1].loglik >= found[0].loglik - 1e-6


def no_space(*_):
    raise OSError(errno.ENOSPC, "Error writing bytes to file")


def test_results_as_files(data, tmp_path, monkeypatch):
    whole, parts = both(data, "groups")
    for fit, name in ((whole, "whole"), (parts, "parts")):
        path = fit.membership(to=tmp_path / f"{name}.parquet")
        assert path == tmp_path / f"{name}.parquet"
        fit.predict(ci=0.9, to=str(tmp_path / f"{name}-means.parquet"))
    one, other = (pd.read_parquet(tmp_path / f"{n}.parquet") for n in ("whole", "parts"))
    assert list(one) == ["g", "1", "2"]
    pd.testing.assert_frame_equal(
        one.sort_values("g", ignore_index=True), other.sort_values("g", ignore_index=True)
    )
    assert len(pd.read_parquet(tmp_path / "parts-means.parquet")) == 2 * N
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == [f"{n}.parquet" for n in ("parts-means", "parts", "whole-means", "whole")]
    with monkeypatch.context() as patched:
        patched.setattr(pq.ParquetWriter, "write_table", no_space)
        with pytest.raises(OSError, match=r"whole\.parquet': No space left.*; make room") as caught:
            whole.membership(to=tmp_path / "whole.parquet")
    assert caught.value.filename == str(tmp_path / "whole.parquet")
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "whole.parquet"), one)
    with pytest.raises(bmx.FitError, match=r"use a name in \.parquet"):
        whole.membership(to="m.csv")


def test_new_rows_may_come_in_blocks(data, stored):
    fit = bmx.Mixture("y ~ x + f", data, k=2).fit(seed=1, starts=3)
    frames = fit.membership(bmx.scan(stored / "all.feather", rows=500))
    pd.testing.assert_frame_equal(pd.concat(list(frames)), fit.membership())
    pd.testing.assert_frame_equal(fit.predict(pl.from_pandas(data)), fit.predict(data))


def test_rows_with_missing_values(data):
    gaps = data.assign(x=data["x"].where(data.index % 10 != 3))
    with pytest.raises(bmx.DataError, match=r"'x': \d+ rows \(3, 13"):
        bmx.Mixture("y ~ x", bmx.scan(gaps, rows=200), k=2)
    whole, parts = (
        bmx.Mixture("y ~ x", d, k=2, na_action="drop").fit(seed=1, starts=3)
        for d in (gaps, bmx.scan(gaps, rows=200))
    )
    assert parts.loglik == pytest.approx(whole.loglik, rel=1e-9)
    assert parts.n_obs == whole.n_obs == N - N // 10


def test_the_sample_has_what_is_rare(monkeypatch):
    """Of 20,000 rows few are drawn, yet every level and both ends are among them.

    Rows are told apart by where they are: their labels repeat.
    """
    monkeypatch.setattr(survey, "SAMPLE", 300)
    rng = np.random.default_rng(0)
    f = np.repeat("common", 20_000).astype(object)
    f[[17_000, 18_000]] = "rare"
    year = np.repeat(2000, 20_000)
    year[[3, 19_999]] = 1999
    y = rng.normal(size=20_000)
    y[12_345] = 9.0
    frame = pd.DataFrame({"f": f, "year": year, "y": y + rng.choice([0, 3], size=20_000)})
    frame = frame.set_axis(np.arange(20_000) % 7)
    spec = bmx.Mixture("y ~ f + C(year)", bmx.scan(frame, rows=1000), k=2)
    sample = spec.spec.prepared.table
    assert 200 < len(sample) < 500
    assert sample["y"].max() == frame["y"].max()
    assert spec.fit("em", seed=1, starts=2).coefficients().shape == (3, 2)


def test_values_that_no_family_allows_are_found_in_any_block(data):
    wrong = data.assign(count=np.where(np.arange(N) == 1100, 2.5, data["count"]))
    spec = bmx.scan(wrong, rows=200)
    with pytest.raises(bmx.DataError, match="1100"):
        bmx.Mixture("count ~ x", spec, family="poisson", k=2).fit(seed=1, starts=2)


def test_what_needs_all_rows_says_so(data):
    spec = bmx.Mixture("count ~ x", bmx.scan(data), family="poisson", k=2)
    with pytest.raises(bmx.DataError, match=r"come in blocks.*newdata="):
        bmx.predictions(spec.fit("em", seed=1, starts=2))


PICTURES = (
    "coefficients",
    "fitted",
    "membership",
    "mixing",
    "posterior_predictive",
    "profile",
    "residuals",
    "rootogram",
)


@pytest.mark.parametrize(("method", "options"), [("em", {"starts": 2}), ("laplace", {"draws": 50})])
def test_pictures_show_a_sample_and_say_so(data, method, options, monkeypatch):
    monkeypatch.setattr(survey, "SAMPLE", 600)
    formula, more = MODELS["plain"]
    spec = bmx.Mixture(formula, bmx.scan(data, rows=250), k=2, **more)
    fit = spec.fit(method, seed=1, **options)
    n = fit.numbers.spec.rows.sample.n
    assert 400 < n < 800
    for name in PICTURES:
        found = np.ravel(getattr(bmx.plot, name)(fit))[0].figure
        notes = [t.get_text() for t in found.texts]
        expected = [] if name == "coefficients" else [f"drawn from a sample of {n} of 1,200 rows"]
        assert [t for t in notes if "sample" in t] == expected
        plt.close(found)


def test_fits_are_compared_and_matched(data):
    whole, parts = (
        {"k = 1": both(data, "one")[i], "x": both(data, "one", starts=1)[i]} for i in (0, 1)
    )
    one, other = (bmx.compare(fits, by="bic").table for fits in (whole, parts))
    pd.testing.assert_frame_equal(one, other, rtol=1e-6)
    with pytest.raises(bmx.SpecError, match="whether the rows come in blocks"):
        bmx.compare({"whole": whole["x"], "parts": parts["x"]}, by="bic")
    spec = bmx.Mixture("count ~ x", bmx.scan(data, rows=250), family="poisson", k=1)
    with pytest.raises(bmx.SpecError, match="the responses"):
        bmx.compare({"one": parts["x"], "other": spec.fit(seed=1)}, by="bic")
    kinds = {"em": parts["x"], "again": both(data, "one", "laplace", draws=100)[1]}
    assert {"em_estimate", "again_estimate"} <= set(bmx.compare_estimates(kinds))
    posteriors = dict.fromkeys("ab", kinds["again"])
    assert set(bmx.compare(posteriors, by="loo").table["difference"]) == {0.0}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nowhere/*.parquet", "there is no such file"),
        ("", "there is no such file"),
        ("x" * 300, "File name too long"),
        (__file__, "are of one kind"),
        (3, "a DataFrame, an Arrow table, or a path"),
    ],
)
def test_other_data_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        bmx.Mixture("y ~ x", given)


def test_knots_from_a_sample_are_told(data):
    with pytest.warns(bmx.DataWarning, match=r"cr\(x, df=3\): the knots are .* of 1200 rows"):
        bmx.Mixture("count ~ cr(x, df=3) + w", bmx.scan(data), family="poisson", k=2)
