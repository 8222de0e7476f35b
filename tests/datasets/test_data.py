"""The shipped datasets against what their documentation says of them."""

import doctest
import json
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from vignette_models import flexmix_models, survival_models

import bayesmix.datasets
from bayesmix.datasets import DATASETS, describe_data, list_data, load_data
from bayesmix.errors import DataError

REFERENCE = Path(__file__).parents[1] / "reference"

SHAPES = {
    "NregFix": (200, ["x1", "x2", "w", "y", "class"]),
    "betablocker": (44, ["Deaths", "Total", "Center", "Treatment"]),
    "Mehta": (44, ["Response", "Total", "Drug", "Site"]),
    "tribolium": (27, ["Remaining", "Total", "Replicate", "Species"]),
    "trypanosome": (426, ["Dead", "Dose"]),
    "fabricfault": (32, ["Length", "Faults"]),
    "patent": (70, ["Company", "Patents", "RDS", "lgRD"]),
    "seizure": (140, ["Seizures", "Hours", "Treatment", "Day"]),
    "salmonellaTA98": (18, ["y", "x"]),
    "mgus2": (
        1384,
        "id time years status event age age10 sex hgb creat mspike dxyr ptime pstat futime "
        "death".split(),
    ),
    "jasa_transplanted": (
        69,
        "row post_days time years status event cause age age10 age_tx surgery wait_time mscore "
        "mismatch hla_a2 tx_year".split(),
    ),
    "jasa_larson_dinse": (
        65,
        "row post_days time years status event cause age age10 age_tx surgery wait_time mscore "
        "mismatch hla_a2 tx_year".split(),
    ),
    "pbc": (
        418,
        "id time years status event status_orig trt age age10 sex ascites hepato spiders edema "
        "bili log_bili chol albumin copper alk_phos ast trig platelet protime stage".split(),
    ),
}

LEVELS = {
    ("NregFix", "x2"): ["0", "1"],
    ("NregFix", "w"): ["0", "1"],
    ("betablocker", "Treatment"): ["Control", "Treated"],
    ("Mehta", "Drug"): ["New", "Control"],
    ("Mehta", "Site"): [str(site) for site in range(1, 23)],
    ("tribolium", "Replicate"): ["1", "2", "3"],
    ("tribolium", "Species"): ["Castaneum", "Confusum", "Madens"],
    ("seizure", "Treatment"): ["No", "Yes"],
    ("mgus2", "event"): ["death", "pcm"],
    ("mgus2", "sex"): ["F", "M"],
    ("jasa_transplanted", "event"): ["other", "rejection"],
    ("jasa_transplanted", "cause"): ["censored", "other", "rejection", "unknown"],
    ("jasa_larson_dinse", "event"): ["other", "rejection"],
    ("jasa_larson_dinse", "cause"): ["censored", "other", "rejection"],
    ("pbc", "event"): ["death", "transplant"],
    ("pbc", "sex"): ["f", "m"],
}

# Single cells and column sums taken from the files by hand and with awk, not with this package.
CELLS = [
    ("NregFix", 0, "x1", 0.9243371803247142),
    ("NregFix", 0, "y", 0.6758102964400161),
    ("NregFix", 3, "y", -5.704723359522317),
    ("tribolium", 6, "Remaining", 26),
    ("patent", 0, "Company", "ABBOTT LABORATORIES"),
    ("patent", 0, "lgRD", 4.0869),
    ("patent", 12, "Company", "BECTON, DICKINSON & CO"),
    ("seizure", 27, "Seizures", 42),
    ("jasa_transplanted", 0, "age", 54.2970568104038),
    ("pbc", 1, "log_bili", 0.0953101798043249),
]
SUMS = [
    ("betablocker", "Deaths", 1811),
    ("betablocker", "Total", 20290),
    ("Mehta", "Response", 69),
    ("Mehta", "Total", 1023),
    ("tribolium", "Remaining", 551),
    ("tribolium", "Total", 27 * 50),
    ("trypanosome", "Dead", 200),
    ("trypanosome", "Dose", 2148.9),
    ("fabricfault", "Length", 18805),
    ("fabricfault", "Faults", 284),
    ("patent", "Patents", 1642),
    ("patent", "RDS", 6.8059),
    ("patent", "lgRD", 91.8357),
    ("seizure", "Seizures", 2051),
    ("seizure", "Hours", 1263),
    ("seizure", "Day", 140 * 141 // 2),
    ("salmonellaTA98", "y", 524),
    ("salmonellaTA98", "x", 4428),
    ("mgus2", "time", 129465),
    ("jasa_transplanted", "post_days", 25998),
    ("jasa_larson_dinse", "post_days", 24889),
    ("pbc", "time", 801633),
]
MISSING = {
    "mgus2": {"event": 409, "hgb": 13, "creat": 30, "mspike": 11},
    "jasa_transplanted": {"event": 28, "mscore": 4, "mismatch": 4, "hla_a2": 4},
    "jasa_larson_dinse": {"event": 24},
    "pbc": {"event": 232, "trt": 106, "ascites": 106, "hepato": 106, "spiders": 106},
}
EVENTS = {
    "mgus2": {"pcm": 115, "death": 860},
    "jasa_transplanted": {"rejection": 29, "other": 12},
    "jasa_larson_dinse": {"rejection": 29, "other": 12},
    "pbc": {"transplant": 25, "death": 161},
}


def test_the_list_names_every_dataset_with_rows_and_source():
    listed = list_data()
    assert list(listed.columns) == ["name", "rows", "description", "source"]
    assert dict(zip(listed["name"], listed["rows"], strict=True)) == {
        name: rows for name, (rows, _) in SHAPES.items()
    }
    assert (listed["description"].str.len() > 20).all()
    assert listed["source"].str.contains(r"\(\d{4}\); R package (?:flexmix|survival)").all()
    assert listed.loc[listed["name"] == "seizure", "source"].item().startswith("Wang and others")
    assert load_data("seizure").attrs["source"].startswith("P. Wang, M. Puterman, I. Cockburn")
    for table in (listed, *map(describe_data, SHAPES)):
        assert "..." not in repr(table)
        assert max(map(len, repr(table).splitlines())) <= 80


def test_every_file_is_described():
    shipped = {
        path.name for path in files("bayesmix.datasets").iterdir() if path.name.endswith(".csv")
    }
    assert shipped == {f"{name}.csv" for name in DATASETS}


@pytest.mark.parametrize("name", SHAPES)
def test_rows_and_columns(name):
    rows, columns = SHAPES[name]
    frame = load_data(name)
    assert frame.shape == (rows, len(columns))
    assert list(frame.columns) == columns
    assert isinstance(frame.index, pd.RangeIndex)
    assert list(describe_data(name)["column"]) == columns


@pytest.mark.parametrize("name", SHAPES)
def test_the_header_of_the_file_holds_the_described_columns_and_no_other(name):
    header = files("bayesmix.datasets").joinpath(f"{name}.csv").read_text("ascii").splitlines()[0]
    assert header.split(",") == SHAPES[name][1]


def test_factors_and_their_levels():
    found = {
        (name, column): values.cat.categories.tolist()
        for name in SHAPES
        for column, values in load_data(name).items()
        if isinstance(values.dtype, pd.CategoricalDtype)
    }
    assert found == LEVELS


@pytest.mark.parametrize(("name", "column"), LEVELS)
def test_no_cell_falls_outside_the_levels_and_every_level_occurs(name, column):
    values = load_data(name)[column]
    assert values.isna().sum() == MISSING.get(name, {}).get(column, 0)
    assert set(values.dropna()) == set(LEVELS[name, column])
    assert not values.cat.ordered


@pytest.mark.parametrize(("name", "row", "column", "value"), CELLS)
def test_single_cells(name, row, column, value):
    assert load_data(name)[column].iloc[row] == value


@pytest.mark.parametrize(("name", "column", "total"), SUMS)
def test_column_sums(name, column, total):
    assert load_data(name)[column].sum() == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("name", SHAPES)
def test_numbers_are_those_pandas_reads(name):
    frame = load_data(name)
    inferred = pd.read_csv(str(files("bayesmix.datasets").joinpath(f"{name}.csv")))
    for column in frame.columns:
        if (name, column) not in LEVELS:
            assert frame[column].dtype == inferred[column].dtype, column
            if frame[column].dtype.kind in "if":
                # pandas 2 is off by up to 4e-14 here, so equality cannot be asked for.
                np.testing.assert_allclose(frame[column], inferred[column], rtol=1e-12)


@pytest.mark.parametrize("name", MISSING)
def test_missing_values_and_events(name):
    frame = load_data(name)
    for column, count in MISSING[name].items():
        assert frame[column].isna().sum() == count, column
    assert frame["event"].value_counts().to_dict() == EVENTS[name]


def test_the_four_without_a_mismatch_score_died_of_an_unknown_cause():
    frame = load_data("jasa_transplanted")
    four = frame[frame["mscore"].isna()]
    assert len(four) == 4
    assert (four["status"] == 1).all()
    assert four["event"].isna().all()
    assert (four["cause"] == "unknown").all()


def test_the_survival_times_are_related_as_documented():
    mgus2, jasa, pbc = (load_data(name) for name in ("mgus2", "jasa_transplanted", "pbc"))
    np.testing.assert_allclose(mgus2["years"], mgus2["time"] / 12, rtol=1e-13)
    np.testing.assert_allclose(mgus2["age10"], (mgus2["age"] - 70) / 10, atol=1e-12)
    expected = np.where(mgus2["pstat"] == 1, mgus2["ptime"], mgus2["futime"])
    np.testing.assert_array_equal(mgus2["time"], expected)
    np.testing.assert_allclose(jasa["years"], jasa["time"] / 365.25, rtol=1e-12)
    np.testing.assert_array_equal(jasa["time"], jasa["post_days"].replace(0, 0.5))
    np.testing.assert_allclose(pbc["years"], pbc["time"] / 365.25, rtol=1e-12)
    np.testing.assert_allclose(pbc["log_bili"], np.log(pbc["bili"]), rtol=1e-12, atol=1e-14)


def test_the_layout_of_the_trials():
    betablocker, mehta = load_data("betablocker"), load_data("Mehta")
    assert betablocker["Center"].tolist() == [*range(1, 23)] * 2
    assert (betablocker["Treatment"][:22] == "Control").all()
    assert (mehta["Drug"][:22] == "Control").all()
    assert mehta["Site"].tolist() == [str(site) for site in range(1, 23)] * 2
    seventh = load_data("tribolium").iloc[6]
    assert (seventh["Species"], seventh["Replicate"]) == ("Castaneum", "3")
    seizure = load_data("seizure")
    assert (seizure["Treatment"] == "No").to_numpy().nonzero()[0].tolist() == [*range(27)]


def test_attrs_tell_where_a_frame_comes_from():
    attrs = load_data("patent").attrs
    assert attrs["name"] == "patent"
    assert "1976" in attrs["description"]
    assert "Wang, I. M. Cockburn and M. L. Puterman" in attrs["source"]


def test_every_call_gives_a_frame_of_its_own():
    first = load_data("patent")
    first.loc[0, "Patents"] = -1
    assert load_data("patent").loc[0, "Patents"] == 42


@pytest.mark.parametrize("name", ["mehta", "MEHTA", "Mehta"])
def test_the_case_of_a_name_does_not_matter(name):
    assert load_data(name).attrs["name"] == "Mehta"


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("patents", "patent"),
        ("jasa", "jasa_transplanted' or 'jasa_larson_dinse"),
        ("NregFx", "NregFix"),
    ],
)
@pytest.mark.parametrize("call", [load_data, describe_data])
def test_an_unknown_name_is_refused_with_the_nearest_and_the_allowed_ones(call, given, nearest):
    with pytest.raises(DataError) as caught:
        call(given)
    message = str(caught.value)
    assert repr(given) in message
    assert f"Did you mean '{nearest}'?" in message
    assert all(name in message for name in SHAPES)


@pytest.mark.parametrize("given", ["", "qqqqqq", "../data/patent"])
def test_a_name_like_none_of_them_is_refused(given):
    with pytest.raises(DataError, match="There is no dataset"):
        load_data(given)


@pytest.mark.parametrize(
    "module", [bayesmix.datasets, bayesmix.datasets.catalogue], ids=lambda module: module.__name__
)
def test_the_examples_run(module):
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


class TestReferenceModels:
    """The models in vignette_models.py belong to the reference results, one to one."""

    @staticmethod
    def namespace():
        def record(formula, data, **options):
            return formula, data, options

        return SimpleNamespace(load_data=load_data, Mixture=record, CompetingRisks=record)

    def test_flexmix(self):
        entries = json.loads((REFERENCE / "flexmix_examples.json").read_text())["entries"]
        models = flexmix_models(self.namespace())
        assert list(models) == [entry["id"] for entry in entries]
        assert [options["k"] for _, _, options in models.values()] == [e["k"] for e in entries]
        assert [options.get("family", "gaussian") for _, _, options in models.values()] == [
            entry["family"] for entry in entries
        ]

    def test_survival(self):
        entries = json.loads((REFERENCE / "flexsurvmix_examples.json").read_text())["models"]
        events = {entry["id"]: entry["events"] for entry in entries}
        for name, (_, _, options) in survival_models(self.namespace()).items():
            assert list(options["family"]) == events[name], name
