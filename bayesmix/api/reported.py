"""The report of one fit."""

from __future__ import annotations

import os
from pathlib import Path

from bayesmix.reporting import report

__all__ = ["Reported"]


class Reported:
    """A fit that can be written as a page."""

    def report(
        self,
        path: str | os.PathLike[str],
        *,
        title: str | None = None,
        tables: str | os.PathLike[str] | None = None,
        code: str | None = None,
    ) -> list[Path]:
        """Write the fit as one HTML page; `bmx.report` takes several fits side by side.

        Parameters
        ----------
        path : str or path
            The page; a file that is there is replaced.
        title : str, optional
            The heading.
        tables : str or path, optional
            Folder for the tables as CSV and LaTeX; made if it is not there.
        code : str, optional
            How the data were read, shown above the code of the model.

        Returns
        -------
        list of Path
            The files written, the page first.

        Raises
        ------
        DataError
            If the folder of the page does not exist.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = fit.report(Path(folder) / "report.html")
        >>> [file.name for file in files]
        ['report.html']
        """
        return report(self, path, title=title, tables=tables, code=code)
