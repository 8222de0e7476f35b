"""The exceptions and warnings of bayesmix, named by the stage that raises them."""

__all__ = [
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
