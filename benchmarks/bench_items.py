"""Latent class analysis beside StepMix: binary and three-level items, complete and with gaps.

CPU time of a fit with 20 starts, user and system time of all threads; the log-likelihood tells
whether both found the same maximum.  StepMix is asked for a tolerance of 1e-8.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

import bayesmix as bmx

ROWS, ITEMS, K, STARTS = 10_000, 10, 4, 20
MISSING = 0.1


def made(levels: int, missing: float, seed: int = 0) -> pd.DataFrame:
    """Answers of four classes."""
    rng = np.random.default_rng(seed)
    owner = rng.integers(0, K, ROWS)
    data = {}
    for j in range(ITEMS):
        total = rng.dirichlet([2.0] * levels, K)[owner].cumsum(1)
        data[f"item{j}"] = (total < rng.random((ROWS, 1))).sum(1).astype(float)
    frame = pd.DataFrame(data)
    return frame.mask(rng.random(frame.shape) < missing) if missing else frame


def ours(data: pd.DataFrame) -> float:
    """The log-likelihood that bayesmix reaches."""
    action = "fiml" if data.isna().any(axis=None) else "error"
    spec = bmx.Mixture(bmx.items(list(data)), data, k=K, na_action=action)
    return spec.fit("em", starts=STARTS, seed=1).loglik


def theirs(data: pd.DataFrame) -> float:
    """The log-likelihood that StepMix reaches."""
    from stepmix.stepmix import StepMix

    kind = "categorical_nan" if data.isna().any(axis=None) else "categorical"
    model = StepMix(
        n_components=K,
        measurement=kind,
        n_init=STARTS,
        random_state=1,
        rel_tol=1e-8,
        progress_bar=0,
        verbose=0,
    )
    return float(model.fit(data).score(data)) * len(data)


def timed(fit: Callable[[pd.DataFrame], float], data: pd.DataFrame) -> tuple[float, float]:
    """CPU seconds and the log-likelihood."""
    begin = time.process_time()
    loglik = fit(data)
    return time.process_time() - begin, loglik


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", action="store_true", help="run StepMix too (pip install stepmix)")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    ours(made(2, 0.0).head(200))  # imports, and kernels where they are kept
    for levels in (2, 3):
        for missing in (0.0, MISSING):
            data = made(levels, missing)
            fits = {"bayesmix": ours} | ({"StepMix": theirs} if options.peer else {})
            for name, fit in fits.items():
                seconds, loglik = timed(fit, data)
                shown = f"{levels} levels, {missing:.0%} missing"
                print(f"{shown:<22} {name:<9} {seconds:7.2f} CPU s  {loglik:14.4f}", flush=True)


if __name__ == "__main__":
    main()
