"""The exceptions and warnings of bayesmix, named by the stage that raises them."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path


class BayesmixError(ValueError):
    """Any error that bayesmix raises on purpose; also a `ValueError`."""


class SpecError(BayesmixError):
    """The specification of a model contradicts itself or requests something impossible."""


class FormulaError(BayesmixError):
    """A formula cannot be read."""


class DataError(BayesmixError):
    """The model cannot use the data as they are."""


class FitError(BayesmixError):
    """A fit failed, or cannot give what was requested."""


# An error of Python's comes first of the bases: dask makes errors of its workers by its `__new__`.
class UnknownNameError(AttributeError, BayesmixError):
    """An object has no such name; also an `AttributeError`, so that `hasattr` works."""


class UnknownOptionError(TypeError, SpecError, FitError):
    """A function has no such keyword; also a `TypeError`, as in Python itself."""


class NotFiniteError(ValueError):
    """A log density has no finite value or gradient, for instance far from the data.

    nutpie reads `is_recoverable`: it counts such a point as a divergence, while any other error
    ends the run.
    """

    is_recoverable = True

    def __init__(self) -> None:
        super().__init__("the log density is not finite here")


class ConvergenceWarning(UserWarning):
    """A fit stopped before it converged."""


class DegenerateWarning(UserWarning):
    """A fit ended at a boundary: a collapsed variance, an empty component, separation."""


class DataWarning(UserWarning):
    """Columns may not be what they seem, such as numbers stored as text."""


class IdentifiabilityWarning(UserWarning):
    """The data do not determine some parameters."""


PACKAGE = str(Path(__file__).parent)

# Every warning by its kind.  The page of the documentation called warnings has a section for each,
# whose anchor is the kind with hyphens.
WARNINGS: dict[str, type[Warning]] = {
    "max_iter": ConvergenceWarning,
    "starts": ConvergenceWarning,
    "reduced": ConvergenceWarning,
    "degenerate": DegenerateWarning,
    "spurious": DegenerateWarning,
    "boundary": DegenerateWarning,
    "unidentified": IdentifiabilityWarning,
    "no intervals": IdentifiabilityWarning,
    "stuck": ConvergenceWarning,
    "different modes": ConvergenceWarning,
    "vanished component": ConvergenceWarning,
    "twin components": ConvergenceWarning,
    "divergences": ConvergenceWarning,
    "modes apart": ConvergenceWarning,
    "unvisited modes": ConvergenceWarning,
    "slow mixing": ConvergenceWarning,
    "poor approximation": ConvergenceWarning,
    "few draws": ConvergenceWarning,
    "one mode": ConvergenceWarning,
    "interrupted": ConvergenceWarning,
    "pooled": ConvergenceWarning,
    "levels": DataWarning,
    "pieces": DataWarning,
    "sample": DataWarning,
    "labels": UserWarning,
    "impossible responses": UserWarning,
    "infinite mean": UserWarning,
}


_PREFIX: ContextVar[str] = ContextVar("prefix", default="")


@contextmanager
def warnings_about(subject: str) -> Iterator[None]:
    """Begin every warning with its subject, where one call of the user makes several fits."""
    token = _PREFIX.set(f"{subject}: ")
    try:
        yield
    finally:
        _PREFIX.reset(token)


def warn(kind: str, message: str) -> None:
    """Warn at the user's own line of code, with the address that explains the warning.

    Parameters
    ----------
    kind : str
        A key of `WARNINGS`.
    message : str
        What was seen, and what to do.
    """
    anchor = kind.replace(" ", "-").replace("_", "-")
    message = f"{_PREFIX.get()}{message} (docs: warnings#{anchor})"
    warnings.warn(message, WARNINGS[kind], skip_file_prefixes=(PACKAGE,))
