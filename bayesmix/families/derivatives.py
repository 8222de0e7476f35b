"""A log density with its derivatives in the linear predictors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Derivatives(NamedTuple):
    """A log density with its derivatives in the p linear predictors.

    `logf` has shape (...), `first` (p, ...), `second` (p, p, ...); as tuples of
    arrays that broadcast to (...), so that nothing is copied together.
    """

    logf: np.ndarray
    first: tuple[np.ndarray, ...]
    second: tuple[tuple[np.ndarray, ...], ...]
