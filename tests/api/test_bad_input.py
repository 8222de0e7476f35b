"""Wrong calls: each is refused by an error of its stage whose words say what to do."""

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx
from bayesmix import DataError, FitError, FormulaError, SpecError


def frame():
    rng = np.random.default_rng(3)
    n = 24
    x = np.linspace(-1, 1, n)
    half = np.arange(n) % 2
    return pd.DataFrame(
        {
            "y": np.where(half, 2 + x, -2 - x) + 0.1 * rng.standard_normal(n),
            "count": rng.poisson(np.where(half, 8, 1)),
            "positive": rng.gamma(2.0, 1.0 + half),
            "successes": rng.binomial(9, np.where(half, 0.8, 0.2)),
            "trials": np.full(n, 9),
            "x": x,
            "z": rng.standard_normal(n),
            "f": pd.Categorical(np.array(["a", "b", "c"])[np.arange(n) % 3]),
            "g": np.repeat(np.arange(8), 3),
            "g2": np.arange(n) // 2,
            "h": np.repeat(rng.standard_normal(8), 3),
            "w": np.repeat([1.0, 2.0], n // 2),
            "label": np.where(np.arange(n) < 3, "low", None),
            "holes": np.where(np.arange(n) == 5, np.nan, 1.0),
        }
    )


D = frame()
WHERE = D["x"] > 0
FEW = {"seed": 1, "starts": 2}
PAIR = [bmx.Regression("y ~ x"), bmx.Regression("count ~ x", family="poisson")]
COUNTS = {"family": "poisson"}


def change(**columns):
    return D.assign(**columns)


def model(formula="y ~ x", data=D, **options):
    return bmx.Mixture(formula, data, **options)


@cache
def fitted(formula="y ~ x", **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model(formula, **options).fit(**FEW)


def params(**changes):
    """Parameters of a good fit, spoilt."""
    values = fitted().params
    return values.assign({name: spoil(values[name]) for name, spoil in changes.items()})


def blocks():
    return model(nested=[("~ z", 1), ("~ 0", 1)]).fit(**FEW)


# name: the call, its error, and what the message says.
DATA = {
    "column": (lambda: model("y ~ xx"), DataError, "'xx' is not in the data.*'x'"),
    "response column": (lambda: model("yy ~ x"), DataError, "'yy' is not in the data.*'y'"),
    "not a DataFrame": (lambda: model(data={"y": [1.0]}), DataError, "dict.*DataFrame"),
    "array": (lambda: model(data=D.to_numpy()), DataError, "ndarray.*DataFrame"),
    "no data": (lambda: model(data=None), DataError, "data=None is None.*takes a DataFrame"),
    "empty": (lambda: model(data=D.iloc[:0]), DataError, "no rows"),
    "column twice": (
        lambda: model(data=pd.concat([D, D[["x"]]], axis=1)),
        DataError,
        "more than one column named 'x'",
    ),
    "infinite covariate": (
        lambda: model(data=change(x=D.x.where(WHERE, np.inf))),
        DataError,
        "'x' has infinite values in 12 rows",
    ),
    "infinite response": (
        lambda: model(data=change(y=D.y.where(WHERE, -np.inf))),
        DataError,
        "'y' has infinite values",
    ),
    "missing covariate": (
        lambda: model(data=change(x=D.x.where(WHERE))),
        DataError,
        "'x': 12 rows.*na_action='drop'",
    ),
    "missing response": (
        lambda: model(data=change(y=D.y.where(WHERE))),
        DataError,
        "'y': 12 rows.*na_action='drop'",
    ),
    "missing group": (
        lambda: model(data=change(g=D.g.where(WHERE)), group="g"),
        DataError,
        "'g': 12 rows",
    ),
    "missing everywhere": (
        lambda: model(data=change(x=np.nan), na_action="drop"),
        DataError,
        "Every row.*'x': 24",
    ),
    "log of negatives": (lambda: model("y ~ log(x)"), DataError, r"'log\(x\)'.*12 rows"),
    "text response": (lambda: model("f ~ x"), DataError, "'f' is categorical.*numbers"),
    "constant response": (lambda: model(data=change(y=1.0)), DataError, "'y' has the same value"),
    "only zero counts": (
        lambda: model("count ~ x", change(count=0), **COUNTS),
        DataError,
        "same value in all 24 rows.*poisson",
    ),
    "only successes": (
        lambda: model("p(successes, trials) ~ x", change(successes=9), family="binomial"),
        DataError,
        "same value in all 24 rows.*binomial",
    ),
    "poisson of reals": (lambda: model(**COUNTS), DataError, "poisson.*counts.*24 of 24.*'y'"),
    "negative counts": (
        lambda: model("count ~ x", change(count=-D["count"] - 1), **COUNTS),
        DataError,
        "counts 0, 1, 2.*24 of 24.*another family",
    ),
    "halves as counts": (
        lambda: model("count ~ x", change(count=D["count"] + 0.5), family="negative_binomial"),
        DataError,
        "negative_binomial.*counts",
    ),
    "gamma of negatives": (
        lambda: model(family="gamma"),
        DataError,
        "gamma family allows positive numbers",
    ),
    "gamma of a zero": (
        lambda: model("positive ~ x", change(positive=D.positive.where(WHERE, 0)), family="gamma"),
        DataError,
        "positive numbers.*12 of 24",
    ),
    "binomial of counts": (
        lambda: model("count ~ x", family="binomial"),
        DataError,
        r"0/1 column or p\(successes, trials\).*p\(count, trials\)",
    ),
    "trials for gaussian": (
        lambda: model("p(successes, trials) ~ x"),
        DataError,
        "gaussian.*does not read.*binomial",
    ),
    "trials for poisson": (
        lambda: model("p(successes, trials) ~ x", **COUNTS),
        DataError,
        "poisson.*does not read.*binomial",
    ),
    "too many successes": (
        lambda: model("p(successes, trials) ~ x", change(trials=0), family="binomial"),
        DataError,
        "more successes than trials in .* rows",
    ),
    "negative trials": (
        lambda: model("p(successes, trials) ~ x", change(trials=-1), family="binomial"),
        DataError,
        "trials is negative in 24 rows",
    ),
    "half successes": (
        lambda: model("p(x, trials) ~ z", change(x=0.5), family="binomial"),
        DataError,
        "successes is not whole",
    ),
    "weights column": (lambda: model(weights="ww"), DataError, "'ww' is not in the data"),
    "weights of text": (
        lambda: model(data=change(w="many"), weights="w"),
        DataError,
        "weights column 'w' holds .*numbers",
    ),
    "negative weights": (
        lambda: model(data=change(w=-D.w), weights="w"),
        DataError,
        "24 negative .*w >= 0",
    ),
    "missing weights": (
        lambda: model(data=change(w=D.w.where(WHERE)), weights="w"),
        DataError,
        "'w': 12 rows",
    ),
    "infinite weights": (
        lambda: model(data=change(w=D.w.where(WHERE, np.inf)), weights="w"),
        DataError,
        "'w' has infinite",
    ),
    "only zero weights": (
        lambda: model(data=change(w=0.0), weights="w"),
        DataError,
        "all weights in 'w' are zero",
    ),
    "weights in a group": (
        lambda: model(data=change(w=np.arange(24.0)), weights="w", group="g"),
        DataError,
        r"weights \(w\) must be the same in all rows of a group.*8.*g = 0",
    ),
    "concomitants in a group": (
        lambda: model(concomitant="~ z", group="g"),
        DataError,
        r"concomitant.*\(~ z\) must be the same in all rows of a group",
    ),
    "labels in a group": (
        lambda: model(data=change(label=np.tile(["a", "b", "b"], 8)), labels="label", group="g"),
        DataError,
        "8 groups have rows with different labels in 'label', such as g = 0",
    ),
    "labels column": (lambda: model(labels="labell"), DataError, "'labell'.*'label'"),
    "no known label": (
        lambda: model(data=change(label=None), labels="label"),
        DataError,
        "'label' has no known label; leave labels= out",
    ),
    "labels of two types": (
        lambda: model(data=change(label=[1, "a"] * 12), labels="label"),
        DataError,
        "'label' mixes int and str; use one type",
    ),
    "group column": (lambda: model(group="gg"), DataError, "'gg' is not in the data"),
    "no value at an atom": (
        lambda: model("positive ~ x", family=["zero", "gamma"]),
        DataError,
        "no value of 'positive' is 0.*leave it out",
    ),
    "only values at an atom": (
        lambda: model("positive ~ x", change(positive=0.0), family=["zero", "gamma"]),
        DataError,
        "every value of 'positive' is at a point mass",
    ),
    "values off all atoms": (
        lambda: model("count ~ 1", family=["zero", bmx.family("point", at=1)]),
        DataError,
        "every component of 'count' is a point mass .0, 1.*give a family",
    ),
    "an atom beside columns": (
        lambda: model("mv(y, z) ~ x", family=["zero", "mvnormal"]),
        DataError,
        "2 columns, which the zero family does not read.*mvnormal",
    ),
    "an atom beside levels": (
        lambda: model("f ~ x", family=["zero", "categorical"]),
        DataError,
        "f has levels, which the zero family does not read.*'categorical'",
    ),
}

FORMULAS = {
    "no text": (
        lambda: model(3),
        FormulaError,
        "formula=3 is of type int; .* takes a formula as text",
    ),
    "no response": (lambda: model("~ x"), FormulaError, "no response; write it on the left"),
    "comparison": (lambda: model("y ~ x == 1"), FormulaError, r"'=='.*I\(x == 3\)"),
    "dot": (lambda: model("y ~ ."), FormulaError, r"'\.' .*refused.*Write the columns out"),
    "two groups": (lambda: model("y ~ x | g | g2"), FormulaError, "the one column"),
    "response on the right": (lambda: model("y ~ x + y"), FormulaError, "'y' is both the response"),
    "response in fixed": (
        lambda: model(fixed="~ log(y)"),
        FormulaError,
        "'y' is both the response and on the right",
    ),
    "response in nested": (
        lambda: model(nested=[("~ y", 1), ("~ 0", 1)]),
        FormulaError,
        "'y' is both the response",
    ),
    "response in concomitant": (
        lambda: model(concomitant="~ y"),
        FormulaError,
        "'y' is both the response",
    ),
    "fixed with response": (
        lambda: model(fixed="y ~ z"),
        FormulaError,
        "fixed formula 'y ~ z': only the main formula has a response",
    ),
    "concomitant with response": (
        lambda: model(concomitant="y ~ z"),
        FormulaError,
        "concomitant formula.*only the main formula",
    ),
    "nested with response": (
        lambda: model(nested=[("y ~ z", 1), ("~ 0", 1)]),
        FormulaError,
        "nested formula.*only the main formula",
    ),
    "fixed with group": (lambda: model(fixed="~ z | g"), FormulaError, "group='g'"),
    "nested offset": (
        lambda: model(nested=[("~ offset(z)", 1), ("~ 0", 1)]),
        FormulaError,
        "offset stands in the main or the fixed formula",
    ),
    "concomitant offset": (
        lambda: model(concomitant="~ offset(z)"),
        FormulaError,
        r"offset\(\.\.\.\) has no meaning.*remove it",
    ),
    "concomitant without term": (
        lambda: model(concomitant="~ 0"),
        FormulaError,
        "'~ 0' has no term; leave it out",
    ),
    "fixed no text": (lambda: model(fixed=1), FormulaError, "fixed=1 is of type int"),
    "limits of levels": (
        lambda: model("censored(f, lower=1) ~ x", family="categorical"),
        FormulaError,
        "levels have no limits; write f",
    ),
    "limits of columns": (
        lambda: model("truncated(mv(y, z), lower=0) ~ x", family="mvnormal"),
        FormulaError,
        "several columns have no limits",
    ),
    "two kinds of limits": (
        lambda: model("censored(truncated(y, lower=-9), upper=2) ~ x"),
        FormulaError,
        "truncated or censored, not both",
    ),
    "concomitant no text": (
        lambda: model(concomitant=1),
        FormulaError,
        "concomitant=1 is of type int",
    ),
    "nested no text": (
        lambda: model(nested=[(1, 1), ("~ z", 1)]),
        SpecError,
        "takes a list of .formula, number of components",
    ),
}

SPECS = {
    "k zero": (lambda: model(k=0), SpecError, "k=0: .* integer of at least 1"),
    "k negative": (lambda: model(k=-2), SpecError, "k=-2: .* integer of at least 1"),
    "k broken": (lambda: model(k=2.5), SpecError, "k=2.5: .* integer of at least 1"),
    "k true": (lambda: model(k=True), SpecError, "k=True: .* integer of at least 1"),
    "k text": (lambda: model(k="2"), SpecError, "k='2': .* integer of at least 1"),
    "k missing": (lambda: model(k=np.nan), SpecError, "k=nan: .* integer of at least 1"),
    "k above rows": (lambda: model(k=25), SpecError, "k=25 .* more than the 24 rows"),
    "k above groups": (
        lambda: model(group="g", k=9),
        SpecError,
        "k=9 .* more than the 8 groups; use a smaller k",
    ),
    "with_k": (lambda: model().with_k(0), SpecError, "k=0: .* integer of at least 1"),
    "labels above k": (
        lambda: model(labels="f", k=2),
        SpecError,
        r"labels name 3 components \['a', 'b', 'c'\], but k=2",
    ),
    "family": (lambda: model(family="gausian"), SpecError, "'gausian' is unknown.*'gaussian'"),
    "family empty": (lambda: model(family={}), SpecError, r"no family for the components \[1, 2\]"),
    "family of no kind": (
        lambda: model(family=3),
        SpecError,
        "family=3 is of type int; .* the name of a family",
    ),
    "families": (
        lambda: model(family=["gaussian"]),
        SpecError,
        "lists 1 families for k=2 components; give one or 2",
    ),
    "family twice": (
        lambda: model(
            "positive ~ x",
            family=[bmx.family("gamma"), bmx.family("gamma", link="inverse")],
        ),
        SpecError,
        "two different families .*'gamma'.*own name",
    ),
    "link": (
        lambda: bmx.family("poisson", link="logg"),
        SpecError,
        "link 'logg' is unknown; use one of .*log",
    ),
    "dependent columns": (
        lambda: model("y ~ x + double", change(double=2 * D.x)),
        SpecError,
        "linearly dependent columns: x, double. Remove one",
    ),
    "column of ones": (
        lambda: model("y ~ one", change(one=1.0)),
        SpecError,
        "linearly dependent columns: Intercept, one",
    ),
    "dependent on fixed": (
        lambda: model(fixed="~ double", data=change(double=2 * D.x)),
        SpecError,
        "linearly dependent columns: .*double",
    ),
    "dependent in a block": (
        lambda: model("y ~ 1", change(two=2.0), nested=[("~ x", 1), ("~ two", 1)]),
        SpecError,
        r"linearly dependent columns: .*two \(nested, component 2\)",
    ),
    "dependent concomitants": (
        lambda: model(data=change(double=2 * D.x), concomitant="~ x + double"),
        SpecError,
        "concomitant formula .* dependent columns: x, double",
    ),
    "blocks and k": (
        lambda: model("y ~ 0", nested=[("~ 1", 1), ("~ x", 2)], k=2),
        SpecError,
        r"\[1, 2\] components, 3 in all, but k=2",
    ),
    "nested text": (lambda: model(nested="~ x"), SpecError, r"nested='~ x' is a text; .*\[\("),
    "nested formulas": (lambda: model(nested=["~ x"]), SpecError, "takes a list of"),
    "nested number": (
        lambda: model(nested=3),
        SpecError,
        "nested=3 is of type int; .* takes a list",
    ),
    "nested dict": (lambda: model(nested={"~ z": 2}), SpecError, "takes a list"),
    "block of zero": (
        lambda: model(nested=[("~ z", 0), ("~ 0", 2)]),
        SpecError,
        "'~ z' has size 0; a size is an integer",
    ),
    "block of a half": (
        lambda: model(nested=[("~ z", 0.5), ("~ 0", 1)]),
        SpecError,
        "takes a list of .formula, number of components",
    ),
    "fixed and varying": (
        lambda: model(fixed="~ x"),
        SpecError,
        "term 'x' .* is both fixed and varying",
    ),
    "nested and varying": (
        lambda: model(nested=[("~ x", 1), ("~ 0", 1)]),
        SpecError,
        "term 'x' .* is both nested and varying",
    ),
    "fixed and nested": (
        lambda: model(fixed="~ z", nested=[("~ z", 1), ("~ 0", 1)]),
        SpecError,
        "term 'z' .* is both fixed and nested",
    ),
    "dispersion word": (
        lambda: model(dispersion="free"),
        SpecError,
        "dispersion='free' .*'varying', 'fixed', or the sizes.* k=2",
    ),
    "dispersion sum": (
        lambda: model(dispersion=[1, 2]),
        SpecError,
        r"dispersion=\[1, 2\] .* add up to k=2",
    ),
    "dispersion sizes": (lambda: model(dispersion=[0, 2]), SpecError, "sizes of consecutive"),
    "no dispersion": (
        lambda: model("count ~ x", dispersion="fixed", **COUNTS),
        SpecError,
        "poisson has no dispersion to share; leave dispersion= out",
    ),
    "no dispersions": (
        lambda: model("count ~ x", dispersion=[1, 1], **COUNTS),
        SpecError,
        "poisson has no dispersion",
    ),
    "groups disagree": (
        lambda: model("y ~ x | g", group="g2"),
        SpecError,
        r"groups \['g', 'g2'\] disagree",
    ),
    "group values": (lambda: model(group=D.g), SpecError, "takes the name of a column"),
    "weight values": (
        lambda: model(weights=D.w),
        SpecError,
        r"of type Series; .* takes the name of a column.*data.assign\(weights=",
    ),
    "label values": (lambda: model(labels=D.label), SpecError, "takes the name"),
    "group number": (lambda: model(group=1), SpecError, "group=1 is of type int"),
    "priors": (lambda: model(priors={"x": 1}), SpecError, r"priors\['x'\] is 1; use a bmx.Prior"),
    "priors in words": (
        lambda: model(priors="vague"),
        SpecError,
        "'vague' must be None, 'flat' or",
    ),
    "prior of nothing": (
        lambda: model(priors={"q": bmx.Prior("normal", mu=0, sigma=1)}),
        SpecError,
        "'q'",
    ),
    "prior distribution": (lambda: bmx.Prior("normall", mu=0, sigma=1), SpecError, "'normall'"),
    "prior scale": (lambda: bmx.Prior("normal", mu=0, sigma=-1), SpecError, "sigma.*positive"),
    "na_action": (
        lambda: model(na_action="omit"),
        SpecError,
        "'omit' .*'error', 'drop', 'fiml'",
    ),
    "survival": (lambda: model("surv(exp(y)) ~ z"), SpecError, "not a distribution of times"),
    "several and family": (
        lambda: bmx.Mixture(PAIR, D, family="poisson"),
        SpecError,
        "family= belongs to each bmx.Regression",
    ),
    "several and fixed": (
        lambda: bmx.Mixture(PAIR, D, fixed="~ z", dispersion=np.array([1, 1])),
        SpecError,
        "fixed, dispersion= belongs to each",
    ),
    "several texts": (
        lambda: bmx.Mixture(["y ~ x", "count ~ x"], D),
        FormulaError,
        "takes a formula as text, such as 'y ~ x', or a list of bmx.Regression",
    ),
    "none of several": (lambda: bmx.Mixture([], D), SpecError, "at least one Regression"),
    "one response twice": (
        lambda: bmx.Mixture([bmx.Regression("y ~ x"), bmx.Regression("y ~ z")], D),
        SpecError,
        "two regressions have the same response",
    ),
    "one column twice": (
        lambda: bmx.Mixture([bmx.Regression("mv(y, z) ~ x", family="mvnormal"), PAIR[0]], D),
        SpecError,
        r"two regressions have the same response \['y'\]",
    ),
    "random effects and a link": (
        lambda: model("y ~ x + (1 | g)", family=bmx.family("gaussian", link="log")),
        SpecError,
        "random effects .g. need .* identity link, not the link 'log'",
    ),
    "random effects and limits": (
        lambda: model("censored(y, lower=0) ~ x + (1 | g)"),
        SpecError,
        "responses without limits.*not censored.y, lower=0.",
    ),
    "dependent random effects": (
        lambda: model("y ~ x + (1 + z + two | g)", change(two=2 * D.z)),
        SpecError,
        "the random effects of .*: linearly dependent columns: z, two. Remove",
    ),
    "several groups": (
        lambda: bmx.Mixture([bmx.Regression("y ~ x | g"), bmx.Regression("x ~ z | g2")], D),
        SpecError,
        "groups .* disagree",
    ),
}

FITS = {
    "method": (lambda: model().fit("mcmc"), SpecError, "'mcmc' is unknown; use one of .*em.*ml"),
    "improper nuts": (
        lambda: model(priors="flat").fit("nuts"),
        SpecError,
        "'flat' makes an improper posterior.*'nuts'",
    ),
    "improper laplace": (
        lambda: model(priors="flat").fit("laplace"),
        SpecError,
        "'flat' makes an improper posterior.*'laplace'",
    ),
    "draws of em": (lambda: model().fit(draws=10), SpecError, "draws= does not go with .*'em'"),
    "starts of nuts": (lambda: model().fit("nuts", starts=2), SpecError, "starts= does not go"),
    "sampler": (lambda: model().fit("nuts", sampler="stan"), SpecError, "'stan'.*nutpie.*pymc"),
    "broken draws": (lambda: model().fit("laplace", draws=1.5), SpecError, "draws=1.5: .*integer"),
    "no chains": (lambda: model().fit("nuts", chains=0), SpecError, "chains=0: .* at least 1"),
    "algorithm of map": (
        lambda: model().fit("map", algorithm="sem"),
        SpecError,
        "'sem' belongs to method='em'",
    ),
    "no method": (lambda: model().fit(None), SpecError, "method=None is None"),
    "algorithm": (lambda: model().fit(algorithm="gem"), SpecError, "'gem' .*em.*cem.*sem"),
    "algorithm of ml": (
        lambda: model().fit("ml", algorithm="cem"),
        SpecError,
        "'cem' belongs to method='em'",
    ),
    "no starts": (lambda: model().fit(starts=0), SpecError, "starts=0: .* at least 1"),
    "broken starts": (lambda: model().fit(starts=1.5), SpecError, "starts=1.5: .* integer"),
    "starts in words": (lambda: model().fit(starts="many"), SpecError, "starts='many'"),
    "tol zero": (lambda: model().fit(tol=0), SpecError, "tol=0 .* between 0 and 1.*1e-08"),
    "tol in words": (lambda: model().fit(tol="small"), SpecError, "tol='small'"),
    "max_iter negative": (lambda: model().fit(max_iter=-1), SpecError, "max_iter=-1: .* least 0"),
    "max_iter endless": (lambda: model().fit(max_iter=np.inf), SpecError, "max_iter=inf"),
    "evaluate nothing": (lambda: model().fit(max_iter=0), SpecError, "give them as init="),
    "evaluate labels": (
        lambda: model().fit(max_iter=0, init=np.repeat([1, 2], 12)),
        SpecError,
        "evaluates given parameters",
    ),
    "evaluate another model": (
        lambda: model("y ~ z").fit(max_iter=0, init=fitted()),
        SpecError,
        r"\['Intercept', 'x'\], but the model has \['Intercept', 'z'\]",
    ),
    "seed": (lambda: model().fit(seed="one"), SpecError, "seed='one' .* integer"),
    "seed negative": (lambda: model().fit(seed=-1), SpecError, "seed=-1 .* at least 0"),
    "min_weight one": (lambda: model().fit(min_weight=1.0), SpecError, "min_weight=1.0 .*0.05"),
    "min_weight negative": (lambda: model().fit(min_weight=-0.1), SpecError, "min_weight=-0.1"),
    "min_weight and held": (
        lambda: model().fit(min_weight=0.1, fixed_params={(1, "x"): 1.0}),
        SpecError,
        "give one of the two",
    ),
    "init length": (
        lambda: model(group="g").fit(init=np.ones(5)),
        SpecError,
        "5 entries, but the model has 8 units and 24 rows",
    ),
    "init labels": (
        lambda: model().fit(init=np.repeat([0, 1], 12)),
        SpecError,
        r"labels \[0\]; the components are \[1, 2\]",
    ),
    "init columns": (lambda: model().fit(init=np.ones((24, 3))), SpecError, "3 columns for 2"),
    "init negative": (lambda: model().fit(init=-np.ones((24, 2))), SpecError, "non-negative"),
    "init missing": (lambda: model().fit(init=np.full((24, 2), np.nan)), SpecError, "positive sum"),
    "init in a group": (
        lambda: model(group="g").fit(init=np.tile([1, 2], 12)),
        SpecError,
        "constant within each group",
    ),
    "init word": (lambda: model().fit(init="random"), SpecError, "'random' and no start; give a"),
    "init solid": (lambda: model().fit(init=np.ones((24, 2, 1))), SpecError, r"\(24, 2, 1\)"),
    "init of another model": (
        lambda: model(data=D.iloc[:20]).fit(init=fitted(k=3)),
        SpecError,
        "24 entries, but the model has 20 units",
    ),
    "held component": (
        lambda: model().fit(fixed_params={(3, "x"): 1.0}),
        SpecError,
        r"\(3, 'x'\); keys are \(component, parameter\) .*\[1, 2\]",
    ),
    "held name": (
        lambda: model().fit(fixed_params={(1, "q"): 1.0}),
        SpecError,
        r"\(1, 'q'\).*\['Intercept', 'x', 'sigma', 'weight'\]",
    ),
    "held key": (
        lambda: model().fit(fixed_params={"x": 1.0}),
        SpecError,
        r"takes a dict of \(component, parameter\)",
    ),
    "held list": (
        lambda: model().fit(fixed_params=["x"]),
        SpecError,
        r"takes a dict of \(component, parameter\)",
    ),
    "held text": (
        lambda: model().fit(fixed_params={(1, "x"): "a"}),
        SpecError,
        "takes a dict of .component, parameter. to number",
    ),
    "held nan": (
        lambda: model().fit(fixed_params={(1, "x"): np.nan}),
        SpecError,
        "takes a dict of .component, parameter. to number",
    ),
    "held outside": (
        lambda: model().fit(fixed_params={(1, "sigma"): -1.0}),
        SpecError,
        "is -1; it must lie between 0 and inf",
    ),
    "held twice": (
        lambda: model(dispersion="fixed").fit(fixed_params={(1, "sigma"): 1.0, (2, "sigma"): 2.0}),
        SpecError,
        "a shared parameter at two values",
    ),
    "held weights": (
        lambda: model().fit(fixed_params={(1, "weight"): 0.7, (2, "weight"): 0.7}),
        SpecError,
        r"weights \[0.7, 0.7\] must .* add up to one",
    ),
    "held weight one": (
        lambda: model().fit(fixed_params={(1, "weight"): 1.0}),
        SpecError,
        "leave something for the other",
    ),
    "held weight among concomitants": (
        lambda: model(concomitant="~ z").fit(fixed_params={(2, "weight"): 0.5}),
        SpecError,
        r"'weight'\), but .*'alpha\[z\]'",
    ),
}

PARAMS = {
    "no Dataset": (
        lambda: model().log_likelihood({"coef": 1}),
        SpecError,
        "of type dict; .* takes a Dataset",
    ),
    "a fit": (
        lambda: model().log_likelihood(fitted()),
        SpecError,
        "of type PointFit; .* takes a Dataset",
    ),
    "variable": (
        lambda: model().log_likelihood(params().drop_vars("sigma")),
        SpecError,
        r"lack the variable 'sigma'; they have \['coef', 'weight'\]",
    ),
    "alpha": (
        lambda: model(concomitant="~ z").log_likelihood(params()),
        SpecError,
        "lack the variable 'alpha'",
    ),
    "components": (
        lambda: model().log_likelihood(params().assign_coords(component=["a", "b"])),
        SpecError,
        r"component \['a', 'b'\], but the model has \[1, 2\]",
    ),
    "too few components": (
        lambda: model(k=3).log_likelihood(params()),
        SpecError,
        r"\[1, 2\], but the model has \[1, 2, 3\]",
    ),
    "one component": (
        lambda: model().log_likelihood(params().isel(component=0)),
        SpecError,
        r"component \[\], but the model has \[1, 2\]",
    ),
    "terms": (
        lambda: model("y ~ z").log_likelihood(params()),
        SpecError,
        r"\['Intercept', 'x'\], but the model has \['Intercept', 'z'\]",
    ),
    "fixed effect": (
        lambda: model("y ~ 1", fixed="~ x").log_likelihood(
            params(coef=lambda v: 1e-14 * v).sel(term=["x", "Intercept"])
        ),
        SpecError,
        "different values to components that share",
    ),
    "shared dispersion": (
        lambda: model(dispersion="fixed").log_likelihood(params()),
        SpecError,
        r"'sigma'\] gives different values",
    ),
    "a component without the term": (
        lambda: model("y ~ 1", nested=[("~ 0", 1), ("~ x", 1)]).log_likelihood(params()),
        SpecError,
        "lack the term.*to NaN",
    ),
    "sigma": (
        lambda: model().log_likelihood(params(sigma=lambda v: -v)),
        SpecError,
        r"'sigma'\] is \[-.* between 0 and inf",
    ),
    "missing sigma": (
        lambda: model().log_likelihood(params(sigma=lambda v: v * np.nan)),
        SpecError,
        "between 0 and inf",
    ),
    "missing coefficient": (
        lambda: model().log_likelihood(params(coef=lambda v: v * np.nan)),
        SpecError,
        r"'coef'\] has missing",
    ),
    "weights beyond one": (
        lambda: model().log_likelihood(params(weight=lambda v: 2 * v)),
        SpecError,
        "positive and add up to one",
    ),
    "negative weight": (
        lambda: model().log_likelihood(params(weight=lambda v: 0 * v + [2, -1])),
        SpecError,
        r"\[2.0, -1.0\]; weights are positive",
    ),
    "missing weight": (
        lambda: model().log_likelihood(params(weight=lambda v: v * np.nan)),
        SpecError,
        "weights are positive",
    ),
    "draws": (
        lambda: model().log_likelihood(params().expand_dims(draw=3)),
        SpecError,
        "dimensions .*'draw'.*choose one draw",
    ),
    "text": (
        lambda: model().log_likelihood(params(sigma=lambda v: v.astype(str))),
        SpecError,
        "'sigma'.*numbers",
    ),
}

RESULTS = {
    "predict what": (lambda: fitted().predict(what="median"), FitError, "'median'.*mean.*weight"),
    "predict by": (lambda: fitted().predict(by="unit"), FitError, "'unit'.*'marginal'"),
    "marginal link": (
        lambda: fitted().predict(what="link", by="marginal"),
        FitError,
        "not possible; by='marginal' goes with 'mean'",
    ),
    "new column": (lambda: fitted().predict(D[["z"]]), DataError, "'x' is not in the data"),
    "new dict": (lambda: fitted().predict({"x": [1]}), DataError, "dict.*DataFrame"),
    "new missing": (
        lambda: fitted().predict(D.assign(x=D.x.where(WHERE))),
        DataError,
        "newdata has missing values in 12 of 24 rows.*x",
    ),
    "new infinite": (
        lambda: fitted().predict(pd.DataFrame({"x": [np.inf]})),
        DataError,
        "'x' has infinite",
    ),
    "new text": (
        lambda: fitted().predict(pd.DataFrame({"x": ["1"]})),
        DataError,
        "'x' was numeric.*Convert",
    ),
    "new level": (
        lambda: fitted("y ~ f").predict(pd.DataFrame({"f": ["d"]})),
        DataError,
        "'d'.*Known are 'a', 'b', 'c'",
    ),
    "new concomitant": (
        lambda: fitted(concomitant="~ z").predict(D[["x"]], what="weight"),
        DataError,
        "'z' is not in the data",
    ),
    "new concomitants in a group": (
        lambda: fitted("y ~ x | g", concomitant="~ h").predict(
            D.assign(h=np.arange(24)), what="weight"
        ),
        DataError,
        "must be the same in all rows of a group",
    ),
    "new response": (lambda: fitted().membership(D[["x"]]), DataError, "'y' is not in the data"),
    "new group": (
        lambda: fitted("y ~ x | g2").membership(D[["x", "y"]]),
        DataError,
        "'g2' is not in the data",
    ),
    "new counts": (
        lambda: fitted("count ~ x", **COUNTS).membership(change(count=-1)),
        DataError,
        "poisson.*counts",
    ),
    "relabel nothing": (lambda: fitted().relabel(), FitError, "by= .* order= .*neither"),
    "relabel twice": (lambda: fitted().relabel("x", order=[1, 2]), FitError, "both were given"),
    "relabel term": (
        lambda: fitted().relabel("q"),
        FitError,
        r"'q'\) names no term; there are \['Intercept', 'x', 'sigma', 'weight'\]",
    ),
    "relabel concomitant": (
        lambda: fitted().relabel("x", concomitant=True),
        FitError,
        "no concomitant term; there are none",
    ),
    "relabel order": (
        lambda: fitted().relabel(order=[1, 1]),
        FitError,
        r"list the components \[1, 2\] once each",
    ),
    "relabel names": (lambda: fitted().relabel(order=["1", "2"]), FitError, "once each"),
    "relabel number": (
        lambda: fitted().relabel(order=2),
        FitError,
        "a list of the components in their new order",
    ),
    "relabel blocks": (
        lambda: blocks().relabel(order=[2, 1]),
        FitError,
        "across nested, .* only interchangeable",
    ),
    "relabel known": (
        lambda: fitted(labels="label").relabel(order=[2, "low"]),
        FitError,
        "across .*labelled blocks",
    ),
    "bootstrap kind": (lambda: fitted().bootstrap(3, "wild"), FitError, "'wild'.*parametric.*case"),
    "bootstrap once": (lambda: fitted().bootstrap(1), FitError, "n=1: .* at least 2"),
    "bootstrap broken": (lambda: fitted().bootstrap(2.5), FitError, "n=2.5: .* integer"),
    "concomitant": (lambda: fitted().concomitant(), FitError, "constant weights.*fit.mixing"),
    "concomitant of one": (
        lambda: fitted(k=1, concomitant="~ z").concomitant(),
        FitError,
        "one component",
    ),
    "ci": (lambda: fitted().summary(ci=95), FitError, "ci=95 .* between 0 and 1, such as 0.95"),
    "ci in words": (lambda: fitted().summary(ci="most"), FitError, "ci='most'"),
    "covariance": (lambda: fitted().covariance("hc3"), FitError, "'hc3'.*'observed' or 'robust'"),
    "residuals": (lambda: fitted().residuals("sum"), FitError, "pearson"),
    "select nothing": (lambda: bmx.select(model(), k=[]), SpecError, r"such as range\(1, 6\)"),
    "select twice": (lambda: bmx.select(model(), k=[1, 1]), SpecError, "different numbers"),
    "select zero": (lambda: bmx.select(model(), k=[0]), SpecError, "k=0: .* at least 1"),
    "select a fit": (lambda: bmx.select(fitted()), SpecError, "takes a Mixture"),
    "select init": (lambda: bmx.select(model(), k=[1], init=1), SpecError, "leave init= out"),
    "select posteriors": (
        lambda: bmx.select(model(), k=[1, 2], method="nuts"),
        SpecError,
        "method='nuts' gives a posterior; here point fits are needed",
    ),
    "simulate seed": (lambda: fitted().simulate(seed="one"), FitError, "seed='one' is not a seed"),
    "bootstrap seed": (lambda: fitted().bootstrap(9, seed=-1), FitError, "seed=-1 is not a seed"),
    "select best": (
        lambda: bmx.select(model(), k=[1]).best("waic"),
        FitError,
        "'waic'.*bic.*icl",
    ),
    "select absent": (
        lambda: bmx.select(model(), k=[1])[2],
        KeyError,
        r"k=2 was not fitted; there are \[1\]",
    ),
    "dataset": (lambda: bmx.load_data("patents"), DataError, "'patents'.*'patent'"),
}

TABLES = {
    "data": DATA,
    "formula": FORMULAS,
    "spec": SPECS,
    "fit": FITS,
    "params": PARAMS,
    "result": RESULTS,
}


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        pytest.param(*case, id=f"{table}: {name}")
        for table, cases in TABLES.items()
        for name, case in cases.items()
    ],
)
def test_refused(call, error, words):
    with pytest.raises(error, match=f"(?s){words}") as caught:
        call()
    assert type(caught.value) is error


def test_what_only_looks_wrong_is_accepted():
    assert model().df == fitted().df  # "holes" has a missing value, but is in no formula
    assert model(data=change(x=D.x.where(WHERE)), na_action="drop").n_dropped == 12
    assert model(k=2.0).k == 2
    assert model(nested=[]).df == model().df
    trials = model(
        "p(successes, trials) ~ x",
        fixed="~ log(trials)",
        data=change(trials=9 + np.arange(24)),
        family="binomial",
    )
    assert "log(trials)" in trials.spec.layout.blocks[0].predictors[0].terms


def test_labels_that_became_floats_are_integers():
    known = change(label=np.where(np.arange(24) < 3, 1.0, np.nan))
    assert [type(c) for c in model(data=known, labels="label").components] == [int, int]


@pytest.mark.parametrize("times", [[1.0, np.nan], (np.inf,)])
def test_a_list_that_is_not_finite_is_called_so(times):
    fit = bmx.Mixture("surv(t) ~ 1", pd.DataFrame({"t": [1.0, 2, 4]}), "exponential", k=1).fit()
    with pytest.raises(bmx.FitError, match=r"is not finite throughout; .* a list of numbers"):
        fit.survival(times)
