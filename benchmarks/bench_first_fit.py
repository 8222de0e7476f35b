"""What a user waits for in a fresh process: the import, the first fit, and the compiler.

Whole processes are measured, from their start to their end, on an otherwise unchanged environment;
CPU time is user and system time of all their threads.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np

NOTHING = "pass"
IMPORT = "import bayesmix"
# The example of the README, from the data frame to the standard errors.
SMALL = """
import bayesmix as bmx
patent = bmx.load_data("patent")
spec = bmx.Mixture("Patents ~ lgRD", patent, family="poisson", k=3, concomitant="~ RDS")
fit = spec.fit("em", seed=1)
fit.summary()
assert round(fit.loglik, 3) == -197.675, fit.loglik
"""
LARGE = """
import numpy as np, pandas as pd
import bayesmix as bmx
rng = np.random.default_rng(1)
x = rng.normal(size=200_000)
y = np.where(rng.random(x.size) < 0.4, 1 + x, 4 - x) + rng.normal(size=x.size)
fit = bmx.Mixture("y ~ x", pd.DataFrame({"x": x, "y": y}), k=2).fit("em", seed=1)
fit.summary()
assert fit.converged
"""
HEAVY = ("pymc", "arviz", "formulae", "numba", "matplotlib")
LOADED = f"""
import sys
import bayesmix
print(*[name for name in {HEAVY!r} if name in sys.modules])
"""


def machine() -> str:
    """The processor, its cores and the versions of what matters for speed."""
    model = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        named = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = named[0].partition(":")[2].strip() if named else model
    parts = [f"{name} {version(name)}" for name in ("numpy", "scipy", "pandas", "numba")]
    return (
        f"{time.strftime('%Y-%m-%d')}, {model}, {os.cpu_count()} cores, {platform.system()}\n"
        f"Python {platform.python_version()}, {', '.join(parts)}"
    )


def run(code: str, environment: Mapping[str, str]) -> tuple[float, float]:
    """Wall and CPU seconds of a fresh Python process."""
    wall, cpu = time.perf_counter(), _children()
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=environment, check=True)
    return time.perf_counter() - wall, _children() - cpu


def _children() -> float:
    """CPU seconds of all child processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def line(name: str, times: list[tuple[float, float]]) -> None:
    wall, cpu = np.median(times, axis=0)
    print(f"{name:<58}{wall:>8.2f}{cpu:>8.2f}")


def print_warm(repeats: int) -> None:
    """Processes as a user starts them, by turns."""
    codes = {
        "python alone": NOTHING,
        "import bayesmix": IMPORT,
        "the first small fit with its imports, to summary()": SMALL,
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in codes}
    for _ in range(repeats):
        for name, code in codes.items():
            taken[name].append(run(code, os.environ))
    print(f"{f'medians of {repeats} fresh processes':<58}{'wall s':>8}{'CPU s':>8}")
    for name, times in taken.items():
        line(name, times)
    command = [sys.executable, "-c", LOADED]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    print(f"of {', '.join(HEAVY)}, `import bayesmix` loads: {loaded or 'none'}")


def print_compiling() -> None:
    """The first process with an empty cache of kernels beside the second."""
    cases = {
        "small fit": (SMALL, {}),
        "small fit, BAYESMIX_COMPILE=1": (SMALL, {"BAYESMIX_COMPILE": "1"}),
        "large fit (200,000 rows, 10 starts)": (LARGE, {}),
    }
    print(
        f"\n{'one process each; the cache folder is empty at first':<58}{'wall s':>8}{'CPU s':>8}"
    )
    for name, (code, settings) in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "XDG_CACHE_HOME": folder, **settings}
            environment.pop("NUMBA_CACHE_DIR", None)  # it would take precedence
            line(f"{name}: first process", [run(code, environment)])
            line(f"{name}: second process", [run(code, environment)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-compiling", action="store_true", help="leave the empty cache out")
    options = parser.parse_args()
    print(machine())
    print_warm(options.repeats)
    if not options.no_compiling:
        print_compiling()


if __name__ == "__main__":
    main()
