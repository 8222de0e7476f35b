"""How each of many times was observed: exactly, or only within bounds."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np

from bayesmix.errors import DataError

BOUNDS = ("lower", "upper", "entry")
# What is known of a time.  A row that is none of these says nothing about it.
KINDS = ("exact", "right", "left", "interval")
EXACT, RIGHT, LEFT, INTERVAL, NOTHING = range(len(KINDS) + 1)


@dataclass(frozen=True, eq=False)
class Times:
    """How each of n times was observed.

    Parameters
    ----------
    lower, upper : ndarray of float64, shape (n,)
        The time lies between them.  Equal: known exactly.  `upper` infinite:
        right-censored at `lower`.  `lower` zero: left-censored at `upper`.
        (0, inf): nothing is known.
    entry : ndarray of float64, shape (n,)
        Delayed entry (left truncation): only a time beyond it could be seen; 0 for none.
    background : ndarray of float64, shape (n,), or None
        The rate at which the event comes at `lower` for other reasons than the model's.

    Attributes
    ----------
    log_lower, log_upper, log_entry : ndarray, shape (n,)
        Their logarithms; -inf for zero.
    code : ndarray of int8, shape (n,)
        The place of each row's kind in `KINDS`, or one more where nothing is known.

    Raises
    ------
    DataError
        If shapes differ, a bound is negative or no number, `lower` lies above `upper`,
        an exact time is zero or infinite, or an entry is not before the last possible time.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesmix.formula.times import Times
    >>> times = Times(np.array([2.0, 3.0]), np.array([2.0, np.inf]), np.zeros(2))
    >>> [kind for kind, _ in times.kinds()]
    ['exact', 'right']
    """

    lower: np.ndarray
    upper: np.ndarray
    entry: np.ndarray
    background: np.ndarray | None = None
    log_lower: np.ndarray = field(init=False, repr=False)
    log_upper: np.ndarray = field(init=False, repr=False)
    log_entry: np.ndarray = field(init=False, repr=False)
    code: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the bounds and compute once what every pass over the rows needs."""
        bounds = {name: np.asarray(getattr(self, name), dtype=float) for name in BOUNDS}
        _check(**bounds)
        with np.errstate(divide="ignore"):
            logs = {f"log_{name}": np.log(values) for name, values in bounds.items()}
        self.__dict__.update(bounds, **logs, code=codes(bounds["lower"], bounds["upper"]))

    def __len__(self) -> int:
        return len(self.lower)

    def take(self, rows: slice | np.ndarray) -> Times:
        """The same for some rows, by position, slice or mask."""
        if isinstance(rows, slice) and rows.indices(len(self)) == (0, len(self), 1):
            return self
        taken = object.__new__(Times)
        own = {name: self.__dict__[name] for name in _BY_ROW}
        taken.__dict__.update({n: None if v is None else v[rows] for n, v in own.items()})
        return taken

    def spread(self, there: np.ndarray) -> Times:
        """The same among rows of which nothing is known; these are where `there` (n,) is true."""
        rate = None if self.background is None else spread(self.background, there, 0.0)
        lower, entry = (spread(given, there, 0.0) for given in (self.lower, self.entry))
        return Times(lower, spread(self.upper, there, np.inf), entry, rate)

    def where(self, rows: np.ndarray, other: Times) -> Times:
        """The same where `rows` (n,) is true, elsewhere others; without background hazards."""
        return Times(*(np.where(rows, getattr(self, n), getattr(other, n)) for n in BOUNDS))

    def only(self, rows: np.ndarray) -> Times:
        """The same where `rows` (n,) is true; elsewhere nothing is known but the entry."""
        lower, upper = np.where(rows, self.lower, 0.0), np.where(rows, self.upper, np.inf)
        return Times(lower, upper, self.entry, self.background)

    @property
    def truncated(self) -> bool:
        """Whether any entry is delayed."""
        return self.entered is not None

    @cached_property
    def entered(self) -> slice | np.ndarray | None:
        """The rows with a delayed entry, as in `kinds`; None without any."""
        return which(self.entry > 0)

    @cached_property
    def exposed(self) -> np.ndarray:
        """Whether the time is known exactly and a background has a part in it, shape (n,)."""
        exact = self.code == EXACT
        return exact & (self.background > 0) if self.background is not None else exact & False

    @cached_property
    def points(self) -> slice | np.ndarray | None:
        """The rows known exactly or right-censored, without a background; None without any."""
        return which((self.code <= RIGHT) & ~self.exposed)

    @property
    def known(self) -> np.ndarray:
        """Whether anything is known of the time, shape (n,)."""
        return self.code != NOTHING

    @cached_property
    def event(self) -> np.ndarray:
        """1 where the time is known exactly, else 0, shape (n,)."""
        return (self.code == EXACT).astype(float)

    def kinds(self) -> tuple[tuple[str, slice | np.ndarray], ...]:
        """The kinds of observation that occur, each with its rows.

        Returns
        -------
        tuple of (str, slice or ndarray of int)
            A slice of everything where all rows are of one kind.
        """
        return self._kinds

    @cached_property
    def _kinds(self) -> tuple[tuple[str, slice | np.ndarray], ...]:
        return tuple(
            (kind, rows)
            for code, kind in enumerate(KINDS)
            if (rows := which(self.code == code)) is not None
        )


_BY_ROW = tuple(f.name for f in fields(Times))


def spread(values: np.ndarray, there: np.ndarray, other: float) -> np.ndarray:
    """Values (m, ...) of the rows where `there` (n,) is true, among rows with another value."""
    out = np.full((len(there), *values.shape[1:]), other)
    out[there] = values
    return out


def which(mask: np.ndarray) -> slice | np.ndarray | None:
    """The rows where a mask is true: all as a slice, none as None."""
    rows = np.flatnonzero(mask)
    if len(rows) == len(mask):
        return slice(None) if len(mask) else None
    return rows if len(rows) else None


def codes(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """The kinds (n,) of times between bounds."""
    open_above, open_below = np.isinf(upper), lower == 0
    code = np.full(lower.shape, INTERVAL, dtype=np.int8)
    code[lower == upper] = EXACT
    code[open_above] = RIGHT
    code[open_below] = LEFT
    code[open_above & open_below] = NOTHING
    return code


def _check(lower: np.ndarray, upper: np.ndarray, entry: np.ndarray) -> None:
    if lower.ndim != 1 or not lower.shape == upper.shape == entry.shape:
        raise DataError(
            "lower, upper and entry have one number for each time, but their shapes are "
            f"{lower.shape}, {upper.shape} and {entry.shape}"
        )
    wrong = {
        "a bound is missing (NaN)": np.isnan(lower) | np.isnan(upper) | np.isnan(entry),
        "a bound is negative": (lower < 0) | (upper < 0) | (entry < 0),
        "the lower bound is above the upper one": lower > upper,
        "an exact time is zero": (lower == 0) & (upper == 0),
        "the time is beyond an infinite bound": np.isinf(lower) | np.isinf(entry),
        "the entry is not before the last possible time": entry >= upper,
    }
    for what, bad in wrong.items():
        if bad.any():
            i = int(np.flatnonzero(bad)[0])
            raise DataError(
                f"times: {what} at {int(bad.sum())} of {len(lower)} positions; the first is {i}, "
                f"with lower={lower[i]:g}, upper={upper[i]:g}, entry={entry[i]:g}"
            )
