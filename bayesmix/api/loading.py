"""Load a model or a result from a file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

from bayesmix import storage
from bayesmix._arguments import door
from bayesmix.api.base import model_of
from bayesmix.api.model import Model
from bayesmix.api.pointfit import PointFit
from bayesmix.api.posterior import Posterior
from bayesmix.errors import DataError
from bayesmix.families import Family
from bayesmix.model import MixtureSpec


@door(error=DataError)
def load(
    path: str | os.PathLike[str],
    *,
    functions: Mapping[str, Any] | None = None,
    families: Mapping[str, Family] | None = None,
    scope: Mapping[str, Any] | None = None,
) -> Model | PointFit | Posterior:
    """Load a model, fit or posterior from the file that its method `save` wrote.

    `load` builds the design again from the formulas and the stored columns, and compares it with
    the design that was fitted.  A file holds no code: its formulas can only call bayesmix's
    transformations and the functions that you give.  `load` compares the checksum of the whole
    file before it uses any of it.

    Parameters
    ----------
    path : str or path
    functions : mapping of str to object, optional
        Your own functions that the formulas use, by name, such as ``{"half": half}``.
        Numbers, texts and small arrays that the formulas use are in the file.
    families : mapping of str to Family, optional
        Your own families, by name.
    scope : mapping of str to object, optional
        The former name of `functions`.

    Returns
    -------
    Mixture or CompetingRisks, or a fit or posterior of one
        What was saved, with equal results.

    Raises
    ------
    DataError
        If the file is missing, damaged, edited or not one of bayesmix, if it needs a function or
        family that was not given, or if the design differs from the one that was fitted.
    FitError
        If the file needs more memory than is free; also a `MemoryError`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("fabricfault")
    >>> fit = bmx.Mixture("Faults ~ log(Length)", data, family="poisson", k=2).fit(seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fit.save(Path(folder) / "faults.nc")
    ...     again = bmx.load(Path(folder) / "faults.nc")
    >>> again.loglik == fit.loglik
    True
    """
    if scope is not None:
        warnings.warn("load(scope=) was renamed: use functions=", FutureWarning, stacklevel=2)
    stored = storage.load(path, {**(scope or {}), **(functions or {})}, families)
    if isinstance(stored.value, MixtureSpec):
        return model_of(stored.value, stored.priors)
    return model_of(stored.value.spec, stored.priors)._result(stored.value)
