"""Tables print whole in 80 letters, and stay ordinary frames."""

import pickle

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx
from bayesmix.results.printing import Printed, p_value


@pytest.fixture(scope="module")
def spec():
    data = bmx.load_data("patent")
    return bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3, concomitant="~ RDS")


def check(table):
    text = repr(table)
    assert max(map(len, text.splitlines())) <= 80
    words = text.split()
    heads = [{"component": ("component", "comp.")}.get(c, (c,)) for c in table.columns]
    assert all(any(head in words for head in names) for names in heads)
    return text


def test_every_column_of_the_tables(spec):
    fit = spec.fit("em", seed=1)
    text = check(fit.summary())
    assert "<0.001" in text
    check(spec.priors())
    check(spec.fit("laplace", draws=50, seed=1).summary())
    check(bmx.select(spec, k=[1, 2], seed=1, starts=2).table)


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
