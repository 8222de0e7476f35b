"""How often 95 percent intervals hold the truth: of maximum likelihood, bootstrap and posterior.

    python -m benchmarks.trust.coverage     100 data sets each of three kinds of models
    python -m benchmarks.trust.coverage --sets 20 --only gaussian

Parameters are fixed, with components well apart; data are drawn from them again and again.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks.trust.models import CASES, Case, covariates
from benchmarks.trust.sbc import RESULTS

__all__ = ["TRUTHS", "covered", "read_coverage", "run", "table"]

ROWS = 200
INTERVALS = ("maximum likelihood", "bootstrap", "posterior")
TRUTHS: dict[str, dict[str, Any]] = {
    "gaussian": {"coef": [[0.0, -1.0], [3.0, 1.0]], "sigma": [1.0, 1.0], "weight": [0.6, 0.4]},
    "poisson with concomitants": {
        "coef": [[0.3, 0.3], [2.3, -0.3]],
        "alpha": [[0.0, 0.0], [-0.4, 0.7]],
    },
    "competing events, censored": {
        "scale": [[0.3, 0.4], [0.0, 0.0]],
        "shape": [[0.4, 0.0], [0.0, 0.0]],
        "meanlog": [[0.0, 0.0], [0.8, -0.3]],
        "sdlog": [[0.0, 0.0], [-0.3, 0.0]],
        "weight": [0.55, 0.45],
    },
}


def covered(case: Case, number: int) -> dict[str, pd.Series] | None:
    """Whether each interval of a data set holds the truth, by the rows of the summary.

    Returns
    -------
    dict of str to Series of bool, by kind of interval; None if the fit does not converge.
    """
    rng = np.random.default_rng([2, number])
    rows = covariates(ROWS, rng)
    before = case.model(rows.assign(**_longer(case.unseen)))
    truth = _params(before, TRUTHS[case.name])
    spec = case.model(case.seen(rows, before.simulate(truth, rows, seed=rng), rng))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        at = spec.fit("em", init=truth, max_iter=0).summary()
        fit = spec.fit("em", seed=number)
        if not fit.converged:
            return None
        found = (
            fit.summary(),
            fit.bootstrap(n=199, kind="case", seed=number, progress=False).summary(),
            spec.fit("nuts", draws=600, tune=500, chains=2, seed=number, progress=False).summary(),
        )
    keys = ["component", "term", "effect"]
    true = at.set_index(keys)["estimate"]
    out = {}
    for kind, table in zip(INTERVALS, found, strict=True):
        limits = table.set_index(keys).loc[true.index, ["lower", "upper"]].astype(float)
        out[kind] = (limits["lower"] <= true) & (true <= limits["upper"])
    return out


def _longer(columns: Any) -> dict[str, Any]:
    """Columns of a model's placeholder responses, for more rows."""
    out = {}
    for name, values in columns.items():
        listed = [values] if np.ndim(values) == 0 else list(values)
        out[name] = [listed[i % len(listed)] for i in range(ROWS)]
    return out


def _params(spec: Any, values: dict[str, Any]) -> xr.Dataset:
    """The parameters of a model, with the values of a truth."""
    drawn = spec.sample_prior(draws=1, seed=1)["prior"].to_dataset().isel(chain=0, draw=0)
    whole = drawn[list(values)].copy(deep=True)
    for name, given in values.items():
        held = np.asarray(given, float)
        whole[name].values[:] = held[:, : whole[name].shape[1]] if held.ndim == 2 else held
    return whole


def run(name: str, sets: int, jobs: int = 1) -> dict[str, Any]:
    """Shares of intervals that hold the truth, by effect and kind of interval."""
    begin, case = time.perf_counter(), replace(CASES[name], rows=ROWS)
    if jobs == 1:
        found = [covered(case, number) for number in range(sets)]
    else:
        from joblib import Parallel, delayed

        found = list(Parallel(jobs)(delayed(covered)(case, number) for number in range(sets)))
    used = [one for one in found if one is not None]
    shares = {
        kind: pd.concat([one[kind].groupby("effect").mean() for one in used], axis=1).mean(axis=1)
        for kind in INTERVALS
    }
    return {
        "case": name,
        "sets": len(used),
        "not converged": sets - len(used),
        "seconds": round(time.perf_counter() - begin, 1),
        "covered": {kind: share.round(4).to_dict() for kind, share in shares.items()},
    }


def table(results: list[dict[str, Any]]) -> pd.DataFrame:
    """For each kind of model and effect the share of 95 percent intervals with the truth."""
    rows = []
    for found in results:
        for effect in found["covered"][INTERVALS[0]]:
            shares = {kind: found["covered"][kind][effect] for kind in INTERVALS}
            rows.append(
                {"model": found["case"], "data sets": found["sets"], "effect": effect, **shares}
            )
    return pd.DataFrame(rows)


def read_coverage(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """What was run, in the order of `TRUTHS`."""
    path = folder / "coverage.json"
    kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return [kept[name] for name in TRUTHS if name in kept]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--only", nargs="*", help="kinds of models, by a part of their name")
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    chosen = [n for n in TRUTHS if not options.only or any(part in n for part in options.only)]
    kept = {found["case"]: found for found in read_coverage(options.out)}
    for name in chosen:
        kept[name] = run(name, options.sets, options.jobs)
        (options.out / "coverage.json").write_text(json.dumps(kept) + "\n", "utf-8")
    print(table(read_coverage(options.out)).to_string(index=False))


if __name__ == "__main__":
    main()
