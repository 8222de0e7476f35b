"""All 23 models of flexmix's vignette "regression-examples", flexmix beside bayesmix in one run.

Each model counts once.  bayesmix goes from formula and data frame to the summary with its standard
errors; flexmix fits and gives no standard errors (flexmix_vignette.R).  Both have their data
loaded, the same number of random starts, and an earlier fit to begin at where the vignette has one.
Both are warm: a first pass over all models is not counted.  They take turns, seed by seed, so that
a busy machine slows both.  CPU time: user and system for bayesmix, user alone for flexmix.  R's
garbage is collected before each of its fits, outside the time; Python's whenever it is due.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from bench_first_fit import machine

HERE = Path(__file__).resolve().parent
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "BAYESMIX_COMPILE": "1"}
# Models that the vignette starts from an earlier fit, and how that orders its components.
EARLIER: dict[str, tuple[str, str | None]] = {
    "nregfix_nested": ("nregfix_varying", "x1"),
    "fabricfault_nested_k2": ("fabricfault_fix_k2", "Intercept"),
    "patent_fixed_k3": ("patent_varying_k3", None),
    "seizure_2": ("seizure_1", None),
    "seizure_3": ("seizure_1", None),
}
NO_FLEXMIX = """\
flexmix is not measured: {reason}.
On Debian and Ubuntu `apt-get install r-cran-flexmix` installs R and flexmix; elsewhere install R
and run install.packages("flexmix") in it. Rscript must be on PATH."""


# --- bayesmix, in a child process -----------------------------------------------------------


def recipes() -> dict[str, partial[Any]]:
    """The models of the tests, each as a call that makes it: the data are loaded already."""
    import bayesmix as bmx

    sys.path.insert(0, str(HERE.parent / "tests"))
    from vignette_models import flexmix_models

    def recorded(*arguments: Any, **options: Any) -> partial[Any]:
        return partial(bmx.Mixture, *arguments, **options)

    return flexmix_models(SimpleNamespace(load_data=bmx.load_data, Mixture=recorded))


def earlier_membership(make: partial[Any], by: str | None) -> Any:
    """Memberships in the best of ten starts, as in flexmix_vignette.R."""
    fit = make().fit("em", starts=10, seed=1)
    return (fit if by is None else fit.relabel(by=by)).membership().to_numpy()


def serve() -> None:
    """Answer requests "starts seed" on stdin as flexmix_vignette.R does."""
    import numba

    import bayesmix

    warnings.simplefilter("ignore")
    print("bayesmix", bayesmix.__version__, "numpy", np.__version__, "numba", numba.__version__)
    models = recipes()
    init = {name: earlier_membership(models[a], by) for name, (a, by) in EARLIER.items()}
    for line in sys.stdin:
        starts, seed = (int(word) for word in line.split())
        for name, make in models.items():
            how = {"init": init[name]} if name in init else {"starts": starts, "seed": seed}
            before = time.process_time()
            fit = make().fit("em", **how)
            fit.summary()
            print(name, time.process_time() - before, fit.loglik, sep="\t")
        print("end", flush=True)


# --- both, by questions and answers ---------------------------------------------------------


class Missing(Exception):
    """A program that cannot be measured, and why."""


class Worker:
    """A child process that fits all models whenever it is asked to."""

    def __init__(self, command: list[str]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=ENVIRONMENT
        )
        self.versions = self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            said = " ".join(self._process.communicate()[1].split())
            raise Missing(f"{self._process.args[0]} stopped: {said[-300:] or 'no message'}")
        return line.strip()

    def ask(self, starts: int, seed: int) -> dict[str, tuple[float, float]]:
        """CPU seconds and log-likelihood of every model."""
        assert self._process.stdin is not None
        print(starts, seed, file=self._process.stdin, flush=True)
        lines = (line.split("\t") for line in iter(self._line, "end"))
        return {name: (_number(cpu), _number(loglik)) for name, cpu, loglik in lines}

    def close(self) -> None:
        self._process.communicate()


def _number(text: str) -> float:
    return np.nan if text == "NA" else float(text)


def flexmix_worker() -> Worker:
    rscript = shutil.which("Rscript")
    if rscript is None:
        raise Missing("there is no Rscript on PATH")
    return Worker([rscript, str(HERE / "flexmix_vignette.R")])


@dataclass(frozen=True)
class Measured:
    """Medians over the repeats, by model: CPU seconds and log-likelihoods.  `stopped`: errors."""

    seconds: np.ndarray
    loglik: np.ndarray
    stopped: np.ndarray

    @classmethod
    def of(cls, answers: list[list[tuple[float, float]]]) -> Measured:
        values = np.ma.masked_invalid(np.array(answers))
        seconds, loglik = np.ma.median(values, axis=0).filled(np.nan).T
        return cls(seconds, loglik, values.mask[..., 0].sum(0) * np.ones(len(seconds), int))


def measure(workers: list[Worker], starts: int, repeats: int) -> tuple[list[str], list[Measured]]:
    """The workers by turns, with another seed in every repeat."""
    names: list[str] = []
    answers: list[list[list[tuple[float, float]]]] = [[] for _ in workers]
    for repeat in range(repeats):
        for worker, taken in zip(workers, answers, strict=True):
            answer = worker.ask(starts, 100 + repeat)
            names = names or list(answer)
            taken.append([answer[name] for name in names])
    return names, [Measured.of(taken) for taken in answers]


# --- tables ---------------------------------------------------------------------------------


def rows(names: list[str], results: list[Measured]) -> Iterator[str]:
    """A heading, one line per model, and the total; without flexmix two columns of numbers."""
    heads = ["bayesmix ms", "flexmix ms", "ratio", "loglik", "flexmix's"]
    heads = heads if len(results) == 2 else [heads[0], heads[3]]
    yield f"{'model':<25}" + "".join(f"{head:>13}" for head in heads)
    for at, name in enumerate(names):
        logliks = "".join(f"{r.loglik[at]:>13.4f}" for r in results)
        label = name + "*" * (name in EARLIER)
        yield f"{label:<25}{_times([r.seconds[at] for r in results])}{logliks}"
    yield f"{'total':<25}{_times([np.nansum(r.seconds) for r in results])}"


def _times(seconds: list[float]) -> str:
    text = "".join(f"{1e3 * s:>13.2f}" for s in seconds)
    return text if len(seconds) == 1 else f"{text}{seconds[1] / seconds[0]:>13.1f}"


def report(names: list[str], results: list[Measured], starts: int, repeats: int) -> None:
    print(f"\n{starts} starts, medians of {repeats} seeds (* one run from an earlier fit)")
    print("\n".join(rows(names, results)))
    if len(results) == 1:
        return
    ours, theirs = results
    each = theirs.seconds / ours.seconds
    print(
        f"flexmix takes {np.nansum(theirs.seconds) / ours.seconds.sum():.1f} times the CPU time of "
        f"bayesmix in total; by model {np.nanmin(each):.1f} to {np.nanmax(each):.1f} times, median "
        f"{np.nanmedian(each):.1f}"
    )
    _name(
        "log-likelihood of bayesmix lower by over 0.05", names, theirs.loglik > ours.loglik + 0.05
    )
    _name("log-likelihood of flexmix lower by over 0.05", names, ours.loglik > theirs.loglik + 0.05)
    _name("flexmix stopped with an error, for some seeds", names, theirs.stopped > 0)


def _name(what: str, names: list[str], flags: np.ndarray) -> None:
    print(f"{what}: {', '.join(n for n, f in zip(names, flags, strict=True) if f) or 'none'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, nargs="+", default=[3, 50])
    parser.add_argument("--repeats", type=int, nargs="+", default=[9, 3], help="for each --starts")
    parser.add_argument("--serve", action="store_true", help="be the process that is measured")
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    repeats = options.repeats + [options.repeats[-1]] * len(options.starts)
    print(machine())
    workers = [Worker([sys.executable, __file__, "--serve"])]
    try:
        workers.append(flexmix_worker())
    except Missing as missing:
        print(NO_FLEXMIX.format(reason=missing))
    print("; ".join(worker.versions for worker in workers))
    for starts in options.starts:
        workers[0].ask(starts, 0)
    for worker in workers[1:]:
        worker.ask(min(options.starts), 0)  # enough for R to have compiled flexmix's functions
    for starts, times in zip(options.starts, repeats, strict=False):
        report(*measure(workers, starts, times), starts, times)
    for worker in workers:
        worker.close()


if __name__ == "__main__":
    main()
