"""A report of fits: one HTML page that a reader without Python can open, and its tables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from bayesmix._arguments import door
from bayesmix._arguments.files import target_file, write_whole
from bayesmix.errors import DataError
from bayesmix.reporting.explorer import Explorer, explore
from bayesmix.reporting.files import tables_of, write_tables
from bayesmix.reporting.page import page
from bayesmix.reporting.sections import make_sections
from bayesmix.reporting.subject import Subject, make_subject

PAGE = "report.html"
OTHERS = (".pdf", ".doc", ".docx", ".odt", ".tex", ".md", ".txt", ".ipynb")


@door
def report(
    fits: Any,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    tables: str | os.PathLike[str] | None = None,
    code: str | None = None,
) -> list[Path]:
    """Report fits as one HTML page that needs no network and no Python.

    The page starts with a conclusion in plain words and with all warnings.  Then come the model in
    words and in LaTeX, the data, estimates side by side, memberships, predictions, criteria,
    pictures, a methods paragraph for a paper, and the code, seeds and versions.

    Parameters
    ----------
    fits : PointFit or Posterior, or dict of str to these
        ``{"ML": ml, "Bayes": posterior}``, or a Selection: all its fits, with a slider over the
        number of components.  The fits may be of different models or data; the page says what
        cannot be compared.  If the data come in blocks, what is shown by row is of a sample, and
        the page says so.
    path : str or path
        The HTML file; an existing file is replaced.
    title : str, optional
        The heading.
    tables : str or path, optional
        Folder for the tables as CSV (all digits) and LaTeX; created if needed.
    code : str, optional
        Your code that read the data, shown above the code of the model.

    Returns
    -------
    list of Path
        The files written, the page first.

    Raises
    ------
    SpecError
        If something is not a fit.
    DataError
        If the folder of the page does not exist, if the path is a folder, a device, a pipe or a
        socket, or if its name ends like that of a PDF or another document.
    OSError
        If the disk is full; an existing page is left unchanged.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("fabricfault")
    >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = bmx.report(spec.fit("em", seed=1), Path(folder) / "report.html")
    >>> [file.name for file in files]
    ['report.html']
    """
    subject = make_subject(fits, code)
    _check_kind(target_file(path, PAGE))
    sections = make_sections(subject)
    heading = _title(subject) if title is None else title
    write_whole(path, page(heading, _lead(subject), sections).encode(), PAGE)
    more = [] if tables is None else write_tables(Path(tables), tables_of(sections))
    return [Path(path), *more]


def _check_kind(path: Path) -> None:
    """Refuse a name that promises another kind of file than HTML."""
    if path.suffix.lower() in OTHERS:
        raise DataError(
            f"{str(path)!r}: a report is an HTML page; give a name such as "
            f"{path.with_suffix('.html').name!r}, open it in a browser and print it to make a PDF"
        )


def _title(subject: Subject) -> str:
    spec = next(iter(subject.specs.values()))
    names = " and ".join(block.name for block in spec.layout.blocks)
    kinds = {s.k for s in subject.specs.values()}
    if spec.kind.named:
        return f"Competing events: {', '.join(map(str, spec.components))}"
    if kinds == {1}:
        return f"Regression of {names}"
    if len(kinds) > 1:
        return f"Mixtures of regressions of {names}"
    return f"Mixture of {spec.k} regressions of {names}"


def _lead(subject: Subject) -> str:
    fits = ", ".join(subject.fits)
    one = len(subject.fits) == 1
    words = f"Report of {'the fit' if one else 'the fits'} {fits}, written by bayesmix."
    return f"{words} {subject.sample_words}".strip()
