"""The exceptions and warnings of bayesmix, named by the stage that raises them."""

import warnings
from pathlib import Path

__all__ = [
    "WARNINGS",
    "BayesmixError",
    "ConvergenceWarning",
    "DataError",
    "DataWarning",
    "DegenerateWarning",
    "FitError",
    "FormulaError",
    "IdentifiabilityWarning",
    "NotFiniteError",
    "SpecError",
    "UnknownNameError",
    "UnknownOptionError",
    "warn",
]


class BayesmixError(ValueError):
    """Any error that bayesmix raises on purpose; also a `ValueError`."""


class SpecError(BayesmixError):
    """A model that cannot be what its description says."""


class FormulaError(BayesmixError):
    """A formula that cannot be read."""


class DataError(BayesmixError):
    """Data that the model cannot use as they are."""


class FitError(BayesmixError):
    """A fit that cannot be made, or a question that a fit cannot answer."""


class UnknownNameError(BayesmixError, AttributeError):
    """A name that an object does not have; also an `AttributeError`, so that `hasattr` works."""


class UnknownOptionError(SpecError, FitError, TypeError):
    """A keyword that a function does not have; also a `TypeError`, as Python's own is."""


class NotFiniteError(ValueError):
    """A log density without a finite value or gradient, as far from the data.

    nutpie asks an error for `is_recoverable`: such a point is a divergence, and any other
    error ends the run.
    """

    is_recoverable = True

    def __init__(self) -> None:
        super().__init__("the log density is not finite here")


class ConvergenceWarning(UserWarning):
    """A fit that stopped before it converged."""


class DegenerateWarning(UserWarning):
    """A fit at a boundary: a collapsed variance, a vanished component, separation."""


class DataWarning(UserWarning):
    """Columns that may not be what they seem, such as numbers stored as text."""


class IdentifiabilityWarning(UserWarning):
    """Parameters that the data do not determine."""


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
    "sample": DataWarning,
    "labels": UserWarning,
    "impossible responses": UserWarning,
}


def warn(kind: str, message: str) -> None:
    """Warn the user's own line of code, with where the documentation explains the warning.

    Parameters
    ----------
    kind : str
        A key of `WARNINGS`.
    message : str
        What was seen, and what to do.
    """
    anchor = kind.replace(" ", "-").replace("_", "-")
    warnings.warn(
        f"{message} (docs: warnings#{anchor})", WARNINGS[kind], skip_file_prefixes=(PACKAGE,)
    )
