"""States and the ways through them: each state left by a mixture of competing events.

A state's events are the states that may come next, and the clock starts anew in each
(semi-Markov).  States without a model of their own are final.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from bayesmix.errors import SpecError
from bayesmix.families.survival import base as time_of
from bayesmix.results.event_times import Component, EventTimes, event_probabilities, mean_time
from bayesmix.survival.sums import mixed_quantile

Path = tuple[Hashable, ...]
# Shares below this are rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Ways:
    """The ways from a start to the final states.  Made by `ways`.

    Parameters
    ----------
    start : state
    paths : tuple of tuple of states
        Each from the start to a final state.
    finals : tuple of states
        In order of their first appearance.
    """

    start: Hashable
    paths: tuple[Path, ...]
    finals: tuple[Hashable, ...]

    def to(self, final: Hashable) -> list[int]:
        """Places of the paths that end in a final state."""
        return [i for i, path in enumerate(self.paths) if path[-1] == final]

    def staying(self, states: Sequence[Hashable]) -> Ways:
        """The same with the ways that end in some of the states, for those who never leave them."""
        begun = dict.fromkeys(path[: i + 1] for path in self.paths for i in range(len(path) - 1))
        ends = tuple(path for path in begun if path[-1] in states)
        paths = (*self.paths, *ends)
        return Ways(self.start, paths, tuple(dict.fromkeys(path[-1] for path in paths)))

    @property
    def names(self) -> tuple[str, ...]:
        """Paths as texts: ``healthy-ill-dead``."""
        return tuple("-".join(map(str, path)) for path in self.paths)


def ways(transitions: Mapping[Hashable, Sequence[Hashable]], start: Hashable | None = None) -> Ways:
    """All ways through states, refusing paths that return to a state.

    Parameters
    ----------
    transitions : mapping of state to the states that may follow it
    start : state, optional
        None: the one state that follows no other.

    Raises
    ------
    SpecError
        For a cycle, named; for a start that is none or not clear; for states that the
        start does not lead to.

    Examples
    --------
    >>> from bayesmix.survival.multistate import ways
    >>> ways({"healthy": ["ill", "dead"], "ill": ["dead"]}).names
    ('healthy-ill-dead', 'healthy-dead')
    """
    _check_transitions(transitions)
    start = _start(transitions) if start is None else start
    if start not in transitions:
        raise SpecError(f"start={start!r} has no model; those that have are {list(transitions)}")
    paths = tuple(path for path in walk(transitions, (start,)) if path[-1] not in transitions)
    lost = [state for state in transitions if not any(state in path for path in paths)]
    if lost:
        msg = f"the start {start!r} does not lead to {lost}; leave them out, or give another start"
        raise SpecError(msg)
    return Ways(start, paths, tuple(dict.fromkeys(path[-1] for path in paths)))


def _check_transitions(transitions: Mapping[Hashable, Sequence[Hashable]]) -> None:
    if not transitions:
        raise SpecError("there is no state; give {state: fit, ...}")
    for origin in transitions:
        for path in walk(transitions, (origin,)):
            if path[-1] in path[:-1]:
                first = path.index(path[-1])
                cycle = " -> ".join(map(str, path[first:]))
                raise SpecError(
                    f"paths return to a state: {cycle}. Ways without an end have no final state; "
                    "tell visits apart by states of their own, such as 'ill' and 'ill again'"
                )


def _start(transitions: Mapping[Hashable, Sequence[Hashable]]) -> Hashable:
    after = {state for following in transitions.values() for state in following}
    first = [state for state in transitions if state not in after]
    if len(first) != 1:
        raise SpecError(f"any of {first} may be the start; say which one with start=")
    return first[0]


def walk(transitions: Mapping[Hashable, Sequence[Hashable]], path: Path) -> Iterator[Path]:
    """Every way on from a path, however short; one on which a state comes back ends there."""
    for state in transitions[path[-1]]:
        longer = (*path, state)
        yield longer
        if state in transitions and state not in path:
            yield from walk(transitions, longer)


def path_probabilities(models: Mapping[Hashable, EventTimes], along: Ways) -> np.ndarray:
    """Probability of each of P paths, (D, n, P): the product of its steps' probabilities.

    Of a path to a state with a model of its own (see `Ways.staying`): to come there and never
    leave.

    Parameters
    ----------
    models : mapping of state to `EventTimes`
        The same draws and rows in all.
    along : Ways
    """
    ever = {state: event_probabilities(model) for state, model in models.items()}
    stay = staying_probabilities(models)
    one = np.ones(models[along.start].weights.shape[:2])
    each = [
        np.prod([*by_step(models, path, ever), stay.get(path[-1], one)], axis=0)
        for path in along.paths
    ]
    return np.stack(each, axis=-1)


def by_step(
    models: Mapping[Hashable, EventTimes], path: Path, values: Mapping[Hashable, np.ndarray]
) -> list[np.ndarray]:
    """Of values (D, n, S) by state and event those of every step of a path, (D, n)."""
    return [values[a][..., models[a].names.index(b)] for a, b in pairwise(path)]


def times_of(models: Mapping[Hashable, EventTimes], path: Path) -> list[Component]:
    """The time of every step of a path, its parameters of shape (D, n)."""
    return [_component(models[a], b) for a, b in pairwise(path)]


def staying_probabilities(models: Mapping[Hashable, EventTimes]) -> dict[Hashable, np.ndarray]:
    """Probability (D, n) that each state with a model is never left."""
    return {
        state: np.maximum(1.0 - event_probabilities(model).sum(axis=-1), 0.0)
        for state, model in models.items()
    }


def staying(models: Mapping[Hashable, EventTimes]) -> list[Hashable]:
    """The states that some never leave."""
    return [s for s, p in staying_probabilities(models).items() if (p > ROUNDING).any()]


def final_probabilities(models: Mapping[Hashable, EventTimes], along: Ways) -> np.ndarray:
    """Probability of each of F final states, (D, n, F)."""
    by_path = path_probabilities(models, along)
    return np.stack([by_path[..., along.to(f)].sum(axis=-1) for f in along.finals], axis=-1)


def mean_times(
    models: Mapping[Hashable, EventTimes], along: Ways, among: str = "all"
) -> tuple[np.ndarray, np.ndarray]:
    """Expected time from the start to the end of each path, and to each final state.

    Infinite where some of those on the way never arrive; `among` the "events", of those who do.

    Returns
    -------
    by_path : ndarray, shape (D, n, P)
    by_final : ndarray, shape (D, n, F)
    """
    share = _shares(models, along, among)
    means = {state: mean_time(model, among) for state, model in models.items()}
    by_path = np.stack([np.sum(by_step(models, p, means), axis=0) for p in along.paths], axis=-1)
    total = share * np.where(share > 0, by_path, 0.0)
    by_final = []
    for to in map(along.to, along.finals):
        reached = share[..., to].sum(axis=-1)
        sums = np.where(reached > 0, total[..., to].sum(axis=-1), np.inf)
        by_final.append(sums / np.where(reached > 0, reached, 1.0))
    return by_path, np.stack(by_final, axis=-1)


def _shares(models: Mapping[Hashable, EventTimes], along: Ways, among: str) -> np.ndarray:
    """Probabilities (D, n, P) to be on each path, or `among` the "events" to end it."""
    if among == "events":
        return path_probabilities(models, along)
    weights = {state: model.weights for state, model in models.items()}
    return np.stack([np.prod(by_step(models, p, weights), axis=0) for p in along.paths], axis=-1)


def quantile_times(
    models: Mapping[Hashable, EventTimes], along: Ways, q: np.ndarray, among: str = "all"
) -> tuple[np.ndarray, np.ndarray]:
    """Times from the start that shares q, shape (Q,), of those on a way do not exceed.

    Infinite where fewer arrive; `among` the "events", of those who do.

    Returns
    -------
    by_path : ndarray, shape (D, n, Q, P)
    by_final : ndarray, shape (D, n, Q, F)
    """
    on_way = _shares(models, along, "all")
    arriving = _shares(models, along, among)
    steps = [times_of(models, path) for path in along.paths]

    def quantiles(to: list[int]) -> np.ndarray:
        total = on_way[..., to].sum(axis=-1, keepdims=True)
        whole = np.where(total > 0, total, 1.0)
        # The same times as those by which q of the arriving, fewer of all, are there.
        part = arriving[..., to].sum(axis=-1, keepdims=True) / whole
        found = mixed_quantile([steps[i] for i in to], on_way[..., to] / whole, part * q)
        return np.where(total > 0, found, np.inf)

    by_path = [quantiles([i]) for i in range(len(steps))]
    by_final = [
        by_path[to[0]] if len(to) == 1 else quantiles(to) for to in map(along.to, along.finals)
    ]
    return np.stack(by_path, axis=-1), np.stack(by_final, axis=-1)


def _component(model: EventTimes, event: Hashable) -> Component:
    """The time to an event, its parameters of shape (D, n)."""
    found = model.components[model.names.index(event)]
    lead = model.weights.shape[:2]
    return Component(found.family, {k: np.broadcast_to(v, lead) for k, v in found.natural.items()})


# --- simulation ----------------------------------------------------------------------------


def simulate(
    models: Mapping[Hashable, EventTimes],
    along: Ways,
    rng: np.random.Generator,
    size: int = 1,
) -> pd.DataFrame:
    """Draw histories from the start to a final state.

    Parameters
    ----------
    models : mapping of state to `EventTimes`
    along : Ways
    rng : numpy.random.Generator
    size : int
        Subjects for each draw and row.

    Returns
    -------
    DataFrame
        draw, row, subject, step, origin, state, time: one row for each state entered, at a
        time from the start.  Who never leaves a state has a last row with it as origin and
        state, at an infinite time; so have those with an event that is none (`cured`), under
        its name.
    """
    draws, rows = models[along.start].weights.shape[:2]
    subject = np.arange(draws * rows * size)
    waiting = {along.start: (subject, np.zeros(len(subject)))}
    entered, step = [], 1
    while waiting:
        following: dict[Hashable, list[tuple[np.ndarray, np.ndarray]]] = {}
        for origin, (who, since) in waiting.items():
            for state, some, time in _leave(models[origin], who, since, size, rng):
                named = not _component(models[origin], state).family.parameters
                comes = np.isfinite(time) | named
                for name, part in ((state, comes), (origin, ~comes)):
                    if part.any():
                        entered.append(
                            _entries(some[part], step, origin, name, time[part], rows, size)
                        )
                if state in models:
                    following.setdefault(state, []).append((some[comes], time[comes]))
        waiting = {
            state: (np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]))
            for state, parts in following.items()
        }
        step += 1
    found = pd.concat(entered, ignore_index=True)
    return found.sort_values(["draw", "row", "subject", "step"], ignore_index=True)


def _leave(
    model: EventTimes, who: np.ndarray, since: np.ndarray, size: int, rng: np.random.Generator
) -> Iterator[tuple[Hashable, np.ndarray, np.ndarray]]:
    """Which state each subject goes to, and when."""
    rows = model.weights.shape[1]
    draw, row = np.divmod(who // size, rows)
    edges = np.cumsum(model.weights[draw, row], axis=-1)
    event = (rng.random(len(who))[:, None] * edges[:, -1:] >= edges).sum(axis=-1)
    for k, state in enumerate(model.names):
        some = event == k
        if not some.any():
            continue
        step = _component(model, state)
        natural = {name: value[draw[some], row[some]] for name, value in step.natural.items()}
        if step.family.simulate is not None and natural:
            wait = step.family.simulate(rng, **natural)
        else:
            wait = time_of.quantile(step.family, rng.random(int(some.sum())), natural)
        yield state, who[some], since[some] + wait


def _entries(
    who: np.ndarray,
    step: int,
    origin: Hashable,
    state: Hashable,
    time: np.ndarray,
    rows: int,
    size: int,
) -> pd.DataFrame:
    draw, row = np.divmod(who // size, rows)
    columns = {"draw": draw, "row": row, "subject": who % size, "step": step}
    return pd.DataFrame({**columns, "origin": origin, "state": state, "time": time})
