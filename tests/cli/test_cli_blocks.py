"""Parquet files from the terminal: patterns, and rows that come in blocks."""

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx
from bayesmix.cli import main
from bayesmix.formula.sources.tables import Files


@pytest.fixture
def flights(tmp_path):
    rng = np.random.default_rng(2)
    x, late = rng.normal(size=600), rng.random(600) < 0.5
    y = rng.poisson(np.exp(np.where(late, 2 + 0.3 * x, -0.3 * x)))
    data = pd.DataFrame({"x": x, "y": y, "unused": 1.0})
    data[:300].to_parquet(tmp_path / "flights-1.parquet")
    data[300:].to_parquet(tmp_path / "flights-2.parquet")
    return data, str(tmp_path / "flights-*.parquet"), tmp_path / "out"


@pytest.mark.parametrize("many", [False, True])
def test_a_pattern_of_files(flights, many, monkeypatch, capsys):
    data, pattern, out = flights
    if many:
        monkeypatch.setattr(Files, "small", 0)
        made = Files.__init__
        monkeypatch.setattr(
            Files, "__init__", lambda self, *a, **k: made(self, *a, **{"small": 0, **k})
        )
    given = ["fit", pattern, "y ~ x", "--family", "poisson", "--seed", "1", "--n-threads", "2"]
    assert main([*given, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"{pattern}: 600 rows" in said
    expected = bmx.Mixture("y ~ x", data, family="poisson", k=2).fit("em", seed=1)
    found = pd.read_csv(out / "summary.csv")["estimate"]
    np.testing.assert_allclose(found, expected.summary()["estimate"], rtol=1e-6)
    name = "membership.parquet" if many else "membership.csv"
    table = pd.read_parquet(out / name) if many else pd.read_csv(out / name)
    np.testing.assert_allclose(table[["1", "2"]], expected.membership(), atol=1e-6)
    assert (out / "predictions.parquet").exists() == many
    assert "600" in (out / "report.html").read_text()
    assert main([*given, "--out", str(out)]) == 1  # nothing is replaced without --force
    assert bmx.load(out / "fit.nc").n_obs == 600
