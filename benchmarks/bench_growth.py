"""Growth mixtures: 1,000 subjects with 5 visits, random level and slope, three classes, 10 starts.

CPU seconds of one process with one BLAS thread, after a first small fit, for each kind of
covariance of the random effects; with --nuts those of NUTS, imports included, in a fresh one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import numpy as np
import pandas as pd
from bench_first_fit import machine

import bayesmix as bmx


def growth(subjects: int, visits: int, seed: int) -> pd.DataFrame:
    """Three classes of lines; each subject has an own level and slope."""
    rng = np.random.default_rng(seed)
    unit, at = np.repeat(np.arange(subjects), visits), np.tile(np.arange(float(visits)), subjects)
    lines = np.array([[3, 0.5], [6, -0.3], [4, 1.6]])[rng.choice(3, subjects, p=[0.5, 0.3, 0.2])]
    lines = lines + rng.multivariate_normal([0, 0], [[0.64, 0.08], [0.08, 0.1]], subjects)
    mean = lines[unit, 0] + lines[unit, 1] * at
    return pd.DataFrame({"id": unit, "time": at, "y": rng.normal(mean, 0.7)})


def nuts(data: pd.DataFrame) -> None:
    """Draw by NUTS's defaults, and print the process's CPU time so far."""
    post = bmx.Mixture("y ~ time + (1 + time | id)", data, k=3).fit("nuts", seed=1, progress=False)
    worth = post.summary().ess_bulk.min()
    print(f"NUTS: {time.process_time():.1f} CPU s in a fresh process, {worth:.0f} effective draws")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=1000)
    parser.add_argument("--visits", type=int, default=5)
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--nuts", action="store_true", help="draw from the posterior too")
    parser.add_argument("--only-nuts", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only_nuts:
        nuts(growth(options.subjects, options.visits, 0))
        return
    print(machine())
    formula = "y ~ time + (1 + time | id)"
    bmx.Mixture(formula, growth(50, 4, 1), k=2).fit("em", starts=2, seed=1)
    data = growth(options.subjects, options.visits, 0)
    for kind in ("fixed", "proportional", "varying"):
        spec = bmx.Mixture(formula, data, k=3, random_covariance=kind)
        begin = time.process_time()
        fit = spec.fit("em", starts=options.starts, seed=1)
        seconds = time.process_time() - begin
        print(
            f"{kind}: {seconds:.2f} CPU s, log-likelihood {fit.loglik:.4f} ({fit.status}), "
            f"{fit.starts.attrs['agreeing']} of {len(fit.starts)} starts there"
        )
    if options.nuts:
        subprocess.run([sys.executable, *sys.argv, "--only-nuts"], check=True)


if __name__ == "__main__":
    main()
