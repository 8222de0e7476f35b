"""What every kind of row says to a model of competing events, in words, and what is wrong."""

from __future__ import annotations

import html
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import door, plain
from bayesmix._arguments.printing import wrapped
from bayesmix.errors import DataError, FormulaError, SpecError
from bayesmix.formula.calls import is_surv
from bayesmix.formula.frames import check_data, replaced
from bayesmix.formula.parser import parse_formula
from bayesmix.formula.scope import Scope
from bayesmix.formula.times import EXACT, INTERVAL, LEFT, NOTHING, RIGHT, Times
from bayesmix.formula.tokens import parted
from bayesmix.model.histories import pieces_of, pieces_text
from bayesmix.survival.check.consistency import check_subjects, check_together
from bayesmix.survival.check.events import EventColumn, read_events
from bayesmix.survival.check.times import KIND_WORDS, UNREADABLE, Reading, read_columns

# Sums of more terms are shortened.
MOST = 8
# What a time of each kind says of an event {k}.
TERMS = {
    EXACT: "f{k}(t)",
    RIGHT: "S{k}(t)",
    LEFT: "F{k}(u)",
    INTERVAL: "[F{k}(u) - F{k}(l)]",
    NOTHING: "",
}


@dataclass(frozen=True, eq=False, repr=False)
class SurvivalCheck:
    """How the rows of survival data are read.  Made by `check_survival`.

    Parameters
    ----------
    table : DataFrame
        event, observation, rows, contribution: what is known about the event, how the time was
        observed, in how many rows, and what each contributes to the likelihood.
    problems : list of str
        What a model would refuse or misread.
    notes : list of str
        What is allowed but worth checking.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("pbc").astype({"event": object}).fillna({"event": "none"})
    >>> check = bmx.check_survival(data, "surv(years, status)", event="event")
    >>> check.ok, check.problems[0][:49]
    (False, "The event 'none', in 232 rows, seems to mean that")
    """

    table: pd.DataFrame
    problems: list[str]
    notes: list[str]

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""
        return not self.problems

    def _sections(self) -> list[tuple[str, list[str]]]:
        return [(h, t) for h, t in (("Problems", self.problems), ("Notes", self.notes)) if t]

    def __repr__(self) -> str:
        lines = [self.table.to_string(index=False)]
        for head, texts in self._sections():
            lines += ["", f"{head}:", *(wrapped(text, "- ") for text in texts)]
        return "\n".join(lines if self.problems else [*lines, "", "No problems."])

    def _repr_html_(self) -> str:
        parts = [self.table.to_html(index=False, border=0)]
        for head, texts in self._sections():
            items = "".join(f"<li>{html.escape(text)}</li>" for text in texts)
            parts.append(f"<strong>{head}</strong><ul>{items}</ul>")
        return f"<div>{''.join(parts)}{'' if self.problems else '<p>No problems.</p>'}</div>"


@door
def check_survival(
    data: pd.DataFrame,
    response: str | Mapping[Hashable, str],
    event: str | None = None,
    id: str | None = None,  # noqa: A002
    partial_events: Mapping[Hashable, Sequence[Hashable]] | None = None,
    truncation: str = "mixture",
) -> SurvivalCheck:
    r"""Show how every kind of row will be read, and what is wrong with the data.

    All problems are reported at once.  Nothing is changed, and no model is fitted.

    Parameters
    ----------
    data : DataFrame
    response : str or mapping of event to str
        ``"surv(time, status)"`` in any of its forms, or a formula with it on the left; a dict
        if the events have different responses.
    event : str, optional
        Column that names the event, missing where it is unknown.  None: there is one event.
    id : str, optional
        Column that identifies subjects.  Without it, the rows are searched for subjects that
        appear once for every event.
    partial_events : mapping of code to sequence of events, optional
        As in `CompetingRisks`.
    truncation : {"mixture", "component"}
        As in `CompetingRisks`.

    Returns
    -------
    SurvivalCheck
        `pi_k` is the probability of event k; f, S and F are the density, survival and
        distribution function of its time.

    Raises
    ------
    FormulaError
        If the response is not ``surv(...)``.
    SpecError
        If another argument is wrong.
    DataError
        If the data are not a DataFrame with rows.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> check = bmx.check_survival(bmx.load_data("mgus2"), "surv(years, status)", event="event")
    >>> check.table["rows"].tolist(), check.ok
    ([860, 115, 409], True)
    >>> check.table["contribution"].iloc[2]
    'pi_death S_death(t) + pi_pcm S_pcm(t)'
    """
    scope = Scope.capture(2)
    check_data(data)
    texts = _texts(response, event)
    read = {text: read_columns(text, data, scope) for text in dict.fromkeys(texts.values())}
    column, readings = _compare(data, texts, read, event, id, partial_events)
    found: list[Reading | EventColumn] = [*read.values(), column]
    problems = [text for each in found for text in each.problems]
    notes = [text for each in found for text in each.notes]
    for reading in read.values() if id is None else ():
        if reading.readable.all():
            times = Times(reading.lower, reading.upper, reading.entry)
            if (pieces := pieces_of(data, times, _columns_of(texts))) is not None:
                (notes if event is None else problems).append(pieces_text(pieces))
    return SurvivalCheck(_table(column, readings, truncation), problems, notes)


def refuse_mistakes(
    data: pd.DataFrame,
    response: str | Mapping[Hashable, str],
    event: str,
    partial_events: Mapping[Hashable, Sequence[Hashable]] | None,
    scope: Scope,
    never: Mapping[Hashable, bool] | None,
) -> None:
    """Refuse data in which `check_survival` finds a mistake, in the same words.

    Parameters
    ----------
    data, response, event, partial_events
        As of `check_survival`.
    scope : Scope
    never : mapping of event to bool, or None
        The components of a model that could be made, with whether they never happen by
        their family.  None: it could not, and how rows are read may be why.

    Raises
    ------
    DataError
        With all mistakes.
    """
    texts = _texts(response, event)
    if never is not None and isinstance(data[event].dtype, pd.CategoricalDtype):
        known = {*never, *(partial_events or ())}
        unused = [c for c in data[event].cat.categories if plain(c) not in known]
        data = replaced(data, {event: data[event].cat.remove_categories(unused)})
    read = {text: read_columns(text, data, scope) for text in dict.fromkeys(texts.values())}
    column, _ = _compare(data, texts, read, event, None, partial_events, never)
    # Rows of one event need not have another's times.
    problems = [p for r in read.values() for p in r.problems] if never is None else []
    problems += column.problems
    if len(problems) == 1:
        raise DataError(problems[0])
    if problems:
        listed = "\n".join(f"- {text}" for text in problems)
        raise DataError(f"There are {len(problems)} mistakes in the data:\n{listed}")


def _compare(
    data: pd.DataFrame,
    texts: Mapping[Hashable, str],
    read: Mapping[str, Reading],
    event: str | None,
    subject: str | None,
    partial_events: Mapping[Hashable, Sequence[Hashable]] | None,
    never: Mapping[Hashable, bool] | None = None,
) -> tuple[EventColumn, dict[Hashable, Reading]]:
    """The event column beside the times; it has what is wrong with both."""
    column = read_events(data, event, partial_events, never, texts if None not in texts else ())
    readings = _by_event(texts, read, column)
    # The kind of each row's time: that of the event known, or of the first one allowed.
    kinds = np.array([readings[name].kind for name in column.names])
    kind = kinds[column.allowed.argmax(axis=1), np.arange(kinds.shape[1])]
    check_together(column, kind)
    check_subjects(data, event, subject, _columns_of(texts), column)
    return column, readings


# --- what is asked -------------------------------------------------------------------------


def _texts(response: Any, event: str | None) -> dict[Hashable, str]:
    """Text of the response of each event; of None where they share one."""
    if isinstance(response, Mapping):
        if event is None:
            raise SpecError("responses by event need event=, the column that names the events")
        if not response:
            raise SpecError("response={} has no event; give surv(...) for each one")
        return {name: _left_side(text) for name, text in response.items()}
    return {None: _left_side(response)}


def _left_side(text: Any) -> str:
    formula = text if isinstance(text, str) and parted(text)[1] else f"{text} ~ 1"
    found = parse_formula(formula, "formula").response
    if found is None or not is_surv(found):
        raise FormulaError(
            f"{text!r} has no survival time; write 'surv(time, status)', 'surv(lower, upper, "
            'kind="interval")\' or \'surv(entry, time, status, kind="counting")\''
        )
    return found


def _columns_of(texts: Mapping[Hashable, str]) -> set[str]:
    return {n for t in texts.values() for n in parse_formula(f"{t} ~ 1", "formula").response_names}


def _by_event(
    texts: Mapping[Hashable, str], read: Mapping[str, Reading], column: EventColumn
) -> dict[Hashable, Reading]:
    """The response of each event."""
    first = read[next(iter(texts.values()))]
    if None in texts or column.name is None:
        return dict.fromkeys(column.names, first)
    missing = [name for name in column.names if name not in texts]
    if missing:
        column.problems.append(
            f"There is no response for the events {missing}; give surv(...) for each of "
            f"{list(column.names)}."
        )
    return {name: read[texts[name]] if name in texts else first for name in column.names}


# --- the table -----------------------------------------------------------------------------


def _table(
    column: EventColumn, readings: Mapping[Hashable, Reading], truncation: str
) -> pd.DataFrame:
    kinds = np.column_stack([readings[name].kind for name in column.names])
    entered = np.column_stack([readings[n].entry > 0 for n in column.names]).any(axis=1)
    # A row is described by what is known of the event, and its kinds for the events allowed.
    kinds = np.where(column.allowed, kinds, -1)
    entered &= ~(kinds == UNREADABLE).any(axis=1)
    codes = pd.DataFrame(np.column_stack([column.label, entered, kinds]))
    counts = codes.groupby(list(codes.columns)).size()
    rows = []
    for (label, entry, *own), count in zip(counts.index.tolist(), counts, strict=True):
        there = [(name, kind) for name, kind in zip(column.names, own, strict=True) if kind >= 0]
        observed = _observation(there) + (", delayed entry" if entry else "")
        term = _contribution(column, there, bool(entry), truncation)
        rows.append((column.label_words[label], observed, int(count), term))
    table = pd.DataFrame(rows, columns=["event", "observation", "rows", "contribution"])
    return table.drop(columns="event") if column.name is None else table


def _observation(there: list[tuple[Hashable, int]]) -> str:
    if len({kind for _, kind in there}) == 1:
        return KIND_WORDS[there[0][1]]
    return ", ".join(f"{name}: {KIND_WORDS[kind]}" for name, kind in there)


def _contribution(
    column: EventColumn, there: list[tuple[Hashable, int]], entered: bool, truncation: str
) -> str:
    if any(kind == UNREADABLE for _, kind in there):
        return "none: see the problems"
    if column.name is None:
        term = TERMS[there[0][1]].format(k="") or "1"
        return f"{term} / S(entry)" if entered else term
    every = len(there) == len(column.names)
    own = entered and truncation == "component"
    if every and not own and all(kind == NOTHING for _, kind in there):
        return "1"
    total = _sum([_term(name, kind, own) for name, kind in there])
    if not entered or own:
        return total
    reached = _sum([f"pi_{name} S_{name}(entry)" for name in column.names])
    return f"{f'({total})' if len(there) > 1 else total} / ({reached})"


def _sum(terms: list[str]) -> str:
    if len(terms) > MOST:
        terms = [terms[0], terms[1], f"... ({len(terms)} terms)"]
    return " + ".join(terms)


def _term(name: Hashable, kind: int, own_entry: bool) -> str:
    time = TERMS[kind].format(k=f"_{name}")
    entry = f" / S_{name}(entry)" if own_entry else ""
    return f"pi_{name} {time}{entry}" if time else f"pi_{name}{entry}"
