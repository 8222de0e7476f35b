"""PyMC's own distributions against the families' densities: used where they are as accurate."""

from itertools import product
from pathlib import Path

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode

import bayesmix as bmx
from bayesmix.arrays.symbolic import Symbol, plain
from bayesmix.families import Observed
from bayesmix.families.links import Linked

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "pymc.md"
MODE = Mode(linker="py", optimizer="fast_run")  # all rewrites, no compiler
TIMES = np.array([1e-8, 0.1, 0.9, 1.0, 1.1, 5.0, 100.0])
COUNTS = np.array([0.0, 1, 2, 10, 100, 1e4])
REAL = np.array([-1e6, -3.0, 0.1, 1.0, 100.0])
TRIALS = np.array([0.0, 6, 11, 12])
LOGITS = [-40.0, -10.0, 0.0, 10.0, 40.0]
LOGS = [-5.0, 0.0, 5.0, 23.0]

# PyMC's distribution of natural parameters, responses, and linear predictors of the parameters.
THEIRS = {
    "gaussian": (
        lambda mu, sigma: pm.Normal.dist(mu, sigma),
        REAL,
        {"mu": [0.0, 1e3], "sigma": [-7.0, 0.0, 12.0]},
    ),
    "poisson": (pm.Poisson.dist, COUNTS, {"mu": [-25.0, -7.0, 0.0, 4.0, 9.0]}),
    "inverse_gaussian": (
        lambda mu, shape: pm.Wald.dist(mu=mu, lam=shape),
        TIMES,
        {"mu": [-5.0, 0.0, 5.0], "shape": [-7.0, *LOGS]},
    ),
    "hurdle_lognormal": (
        lambda meanlog, sdlog, psi: pm.HurdleLogNormal.dist(psi=1 - psi, mu=meanlog, sigma=sdlog),
        np.array([0.0, *TIMES]),
        {"meanlog": [-50.0, 0.0], "sdlog": [0.0, 2.0], "psi": LOGITS},
    ),
    "gamma": (
        lambda mu, shape: pm.Gamma.dist(alpha=shape, beta=shape / mu),
        TIMES,
        {"mu": [-5.0, 0.0, 5.0], "shape": LOGS},
    ),
    "hurdle_gamma": (
        lambda mu, shape, psi: pm.HurdleGamma.dist(psi=1 - psi, alpha=shape, beta=shape / mu),
        np.array([0.0, *TIMES]),
        {"mu": [0.0, 5.0], "shape": LOGS, "psi": [0.0]},
    ),
    "negative_binomial": (
        lambda mu, alpha: pm.NegativeBinomial.dist(mu=mu, alpha=1 / alpha),
        COUNTS,
        {"mu": [-7.0, 0.0, 7.0], "alpha": [-23.0, -14.0, 0.0, 4.0]},
    ),
    "hurdle_negative_binomial": (
        lambda mu, alpha, psi: pm.HurdleNegativeBinomial.dist(psi=1 - psi, mu=mu, alpha=1 / alpha),
        COUNTS,
        {"mu": [0.0, 7.0], "alpha": [-23.0, -14.0, 0.0], "psi": [0.0]},
    ),
    "student_t": (
        lambda mu, sigma, nu: pm.StudentT.dist(nu=nu, mu=mu, sigma=sigma),
        REAL,
        {"mu": [0.0], "sigma": [0.0, 7.0], "nu": [-2.0, 2.0, 9.0, 20.0]},
    ),
    "beta": (
        lambda mu, phi: pm.Beta.dist(mu=mu, nu=phi),
        np.array([1e-10, 0.01, 0.3, 0.9, 1 - 1e-9]),
        {"mu": [-10.0, 0.0, 40.0], "phi": [-2.0, 0.0, 10.0, 23.0]},
    ),
    "binomial": (lambda mu: pm.Binomial.dist(n=12, p=mu), TRIALS, {"mu": LOGITS}),
    "zero_inflated_binomial": (
        lambda mu, psi: pm.ZeroInflatedBinomial.dist(psi=1 - psi, n=12, p=mu),
        TRIALS,
        {"mu": LOGITS, "psi": [0.0]},
    ),
    "zero_inflated_poisson": (
        lambda mu, psi: pm.ZeroInflatedPoisson.dist(psi=1 - psi, mu=mu),
        COUNTS,
        {"mu": [-40.0, 0.0, 4.0], "psi": LOGITS},
    ),
    "zero_inflated_negative_binomial": (
        lambda mu, alpha, psi: pm.ZeroInflatedNegativeBinomial.dist(
            psi=1 - psi, mu=mu, alpha=1 / alpha
        ),
        COUNTS,
        {"mu": [0.0, 7.0], "alpha": [-23.0, -14.0, 0.0], "psi": [0.0]},
    ),
    "hurdle_poisson": (
        lambda mu, psi: pm.HurdlePoisson.dist(psi=1 - psi, mu=mu),
        COUNTS,
        {"mu": [-50.0, -20.0, 0.0, 4.0], "psi": LOGITS},
    ),
}


def ours(family, y, etas):
    linked = tuple(Linked(p.link, np.asarray(etas[p.name])) for p in family.parameters)
    trials = np.full_like(y, 12.0) if family.binomial else None
    const = 0.0 if family.constant is None else family.constant(y, trials)
    return family.log_density_of(Observed(y, trials, const), linked) + np.zeros_like(y)


def lost(found, wanted):
    """The largest error, relative to the log density or one."""
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    error = np.where(same, 0.0, np.abs(found - wanted) / np.maximum(1, np.abs(wanted)))
    return float(np.where(np.isnan(error), np.inf, error).max())


def worst(name):
    make, y, grid = THEIRS[name]
    family, inputs = bmx.family(name), {key: pt.dscalar(key) for key in grid}
    natural = {p.name: plain(p.link.inverse(Symbol(inputs[p.name]))) for p in family.parameters}
    call = pytensor.function([*inputs.values()], pm.logp(make(**natural), y), mode=MODE)
    errors = []
    for values in product(*grid.values()):
        with np.errstate(all="ignore"):
            wanted = ours(family, y, dict(zip(grid, values, strict=True)))
            try:
                errors.append(lost(call(*values), wanted))
            except pm.logprob.utils.ParameterValueError:
                errors.append(np.inf)
    return max(errors)


@pytest.mark.parametrize("name", THEIRS)
def test_distributions_of_pymc_are_used_where_they_are_as_accurate(name):
    """Where the last line fails PyMC has become accurate: use it then."""
    row = next(line for line in PAGE.read_text("utf-8").splitlines() if f"| `{name}` |" in line)
    if bmx.family(name).pymc is not None:
        assert worst(name) < 1e-11
        assert "| yes |" in row
    else:
        assert worst(name) > 1e-9
        assert "| no: " in row


def test_log_survival_of_pymc_far_in_the_tail():
    """Of Weibull and exponential times it comes from the distribution function."""
    t = 800.0
    for theirs in (pm.Weibull.dist(alpha=1.0, beta=1.0), pm.Exponential.dist(1.0)):
        assert pm.logccdf(theirs, t).eval(mode="FAST_COMPILE") == -np.inf
    for name in ("weibull", "exponential"):
        family = bmx.family(name)
        linked = [Linked(p.link, np.zeros(1)) for p in family.parameters]
        at = type("At", (), {"t": np.array([t]), "log": np.log([t])})
        assert family.survival.logsf(at, *linked) == pytest.approx(-t, rel=1e-12)
