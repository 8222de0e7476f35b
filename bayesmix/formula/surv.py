"""What the columns of ``surv(...)`` say of times, and everything that can be wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bayesmix.formula.calls import Call

# Given rows (n,) with which something is wrong, what it is, and what to do.
Refuse = Callable[[np.ndarray, str, str], None]
CORRECT = "Correct these rows."
# Lower and upper bounds, entries and background hazards, as in `Times`, each (n,).
type Bounds = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]
AT_ZERO = "the time of an event is zero"
POSITIVE = (
    "A density needs positive times: correct these rows, or give a small time such as half the "
    "unit of measurement."
)


def read_bounds(call: Call, values: Sequence[np.ndarray], refuse: Refuse) -> Bounds:
    """The bounds and entries of times.

    Parameters
    ----------
    call : Call
        ``surv(...)`` taken apart.
    values : sequence of ndarray, shape (n,)
        Of its expressions, in the order of `Call.named`; NaN where missing.
    refuse : callable
        May raise, or go on to what else is wrong.
    """
    if call.kind == "interval":
        low, high = values
        return *_interval(low, high, refuse), np.zeros(len(low)), None
    named = {what: given for (_, what), given in zip(call.named, values, strict=True)}
    time, rate = named["survival time"], named.get("background hazard")
    entry = named.get("entry", np.zeros(len(time)))
    status = named.get("status", np.ones(len(time)))
    for given, name in ((time, "time"), (status, "status"), (entry, "entry")):
        leave_out = "Fill it in or leave these rows out with na_action='drop'."
        refuse(np.isnan(given), f"the {name} is missing", leave_out)
    refuse(np.isinf(time) | np.isinf(entry), "a time is infinite", CORRECT)
    if (bad := ~np.isin(status, (0, 1))).any():
        refuse(bad, *_wrong_status(status))
    refuse(time < 0, "the time is negative", "Times count from the subject's own start.")
    refuse((time == 0) & (status == 1), AT_ZERO, POSITIVE)
    refuse(entry < 0, "the entry is negative", "Without a delayed entry it is 0.")
    swapped = "Both count from the same start; were they swapped, or in different units?"
    refuse((entry > 0) & (entry >= time), "the entry is not before the time", swapped)
    if rate is not None:
        no_rate = ~np.isfinite(rate) | (rate < 0)
        refuse(no_rate, "the background hazard is negative, missing or infinite", CORRECT)
    return time, np.where(status == 1, time, np.inf), entry, rate


def _wrong_status(status: np.ndarray) -> tuple[str, str]:
    """What is wrong with values of a status, and what to do with the usual ones."""
    values = np.unique(status[np.isfinite(status)])
    shown = ", ".join(f"{v:g}" for v in values[:6]) + (", ..." if len(values) > 6 else "")
    what = f"the status is neither 0 nor 1 (it has the values {shown})"
    if set(values) == {1.0, 2.0}:
        return what, "This looks like 1 for censored and 2 for an event: write status - 1 for it."
    if len(values) > 2 and 0 in values and (values == np.floor(values)).all():
        return what, (
            "This looks like a code of what happened: write code > 0 for the status, and put the "
            "events, by name, in the column of event=, missing where it is 0."
        )
    return what, "It is 1 for an event and 0 for a right-censored time; recode it."


def _interval(
    lower: np.ndarray, upper: np.ndarray, refuse: Refuse
) -> tuple[np.ndarray, np.ndarray]:
    nothing = "Where nothing is known of the time, write 0 and infinity."
    refuse(np.isnan(lower) & np.isnan(upper), "both bounds are missing", nothing)
    lower = np.where(np.isnan(lower), 0.0, lower)
    upper = np.where(np.isnan(upper), np.inf, upper)
    refuse((lower < 0) | (upper < 0), "a bound is negative", "Times count from the start.")
    refuse(np.isinf(lower), "the lower bound is infinite", CORRECT)
    refuse(upper < lower, "the upper bound is below the lower one", "Were they swapped?")
    refuse((lower == 0) & (upper == 0), AT_ZERO, POSITIVE)
    return lower, upper
