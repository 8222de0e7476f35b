"""Large data through the public interface: K = 3, five covariates, from a given start.

A pass is one EM iteration of `fit("em", init=, max_iter=)`: what 12 more of them cost (3 more with
groups), so that neither the specification nor the end of the fit counts.  Each case has a process
of its own, held to one processor (the kernels then use one thread) or left with all.  CPU time is
of all threads; medians of several fits.  On shared processors read ratios, not milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from bench_first_fit import machine

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

FAMILIES = ("gaussian", "poisson", "binomial")
K, N_COVARIATES, TRIALS = 3, 5, 5
# EM stops early where it stands still, which it soon does with groups of 20 rows.
PASSES, PASSES_GROUPED = (4, 16), (1, 4)
MEGABYTE = 1e6


# --- one case, in a child process -----------------------------------------------------------


def memory(field: str) -> float:
    """Resident megabytes: VmRSS now, VmHWM at most; NaN where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return np.nan
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return int(lines[field].split()[0]) * 1024 / MEGABYTE


def reset_peak() -> None:
    """VmHWM begins again at VmRSS."""
    if (file := Path("/proc/self/clear_refs")).exists():
        file.write_text("5")


def sample(family: str, n: int, groups: int) -> tuple[pd.DataFrame, xr.Dataset]:
    """Data from a mixture itself, and a start at some distance from its parameters."""
    import pandas as pd
    import xarray as xr

    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(n), rng.normal(size=(n, N_COVARIATES))])
    coef = rng.normal(scale=0.3, size=(K, N_COVARIATES + 1))
    unit = rng.integers(groups, size=n) if groups else np.arange(n)
    component = rng.choice(K, p=[0.2, 0.3, 0.5], size=n)[unit]
    eta = np.einsum("ij,ij->i", X, coef[component])
    columns = {f"x{j}": X[:, j] for j in range(1, N_COVARIATES + 1)}
    if family == "gaussian":
        columns["y"] = eta + np.array([0.5, 1.0, 2.0])[component] * rng.normal(size=n)
    elif family == "poisson":
        columns["y"] = rng.poisson(np.exp(eta))
    else:
        columns["y"] = rng.binomial(TRIALS, 1 / (1 + np.exp(-eta)))
    if groups:
        columns["g"] = unit
    away = coef + np.random.default_rng(3).normal(scale=0.3, size=coef.shape)
    variables = {"coef": (("component", "term"), away), "weight": ("component", [1 / K] * K)}
    if family == "gaussian":
        variables["sigma"] = ("component", [1.0] * K)
    terms = ["Intercept", *(f"x{j}" for j in range(1, N_COVARIATES + 1))]
    return pd.DataFrame(columns), xr.Dataset(
        variables, {"component": range(1, K + 1), "term": terms}
    )


def measure(family: str, n: int, groups: int, repeats: int) -> dict[str, float]:
    """Milliseconds of a pass and of the exponentials, and megabytes."""
    import bayesmix as bmx

    warnings.simplefilter("ignore")
    data, init = sample(family, n, groups)
    response = f"p(y, {TRIALS})" if family == "binomial" else "y"
    formula = f"{response} ~ {' + '.join(init['term'].values[1:])}"
    spec = bmx.Mixture(formula, data, family, K, group="g" if groups else None)
    few, many = PASSES_GROUPED if groups else PASSES

    def fit(max_iter: int) -> Any:
        result = spec.fit("em", init=init, max_iter=max_iter)
        if result.iterations != max_iter:
            sys.exit(f"{family}: {result.iterations} iterations, not {max_iter}; EM stood still")
        return result

    before = memory("VmRSS")
    reset_peak()
    fit(few).summary()  # loads numba and the kernels too
    beyond = memory("VmHWM") - before
    exponents = np.random.default_rng(1).normal(size=(n, K))
    actions = (
        partial(np.exp, exponents, out=np.empty_like(exponents)),
        partial(fit, few),
        partial(fit, many),
    )
    actions[0]()
    times = []
    for _ in range(repeats):
        clocks = [clock()]
        for action in actions:
            action()
            clocks.append(clock())
        unit, less, more = np.diff(clocks, axis=0) * 1e3
        times.append([*((more - less) / (many - few)), unit[0]])
    cpu, wall, unit = np.median(times, axis=0)
    return {"cpu": cpu, "wall": wall, "unit": unit, "beyond": beyond}


def clock() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


# --- all cases ------------------------------------------------------------------------------


def case(family: str, n: int, groups: int, threads: int, repeats: int) -> dict[str, float]:
    """Measure in a fresh process."""
    command = [sys.executable, __file__, "--case", family, str(n), str(groups), str(threads)]
    command += ["--repeats", str(repeats)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def hold_to_one_processor(threads: int) -> None:
    """One thread: the kernels count the processors that a process may use."""
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def print_cases(rows: list[int], groups: int, repeats: int) -> None:
    largest = rows[-1]
    everything = [(n, 0, 1) for n in rows] + [(largest, 0, 0), (largest, groups, 1)]
    heads = ("rows", "groups", "processors", "CPU ms", "wall ms", "ns/row", "x np.exp", "MB beyond")
    print(f"\n{'one EM pass':<10}" + "".join(f"{head:>11}" for head in heads))
    for family in FAMILIES:
        for n, units, threads in everything:
            got = case(family, n, units, threads, repeats)
            numbers = (got["cpu"], got["wall"], 1e6 * got["cpu"] / n, got["cpu"] / got["unit"])
            print(f"{family:<11}{n:>11}{units or '-':>11}{threads or 'all':>11}", end="")
            print("".join(f"{x:>11.1f}" for x in numbers) + f"{got['beyond']:>11.0f}", flush=True)
    print(f"(x np.exp: CPU time over that of np.exp for rows x {K} numbers in the same process;")
    print(" MB beyond: the most memory that the first fit and its summary hold, numba and kernels")
    print(f" included, beyond data frame and specification. Binomial with {TRIALS} trials.)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--groups", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--case", nargs=4, help="be the process that is measured")
    options = parser.parse_args()
    if options.case:
        family, (n, groups, threads) = options.case[0], map(int, options.case[1:])
        hold_to_one_processor(threads)
        print(json.dumps(measure(family, n, groups, options.repeats)))
        return
    print(machine())
    print_cases(options.rows, options.groups, options.repeats)


if __name__ == "__main__":
    main()
