"""One pass over a million rows: CPU time, ratio to ``np.exp``, memory, and the cost of compiling.

K = 3 components, an intercept and five covariates.  CPU time is of the whole process (all threads);
medians of several passes.  On shared cores read ratios, not milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

import bayesmix as bmx
from bayesmix.likelihood import Engine, Problem, build_problem

N_COMPONENTS, N_COLUMNS = 3, 5
# A family, what it is fitted to, and its options.
MODELS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "gaussian": ("y", "gaussian", {}),
    "poisson": ("count", "poisson", {}),
    "binomial": ("p(hits, trials)", "binomial", {}),
    "probit": ("p(hits, trials)", bmx.family("binomial", link="probit"), {}),
    "gamma": ("amount", "gamma", {}),
    "student t": ("y", "student_t", {}),
    "negative binomial": ("count", "negative_binomial", {}),
    "weibull times": ("surv(time, event)", "weibull", {}),
    "gaussian, groups": ("y", "gaussian", {"group": "unit"}),
}

# Seconds of CPU to have numba, then each kernel, ready in a fresh process.
COMPILE = """
import json, time
spent = {}
def lap(name, action, start=[time.process_time()]):
    action()
    now = time.process_time()
    spent[name], start[0] = now - start[0], now
def libraries():
    import numba, numpy
    from numba.core.registry import cpu_target
    cpu_target.target_context.refresh()
lap("import numba", libraries)
from bayesmix.kernels import passes, runs, step, terms
import bayesmix as bmx
for make in (passes.pass_callback, step.step_callback, runs.runs_callback):
    lap(make.__name__.removesuffix("_callback"), make)
for name in ("gaussian", "poisson", "binomial", "gamma", "negative_binomial", "student_t"):
    lap(name, lambda: terms.family_callback(bmx.family(name).kernel))
print(json.dumps(spent))
"""


def problem(name: str, data: pd.DataFrame) -> Problem:
    """A model of the data, arranged for passes."""
    response, family, options = MODELS[name]
    formula = f"{response} ~ {' + '.join(f'x{j}' for j in range(N_COLUMNS))}"
    return build_problem(bmx.Mixture(formula, data, family=family, k=N_COMPONENTS, **options).spec)


def frame(n: int) -> pd.DataFrame:
    """Responses of all kinds that depend on five covariates, in groups of twenty rows."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame({f"x{j}": rng.normal(size=n) for j in range(N_COLUMNS)})
    eta = 0.3 + 0.2 * data.x0
    data["y"] = eta + rng.normal(size=n)
    data["count"] = rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, n))
    data["trials"] = rng.integers(1, 6, n)
    data["hits"] = rng.binomial(data.trials, 1 / (1 + np.exp(-eta)))
    data["amount"] = rng.gamma(2.0, np.exp(eta) / 2)
    data["time"], data["event"] = rng.weibull(1.4, n) + 0.1, (rng.random(n) < 0.7).astype(int)
    data["unit"] = np.arange(n) // 20
    return data


def measure(action: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Median CPU and wall milliseconds of a call."""
    action()
    times = []
    for _ in range(repeats):
        cpu, wall = time.process_time(), time.perf_counter()
        action()
        times.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu, wall = np.median(times, axis=0) * 1e3
    return float(cpu), float(wall)


def peak_megabytes(action: Callable[[], Any]) -> float:
    """The most memory that a call holds beyond what was there."""
    tracemalloc.start()
    action()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def print_passes(n: int, repeats: int) -> None:
    exponents = np.random.default_rng(1).normal(size=(n, N_COMPONENTS))
    out = np.empty_like(exponents)
    unit, _ = measure(lambda: np.exp(exponents, out=out), repeats)
    print(f"np.exp over ({n}, {N_COMPONENTS}): {unit:.1f} CPU ms")
    print(f"{'model':<20}{'pass':<13}{'threads':>7}{'CPU ms':>9}{'wall ms':>9}", end="")
    print(f"{'x np.exp':>10}{'memory MB':>11}")
    data = frame(n)
    for name in MODELS:
        arranged = problem(name, data)
        theta = 0.1 * np.random.default_rng(2).normal(size=(1, arranged.spec.layout.size))
        for threads in (1, 2):
            engine = Engine(replace(arranged, n_threads=threads))
            passes = {
                "em": lambda e=engine, t=theta: e.sums(t),
                "information": lambda e=engine, t=theta: e.information(t),
                "gradient": lambda e=engine, t=theta: e.gradient(t[0]),
            }
            for kind, action in passes.items():
                cpu, wall = measure(action, repeats)
                print(f"{name:<20}{kind:<13}{threads:>7}{cpu:>9.1f}{wall:>9.1f}", end="")
                print(f"{cpu / unit:>10.1f}{peak_megabytes(action):>11.2f}")


def print_compilation() -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": folder}
        environment.pop("NUMBA_CACHE_DIR", None)
        command = [sys.executable, "-c", COMPILE]
        cold, warm = (
            json.loads(subprocess.run(command, env=environment, check=True, stdout=-1).stdout)
            for _ in range(2)
        )
    print("\nCPU seconds to have ready in a fresh process")
    print(f"{'':<14}{'cold':>7}{'warm':>8}")
    for name in cold:
        print(f"{name:<14}{cold[name]:>7.2f}{warm[name]:>8.3f}")
    print(f"{'total':<14}{sum(cold.values()):>7.2f}{sum(warm.values()):>8.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    print_passes(options.rows, options.repeats)
    print_compilation()


if __name__ == "__main__":
    main()
