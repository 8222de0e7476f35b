"""The page docs/architecture.md against the code, and the public names against the design."""

import ast
import functools
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bayesmix as bmx

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bayesmix"
PUBLIC = [
    "BayesmixError",
    "CompetingRisks",
    "ConvergenceWarning",
    "DataError",
    "DataWarning",
    "DegenerateWarning",
    "Family",
    "FitError",
    "FormulaError",
    "IdentifiabilityWarning",
    "Mixture",
    "PointFit",
    "Regression",
    "SpecError",
    "check_survival",
    "compare",
    "compare_estimates",
    "comparisons",
    "explore",
    "family",
    "items",
    "list_data",
    "load",
    "load_data",
    "penalty_path",
    "plot",
    "pool",
    "predictions",
    "report",
    "scan",
    "select",
    "slopes",
    "warm",
]
POINT_FIT = (
    "method status converged iterations loglik df aic bic bic_units icl sabic caic entropy n_obs "
    "n_units k k_requested mixing params starts coefficients dispersion concomitant covariance "
    "summary membership clusters sizes classification predict fitted residuals simulate bootstrap "
    "wald relabel save report"
).split()


def rooms():
    page = (ROOT / "docs" / "architecture.md").read_text()
    return re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)


def room_of(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


@functools.cache
def imports(path):
    """Modules of this package that a file imports, at its top, inside functions or for types."""
    tree = ast.parse(path.read_text())
    known, used = {module for module, _ in files()}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "bayesmix":
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                used.append(module if module in known else node.module)
        elif isinstance(node, ast.Import):
            used += [a.name for a in node.names if a.name.startswith("bayesmix.")]
    return used


@functools.cache
def files():
    paths = sorted(PACKAGE.rglob("*.py"))
    names = [".".join(p.relative_to(ROOT).with_suffix("").parts) for p in paths]
    return [(n.removesuffix(".__init__"), p) for n, p in zip(names, paths, strict=True)]


def test_the_page_lists_every_room():
    there = {room_of(module) for module, _ in files()} - {"__init__"}
    assert there == set(rooms())


def test_imports_go_one_way():
    order = {room: place for place, room in enumerate(rooms())}
    wrong = [
        f"{module} imports {used}"
        for module, path in files()
        if room_of(module) != "__init__"
        for used in imports(path)
        if room_of(used) != room_of(module)
        # The command line stands for a user: it calls the package by its public names.
        and room_of(used) != "__init__"
        and order[room_of(used)] > order[room_of(module)]
    ]
    assert wrong == []


def circles(graph):
    """Sets of modules that import each other, directly or through others."""
    reached = {}
    for module in graph:
        seen, ahead = set(), [module]
        while ahead:
            new = graph[ahead.pop()] - seen
            seen |= new
            ahead += new
        reached[module] = seen
    return {frozenset(m for m in graph if a in reached[m] and m in reached[a]) for a in graph} - {
        frozenset()
    }


def test_no_two_files_import_each_other():
    known = dict(files())
    graph = {
        module: {used for used in imports(path) if used in known and used != module}
        for module, path in known.items()
        if module != "bayesmix"
    }
    graph = {module: used - {"bayesmix"} for module, used in graph.items()}
    assert circles(graph) == set()


@pytest.mark.parametrize("library", ["formulae"])
def test_one_module_touches_a_library(library):
    users = {
        module
        for module, path in files()
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == library)
        or (
            isinstance(node, ast.Import)
            and any(a.name.split(".")[0] == library for a in node.names)
        )
    }
    assert users == {"bayesmix.formula.library"}


def test_public_names():
    assert set(PUBLIC) <= set(bmx.__all__)
    for name in bmx.__all__:
        assert getattr(bmx, name) is not None
    assert set(bmx.__all__) <= set(dir(bmx))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        bmx.nothing  # noqa: B018


def test_type_checkers_see_the_public_names():
    tree = ast.parse(Path(bmx.__file__).read_text())
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.names[0].asname]
    seen = {name.asname: node.module for node in imports for name in node.names}
    assert seen.pop("plot") == "bayesmix"
    assert sorted([*seen, "plot"]) == bmx.__all__
    for name, module in seen.items():
        assert getattr(importlib.import_module(module), name) is getattr(bmx, name)


def test_names_of_a_point_fit():
    fit = bmx.Mixture("Faults ~ 1", bmx.load_data("fabricfault"), family="poisson", k=2).fit(seed=1)
    assert [name for name in POINT_FIT if not hasattr(fit, name)] == []
    with pytest.raises(AttributeError):
        fit.loglik = 0.0


def test_every_public_function_has_an_honest_docstring():
    for name in bmx.__all__:
        thing = getattr(bmx, name)
        assert (thing.__doc__ or "").strip(), name


def test_import_is_light():
    heavy = "{'pymc', 'arviz', 'formulae', 'numba', 'pytensor', 'nutpie', 'matplotlib', 'numpy'}"
    code = f"import sys, bayesmix.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_first_small_fit_needs_no_compiler_and_no_pymc():
    code = (
        "import sys, bayesmix as bmx\n"
        "data = bmx.load_data('patent')\n"
        "bmx.Mixture('Patents ~ lgRD', data, family='poisson', k=2).fit(seed=1).summary()\n"
        "heavy = {'pymc', 'arviz', 'pytensor', 'nutpie', 'matplotlib', 'xarray'}\n"
        "print(sorted((heavy | {'scipy.optimize'}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
