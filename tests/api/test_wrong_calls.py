"""Every public function and method with values that it cannot take: our errors, nothing else.

The walk finds functions by inspection, so a new one is tried without a word here; `GIVEN`
has what a sound call of it needs.
"""

import inspect
import pickle
import re
import warnings
from operator import attrgetter
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx
from bayesmix._arguments.files import FileError
from bayesmix._arguments.memory import NotEnoughMemoryError
from bayesmix.errors import BayesmixError, UnknownNameError, UnknownOptionError

# FutureWarning: an old name of ours.
OWN = (FutureWarning, bmx.ConvergenceWarning, bmx.DegenerateWarning, bmx.IdentifiabilityWarning)


class NoText:
    def __repr__(self):
        raise RuntimeError("no text")


class NoEqual:
    __hash__ = object.__hash__

    def __eq__(self, other):
        raise RuntimeError("no comparison")


@pytest.fixture(scope="module")
def things():
    """Models and results of a few rows, by the name of their kind."""
    faults = bmx.load_data("fabricfault")
    spec = bmx.Mixture("Faults ~ log(Length)", faults, family="poisson", k=2)
    mgus = bmx.load_data("mgus2").head(60)
    events = bmx.CompetingRisks("surv(years, status) ~ 1", mgus, "event", "exponential")
    sick = pd.DataFrame({"t": [1.0, 2.0, 3.0, 1.5], "s": 1, "e": ["ill", "dead", "ill", "dead"]})
    first = bmx.CompetingRisks("surv(t, s) ~ 1", sick, "e", "exponential").fit(seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = spec.fit("em", seed=1, starts=2)
        return {
            "spec": spec,
            "fit": fit,
            "other": spec.with_k(3).fit("em", seed=1, starts=2),
            "posterior": spec.fit("laplace", draws=20, seed=1),
            "events": events,
            "events_fit": events.fit("em", seed=1, starts=2),
            "events_posterior": events.fit("laplace", draws=20, seed=1),
            "states": bmx.MultiState({"well": first}),
            "selection": bmx.select(spec, k=[1, 2], seed=1, starts=2),
            "bootstrap": fit.bootstrap(n=3, seed=1, kind="case", progress=False),
            "prior": bmx.Prior("gamma", alpha=2, beta=2),
            "faults": faults,
            "mgus": mgus,
            "first": first,
        }


def values(things):
    """Wrong for most arguments; some are right for a few."""
    yield from (None, "", "no such", "a\0b", "~ (", -1, 0, 1.5, np.nan, np.inf, 10**400, 1e300)
    yield from (True, b"x", np.array([1.0, 2.0]), np.array(["a", "b"]), np.array(3), 1j)
    yield from (np.array([None, {}], object), pd.DataFrame({"a": [1]}), pd.DataFrame())
    yield from (pd.Series([1, 2]), {}, {"a": 1}, {None: None}, [], [None], ["a"], {1})
    yield from (lambda: None, NoText(), NoEqual(), int, iter([object()]), Path("/nowhere/x"))
    yield from (pd.NA, pd.NaT, np, things["other"], things["events_fit"])


def given(things, folder):
    """What a sound call needs, by the name of the function."""
    pair = {"a": things["fit"], "b": things["other"]}
    return {
        "Mixture": {"formula": "Faults ~ 1", "data": things["faults"], "family": "poisson"},
        "CompetingRisks": {
            "formula": "surv(years, status) ~ 1",
            "data": things["mgus"],
            "event": "event",
            "family": "exponential",
        },
        "Regression": {"formula": "y ~ x"},
        "Family": {"name": "f", "params": {"r": "log"}, "location": "r", "logpdf": np.add},
        "MultiState": {"fits": {"well": things["first"]}},
        "Prior": {"kind": "gamma", "alpha": 1, "beta": 1},
        "family": {"name": "poisson"},
        "load_data": {"name": "patent"},
        "load": {"path": folder / "spec.nc"},
        "select": {"spec": things["spec"], "k": [1], "seed": 1, "starts": 1},
        "compare": {"fits": pair},
        "compare_estimates": {"fits": pair},
        "report": {"path": folder / "page.html"},
        "predictions": {"fit": things["fit"]},
        "comparisons": {"fit": things["fit"], "variables": "Length"},
        "slopes": {"fit": things["fit"], "variables": "Length"},
        "check_survival": {
            "data": things["mgus"],
            "response": "surv(years, status)",
            "event": "event",
        },
        "save": {"path": folder / "saved.nc"},
        "log_likelihood": {"params": things["fit"].params},
        "with_k": {"k": 3},
        "fit": {"starts": 1, "seed": 1},
        "restricted_mean_time": {"tau": 5.0},
        "density": {"times": [1.0]},
        "state_probabilities": {"times": [1.0]},
        "aalen_johansen": {"times": [1.0, 2.0]},
        "bootstrap": {"n": 2, "kind": "case", "seed": 1, "progress": False},
        "logpdf": {"x": 1.0},
        "quantile": {"q": 0.5},
        "sample": {"draws": 2, "rng": np.random.default_rng(1)},
        "wald": {"hypothesis": "log(Length) = 0"},
        "items": {"names": ["a", "b"]},
        "penalty_path": {"spec": things["spec"], "scale": [1.0], "starts": 1, "seed": 1},
        "pool": {"fits": [things["fit"], things["fit"]]},
        "scan": {"data": things["faults"]},
        "simulate": {"params": things["fit"].params, "seed": 1},
        "hazard": {"times": [1.0]},
        "survival": {"times": [1.0]},
        "brier_score": {"times": [1.0]},
        "calibration": {"times": [1.0]},
        "relate": {"formula": "~ Length"},
        "distal": {"formula": "Length ~ 1"},
        "predictive_check": {"statistics": {"mean": np.mean}, "draws": 5},
        "test": {"k0": 1, "kind": "vlmr"},
        "within": {"support": "positive"},
    }


# Keywords of functions that take **options.
OPTIONS = {
    "Prior": ["alpha", "mu"],
    "family": ["df", "knots", "scale"],
    "select": ["starts", "init", "tol", "fixed_params"],
    "fit": ["starts", "seed", "init", "fixed_params", "tol", "max_iter", "algorithm", "draws"],
}
SURVIVAL = ["spent", "ci", "interval", "draws", "seed"]


def public(things):
    """Names and functions: of the package, its objects and its pictures."""
    for name in bmx.__all__:
        thing = getattr(bmx, name)
        made = inspect.isclass(thing) and (issubclass(thing, (Exception, Warning)) or name in MADE)
        if callable(thing) and not made:
            yield name, thing
    for kind in OBJECTS:
        thing = things[kind]
        for name in dir(type(thing)):
            member = inspect.getattr_static(type(thing), name)
            if not name.startswith("_") and not isinstance(member, property):
                yield f"{kind}.{name}", getattr(thing, name)
    for name in bmx.plot.__all__:
        yield f"plot.{name}", getattr(bmx.plot, name)


MADE = ("PointFit", "Posterior", "CompetingRisksFit", "CompetingRisksPosterior", "Selection")
MADE += ("Bootstrap", "SurvivalCheck")
OBJECTS = "spec fit posterior events events_fit events_posterior states selection bootstrap prior"
OBJECTS = OBJECTS.split()


def sound(things, folder, title, function):
    name = title.rpartition(".")[2]
    if title == "report":
        return {"fits": things["fit"], "path": folder / "page.html"}
    if not title.startswith("plot."):
        found, takes = given(things, folder).get(name, {}), inspect.signature(function).parameters
        every = any(p.kind == p.VAR_KEYWORD for p in takes.values())
        return {key: value for key, value in found.items() if every or key in takes}
    first = {
        "fit": things["events_fit"] if name == "states" else things["other"],
        "fits": {"a": things["fit"], "b": things["other"]},
        "posterior": things["posterior"],
        "spec": things["spec"],
        "selected": things["selection"],
    }
    key = next(iter(inspect.signature(function).parameters))
    more = {"x": "Length"} if name == "effects" else {}
    shown = things["posterior"] if name == "posterior_predictive" else first[key]
    return {key: shown, **more}


def arguments(title, function):
    parameters = inspect.signature(function).parameters.values()
    open_ended = any(p.kind == p.VAR_KEYWORD for p in parameters)
    names = [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return names + (OPTIONS.get(title.rpartition(".")[2], SURVIVAL) if open_ended else [])


def outcome(function, keywords):
    """What is wrong with how a call ended, or nothing."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            function(**keywords)
        except bmx.BayesmixError as error:
            if len(str(error)) > 700:
                return f"a message of {len(str(error))} letters"
        except Exception as error:  # noqa: BLE001 - whatever comes is what is looked for
            return f"{type(error).__name__}: {error}"
    foreign = [w for w in seen if not issubclass(w.category, OWN) and w.category is not UserWarning]
    return f"{foreign[0].category.__name__}: {foreign[0].message}" if foreign else ""


def walk(things, folder, every):
    """Wrong calls that ended wrongly; each n-th of all, so that the fast test stays fast."""
    number = 0
    for title, function in public(things):
        for name in arguments(title, function):
            for value in values(things):
                number += 1
                if number % every:
                    continue
                keywords = {**sound(things, folder, title, function), name: value}
                words = outcome(function, keywords)
                plt.close("all")
                if words:
                    text = "?" if isinstance(value, NoText) else f"{value!r:.30}"
                    yield f"{title}({name}={text}): {words[:200]}"


@pytest.fixture
def folder(tmp_path, monkeypatch, things):
    monkeypatch.chdir(tmp_path)
    things["spec"].save(tmp_path / "spec.nc")
    return tmp_path


def test_a_sample_of_wrong_calls(things, folder):
    assert list(walk(things, folder, every=67)) == []


@pytest.mark.slow
def test_all_wrong_calls(things, folder):
    assert list(walk(things, folder, every=1)) == []


@pytest.mark.parametrize("to", ["a\0b", "", "\ud800", ".", "no/such/folder.parquet"])
def test_tables_go_to_files_alone(things, folder, to):
    for call in (things["fit"].membership, things["posterior"].predict, things["fit"].residuals):
        with pytest.raises(bmx.DataError):
            call(to=to)


def test_every_public_function_is_behind_the_door(things):
    open_doors = []
    for title, function in public(things):
        inner = function.__init__ if inspect.isclass(function) else function
        if arguments(title, function) and not hasattr(inner, "__wrapped__"):
            open_doors.append(title)
    assert open_doors == []


# --- habits of other packages ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "ours"),
    [
        ("fit", "bse", "summary()['se']"),
        ("posterior", "bse", "summary()['sd']"),
        ("posterior", "idata", "data"),
        ("fit", "predict_proba", "membership(newdata)"),
        ("fit", "llf", "loglik"),
        ("fit", "logLik", "loglik"),
        ("spec", "sample", "fit('nuts')"),
        ("events_fit", "median_survival_time_", "quantile_time(0.5)"),
        ("spec", "predict", "fit().predict()"),
        ("spec", "laplace", "fit('laplace')"),
        ("fit", "nuts", "spec.fit('nuts')"),
        ("spec", "predict_hazard", "fit().hazard(times, newdata)"),
        ("events_fit", "ajfit_flexsurvmix", "aalen_johansen()"),
        ("posterior", "aic", "point().aic"),
        ("fit", "waic", "spec.fit('nuts').waic()"),
        ("selection", "bic", "table['bic']"),
        ("selection", "predict_proba", "best().membership(newdata)"),
    ],
)
def test_names_of_other_packages(things, kind, name, ours):
    with pytest.raises(AttributeError, match=re.escape(f"here it is .{ours}")) as found:
        getattr(things[kind], name)
    assert isinstance(found.value, bmx.BayesmixError)
    assert not hasattr(things[kind], name)


def refused(thing, name):
    with pytest.raises(AttributeError) as found:
        getattr(thing, name)
    return found.value


def test_every_hint_names_what_is_there(things):
    from bayesmix._arguments.habits import habits

    kinds = {"point": ["fit", "events_fit"], "posterior": ["posterior", "events_posterior"]}
    kinds |= {"model": ["spec", "events"], "selection": ["selection"]}
    kinds["any"] = [kind for names in kinds.values() for kind in names]
    modules = {"bayesmix": bmx, "bayesmix.plot": bmx.plot}
    for name, row in habits()["names"].items():
        for kind, ours in row.items():
            owners = [modules[kind]] if kind in modules else [things[k] for k in kinds[kind]]
            if ours.startswith("bmx."):
                assert attrgetter(re.match(r"[\w.]+", ours)[0].removeprefix("bmx."))(bmx)
            else:
                attribute = re.match(r"\w+", ours)[0]
                assert any(hasattr(owner, attribute) for owner in owners), (name, ours)
            there = re.match(r"\w*", ours)[0] == name
            assert there or not all(hasattr(owner, name) for owner in owners), name
    # Only results of competing events have these.
    assert str(refused(things["fit"], "ajfit_flexsurvmix")) == "PointFit has no 'ajfit_flexsurvmix'"
    assert str(refused(things["fit"], "sumary")).endswith("did you mean .summary?")
    for other, name in habits()["families"].items():
        assert bmx.family(other) is bmx.family(name)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda t: bmx.Mixture("Faults ~ 1", t["faults"], n_components=2), "here it is k="),
        (
            lambda t: bmx.Mixture("Faults ~ 1", t["faults"], random_state=2),
            r"it is for fit\(\): spec.fit\(..., seed=\)",
        ),
        (lambda t: bmx.Mixture("Faults ~ 1", t["faults"], chains=2), r"spec.fit\(..., chains=\)"),
        (lambda t: bmx.Mixture("Faults ~ 1", t["faults"], strata=2), "it takes formula, data"),
        (lambda t: t["spec"].fit("nuts", cores=4), "here it is n_threads=, and chains run in"),
        (lambda t: t["fit"].bootstrap(n_jobs=2), "not needed: passes over many rows run"),
        (lambda t: t["fit"].summary(cov_type="HC0"), "here it is kind=, such as kind='robust'"),
        (lambda t: t["spec"].fit("em", random_state=4), "here it is seed="),
        (lambda t: t["spec"].fit("em", start=4), "did you mean starts=|here it is init="),
        (lambda t: t["fit"].summary(alpha=0.1), "here it is ci="),
        (lambda t: t["fit"].predict(X=t["faults"]), "here it is newdata="),
        (lambda t: t["fit"].predict(nothing=1), "it takes newdata, what, by"),
        (lambda t: bmx.compare(), "missing a required argument: 'fits'"),
    ],
)
def test_options_of_other_packages(things, call, words):
    with pytest.raises(UnknownOptionError, match=words) as found:
        call(things)
    assert isinstance(found.value, bmx.BayesmixError)
    assert isinstance(found.value, TypeError)


@pytest.mark.parametrize("name", ["Poisson", "POISSON", " poisson", "pois"])
def test_case_of_families_does_not_matter(things, name):
    spec = bmx.Mixture("Faults ~ log(Length)", things["faults"], family=name, k=2)
    assert spec.fit("em", seed=1, starts=2).loglik == things["fit"].loglik


def every_kind(error):
    yield error
    for kind in error.__subclasses__():
        yield from every_kind(kind)


def test_errors_come_back_from_another_process():
    """By pickle, and by `__new__` alone as dask makes them."""
    kinds = set(every_kind(BayesmixError))
    assert {UnknownNameError, UnknownOptionError, FileError, NotEnoughMemoryError} <= kinds
    for kind in kinds:
        error = pickle.loads(pickle.dumps(kind("what, and why")))
        assert (type(error), str(error)) == (kind, "what, and why")
        assert type(kind.__new__(kind, "what")) is kind


@pytest.mark.parametrize("numbers", [range(10**12), range(0, -(10**25), -1)])
def test_more_numbers_than_fit_into_memory(numbers):
    patents = bmx.Mixture("Patents ~ lgRD", bmx.load_data("patent"), family="poisson", k=2)
    with pytest.raises(MemoryError, match="give fewer numbers"):
        bmx.select(patents, k=numbers)
