"""What pyproject.toml, requirements-oldest.txt and the files around them say of each other."""

import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bayesmix

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def lowest(requirement):
    """The name and the lowest version of a requirement written `name>=version`."""
    parsed = Requirement(requirement)
    (bound,) = parsed.specifier
    assert bound.operator == ">=", requirement
    return canonicalize_name(parsed.name), bound.version


def pinned():
    """The names and versions in requirements-oldest.txt."""
    lines = (ROOT / "requirements-oldest.txt").read_text("utf-8").splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return [(canonicalize_name(name), number) for name, number in pins]


def tracked():
    """The files git tracks here."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_the_lowest_versions_are_those_of_the_oldest_environment():
    stated = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    assert pinned() == sorted(map(lowest, stated))


def test_every_optional_dependency_states_a_lowest_version():
    for name, requirements in PROJECT["optional-dependencies"].items():
        if name != "all":
            assert [lowest(each) for each in requirements]


def test_all_holds_every_other_extra():
    (everything,) = PROJECT["optional-dependencies"]["all"]
    assert Requirement(everything).extras == set(PROJECT["optional-dependencies"]) - {"all"}


def test_the_version_has_one_source():
    assert bayesmix.__version__ == version("bayesmix")
    assert bayesmix.__version__ == PROJECT["version"]
    source = (ROOT / "bayesmix" / "__init__.py").read_text("utf-8")
    assert PROJECT["version"] not in source


def test_the_citation_names_the_version():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == PROJECT["version"]


def test_a_change_is_accepted_by_lint_then_documentation_then_tests():
    gate = ROOT / ".ci" / "run"
    if not gate.exists():
        pytest.skip("no .ci beside the tests")
    steps = re.findall(r"^make (\w+)", gate.read_text("utf-8"), re.MULTILINE)
    assert steps == ["lint", "docs", "test"]  # the summary of the tests comes last


def test_the_notice_names_every_dataset():
    notice = (ROOT / "NOTICE").read_text("utf-8")
    missing = [
        path.stem
        for path in (ROOT / "bayesmix" / "datasets").glob("*.csv")
        if path.stem not in notice
    ]
    assert not missing


def test_the_package_is_typed():
    assert (ROOT / "bayesmix" / "py.typed").exists()


def test_no_tracked_file_names_this_machine_or_a_registry():
    places = [f"{place}/" for place in (ROOT.parent, Path.home()) if place != Path("/")]
    # The brackets keep these expressions from finding themselves.
    leaks = [
        r"index[-_]url",
        r"find[-_]links",
        r"file[:]//",
        r"https?://[\w.-]*(?:py[p]i|python[h]osted|ana[c]onda)",
        r"/(?:ho[m]e|Use[r]s)/\w",
        *map(re.escape, places),
    ]
    pattern = re.compile("|".join(leaks))
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked()
        if (match := pattern.search(path.read_text("utf-8", errors="replace")))
    ]
    assert not found
