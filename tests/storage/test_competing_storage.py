"""Competing events and survival times in files, copies and other processes."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import survival_models as models
import xarray as xr
from storage_models import manifest, rewritten

import bayesmix as bmx
from bayesmix.errors import DataError
from bayesmix.likelihood import build_problem, log_likelihood
from bayesmix.model.parts import Events

DATA = Path(__file__).parents[1] / "data"


pytestmark = [
    pytest.mark.filterwarnings(f"ignore::bayesmix.{name}")
    for name in ("DegenerateWarning", "ConvergenceWarning", "IdentifiabilityWarning")
]

# Every form of observation, family and formula once.
KEPT = (
    "mgus2_list_formula",  # rows dropped, formulas by event
    "mgus2_named_dists_reordered",  # covariates on other parameters
    "jasa69_unknown_cause",
    "pbc_anc",
    "simint_weibull_gamma",  # bounds that are missing
    "simhosp_schemes_cov",  # responses by event
    "simpartial_k3_cov",
    "simtrunc_weibull_gamma",  # delayed entry
    "illdeath_K1",
)


@pytest.fixture(scope="module", autouse=True)
def one_engine():
    """Equal to the last bit: one engine here and in the processes that read back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAYESMIX_COMPILE", "0")
        yield


def values(spec):
    """Log-likelihoods at two places, to their last digit."""
    spec = getattr(spec, "spec", spec)
    theta = np.random.default_rng(1).normal(0, 0.1, (2, spec.layout.size))
    return log_likelihood(build_problem(spec), theta).tolist()


@pytest.mark.parametrize("name", KEPT)
def test_models_come_back_equal(name, tmp_path):
    model = models.model(name)
    model.save(tmp_path / "spec.nc")
    again = bmx.load(tmp_path / "spec.nc")
    assert type(again) is bmx.CompetingRisks
    assert repr(again) == repr(model)
    assert values(again) == values(model)
    old, new = model.spec, again.spec
    assert new.layout.coordinates == old.layout.coordinates
    assert new.layout.symmetric == old.layout.symmetric
    pd.testing.assert_frame_equal(new.prepared.data, old.prepared.data)
    one, other = old.prepared.events, new.prepared.events
    before, after = old.prepared.parts[0], new.prepared.parts[0]
    assert isinstance(other, Events)
    assert list(after.regression.family) == list(before.regression.family)
    assert dict(other.partial) == dict(one.partial)
    assert (other.column, other.truncation) == (one.column, one.truncation)
    np.testing.assert_array_equal(after.allowed, before.allowed)
    for a, b in zip(before.readings, after.readings, strict=True):
        for bound in ("lower", "upper", "entry"):
            np.testing.assert_array_equal(
                getattr(a.response.times, bound), getattr(b.response.times, bound)
            )


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
@pytest.mark.parametrize("name", ["simhosp_schemes_cov", "simtrunc_weibull_gamma", "pbc_anc"])
def test_copies_and_pickles(name, again):
    model = models.model(name)
    other = again(model)
    assert repr(other) == repr(model)
    assert values(other) == values(model)


def splines():
    """Settled knots, strings that are no Categorical, partial codes, weights, a cured share."""
    data = bmx.load_data("mgus2").iloc[:400].reset_index(drop=True)
    data["what"] = data["event"].astype(object).where(data["event"].notna(), None)
    data.loc[data.index % 40 == 7, "what"] = "either"
    data.loc[data["what"] == "either", "status"] = 1
    data.loc[3, "age"] = np.nan
    data["copies"] = 1.0 + data.index % 2
    family = {
        "death": bmx.family("spline", df=2, scale="odds"),
        "pcm": bmx.family("spline", df=1),
        "cured": "cured",
    }
    return bmx.CompetingRisks(
        {
            "death": "surv(years, status) ~ age",
            "pcm": "surv(years, status) ~ 1",
            "cured": "surv(years, status) ~ 1",
        },
        data,
        "what",
        family,
        concomitant="~ sex",
        partial_events={"either": ["death", "pcm"]},
        weights="copies",
        priors={"gamma0[age]": bmx.Prior("normal", mu=0, sigma=1)},
        na_action="drop",
    )


def latent():
    """Two latent classes of survival times, and their counts."""
    rng = np.random.default_rng(1)
    second = np.arange(120) % 2 == 0
    data = pd.DataFrame(
        {
            "t1": rng.exponential(np.where(second, 4.0, 1.0)),
            "x": rng.normal(size=120),
            "count": rng.poisson(np.where(second, 2.0, 8.0)),
        }
    )
    data["t2"] = data["t1"].where(np.arange(120) % 3 > 0, np.inf)
    data.loc[5, "t1"] = np.nan
    responses = [
        bmx.Regression("surv(t1, t2, kind='interval') ~ x", family="weibull"),
        bmx.Regression("count ~ 1", family="poisson"),
    ]
    return bmx.Mixture(responses, data, k=2)


def competing():
    return models.model("mgus2_named_dists_reordered").fit(seed=1, starts=1)


def said(fit):
    """What a fit says, floats to their last digit."""
    frames = [fit.summary(), fit.membership(), fit.sizes(), fit.residuals("martingale")]
    if isinstance(fit, bmx.CompetingRisks._point_class):
        frames += [fit.quantile_time([0.25, 0.5]), fit.event_probabilities()]
    out = [frame.to_json(double_precision=15) for frame in frames]
    return [float(fit.loglik).hex(), repr(fit), *out]


MADE = {
    "competing": competing,
    "splines": lambda: splines().fit(seed=1, starts=1),
    "latent": lambda: latent().fit(seed=1, starts=2),
}


@pytest.fixture(scope="module")
def fits(one_engine):
    return {name: make() for name, make in MADE.items()}


@pytest.mark.parametrize("name", list(MADE))
def test_fits_come_back_equal(name, fits, tmp_path):
    fit = fits[name]
    fit.save(tmp_path / "fit.nc")
    again = bmx.load(tmp_path / "fit.nc")
    assert type(again) is type(fit)
    assert said(again) == said(fit)
    xr.testing.assert_identical(again.params, fit.params)
    new = fit.spec.spec.prepared.data.iloc[5:12]
    pd.testing.assert_frame_equal(again.predict(new), fit.predict(new), check_exact=True)
    again.save(tmp_path / "twice.nc")
    assert manifest(tmp_path / "twice.nc") == manifest(tmp_path / "fit.nc")
    for other in (copy.deepcopy(fit), pickle.loads(pickle.dumps(fit))):
        assert said(other) == said(fit)


def test_in_a_fresh_process(fits, tmp_path):
    for name, fit in fits.items():
        fit.save(tmp_path / f"{name}.nc")
    code = textwrap.dedent("""
        import json, sys
        from pathlib import Path
        sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]).parent)]
        import bayesmix as bmx
        from test_competing_storage import said
        out = {p.stem: said(bmx.load(p)) for p in Path(sys.argv[2]).glob("*.nc")}
        print(json.dumps(out))
    """)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(Path(__file__).parent), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {name: said(fit) for name, fit in fits.items()}


def test_an_event_that_only_dropped_rows_had(tmp_path):
    """Components and their order are those that were fitted, not those of the rows left."""
    data = pd.DataFrame(
        {
            "time": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
            "status": 1,
            "x": [np.nan, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0],
            "event": ["a", "b", "c", "b", "c", "b", None],
        }
    )
    family = {"a": "exponential", "b": "exponential", "c": "weibull"}
    spec = bmx.CompetingRisks(
        "surv(time, status) ~ 1", data, "event", family, concomitant="~ x", na_action="drop"
    )
    assert spec.components == ("a", "b", "c")
    spec.save(tmp_path / "spec.nc")
    again = bmx.load(tmp_path / "spec.nc")
    assert again.components == ("a", "b", "c")
    assert [f.name for f in again.spec.layout.blocks[0].families] == list(family.values())
    assert values(again) == values(spec)


def test_knots_are_checked(tmp_path):
    spec = splines()
    spec.save(tmp_path / "spec.nc")
    checks = manifest(tmp_path / "spec.nc")["checks"]
    assert {"the knots of 'death'", "the knots of 'pcm'"} <= set(checks)
    at = checks["the upper bounds of 'surv(years, status) of pcm'"]
    rewritten(tmp_path / "spec.nc", checks={**checks, "the knots of 'death'": at})
    with pytest.raises(DataError, match="What differs: the knots of 'death'"):
        bmx.load(tmp_path / "spec.nc")


def test_posteriors_come_back_equal(tmp_path):
    spec = splines()
    posterior = spec.fit("laplace", seed=1, draws=60)
    posterior.save(tmp_path / "posterior.nc")
    again = bmx.load(tmp_path / "posterior.nc")
    assert type(again) is type(posterior) is bmx.CompetingRisks._posterior_class
    pd.testing.assert_frame_equal(again.summary(), posterior.summary(), check_exact=True)
    pd.testing.assert_frame_equal(
        again.cured_fraction(), posterior.cured_fraction(), check_exact=True
    )
    assert again.spec._priors == spec._priors
    assert repr(again) == repr(posterior)
    assert said(again.point()) == said(posterior.point())


# --- files of format 2 ---------------------------------------------------------------------


def test_files_of_format_2():
    """Written by bayesmix 0.1.0; the numbers are flexsurv's, in reference/."""
    fit = bmx.load(DATA / "format_2_events.nc")
    assert type(fit) is bmx.CompetingRisks._point_class
    assert fit.components == ("disease1", "disease2", "disease3")
    assert fit.loglik == pytest.approx(models.REFERENCE["simpartial_k3"]["loglik"], rel=1e-6)
    spec = bmx.load(DATA / "format_2_entry.nc")
    reference = models.REFERENCE["simtrunc_weibull_gamma"]
    found = spec.fit(seed=1, starts=1)
    assert found.loglik == pytest.approx(reference["loglik"], rel=1e-6)


def written_events():
    return models.model("simpartial_k3").fit(seed=1, starts=1)


def written_entry():
    return models.model("simtrunc_weibull_gamma")


def test_models_from_before_constants_counted_weights_keep_their_columns(tmp_path):
    spec = bmx.load(DATA / "unweighted_constants.nc")
    x = np.array([1.0, 2, 4, 7, 11, 16])
    for again in (spec, bmx.load(spec.save(tmp_path / "again.nc") or tmp_path / "again.nc")):
        found = again.pymc_data()[0]["X"][:, 1]
        np.testing.assert_allclose(found, (x - x.mean()) / x.std())
