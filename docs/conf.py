"""The documentation site: `make docs`, warnings are errors, nothing is fetched from a network."""

import hashlib
import os
import sys
import sysconfig
from dataclasses import fields
from importlib.metadata import version as installed
from pathlib import Path

import bayesmix

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS / "_ext"))
# The page on trust reads the results in benchmarks/trust/.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
# Pages call the command `bayesmix` of the environment that builds them.
os.environ["PATH"] = os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))

project = "bayesmix"
author = "The bayesmix developers"
copyright = "2026, The bayesmix developers. Apache 2.0"
version = release = installed("bayesmix")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "families",
    "features",
    "notebooks",
    "offline_math",
    "pictures",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "generated/families/*", "jupyter_execute"]

# Docstrings. `validation` makes the build fail where a public docstring has no summary, documents
# a parameter that is not there, misses one, or has its sections in the wrong order.
autosummary_generate = True
autosummary_context = {"no_page": {"Family": [field.name for field in fields(bayesmix.Family)]}}
autodoc_typehints = "none"
autodoc_member_order = "bysource"
default_role = "py:obj"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
numpydoc_validation_checks = {
    "GL06",  # unknown section
    "GL07",  # order of sections
    "GL08",  # no docstring
    "PR01",  # parameter not documented
    "PR02",  # documented parameter that does not exist
    "PR03",  # order of parameters
    "PR10",  # colon
    "SS01",  # no summary
    "SS04",
}
# Users do not make these themselves, and what they hold is private.
numpydoc_validation_overrides = {
    "PR01": [
        r"Made by `+(\w+\.fit|PointFit\.\w+|Posterior\.\w+|Selection\.\w+|select|penalty_path)"
    ]
}
# Family has more fields, for the shipped families; a comment there says so.
# The functions of arrays are those of NumPy and scipy.special by name.
numpydoc_validation_exclude = {r"\.__\w+__$", r"bayesmix\.Family$", r"bayesmix\.arrays\."}
FAMILY_PAGE = {"dispersions", "parameters", "with_link"}


def _sources() -> str:
    """A hash of the package: pages are run again when it has changed."""
    digest = hashlib.sha256(release.encode())
    for path in sorted((ROOT / "bayesmix").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


# Pages with code are run when they, or the package, have changed; notebooks/ are shown as they
# were run.
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_cache_path = str(DOCS / "_build" / "executed" / _sources())
nb_execution_excludepatterns = ["generated/notebooks/*.ipynb"]
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_in_temp = True
nb_merge_streams = True

html_title = f"bayesmix {release}"
html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}
html_sidebars = {name: [] for name in ("families", "comparison")}  # no section to navigate
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}


def _skip(app, what, name, member, skip, options):
    """On the page of Family only what its users need: not the fields and methods of engines."""
    from bayesmix.families import Family

    if name in vars(Family) and vars(Family)[name] is member and name not in FAMILY_PAGE:
        return True
    return None


def _signature(app, what, name, thing, options, signature, returned):
    """No signature for classes that are made by a function and hold private parts.

    Of Family only what its users give: the fields after `bounds` are for the shipped families.
    """
    if signature is not None and signature.startswith("(_"):
        return "", None
    if name == "bayesmix.Family":
        given, found, _ = signature.partition(", links=")
        assert found, signature
        return given.replace("bounds=<factory>", "bounds={}") + ")", None
    return None


def setup(app):
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-signature", _signature)
