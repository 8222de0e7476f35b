"""How long chains run: when they are run again, and for how long."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx
from bayesmix.posterior.diagnostics import Diagnosis
from bayesmix.sampling import length

MODEL = bmx.Mixture("Faults ~ 1", bmx.load_data("fabricfault"), family="poisson", k=2)


def a_run(r_hat, ess, shares=(1.0,), chains=4, draws=1000, steps=7.0, tail=None):
    """Runs whose diagnosis by thin is given, and lists of those that were made and their steps."""
    made, aimed = [], []

    def run(thin, accept, _before):
        made.append(thin)
        aimed.append(accept)
        return SimpleNamespace(
            thin=thin,
            theta=np.zeros((chains, draws, 3)),
            modes=[SimpleNamespace(share=share) for share in shares],
            stats={"n_steps": np.full((chains, draws), steps)},
            problem=SimpleNamespace(n_rows=100, spec=SimpleNamespace(k=2)),
            priors=None,
        )

    def judge(drawn):
        tails = ess if tail is None else tail
        table = pd.DataFrame(
            {
                "r_hat": [r_hat[drawn.thin], np.nan],
                "ess_bulk": [ess[drawn.thin], np.nan],
                "ess_tail": [tails[drawn.thin], np.nan],
            }
        )
        return Diagnosis(table, 1.0, 5000.0, 0.0, (0,) * chains, ())

    return run, judge, made, aimed


GOOD, BAD = dict.fromkeys((1, 16, 64), 1.001), dict.fromkeys((1, 16, 64), 1.05)
APART = dict.fromkeys((1, 16, 64), 2.1)
MANY, FEW = dict.fromkeys((1, 16, 64), 2000.0), dict.fromkeys((1, 16, 64), 100.0)
RUNS = {
    "good at once": ({"r_hat": GOOD, "ess": MANY}, [1]),
    "too few": ({"r_hat": GOOD, "ess": {1: 300.0, 16: 900.0}}, [1, 16]),
    "too few in the tails": ({"r_hat": GOOD, "ess": MANY, "tail": FEW}, [1, 16, 64]),
    "R-hat": ({"r_hat": {1: 1.03, 16: 1.02, 64: 1.002}, "ess": MANY}, [1, 16, 64]),
    "never": ({"r_hat": BAD, "ess": FEW}, [1, 16, 64]),
    "in places that do not meet": ({"r_hat": APART, "ess": FEW}, [1, 16]),
    "a mode perhaps missed": ({"r_hat": GOOD, "ess": MANY, "shares": (0.96, 0.04)}, [1, 16]),
    "a mode of no mass": ({"r_hat": GOOD, "ess": MANY, "shares": (0.995, 0.005)}, [1]),
    "few draws were asked for": ({"r_hat": BAD, "ess": FEW, "draws": 300}, [1]),
    "64 times cost too much": ({"r_hat": BAD, "ess": FEW, "steps": 10.0}, [1, 16]),
    "16 times cost too much": ({"r_hat": BAD, "ess": FEW, "steps": 500.0}, [1]),
}


@pytest.mark.parametrize("name", list(RUNS))
def test_chains_run_until_they_agree_or_cost_too_much(name, monkeypatch):
    given, expected = RUNS[name]
    monkeypatch.setattr(length, "gradient_seconds", lambda *_: 1e-5)
    run, judge, made, aimed = a_run(**given)
    drawn, _ = length.run_long_enough(run, judge)
    assert made == expected
    assert aimed == [0.8, 0.95, 0.95][: len(made)]
    assert drawn.thin == expected[-1]


@pytest.mark.filterwarnings("ignore::bayesmix.ConvergenceWarning")
def test_the_user_decides():
    found = MODEL.fit("nuts", seed=1, draws=60, tune=100, chains=2, thin=3, progress=False)
    assert found.data["posterior"].sizes["draw"] == 60
    assert "60 by nutpie, one kept of every 3" in repr(found)
    assert found.data.attrs["thin"] == 3


@pytest.mark.filterwarnings("ignore::bayesmix.ConvergenceWarning")
def test_a_file_keeps_it(tmp_path):
    found = MODEL.fit("nuts", seed=1, draws=50, tune=50, chains=2, thin=2, progress=False)
    found.save(tmp_path / "draws.nc")
    assert repr(bmx.load(tmp_path / "draws.nc")) == repr(found)


@pytest.mark.parametrize("thin", [0, -1, 1.5, "2", True])
def test_thin_is_a_whole_number(thin):
    with pytest.raises(bmx.SpecError, match="thin"):
        MODEL.fit("nuts", thin=thin)


def test_thin_goes_with_nuts_only():
    with pytest.raises(bmx.SpecError, match="thin= does not go with method='laplace'"):
        MODEL.fit("laplace", thin=2)
