"""MathJax from the installed package sphinx-mathjax-offline, one file, instead of a network."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from sphinx.errors import ExtensionError

SCRIPT = "mathjax/tex-svg-full.js"


def copy_script(app, error):
    if error is not None or app.builder.format != "html":
        return
    spec = find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        msg = "sphinx-mathjax-offline is missing; install the extra docs"
        raise ExtensionError(msg)
    target = Path(app.outdir) / "_static" / SCRIPT
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(spec.origin).parent / "static" / SCRIPT, target)


def setup(app):
    app.config.mathjax_path = SCRIPT
    app.connect("build-finished", copy_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
