"""Posteriors beside `pm.Mixture`, written as PyMC's documentation does and sampled by nutpie.

Whole fresh processes are measured, imports and compilers included; CPU time is user and system
time of all their threads.  Both programs draw 4 chains of 1000 + 1000 with the same priors.  The
draws of both are relabelled by Stephens' method before R-hat and the effective sample size (the
smallest in the bulk over the parameters) are computed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from bench_first_fit import machine

import bayesmix as bmx
from bayesmix.posterior.diagnostics import convergence
from bayesmix.posterior.labels import relabel
from bayesmix.priors import resolve

COMMON = """
import sys
import numpy as np
data = dict(np.load(sys.argv[1]))
y, X, Z = data["y"], data["X"], data["Z"]
"""
OURS = """
import sys
import pandas as pd
import bayesmix as bmx
fit = {model}.fit("nuts", seed={seed}, progress=False)
fit.summary()
import numpy as np
np.savez(sys.argv[2], theta=fit._drawn.theta)
"""
OTHER = """
import numpy as np
import pandas as pd
rng = np.random.default_rng(1)
data = pd.DataFrame(rng.normal(size=(150, 5)), columns=list("abcdy"))
data["y"] += np.where(np.arange(150) < 60, 4 + data["a"], data["b"])
"""
MODEL = """
import pymc as pm
with pm.Model() as model:
    beta = pm.Normal("beta", data["mu"], data["sd"], shape=data["mu"].shape)
    eta = X @ beta.T
"""
GAUSSIAN = """
    sigma = pm.LogNormal("sigma", data["log_sigma"], 1.0, shape=len(data["mu"]))
    components = pm.Normal.dist(eta, sigma)
"""
POISSON = """
    components = pm.Poisson.dist(pm.math.exp(eta))
"""
CONSTANT = """
    w = pm.Dirichlet("w", np.full(len(data["mu"]), data["concentration"]))
"""
LOGIT = """
    alpha = pm.ZeroSumNormal(
        "alpha", data["spread"][:, None], shape=(Z.shape[1], len(data["mu"]))
    )
    w = pm.math.softmax(Z @ alpha, axis=1)
"""
OBSERVED = """
    pm.Mixture("y", w=w, comp_dists=components, observed=y)
"""
SAMPLED = """
import nutpie
tree = nutpie.sample(
    nutpie.compile_pymc_model(model), draws=1000, tune=1000, chains=4, seed={seed},
    progress_bar=False,
)
np.savez(sys.argv[2], **{{name: tree["posterior"][name].values for name in model.named_vars
                          if name in tree["posterior"]}})
"""
CALLS = """
import time
call = model.logp_dlogp_function(ravel_inputs=True, mode="NUMBA")
call.set_extra_values({})
from pymc.blocking import DictToArrayBijection
at = DictToArrayBijection.map(model.initial_point())
call(at)
times = []
for _ in range(7):
    begin = time.process_time()
    for _ in range(data["calls"]):
        call(at)
    times.append((time.process_time() - begin) / data["calls"])
print(np.median(times))
"""


@dataclass(frozen=True)
class Case:
    """A model of both programs: code of ours and of PyMC's, and its data."""

    ours: str
    theirs: str
    model: bmx.Mixture

    def arrays(self) -> dict[str, np.ndarray]:
        """Data and priors as PyMC's program reads them."""
        spec = self.model.spec
        priors = resolve(spec, None)
        rows, layout = spec.rows.blocks[0], spec.layout
        of = np.vectorize(lambda at, name: priors.single[at][0].parameters[name])
        index = layout.blocks[0].predictors[0].index
        out = {
            "y": rows.response.y,
            "X": rows.matrix,
            "Z": np.ones((1, 1)) if spec.rows.concomitant is None else spec.rows.concomitant,
            "mu": of(index, "mu"),
            "sd": of(index, "sigma"),
        }
        if len(layout.blocks[0].predictors) > 1:
            out["log_sigma"] = of(layout.blocks[0].predictors[1].index[:, 0], "mu")
        if priors.spread is not None:
            out["spread"] = priors.spread
        if priors.concentration is not None:
            out["concentration"] = np.array(priors.concentration)
        return {name: np.asarray(values) for name, values in out.items()}

    def theta(self, draws: Mapping[str, np.ndarray]) -> np.ndarray:
        """Draws of either program as theta (chain, draw, D)."""
        if "theta" in draws:
            return draws["theta"]
        layout = self.model.spec.layout
        shape = draws["beta"].shape[:2]
        theta = np.zeros((*shape, layout.size))
        location, *others = layout.blocks[0].predictors
        theta[..., location.index] = draws["beta"]
        if others:
            theta[..., others[0].index[:, 0]] = np.log(draws["sigma"])
        logits = np.log(draws["w"])[..., None, :] if "alpha" not in draws else draws["alpha"]
        contrasts = np.swapaxes(logits[..., 1:] - logits[..., :1], -1, -2)
        theta[..., layout.alpha[1:]] = contrasts
        return theta


def regression() -> Case:
    code = 'bmx.Mixture("y ~ x2 + x1", bmx.load_data("NregFix"), k=3, concomitant="~ w")'
    model = bmx.Mixture("y ~ x2 + x1", bmx.load_data("NregFix"), k=3, concomitant="~ w")
    return Case(code, MODEL + GAUSSIAN + LOGIT + OBSERVED, model)


def counts(folder: Path, n: int = 10_000) -> Case:
    rng = np.random.default_rng(1)
    x = rng.normal(size=n)
    eta = np.where(rng.random(n) < 0.4, 0.5 + 0.8 * x, 2.0 - 0.4 * x)
    data = pd.DataFrame({"x": x, "y": rng.poisson(np.exp(eta))})
    file = folder / "counts.csv"
    data.to_csv(file, index=False)
    code = f'bmx.Mixture("y ~ x", pd.read_csv({str(file)!r}), family="poisson", k=2)'
    theirs = MODEL + POISSON + CONSTANT + OBSERVED
    return Case(code, theirs, bmx.Mixture("y ~ x", data, family="poisson", k=2))


def environment(folder: Path) -> dict[str, str]:
    """Caches of compiled code in a folder."""
    flags = f"base_compiledir={folder / 'pytensor'}"
    return {**os.environ, "NUMBA_CACHE_DIR": str(folder / "numba"), "PYTENSOR_FLAGS": flags}


def run(code: str, arguments: list[Path], caches: Path) -> tuple[float, str]:
    """CPU seconds of a fresh Python process, and what it prints."""
    before = os.times()
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    done = subprocess.run(
        command, env=environment(caches), check=True, stdout=subprocess.PIPE, text=True
    )
    after = os.times()
    spent = after.children_user + after.children_system
    return spent - before.children_user - before.children_system, done.stdout


def quality(case: Case, file: Path) -> tuple[float, float]:
    """The largest R-hat and the smallest bulk ESS after relabelling."""
    from bayesmix.likelihood import build_problem

    with np.load(file) as draws:
        theta = case.theta(draws)
    mode = case.model.fit("map", seed=1)._fitted.theta
    found = relabel(build_problem(case.model.spec), theta, "stephens", mode=mode)
    numbers = convergence(found.theta)
    return float(np.max(numbers.r_hat)), float(np.min(numbers.ess_bulk))


def print_samplers(name: str, case: Case, folder: Path, seeds: range) -> None:
    data, draws = folder / f"{name}.npz", folder / "draws.npz"
    np.savez(data, **case.arrays())
    programs = {"bayesmix": OURS.replace("{model}", case.ours), "pm.Mixture": ""}
    programs["pm.Mixture"] = COMMON + case.theirs + SAMPLED
    for program, code in programs.items():
        caches = folder / program
        for number, seed in enumerate([seeds[0], *seeds]):
            cpu, _ = run(
                code.replace("{seed}", str(seed)).replace("{{", "{").replace("}}", "}"),
                [data, draws],
                caches,
            )
            r_hat, ess = quality(case, draws)
            when = "first" if number == 0 else "later"
            print(
                f"{name:<18}{program:<12}{when:<7}{seed:>4}{cpu:>9.1f}{ess:>9.0f}{r_hat:>8.3f}"
                f"{ess / cpu:>12.1f}",
                flush=True,
            )


def print_other_data(folder: Path) -> None:
    """Another data set with other columns, rows and components: what the cache of kernels gains."""
    caches = folder / "bayesmix"

    def files() -> set[Path]:
        return set((caches / "numba").rglob("*.kernel"))

    before = files()
    code = OTHER + OURS.replace("{seed}", "1").replace(
        "{model}", 'bmx.Mixture("y ~ a + b + c + d", data, k=2)'
    )
    cpu, _ = run(code, [folder, folder / "draws.npz"], caches)
    print(
        f"other data, 4 covariates, 2 components: {cpu:.1f} CPU s, "
        f"{len(files() - before)} kernels compiled"
    )


def called(family: str, n: int) -> Case:
    """Three components and two covariates, by the number of rows."""
    rng = np.random.default_rng(2)
    x, z, w = rng.normal(size=(3, n))
    component = rng.integers(0, 3, n)
    y = np.array([0.0, 3.0, -4.0])[component] + x + rng.normal(size=n)
    if family == "poisson":
        y = rng.poisson(np.exp(np.array([0.0, 1.0, 2.0])[component] + 0.3 * x))
    data = pd.DataFrame({"x": x, "z": z, "w": w, "y": y})
    if family == "gaussian, logit":
        model = bmx.Mixture("y ~ x + z", data, k=3, concomitant="~ w")
        return Case("", MODEL + GAUSSIAN + LOGIT + OBSERVED, model)
    model = bmx.Mixture("y ~ x + z", data, family=family, k=3)
    components = GAUSSIAN if family == "gaussian" else POISSON
    return Case("", MODEL + components + CONSTANT + OBSERVED, model)


def print_calls(folder: Path, sizes: list[int]) -> None:
    """Log density with gradient, a call."""
    print(
        f"\n{'log density and gradient':<26}{'rows':>9}{'bayesmix ms':>13}{'pm.Mixture ms':>15}"
        f"{'ratio':>8}"
    )
    for family in ("gaussian", "gaussian, logit", "poisson"):
        for n in sizes:
            case, number = called(family, n), max(5, 300_000 // n)
            np.savez(folder / "calls.npz", calls=number, **case.arrays())
            _, printed = run(
                COMMON + case.theirs + CALLS, [folder / "calls.npz"], folder / "pm.Mixture"
            )
            theirs, ours = float(printed), own_call(case.model, number)
            print(
                f"{family + ', k=3':<26}{n:>9}{1e3 * ours:>13.3f}{1e3 * theirs:>15.3f}"
                f"{theirs / ours:>8.1f}",
                flush=True,
            )


def own_call(model: bmx.Mixture, number: int) -> float:
    import time

    from bayesmix.likelihood import build_problem
    from bayesmix.posterior.mode import Mode
    from bayesmix.priors import Penalty
    from bayesmix.sampling.density import compiled_density

    problem = build_problem(model.spec, penalty=Penalty(resolve(model.spec, None), jacobian=True))
    size = model.spec.layout.size
    mode = Mode(0.1 * np.arange(size), 0.0, np.eye(size), 0.0, 1.0)
    density = compiled_density(problem, mode)
    assert density is not None
    at, times = np.zeros(size), []
    density(at)
    for _ in range(7):
        begin = time.process_time()
        for _ in range(number):
            density(at)
        times.append((time.process_time() - begin) / number)
    return float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="runs after the first")
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000])
    options = parser.parse_args()
    print(machine())
    print(
        f"\n{'data':<18}{'program':<12}{'run':<7}{'seed':>4}{'CPU s':>9}{'min ESS':>9}"
        f"{'R-hat':>8}{'ESS/CPU s':>12}"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seeds = range(1, options.seeds + 1)
        print_samplers("NregFix", regression(), folder, seeds)
        print_other_data(folder)
        print_samplers("Poisson 10,000", counts(folder), folder, seeds)
        print_calls(folder, options.rows)


if __name__ == "__main__":
    main()
