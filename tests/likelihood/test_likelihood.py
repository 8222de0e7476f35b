"""The likelihood against scipy.stats, unit by unit; its derivatives against differences of it."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import special, stats

import bayesmix as bmx
from bayesmix.families.links import get_link
from bayesmix.likelihood import build_problem, em_pass, log_likelihood, unit_terms
from bayesmix.likelihood.engine import engine, information
from bayesmix.model.fixed import hold

N = 30


def frame():
    rng = np.random.default_rng(11)
    groups = np.repeat(np.arange(10), 3)
    data = pd.DataFrame(
        {
            "x": rng.normal(size=N),
            "z": rng.normal(size=N),
            "v": rng.uniform(-1, 1, N),
            "f": pd.Categorical(np.array(["a", "b", "c"])[rng.integers(0, 3, N)]),
            "g": np.array(list("qwertyuiop"))[groups],
            "h": rng.normal(size=10)[groups],
            "trials": rng.integers(3, 12, N),
            "w": rng.integers(0, 4, N),
            "wg": rng.uniform(0.2, 3.0, 10)[groups],
            "label": np.array(["one", "two", None])[rng.integers(0, 3, N)],
            "lg": np.array(["one", "two", None])[rng.integers(0, 3, 10)[groups]],
            "y": rng.normal(1.0, 1.5, N),
            "count": rng.poisson(3.0, N),
            "zeros": rng.poisson(2.0, N) * rng.integers(0, 2, N),
            "positive": rng.gamma(2.0, 1.0, N),
        }
    )
    data["yes"] = rng.binomial(data.trials, 0.4)
    data["binary"] = rng.integers(0, 2, N)
    data["shuffled"] = rng.permutation(data["g"])
    return data


D = frame()
X, Z, V, H = (D[c].to_numpy() for c in "xzvh")


def mixture(logf, weight, units=None, w=None, labels=None, names=()):
    """sum_u w_u log sum_s m_us pi_us prod_i f_is, in plain Python.

    `logf` and `weight` are lists of the components' values for every row.
    """
    n, k = len(logf[0]), len(logf)
    units = list(range(n)) if units is None else list(units)
    total = 0.0
    for unit in dict.fromkeys(units):
        rows = [i for i in range(n) if units[i] == unit]
        known = None if labels is None or pd.isna(labels[rows[0]]) else labels[rows[0]]
        terms = [
            math.log(weight[s][rows[0]]) + sum(logf[s][i] for i in rows)
            for s in range(k)
            if known is None or s == names.index(known)
        ]
        top = max(terms)
        value = top + math.log(sum(math.exp(t - top) for t in terms))
        total += value * (1.0 if w is None else w[rows[0]])
    return total


def const(*weights):
    return [[p] * N for p in weights]


def softmax(*logits):
    """Weights by row from the logits of every component."""
    table = np.array([np.broadcast_to(v, N) for v in logits])
    return list(special.softmax(table, axis=0))


def params(coef, weight=None, logits=None, components=None, suffix=None, **dispersions):
    """A Dataset such as fit.params, from {term: values of the components}."""
    k = len(next(iter(coef.values())))
    suffix = "" if suffix is None else f"_{suffix}"
    dim = f"term{suffix}"
    variables = {
        f"coef{suffix}": (("component", dim), np.array(list(coef.values()), dtype=float).T)
    }
    variables |= {n + suffix: (("component",), np.array(v)) for n, v in dispersions.items()}
    if weight is not None:
        variables["weight"] = (("component",), np.array(weight))
    names = np.arange(1, k + 1) if components is None else np.array(components, dtype=object)
    coords = {"component": names, dim: list(coef)}
    if logits is not None:
        table = np.array(list(logits.values()), dtype=float).T
        variables["alpha"] = (("component", "concomitant_term"), table)
        coords["concomitant_term"] = list(logits)
    return xr.Dataset(variables, coords=coords)


def normal(mu, sigma):
    return stats.norm.logpdf(D["y"], mu, sigma)


def poisson(mu, y="count"):
    return stats.poisson.logpmf(D[y], mu)


def negative_binomial(mu, alpha):
    return stats.nbinom.logpmf(D["count"], alpha, alpha / (alpha + mu))


def gamma(mu, shape):
    return stats.gamma.logpdf(D["positive"], shape, scale=mu / shape)


def binomial(p):
    return stats.binom.logpmf(D["yes"], D["trials"], p)


CASES = {}


def case(make):
    CASES[make.__name__] = make
    return make


@case
def gaussian_varying():
    model = bmx.Mixture("y ~ x", D, k=2)
    at = params({"Intercept": [0, 2], "x": [1, -0.5]}, [0.3, 0.7], sigma=[0.8, 1.7])
    return model, at, mixture([normal(X, 0.8), normal(2 - 0.5 * X, 1.7)], const(0.3, 0.7))


@case
def one_component():
    model = bmx.Mixture("y ~ x", D, k=1, concomitant="~ z")
    at = params({"Intercept": [0.5], "x": [1]}, [1.0], sigma=[0.8])
    return model, at, float(normal(0.5 + X, 0.8).sum())


@case
def gaussian_shared_sigma():
    model = bmx.Mixture("y ~ x", D, k=2, dispersion="fixed")
    at = params({"Intercept": [0, 2], "x": [1, -0.5]}, [0.3, 0.7], sigma=[1.2, 1.2])
    return model, at, mixture([normal(X, 1.2), normal(2 - 0.5 * X, 1.2)], const(0.3, 0.7))


@case
def gaussian_sigma_in_blocks():
    model = bmx.Mixture("y ~ 1", D, k=3, dispersion=[1, 2])
    at = params({"Intercept": [-1, 1, 2]}, [0.2, 0.3, 0.5], sigma=[0.5, 1.5, 1.5])
    return (
        model,
        at,
        mixture([normal(-1, 0.5), normal(1, 1.5), normal(2, 1.5)], const(0.2, 0.3, 0.5)),
    )


@case
def fixed_effect_and_offsets():
    model = bmx.Mixture(
        "count ~ x + offset(log(trials))", D, family="poisson", k=2, fixed="~ z + offset(v)"
    )
    at = params({"z": [0.4, 0.4], "Intercept": [-1, 0.2], "x": [0.3, -0.1]}, [0.6, 0.4])
    shift = 0.4 * Z + V + np.log(D["trials"])
    return (
        model,
        at,
        mixture(
            [poisson(np.exp(shift - 1 + 0.3 * X)), poisson(np.exp(shift + 0.2 - 0.1 * X))],
            const(0.6, 0.4),
        ),
    )


@case
def factor_as_fixed_effect():
    model = bmx.Mixture("y ~ 1", D, k=2, fixed="~ f")
    at = params(
        {"f[b]": [0.5] * 2, "f[c]": [-0.7] * 2, "Intercept": [0, 2]}, [0.5, 0.5], sigma=[1.0, 2.0]
    )
    effect = np.select([D["f"] == "b", D["f"] == "c"], [0.5, -0.7], 0.0)
    return model, at, mixture([normal(effect, 1.0), normal(2 + effect, 2.0)], const(0.5, 0.5))


@case
def nested_blocks():
    model = bmx.Mixture("count ~ 1", D, family="poisson", k=3, nested=[("~ 0", 1), ("~ x", 2)])
    at = params({"x": [np.nan, 0.3, 0.3], "Intercept": [0.1, 1.0, 1.5]}, [0.2, 0.3, 0.5])
    return (
        model,
        at,
        mixture(
            [
                poisson(np.full(N, np.exp(0.1))),
                poisson(np.exp(1 + 0.3 * X)),
                poisson(np.exp(1.5 + 0.3 * X)),
            ],
            const(0.2, 0.3, 0.5),
        ),
    )


@case
def nested_blocks_with_own_terms():
    model = bmx.Mixture("y ~ 0", D, k=3, fixed="~ v", nested=[("~ 1 + x", 2), ("~ z", 1)])
    at = params(
        {"v": [0.5] * 3, "Intercept": [1, 1, np.nan], "x": [2, 2, np.nan], "z": [np.nan] * 2 + [3]},
        [0.2, 0.3, 0.5],
        sigma=[1.0, 2.0, 0.5],
    )
    return (
        model,
        at,
        mixture(
            [normal(0.5 * V + 1 + 2 * X, s) for s in (1.0, 2.0)] + [normal(0.5 * V + 3 * Z, 0.5)],
            const(0.2, 0.3, 0.5),
        ),
    )


def binomial_with(link, inverse):
    family = bmx.family("binomial", link=link)
    model = bmx.Mixture("p(yes, trials) ~ x", D, family=family, k=2)
    at = params({"Intercept": [-1.0, 0.5], "x": [0.3, -0.2]}, [0.4, 0.6])
    return (
        model,
        at,
        mixture(
            [binomial(inverse(-1 + 0.3 * X)), binomial(inverse(0.5 - 0.2 * X))], const(0.4, 0.6)
        ),
    )


CASES["binomial_logit"] = lambda: binomial_with("logit", special.expit)
CASES["binomial_probit"] = lambda: binomial_with("probit", stats.norm.cdf)
CASES["binomial_cloglog"] = lambda: binomial_with("cloglog", lambda e: 1 - np.exp(-np.exp(e)))


@case
def zeros_and_ones():
    model = bmx.Mixture("binary ~ x | g", D, family="binomial", k=2)
    at = params({"Intercept": [-1.0, 0.5], "x": [0.3, -0.2]}, [0.4, 0.6])
    logf = [
        stats.bernoulli.logpmf(D["binary"], special.expit(e)) for e in (-1 + 0.3 * X, 0.5 - 0.2 * X)
    ]
    return model, at, mixture(logf, const(0.4, 0.6), units=D["g"])


@case
def gamma_log():
    model = bmx.Mixture("positive ~ x", D, family="gamma", k=2)
    at = params({"Intercept": [0.2, 1.0], "x": [0.3, -0.2]}, [0.4, 0.6], shape=[2.0, 0.7])
    return (
        model,
        at,
        mixture(
            [gamma(np.exp(0.2 + 0.3 * X), 2.0), gamma(np.exp(1 - 0.2 * X), 0.7)], const(0.4, 0.6)
        ),
    )


@case
def gamma_inverse():
    family = bmx.family("gamma", link="inverse")
    model = bmx.Mixture("positive ~ x", D, family=family, k=2, dispersion="fixed")
    at = params({"Intercept": [0.9, 2.0], "x": [0.1, -0.2]}, [0.4, 0.6], shape=[2.0, 2.0])
    return (
        model,
        at,
        mixture([gamma(1 / (0.9 + 0.1 * X), 2.0), gamma(1 / (2 - 0.2 * X), 2.0)], const(0.4, 0.6)),
    )


@case
def negative_binomials():
    model = bmx.Mixture("count ~ x", D, family="negative_binomial", k=2)
    at = params({"Intercept": [0.2, 1.0], "x": [0.3, -0.2]}, [0.4, 0.6], alpha=[2.0, 40.0])
    return (
        model,
        at,
        mixture(
            [
                negative_binomial(np.exp(0.2 + 0.3 * X), 2.0),
                negative_binomial(np.exp(1 - 0.2 * X), 40.0),
            ],
            const(0.4, 0.6),
        ),
    )


@case
def negative_binomials_with_concomitants():
    """The logits are `alpha`; the dispersion of that name gets the response's."""
    model = bmx.Mixture("count ~ x", D, family="negative_binomial", k=2, concomitant="~ z")
    at = params(
        {"Intercept": [0.2, 1.0], "x": [0.3, -0.2]},
        logits={"Intercept": [0, 0.5], "z": [0, 1.5]},
        alpha_count=[2.0, 40.0],
    )
    return (
        model,
        at,
        mixture(
            [
                negative_binomial(np.exp(0.2 + 0.3 * X), 2.0),
                negative_binomial(np.exp(1 - 0.2 * X), 40.0),
            ],
            softmax(0.0, 0.5 + 1.5 * Z),
        ),
    )


@case
def student_t():
    model = bmx.Mixture("y ~ x", D, family="student_t", k=2)
    at = params(
        {"Intercept": [0.2, 1.0], "x": [0.3, -0.2]}, [0.4, 0.6], sigma=[0.5, 2.0], nu=[3.0, 8.5]
    )
    return (
        model,
        at,
        mixture(
            [
                stats.t.logpdf(D["y"], 3.0, 0.2 + 0.3 * X, 0.5),
                stats.t.logpdf(D["y"], 8.5, 1 - 0.2 * X, 2.0),
            ],
            const(0.4, 0.6),
        ),
    )


@case
def concomitants():
    model = bmx.Mixture("y ~ x", D, k=3, concomitant="~ z + v")
    at = params(
        {"Intercept": [0, 2, -2], "x": [1, -0.5, 0]},
        sigma=[0.8, 1.7, 1.0],
        logits={"Intercept": [0, 0.5, -1], "z": [0, 1, 2], "v": [0, 0.3, -0.6]},
    )
    pi = softmax(0.0, 0.5 + Z + 0.3 * V, -1 + 2 * Z - 0.6 * V)
    return model, at, mixture([normal(X, 0.8), normal(2 - 0.5 * X, 1.7), normal(-2, 1.0)], pi)


@case
def concomitants_of_groups():
    model = bmx.Mixture("y ~ x | g", D, k=2, concomitant="~ h")
    at = params(
        {"Intercept": [0, 2], "x": [1, -0.5]},
        sigma=[0.8, 1.7],
        logits={"Intercept": [0, 0.5], "h": [0, 1.5]},
    )
    return (
        model,
        at,
        mixture(
            [normal(X, 0.8), normal(2 - 0.5 * X, 1.7)], softmax(0.0, 0.5 + 1.5 * H), units=D["g"]
        ),
    )


@case
def groups_in_any_order():
    model = bmx.Mixture("y ~ x", D, k=2, group="shuffled")
    at = params({"Intercept": [0, 2], "x": [1, -0.5]}, [0.3, 0.7], sigma=[0.8, 1.7])
    return (
        model,
        at,
        mixture([normal(X, 0.8), normal(2 - 0.5 * X, 1.7)], const(0.3, 0.7), units=D["shuffled"]),
    )


@case
def weights_of_rows():
    model = bmx.Mixture("y ~ x", D, k=2, weights="w")
    at = params({"Intercept": [0, 2], "x": [1, -0.5]}, [0.3, 0.7], sigma=[0.8, 1.7])
    return model, at, mixture([normal(X, 0.8), normal(2 - 0.5 * X, 1.7)], const(0.3, 0.7), w=D["w"])


@case
def weights_of_groups():
    model = bmx.Mixture("y ~ x | g", D, k=2, weights="wg")
    at = params({"Intercept": [0, 2], "x": [1, -0.5]}, [0.3, 0.7], sigma=[0.8, 1.7])
    return (
        model,
        at,
        mixture(
            [normal(X, 0.8), normal(2 - 0.5 * X, 1.7)], const(0.3, 0.7), units=D["g"], w=D["wg"]
        ),
    )


@case
def labels():
    model = bmx.Mixture("y ~ x", D, k=3, labels="label")
    at = params(
        {"Intercept": [0, 2, -1], "x": [1, -0.5, 0]},
        [0.3, 0.5, 0.2],
        sigma=[0.8, 1.7, 1.0],
        components=["one", "two", 3],
    )
    return (
        model,
        at,
        mixture(
            [normal(X, 0.8), normal(2 - 0.5 * X, 1.7), normal(-1, 1.0)],
            const(0.3, 0.5, 0.2),
            labels=D["label"],
            names=["one", "two"],
        ),
    )


@case
def labels_of_groups_with_everything():
    model = bmx.Mixture(
        "count ~ x | g",
        D,
        family="poisson",
        k=2,
        labels="lg",
        weights="wg",
        concomitant="~ h",
        fixed="~ z",
    )
    at = params(
        {"z": [0.2, 0.2], "Intercept": [0, 1], "x": [0.3, -0.1]},
        components=["one", "two"],
        logits={"Intercept": [0, 0.5], "h": [0, 1.5]},
    )
    return (
        model,
        at,
        mixture(
            [poisson(np.exp(0.2 * Z + 0.3 * X)), poisson(np.exp(0.2 * Z + 1 - 0.1 * X))],
            softmax(0.0, 0.5 + 1.5 * H),
            units=D["g"],
            w=D["wg"],
            labels=D["lg"],
            names=["one", "two"],
        ),
    )


@case
def several_responses():
    model = bmx.Mixture(
        [
            bmx.Regression("y ~ x", dispersion="fixed"),
            bmx.Regression("count ~ 1", family="poisson", fixed="~ z"),
            bmx.Regression("p(yes, trials) ~ 1", family="binomial"),
        ],
        D,
        k=2,
        group="g",
    )
    at = xr.merge(
        [
            params({"Intercept": [0, 2], "x": [1, -0.5]}, suffix="y", sigma=[1.3, 1.3]),
            params({"z": [0.2, 0.2], "Intercept": [0.5, 1.5]}, suffix="count"),
            params({"Intercept": [-1, 0.5]}, [0.3, 0.7], suffix="p(yes, trials)").drop_vars(
                "weight"
            ),
            params({"Intercept": [0.0, 0.0]}, [0.3, 0.7])[["weight"]],
        ]
    )
    logf = [
        normal(X, 1.3) + poisson(np.exp(0.5 + 0.2 * Z)) + binomial(special.expit(-1.0)),
        normal(2 - 0.5 * X, 1.3) + poisson(np.exp(1.5 + 0.2 * Z)) + binomial(special.expit(0.5)),
    ]
    return model, at, mixture(logf, const(0.3, 0.7), units=D["g"])


@case
def zero_inflation():
    model = bmx.Mixture("zeros ~ x", D, family=["zero", "poisson"], k=2)
    at = params({"Intercept": [np.nan, 0.6], "x": [np.nan, -0.1]}, [0.4, 0.6])
    zero = np.where(D["zeros"] == 0, 0.0, -np.inf)
    return model, at, mixture([zero, poisson(np.exp(0.6 - 0.1 * X), "zeros")], const(0.4, 0.6))


@case
def gaussian_and_student_t():
    model = bmx.Mixture("y ~ x", D, family=["gaussian", "student_t"], k=2)
    at = params(
        {"Intercept": [0, 2], "x": [1, -0.5]}, [0.3, 0.7], sigma=[0.8, 1.7], nu=[np.nan, 4.0]
    )
    return (
        model,
        at,
        mixture([normal(X, 0.8), stats.t.logpdf(D["y"], 4.0, 2 - 0.5 * X, 1.7)], const(0.3, 0.7)),
    )


@case
def poisson_and_negative_binomial():
    model = bmx.Mixture(
        "count ~ 1", D, family=["poisson", "negative_binomial", "poisson"], k=3, fixed="~ x"
    )
    at = params(
        {"x": [0.2] * 3, "Intercept": [0, 1, 2]}, [0.3, 0.5, 0.2], alpha=[np.nan, 4.0, np.nan]
    )
    mu = np.exp(0.2 * X)
    return (
        model,
        at,
        mixture(
            [poisson(mu), negative_binomial(mu * np.exp(1), 4.0), poisson(mu * np.exp(2))],
            const(0.3, 0.5, 0.2),
        ),
    )


@pytest.mark.parametrize("name", CASES)
def test_log_likelihood_by_hand(name):
    model, at, expected = CASES[name]()
    assert model.log_likelihood(at) == pytest.approx(expected, rel=1e-11)
    # The parameters of the evaluated fit are those that were given.
    xr.testing.assert_allclose(model.fit(init=at, max_iter=0).params[list(at)], at, rtol=1e-12)


@pytest.mark.parametrize("name", ["weights_of_rows", "weights_of_groups"])
def test_a_weight_is_a_number_of_copies(name):
    model, at, _ = CASES[name]()
    grouped = name == "weights_of_groups"
    data = D.assign(w=D["w"] if not grouped else np.repeat([0, 1, 2, 3, 1] * 2, 3))
    model = bmx.Mixture("y ~ x", data, k=2, weights="w", group="g" if grouped else None)
    copies = pd.concat(
        [data[data["w"] > c].assign(g=lambda d, c=c: d["g"] + str(c)) for c in range(3)]
    )
    copied = bmx.Mixture("y ~ x", copies, k=2, group="g" if grouped else None)
    assert model.log_likelihood(at) == pytest.approx(copied.log_likelihood(at), rel=1e-12)
    assert model.spec.n_obs == copied.spec.n_obs == data["w"].sum()
    assert model.spec.n_units == copied.spec.n_units


def test_membership_is_the_posterior_probability():
    model, at, _ = CASES["concomitants_of_groups"]()
    evaluated = model.fit(init=at, max_iter=0)
    pi = softmax(0.0, 0.5 + 1.5 * H)
    logf = [normal(X, 0.8), normal(2 - 0.5 * X, 1.7)]
    for unit, row in evaluated.membership().iterrows():
        rows = np.flatnonzero(D["g"] == unit)
        terms = [pi[s][rows[0]] * np.exp(logf[s][rows].sum()) for s in range(2)]
        assert row.to_numpy() == pytest.approx(np.array(terms) / sum(terms), rel=1e-10)


# --- derivatives ---------------------------------------------------------------------------

LINKS = {
    "gaussian": ("identity", "log", "inverse"),
    "binomial": ("logit", "probit", "cloglog", "log", "identity"),
    "poisson": ("log", "identity"),
    "gamma": ("log", "inverse", "identity"),
    "negative_binomial": ("log", "identity"),
    "student_t": ("identity", "log", "inverse"),
    "beta": ("logit", "cloglog"),
    "inverse_gaussian": ("log",),
    "zero_inflated_poisson": ("log",),
    "zero_inflated_negative_binomial": ("log",),
    "zero_inflated_binomial": ("logit",),
    "hurdle_poisson": ("log",),
    "hurdle_negative_binomial": ("log",),
    "hurdle_gamma": ("log",),
    "hurdle_lognormal": ("identity",),
}
RESPONSES = {
    "gaussian": ("y", 1.5),
    "binomial": ("p(yes, trials)", 0.4),
    "poisson": ("count", 3.0),
    "gamma": ("positive", 2.0),
    "negative_binomial": ("count", 3.0),
    "student_t": ("y", 1.5),
    "beta": ("share", 0.4),
    "inverse_gaussian": ("positive", 2.0),
    "zero_inflated_poisson": ("count", 3.0),
    "zero_inflated_negative_binomial": ("count", 3.0),
    "zero_inflated_binomial": ("p(yes, trials)", 0.4),
    "hurdle_poisson": ("count", 3.0),
    "hurdle_negative_binomial": ("count", 3.0),
    "hurdle_gamma": ("amount", 2.0),
    "hurdle_lognormal": ("amount", 0.5),
}
STRUCTURES = {
    "varying": {"k": 3},
    "fixed": {"fixed": "~ v", "k": 2},
    "nested": {"formula": "~ 1", "nested": [("~ 0", 1), ("~ x", 1), ("~ x + v", 2)], "k": 4},
    "only nested": {"formula": "~ 0", "nested": [("~ 1", 1), ("~ 1 + x", 1)]},
    "offset": {"formula": "~ x + offset(small)"},
    "concomitant": {"concomitant": "~ z + f", "k": 3},
    "groups": {"group": "shuffled", "k": 3},
    "weights": {"weights": "w"},
    "labels": {"labels": "label", "k": 3},
    "k is 1": {"k": 1},
    "everything": {
        "formula": "~ x + offset(small)",
        "fixed": "~ v",
        "concomitant": "~ h",
        "group": "g",
        "weights": "wg",
        "labels": "lg",
        "k": 3,
    },
}
DATA = D.assign(
    small=0.05 * Z,
    share=D.positive / (1 + D.positive),
    amount=D.positive.where(D["count"] > 1, 0.0),
)


def build(family, structure, link=None, **more):
    options = dict(STRUCTURES[structure]) | more
    response = RESPONSES[family][0]
    chosen = bmx.family(family) if link is None else bmx.family(family, link=link)
    formula = response + " " + options.pop("formula", "~ x")
    return bmx.Mixture(formula, DATA, family=chosen, **options).spec


def points(spec, seed=0, n=2):
    """Random parameters near allowed means: the intercepts at the response's centre."""
    rng = np.random.default_rng(seed)
    theta = 0.15 * rng.normal(size=(n, spec.layout.size))
    for block in spec.layout.blocks:
        for s, family in enumerate(block.families):
            if family.location is None:
                continue
            predictor = block.predictors[0]
            centre = next((v for r, v in RESPONSES.values() if r == block.name), 2.0)
            eta = float(get_link(family.params[family.location]).forward(np.array(centre)))
            for term, at in zip(predictor.terms, predictor.index[s], strict=True):
                if at >= 0:
                    step = 0.04 if family.parameters[0].link.name != "log" else 0.2
                    theta[:, at] = step * abs(eta) * rng.normal(size=n) * (eta != 0)
                    if term == "Intercept":
                        theta[:, at] += eta
        for predictor in block.predictors[1:]:
            theta[:, predictor.index[predictor.index >= 0]] += 0.7
    for at, value in spec.held.items():
        theta[:, at] = value
    return theta


def slopes(function, theta, free, h=1e-3):
    """Derivatives of function(thetas) at one theta, by eight-point central differences."""
    coefficients = np.array([4 / 5, -1 / 5, 4 / 105, -1 / 280])
    out = []
    for j in free:
        step = np.zeros_like(theta)
        step[j] = h
        moved = np.array([theta + m * sign * step for m in range(1, 5) for sign in (1, -1)])
        values = np.asarray(function(moved))
        out.append(np.tensordot(coefficients, values[0::2] - values[1::2], 1) / h)
    return np.array(out)


def check_derivatives(spec):
    problem = build_problem(spec)
    free = np.flatnonzero(spec.free)
    for theta in points(spec):
        info = information(problem, theta[None])
        passed = em_pass(problem, theta[None])
        assert np.isfinite(info.loglik).all(), "the test point has density zero"
        assert passed.loglik == pytest.approx(log_likelihood(problem, theta[None]), rel=1e-12)
        numeric = slopes(lambda t: log_likelihood(problem, t), theta, free)
        scale = np.sqrt(np.abs(np.diag(passed.scoring[0]))[free]) + 1e-3
        for score in (passed.score[0, free], info.score[0, free]):
            np.testing.assert_allclose(score / scale, numeric / scale, rtol=1e-7, atol=1e-8)
        hessian = slopes(lambda t: em_pass(problem, t).score[:, free], theta, free)
        matrix = info.matrix[0][np.ix_(free, free)]
        np.testing.assert_allclose(matrix, matrix.T, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(
            matrix / np.outer(scale, scale), -hessian / np.outer(scale, scale), rtol=1e-6, atol=1e-7
        )
        assert np.linalg.eigvalsh(passed.scoring[0][np.ix_(free, free)])[0] > -1e-9


@pytest.mark.parametrize(
    ("family", "link"), [(f, link) for f, links in LINKS.items() for link in links]
)
@pytest.mark.parametrize("structure", ["varying", "everything"])
def test_derivatives_of_every_family_and_link(family, link, structure):
    check_derivatives(build(family, structure, link))


def test_the_table_of_links_has_every_family():
    without_parameters = {"zero", "point"}
    assert all(not bmx.family(name).params for name in without_parameters)
    assert set(LINKS) | without_parameters == set(bmx.families.REGRESSIONS)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("family", ["gaussian", "poisson", "gamma"])
def test_derivatives_of_every_structure(family, structure):
    check_derivatives(build(family, structure))


@pytest.mark.parametrize("dispersion", ["fixed", [1, 2], [2, 1]])
@pytest.mark.parametrize("family", ["gaussian", "gamma", "negative_binomial", "student_t"])
def test_derivatives_of_shared_dispersions(family, dispersion):
    check_derivatives(build(family, "everything", dispersion=dispersion))


@pytest.mark.parametrize(
    ("response", "families"),
    [
        ("y", ["gaussian", "student_t"]),
        ("y", ["gaussian", "gaussian", "student_t"]),
        ("count", ["zero", "poisson"]),
        ("count", ["zero", "poisson", "negative_binomial"]),
    ],
)
@pytest.mark.parametrize("concomitant", [None, "~ z"])
def test_derivatives_of_mixed_families(response, families, concomitant):
    check_derivatives(
        bmx.Mixture(
            f"{response} ~ x", DATA, family=families, k=len(families), concomitant=concomitant
        ).spec
    )


SEVERAL = {
    "rows": (
        [bmx.Regression("y ~ x"), bmx.Regression("count ~ 1", family="poisson", fixed="~ z")],
        {"k": 3, "concomitant": "~ v"},
    ),
    "groups": (
        [
            bmx.Regression("y ~ x", dispersion="fixed"),
            bmx.Regression("zeros ~ 1", family=["zero", "poisson"], fixed="~ z"),
            bmx.Regression("p(yes, trials) ~ v", family="binomial"),
        ],
        {"k": 2, "group": "g"},
    ),
}


@pytest.mark.parametrize(("regressions", "options"), SEVERAL.values(), ids=SEVERAL)
def test_derivatives_of_several_responses(regressions, options):
    check_derivatives(bmx.Mixture(regressions, DATA, **options).spec)


HELD = {
    "a weight": {(2, "weight"): 0.3},
    "the first weight": {(1, "weight"): 0.3},
    "two weights": {(1, "weight"): 0.3, (3, "weight"): 0.25},
    "all but one weight": {(1, "weight"): 0.1, (2, "weight"): 0.3, (4, "weight"): 0.2},
    "all weights": {(1, "weight"): 0.1, (2, "weight"): 0.3, (3, "weight"): 0.4, (4, "weight"): 0.2},
    "a coefficient": {(1, "x"): 0.1},
    "a dispersion and a weight": {(3, "sigma"): 1.5, (3, "weight"): 0.2},
}


@pytest.mark.parametrize("given", HELD.values(), ids=HELD)
@pytest.mark.parametrize("more", [{}, {"group": "g", "weights": "wg"}], ids=["rows", "groups"])
def test_derivatives_with_held_parameters(given, more):
    spec = hold(build("gaussian", "varying", k=4, **more), given)
    check_derivatives(spec)


@pytest.mark.parametrize("given", [v for n, v in HELD.items() if "weight" in n])
def test_held_weights_are_the_weights(given):
    spec = hold(build("gaussian", "varying", k=4), given)
    for theta in points(spec):
        weight = np.exp(spec.weights.log_weights(theta, None))[:, 0]
        assert weight.sum() == pytest.approx(1.0)
        for (component, name), value in given.items():
            if name == "weight":
                assert weight[component - 1] == pytest.approx(value)


@pytest.mark.parametrize("family", ["gaussian", "poisson", "binomial"])
def test_derivatives_by_the_kernels(monkeypatch, family):
    monkeypatch.setenv("BAYESMIX_COMPILE", "1")
    spec = build(family, "varying", concomitant="~ z", labels="label", weights="w", fixed="~ v")
    assert engine(build_problem(spec)).compiled
    check_derivatives(spec)


def test_many_rows_are_walked_over_in_blocks():
    rng = np.random.default_rng(0)
    long = pd.concat([DATA] * 3000, ignore_index=True)
    long["unit"] = rng.integers(0, 4000, len(long))
    long["y"] += rng.normal(size=len(long))
    spec = bmx.Mixture("y ~ x", long, k=2, group="unit").spec
    theta = points(spec, n=1)
    problem = build_problem(spec)
    logf = np.array(
        [
            stats.norm.logpdf(
                long["y"],
                theta[0, 2 * s] + theta[0, 2 * s + 1] * long["x"],
                np.exp(theta[0, 4 + s]),
            )
            for s in range(2)
        ]
    )
    by_unit = pd.DataFrame(logf.T).groupby(long["unit"]).sum().to_numpy()
    pi = special.log_softmax([0.0, theta[0, -1]])
    expected = special.logsumexp(by_unit + pi, axis=1).sum()
    assert log_likelihood(problem, theta)[0] == pytest.approx(expected, rel=1e-11)
    free = np.arange(spec.layout.size)
    numeric = slopes(lambda t: log_likelihood(problem, t), theta[0], free, h=1e-2)
    np.testing.assert_allclose(em_pass(problem, theta).score[0], numeric, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("name", ["poisson", "negative_binomial", "gamma"])
def test_rows_that_a_component_cannot_have_add_nothing_to_it(name):
    """The inverse of a negative predictor is no mean: 0.5 and 0.3 - 0.4 v."""
    rng = np.random.default_rng(6)
    data = pd.DataFrame({"v": rng.uniform(0, 1.5, 40), "y": rng.poisson(2.0, 40) + 1})

    def second(rows):
        spec = bmx.Mixture("y ~ v", rows, family=bmx.family(name, link="inverse"), k=2).spec
        theta = np.zeros((1, spec.layout.size))
        theta[0, :4] = 0.5, 0.0, 0.3, -0.4
        done = em_pass(build_problem(spec), theta)
        return done.score[0, 2:4], done.scoring[0, 2:4, 2:4]

    for every, possible in zip(second(data), second(data[data["v"] < 0.75]), strict=True):
        np.testing.assert_allclose(every, possible, rtol=1e-12)


# --- covariances ---------------------------------------------------------------------------


def hessian_of(problem, theta):
    free = range(len(theta))
    return slopes(
        lambda t: np.array([slopes(lambda u: log_likelihood(problem, u), one, free) for one in t]),
        theta,
        free,
        h=2e-3,
    )


@pytest.fixture(scope="module")
def misspecified():
    """A Poisson mixture for overdispersed counts of groups with weights."""
    rng = np.random.default_rng(5)
    n = 60
    group = np.repeat(np.arange(n), 4)
    x = rng.normal(size=4 * n)
    high = (rng.random(n) < 0.4)[group]
    mu = np.exp(np.where(high, 2.0, 0.3) + 0.4 * x)
    count = rng.poisson(mu * rng.gamma(3.0, 1 / 3.0, 4 * n))
    data = pd.DataFrame({"count": count, "x": x, "g": group, "w": rng.uniform(0.5, 2, n)[group]})
    return bmx.Mixture("count ~ 1 | g", data, family="poisson", k=2, fixed="~ x", weights="w").fit(
        seed=1
    )


def test_the_covariance_is_the_inverse_of_minus_the_hessian(misspecified):
    fitted = misspecified._fitted
    hessian = hessian_of(fitted.problem, fitted.theta)
    np.testing.assert_allclose(misspecified.covariance(), np.linalg.inv(-hessian), rtol=1e-5)


def test_the_robust_covariance_is_the_sandwich(misspecified):
    fitted = misspecified._fitted
    problem, theta = fitted.problem, fitted.theta
    bread = np.linalg.inv(-hessian_of(problem, theta))
    scores = slopes(
        lambda t: np.array([unit_terms(problem, one)[0] for one in t]), theta, range(len(theta))
    )
    weighted = scores * fitted.spec.rows.weight
    assert np.abs(weighted.sum(1)).max() < 1e-4  # a maximum
    np.testing.assert_allclose(
        misspecified.covariance("robust"), bread @ (weighted @ weighted.T) @ bread, rtol=1e-5
    )
    ratio = np.diag(misspecified.covariance("robust")) / np.diag(misspecified.covariance())
    assert ratio[0] > 1.3  # overdispersion: the model's own errors are too small


# --- edges ---------------------------------------------------------------------------------


def test_a_component_that_cannot_give_the_response():
    """Its derivatives do not make those of the others NaN."""
    spec = bmx.Mixture("zeros ~ x", D, family=["zero", "poisson"], k=2).spec
    problem, theta = build_problem(spec), points_of(spec, 0.1)
    info = information(problem, theta)
    assert np.isfinite(info.matrix).all()
    assert np.isfinite(em_pass(problem, theta).score).all()
    resp = unit_terms(problem, theta[0])[1]
    assert (resp[D["zeros"] > 0, 0] == 0).all()


def points_of(spec, value):
    return np.full((1, spec.layout.size), value)


def test_an_impossible_unit_gives_minus_infinity():
    known = D.assign(who=np.where(D["zeros"] > 0, "nought", None))
    model = bmx.Mixture("zeros ~ x", known, family=["zero", "poisson"], k=2, labels="who")
    problem = build_problem(model.spec)
    theta = points_of(model.spec, 0.1)
    assert log_likelihood(problem, theta)[0] == -np.inf
    assert not np.isnan(em_pass(problem, theta).score).any()
    with pytest.raises(bmx.FitError, match="finite log-likelihood"):
        model.fit(seed=1)


def test_a_linear_predictor_outside_the_links_range():
    spec = bmx.Mixture("count ~ x", D, family=bmx.family("poisson", link="identity"), k=2).spec
    theta = np.array([[3.0, 0.1, -5.0, 0.1, 0.2]])  # the second mean is negative
    problem = build_problem(spec)
    expected = (stats.poisson.logpmf(D["count"], 3 + 0.1 * X) + special.log_expit(-0.2)).sum()
    assert log_likelihood(problem, theta)[0] == pytest.approx(expected, rel=1e-12)
    assert np.isfinite(information(problem, theta).matrix).all()


EXTREME = {
    "gaussian": ("y", 1e150),
    "student_t": ("y", -1e150),
    "poisson": ("count", 10**9),
    "negative_binomial": ("count", 10**9),
    "gamma": ("positive", 1e200),
    "tiny gamma": ("positive", 1e-300),
    "binomial": ("yes", 10**9),
}


@pytest.mark.parametrize("name", EXTREME)
def test_extreme_responses_make_no_nan(name):
    family, (column, value) = name.split()[-1], EXTREME[name]
    data = D.copy()
    data[column] = data[column].astype(type(value))
    data.loc[3, column] = value
    if family == "binomial":
        data.loc[3, "trials"] = 2 * value
    formula = RESPONSES[family][0] + " ~ x"
    model = bmx.Mixture(formula, data, family=family, k=2)
    problem = build_problem(model.spec)
    for theta in points(build(family, "varying", k=2)):
        assert not np.isnan(log_likelihood(problem, theta[None])).any()
        passed = em_pass(problem, theta[None])
        assert not np.isnan(passed.loglik).any()
        assert not np.isnan(unit_terms(problem, theta)[1]).any()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = model.fit(seed=1, starts=3)
    assert np.isfinite(fit.loglik)
    assert model.log_likelihood(fit.params) == pytest.approx(fit.loglik, rel=1e-6)
