"""Fits compared: criteria by hand, differences with their errors, other data refused."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx
from bayesmix import FitError, SpecError
from bayesmix.comparison import differences, fingerprint, loo, waic
from bayesmix.comparison.scores import weights
from bayesmix.likelihood import build_problem, unit_terms

PATENT = bmx.load_data("patent")
FABRIC = bmx.load_data("fabricfault")


@cache
def patent(k, **options):
    spec = bmx.Mixture("Patents ~ lgRD", PATENT, family="poisson", k=k, **options)
    return spec.fit(seed=1)


@cache
def fabric(k):
    return bmx.Mixture("Faults ~ log(Length)", FABRIC, family="poisson", k=k).fit(seed=1)


@dataclass
class Draws:
    """A posterior as the comparison sees it: normal draws around a point fit."""

    fit: bmx.PointFit
    n: int = 200
    shift: float = 0.0

    @property
    def spec(self):
        return self.fit.spec

    def point(self):
        return self.fit

    def log_lik(self):
        frozen = self.fit.spec.spec
        problem, free = build_problem(frozen), frozen.free
        rng = np.random.default_rng(7)
        theta = np.tile(self.fit._fitted.theta, (self.n, 1))
        theta[:, free] = rng.multivariate_normal(theta[0, free], self.fit.covariance(), self.n)
        values = np.array([unit_terms(problem, t)[0] for t in theta]) + self.shift
        return values[None] if frozen.rows.weight is None else values[None] * frozen.rows.weight

    def loo(self):
        frozen = self.fit.spec.spec
        return loo(self.log_lik(), frozen.rows.units.index, frozen.rows.weight)

    def waic(self):
        frozen = self.fit.spec.spec
        return waic(self.log_lik(), frozen.rows.units.index, frozen.rows.weight)

    def membership(self):
        return self.fit.membership()

    def summary(self, ci=0.95):
        names = {"estimate": "mean", "se": "sd"}
        frame = self.fit.summary(ci=ci).rename(columns=names)
        return frame[["component", "term", "effect", "mean", "sd", "lower", "upper"]]


# --- criteria of point fits ----------------------------------------------------------------


@pytest.mark.parametrize("by", ["bic", "aic", "icl", "bic_units"])
def test_point_fits_in_order(by):
    fits = {f"k{k}": patent(k) for k in (1, 2, 3, 4)}
    found = bmx.compare(fits, by=by)
    values = {name: getattr(fit, by) for name, fit in fits.items()}
    order = sorted(values, key=values.get)
    assert list(found.table.index) == order
    assert found.best == order[0] == found.best_by[by]
    assert list(found.table["rank"]) == [1, 2, 3, 4]
    assert list(found.table["value"]) == [values[name] for name in order]
    low = values[order[0]]
    assert list(found.table["difference"]) == [values[name] - low for name in order]
    assert list(found.table["df"]) == [fits[name].df for name in order]
    if by == "icl":
        assert "weight" not in found.table
    else:
        by_hand = np.exp(-(np.array([values[n] for n in order]) - low) / 2)
        assert found.table["weight"].to_numpy() == pytest.approx(by_hand / by_hand.sum())
    assert set(found.best_by) == {"bic", "aic", "icl", "bic_units"}


def test_bic_unless_all_have_draws():
    one, two = fabric(1), fabric(2)
    assert bmx.compare({"1": one, "2": two}).by == "bic"
    assert bmx.compare({"1": one, "2": Draws(two)}).by == "bic"
    assert bmx.compare({"1": Draws(one), "2": Draws(two)}).by == "loo"


@pytest.mark.parametrize(
    ("by", "gap", "words"),
    [
        ("bic", 1.5, "1.5 behind: not worth more than a bare mention."),
        ("bic", 3.0, "3.0 behind: positive evidence against it."),
        ("bic_units", 7.0, "strong evidence against it."),
        ("bic", 12.0, "very strong evidence against it."),
        ("aic", 1.0, "it has substantial support too."),
        ("aic", 5.0, "it has considerably less support."),
        ("aic", 15.0, "it has essentially no support."),
        ("icl", 3.0, "'worse' is 3.0 behind. "),
    ],
)
def test_words_for_the_size_of_a_difference(by, gap, words):
    better = patent(2)
    worse = Fake(better, **{name: getattr(better, name) + gap for name in POINT})
    verdict = bmx.compare({"worse": worse, "better": better}, by=by).verdict
    assert verdict.startswith("'better' is best by")
    assert words in verdict
    assert verdict.endswith("agree.")


POINT = ("bic", "aic", "icl", "bic_units")


class Fake:
    """A point fit with some of its values changed."""

    def __init__(self, fit, **changed):
        self._fit = fit
        self.__dict__.update(changed)

    def __getattr__(self, name):
        return getattr(self._fit, name)


def test_criteria_that_disagree():
    one = patent(2)
    other = Fake(one, bic=one.bic + 1, bic_units=one.bic_units + 1, aic=one.aic - 1)
    verdict = bmx.compare({"one": one, "other": Fake(other, icl=one.icl - 1)}, by="bic").verdict
    assert verdict.endswith("The criteria disagree: AIC and ICL prefer 'other'.")
    verdict = bmx.compare({"one": one, "other": other}, by="aic").verdict
    assert "'other' is best by AIC" in verdict
    assert verdict.endswith("The criteria disagree: BIC, ICL and BIC by units prefer 'one'.")


def test_a_degenerate_fit_is_not_ranked():
    sound = patent(2)
    collapsed = Fake(sound, bic=-1e6, status="degenerate", reasons=("a variance of zero",))
    found = bmx.compare({"collapsed": collapsed, "sound": sound}, by="bic")
    assert list(found.table.index) == ["sound", "collapsed"]
    assert found.table["warning"].tolist() == ["", "degenerate: a variance of zero"]
    assert found.table["weight"].iloc[0] == 1
    assert np.isnan(found.table["weight"].iloc[1])
    assert "'collapsed' cannot be ranked; see the warning." in found.verdict
    both = bmx.compare({"a": collapsed, "b": collapsed}, by="bic")
    assert both.verdict.startswith("No fit has a BIC that can be used")


def test_warnings_stay_with_their_fits():
    sound = patent(2)
    stopped = Fake(sound, status="max_iter", reasons=("1000 passes",), bic=sound.bic + 1)
    mode = Fake(sound, method="map", bic=sound.bic + 2)
    found = bmx.compare({"sound": sound, "stopped": stopped, "mode": mode}, by="bic")
    assert found.table["warning"].iloc[:2].tolist() == ["", "max_iter: 1000 passes"]
    assert "unless priors are flat" in found.table["warning"].iloc[2]
    assert "Mind the warnings." in found.verdict
    assert "warning" in repr(found)
    assert "warning" not in repr(bmx.compare({"a": sound, "b": sound}, by="bic"))


# --- posteriors ----------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["loo", "waic"])
def test_differences_and_their_errors_by_hand(by):
    fits = {f"k{k}": Draws(fabric(k)) for k in (1, 2)}
    found = bmx.compare(fits, by=by)
    terms = {name: getattr(f, by)().pointwise[f"elpd_{by}"].to_numpy() for name, f in fits.items()}
    best, other = sorted(terms, key=lambda name: -terms[name].sum())
    assert list(found.table.index) == [best, other]
    gap = terms[other] - terms[best]
    n = len(gap)
    spread = np.sqrt(n * ((gap - gap.mean()) ** 2).sum() / (n - 1))
    assert found.table["value"].to_list() == pytest.approx([terms[best].sum(), terms[other].sum()])
    assert found.table["difference"].to_list() == pytest.approx([0, gap.sum()])
    assert found.table["se_difference"].to_list() == pytest.approx([0, spread])
    result = getattr(fits[best], by)()
    assert found.table["p"].iloc[0] == getattr(result, f"p_{by}")
    assert found.table["se"].iloc[0] == result.se
    assert found.table["warning"].iloc[0] == result.warning
    assert ("waic" in found.best_by) == (by in ("loo", "waic"))
    assert {"bic", "aic"} < set(found.best_by)


def shifted(amounts, name="a"):
    """A posterior whose units' predictive densities differ by given amounts."""
    return Draws(fabric(1), shift=np.asarray(amounts))


@pytest.mark.parametrize(
    ("amounts", "words"),
    [
        (np.r_[np.full(31, 0.5), -12.0], "within its error (two standard errors), so LOO does not"),
        (np.full(32, -0.5), "16.0 behind in elpd, with a standard error of 0.0: more than twice"),
        (np.full(32, -0.1), "but below 4, which is small whatever the error."),
    ],
)
def test_verdict_on_a_difference(amounts, words):
    verdict = bmx.compare({"plain": Draws(fabric(1)), "other": shifted(amounts)}, by="loo").verdict
    assert words in verdict


def test_every_fit_within_the_error_is_named():
    noise = np.tile([1.0, -1.0], 16)
    fits = {"a": Draws(fabric(1)), "b": shifted(noise - 0.1), "c": shifted(noise - 0.2)}
    verdict = bmx.compare(fits, by="waic").verdict
    assert "'b' is 3.2 behind in elpd, with a standard error of 5.7: within its error" in verdict
    assert "'c' is within the error too." in verdict


def test_stacking_weights_are_the_best_mixture():
    rng = np.random.default_rng(5)
    terms = rng.normal(size=(3, 60)) + np.array([0.0, 0.3, -4.0])[:, None]
    fits = {str(i): shifted(np.zeros(32)) for i in range(3)}
    assert bmx.compare(fits, by="waic").table["weight"].sum() == pytest.approx(1)
    scores = [score_of(t) for t in terms]
    found = weights(scores, "waic")
    density = np.exp(terms)
    gain = (density / (found @ density)).mean(1)
    # The conditions of the maximum: equality where the weight is positive, else at most one.
    assert gain == pytest.approx(np.where(found > 1e-6, 1, np.minimum(gain, 1)), abs=1e-4)
    grid = np.linspace(0, 1, 2001)
    pair = weights(scores[:2], "waic")
    values = [np.log(g * density[0] + (1 - g) * density[1]).sum() for g in grid]
    assert pair[0] == pytest.approx(grid[np.argmax(values)], abs=2e-3)


def score_of(terms):
    from bayesmix.comparison.scores import Score

    return Score(terms.sum(), 0.0, 1.0, "", True, terms)


def test_point_fits_and_posteriors_together():
    ml, bayes = fabric(1), Draws(fabric(2))
    found = bmx.compare({"ML": ml, "Bayes": bayes}, by="bic")
    assert found.table.loc["Bayes", "value"] == fabric(2).bic
    assert "point()" in found.table.loc["Bayes", "warning"]
    assert found.table.loc["ML", "warning"] == ""
    with pytest.raises(FitError, match=r"'ML' is a point fit \(em\); use by='bic', or fit it with"):
        bmx.compare({"Bayes": bayes, "ML": ml}, by="loo")


def test_case_weights_count_whole_units():
    data = FABRIC.assign(w=np.r_[np.zeros(4), np.full(28, 2.0)])
    fits = {
        f"k{k}": Draws(
            bmx.Mixture("Faults ~ log(Length)", data, family="poisson", k=k, weights="w").fit(
                seed=1
            )
        )
        for k in (1, 2)
    }
    found = bmx.compare(fits, by="loo")
    assert found.verdict.endswith("a unit counts as a whole, with all its copies.")
    a, b = (f.loo().pointwise["elpd_loo"].to_numpy() for f in fits.values())
    gap = (a - b)[4:]
    assert found.table["se_difference"].iloc[1] == pytest.approx(np.sqrt(28 * gap.var(ddof=1)))


def test_a_comparison_is_frozen_and_prints():
    found = bmx.compare({"<one>": patent(2), "two": patent(3)}, by="bic")
    with pytest.raises(AttributeError):
        found.by = "aic"
    assert repr(found).startswith("Comparison by BIC (smaller is better)\n")
    assert found.verdict in " ".join(repr(found).split())
    html = found._repr_html_()
    assert "<table" in html
    assert "&lt;one&gt;" in html
    assert "<one>" not in html


def test_the_public_function_and_the_module_of_one_name():
    from bayesmix.comparison import compare
    from bayesmix.estimation.select import selection_table

    assert callable(selection_table)
    assert bmx.compare is compare
    assert bmx.plot.__name__ == "bayesmix.plot"


# --- like with like ------------------------------------------------------------------------


def poisson(data=PATENT, formula="Patents ~ lgRD", k=2, **options):
    return bmx.Mixture(formula, data, family="poisson", k=k, **options).fit(seed=1, starts=2)


GROUPED = PATENT.assign(g=np.arange(70) // 2, g2=np.arange(70) % 35, w=2.0, one=1.0)
KNOWN = PATENT.assign(known=np.where(np.arange(70) < 3, "a", None))
OTHERS = {
    "rows": (lambda: poisson(PATENT.iloc[:-1]), r"the number of rows \(70 and 69\)"),
    "order": (lambda: poisson(PATENT.iloc[::-1]), "the values of the response Patents"),
    "values": (
        lambda: poisson(PATENT.assign(Patents=PATENT["Patents"] + 1)),
        "the values of the response Patents",
    ),
    "response": (
        lambda: bmx.Mixture("log1p(Patents) ~ lgRD", PATENT, k=2).fit(seed=1),
        r"the responses \(Patents and log1p\(Patents\)\)",
    ),
    "groups": (
        lambda: poisson(GROUPED, "Patents ~ lgRD | g"),
        r"the number of units \(70 and 35\)",
    ),
    "weights": (lambda: poisson(GROUPED, weights="w"), "the case weights"),
    "labels": (lambda: poisson(KNOWN, labels="known"), "the known labels"),
}


@pytest.mark.parametrize(("other", "words"), OTHERS.values(), ids=OTHERS)
def test_fits_to_other_data_are_refused(other, words):
    with pytest.raises(SpecError, match=f"'this' and 'that' differ in {words}$"):
        bmx.compare({"this": patent(2), "that": other()}, by="bic")


def test_groups_of_equal_number_are_told_apart():
    one = poisson(GROUPED, "Patents ~ lgRD | g")
    two = poisson(GROUPED, "Patents ~ lgRD | g2")
    with pytest.raises(SpecError, match=r"differ in the units \(which rows belong together\)"):
        bmx.compare({"one": one, "two": two}, by="bic")


def test_what_may_differ():
    """Covariates, family, names, index, unit weights and the spelling of a response."""
    renamed = GROUPED.set_index(np.arange(70) + 500)
    fits = {
        "a": patent(2),
        "b": bmx.Mixture("Patents ~ 1", PATENT, family="negative_binomial", k=1).fit(seed=1),
        "c": poisson(renamed, weights="one"),
        "d": bmx.Mixture("I(Patents + 0) ~ lgRD", PATENT, family="poisson").fit(seed=1),
    }
    assert len(bmx.compare(fits, by="bic").table) == 4


def test_fingerprints():
    spec = patent(2).spec.spec
    mine = fingerprint(spec)
    assert mine == fingerprint(patent(3).spec.spec)
    assert (mine["rows"], mine["units"], list(mine["responses"])) == (70, 70, ["Patents"])
    assert mine["weights"] is mine["labels"] is None
    assert differences(mine, mine) == []
    weighted = replace(spec, rows=replace(spec.rows, weight=np.full(70, 2.0)))
    other = fingerprint(weighted)
    assert differences(mine, other) == ["the case weights"]
    assert differences(mine, other, ("rows", "responses")) == []


def test_trials_belong_to_a_binomial_response():
    frame = pd.DataFrame({"s": [1, 2, 3, 4, 5, 2], "n": [9] * 6, "m": [8] * 6})
    one, two = (
        fingerprint(bmx.Mixture(f"p(s, {n}) ~ 1", frame, family="binomial", k=1).spec)
        for n in ("n", "m")
    )
    assert differences(one, two) == ["the responses (p(s, n) and p(s, m))"]


@pytest.mark.parametrize("call", [bmx.compare, bmx.compare_estimates])
@pytest.mark.parametrize(
    ("fits", "words"),
    [
        ([1, 2], "takes a dict of names to fits"),
        ({}, "given 0 of them"),
        ({"a": 1, "b": 2}, "'a' is of type int, not a fit"),
    ],
)
def test_what_is_no_dict_of_fits(call, fits, words):
    with pytest.raises(SpecError, match=words):
        call(fits)


def test_an_unknown_criterion():
    with pytest.raises(SpecError, match=r"compare\(by='dic'\) is unknown; use one of \('loo'"):
        bmx.compare({"a": patent(2), "b": patent(3)}, by="dic")


# --- estimates side by side ----------------------------------------------------------------


def test_estimates_of_one_fit_twice():
    fit = patent(3)
    table = bmx.compare_estimates({"ML": fit, "again": fit})
    summary = fit.summary()
    assert list(table.columns) == ["component", "term", "effect"] + [
        f"{name}_{what}"
        for name in ("ML", "again")
        for what in ("estimate", "error", "lower", "upper")
    ]
    for name in ("ML", "again"):
        for mine, theirs in (("estimate", "estimate"), ("error", "se"), ("lower", "lower")):
            pd.testing.assert_series_equal(
                table[f"{name}_{mine}"], summary[theirs], check_names=False
            )
    assert table.attrs["fits"] == ["ML", "again"]


@pytest.mark.parametrize("options", [{}, {"concomitant": "~ RDS"}], ids=["constant", "concomitant"])
def test_components_are_matched_by_memberships(options):
    fit = patent(3, **options)
    moved = fit.relabel(order=[3, 1, 2])
    table = bmx.compare_estimates({"first": fit, "moved": moved})
    for what in ("estimate", "error", "lower", "upper"):
        assert table[f"first_{what}"].to_numpy() == pytest.approx(table[f"moved_{what}"].to_numpy())


def test_a_posterior_beside_a_point_fit():
    fit = patent(3)
    posterior = Draws(fit.relabel(order=[3, 1, 2]))
    table = bmx.compare_estimates({"ML": fit, "Bayes": posterior})
    # The stand-in posterior has the summary's errors; those of weights are on another scale.
    same = table["effect"] != "weight"
    for what in ("estimate", "error", "lower", "upper"):
        rows = same if what == "error" else slice(None)
        assert table.loc[rows, f"ML_{what}"].to_numpy() == pytest.approx(
            table.loc[rows, f"Bayes_{what}"].to_numpy()
        )
    turned = bmx.compare_estimates({"Bayes": posterior, "ML": fit})
    assert list(turned["component"]) == list(posterior.summary()["component"])
    assert turned["Bayes_estimate"].to_numpy() == pytest.approx(turned["ML_estimate"].to_numpy())


def test_a_posterior_keeps_its_baseline():
    fit = patent(3, concomitant="~ RDS")
    moved = Draws(fit.relabel(order=[3, 1, 2]))
    with pytest.raises(FitError, match=r"'Bayes' come in another order.* put it first"):
        bmx.compare_estimates({"ML": fit, "Bayes": moved})
    swapped = Draws(fit.relabel(order=[1, 3, 2]))
    for fits in ({"Bayes": moved, "ML": fit}, {"ML": fit, "Bayes": swapped}):
        table = bmx.compare_estimates(fits)
        assert table["ML_estimate"].to_numpy() == pytest.approx(table["Bayes_estimate"].to_numpy())


def test_fits_of_other_models_have_no_common_estimates():
    words = r"'a' has the components \[1, 2\] and 'b' \[1, 2, 3\]"
    with pytest.raises(SpecError, match=words):
        bmx.compare_estimates({"a": patent(2), "b": patent(3)})
    with pytest.raises(SpecError, match=r"'a' alone has varying 'lgRD'$"):
        bmx.compare_estimates({"a": patent(2), "b": poisson(formula="Patents ~ 1")})
    with pytest.raises(SpecError, match="'b' alone has concomitant 'Intercept', concomitant 'RDS'"):
        bmx.compare_estimates({"a": patent(2), "b": patent(2, concomitant="~ RDS")})
    with pytest.raises(SpecError, match="differ in the number of rows"):
        bmx.compare_estimates({"a": patent(2), "b": poisson(PATENT.iloc[:-1])})


def test_intervals_have_the_coverage_that_is_asked_for():
    fit = patent(2)
    table = bmx.compare_estimates({"ML": fit, "again": fit}, ci=0.5)
    narrow = fit.summary(ci=0.5)
    assert table["again_lower"].to_numpy() == pytest.approx(narrow["lower"].to_numpy())
    assert table["ML_upper"].to_numpy() == pytest.approx(narrow["upper"].to_numpy())
    with pytest.raises(FitError, match="ci="):
        bmx.compare_estimates({"ML": fit, "again": fit}, ci=95)


@pytest.mark.parametrize("method", ["em", "laplace"])
@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.filterwarnings("ignore::bayesmix.ConvergenceWarning")
def test_held_parameters_beside_estimated_ones(method, moved):
    """One component's slope is held at its estimate: so everything else stays where it is."""
    free = patent(2)
    slope = float(free.coefficients().loc["lgRD", 2])
    at = 1 if moved else 2
    start = free.relabel(order=[2, 1]) if moved else free
    held = free.spec.fit("em", init=start.params, fixed_params={(at, "lgRD"): slope})
    if method == "laplace":
        held = free.spec.fit(
            "laplace", seed=1, init=start.params, fixed_params={(at, "lgRD"): slope}
        )
    both = {"free": free, "held": held}
    for fits in (both, dict(reversed(both.items()))):
        table = bmx.compare_estimates(fits)
        row = table["held_error"].isna()
        assert row.sum() == 1
        assert table.loc[row, ["held_lower", "held_upper"]].isna().all().all()
        assert table.loc[row, "held_estimate"].item() == pytest.approx(slope)
        assert table.loc[row, "term"].item() == "lgRD"
        assert table.loc[row, "free_estimate"].item() == pytest.approx(slope)
        gap = (table["free_estimate"] - table["held_estimate"]).abs() / table["free_error"]
        assert gap.max() < (1e-3 if method == "em" else 1)


def test_estimates_may_have_other_weights():
    table = bmx.compare_estimates({"plain": patent(2), "twice": poisson(GROUPED, weights="w")})
    ratio = table["plain_error"] / table["twice_error"]
    assert table["plain_estimate"].to_numpy() == pytest.approx(table["twice_estimate"], rel=1e-5)
    assert ratio.to_numpy() == pytest.approx(np.sqrt(2), rel=1e-4)
