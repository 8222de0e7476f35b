"""Tables print whole in 80 letters, and stay ordinary frames."""

import pickle

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx
from bayesmix._arguments.printing import SHORT, Printed, p_value


@pytest.fixture(scope="module")
def spec():
    data = bmx.load_data("patent")
    return bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3, concomitant="~ RDS")


def check(table):
    text = repr(table)
    assert max(map(len, text.splitlines())) <= 80
    words = text.split()
    heads = [(c, SHORT.get(c, c)) for c in table.columns]
    assert all(any(head in words for head in names) for names in heads)
    return text


def test_every_column_of_the_tables(spec):
    fit = spec.fit("em", seed=1)
    text = check(fit.summary())
    assert "<0.001" in text
    check(spec.priors())
    check(spec.fit("laplace", draws=50, seed=1).summary())
    check(bmx.select(spec, k=[1, 2], seed=1, starts=2).table)


def test_long_terms_stay_on_one_line():
    trial = bmx.load_data("betablocker")
    spec = bmx.Mixture(
        "p(Deaths, Total) ~ 1 | Center", trial, family="binomial", k=3, fixed="~ Treatment"
    )
    fit = spec.fit("em", seed=1)
    text = check(fit.summary())
    assert text.count("Treatment[Treated]") == 3
    assert max(map(len, repr(fit).splitlines())) <= 80
    both = bmx.compare_estimates({"EM": fit, "Bayes": spec.fit("laplace", draws=50, seed=1)})
    head, *_, second = (part.splitlines()[0] for part in check(both).split("\n\n"))
    assert all(part.split()[0] in ("component", "comp.") for part in (head, second))
    assert head.split()[1] == second.split()[1] == "term"
    assert "<table" in fit.summary()._repr_html_()


def test_tables_of_events_and_long_ones():
    data = bmx.load_data("mgus2").head(200)
    spec = bmx.CompetingRisks(
        "surv(years, status) ~ 1", data, "event", "exponential", concomitant="~ sex + age"
    )
    table = spec.fit("em", seed=1, starts=2).event_probabilities(data)
    text = check(table)
    assert f"of {len(table)} rows x {len(table.columns)} columns]" in text
    assert len(text.splitlines()) < 20


def test_long_words_are_wrapped():
    table = Printed({"a": ["word " * 30], "b": [1.23456789], "c": ["x" * 100]})
    text = check(table)
    assert text.count("word") == 30
    assert sum(line.count("x") for line in text.splitlines()) == 100
    assert "1.235" in text


def test_rows_of_a_table_print_whole_too(spec):
    table = spec.fit("em", seed=1).summary()
    for some in (
        table.round(2),
        table.head(3),
        table.tail(3),
        table.query("effect == 'varying'"),
        table.sort_values("p_value"),
    ):
        check(some)
    assert table.sort_values("p_value")["p_value"].is_monotonic_increasing


def test_what_is_made_of_a_table_is_an_ordinary_frame(spec):
    table = spec.fit("em", seed=1).summary()
    assert isinstance(table, pd.DataFrame)
    assert type(table[["term"]]) is pd.DataFrame
    assert type(table[table["term"] == "lgRD"]) is pd.DataFrame
    again = pickle.loads(pickle.dumps(table))
    pd.testing.assert_frame_equal(pd.DataFrame(again), pd.DataFrame(table))
    assert "empty" in repr(Printed({"a": []})).lower()


@pytest.mark.parametrize(
    ("p", "text"), [(1e-9, "<0.001"), (0.00051, "<0.001"), (0.0012, "0.001"), (np.nan, "")]
)
def test_p_values(p, text):
    assert p_value(p) == text


@pytest.fixture(scope="module")
def grouped():
    trial = bmx.load_data("betablocker")
    return bmx.Mixture(
        "p(Deaths, Total) ~ 1 | Center", trial, family="binomial", k=3, fixed="~ Treatment"
    )


def test_ratios_are_exponentials_with_the_delta_method(grouped):
    fit = grouped.fit("em", seed=1)
    plain, ratio = fit.summary(), fit.summary(exp=True)
    moved = plain["effect"].isin(["fixed", "varying"])
    np.testing.assert_allclose(ratio["estimate"][moved], np.exp(plain["estimate"][moved]))
    np.testing.assert_allclose(ratio["se"][moved], (np.exp(plain["estimate"]) * plain["se"])[moved])
    for column in ("lower", "upper"):
        np.testing.assert_allclose(ratio[column][moved], np.exp(plain[column][moved]))
    assert set(ratio["scale"][moved]) == {"log"}
    pd.testing.assert_frame_equal(
        pd.DataFrame(plain[~moved]), pd.DataFrame(ratio[~moved]), check_dtype=False
    )
    np.testing.assert_array_equal(plain["p_value"], ratio["p_value"])


def test_ratios_of_draws_are_means_of_exponentials(grouped):
    posterior = grouped.fit("laplace", draws=200, seed=1)
    draws = posterior.data["posterior"]["coef"].sel(term="Treatment[Treated]")
    mean = float(np.exp(draws.isel(component=0)).mean())
    assert posterior.summary(exp=True)["mean"].iloc[0] == pytest.approx(mean)


def test_ratios_of_which_links():
    data = bmx.load_data("NregFix")
    spec = bmx.Mixture("y ~ x1", data, family="gaussian", k=2)
    with pytest.raises(bmx.FitError, match="exp=True is for coefficients on the scale of a log"):
        spec.fit("em", seed=1).summary(exp=True)


def test_sizes_name_units_and_rows(grouped):
    fit = grouped.fit("em", seed=1)
    sizes, clusters = fit.sizes(), fit.clusters()
    assert list(sizes) == ["prior", "units", "size", "post_positive", "ratio"]
    assert sizes["units"].tolist() == clusters.value_counts().sort_index().tolist()
    assert sizes["size"].tolist() == (2 * sizes["units"]).tolist()  # two arms a centre


def test_a_query_reads_the_variables_of_who_asks():
    table = bmx.Mixture("Faults ~ 1", bmx.load_data("fabricfault"), "poisson", 1).fit().summary()
    wanted = "Intercept"  # noqa: F841 - the query reads it
    assert len(table.query("term == @wanted")) == 1
    assert len(table.head(3).query("term != @wanted")) == len(table.head(3)) - 1
