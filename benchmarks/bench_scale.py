"""Rows that grow: files, slopes, a cluster of two processes, posteriors, and peers.

CPU seconds of the whole process unless said otherwise; other work on the machine changes these
little.  ``python benchmarks/bench_scale.py parquet --rows 10000000`` and so on, one at a time.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from bench_first_fit import machine

import bayesmix as bmx
from bayesmix.likelihood import Engine, build_problem

K, COLUMNS, LEVELS, PART = 3, 5, 50, 500_000
KEEPING = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
FORMULA = "y ~ x0 + x1 + x2 + x3 + x4 + f"


def rows(n: int, seed: int, columns: int = COLUMNS, group: int = 0) -> pd.DataFrame:
    """Counts of three Poisson regressions, with a factor of 50 levels."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({f"x{j}": rng.normal(size=n) for j in range(columns)})
    level = rng.integers(0, LEVELS, n)
    unit = np.arange(n) // group if group else np.arange(n)
    z = rng.choice(K, unit[-1] + 1, p=[0.5, 0.3, 0.2])[unit]
    eta = np.array([0.2, 1.4, 2.4])[z] + np.array([0.3, -0.2, 0.1])[z] * data["x0"]
    data["y"] = rng.poisson(np.exp(eta + 0.02 * (level % 10)))
    data["f"] = pd.Categorical.from_codes(level, [f"l{i:02d}" for i in range(LEVELS)])
    data["g"] = unit
    return data


def spent(name: str, action: Callable[[], Any]) -> Any:
    """Do it and print CPU seconds, seconds and the most memory held so far."""
    cpu, wall = time.process_time(), time.perf_counter()
    value = action()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{name:<44}{cpu:>10.2f} CPU s{wall:>10.2f} s{held:>8.2f} GB", flush=True)
    return value


def parquet(n: int) -> None:
    """A fit with standard errors from files, beside what the machine does with as many numbers."""
    with tempfile.TemporaryDirectory() as folder:
        for part in range(0, n, PART):
            made = rows(min(PART, n - part), part)
            made.drop(columns="g").to_parquet(Path(folder) / f"{part:09d}.parquet", index=False)
        del made
        spent("numpy.exp of as many responsibilities", lambda: _exponents(n))
        data = str(Path(folder) / "*.parquet")
        spent("the files read alone", lambda: _read(folder))
        spec = spent("first pass", lambda: bmx.Mixture(FORMULA, data, family="poisson", k=K))
        fit = spent("fit, ten starts", lambda: spec.fit("em", seed=1))
        spent("standard errors", fit.summary)
        to = Path(folder) / "memberships.parquet"
        spent("memberships to Parquet", lambda: fit.membership(to=to))
        print(fit.status, fit.loglik, fit.iterations, fit.df)


def _exponents(n: int) -> None:
    block = np.random.default_rng(0).normal(size=(PART, K))
    for _ in range(0, n, PART):
        np.exp(block)


def _read(folder: str) -> None:
    import pyarrow.dataset as ds

    for _ in ds.dataset(folder, format="parquet").to_batches():
        pass


def slopes() -> None:
    """Log-log growth of one EM pass and one information pass."""
    grown: dict[str, list[tuple[int, pd.DataFrame, str, int, dict[str, Any]]]] = {
        "rows": [(n, rows(n, 1), "y ~ x0 + x1", K, {}) for n in (100_000, 400_000, 1_600_000)],
        "K": [(k, rows(200_000, 1), "y ~ x0 + x1", k, {}) for k in (2, 4, 8)],
        "columns": [
            (p, rows(100_000, 1, p), "y ~ " + " + ".join(f"x{j}" for j in range(p)), K, {})
            for p in (5, 10, 20)
        ],
        "groups": [
            (n // 10, rows(n, 1, group=10), "y ~ x0 + x1", K, {"group": "g"})
            for n in (100_000, 400_000, 1_600_000)
        ],
    }
    for name, cases in grown.items():
        found = []
        for size, data, formula, k, options in cases:
            spec = bmx.Mixture(formula, data, family="poisson", k=k, **options)
            engine = Engine(build_problem(spec.spec), insist=True)
            theta = 0.1 * np.random.default_rng(2).normal(size=(1, spec.spec.layout.size))
            found.append((size, *(_median(partial(pass_, theta)) for pass_ in _passes(engine))))
        size, step, curvature = np.log(np.array(found)).T
        print(
            f"{name:<9}{[f[0] for f in found]} EM pass {[round(f[1], 3) for f in found]} slope "
            f"{np.polyfit(size, step, 1)[0]:.2f}, information {[round(f[2], 3) for f in found]} "
            f"slope {np.polyfit(size, curvature, 1)[0]:.2f}",
            flush=True,
        )


def _passes(engine: Engine) -> tuple[Callable[[Any], Any], ...]:
    return engine.sums, engine.information


def _median(action: Callable[[], Any]) -> float:
    action()
    taken = []
    for _ in range(5):
        begin = time.process_time()
        action()
        taken.append(time.process_time() - begin)
    return float(np.median(taken))


def dask(n: int) -> None:
    """Passes over partitions that two processes hold, beside the same in one process.

    CPU seconds of all processes together: the overhead is what dask adds.  Its workers give
    memory back at once, and then once more without doing so.
    """
    import dask.dataframe as dd
    from dask import config
    from distributed import Client, LocalCluster

    data = rows(n, 1).drop(columns="g")
    theta = None
    for name, environment in (
        ("one process", {}),
        ("two processes", {}),
        ("two that keep memory", dict.fromkeys(KEEPING, "268435456")),
    ):
        with (
            config.set(
                {f"distributed.nanny.pre-spawn-environ.{k}": v for k, v in environment.items()}
            ),
            tempfile.TemporaryDirectory() as folder,
            LocalCluster(
                n_workers=0 if name == "one process" else 2,
                threads_per_worker=1,
                dashboard_address=None,
                local_directory=folder,
            ) as cluster,
            Client(cluster),
        ):
            given: Any = bmx.scan(data)
            if name != "one process":
                given = dd.from_pandas(data, npartitions=max(2, n // 125_000))
            spec = bmx.Mixture(FORMULA, given, family="poisson", k=K)
            engine = Engine(build_problem(spec.spec))
            if theta is None:
                theta = 0.1 * np.random.default_rng(2).normal(size=(1, spec.spec.layout.size))
            for kind, pass_ in zip(("EM pass", "information"), _passes(engine), strict=True):
                pass_(theta)
                begin, workers = time.process_time(), _workers()
                wall = time.perf_counter()
                pass_(theta)
                wall = time.perf_counter() - wall
                cpu = time.process_time() - begin + _workers() - workers
                print(f"{name:<22}{kind:<13}{cpu:>8.2f} CPU s{wall:>8.2f} s", flush=True)


def _workers() -> float:
    """CPU seconds of the processes that this one has started and that are running."""
    import psutil

    children = psutil.Process().children(recursive=True)
    return sum(sum(child.cpu_times()[:2]) for child in children)


def nuts(n: int, draws: int) -> None:
    """NUTS with the compiled pass: one covariate, two chains.

    Of short chains, the CPU seconds for a gradient say more than those for an effective draw.
    """
    spec = bmx.Mixture("y ~ x0", rows(n, 1), family="poisson", k=K)
    options = {"draws": draws, "tune": draws, "chains": 2, "seed": 1, "progress": False}
    print(f"a gradient of the compiled pass: {_median(_gradient(spec)):.4f} CPU s", flush=True)
    begin = time.process_time()
    post = spent(
        f"NUTS, {n} rows, 2 x ({draws} + {draws}) draws", lambda: spec.fit("nuts", **options)
    )
    cpu, table = time.process_time() - begin, post.summary()
    print("smallest bulk ESS", table["ess_bulk"].min(), "largest R-hat", table["r_hat"].max())
    steps = post.numbers.stats["n_steps"].mean()
    print(f"{steps:.1f} gradients for a draw, {cpu / table['ess_bulk'].min():.3f} CPU s for an")
    print("effective draw of the slowest parameter, tuning included")


def _gradient(spec: bmx.Mixture) -> Callable[[], Any]:
    """A gradient at random parameters."""
    gradient = Engine(build_problem(spec.spec), insist=True).gradient
    theta = 0.1 * np.random.default_rng(1).normal(size=spec.spec.layout.size)
    return lambda: gradient(theta)


def posterior(n: int, what: str) -> None:
    """A posterior of 4,000 draws by Laplace's method, and what a criterion adds to it."""
    spec = bmx.Mixture("y ~ x0", rows(n, 1), family="poisson", k=K)
    spec.fit("laplace", draws=100, seed=1)  # compiles
    post = spent(f"laplace, {n} rows", lambda: spec.fit("laplace", draws=4000, seed=1))
    print("k-hat", post.khat)
    if what != "laplace":
        action = {"loo": lambda: post.loo(repair=False), "waic": post.waic}[what]
        print(spent(what, action))


def peers(n: int) -> None:
    """scikit-learn's mixture of normals, and one gradient by PyMC's graph and by JAX."""
    from sklearn.mixture import GaussianMixture

    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, 5)) + 3 * rng.integers(0, K, (n, 1))
    data = pd.DataFrame(x, columns=list("abcde"))
    given = GaussianMixture(K, n_init=1, init_params="k-means++", random_state=1, tol=1e-6)
    theirs = spent(f"scikit-learn, {n} rows of 5, one start", lambda: given.fit(x))
    print("log-likelihood", theirs.score(x) * n, "steps", theirs.n_iter_)
    spec = bmx.Mixture("mv(a, b, c, d, e) ~ 1", data, family="mvnormal", k=K, priors="flat")
    ours = spent("bayesmix, ten starts", lambda: spec.fit("em", seed=1))
    print("log-likelihood", ours.loglik)
    spec = bmx.Mixture("y ~ x0", rows(n, 1), family="poisson", k=K)
    print(f"gradient, compiled pass: {_median(_gradient(spec)):.4f} CPU s", flush=True)
    model = spec.to_pymc()
    point = model.initial_point()
    for mode in ("NUMBA", "JAX"):
        slope = model.compile_dlogp(mode=mode)
        taken = _median(partial(_waited, slope, point))
        print(f"gradient, PyMC's graph, {mode}: {taken:.4f} CPU s", flush=True)


def _waited(slope: Callable[[Any], Any], point: Any) -> np.ndarray:
    """JAX returns before it has computed."""
    return np.asarray(slope(point))


R = """
suppressMessages(library(flexmix)); d <- read.csv("{path}"); set.seed(1)
t <- proc.time(); m <- flexmix(y ~ x0, data = d, k = 3, model = FLXMRglm(family = "poisson"),
  control = list(iter.max = {most}))
t <- proc.time() - t; cat("flexmix", nrow(d), "rows, one start:", t[1] + t[2], "CPU s,", m@iter,
  "iterations, log-likelihood", format(as.numeric(logLik(m)), nsmall = 2), "k", m@k, "\\n")
"""


def flexmix(n: int, most: int) -> None:
    """R's flexmix, of at most so many iterations, and bayesmix on the same rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        data = rows(n, 1)[["y", "x0"]]
        data.to_csv(path, index=False)
        try:
            done = ["Rscript", "-e", R.format(path=path, most=most)]
            subprocess.run(done, check=True, timeout=1200)
        except subprocess.TimeoutExpired:
            print(f"flexmix {n} rows: not done after 20 minutes", flush=True)
    spec = bmx.Mixture("y ~ x0", data, family="poisson", k=K)
    spec.fit("em", seed=1, starts=1)  # compiles
    fit = spent(f"bayesmix, {n} rows, ten starts", lambda: spec.fit("em", seed=1))
    spent("standard errors", fit.summary)
    print("log-likelihood", fit.loglik)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    runs: dict[str, Callable[[argparse.Namespace], None]] = {
        "parquet": lambda given: parquet(given.rows),
        "slopes": lambda _: slopes(),
        "dask": lambda given: dask(given.rows),
        "nuts": lambda given: nuts(given.rows, given.draws),
        "peers": lambda given: peers(given.rows),
        "flexmix": lambda given: flexmix(given.rows, given.iterations),
    } | {w: lambda given: posterior(given.rows, given.what) for w in ("laplace", "loo", "waic")}
    parser.add_argument("what", choices=runs, nargs="?", default="slopes")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--iterations", type=int, default=200, help="of flexmix, at most")
    options = parser.parse_args()
    print(machine())
    runs[options.what](options)


if __name__ == "__main__":
    main()
