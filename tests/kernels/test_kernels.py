"""The compiled passes against plain NumPy, finite differences, and their own cache."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, gammaln, log_expit, logsumexp, softmax

import bayesmix.kernels as kernels
from bayesmix.kernels import FAMILIES, KernelFamily, em_pass, information_pass, logterms_pass
from bayesmix.kernels._call import chunk_bounds

S, P, Q, N = 3, 6, 3, 1500  # five whole blocks and a part of one

# ------------------------------------------------------------------ the reference, in plain NumPy


def gaussian_parts(y, aux, const, eta, sigma):
    z = (y - eta) / sigma
    logf = const - 0.5 * np.log(2 * np.pi) - np.log(sigma) - z**2 / 2
    return logf, z / sigma, np.broadcast_to(sigma**-2.0, z.shape), (y - eta) ** 2


def poisson_parts(y, aux, const, eta, _):
    return y * eta - np.exp(eta) + const, y - np.exp(eta), np.exp(eta), None


def binomial_parts(y, aux, const, eta, _):
    p = expit(eta)
    logf = const + y * log_expit(eta) + (aux - y) * log_expit(-eta)
    return logf, y - aux * p, aux * p * expit(-eta), None


PARTS = {"gaussian": gaussian_parts, "poisson": poisson_parts, "binomial": binomial_parts}


def reference(family, X, y, coef, disp=None, **data):
    """Every sum of an EM pass from (n, S) arrays."""
    n, s = len(y), len(coef)
    weight = data.get("weight", np.ones(n))
    eta = X @ coef.T + np.reshape(data.get("offset", np.zeros(n)), (n, 1))
    aux, const = (np.reshape(data.get(name, np.zeros(n)), (n, 1)) for name in ("aux", "const"))
    logf, d1, w, statistic = PARTS[family](y[:, None], aux, const, eta, disp)
    Z = data.get("Z")
    logits = np.tile(data["logprior"], (n, 1)) if Z is None else Z @ data["alpha"].T
    pi = softmax(logits, axis=1)
    joint = logits - logsumexp(logits, axis=1, keepdims=True) + logf
    if "allowed" in data:
        joint = np.where(data["allowed"], joint, -np.inf)
    total = logsumexp(joint, axis=1)
    r = np.exp(joint - total[:, None])
    rw = r * weight[:, None]
    result = {
        "loglik": weight @ total,
        "rsum": rw.sum(0),
        "score": (rw * d1).T @ X,
        "gram": np.einsum("is,ij,ik->sjk", rw * w, X, X),
        "posterior": r,
    }
    if statistic is not None:
        result["ssq"] = (rw * statistic).sum(0)
    if Z is not None:
        result["zscore"] = (weight[:, None] * (r - pi)).T @ Z
        v = weight[:, None, None] * (pi[:, :, None] * np.eye(s) - pi[:, :, None] * pi[:, None, :])
        q = Z.shape[1]
        zinfo = np.einsum("ist,ij,ik->sjtk", v[:, 1:, 1:], Z, Z)
        result["zinfo"] = zinfo.reshape((s - 1) * q, (s - 1) * q)
    return result


def problem(family, kind, n=N, seed=0):
    """The arguments of a pass: plain (constant weights) or full (everything that is optional)."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.normal(size=(n, P - 1))])
    coef = rng.normal(scale=0.4, size=(S, P))
    eta = np.take_along_axis(X @ coef.T, rng.integers(S, size=(n, 1)), axis=1)[:, 0]
    trials = rng.integers(1, 9, size=n).astype(float)
    y = {
        "gaussian": eta + rng.normal(size=n),
        "poisson": rng.poisson(np.exp(eta)).astype(float),
        "binomial": rng.binomial(trials.astype(int), expit(eta)).astype(float),
    }[family]
    data = {"aux": trials} if family == "binomial" else {}
    if family == "gaussian":
        data["disp"] = np.array([0.6, 1.0, 1.7])
    if kind == "plain":
        return {"X": X, "y": y, "coef": coef, **data, "logprior": np.log([0.2, 0.3, 0.5])}
    return {
        "X": X,
        "y": y,
        "coef": coef,
        **data,
        "Z": np.column_stack([np.ones(n), rng.normal(size=(n, Q - 1))]),
        "alpha": np.vstack([np.zeros(Q), rng.normal(scale=0.7, size=(S - 1, Q))]),
        "offset": rng.normal(scale=0.3, size=n),
        "const": -gammaln(y + 1) if family == "poisson" else rng.normal(size=n),
        "weight": rng.uniform(0.0, 3.0, size=n) * (rng.uniform(size=n) > 0.1),
        "allowed": (rng.uniform(size=(n, S)) > 0.2)
        | np.eye(S, dtype=bool)[rng.integers(S, size=n)],
    }


CASES = list(itertools.product(FAMILIES, ["plain", "full"]))


def assert_same_sums(result, expected):
    """Relative to a sum's largest entry: a score is zero near the optimum."""
    for name, values in expected.items():
        if name != "posterior":
            scale = np.abs(values).max()
            assert_allclose(getattr(result, name), values, rtol=1e-12, atol=1e-13 * scale)


# ------------------------------------------------------------------------------------- the passes


@pytest.mark.parametrize(("family", "kind"), CASES)
def test_em_pass_is_the_reference(family, kind):
    arguments = problem(family, kind)
    result, expected = em_pass(family, **arguments), reference(family, **arguments)
    assert_same_sums(result, expected)
    assert (result.ssq is None) == ("ssq" not in expected)
    assert (result.zscore is None) == (result.zinfo is None) == (kind == "plain")


@pytest.mark.parametrize(("family", "kind"), CASES)
def test_logterms_pass_is_the_reference(family, kind):
    arguments = problem(family, kind)
    posterior, loglik = logterms_pass(family, **arguments)
    expected = reference(family, **arguments)
    assert posterior.shape == (N, S)
    assert_allclose(posterior, expected["posterior"], rtol=1e-11, atol=1e-300)
    assert_allclose(loglik, expected["loglik"], rtol=1e-12)


def flatten(arguments):
    """Parameters in the order of `information_pass`, and the way back."""
    has_disp, q = "disp" in arguments, arguments.get("alpha", np.zeros((S, 1))).shape[1]
    parts = [arguments["coef"]]
    if has_disp:
        parts.append(np.log(arguments["disp"])[:, None])
    logits = arguments.get("alpha")
    if logits is None:
        logits = (arguments["logprior"] - arguments["logprior"][0])[:, None]
    size = P + has_disp

    def restore(theta):
        block = theta[: S * size].reshape(S, size)
        free = np.vstack([np.zeros(q), theta[S * size :].reshape(S - 1, q)])
        changed = {**arguments, "coef": np.ascontiguousarray(block[:, :P])}
        if has_disp:
            changed["disp"] = np.exp(block[:, P])
        if "alpha" in arguments:
            changed["alpha"] = free
        else:
            changed["logprior"] = free[:, 0] - logsumexp(free[:, 0])
        return changed

    return np.concatenate([np.hstack(parts).ravel(), logits[1:].ravel()]), restore


@pytest.mark.parametrize(("family", "kind"), CASES)
def test_information_pass_is_the_derivative_of_the_reference(family, kind):
    arguments = problem(family, kind, n=600)
    theta, restore = flatten(arguments)
    result = information_pass(family, **restore(theta))
    assert_allclose(result.loglik, reference(family, **arguments)["loglik"], rtol=1e-12)
    assert_array_equal(result.information, result.information.T)
    step = 1e-5
    for j in range(theta.size):
        up, down = theta.copy(), theta.copy()
        up[j] += step
        down[j] -= step
        logliks = [reference(family, **restore(t))["loglik"] for t in (up, down)]
        slope = (logliks[0] - logliks[1]) / (2 * step)
        assert_allclose(result.score[j], slope, rtol=1e-6, atol=1e-5)
        scores = [information_pass(family, **restore(t)).score for t in (up, down)]
        column = -(scores[0] - scores[1]) / (2 * step)
        scale = np.abs(result.information).max()
        assert_allclose(result.information[:, j], column, rtol=1e-6, atol=1e-8 * scale)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_scores_of_both_passes_agree(family):
    arguments = problem(family, "full")
    em, newton = em_pass(family, **arguments), information_pass(family, **arguments)
    blocks = newton.score[: -(S - 1) * Q].reshape(S, -1)
    assert_allclose(blocks[:, :P], em.score, rtol=1e-10, atol=1e-10)
    assert_allclose(newton.score[-(S - 1) * Q :], em.zscore[1:].ravel(), rtol=1e-10, atol=1e-10)
    assert em.loglik == newton.loglik


def test_one_component_and_one_row():
    arguments = problem("gaussian", "plain", n=1)
    arguments |= {"coef": arguments["coef"][:1], "disp": np.ones(1), "logprior": np.zeros(1)}
    result = information_pass("gaussian", **arguments)
    assert result.information.shape == (P + 1, P + 1)
    x = arguments["X"][0]
    assert_allclose(result.information[:P, :P], np.outer(x, x), rtol=1e-14)
    assert_same_sums(em_pass("gaussian", **arguments), reference("gaussian", **arguments))


def test_no_rows():
    arguments = problem("poisson", "plain", n=0)
    result = em_pass("poisson", **arguments)
    assert result.loglik == 0.0
    assert not result.gram.any()


# ---------------------------------------------------------------------------------- special values


def test_a_row_without_an_allowed_component_has_probability_zero():
    arguments = problem("poisson", "full")
    arguments["weight"] = np.ones(N)
    arguments["allowed"][7] = False
    result = em_pass("poisson", **{**arguments, "allowed": arguments["allowed"].astype(int)})
    assert result.loglik == -np.inf
    assert np.isfinite(result.gram).all()
    assert_allclose(result.rsum.sum(), N - 1, rtol=1e-13)
    posterior, _ = logterms_pass("poisson", **arguments)
    assert_array_equal(posterior[7], 0.0)
    information = information_pass("poisson", **arguments)
    assert information.loglik == -np.inf
    assert np.isfinite(information.information).all()
    arguments["weight"][7] = 0.0
    assert np.isfinite(em_pass("poisson", **arguments).loglik)


@pytest.mark.parametrize("family", FAMILIES)
def test_huge_predictors_give_no_nan(family):
    arguments = problem(family, "plain")
    arguments["coef"][1, 0] = 1e200  # no row can come from here (binomial: some can)
    arguments["coef"][2, 0] = -1e200
    for name, values in vars(em_pass(family, **arguments)).items():
        assert values is None or not np.isnan(values).any(), name
    result = information_pass(family, **arguments)
    assert np.isfinite(result.information).all()


def test_poisson_overflow_is_probability_zero():
    one = {"X": np.ones((1, 1)), "y": np.array([3.0]), "logprior": np.zeros(1)}
    assert em_pass("poisson", coef=[[800.0]], **one).loglik == -np.inf
    assert_allclose(em_pass("poisson", coef=[[-800.0]], **one).loglik, -2400.0)


def test_binomial_tails_do_not_cancel():
    one = {"X": np.ones((1, 1)), "y": np.array([5.0]), "aux": np.array([5.0])}
    result = em_pass("binomial", coef=[[60.0]], logprior=np.zeros(1), **one)
    assert_allclose(result.loglik, 5 * log_expit(60.0), rtol=1e-14)
    assert_allclose(result.score, [[5 * expit(-60.0)]], rtol=1e-14)


# ------------------------------------------------------------------------------ layout and threads


@pytest.mark.parametrize("layout", ["fortran", "part", "frozen", "reversed"])
def test_every_layout_of_the_matrices_gives_the_same(layout):
    arguments = problem("poisson", "full")
    expected = em_pass("poisson", **arguments)
    for name in ("X", "Z"):
        matrix = arguments[name]
        if layout == "fortran":
            matrix = np.asfortranarray(matrix)
        elif layout == "part":
            matrix = np.hstack([matrix, matrix])[:, : matrix.shape[1]]
        elif layout == "reversed":
            matrix = np.ascontiguousarray(matrix[::-1])[::-1]
        else:
            matrix = matrix.copy()
            matrix.flags.writeable = False
        arguments[name] = matrix
    result = em_pass("poisson", **arguments)
    assert result.loglik == expected.loglik
    assert_array_equal(result.gram, expected.gram)
    assert_array_equal(result.zinfo, expected.zinfo)


def test_threads_change_nothing():
    arguments = problem("gaussian", "full", n=40_000)
    one, two = (em_pass("gaussian", n_threads=k, **arguments) for k in (1, 2))
    assert one.loglik == two.loglik
    assert_array_equal(one.gram, two.gram)
    one, two = (information_pass("gaussian", n_threads=k, **arguments) for k in (1, 2))
    assert_array_equal(one.information, two.information)
    one, two = (logterms_pass("gaussian", n_threads=k, **arguments)[0] for k in (1, 2))
    assert_array_equal(one, two)


@pytest.mark.parametrize("n_rows", [0, 1, 16_384, 16_385, 10_000_001])
def test_chunks_cover_the_rows_once(n_rows):
    bounds = chunk_bounds(n_rows)
    assert [i for pair in bounds for i in pair][1:-1] == [
        edge for _, edge in bounds[:-1] for _ in range(2)
    ]
    assert (bounds[0][0], bounds[-1][1]) == (0, n_rows) if n_rows else bounds == []
    assert len(bounds) <= 64


# --------------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"family": "cauchy"}, "no kernel for family 'cauchy'"),
        ({"y": np.ones(3)}, r"y has shape \(3,\)"),
        ({"coef": np.ones((S, P + 1))}, "coef has shape"),
        ({"logprior": None}, "give either logprior, or both Z and alpha"),
        ({"alpha": np.ones((S, 1))}, "give either logprior"),
        ({"aux": None}, "needs aux"),
        ({"allowed": np.ones((S, N), dtype=bool)}, "allowed has shape"),
        ({"X": np.ones(N)}, "a matrix is needed"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    arguments = {"family": "binomial", **problem("binomial", "plain"), **change}
    with pytest.raises(ValueError, match=message):
        em_pass(**arguments)


# ----------------------------------------------------------------------------- a family's own file


def geometric_term(ops):
    """Failures before the first success, logit link for the success probability."""
    exp, log1p = ops.exp, ops.log1p

    def term(y, _aux, const, eta, _dispersion):
        size = -eta if eta < 0.0 else eta
        odds = exp(-size)
        p = odds / (1.0 + odds) if eta < 0.0 else 1.0 / (1.0 + odds)
        # log p = min(eta, 0) - log1p(odds), log(1 - p) = min(-eta, 0) - log1p(odds)
        logf = const - (y + 1.0) * log1p(odds) - (size if eta < 0.0 else y * size)
        return logf, 1.0 - (y + 1.0) * p, (y + 1.0) * p * (1.0 - p)

    return term


def test_a_family_is_one_scalar_function():
    arguments = problem("poisson", "plain")
    result = em_pass(KernelFamily("geometric", geometric_term), **arguments)
    PARTS["geometric"] = lambda y, aux, const, eta, _: (
        const + log_expit(eta) + y * log_expit(-eta),
        1 - (y + 1) * expit(eta),
        (y + 1) * expit(eta) * expit(-eta),
        None,
    )
    try:
        assert_same_sums(result, reference("geometric", **arguments))
    finally:
        del PARTS["geometric"]


def probe_term(ops):
    exp, log, log1p = ops.exp, ops.log, ops.log1p

    def term(y, _aux, _const, _eta, _dispersion):
        return exp(y), log(y), log1p(y)

    return term


def evaluate(values):
    """exp, log and log1p of the kernels at up to 256 values."""
    from bayesmix.kernels._family_block import family_callback

    out = np.zeros(8 * 256)
    address = values.ctypes.data
    arguments = (0, values.size, 0.0, address, address, address, address, out.ctypes.data)
    family_callback(KernelFamily("probe", probe_term)).ctypes(*arguments)
    return out.reshape(8, 256)[:3, : values.size]


def ulps(values, exact):
    return np.abs(values - exact) / np.spacing(np.abs(exact.astype(float)))


@pytest.mark.parametrize(
    ("row", "function", "low", "high", "logarithmic"),
    [
        (0, np.exp, -708.0, 709.0, False),
        (0, np.exp, -1.0, 1.0, False),
        (1, np.log, -740.0, 709.0, True),
        (1, np.log, -0.7, 0.7, True),
        (2, np.log1p, -40.0, 700.0, True),
        (2, np.log1p, 0.0, 1.0, False),
    ],
)
def test_functions_are_within_two_units_in_the_last_place(row, function, low, high, logarithmic):
    rng = np.random.default_rng(row)
    for _ in range(20):
        x = rng.uniform(low, high, size=256)
        x = np.exp(x) if logarithmic else x
        # Where long double is no longer than double, NumPy's own error is half a unit more.
        assert ulps(evaluate(x)[row], function(x.astype(np.longdouble))).max() < 2.0


def test_functions_at_special_values():
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, 800.0, -800.0, 1.0])
    exp, log, log1p = evaluate(special)
    with np.errstate(all="ignore"):
        assert_allclose(exp, np.exp(special), rtol=1e-15)
        assert_allclose(log, np.log(special), rtol=1e-15)
        positive = ~(special < 0)
        assert_allclose(log1p[positive], np.log1p(special[positive]), rtol=1e-15)


# ------------------------------------------------------------------------------------- compilation

PRINT_ONE_MEAN = """
import logging
import numpy as np
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
import numba
settings = lambda: {k: v for k, v in vars(numba.config).items() if k.startswith("CACHE")}
before = settings()
from bayesmix.kernels.families import FAMILIES
from bayesmix.kernels._family_block import family_callback
one, out = np.ones(1), np.zeros(8 * 256)
kernel = family_callback(FAMILIES["poisson"])
kernel.ctypes(0, 1, 0.0, *[one.ctypes.data] * 4, out.ctypes.data)
assert before == settings() and before
print(kernel.cache_hits, out[2 * 256])
"""


@pytest.fixture
def run_copy(tmp_path):
    """Run a script with a copy of the kernels that may be edited, and a cache of its own."""
    package = tmp_path / "bayesmix"
    shutil.copytree(
        Path(kernels.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__")
    )
    (package / "__init__.py").write_text("")

    def run(code=PRINT_ONE_MEAN, cache=tmp_path / "cache"):
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(cache)}
        environment.pop("NUMBA_CACHE_DIR", None)
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done

    run.package, run.cache = package / "kernels", tmp_path / "cache"
    return run


def result_of(done):
    hits, mean = done.stdout.split()
    return int(hits), float(mean)


def test_an_edit_in_a_called_function_of_another_file_is_seen(run_copy):
    first = run_copy()
    assert result_of(first) == (0, pytest.approx(np.e))
    assert "INFO compiling kernels, once per machine" in first.stderr
    second = run_copy()
    assert result_of(second) == (1, pytest.approx(np.e))
    assert second.stderr == ""
    source = run_copy.package / "math.py"
    old = "return 0.0 if x < EXP_MIN else result"
    assert old in source.read_text()
    source.write_text(
        source.read_text().replace(old, "return 0.0 if x < EXP_MIN else 2.0 * result")
    )
    assert result_of(run_copy()) == (0, pytest.approx(2 * np.e))


def test_without_a_writable_folder_kernels_are_compiled_and_this_is_said_once(run_copy, tmp_path):
    # A file in the folder's place stops root too, whom permissions do not.
    (tmp_path / "occupied").touch()
    done = run_copy(cache=tmp_path / "occupied")
    assert result_of(done) == (0, pytest.approx(np.e))
    assert done.stderr.count("WARNING kernels are compiled in every process") == 1


def test_a_numba_whose_private_parts_have_moved_compiles_without_a_cache(run_copy):
    done = run_copy(
        "import numba.core.compiler as c; del c.CompileResult._reduce\n" + PRINT_ONE_MEAN
    )
    assert result_of(done) == (0, pytest.approx(np.e))
    assert done.stderr.count("WARNING kernels are compiled in every process: no cache") == 1


def test_a_damaged_file_is_made_again(run_copy):
    run_copy()
    (file,) = run_copy.cache.rglob("*.kernel")
    file.write_bytes(file.read_bytes()[:1000])
    assert result_of(run_copy()) == (0, pytest.approx(np.e))
    assert result_of(run_copy()) == (1, pytest.approx(np.e))


def test_a_family_that_could_change_unnoticed_is_not_kept():
    from bayesmix.kernels._family_block import _cache_name

    poisson = FAMILIES["poisson"]
    assert "family-poisson" in _cache_name(poisson)
    assert _cache_name(replace(poisson, make_term=lambda ops: poisson.make_term(ops))) is None


def test_numba_is_not_imported_with_the_package(run_copy):
    run_copy("import sys, bayesmix.kernels; assert 'numba' not in sys.modules")
