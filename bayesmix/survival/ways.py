"""The ways through states, from a start to the states that nobody leaves."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bayesmix.errors import SpecError

__all__ = ["Path", "Ways", "ways"]

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
    >>> from bayesmix.survival.ways import ways
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
