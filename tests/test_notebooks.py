"""The notebooks: stored as their sources are, small, run from top to bottom, and runnable here."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"

if not (FOLDER / "make.py").exists():
    pytest.skip("no notebooks beside the tests", allow_module_level=True)

_SPEC = importlib.util.spec_from_file_location("make_notebooks", FOLDER / "make.py")
make = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(make)

QUICK = "1-quick-start"
NAMES = [path.stem for path in make.SOURCES]
MOST_BYTES = 700_000
MOST_LINES = 60
# Folders of a machine have no place in what is shown.
PLACES = re.compile(r"(?:/tmp|/home|/root|/work|/usr|/var|[A-Z]:\\Users)\b")


# The arguments of R's functions: flexmix 2.3-18, flexsurv 2.3.2.
R_ARGUMENTS = {
    "flexmix": "formula data k cluster model concomitant control weights",
    "FLXcontrol": "iter.max minprior tolerance verbose classify nrep",
    "flexsurvmix": (
        "formula data event dists pformula anc partial_events initp inits fixedpars dfns method "
        "em.control optim.control aux sr.control integ.opts hess.control ..."
    ),
}


def stored(name):
    return json.loads((FOLDER / f"{name}.ipynb").read_text("utf-8"))


def words(notebook):
    """The words of every output, a text for each."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            data = output.get("data", {"text/plain": output.get("text", "")})
            yield from ("".join(v) for k, v in data.items() if k.startswith("text/"))


def test_every_notebook_has_a_source():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_hold_what_their_sources_say(name):
    held = [(c["cell_type"], "".join(c["source"])) for c in stored(name)["cells"]]
    source = (FOLDER / "source" / f"{name}.md").read_text("utf-8")
    assert held == list(make.cells(source)), f"run: python notebooks/make.py {name}"


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_of_one_run_and_small(name):
    notebook = stored(name)
    code = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    assert [c["execution_count"] for c in code] == list(range(1, len(code) + 1))
    assert not any(o["output_type"] == "error" for c in code for o in c["outputs"])
    assert (FOLDER / f"{name}.ipynb").stat().st_size < MOST_BYTES
    for text in words(notebook):
        assert not PLACES.search(text)
        assert "<Axes" not in text, "assign what a picture returns"
    plain = [o["data"]["text/plain"] for c in code for o in c["outputs"] if "data" in o]
    assert max(len("".join(each).splitlines()) for each in plain) <= MOST_LINES


@pytest.mark.parametrize("function", R_ARGUMENTS)
def test_every_argument_of_the_r_functions_has_a_row(function):
    text = (FOLDER / "source" / "6-from-r.md").read_text("utf-8")
    table = text.partition(f"| {function} | here | |\n")[2].partition("\n\n")[0]
    rows = [re.match(r"\| `([^`]+)` \|", line) for line in table.splitlines()[1:]]
    assert [row[1] for row in rows] == R_ARGUMENTS[function].split()


def test_sources_are_cut_into_cells():
    text = "# A\n\nwords with `code`\n\n```python\nx = 1\n```\n\n```python\nx\n```\nend\n"
    assert list(make.cells(text)) == [
        ("markdown", "# A\n\nwords with `code`"),
        ("code", "x = 1"),
        ("code", "x"),
        ("markdown", "end"),
    ]


def execute(name, folder):
    """Run a source; what raises in a cell raises here."""
    return make.run(make.build(FOLDER / "source" / f"{name}.md"), folder)


def kinds(notebook):
    """What each cell shows, less warnings: those about draws depend on the machine."""
    return [
        [o["output_type"] for o in cell.get("outputs", ()) if o.get("name") != "stderr"]
        for cell in notebook["cells"]
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.ci] if n == QUICK else []) for n in NAMES]
)
def test_notebooks_run(name, tmp_path):
    assert kinds(execute(name, tmp_path)) == kinds(stored(name))
