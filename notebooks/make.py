"""Make the notebooks of this folder from the texts in source/, by running them.

    python notebooks/make.py                 all of them
    python notebooks/make.py 1-quick-start   some of them

A text is Markdown; its fences with `python` become code cells, what is between them text.  The
outputs of a notebook are those of one run from top to bottom, with numbers of the machine that
made them: draws of a sampler differ a little elsewhere.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOURCES = tuple(sorted((HERE / "source").glob("*.md")))
FENCE = re.compile(r"^```python\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
SECONDS_PER_CELL = 300
ERASED = re.compile(r"[^\n]*\x1b\[K")  # a line of progress, erased at its end
NO_WIDGETS = {"PYTHONWARNINGS": "ignore:IProgress not found"}  # of tqdm, about its own bars
# Warnings begin with the file of the cell, in a folder of the machine.
CELL_FILE = re.compile(r"^\S*ipykernel_\S+:(\d+): ", re.MULTILINE)


def cells(text: str) -> Iterator[tuple[str, str]]:
    """The kinds, "markdown" or "code", and the texts of the cells of a source."""
    for place, part in enumerate(FENCE.split(text)):
        if part.strip():
            yield ("code" if place % 2 else "markdown"), part.strip()


def build(path: Path) -> Any:
    """The notebook of a source, not run yet."""
    from nbformat import v4

    made = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell}
    parts = enumerate(cells(path.read_text("utf-8")), 1)
    notebook = v4.new_notebook(cells=[made[kind](text, id=f"{n:02d}") for n, (kind, text) in parts])
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return notebook


def run(notebook: Any, folder: Path) -> Any:
    """The notebook with its outputs; an error in a cell is raised."""
    from nbclient import NotebookClient

    NotebookClient(
        notebook,
        timeout=SECONDS_PER_CELL,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    ).execute(env=os.environ | NO_WIDGETS)
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        for output in outputs:
            if output.output_type == "stream":
                output.text = CELL_FILE.sub("", ERASED.sub("", output.text))
        outputs[:] = [o for o in outputs if o.get("text") != ""]
    notebook.metadata.language_info = {"name": "python"}  # without the version of Python
    return notebook


def main(names: list[str]) -> None:
    """Run the sources of these names, or all."""
    import tempfile

    import nbformat

    known = {path.stem: path for path in SOURCES}
    if unknown := set(names) - set(known):
        sys.exit(f"no source of {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    for name in names or known:
        with tempfile.TemporaryDirectory() as folder:
            made = run(build(known[name]), Path(folder))
        nbformat.write(made, HERE / f"{name}.ipynb")
        print(f"{name}.ipynb")


if __name__ == "__main__":
    main(sys.argv[1:])
