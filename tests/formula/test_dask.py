"""Dask frames against the same rows in memory."""

import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx

dask = pytest.importorskip("dask")
dd = pytest.importorskip("dask.dataframe")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    n = 1500
    x, late = rng.normal(size=n), rng.random(n) < 0.4
    f = rng.choice(["a", "b", "c"], size=n)
    mean = np.where(late, 1.5 + 0.5 * x, 0.2 - 0.3 * x) + 0.4 * (f == "b")
    return pd.DataFrame({"x": x, "f": f, "y": rng.poisson(np.exp(mean)), "g": np.arange(n) // 3})


def compared(data, frame, **options):
    whole, parts = (
        bmx.Mixture("y ~ x + f", d, family="poisson", k=2, **options).fit(
            seed=1, starts=3, tol=1e-12
        )
        for d in (data, frame)
    )
    assert parts.loglik == pytest.approx(whole.loglik, rel=1e-12)
    mine, theirs = (f.summary()[["estimate", "se"]].to_numpy(float) for f in (parts, whole))
    np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-8)
    return whole, parts


def test_partitions_give_what_memory_gives(data):
    with dask.config.set(scheduler="synchronous"):
        frame = dd.from_pandas(data, npartitions=4)
        whole, parts = compared(data, frame)
        found = pd.concat(list(parts.membership()))
    pd.testing.assert_frame_equal(found, whole.membership(), atol=1e-7)


def test_groups_that_straddle_partitions_are_refused_or_shuffled(data):
    mixed = data.sample(frac=1, random_state=1).reset_index(drop=True)
    with dask.config.set(scheduler="synchronous"):
        frame = dd.from_pandas(mixed, npartitions=3)
        with pytest.raises(bmx.DataError, match=r"not together\. Put them .*data\.shuffle\('g'\)"):
            bmx.Mixture("y ~ x + f", frame, family="poisson", k=2, group="g")
        compared(mixed, frame.shuffle("g"), group="g")


def test_a_scan_of_partitions_is_refused(data):
    with pytest.raises(bmx.DataError, match="are its partitions"):
        bmx.Mixture("y ~ x", bmx.scan(dd.from_pandas(data, npartitions=2)))


@pytest.fixture
def client():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.slow
def test_two_processes_give_what_one_gives(data, client, tmp_path):
    data.to_parquet(tmp_path / "rows.parquet", row_group_size=300)
    frame = dd.read_parquet(tmp_path / "rows.parquet", split_row_groups=True)
    compared(data, frame)


@pytest.mark.slow
def test_a_worker_that_is_killed_changes_nothing(data, client, tmp_path):
    data.to_parquet(tmp_path / "rows.parquet", row_group_size=300)
    frame = dd.read_parquet(tmp_path / "rows.parquet", split_row_groups=True)
    spec = bmx.Mixture("y ~ x + f", frame, family="poisson", k=2)
    undisturbed = spec.fit(seed=1, starts=3)
    worker = next(iter(client.run(os.getpid).values()))

    def kill():
        time.sleep(0.3)
        os.kill(worker, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    fits = [spec.fit(seed=1, starts=3) for _ in range(3)]
    thread.join()
    assert {fit.loglik for fit in fits} == {undisturbed.loglik}
