"""Competing events: point fits beside flexsurv's reported times, and many rows.

From the data frame to the summary with its standard errors, data loaded, one start, as flexsurv has
one; CPU time.  flexsurv is not run here: `SAMPLE` quotes a sample of its times (one run each, on a
shared machine with an AMD EPYC, R 4.2.2, flexsurv 2.3.2, flexsurvmix with default settings, at most
45 s), which has no standard errors of the mixture in it.  So ratios are of two machines.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from bench_first_fit import machine

import bayesmix as bmx

HERE = Path(__file__).resolve().parent
NEAR = 0.01


class Sample(NamedTuple):
    """User CPU seconds and log-likelihood of flexsurvmix by a method; None: stopped at 45 s."""

    direct_s: float
    direct: float
    em_s: float
    em: float | None


SAMPLE = {
    "mgus2_exp_exp": Sample(2.026, -3667.09554399097, 19.845, None),
    "mgus2_weibull_gompertz": Sample(12.072, -3667.03348576987, 6.729, -3666.95129553935),
    "jasa_exp_mscore": Sample(11.982, -69.1158262564527, 27.843, None),
    "pbc_weibull_weibull": Sample(10.495, -712.970428387712, 25.628, -712.109534496202),
    "simk3_gwl": Sample(14.984, -1368.61265354849, 18.552, -1368.61162880708),
    "simhosp_schemes": Sample(3.124, -1692.61205221039, 5.36, -1692.61184731935),
}


# --- the fits of the sample ----------------------------------------------------------------


def recipes() -> dict[str, Callable[[], Any]]:
    """The models of the tests, each as a call that makes it: the data are loaded already."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    from survival_models import REFERENCE, arguments

    assert set(SAMPLE) <= set(REFERENCE)
    made = {}
    for name in SAMPLE:
        positional, named = arguments(name)
        made[name] = partial(bmx.CompetingRisks, *positional, **named)
    return made


def timed(make: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds from the data frame to the summary, and the fit."""
    begin = time.process_time()
    fit = make().fit("em", starts=1, seed=1)
    fit.summary()
    return time.process_time() - begin, fit


def print_fits(repeats: int) -> None:
    """Our times beside the sample's; its direct method counts where it got to the maximum."""
    made = recipes()
    timed(made["jasa_exp_mscore"])  # imports
    rows = []
    for name, make in made.items():
        first, fit = timed(make)
        ours = float(np.median([timed(make)[0] for _ in range(repeats)]))
        rows.append((name, 1e3 * first, 1e3 * ours, fit))
    head = f"{'model':<24}{'log-lik.':>12}{'first ms':>10}{'later ms':>10}"
    print(f"{head}{'direct ms':>11}{'ratio':>7}{'EM ms':>9}{'ratio':>7}")
    lost = []
    for name, first, ours, fit in rows:
        theirs = SAMPLE[name]
        line = f"{name:<24}{fit.loglik:>12.3f}{first:>10.1f}{ours:>10.1f}"
        if fit.loglik - theirs.direct < NEAR:
            line += f"{1e3 * theirs.direct_s:>11.0f}{1e3 * theirs.direct_s / ours:>7.0f}"
        else:
            line += f"{'-':>11}{'-':>7}"
            lost.append((name, theirs.direct_s, fit.loglik - theirs.direct))
        if theirs.em is not None and fit.loglik - theirs.em < NEAR:
            line += f"{1e3 * theirs.em_s:>9.0f}{1e3 * theirs.em_s / ours:>7.0f}"
        else:
            line += f"{'-':>9}{'-':>7}"
        print(line)
    print("\nflexsurv's direct method ended below the maximum, after so many seconds:")
    for name, seconds, gap in lost:
        print(f"{name:<24}{seconds:>7.1f} s, log-likelihood lower by {gap:.3f}")


# --- many rows -----------------------------------------------------------------------------


def simulated(n: int) -> pd.DataFrame:
    """Two events, covariates on both and on their probabilities, right-censoring."""
    rng = np.random.default_rng(1)
    x, z = rng.normal(size=(2, n))
    first = rng.random(n) < 1 / (1 + np.exp(-(0.3 + 0.5 * z)))
    time_a = np.exp(1.0 + 0.3 * x) * rng.weibull(1.4, n)
    time_b = np.exp(0.5 - 0.2 * x) * rng.weibull(0.9, n)
    t, censored = np.where(first, time_a, time_b), rng.exponential(6.0, n)
    seen = t <= censored
    event = np.where(seen, np.where(first, "a", "b"), None)
    return pd.DataFrame(
        {
            "time": np.minimum(t, censored),
            "status": seen.astype(int),
            "event": pd.Categorical(event, categories=["a", "b"]),
            "x": x,
            "z": z,
        }
    )


def large(n: int, families: tuple[str, str]) -> Any:
    """A fit to n simulated rows, as a call."""
    family = dict(zip("ab", families, strict=True))
    return partial(
        bmx.CompetingRisks,
        "surv(time, status) ~ x",
        simulated(n),
        "event",
        family,
        concomitant="~ z",
    )


def peak() -> float:
    """Largest memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_large(n: int, families: tuple[str, str]) -> None:
    """Print CPU seconds, passes and memory of one fit (in a process of its own)."""
    timed(large(500, families))  # imports
    make = large(n, families)
    before = peak()
    seconds, fit = timed(make)
    print(
        f"{' + '.join(families):<22}{n:>9}{seconds:>8.2f}{1e6 * seconds / n:>10.2f}"
        f"{fit.iterations:>8}{peak() - before:>8.0f}  {fit.status}",
        flush=True,
    )


def print_large(sizes: list[int]) -> None:
    """Every size in a fresh process, so that memory is its own."""
    print(
        f"\n{'two events, covariates':<22}{'rows':>9}{'CPU s':>8}{'us a row':>10}{'passes':>8}"
        f"{'MB more':>8}",
        flush=True,
    )
    for families in ("weibull,weibull", "weibull,gompertz", "lognormal,loglogistic"):
        for n in sizes:
            command = [sys.executable, __file__, "--one", str(n), families]
            subprocess.run(command, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        first, second = options.one[1].split(",")
        measure_large(int(options.one[0]), (first, second))
        return
    print(machine(), end="\n\n")
    print_fits(options.repeats)
    print_large(options.rows)


if __name__ == "__main__":
    main()
