"""Files and tables as users have them, in blocks, against the same rows in memory."""

import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import bayesmix as bmx

N = 300


@pytest.fixture(autouse=True)
def interpreted(monkeypatch):
    """Kernels are tested elsewhere, and would be compiled here for few rows."""
    monkeypatch.setenv("BAYESMIX_COMPILE", "0")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(N // 3), 3)
    late, x = rng.random(N // 3) < 0.4, rng.normal(size=N)
    f = rng.choice(["a", "b", "c"], size=N, p=[0.5, 0.4, 0.1])
    mean = np.where(late[g], 1.5 + 0.5 * x, -0.5 - 0.3 * x) + 0.5 * (f == "b")
    dead, well, end = rng.weibull(1.5, N) * np.exp(0.3 * x), *rng.exponential(2, size=(2, N))
    time = np.minimum(np.minimum(dead, well), end)
    event = np.where(time == dead, "dead", np.where(time == well, "well", None))
    return pd.DataFrame(
        {
            "g": g,
            "x": x,
            "f": f,
            "count": rng.poisson(np.exp(mean)),
            "y": 3 * mean + rng.normal(size=N),
            "time": time,
            "status": (time < end).astype(int),
            "event": event,
        }
    )


def files(frames, folder):
    for number, frame in enumerate(frames):
        frame.to_parquet(folder / f"{number}.parquet", index=False)
    return folder / "*.parquet"


def model(given, **options):
    options = {"family": "poisson", "k": 2} | options
    return bmx.Mixture(options.pop("formula", "count ~ x + f"), given, **options)


def events(given, **options):
    families = {"dead": "weibull", "well": "exponential"}
    return bmx.CompetingRisks(
        "surv(time, status) ~ x", given, event="event", family=families, **options
    )


def compared(make, whole, parts, **options):
    """The fits of both, whose estimates and errors agree to 1e-8."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bmx.DataWarning)
        one, other = (make(d, **options).fit(seed=1, starts=3, tol=1e-12) for d in (whole, parts))
    ours, theirs = (f.summary()[["estimate", "se"]].to_numpy(float) for f in (other, one))
    np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-8)
    assert other.loglik == pytest.approx(one.loglik, rel=1e-10)
    assert (other.n_obs, other.n_units, other.n_dropped) == (one.n_obs, one.n_units, one.n_dropped)
    assert dict(other.n_missing) == dict(one.n_missing)
    return one, other


def without(data, column, step):
    return data.assign(**{column: data[column].where(data.index % step != 1)})


def test_competing_events(data, tmp_path):
    late = data.sort_values("event", na_position="first", ignore_index=True)
    given = bmx.scan(files((late[:100], late[100:]), tmp_path), rows=70)
    one, other = compared(events, late, given)
    found = pd.concat(list(other.membership()))
    np.testing.assert_allclose(found, one.membership(), atol=1e-7)
    rows = data[["x"]].head(2)
    for name in ("event_probabilities", "mean_time"):
        tables = (getattr(f, name)(rows).select_dtypes("number") for f in (other, one))
        np.testing.assert_allclose(*tables, rtol=1e-6)
    with pytest.raises(bmx.DataError, match="newdata="):
        other.mean_time()
    for kind in ("case", "parametric"):
        assert other.bootstrap(3, kind=kind, seed=1, progress=False).n == 3


def test_states_beside_the_aalen_johansen_estimate(data, tmp_path):
    """Groups whose levels are in some blocks alone."""
    late = data.sort_values("f", ignore_index=True).assign(w=1.0 + data.index % 2)
    given = bmx.scan(files((late[:100], late[100:]), tmp_path), rows=70)
    one, other = compared(events, late, given, concomitant="~ f", weights="w")
    for by in (None, "f"):
        tables = (fit.aalen_johansen(by=by, times=[0.5, 1.0]) for fit in (other, one))
        pd.testing.assert_frame_equal(*tables, rtol=1e-6)
    posterior = events(given).fit("laplace", draws=50, seed=1)
    assert len(posterior.aalen_johansen(times=[1.0])) > N


@pytest.mark.parametrize("read", [lambda path: path, lambda path: bmx.scan(path, rows=70)])
def test_competing_events_with_missing_times(data, tmp_path, read):
    gaps = without(data, "time", 40)
    compared(events, gaps, read(files([gaps], tmp_path)), na_action="fiml")


def test_missing_responses(data, tmp_path):
    gaps = without(data, "y", 3)
    options = {"formula": "y ~ x + f", "family": "gaussian", "group": "g", "na_action": "fiml"}
    gaps.loc[gaps["g"] == 5, "y"] = np.nan
    one, other = compared(model, gaps, bmx.scan(gaps, rows=70), **options)
    assert other.n_missing["y"] == gaps["y"].isna().sum() > N // 3
    for fit in (one, other):
        assert f"1 of {N // 3} units have no response at all" in repr(fit)
    assert other.bic == pytest.approx(one.bic, rel=1e-10)
    unknown = gaps.assign(x=gaps["x"].where(gaps.index != 200))
    with pytest.raises(bmx.DataError, match=r"'x': 1 row \(200\)"):
        model(bmx.scan(unknown, rows=70), **options)


def test_errors_that_are_robust_to_clusters(data, tmp_path):
    """Clusters in several blocks, in a column that the model does not use."""
    given = data.assign(clinic=[f"c{i}" for i in np.arange(N) * 7 % 25], ward=data["g"] // 4)
    path = files(cut(given), tmp_path)
    grouped = {"formula": "y ~ x", "family": "gaussian", "group": "g"}
    for options, cluster in (({}, "clinic"), (grouped, "ward"), (grouped, "g")):
        one, other = compared(model, given, bmx.scan(path, rows=70), **options)
        tables = [f.summary(kind="robust", cluster=cluster) for f in (other, one)]
        pd.testing.assert_frame_equal(*tables, rtol=1e-7)
        assert not np.allclose(tables[0]["se"], one.summary(kind="robust")["se"])
    other.save(tmp_path / "fit.nc")
    again = bmx.load(tmp_path / "fit.nc").covariance("robust", "g")
    np.testing.assert_allclose(again, one.covariance("robust", "g"), rtol=1e-6)
    with pytest.raises(bmx.DataError, match="'ward2' is not a column of"):
        other.covariance("robust", "ward2")
    with pytest.raises(bmx.DataError, match="give its name"):
        other.covariance("robust", given["ward"])
    with pytest.raises(bmx.DataError, match="'x' differs within a group"):
        other.covariance("robust", "x")


def test_residuals_and_simulated_responses(data, tmp_path):
    one, other = compared(model, data, bmx.scan(data, rows=70))
    for kind in ("pearson", "deviance"):
        found = pd.concat(list(other.residuals(kind)))
        pd.testing.assert_frame_equal(found, one.residuals(kind), atol=1e-6)
    first, again = (pd.concat(list(other.residuals("quantile", seed=1))) for _ in range(2))
    pd.testing.assert_series_equal(first, again)
    assert abs(first.std() - 1) < 0.15
    assert abs(np.corrcoef(first[:70], first[70:140])[0, 1]) < 0.5  # blocks have their own draws
    assert len(pd.read_parquet(other.residuals(to=tmp_path / "r.parquet"))) == N
    drawn = pd.concat(list(other.simulate(seed=1)))
    assert drawn["count"].mean() == pytest.approx(data["count"].mean(), rel=0.3)
    assert list(drawn["component"].unique()) in ([1, 2], [2, 1])


@pytest.mark.parametrize("kind", ["case", "parametric"])
def test_bootstrap_errors_are_those_in_memory(kind):
    rng = np.random.default_rng(2)
    y = rng.poisson(np.where(rng.random(2000) < 0.4, 12.0, 2.0))
    frame = pd.DataFrame({"y": y})
    options = {"formula": "y ~ 1"}
    one, other = (model(d, **options).fit(seed=1, starts=2) for d in (frame, bmx.scan(frame, 700)))
    errors = one.summary()["se"]
    found = other.bootstrap(50, kind=kind, seed=3, progress=False).summary()["se"]
    np.testing.assert_allclose(found, errors, rtol=0.35)


def test_a_saved_fit_finds_its_files_again(data, tmp_path):
    gaps = without(data, "y", 3)
    given = bmx.scan(files(cut(gaps), tmp_path), rows=70)
    options = {"formula": "y ~ x + f", "family": "gaussian", "group": "g", "na_action": "fiml"}
    fit = model(given, **options).fit(seed=1, starts=2)
    fit.save(tmp_path / "fit.nc")
    again = bmx.load(tmp_path / "fit.nc")
    np.testing.assert_array_equal(*(pd.concat(list(f.membership())) for f in (fit, again)))
    assert (again.n_obs, again.bic) == (fit.n_obs, fit.bic)
    assert dict(again.n_missing) == dict(fit.n_missing)
    gaps[:50].to_parquet(tmp_path / "1.parquet")
    again = bmx.load(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(again.summary(), fit.summary(), check_exact=True)
    with pytest.raises(bmx.DataError, match="had 300 rows when the model was saved, and has 250"):
        list(again.membership())
    model(bmx.scan(data, rows=70)).fit(seed=1, starts=2).save(tmp_path / "table.nc")
    table = bmx.load(tmp_path / "table.nc")
    assert len(table.predict(data)) == N
    with pytest.raises(bmx.DataError, match=r"saved without its rows.*newdata="):
        list(table.membership())


def cut(data, n=3):
    at = np.linspace(0, len(data), n + 1).astype(int)
    return [data[a:b] for a, b in pairwise(at)]


def typed(data, number, **columns):
    """Three files, one of which has columns of other types."""
    return [p.assign(**columns) if n == number else p for n, p in enumerate(cut(data))]


SORTED = {
    "level in the last file": lambda d: cut(d.sort_values("f")),
    "categories of their own": lambda d: [p.astype({"f": "category"}) for _, p in d.groupby("f")],
    "empty files": lambda d: [d[:0], *cut(d), d[:0]],
    "one row each": lambda d: cut(d[:40], 40),
    "whole numbers in one": lambda d: typed(
        d.assign(x=np.where(d.index < 100, d["x"].round(), d["x"])),
        0,
        x=lambda p: p["x"].astype(int),
    ),
    "single precision": lambda d: cut(d.astype({"x": "float32"})),
    "small integers": lambda d: cut(d.astype({"count": "uint8"})),
    "dates beside": lambda d: cut(d.assign(when=pd.Timestamp("2026-01-01"))),
}


@pytest.mark.parametrize("name", SORTED)
def test_files(data, tmp_path, name):
    frames = SORTED[name](data)
    whole = pd.concat(frames, ignore_index=True).astype({"f": str})
    formula = "count ~ x" if name == "one row each" else "count ~ x + f"
    given = bmx.scan(files(frames, tmp_path), rows=64)
    compared(model, whole, given, formula=formula)


def test_rows_apart_and_groups_larger_than_a_block(data, tmp_path):
    options = {"formula": "y ~ x", "family": "gaussian", "group": "g"}
    apart = data.sample(frac=1, random_state=1).assign(g="id" + data["g"].astype(str))
    compared(model, apart, bmx.scan(files(cut(apart), tmp_path), rows=50), **options)
    large = data.assign(g=data["g"].clip(lower=40))
    compared(model, large, bmx.scan(large, rows=50), **options)


def test_a_block_may_have_no_complete_row(data):
    gaps = data.assign(x=data["x"].where(data.index >= 120))
    compared(model, gaps, bmx.scan(gaps, rows=50), formula="count ~ x", na_action="drop")


def test_folders_may_name_values(data, tmp_path):
    pq.write_to_dataset(pa.Table.from_pandas(data, preserve_index=False), tmp_path, ["f"])
    compared(model, data.sort_values("f", ignore_index=True), bmx.scan(tmp_path, rows=64))


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), None])
def test_text_of_arrow(data, kind):
    table = pa.Table.from_pandas(data, preserve_index=False)
    text = table.column("f")
    text = text.dictionary_encode() if kind is None else text.cast(kind)
    table = table.set_column(table.schema.get_field_index("f"), "f", text)
    compared(model, table.to_pandas(), bmx.scan(table, rows=64))


def damaged(data, folder, change):
    path = files(cut(data), folder)
    change(folder / "1.parquet")
    return path


REFUSED = {
    "text in one": (
        lambda d, p: files(typed(d, 1, x=lambda q: q["x"].astype(str)), p),
        "another t",
    ),
    "lacks a column": (
        lambda d, p: files([*cut(d), d.drop(columns="x")], p),
        r"3\.parquet has no column 'x'",
    ),
    "broken": (lambda d, p: damaged(d, p, lambda f: f.write_bytes(b"?")), "cannot be read"),
    "only empty": (lambda d, p: files([d[:0]], p), "no rows"),
    "lists": (lambda d, p: pa.table({"x": [[1.0]] * 9, "count": [1] * 9, "f": ["a"] * 9}), "lists"),
    "lazy": (lambda d, p: pl.from_pandas(d).lazy(), r"data\.collect\(\)"),
    "dataset": (lambda d, p: ds.dataset(files(cut(d), p).parent), "the pattern of its files"),
    "no such column": (lambda d, p: files([d.drop(columns="x")], p), "'x' is not in the data. The"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_said(data, tmp_path, name):
    given, words = REFUSED[name]
    given = given(data, tmp_path)
    with pytest.raises(bmx.DataError, match=words):
        model(given if name in ("lazy", "dataset") else bmx.scan(given, rows=64))


def test_a_file_that_is_gone_and_a_folder_that_is_not_there(data, tmp_path, monkeypatch):
    monkeypatch.setattr("bayesmix.formula.sources.tables.SHARE", 0)
    spec = model(bmx.scan(damaged(data, tmp_path, lambda f: None), rows=64))
    fit = spec.fit(seed=1, starts=2)
    with pytest.raises(bmx.DataError, match="does not exist"):
        fit.membership(to=tmp_path / "no" / "m.parquet")
    (tmp_path / "1.parquet").unlink()
    with pytest.raises(bmx.DataError, match="cannot be read"):
        list(fit.membership())
