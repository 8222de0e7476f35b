"""How long chains run: some posteriors need more draws than are kept.

Chains of a thousand draws may stay in one mode for most of their length.  Where they
do not agree by the limits of `diagnose`, or where a mode with much mass is known
that they may have missed, all chains are run again, 16 times as long and then 64
times, with every 16th or 64th draw kept: each run is a sample of the same
posterior.  Longer runs also take shorter steps: where chains mix slowly there is mostly
a narrow region that long steps do not enter, and length alone helps less (R-hat 1.08
after 64 times the usual steps for `patent_varying_k3`, 1.006 after 16 times shorter ones).
A longer run is made only if its estimated cost is small, in a unit of work that is the
same on every machine, so that a seed gives the same draws everywhere.

Chains apart (`nuts.modes_apart`) are those of the first run.  They neither cause a longer one
nor are part of its cost: a thousand draws tell whether a mode is left soon, and in many
times as many a chain would leave most modes, whatever their mass.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bayesmix.posterior.diagnostics import ESS, R_HAT, Diagnosis
from bayesmix.posterior.drawn import Drawn
from bayesmix.posterior.mode import LEAST_SHARE
from bayesmix.sampling import ACCEPT, gradient_seconds

# Draws for one that is kept, and the acceptance to which steps are tuned.
RUNS = ((1, ACCEPT), (16, 0.95), (64, 0.95))
# Steps of a draw at the higher acceptance, by those at the usual one.
MORE_STEPS = 2.0
# Seconds of one processor, by `gradient_seconds`.
AFFORDABLE = 20.0
# From here on the chains of a longer run are in different places: more draws do not help.
APART = 1.5


def run_long_enough(
    run: Callable[[int, float, Drawn | None], Drawn], judge: Callable[[Drawn], Diagnosis]
) -> tuple[Drawn, Diagnosis]:
    """The shortest run that will do, or the longest that is affordable.

    Parameters
    ----------
    run : callable
        From the number of draws for one that is kept, the acceptance aimed at and the
        run before, if there was one, to relabelled draws.
    judge : callable
    """
    drawn = run(*RUNS[0], None)
    diagnosis = judge(drawn)
    for thin, accept in RUNS[1:]:
        if _is_enough(drawn, diagnosis) or not _is_worth_it(drawn, diagnosis, thin):
            break
        drawn = run(thin, accept, drawn)
        diagnosis = judge(drawn)
    return drawn, diagnosis


def _is_enough(drawn: Drawn, diagnosis: Diagnosis) -> bool:
    """Whether the chains agree, and have had time to find what other modes there are."""
    missed = drawn.thin == 1 and len(drawn.modes) > 1 and drawn.modes[1].share > LEAST_SHARE
    return not missed and diagnosis.r_hat <= R_HAT and diagnosis.ess >= ESS


def _is_worth_it(drawn: Drawn, diagnosis: Diagnosis, thin: int) -> bool:
    """Whether a longer run may reach the limits, and is affordable."""
    chains, draws = drawn.theta.shape[:2]
    if chains * draws < 4 * ESS or (drawn.thin > 1 and diagnosis.r_hat > APART):
        return False
    steps = float(np.mean(drawn.stats["n_steps"])) * chains * draws * thin
    if drawn.thin == 1:
        steps *= MORE_STEPS
    return steps * gradient_seconds(drawn.problem, drawn.priors) < AFFORDABLE
