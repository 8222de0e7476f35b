"""Simulation-based calibration: the ranks of true parameters among draws of their posterior.

    python -m benchmarks.trust.sbc                        all kinds of models, 200 data sets each
    python -m benchmarks.trust.sbc --sets 50 --only cure  some
    python -m benchmarks.trust.sbc --planted              with bugs planted, which must be seen

Ranks that are in the folder benchmarks/trust/results are kept, and more are added to them.

If parameters are drawn from the prior and data from the parameters, the parameters are one more
draw from the posterior, and their rank among the posterior's draws is uniform (Talts, Betancourt,
Simpson, Vehtari and Gelman 2018, arXiv:1804.06788).  The log-likelihood is ranked as well: it
sees errors that single parameters do not (Modrák and others 2023, doi:10.1214/23-BA1404).
"""

from __future__ import annotations

import argparse
import json
import re
import time
import warnings
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import bayesmix as bmx
from benchmarks.trust.models import CASES, Case, data_set
from benchmarks.trust.ranks import p_value, rank

__all__ = ["PLANTED", "quantities", "ranks_of", "read", "run", "table"]

RESULTS = Path(__file__).parent / "results"
KEPT = 150
ROUND = 50
FIT = {"draws": 600, "tune": 500, "chains": 2, "progress": False}


def read_twice(case: Case) -> Case:
    """Every row is read twice: posteriors are too narrow by a factor of 1.4."""

    def seen(rows: Any, drawn: Any, rng: np.random.Generator) -> pd.DataFrame:
        return pd.concat([case.seen(rows, drawn, rng)] * 2, ignore_index=True)

    return replace(case, name=f"{case.name}: rows read twice", seen=seen)


def censored_left_out(case: Case) -> Case:
    """Times without an event are left out: the rest is not what the model says."""

    def seen(rows: Any, drawn: Any, rng: np.random.Generator) -> pd.DataFrame:
        return case.seen(rows, drawn, rng).query("status == 1")

    return replace(case, name=f"{case.name}: censored left out", seen=seen)


PLANTED = {
    case.name: case
    for case in (
        read_twice(CASES["gaussian"]),
        censored_left_out(CASES["competing events, censored"]),
    )
}


def quantities(case: Case, params: xr.Dataset) -> dict[str, np.ndarray]:
    """What is ranked, by name: parameters (...,), exchangeable components put in order.

    Parameters
    ----------
    case : Case
    params : Dataset
        Like `fit.params`, or with dimensions chain and draw before.
    """
    lead = [d for d in ("chain", "draw") if d in params.dims]
    parts = re.compile("_(varying|ancillary|centred)$")
    whole = [n for n, v in params.data_vars.items() if "component" in v.dims]
    params = params[[n for n in whole if not parts.search(n)]].transpose(*lead, ..., "component")
    order = np.arange(params.sizes["component"])
    if case.exchangeable:
        mine = list(case.exchangeable)
        by = params[case.by].sel(term="Intercept").to_numpy()
        order = np.broadcast_to(order, by.shape).copy()
        order[..., mine] = np.take(mine, np.argsort(by[..., mine], -1))
    out = {}
    for name, values in params.data_vars.items():
        (dim,) = [d for d in values.dims if d not in (*lead, "component")] or [None]
        for term in [None] if dim is None else values[dim].to_numpy():
            at = values if term is None else values.sel({dim: term})
            ordered = np.take_along_axis(at.to_numpy(), np.broadcast_to(order, at.shape), -1)
            if dim == "concomitant_term":  # logits are against the component that is now the first
                ordered = ordered - ordered[..., :1]
            for s, component in enumerate(params["component"].to_numpy()):
                where = f"{component}" if term is None else f"{component}, {term}"
                out[f"{name}[{where}]"] = ordered[..., s]
    return out


def ranks_of(case: Case, number: int) -> dict[str, int] | None:
    """Ranks of one data set, by quantity; None if its data cannot be used.

    What is the same in all draws, as the logits of the first component, has no rank, and a
    parameter that components share has one.
    """
    rng = np.random.default_rng([zlib.crc32(case.name.encode()), number])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            spec, truth = data_set(case, rng)
        except bmx.BayesmixError:
            return None
        post = spec.fit("nuts", seed=number, **FIT)
        draws = quantities(case, post.data["posterior"].to_dataset())
        true = quantities(case, truth)
        (loglik,) = post.data["log_likelihood"].data_vars.values()
        draws["log-likelihood"] = loglik.sum("unit").to_numpy()
        true["log-likelihood"] = np.array(spec.log_likelihood(truth))
    kept: dict[str, np.ndarray] = {}
    for name, values in draws.items():
        thinned = _thinned(values)
        if np.ptp(thinned) > 0 and not any(np.array_equal(thinned, v) for v in kept.values()):
            kept[name] = thinned
    return {name: rank(float(true[name]), values, rng) for name, values in kept.items()}


def _thinned(values: np.ndarray) -> np.ndarray:
    """`KEPT` draws (KEPT,) of all chains (chain, draw), evenly spaced."""
    return values.ravel()[np.linspace(0, values.size, KEPT, endpoint=False).astype(int)]


def run(case: Case, sets: int, jobs: int = 1, before: dict[str, Any] | None = None) -> dict:
    """Ranks of many data sets, and how long they took.

    Parameters
    ----------
    case : Case
    sets : int
        Data sets drawn in all, those that cannot be used among them.
    jobs : int
        Processes.
    before : dict, optional
        What this gave for fewer data sets, to go on from.
    """
    begin = time.perf_counter()
    done = before or {"case": case.name, "sets": 0, "refused": 0, "seconds": 0.0, "ranks": {}}
    numbers = range(done["sets"] + done["refused"], sets)
    found = _each(case, numbers, jobs)
    used = [ranks for ranks in found if ranks is not None]
    names = list(done["ranks"] or used[0])
    return {
        "case": case.name,
        "sets": done["sets"] + len(used),
        "refused": done["refused"] + len(found) - len(used),
        "draws": KEPT,
        "seconds": round(done["seconds"] + time.perf_counter() - begin, 1),
        "ranks": {n: done["ranks"].get(n, []) + [ranks[n] for ranks in used] for n in names},
    }


def _each(case: Case, numbers: range, jobs: int) -> list[dict[str, int] | None]:
    if jobs == 1:
        return [ranks_of(case, number) for number in numbers]
    from joblib import Parallel, delayed

    return list(Parallel(jobs)(delayed(ranks_of)(case, number) for number in numbers))


def table(results: list[dict[str, Any]]) -> pd.DataFrame:
    """For each kind of model the quantities, and how uneven their ranks are.

    The smallest p-value is multiplied by the number of quantities (Bonferroni).
    """
    rows = []
    for found in results:
        p = [p_value(np.array(ranks), found["draws"]) for ranks in found["ranks"].values()]
        rows.append(
            {
                "model": found["case"],
                "data sets": found["sets"],
                "refused": found["refused"],
                "quantities": len(p),
                "outside 95 %": sum(value < 0.05 for value in p),
                "least p, adjusted": round(min(1.0, min(p) * len(p)), 3),
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--only", nargs="*", help="kinds of models, by a part of their name")
    parser.add_argument("--planted", action="store_true")
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    chosen = {
        name: case
        for name, case in (PLANTED if options.planted else CASES).items()
        if not options.only or any(part in name for part in options.only)
    }
    for sets in [*range(ROUND, options.sets, ROUND), options.sets]:
        for case in chosen.values():
            before = read(case, options.out)
            if before is None or before["sets"] + before["refused"] < sets:
                write(run(case, sets, options.jobs, before), options.out)
    results = [read(case, options.out) for case in chosen.values()]
    print(table([found for found in results if found is not None]).to_string(index=False))


def _path(name: str, folder: Path) -> Path:
    return folder / f"sbc-{re.sub('[^a-z]+', '-', name)}.json"


def read(case: Case, folder: Path = RESULTS) -> dict[str, Any] | None:
    """The ranks of a kind of model in a folder, if they are there."""
    path = _path(case.name, folder)
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def write(found: dict[str, Any], folder: Path = RESULTS) -> None:
    """Keep ranks for `read`."""
    _path(found["case"], folder).write_text(json.dumps(found) + "\n", "utf-8")


if __name__ == "__main__":
    main()
