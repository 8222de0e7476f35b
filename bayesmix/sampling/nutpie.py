"""NUTS by nutpie, every chain in the coordinates of the mode near which it begins."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from bayesmix.likelihood import log_likelihood
from bayesmix.likelihood.problem import Problem
from bayesmix.posterior.mode import Mode
from bayesmix.sampling.chains import Chains, Settings, beginnings, jitter
from bayesmix.sampling.density import compiled_density, python_density
from bayesmix.sampling.native import native_model
from bayesmix.sampling.sparse import ACCEPT, SparseCoordinates

__all__ = ["run_nutpie"]


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
    """
    begin = beginnings(modes, settings.chains, apart)
    parts = [
        _run_mode(problem, modes[number], count, settings, settings.seed + 7919 * number)
        for number, count in begin
    ]
    thetas, stats = zip(*parts, strict=True)
    joined = {name: np.concatenate([s[name] for s in stats]) for name in stats[0]}
    mode = np.repeat(*np.array(begin).T)
    return Chains(np.concatenate(thetas), joined["logp"], joined, mode)


def _run_mode(
    problem: Problem, mode: Mode, chains: int, settings: Settings, seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draws of theta (chain, draw, D) and the sampler's statistics."""
    import nutpie

    assert problem.penalty is not None
    free = np.flatnonzero(problem.spec.free)
    mode = _rounded(mode, free)
    sparse = SparseCoordinates(problem, mode) if problem.penalty.model.is_sparse else None
    model, cores = _model(problem, mode) if sparse is None else (_sparse_model(sparse), 1)
    tree = _interruptible(
        lambda: nutpie.sample(
            model,
            blocking=False,
            draws=settings.draws * settings.thin,
            tune=settings.tune,
            chains=chains,
            cores=min(cores, chains),
            seed=seed,
            save_warmup=False,
            progress_bar=settings.progress,
            target_accept=settings.accept if sparse is None else max(settings.accept, ACCEPT),
        )
    )
    kept = slice(settings.thin - 1, None, settings.thin)
    z = np.asarray(tree["posterior"]["z"].values)[:, kept]
    stats = {str(n): np.asarray(v.values) for n, v in tree["sample_stats"].data_vars.items()}
    stats = {n: v[:, kept] for n, v in stats.items() if v.ndim == 2}
    if sparse is not None:
        theta = sparse.theta(z)
        density = log_likelihood(problem, theta.reshape(-1, theta.shape[-1]))
        return theta, stats | {"logp": density.reshape(z.shape[:2])}
    theta = np.tile(mode.theta, (*z.shape[:2], 1))
    theta[..., free] += z @ mode.factor.T
    return theta, stats


def _interruptible(begin: Callable[[], Any]) -> Any:
    """The draws of a run in the background; an interruption ends it and is passed on.

    nutpie itself would take an interrupted run for a short one, and an exception while its
    threads begin leaves them running without what they call.
    """
    with _later_interruption() as pressed:
        running = begin()
    try:
        if pressed:
            signal.raise_signal(signal.SIGINT)
        return running.wait()
    except BaseException:
        running.cancel()
        raise


@contextmanager
def _later_interruption() -> Iterator[list[int]]:
    """Keep Ctrl-C from raising an exception; the list tells whether it was pressed."""
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


def _model(problem: Problem, mode: Mode) -> tuple[Any, int]:
    """The density as nutpie takes it, and the processors that it can use."""
    size = len(mode.factor)

    def first_point(seed: int) -> np.ndarray:
        return jitter(size, np.random.default_rng(abs(int(seed))))

    density = compiled_density(problem, mode)
    if density is None:
        return _public_model(size, python_density(problem, mode), first_point), 1
    native = native_model(density, first_point)
    if native is None:
        return _public_model(size, density, first_point), 1
    return native, _processors()


def _sparse_model(coordinates: SparseCoordinates) -> Any:
    def first_point(seed: int) -> np.ndarray:
        rng = np.random.default_rng(abs(int(seed)))
        return coordinates.centre + jitter(coordinates.size, rng)

    return _public_model(coordinates.size, coordinates.density, first_point)


def _public_model(size: int, density: Callable, first_point: Callable) -> Any:
    from nutpie.compiled_pyfunc import from_pyfunc

    def told(z: np.ndarray, **_: Any) -> tuple[float, np.ndarray]:
        try:
            return density(z)
        except ValueError as error:
            # A divergence; nutpie would end the run for an error that does not say so.
            error.is_recoverable = True  # type: ignore[attr-defined]
            raise

    return from_pyfunc(
        size,
        lambda: told,
        lambda *_: lambda z, **__: {"z": z},
        [np.dtype("float64")],
        [(size,)],
        ["z"],
        dims={"z": ("free",)},
        coords={"free": np.arange(size)},
        make_initial_point_fn=first_point,
    )


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
