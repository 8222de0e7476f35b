"""States and the ways through them: each state left by a mixture of competing events.

A state's events are the states that may come next, and the clock starts anew in each
(semi-Markov).  States without a model of their own are final.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from bayesmix.errors import SpecError
from bayesmix.families.survival import base as time_of
from bayesmix.survival.quantities import Component, EventTimes, mean_time
from bayesmix.survival.sums import mixed_quantile

if TYPE_CHECKING:
    import pandas as pd
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "Path",
    "Ways",
    "final_probabilities",
    "mean_times",
    "path_probabilities",
    "quantile_times",
    "simulate",
    "ways",
]

Path = tuple[Hashable, ...]


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

    @property
    def names(self) -> tuple[str, ...]:
        """Paths as texts: ``healthy-ill-dead``."""
        return tuple("-".join(map(str, path)) for path in self.paths)


def ways(transitions: Mapping[Hashable, Sequence[Hashable]], start: Hashable | None = None) -> Ways:
    """All ways through states, refusing those that come back.

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
        msg = f"start={start!r} has no model; those that have are {list(transitions)}"
        raise SpecError(msg)
    paths = tuple(_walk(transitions, (start,)))
    lost = [state for state in transitions if not any(state in path for path in paths)]
    if lost:
        msg = f"the start {start!r} does not lead to {lost}; leave them out, or give another start"
        raise SpecError(msg)
    return Ways(start, paths, tuple(dict.fromkeys(path[-1] for path in paths)))


def _check_transitions(transitions: Mapping[Hashable, Sequence[Hashable]]) -> None:
    if not transitions:
        msg = "there is no state; give {state: fit, ...}"
        raise SpecError(msg)
    for origin in transitions:
        for path in _walk(transitions, (origin,)):
            if path[-1] in path[:-1]:
                first = path.index(path[-1])
                cycle = " -> ".join(map(str, path[first:]))
                msg = (
                    f"the states come back: {cycle}. Ways without an end have no final state; "
                    "tell visits apart by states of their own, such as 'ill' and 'ill again'"
                )
                raise SpecError(msg)


def _start(transitions: Mapping[Hashable, Sequence[Hashable]]) -> Hashable:
    after = {state for following in transitions.values() for state in following}
    first = [state for state in transitions if state not in after]
    if len(first) != 1:
        msg = f"any of {first} may be the start; say which one with start="
        raise SpecError(msg)
    return first[0]


def _walk(transitions: Mapping[Hashable, Sequence[Hashable]], path: Path) -> Iterator[Path]:
    """Ways on from a path: to a final state, or until a state comes back."""
    for state in transitions[path[-1]]:
        longer = (*path, state)
        if state in transitions and state not in path:
            yield from _walk(transitions, longer)
        else:
            yield longer


def path_probabilities(models: Mapping[Hashable, EventTimes], along: Ways) -> np.ndarray:
    """Probability of each of P paths, (D, n, P): the product of its steps' probabilities.

    Parameters
    ----------
    models : mapping of state to `EventTimes`
        The same draws and rows in all.
    along : Ways
    """
    _check_models(models)
    return np.stack(
        [
            np.prod([models[a].weights[..., models[a].names.index(b)] for a, b in steps], axis=0)
            for steps in map(_steps, along.paths)
        ],
        axis=-1,
    )


def final_probabilities(models: Mapping[Hashable, EventTimes], along: Ways) -> np.ndarray:
    """Probability of each of F final states, (D, n, F)."""
    by_path = path_probabilities(models, along)
    return np.stack([by_path[..., along.to(f)].sum(axis=-1) for f in along.finals], axis=-1)


def mean_times(models: Mapping[Hashable, EventTimes], along: Ways) -> tuple[np.ndarray, np.ndarray]:
    """Expected time from the start to the end of each path, and to each final state.

    Returns
    -------
    by_path : ndarray, shape (D, n, P)
        Given that this way is taken to its end.
    by_final : ndarray, shape (D, n, F)
        Given that this state is reached; infinite where it never is.
    """
    arriving = path_probabilities(models, along)
    means = {state: mean_time(model) for state, model in models.items()}
    by_path = np.empty(arriving.shape)
    for i, path in enumerate(along.paths):
        pairs = _steps(path)
        by_path[..., i] = sum(means[a][..., models[a].names.index(b)] for a, b in pairs)
        for a, b in pairs:
            arriving[..., i] *= _happening(_component(models[a], b))
    total = arriving * np.where(arriving > 0, by_path, 0.0)
    by_final = []
    for to in map(along.to, along.finals):
        reached = arriving[..., to].sum(axis=-1)
        sums = np.where(reached > 0, total[..., to].sum(axis=-1), np.inf)
        by_final.append(sums / np.where(reached > 0, reached, 1.0))
    return by_path, np.stack(by_final, axis=-1)


def _happening(step: Component) -> np.ndarray:
    """Share of those going to an event whom it ever reaches, (D, n) or less."""
    return -np.expm1(time_of.log_survival(step.family, np.inf, step.natural))


def _steps(path: Path) -> list[tuple[Hashable, Hashable]]:
    return list(pairwise(path))


def _check_models(models: Mapping[Hashable, EventTimes]) -> None:
    shapes = {state: model.weights.shape[:2] for state, model in models.items()}
    if len(set(shapes.values())) > 1:
        msg = f"the models have different numbers of draws and rows: {shapes}"
        raise SpecError(msg)
    spent = [state for state, model in models.items() if np.any(model.spent)]
    if spent:
        msg = f"time already spent in {spent} has no meaning here: every state is entered at zero"
        raise SpecError(msg)


def quantile_times(
    models: Mapping[Hashable, EventTimes], along: Ways, q: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Times from the start that shares q, shape (Q,), of those on a way do not exceed.

    Returns
    -------
    by_path : ndarray, shape (D, n, Q, P)
    by_final : ndarray, shape (D, n, Q, F)
        Infinite where fewer arrive.
    """
    q = np.asarray(q, dtype=float)
    if q.ndim != 1 or not ((q > 0) & (q < 1)).all():
        msg = f"q={q} must be numbers between 0 and 1, such as [0.25, 0.5, 0.75]"
        raise SpecError(msg)
    probability = path_probabilities(models, along)
    steps = [[_component(models[a], b) for a, b in pairs] for pairs in map(_steps, along.paths)]
    by_path = [mixed_quantile([s], np.ones((*probability.shape[:2], 1)), q) for s in steps]
    by_final = []
    for to in map(along.to, along.finals):
        if len(to) == 1:
            by_final.append(by_path[to[0]])
            continue
        share = probability[..., to] / probability[..., to].sum(axis=-1, keepdims=True)
        by_final.append(mixed_quantile([steps[i] for i in to], share, q))
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
        time from the start.  A state that is never reached is entered at infinity.
    """
    import pandas as pd

    _check_models(models)
    draws, rows = models[along.start].weights.shape[:2]
    subject = np.arange(draws * rows * size)
    waiting = {along.start: (subject, np.zeros(len(subject)))}
    entered, step = [], 1
    while waiting:
        following: dict[Hashable, list[tuple[np.ndarray, np.ndarray]]] = {}
        for origin, (who, since) in waiting.items():
            for state, some, time in _leave(models[origin], who, since, size, rng):
                entered.append(_entries(some, step, origin, state, time, rows, size))
                if state in models:
                    following.setdefault(state, []).append((some, time))
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
    import pandas as pd

    draw, row = np.divmod(who // size, rows)
    columns = {"draw": draw, "row": row, "subject": who % size, "step": step}
    return pd.DataFrame({**columns, "origin": origin, "state": state, "time": time})
