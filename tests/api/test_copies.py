"""What a result hands out is a copy: writing into it changes neither the result nor later ones."""

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesmix as bmx

SKIPPED = {"save", "report", "plot", "bootstrap", "relabel", "simulate"}
# They compute new numbers, slowly, and keep none.
SKIPPED |= {"loo", "waic", "evidence", "sensitivity", "stack", "diagnostics", "clusters", "to_pymc"}


def fitted(kind):
    rng = np.random.default_rng(2)
    x = rng.normal(size=80)
    data = pd.DataFrame({"x": x, "y": np.where(rng.random(80) < 0.5, 2 * x, 5 - x) + x * 0.1})
    data["y"] += rng.normal(0, 0.4, 80)
    spec = bmx.Mixture("y ~ x", data, k=2)
    if kind == "posterior":
        return spec.fit("laplace", seed=1, draws=40)
    fit = spec.fit("em", seed=1, starts=2)
    return fit.bootstrap(n=3, seed=1, progress=False) if kind == "bootstrap" else fit


def handed_out(result):
    """All arrays and tables that a result gives without being asked for more."""
    out = {}
    for name in dir(result):
        if name.startswith("_") or name in SKIPPED:
            continue
        try:
            value = getattr(result, name)
            value = value() if callable(value) else value
        except (TypeError, bmx.BayesmixError):
            continue
        if isinstance(value, np.ndarray | pd.DataFrame | pd.Series | xr.Dataset | xr.DataTree):
            out[name] = value
    return out


def arrays_of(value):
    """The arrays below a table or tree, as far as they can be reached."""
    if isinstance(value, xr.DataTree):
        return [a for node in value.subtree for a in arrays_of(node.to_dataset(inherit=False))]
    if isinstance(value, xr.Dataset):
        return [variable.values for variable in value.data_vars.values()]
    if isinstance(value, pd.DataFrame):
        return [column.to_numpy() for _, column in value.items()]
    return [np.asarray(value)]


def spoil(value):
    if isinstance(value, pd.DataFrame | pd.Series):
        value.iloc[:] = value.iloc[0]
    for array in arrays_of(value):
        if array.dtype.kind == "f" and array.flags.writeable:
            array[...] = 99


@pytest.mark.parametrize("kind", ["point", "posterior", "bootstrap"])
def test_results_hand_out_copies(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = fitted(kind)
        before = handed_out(fitted(kind))
        assert before
        for value in handed_out(result).values():
            spoil(value)
        after = handed_out(result)
    for name, value in after.items():
        if isinstance(value, xr.DataTree):
            xr.testing.assert_equal(value, before[name])
        elif isinstance(value, xr.Dataset):
            xr.testing.assert_identical(value, before[name])
        elif isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(value, before[name], check_exact=False)
        else:
            np.testing.assert_array_equal(np.asarray(value), np.asarray(before[name]), name)


def test_a_fit_that_starts_from_spoiled_parameters():
    fit = fitted("point")
    given = fit.params
    again = fit.spec.fit("em", init=given, max_iter=0).loglik
    given["coef"][:] = 99.0
    assert fit.spec.fit("em", init=fit, max_iter=0).loglik == again == pytest.approx(fit.loglik)
