"""Pictures of posteriors: whether chains agree, and what they predict."""

import doctest
import sys
from dataclasses import replace
from importlib import import_module

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from scipy import stats

import bayesmix as bmx
from bayesmix.plot import style
from bayesmix.plot.diagnostics import chain_looks


@pytest.fixture(autouse=True)
def no_screen():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def trial():
    data = bmx.load_data("betablocker")
    return bmx.Mixture(
        "p(Deaths, Total) ~ 1 | Center", data, family="binomial", k=3, fixed="~ Treatment"
    )


@pytest.fixture(scope="module")
def laplace(trial):
    return trial.fit("laplace", seed=1)


def in_chains(posterior, change=lambda theta: theta):
    """Independent draws as if by four chains, with something done to them (4, draw, D)."""
    drawn = posterior._drawn
    theta = change(drawn.theta.reshape(4, -1, drawn.theta.shape[-1]).copy())
    chains = replace(
        drawn,
        method="nuts",
        theta=theta,
        raw=theta,
        log_density=drawn.log_density.reshape(4, -1),
        stats={},
        chain_mode=np.zeros(4, int),
        khat=np.nan,
    )
    return type(posterior)(chains, posterior._point)


@pytest.fixture(scope="module")
def chains(laplace):
    return in_chains(laplace)


# --- diagnostics ---------------------------------------------------------------------------


def test_diagnostics_draws_the_table_the_worst_first(chains):
    axes = bmx.plot.diagnostics(chains, worst=2)
    table = chains.diagnostics().table.drop_duplicates(["r_hat", "ess_bulk"])
    names = [t.get_text() for t in axes[0].get_yticklabels()]
    assert sorted(names) == sorted(
        r.term if r.effect == "fixed" else f"{r.term}, {r.component}" for r in table.itertuples()
    )
    r_hat = axes[0].lines[0].get_xdata()
    bulk, tail = (axes[1].lines[i].get_xdata() for i in (0, 1))
    wanted = {
        r.term if r.effect == "fixed" else f"{r.term}, {r.component}": r for r in table.itertuples()
    }
    for at, name in enumerate(names):
        row = wanted[name]
        assert (r_hat[at], bulk[at], tail[at]) == (row.r_hat, row.ess_bulk, row.ess_tail)
    far = np.maximum((r_hat - 1) / 0.01, 400 / np.minimum(bulk, tail))
    assert (np.diff(far) <= 0).all()
    assert [axes[0].lines[1].get_xdata()[0], axes[1].lines[2].get_xdata()[0]] == [1.01, 400]
    assert [ax.get_title(loc="left") for ax in axes[2::2]] == ["log density", *names[:2]]


def test_diagnostics_draws_traces_and_ranks(chains):
    axes = bmx.plot.diagnostics(chains, worst=1)
    level = chains._drawn.log_density
    for chain, line in enumerate(axes[2].lines):
        np.testing.assert_array_equal(line.get_ydata(), level[chain])
        assert line.get_label() == f"chain {chain}"
    ranks = stats.rankdata(level).reshape(level.shape)
    for chain, stairs in enumerate(axes[3].patches):
        values, edges, _ = stairs.get_data()
        for count, low, high in zip(values, edges[:-1], edges[1:], strict=True):
            assert count == ((ranks[chain] > low) & (ranks[chain] <= high)).sum()
        assert values.sum() == level.shape[1]
    shades = {tuple(line.get_color()) for line in axes[2].lines}
    assert len(shades) == 4


def test_diagnostics_colours_chains_by_mode(laplace):
    found = replace(laplace.diagnostics(), modes=(0, 1, 0, -1))
    looks = chain_looks(found, 4)
    words = ["chain 0, mode 0", "chain 1, mode 1", "chain 2, mode 0", "chain 3, no mode"]
    assert [look["label"] for look in looks] == words
    for look, base in zip(looks, (style.colour(0), style.colour(1), None, "0.45"), strict=True):
        if base is not None:
            np.testing.assert_allclose(look["color"], to_rgb(base))
    # The second chain of a mode: the same hue, lighter, another line.
    assert (np.array(looks[2]["color"]) > np.array(looks[0]["color"])).all()
    assert looks[2]["linestyle"] != looks[0]["linestyle"]


def test_diagnostics_shows_a_lost_chain(laplace):
    def lost(theta):
        theta[3] = theta[3] + 3.0
        return theta

    axes = bmx.plot.diagnostics(in_chains(laplace, lost))
    line = axes[2].lines[3]
    assert line.get_label() == "chain 3, no mode"
    np.testing.assert_allclose(line.get_color(), to_rgb("0.45"))
    assert (axes[0].lines[0].get_xdata() > 1.01).all()


def test_diagnostics_of_one_chain_has_no_ranks(laplace):
    axes = bmx.plot.diagnostics(laplace, worst=1)
    assert [ax.get_xlabel() for ax in axes] == ["R-hat", "effective sample size", "draw", "draw"]
    assert f"Pareto k-hat {laplace.khat:.2f}" in axes[0].texts[0].get_text()
    # 4000 draws are shown evenly spaced.
    np.testing.assert_array_equal(axes[2].lines[0].get_ydata(), laplace._drawn.log_density[0, ::4])


def test_diagnostics_on_axes_of_ones_own(chains):
    given = Figure().subplots(2, 3)
    assert list(bmx.plot.diagnostics(chains, worst=1, ax=given)) == list(given.ravel())
    assert given.ravel()[3].get_legend() is not None
    with pytest.raises(bmx.FitError, match="an array of 8 matplotlib Axes"):
        bmx.plot.diagnostics(chains, worst=2, ax=given)


def test_diagnostics_refuses(trial, laplace):
    with pytest.raises(bmx.FitError, match="a PointFit has none"):
        bmx.plot.diagnostics(laplace.point())
    with pytest.raises(bmx.FitError, match="worst=-1 must be a whole number"):
        bmx.plot.diagnostics(laplace, worst=-1)
    stacked = type(laplace)(replace(laplace._drawn, method="stacking"), laplace._point)
    with pytest.raises(bmx.FitError, match="stacked draws are no chains"):
        bmx.plot.diagnostics(stacked)


@pytest.mark.parametrize("name", ["diagnostics"])
def test_examples(name):
    import_module(f"bayesmix.plot.{name}")
    result = doctest.testmod(sys.modules[f"bayesmix.plot.{name}"])
    assert result.attempted
    assert not result.failed
