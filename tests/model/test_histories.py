"""Rows of one subject: histories in pieces, and times that belong to the group."""

import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import bayesmix as bmx

RNG = np.random.default_rng(4)
N = 120
FAST = RNG.random(N) < 0.5
TIMES = np.where(FAST, 1.0, 5.0) * RNG.weibull(1.6, N)
ENDS = RNG.uniform(2, 9, N)
ENTRY = np.where(RNG.random(N) < 0.4, RNG.uniform(0, 0.6, N), 0.0)
WHOLE = pd.DataFrame(
    {"a": ENTRY, "t": np.minimum(TIMES, ENDS), "s": (TIMES <= ENDS) * 1, "id": np.arange(N)}
)
WHOLE = WHOLE[WHOLE.t > WHOLE.a].reset_index(drop=True)


def pieces(data, cuts, unit=1.0):
    """Every row cut at some times, in an order of no meaning."""
    out = []
    for row in data.itertuples():
        inside = [c for c in cuts if row.a < c < row.t]
        edges = [row.a, *inside, row.t]
        for i, (start, end) in enumerate(pairwise(edges)):
            last = i == len(inside)
            out.append((row.id, start * unit, end * unit, row.s if last else 0))
    frame = pd.DataFrame(out, columns=["id", "a", "t", "s"])
    return frame.sample(frac=1.0, random_state=1)


def fit(data, family="weibull"):
    formula = "surv(a, t, s, kind='counting') ~ 1 | id"
    return bmx.Mixture(formula, data, family=family, k=2).fit("em", seed=1)


@pytest.mark.parametrize("unit", [1.0, 0.1])
@pytest.mark.parametrize("late", [False, True])
def test_cut_rows_are_the_same_subjects(late, unit):
    data = WHOLE if late else WHOLE.assign(a=0.0)
    whole = fit(data.assign(a=data.a * unit, t=data.t * unit))
    cut = fit(pieces(data, (0.3, 0.7, 2.0, 4.0), unit))
    assert cut.loglik == pytest.approx(whole.loglik, abs=1e-6)
    np.testing.assert_allclose(np.sort(cut.mixing), np.sort(whole.mixing), atol=1e-5)


def test_memberships_of_cut_new_rows():
    whole = fit(WHOLE)
    new = pieces(WHOLE.head(20), (0.5, 1.5))
    found = whole.membership(new).sort_index()
    np.testing.assert_allclose(found, whole.membership().loc[found.index], atol=1e-9)


def test_residuals_of_cut_rows_are_scores_given_that_their_entry_is_reached():
    data = pieces(WHOLE, (0.3, 0.7, 2.0))
    cut = fit(data)
    params = {name: values.to_numpy() for name, values in cut.params.items()}
    scale, shape = np.exp([params["scale"].ravel(), params["shape"].ravel()])

    def alive(t):
        return np.exp(-((t.to_numpy()[:, None] / scale) ** shape)) @ params["weight"]

    score = stats.norm.ppf(1 - alive(data.t) / alive(data.a))
    seen = (data.s == 1).to_numpy()
    residuals = cut.residuals(kind="quantile", seed=1)
    np.testing.assert_allclose(residuals[seen], score[seen], atol=1e-9)


# --- times of the group --------------------------------------------------------------------


def marked():
    counts = RNG.integers(2, 5, len(WHOLE))
    rows = WHOLE.loc[WHOLE.index.repeat(counts), ["id", "t", "s"]].reset_index(drop=True)
    rows["y"] = np.where(FAST[rows.id], 3.0, 0.0) + RNG.normal(size=len(rows))
    return rows


def joint(data, **options):
    parts = [
        bmx.Regression("y ~ 1"),
        bmx.Regression("surv(t, s) ~ 1", family="weibull", **options),
    ]
    return bmx.Mixture(parts, data, k=2, group="id")


def test_a_time_on_every_row_is_refused_and_told_what_to_do():
    with pytest.raises(bmx.DataError, match='per="unit"'):
        joint(marked())
    with pytest.raises(bmx.DataError, match='per="unit"'):
        bmx.Mixture("surv(t, s) ~ 1 | id", marked(), family="weibull", k=2)


def test_a_time_of_the_unit_counts_once():
    data = marked()
    fit = joint(data, per="unit").fit("em", seed=1)
    # With the time in one row only, wherever it stands.
    last = ~data.id.duplicated(keep="last")
    once = data.assign(t=data.t.where(last), s=data.s.where(last))
    assert joint(once, per="unit").fit("em", seed=1).loglik == pytest.approx(fit.loglik, abs=1e-9)
    # One marker for each group, its mean, and the time: the rows of the groups themselves.
    alone = bmx.Mixture("surv(t, s) ~ 1", WHOLE, family="weibull", k=1).fit("em", seed=1)
    one = bmx.Mixture(
        [bmx.Regression("y ~ 1"), bmx.Regression("surv(t, s) ~ 1", family="weibull", per="unit")],
        data,
        k=1,
        group="id",
    ).fit("em", seed=1)
    marker = bmx.Mixture("y ~ 1", data, k=1).fit("em", seed=1)
    assert one.loglik == pytest.approx(alone.loglik + marker.loglik, abs=1e-6)
    np.testing.assert_allclose(fit.membership(data), fit.membership(), atol=1e-12)


def test_pieces_without_their_subject_are_flagged():
    rows, time = pieces(WHOLE, [1.0]), "surv(a, t, s, kind='counting')"
    with pytest.warns(bmx.DataWarning, match=r"pieces of one subject's time.*\| id"):
        bmx.Mixture(f"{time} ~ 1", rows, family="weibull", k=2)
    assert "pieces of one subject" in " ".join(bmx.check_survival(rows, time).notes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bmx.Mixture(f"{time} ~ 1 | id", rows, family="weibull", k=2)
        bmx.Mixture(f"{time} ~ 1", WHOLE, family="weibull", k=2)  # entries that are late


def test_an_interval_of_the_unit_counts_once():
    data = marked()
    data["lower"], data["upper"] = np.floor(data.t), np.where(data.s == 1, np.ceil(data.t), np.nan)
    time = "surv(lower, upper, kind='interval') ~ 1"
    parts = [bmx.Regression("y ~ 1"), bmx.Regression(time, family="weibull", per="unit")]
    both = bmx.Mixture(parts, data, k=1, group="id").fit("em", seed=1)
    marker = bmx.Mixture("y ~ 1", data, k=1).fit("em", seed=1)
    alone = bmx.Mixture(time, data[~data.id.duplicated()], family="weibull", k=1).fit("em", seed=1)
    assert both.loglik == pytest.approx(alone.loglik + marker.loglik, abs=1e-6)


OUTCOMES = [
    ("ok ~ age", "binomial"),
    ("mv(u, v) ~ 1", "mvnormal"),
    ("grade ~ age", "categorical"),
    ("truncated(n, lower=0) ~ age", "poisson"),
]


def outcomes():
    """Four visits of 80 people, and what each of them has once."""
    rng = np.random.default_rng(9)
    z, of = rng.integers(0, 2, 80), np.repeat(np.arange(80), 4)
    once = pd.DataFrame({"age": rng.normal(size=80), "u": z + rng.normal(size=80)})
    once["v"], once["n"] = rng.normal(size=80), rng.poisson(2.0 + 3.0 * z)
    once["ok"] = (rng.random(80) < 0.2 + 0.5 * z) * 1.0
    once["grade"] = np.array(list("abc"))[
        np.where(rng.random(80) < 0.5, rng.integers(0, 3, 80), 2 * z)
    ]
    data = once.loc[of].reset_index(drop=True).assign(id=of, y=z[of] + rng.normal(size=320))
    return data, once


@pytest.mark.parametrize(("formula", "family"), OUTCOMES)
def test_any_response_of_the_unit_counts_once(formula, family, tmp_path):
    data, _ = outcomes()
    parts = [bmx.Regression("y ~ 1"), bmx.Regression(formula, family, per="unit")]
    fit = bmx.Mixture(parts, data, k=2, group="id").fit("em", seed=1)
    # The same as a response of the rows that is missing in all but the first of each group.
    own = ["ok", "n", "u", "v", "grade"]
    missing = data.assign(**{c: data[c].where(~data.id.duplicated()) for c in own})
    parts = [bmx.Regression("y ~ 1"), bmx.Regression(formula, family)]
    rows = bmx.Mixture(parts, missing, k=2, group="id", na_action="fiml").fit("em", seed=1)
    assert fit.loglik == pytest.approx(rows.loglik, abs=1e-7)
    pd.testing.assert_frame_equal(fit.summary(), rows.summary(), rtol=1e-4)
    np.testing.assert_allclose(fit.membership(data), fit.membership(), atol=1e-12)
    drawn = fit.simulate(seed=1).drop(columns=["y", "component"], errors="ignore")
    assert (drawn.groupby(data.id.to_numpy()).nunique() == 1).all(axis=None)
    assert (fit.n_missing == 0).all()
    fit.save(tmp_path / "fit.nc")
    assert bmx.load(tmp_path / "fit.nc").loglik == fit.loglik


def test_the_likelihood_of_a_count_of_the_unit_is_that_of_scipy():
    data, once = outcomes()
    parts = [bmx.Regression("y ~ 1"), bmx.Regression("n ~ age", "poisson", per="unit")]
    spec = bmx.Mixture(parts, data, k=2, group="id")
    params = spec.fit("em", seed=1).params
    mean, sigma = params["coef_y"].to_numpy()[:, 0], params["sigma_y"].to_numpy()
    marker = stats.norm.logpdf(data["y"].to_numpy()[:, None], mean, sigma)
    log = pd.DataFrame(marker).groupby(data["id"]).sum().to_numpy()
    design = np.column_stack([np.ones(80), once["age"]])
    counts = np.exp(design @ params["coef_n"].to_numpy().T)
    log = log + stats.poisson.logpmf(once["n"].to_numpy()[:, None], counts)
    total = special.logsumexp(log + np.log(params["weight"].to_numpy()), axis=1).sum()
    assert spec.log_likelihood(params) == pytest.approx(total, abs=1e-9)


def test_simulated_times_are_one_for_each_group():
    data = marked()
    drawn = joint(data, per="unit").fit("em", seed=1).simulate(seed=1)
    assert (drawn.groupby(data.id.to_numpy())["t"].nunique() == 1).all()


def test_times_of_a_group_that_disagree_or_are_missing():
    data = marked()
    wrong = data.assign(t=data.t + (data.index == 1))
    with pytest.raises(bmx.DataError, match="'t' has different values"):
        joint(wrong, per="unit")
    lost = data.assign(t=data.t.where(data.id != data.id[0]))
    with pytest.raises(bmx.DataError, match="in no row"):
        joint(lost, per="unit")
    with pytest.raises(bmx.SpecError, match="group="):
        bmx.Mixture([bmx.Regression("surv(t, s) ~ 1", "weibull", per="unit")], WHOLE, k=1)


def test_a_saved_model_keeps_whose_the_time_is(tmp_path):
    fit = joint(marked(), per="unit").fit("em", seed=1)
    fit.save(tmp_path / "fit.nc")
    assert bmx.load(tmp_path / "fit.nc").loglik == fit.loglik
