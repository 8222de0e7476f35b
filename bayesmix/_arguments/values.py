"""Values of arguments that many calls share, checked in one way: numbers, shares, seeds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from bayesmix._arguments.kinds import is_number, of_class
from bayesmix._arguments.shown import shown
from bayesmix.errors import DataError, FitError, FormulaError, SpecError

Check = Callable[[str, Any, type[ValueError]], Any]
# Options of fits, given as keywords of any name, that may be None: the default.
NONE_BY_DEFAULT = frozenset(
    {"checkpoint", "n_threads", "seed", "starts", "thin", "tol", "max_iter", "min_weight"}
    | {"draws", "tune", "chains"}
)
# More draws than this is a slip of the keyboard, not a plan.
MOST = 10**8
LARGEST_INCHES = 500


def whole_number(
    name: str, value: Any, what: str, least: int, error: type[ValueError] = SpecError
) -> int:
    """Take a whole number that is not too small; refuse anything else."""
    if not is_number(value) or value != int(value) or value < least:
        raise error(f"{name}={shown(value)}: {what} must be an integer of at least {least}")
    if value > MOST:
        raise error(f"{name}={shown(value)}: {what} is at most {MOST:,}; use fewer")
    return int(value)


def at_least(least: int, what: str) -> Check:
    """A check for whole numbers."""
    return lambda name, value, error: whole_number(name, value, what, least, error)


def share(example: float, *, zero: bool = False) -> Check:
    """A check for numbers between 0 and 1, or 0 itself where that has a meaning."""

    def check(name: str, value: Any, error: type[ValueError]) -> None:
        if not is_number(value) or not (0 < value < 1 or (zero and value == 0)):
            given = f"{name}={shown(value)}"
            raise error(f"{given} must be a number between 0 and 1, such as {example:g}")

    return check


def one_of(*choices: str) -> Check:
    """A check for words."""

    def check(name: str, value: Any, error: type[ValueError]) -> Any:
        known = value if isinstance(value, str) else None
        check_known(f"{name}={shown(value)}", known, choices, error)

    return check


def check_known(
    given: str, value: Any, choices: Iterable[Any], error: type[ValueError] = FitError
) -> None:
    """Refuse a value, `given` as it was written, that is none of the choices."""
    choices = tuple(choices)
    if value not in choices:
        raise error(f"{given} is unknown; use one of {choices}")


def anything(_name: str, _value: Any, _error: type[ValueError]) -> None:
    """No check beside the type."""


def numeric(name: str, value: Any, error: type[ValueError]) -> None:
    """A check for numbers and arrays of them; what computes by itself, as tensors do, passes."""
    if not (of_class(value, "Jet") or of_class(value, "Variable")):
        _numbers(name, value, error)


def probabilities(name: str, value: Any, error: type[ValueError]) -> None:
    """A check for probabilities and arrays of them."""
    found = _numbers(name, value, error)
    if not ((found >= 0) & (found <= 1)).all():
        raise error(f"{name}={shown(value)} must lie between 0 and 1")


def _numbers(name: str, value: Any, error: type[ValueError]) -> np.ndarray:
    try:
        found = np.asarray(value)
    except Exception:  # noqa: BLE001 - a class of the user's may raise anything
        found = np.empty(0, object)
    if found.dtype.kind not in "iuf":
        raise error(f"{name}={shown(value)} must be a number or an array of numbers")
    return found


def positive_pair(name: str, value: Any, error: type[ValueError]) -> None:
    """A check for a width and a height."""
    pair = isinstance(value, (tuple, list)) and len(value) == 2 and all(map(is_number, value))
    if not pair or not all(0 < side < LARGEST_INCHES for side in value):
        raise error(f"{name}={shown(value)} is a width and a height in inches, such as (6, 4)")


def generator(seed: Any) -> np.random.Generator:
    """Make a random generator from a seed: a non-negative integer, a Generator or None."""
    return np.random.default_rng(int(seed) if is_number(seed) else seed)


def plain(value: Any) -> Any:
    """Turn NumPy's numbers into Python's, which read better."""
    return value.item() if isinstance(value, np.generic) else value


def written_options(options: Any) -> dict[str, str]:
    """Options that are not at their defaults, as Python texts by name.

    Parameters
    ----------
    options : dataclass
        Of a call; how progress is shown is left out.

    Returns
    -------
    dict of str to str
        What cannot be written down, such as a generator or a fit, is ``your_<name>``.
    """
    out = {}
    for option in fields(options):
        value = getattr(options, option.name)
        if option.name == "progress" or value is option.default:
            continue
        if (written := _source(option.name, value)) != repr(option.default):
            out[option.name] = written
    return out


def _source(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        value = {tuple(map(plain, k)): plain(v) for k, v in value.items()}
    return repr(plain(value)) if _is_literal(plain(value)) else f"your_{name}"


def _is_literal(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_literal(v) for pair in value.items() for v in pair)
    if isinstance(value, tuple):
        return all(map(_is_literal, value))
    return value is None or isinstance(value, bool | int | float | str)


def _seed(name: str, value: Any, error: type[ValueError]) -> None:
    known = (np.random.Generator, np.random.BitGenerator, np.random.SeedSequence)
    whole = is_number(value) and value == int(value) and value >= 0
    if not (whole or isinstance(value, known)):
        raise error(
            f"{name}={shown(value)} is not a seed; use an integer of at least 0, a numpy Generator "
            "or None"
        )


def _place(name: str, value: Any, error: type[ValueError]) -> Path:
    """A path as the system takes it."""
    try:
        if not os.fspath(value) or b"\0" in os.fsencode(value):
            raise ValueError
        return Path(value).expanduser()
    except (RuntimeError, TypeError, ValueError):
        raise error(f"{name}={shown(value)} is not a path") from None


def _file(name: str, value: Any, error: type[ValueError]) -> None:
    if _is(_place(name, value, error), Path.is_dir):
        raise error(f"{name}={shown(value)} is a folder; name a file in it")


def _folder(name: str, value: Any, error: type[ValueError]) -> None:
    place = _place(name, value, error)
    if _is(place, Path.exists) and not _is(place, Path.is_dir):
        raise error(f"{name}={shown(value)} is a file; name a folder")


def _is(place: Path, what: Callable[[Path], bool]) -> bool:
    try:
        return what(place)
    except OSError:  # such as a name that is too long: opening it says so
        return False


# What the values of an argument may be, wherever it stands.
VALUES: dict[str, Check] = {
    "ci": share(0.95),
    "path": _file,
    "to": _file,
    "checkpoint": _file,
    "tables": _folder,
    "seed": _seed,
    "draws": at_least(1, "the number of draws"),
    "n": at_least(1, "the number"),
    "k": at_least(1, "the number of components"),
    "starts": at_least(1, "the number of starts"),
    "max_iter": at_least(0, "the number of iterations"),
    "tune": at_least(10, "the number of tuning steps"),
    "chains": at_least(1, "the number of chains"),
    "n_threads": at_least(1, "the number of threads"),
    "thin": at_least(1, "the draws made for each that is kept"),
    "predictive": at_least(0, "the number of predictive data sets"),
    "max_k": at_least(1, "the number of clusters"),
    "worst": at_least(0, "the number of parameters"),
    "tol": share(1e-8),
    "min_weight": share(0.05, zero=True),
    "figsize": positive_pair,
    "eps": share(1e-4, zero=True),
    "among": one_of("all", "events"),
    "per": one_of("row", "unit"),
    "na_action": one_of("error", "drop", "fiml"),
    "random_covariance": one_of("varying", "fixed", "proportional"),
    "truncation": one_of("mixture", "component"),
}

# Errors of arguments that belong to one stage, wherever they stand.
ERRORS: dict[str, type[ValueError]] = {
    "formula": FormulaError,
    "fixed": FormulaError,
    "concomitant": FormulaError,
    "data": DataError,
    "newdata": DataError,
    "path": DataError,
    "to": DataError,
    "checkpoint": DataError,
    "ci": FitError,
}

_COLUMN = (
    "the name of a column; values go into the data, as in data.assign(NAME=...) with NAME='NAME'"
)
# What an argument takes, where its annotation says too little.  NAME is its name.
WORDS: dict[str, str] = {
    "group": _COLUMN,
    "weights": _COLUMN,
    "labels": _COLUMN,
    "event": _COLUMN,
    "id": _COLUMN,
    "formula": "a formula as text, such as 'y ~ x', or a list of bmx.Regression, one for each "
    "response; components with different covariates are nested=[('~ 0', 1), ('~ x', 1)]",
    "fixed": "a formula as text, such as '~ x'",
    "concomitant": "a formula as text, such as '~ x'",
    "nested": "a list of (formula, number of components), such as [('~ x', 1), ('~ 0', 2)]",
    "fixed_params": "a dict of (component, parameter) to number, such as {(1, 'x'): 0.5}",
    "fits": "a dict of names to fits, such as {'one': fit, 'two': other}",
    "family": "the name of a family, a Family, one for each component, or a dict of numbers of "
    "components such as {'zero': 1, 'poisson': 'k'}",
    "priors": "a dict of names to Prior, such as {'coef': bmx.Prior('normal', mu=0, sigma=1)}, "
    "'flat' or None",
    "partial_events": "a dict of codes of the event column to the events that each may be, such "
    "as {'a_or_b': ['a', 'b']}",
    "ancillary": "a dict of events to formulas of their parameters, such as "
    "{'death': {'shape': '~ sex'}}",
    "params": "a Dataset of parameters, such as fit.params",
    "at": "a dict of covariates to values, such as {'x': 1.0}",
    "path": "a path",
    "to": "a path",
    "checkpoint": "a path",
    "ax": "matplotlib's Axes",
    "posterior": "a Posterior, as fit('laplace') and fit('nuts') give",
    "selected": "a Selection, as bmx.select() gives",
    "order": "a list of the components in their new order",
}
