"""NUTS on competing events: the compiled density of survival times beside the one through Python.

Processes that have fitted another model before, so that imports and compilers are left out; CPU
time of all threads.  BAYESMIX_COMPILE=0 leaves all to NumPy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

from bench_first_fit import machine, run

MODELS = {
    "weibull, gompertz ~ age10": ("weibull", "gompertz", "age10"),
    "weibull, gompertz ~ age10 + sex": ("weibull", "gompertz", "age10 + sex"),
    "lognormal, loglogistic ~ age10": ("lognormal", "loglogistic", "age10"),
}
CODE = """
import json, sys, time
import numpy as np
import bayesmix as bmx
from bayesmix.likelihood import build_problem
from bayesmix.sampling.density import compiled_density, python_density
from bayesmix.priors import Penalty
data = bmx.load_data("mgus2")
def fitted(pcm, death, x, **options):
    family = {"pcm": pcm, "death": death}
    model = bmx.CompetingRisks(
        f"surv(years, status) ~ {x}", data, "event", family, concomitant=f"~ {x}"
    )
    begin = time.process_time()
    fit = model.fit("nuts", seed=1, progress=False, **options)
    return model, fit, time.process_time() - begin
models = json.loads(sys.argv[1])
fitted(*models[0], draws=10, tune=10)
out = []
for given in models:
    model, fit, seconds = fitted(*given)
    drawn = fit._drawn
    problem = build_problem(model.spec, penalty=Penalty(drawn.priors, jacobian=True))
    mode = drawn.modes[0]
    density = compiled_density(problem, mode) or python_density(problem, mode)
    z, times = np.zeros(len(mode.factor)), []
    for _ in range(7):
        begin = time.process_time()
        for _ in range(200):
            density(z)
        times.append((time.process_time() - begin) / 200)
    table, each = fit.summary(), 1e6 * float(np.median(times))
    out.append((seconds, each, table["r_hat"].max(), table["ess_bulk"].min()))
print(json.dumps(out))
"""
FIRST = """
import bayesmix as bmx
model = bmx.CompetingRisks(
    "surv(years, status) ~ age10", bmx.load_data("mgus2"), "event",
    {"pcm": "weibull", "death": "gompertz"}, concomitant="~ age10",
)
model.fit("nuts", seed=1, progress=False).summary()
"""


def measure(setting: dict[str, str]) -> list[list[float]]:
    """CPU seconds, microseconds a gradient, R-hat and ESS of every model, in one process."""
    command = [sys.executable, "-W", "ignore", "-c", CODE, json.dumps(list(MODELS.values()))]
    done = subprocess.run(
        command, env=os.environ | setting, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print both tables."""
    print(machine())
    ways = {"through Python": {"BAYESMIX_COMPILE": "0"}, "compiled": {}}
    found = {way: measure(setting) for way, setting in ways.items()}
    print(f"\n{'mgus2, 1384 rows':<34}{'density':<16}{'CPU s':>7}{'us/gradient':>13}", end="")
    print(f"{'R-hat':>8}{'min ESS':>9}")
    for number, name in enumerate(MODELS):
        for way, rows in found.items():
            seconds, each, r_hat, ess = rows[number]
            print(f"{name:<34}{way:<16}{seconds:>7.2f}{each:>13.1f}{r_hat:>8.3f}{ess:>9.0f}")
    print(f"\n{'whole processes, the first model':<50}{'wall s':>8}{'CPU s':>8}")
    with tempfile.TemporaryDirectory() as folder:
        cache = {"NUMBA_CACHE_DIR": folder}
        for name, setting in {
            "through Python": ways["through Python"],
            "compiled, with an empty cache": cache,
            "compiled, later": cache,
        }.items():
            wall, cpu = run(FIRST, os.environ | setting)
            print(f"{name:<50}{wall:>8.2f}{cpu:>8.2f}")


if __name__ == "__main__":
    main()
