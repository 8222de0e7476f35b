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
from typing import Any

import numpy as np
from scipy.special import expit, gammaln

from bayesmix.kernels import FAMILIES, em_pass, information_pass, logterms_pass

N_COMPONENTS, N_COLUMNS, TRIALS = 3, 6, 5
PASSES = {"em": em_pass, "information": information_pass, "logterms": logterms_pass}

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
def kernel(module, name, *arguments):
    from importlib import import_module
    getattr(import_module("bayesmix.kernels." + module), name)(*arguments)
from bayesmix.kernels import FAMILIES
lap("import numba", libraries)
lap("em", lambda: kernel("_passes", "em_callback"))
lap("information", lambda: kernel("_information", "information_callback"))
for family in FAMILIES.values():
    lap(family.name, lambda: kernel("_family_block", "family_callback", family))
print(json.dumps(spent))
"""


def problem(family: str, n: int) -> dict[str, Any]:
    """Data from the mixture itself, and its parameters."""
    rng = np.random.default_rng(0)
    X = np.asfortranarray(np.column_stack([np.ones(n), rng.normal(size=(n, N_COLUMNS - 1))]))
    coef = rng.normal(scale=0.3, size=(N_COMPONENTS, N_COLUMNS))
    weights = np.array([0.2, 0.3, 0.5])
    disp = np.array([0.5, 1.0, 2.0])
    component = rng.choice(N_COMPONENTS, p=weights, size=n)
    eta = np.einsum("ij,ij->i", X, coef[component])
    y = {
        "gaussian": lambda: eta + disp[component] * rng.normal(size=n),
        "poisson": lambda: rng.poisson(np.exp(eta)).astype(float),
        "binomial": lambda: rng.binomial(TRIALS, expit(eta)).astype(float),
    }[family]()
    data = {"X": X, "y": y, "coef": coef, "disp": disp, "logprior": np.log(weights)}
    if family == "poisson":
        data["const"] = -gammaln(y + 1)
    if family == "binomial":
        data["aux"] = np.full(n, float(TRIALS))
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
    print(
        f"{'family':<10}{'pass':<13}{'layout':<8}{'threads':>7}{'CPU ms':>9}{'wall ms':>9}", end=""
    )
    print(f"{'x np.exp':>10}{'memory MB':>11}")
    runs = [("em", "F", 1), ("em", "C", 1), ("em", "F", 2), ("information", "F", 1)]
    for family in FAMILIES:
        data = problem(family, n)
        layouts = {"F": data["X"], "C": np.ascontiguousarray(data["X"])}
        for name, layout, threads in [*runs, ("information", "F", 2), ("logterms", "F", 1)]:
            arguments = {**data, "X": layouts[layout], "n_threads": threads}
            action = lambda f=PASSES[name], a=arguments, family=family: f(family, **a)  # noqa: E731
            cpu, wall = measure(action, repeats)
            print(f"{family:<10}{name:<13}{layout:<8}{threads:>7}{cpu:>9.1f}{wall:>9.1f}", end="")
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
