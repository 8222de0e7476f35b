"""NUTS by nutpie, every chain in the coordinates of the mode near which it begins."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from bayesmix.errors import NotFiniteError
from bayesmix.likelihood import log_likelihood
from bayesmix.likelihood.engine import processors
from bayesmix.likelihood.problem import Problem
from bayesmix.posterior.mode import Mode
from bayesmix.sampling.chains import Chains, Saved, Settings, beginnings, jitter
from bayesmix.sampling.density import Coordinates
from bayesmix.sampling.native import import_nutpie, native_model
from bayesmix.sampling.ranges import Opened
from bayesmix.sampling.smooth import SmoothCoordinates
from bayesmix.sampling.sparse import ACCEPT, SparseCoordinates

# With a checkpoint a chain is drawn in so many rounds of at least so many draws.  A later round
# begins where the one before ended, and adapts anew in a few steps.
ROUNDS, SHORTEST_ROUND, TUNE_AGAIN = 5, 100, 100
# A chain that was interrupted earlier says nothing.
LEAST_DRAWS = 10

FirstPoint = Callable[[int], np.ndarray]
Drawn = tuple[np.ndarray, dict[str, np.ndarray]]


def run_nutpie(
    problem: Problem, modes: tuple[Mode, ...], settings: Settings, apart: Sequence[int] = ()
) -> Chains:
    """Sample with nutpie from every mode that holds some of the mass.

    Parameters
    ----------
    problem : Problem
        With the priors and the Jacobian as its penalty.
    modes : tuple of Mode
    settings : Settings
    apart : sequence of int
        Modes at which one chain more begins; these chains come last.

    Raises
    ------
    KeyboardInterrupt
        If Ctrl-C ends the run before there are draws.  Afterwards they are what it gives.
    """
    import_nutpie()
    chains: list[Drawn] = []
    begin = beginnings(modes, settings.chains, apart)
    interrupted = False
    for place, (number, count) in enumerate(begin):
        target = _Target(problem, modes[number], settings, f"place_{place}")
        made, interrupted = target.chains(count, settings.seed + 7919 * number)
        chains += made
        if interrupted:
            break
    mode = np.repeat(*np.array(begin).T)[: len(chains)]
    least = LEAST_DRAWS if interrupted else 0
    kept = [i for i, (theta, _) in enumerate(chains) if len(theta) >= least]
    pooled = sum(i < settings.chains for i in kept)
    if not pooled:
        raise KeyboardInterrupt
    length = min(len(chains[i][0]) for i in kept)
    theta = np.array([chains[i][0][:length] for i in kept])
    names = chains[kept[0]][1]
    stats = {name: np.array([chains[i][1][name][:length] for i in kept]) for name in names}
    return Chains(theta, stats["logp"], stats, mode[kept], pooled, interrupted)


class _Target:
    """The density around one mode, and chains of draws from it."""

    def __init__(self, problem: Problem, mode: Mode, settings: Settings, name: str) -> None:
        self.problem, self.settings, self.name = problem, settings, name
        self.ends, self.accept = Opened.of(problem), settings.accept
        place = _rounded(self.ends.mode(mode), np.flatnonzero(problem.spec.free))
        self.at = Coordinates(problem, place)
        if problem.priors.is_sparse:
            self.at, self.accept = SparseCoordinates(problem, place), max(self.accept, ACCEPT)
        elif problem.priors.smooths:
            self.at = SmoothCoordinates(problem, place)

    def chains(self, count: int, seed: int) -> tuple[list[Drawn], bool]:
        """Draws of so many chains by chain, and whether they were interrupted."""
        if self.settings.saved is None:
            made, interrupted = self._at_once(count, seed)
        else:
            made, interrupted = self._in_rounds(count, seed, self.settings.saved)
        kept = slice(self.settings.thin - 1, None, self.settings.thin)
        thinned = [(z[kept], {n: v[kept] for n, v in stats.items()}) for z, stats in made]
        return [self._on_theta(*chain) for chain in thinned], interrupted

    def _at_once(self, count: int, seed: int) -> tuple[list[Drawn], bool]:
        model, cores = self._model(self._first_point)
        draws, tune = self.settings.draws * self.settings.thin, self.settings.tune

        def begin() -> list[Any]:
            return [self._begin(model, draws, tune, seed, chains=count, cores=min(cores, count))]

        (made,), interrupted = _finished(begin)
        return made, interrupted

    def _in_rounds(self, count: int, seed: int, saved: Saved) -> tuple[list[Drawn], bool]:
        """Chains one by one, each round of which is kept as soon as it is drawn."""
        whole = self.settings.draws * self.settings.thin
        rounds = max(1, min(ROUNDS, whole // SHORTEST_ROUND))
        parts: list[list[Drawn]] = [[] for _ in range(count)]
        interrupted = False
        for number, draws in enumerate(_shares(whole, rounds)):
            waiting = []
            for chain in range(count):
                found = saved.get(self._part(chain, number))
                if found is None:
                    waiting.append(chain)
                else:
                    parts[chain].append((found.pop("z"), found))
            while waiting and not interrupted:
                batch, waiting = waiting[: self._cores], waiting[self._cores :]
                made, interrupted = self._round(batch, parts, number, draws, seed)
                for chain, part in zip(batch, made, strict=True):
                    parts[chain].append(part)
                    if not interrupted:
                        saved.put(self._part(chain, number), {"z": part[0], **part[1]})
            if interrupted:
                break
        return [_joined(one) for one in parts if one], interrupted

    def _round(
        self, batch: list[int], parts: list[list[Drawn]], number: int, draws: int, seed: int
    ) -> tuple[list[Drawn], bool]:
        """One round of some chains, which run side by side."""
        tune = min(self.settings.tune, TUNE_AGAIN) if number else self.settings.tune

        def begin() -> list[Any]:
            running = []
            for chain in batch:
                last = parts[chain][-1][0][-1] if number else None
                first = self._first_point if last is None else lambda _, z=last: z.copy()
                own = np.random.SeedSequence([seed, chain, number]).generate_state(1)[0] // 2
                model, _ = self._model(first)
                running.append(self._begin(model, draws, tune, int(own), chains=1, cores=1))
            return running

        made, interrupted = _finished(begin)
        return [one for (one,) in made], interrupted

    def _part(self, chain: int, number: int) -> str:
        return f"thin_{self.settings.thin}_{self.name}_chain_{chain}_round_{number}"

    def _begin(
        self, model: Any, draws: int, tune: int, seed: int, *, chains: int, cores: int
    ) -> Any:
        import nutpie

        return nutpie.sample(
            model,
            blocking=False,
            draws=draws,
            tune=tune,
            chains=chains,
            cores=cores,
            seed=seed,
            save_warmup=False,
            progress_bar=self.settings.progress and self.settings.saved is None,
            target_accept=self.accept,
            return_raw_trace=True,
        )

    def _first_point(self, seed: int) -> np.ndarray:
        rng = np.random.default_rng(abs(int(seed)))
        return self.at.centre + jitter(self.at.size, rng)

    @cached_property
    def _cores(self) -> int:
        return self._model(self._first_point)[1]

    def _model(self, first_point: FirstPoint) -> tuple[Any, int]:
        """The density as nutpie takes it, and the processors that it can use."""
        compiled = None if self.at.bent else self.at.compiled
        native = None if compiled is None else native_model(compiled, first_point)
        if native is not None:
            return native, self.problem.n_threads or processors()
        return _public_model(self.at.size, self.at.density, first_point), 1

    def _on_theta(self, z: np.ndarray, stats: dict[str, np.ndarray]) -> Drawn:
        """A chain (T, f) in the coordinates of the mode as draws of theta (T, D)."""
        theta = self.ends.theta(self.at.theta(z))
        if not (self.at.bent or self.ends.ranges):
            return theta, stats
        return theta, stats | {"logp": log_likelihood(self.problem, theta)}


def _shares(whole: int, parts: int) -> list[int]:
    """A number of draws in parts that differ by one at most."""
    return [len(some) for some in np.array_split(np.arange(whole), parts)]


def _joined(parts: list[Drawn]) -> Drawn:
    names = parts[0][1]
    stats = {name: np.concatenate([stats[name] for _, stats in parts]) for name in names}
    return np.concatenate([z for z, _ in parts]), stats


def _by_chain(trace: Any) -> list[Drawn]:
    """Draws and statistics of each chain; a chain that was interrupted has fewer."""
    return [_chain(*batches) for batches in zip(*trace.get_arrow_trace(), strict=True)]


def _chain(draws: Any, stats: Any) -> Drawn:
    """A chain from its Arrow batches; a DataTree would need two more libraries and 0.3 s."""
    import pyarrow

    table, places = pyarrow.record_batch(stats), pyarrow.record_batch(draws)
    kept = ~_numbers(table.column("tuning"))
    size = int(places.schema.field("z").metadata[b"shape"])
    z = _numbers(places.column("z").flatten()).reshape(len(kept), size)[kept]
    numbers = [f.name for f in table.schema if pyarrow.types.is_primitive(f.type)]
    own = [name for name in numbers if name not in ("chain", "draw")]
    return z, {name: _numbers(table.column(name))[kept] for name in own}


def _numbers(column: Any) -> np.ndarray:
    """An Arrow column as an array; what is missing is NaN, or zero of whole numbers."""
    kind = np.dtype(column.type.to_pandas_dtype())
    filled = column.fill_null(np.nan if kind.kind == "f" else kind.type(0).item())
    return np.asarray(filled.to_numpy(zero_copy_only=False))


def _finished(begin: Callable[[], list[Any]]) -> tuple[list[list[Drawn]], bool]:
    """The draws of runs in the background by run and chain, and whether Ctrl-C ended them.

    nutpie itself would take an interrupted run for a short one, and an exception while its
    threads begin leaves them running without what they call.
    """
    with _later_interruption() as pressed:
        running = begin()
    trees: list[Any] = []
    try:
        if pressed:
            signal.raise_signal(signal.SIGINT)
        trees.extend(run.wait() for run in running)
    except KeyboardInterrupt:
        with _later_interruption():
            trees += [run.abort() for run in running[len(trees) :]]
        return [_by_chain(tree) for tree in trees], True
    except BaseException:
        for run in running:
            run.cancel()
        raise
    return [_by_chain(tree) for tree in trees], False


@contextmanager
def _later_interruption() -> Iterator[list[int]]:
    """Keep Ctrl-C from raising an exception; the list records whether it was pressed."""
    pressed: list[int] = []
    usual = signal.getsignal(signal.SIGINT)
    if usual is None or threading.current_thread() is not threading.main_thread():
        yield pressed
        return
    signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, usual)


def _rounded(mode: Mode, free: np.ndarray) -> Mode:
    """The mode's coordinates to about five digits, which serve as well.

    Modes found by NumPy and by compiled code differ in the last bits; chains would not stay
    together, and a seed would not always give the same draws.
    """
    scale = np.exp2(np.floor(np.log2(np.abs(mode.factor).max(axis=1))))
    theta = mode.theta.copy()
    theta[free] = np.round(theta[free] / scale, 5) * scale
    factor = np.round(mode.factor / scale[:, None], 5) * scale[:, None]
    return replace(mode, theta=theta, factor=factor)


def _public_model(size: int, density: Callable, first_point: Callable) -> Any:
    from nutpie.compiled_pyfunc import from_pyfunc

    def logp(z: np.ndarray, **_: Any) -> tuple[float, np.ndarray]:
        try:
            value, gradient = density(z)
            if not np.isfinite(value) or not np.isfinite(gradient).all():
                raise NotFiniteError
        except ValueError as error:
            # A divergence; nutpie would end the run for an error that does not say so.
            error.is_recoverable = True  # type: ignore[attr-defined]
            raise
        return value, gradient

    return from_pyfunc(
        size,
        lambda: logp,
        lambda *_: lambda z, **__: {"z": z},
        [np.dtype("float64")],
        [(size,)],
        ["z"],
        dims={"z": ("free",)},
        coords={"free": np.arange(size)},
        make_initial_point_fn=first_point,
    )
