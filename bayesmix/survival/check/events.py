"""The column of the events as it stands, with what is wrong with it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bayesmix._arguments import plain
from bayesmix.errors import SpecError
from bayesmix.formula.frames import near_names
from bayesmix.model.events import partial_codes

# From so many events on, is it the right column?
MANY = 20

# Words for rows in which nothing happened, or in which it is unknown what did.
CENSORED = frozenset(
    [
        *("", "0", "0.0", "alive", "cens", "censor", "censored", "censoring", "right-censored"),
        *("right censored", "event-free", "event free", "eventfree", "none", "no", "no event"),
        *("no_event", "nothing", "null", "na", "n/a", "nan", "lost", "lost to follow-up"),
        *("ltfu", "follow-up", "followup", "withdrawn"),
    ]
)
NEVER = frozenset(["cure", "cured", "immune", "never", "long-term survivor"])
UNKNOWN = frozenset(["?", "missing", "unclear", "undetermined", "unknown", "unspecified"])


@dataclass(eq=False)
class EventColumn:
    """Which of S events each of n rows may have had.

    Parameters
    ----------
    name : str or None
        The column; None for one event without a name.
    names : tuple
        The S events.
    allowed : ndarray of bool, shape (n, S)
    label : ndarray of int, shape (n,)
        Place in `label_words` of what is known of each row's event.
    label_words : list of str
    components : mapping of event to bool, or None
        Of a model: all its components, and whether they never happen by their family.
    problems, notes : list of str
    """

    name: str | None
    names: tuple[Hashable, ...]
    allowed: np.ndarray
    label: np.ndarray
    label_words: list[str]
    components: Mapping[Hashable, bool] | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def single(self) -> np.ndarray:
        """Rows whose event is known, (n,)."""
        return self.label < len(self.names)

    @property
    def unknown(self) -> np.ndarray:
        """Rows whose event is missing, (n,)."""
        return self.label == len(self.label_words) - 1

    def known(self, k: int) -> np.ndarray:
        """Rows known to have had event k, (n,)."""
        return self.label == k

    def means_censored(self, name: Hashable) -> bool:
        """Whether the name of an event says that there was none, or that it is unknown."""
        return _word(name) in CENSORED | UNKNOWN

    def means_never(self, name: Hashable) -> bool:
        """Whether the name of an event, or its family, says that it never comes."""
        if self.components is not None:
            return self.components.get(name, False)
        return _word(name) in NEVER


def counted(rows: np.ndarray) -> str:
    """How many rows are true, in words."""
    count = int(rows.sum())
    return f"{count} row{'' if count == 1 else 's'}"


def _word(name: Hashable) -> str:
    return str(name).strip().lower()


def read_events(
    data: pd.DataFrame,
    name: str | None,
    partial: Mapping[Hashable, Sequence[Hashable]] | None,
    components: Mapping[Hashable, bool] | None = None,
    others: Iterable[Hashable] = (),
) -> EventColumn:
    """Read the column of the events, and say what is wrong with it.

    Parameters
    ----------
    data : DataFrame of n rows
    name : str or None
    partial : mapping of code to events, or None
    components : mapping of event to bool, or None
        As of `EventColumn`.
    others : iterable
        Events that the column need not have.

    Raises
    ------
    SpecError
        If `partial` is no such mapping, or is given without a column.
    """
    if partial is not None and name is None:
        raise SpecError("partial_events= needs event=, the column in which its codes stand")
    partial = partial_codes(partial)
    n = len(data)
    one = np.ones((n, 1), bool), np.zeros(n, int)
    alone = EventColumn(None, ("event",), *one, [""], components)
    if name is None:
        return alone
    if name not in data.columns:
        alone.problems.append(
            f"Column {name!r} is not in the data. {near_names(name, data.columns)}"
        )
        return alone
    try:
        levels = _levels(data[name])
    except TypeError:  # lists, for example
        alone.problems.append(f"The event column {name!r} holds values that are not names.")
        return alone
    own = [level for level in levels if level not in partial]
    if not own:
        alone.problems.append(
            f"The event column {name!r} names no event; every value is missing"
            + (" or a code of several events." if levels else ".")
        )
        return alone
    names = tuple(dict.fromkeys((*own, *(components or ()), *others)))
    column = _columns(name, names, data[name], partial, components)
    _check_levels(column, data[name], own, partial, [c for c in partial if c not in levels])
    return column


def _levels(values: pd.Series) -> list[Hashable]:
    if isinstance(values.dtype, pd.CategoricalDtype):
        return [plain(c) for c in values.cat.categories]
    return sorted((plain(v) for v in values.dropna().unique()), key=str)


def _columns(
    name: str,
    names: tuple[Hashable, ...],
    values: pd.Series,
    partial: Mapping[Hashable, tuple[Hashable, ...]],
    components: Mapping[Hashable, bool] | None,
) -> EventColumn:
    codes = list(partial)
    place = {level: i for i, level in enumerate([*names, *codes])}
    found, levels = pd.factorize(values)
    # Missing is -1: the last place.
    label = np.array([*(place[plain(v)] for v in levels), len(names) + len(codes)])[found]
    may = [[e in partial[c] for e in names] for c in codes]
    allowed = np.vstack([np.eye(len(names)), *may, np.ones(len(names))]).astype(bool)
    # A code of no event of this model, reported as a problem, stands for any.
    lost = [len(names) + i for i, c in enumerate(codes) if not any(may[i])]
    allowed[lost] = True
    words = [f"known: {n}" for n in names]
    words += [f"{' or '.join(map(str, partial[c]))} (code {c})" for c in codes]
    words.append("unknown")
    return EventColumn(name, names, allowed[label], label, words, components)


def _check_levels(
    column: EventColumn,
    values: pd.Series,
    own: list[Hashable],
    partial: Mapping[Hashable, tuple[Hashable, ...]],
    unused: Iterable[Hashable],
) -> None:
    """Add what is wrong with the column's own events, and with the codes of several."""
    column.problems += _wrong_type(column, values, own)
    column.problems += _wrong_names(column, values, own)
    column.problems += _wrong_codes(column, partial)
    column.notes += [f"The code {code!r} of partial_events= stands in no row." for code in unused]
    for k, name in enumerate(own):
        if column.known(k).any():
            continue
        text = f"The event {name!r} is a category of {column.name!r} that no row has: "
        if column.allowed[:, k].any():
            column.notes.append(
                text + "only rows whose event is unknown say anything about it. Is it meant? "
                "Otherwise use cat.remove_unused_categories()."
            )
        else:
            column.problems.append(
                text + "nothing can be learned about it. Remove it with "
                "cat.remove_unused_categories()."
            )


def _wrong_type(column: EventColumn, values: pd.Series, own: list[Hashable]) -> Iterator[str]:
    named = all(isinstance(n, str) for n in own)
    if not (named or isinstance(values.dtype, pd.CategoricalDtype)):
        example = {n: f"event{n}" for n in own[:3] if _word(n) not in CENSORED}
        yield (
            f"The event column {column.name!r} holds {values.dtype}: {own[:5]}; it "
            "names the events, as strings or a Categorical, missing where the event is unknown. "
            f"Write data[{column.name!r}].map({example}), with names of yours; values that are not "
            "listed become missing."
        )
    if len(own) >= MANY:
        yield (
            f"The event column {column.name!r} has {len(own)} events, each of which would "
            "be a component. Is it the right column?"
        )


def _wrong_names(column: EventColumn, values: pd.Series, own: list[Hashable]) -> Iterator[str]:
    """Levels that mean no event, and levels that differ in writing only."""
    categories = isinstance(values.dtype, pd.CategoricalDtype)
    by_word: dict[str, list[Hashable]] = {}
    for k, name in enumerate(own):
        by_word.setdefault("".join(_word(name).split()), []).append(name)
        if column.means_censored(name):
            what = "that nothing happened" if _word(name) in CENSORED else "that it is unknown"
            how = ".cat.remove_categories([NAME])" if categories else ".replace({NAME: None})"
            yield (
                f"The event {name!r}, in {counted(column.known(k))}, seems to mean {what}, but "
                "a model would take it for an event of its own. Mark the event as missing in these "
                f"rows: data[{column.name!r}]{how.replace('NAME', repr(name))}."
            )
    for same in by_word.values():
        if len(same) > 1:
            yield f"The events {same} differ only in spaces or capital letters; make them one."


def _wrong_codes(
    column: EventColumn, partial: Mapping[Hashable, tuple[Hashable, ...]]
) -> Iterator[str]:
    there = list(column.names)
    for code, events in partial.items():
        unknown = [e for e in events if e not in there]
        if unknown:
            yield (
                f"The code {code!r} of partial_events= stands for {unknown}, but the events are "
                f"{there}."
            )
        elif len(set(events)) == 1:
            yield (
                f"The code {code!r} of partial_events= stands for {events[0]!r} alone; write "
                f"{events[0]!r} in the event column."
            )
