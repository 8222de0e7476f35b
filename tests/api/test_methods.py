"""The one list of methods: what they give, what they take, who reads it."""

import inspect
import warnings

import pytest

import bayesmix as bmx
from bayesmix.cli.options import OPTIONS
from bayesmix.methods import ALGORITHMS, METHODS, call_of, named, words


@pytest.fixture(scope="module")
def spec():
    return bmx.Mixture("Faults ~ 1", bmx.load_data("fabricfault"), family="poisson", k=2)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_what_it_says(spec, name):
    quick = {"point": {"starts": 1}, "posterior": {"draws": 20}}[METHODS[name].gives]
    quick |= {"tune": 50, "chains": 1, "thin": 1, "progress": False} if name == "nuts" else {}
    fit = spec.fit(name, seed=1, **quick)
    assert isinstance(fit, {"point": bmx.PointFit, "posterior": bmx.Posterior}[METHODS[name].gives])
    assert fit.method == name
    assert words(fit.method) == METHODS[name].words


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_of_em_is_called_by_em(spec, algorithm):
    fit = spec.fit("em", seed=1, starts=1, algorithm=algorithm)
    assert (fit.method, call_of(fit.method)) == (algorithm, "em")
    assert words(algorithm)


def test_the_signature_and_the_docstring_have_the_options_of_all_methods():
    shown = set(inspect.signature(bmx.Mixture.fit).parameters) - {"self", "method"}
    assert shown == {name for method in METHODS.values() for name in method.option_names}
    listed = bmx.Mixture.fit.__doc__
    assert all(name in listed for name in shown | set(METHODS))


def test_the_command_line_offers_the_methods():
    choices = {o.commands: o.more["choices"] for o in OPTIONS if o.name == "method"}
    assert choices["fit"] == tuple(METHODS)
    assert choices["select"] == ("em", "ml", "map")
    taken = {o.name for o in OPTIONS if o.part in ("point", "draws")}
    assert taken <= {name for method in METHODS.values() for name in method.option_names}


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("em", {"draws": 10}, "draws= does not go with method='em'.*'laplace' or 'nuts'"),
        ("laplace", {"tune": 10}, "tune= does not go with method='laplace'.*'nuts'"),
        ("nuts", {"starts": 2}, "starts= does not go with method='nuts'"),
        ("em", {"nothing": 2}, "fit.. has no option nothing="),
        ("nutz", {}, r"method='nutz' is unknown; use one of \('em', 'ml'"),
        ("em", {"algorithm": "gem"}, r"algorithm='gem' is unknown; use one of \('em', 'cem'"),
        ("nuts", {"sampler": "stan"}, "sampler='stan' is unknown"),
        ("nuts", {"draws": 9}, "draws=9: the number of draws must be an integer of at least 10"),
    ],
)
def test_options_that_do_not_fit(spec, method, options, message):
    with pytest.raises(bmx.SpecError, match=message):
        spec.fit(method, **options)


def test_none_is_as_leaving_an_option_out(spec):
    for name, method in METHODS.items():
        quick = {"em": {"max_iter": 5}, "nuts": {"tune": 20, "draws": 20}}.get(name, {})
        none = {o.name: None for o in method.options}
        assert "seed" in none
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bmx.ConvergenceWarning)
            fit = spec.fit(name, **{**none, **quick})
        assert fit.method == name


def test_only_methods_that_give_points():
    assert named("map", "point").name == "map"
    with pytest.raises(bmx.SpecError, match="gives a posterior; here point fits"):
        named("nuts", "point")
