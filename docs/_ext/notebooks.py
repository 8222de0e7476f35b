"""The notebooks of notebooks/ as tutorials, with the outputs that are stored in them.

Notebooks are run by a test, not by the build: some of them sample for minutes.  So that nothing is
shown that was not run, the build refuses a notebook whose stored outputs are not those of one run
from top to bottom.
"""

import json
import shutil
from pathlib import Path

from sphinx.errors import ExtensionError

ROOT = Path(__file__).parents[2]
TARGET = Path(__file__).parents[1] / "generated" / "notebooks"


def not_run(notebook):
    """What says that a notebook was not run from top to bottom, in words; empty if it was."""
    cells = [c for c in notebook["cells"] if c["cell_type"] == "code" and "".join(c["source"])]
    counts = [c["execution_count"] for c in cells]
    failed = any(o["output_type"] == "error" for c in cells for o in c["outputs"])
    if failed:
        return "a cell ended with an error"
    if counts != list(range(1, len(cells) + 1)):
        return f"its cells have the numbers {counts}, not 1 to {len(cells)}"
    return ""


def copy_notebooks(app):
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        words = not_run(json.loads(path.read_text("utf-8")))
        if words:
            msg = f"notebooks/{path.name} was not run from top to bottom: {words}"
            raise ExtensionError(msg)
        shutil.copy2(path, TARGET / path.name)


def list_notebooks(app, docname, source):
    """Add the notebooks to the page of tutorials."""
    names = [path.stem for path in sorted(TARGET.glob("*.ipynb"))]
    if docname == "tutorials/index" and names:
        entries = "\n".join(f"../generated/notebooks/{name}" for name in names)
        source[0] += f"\n```{{toctree}}\n:maxdepth: 1\n:caption: Notebooks\n\n{entries}\n```\n"


def setup(app):
    app.connect("builder-inited", copy_notebooks)
    app.connect("source-read", list_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
