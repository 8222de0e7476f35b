"""The first picture of a docstring's example, drawn when the site is built, below the example."""

import doctest
import inspect
import io
from contextlib import redirect_stdout
from pathlib import Path

TARGET = Path(__file__).parents[1] / "generated" / "pictures"
ROOT = Path(__file__).parents[2] / "bayesmix"
PREFIX = "bayesmix.plot."
DPI = 110
SCREEN = 0.7  # of the picture's own size


def newest_source():
    """When the package changed last."""
    return max(path.stat().st_mtime for path in ROOT.rglob("*.py"))


def draw(name, docstring):
    """Run the example and save its first figure; None where it makes none."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    import matplotlib.pyplot as plt

    file = TARGET / f"{name}.png"
    if file.exists() and file.stat().st_mtime > newest_source():
        return file
    plt.close("all")
    values = {}
    for example in doctest.DocTestParser().get_examples(docstring):
        exec(compile(example.source, name, "single"), values)
    numbers = plt.get_fignums()
    if not numbers:
        return None
    TARGET.mkdir(parents=True, exist_ok=True)
    # Without the version of matplotlib in it, the file changes only when the picture does.
    plt.figure(numbers[0]).savefig(file, dpi=DPI, metadata={"Software": None})
    plt.close("all")
    return file


def add_picture(app, what, name, thing, options, lines):
    """Put the picture after the docstring of a function of bayesmix.plot."""
    if what != "function" or not name.startswith(PREFIX):
        return
    with redirect_stdout(io.StringIO()):  # what the example prints
        file = draw(name.removeprefix(PREFIX), inspect.getdoc(thing))
    if file is None:
        return
    summary = inspect.getdoc(thing).splitlines()[0]
    lines += [
        "",
        f".. image:: /generated/pictures/{file.name}",
        f"   :alt: {summary} The first picture of the example.",
        f"   :scale: {100 * SCREEN:.0f}%",
        "",
    ]


def setup(app):
    # After numpydoc, which has the priority 500.
    app.connect("autodoc-process-docstring", add_picture, priority=600)
    return {"parallel_read_safe": False}
