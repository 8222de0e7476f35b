"""Who computes: one engine a problem, chosen once by one rule.

Two evaluators of rows in memory give the same numbers to rounding: NumPy, for any family and many
starts at once, and compiled kernels, for families with a scalar term.  The kernels are used

* always or never, if the environment variable BAYESMIX_COMPILE is "1" or "0";
* else for data of at least `LARGE` rows times items (a component's family at a response): there
  compiling them, some seconds once per machine, pays;
* else where this machine's cache already has all that the model needs.  ``bayesmix warm`` puts
  everything there.

Rows that come in blocks have a third, which adds up what the engines of the blocks give.

So no first fit of small data waits for a compiler, and nothing depends on what a process has done
before.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property, partial, reduce
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bayesmix.likelihood import densities, gradient, passes
from bayesmix.likelihood import information as observed
from bayesmix.likelihood.arrange import (
    arrange,
    closed_items,
    has_runs,
    kernel_names,
    known,
    working_by_item,
)
from bayesmix.likelihood.blas import OneThread
from bayesmix.likelihood.blocks import by_block
from bayesmix.likelihood.information import Information
from bayesmix.likelihood.passes import Pass, Responsibilities, Squares, Working
from bayesmix.likelihood.problem import Problem, build_problem
from bayesmix.model import unavailable
from bayesmix.model.standard import standardise
from bayesmix.priors import log_prior

if TYPE_CHECKING:
    from bayesmix.kernels import Arranged, Mixture, Sums

# Rows times items from which compiling the kernels pays.
LARGE = 200_000

logger = logging.getLogger("bayesmix")


def engine(problem: Problem) -> Engine:
    """The problem's engine, made at the first request."""
    if "engine" not in problem.kept:
        # The engine has a problem of its own: where each knows the other, neither is let go.
        problem.kept["engine"] = Engine(replace(problem))
    return problem.kept["engine"]


def log_likelihood(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Log-likelihood of shape (R,), with the log prior where the problem has a penalty."""
    return engine(problem).log_likelihood(theta)


def em_pass(
    problem: Problem,
    theta: np.ndarray,
    *,
    responsibilities: Responsibilities | None = None,
    working: Working | None = None,
) -> Pass:
    """The sums that an EM step needs: see `Engine.sums`."""
    return engine(problem).sums(theta, responsibilities, working)


def information(problem: Problem, theta: np.ndarray) -> Information:
    """Log-likelihood, score and exact observed information: see `Engine.information`."""
    return engine(problem).information(theta)


def unit_terms(problem: Problem, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihood by unit (U,) and responsibilities (U, S) at one theta (D,)."""
    loglik, resp = engine(problem).units(theta[None])
    return loglik[0], resp[0].T


def unit_sums(
    problem: Problem, theta: np.ndarray, function: Callable[..., Any]
) -> tuple[np.ndarray, ...]:
    """Sums over the units of what a function makes of some of them.

    Parameters
    ----------
    problem : Problem
    theta : ndarray, shape (D,)
    function : callable
        Of a block's `Problem`, its log-likelihoods (U,) and memberships (U, S): a tuple of
        arrays to be added.  A function of a module, for processes elsewhere.
    """
    parts = by_block(problem, partial(_unit_sums, theta, function), threads(problem))
    return tuple(np.sum(each, axis=0) for each in zip(*parts, strict=True))


def _unit_sums(theta: np.ndarray, function: Callable[..., Any], block: Problem) -> Any:
    return function(block, *unit_terms(block, theta))


def value_and_gradient(problem: Problem, *, insist: bool = False) -> gradient.ValueAndGradient:
    """The log-likelihood of theta (D,) with its gradient (D,), as a quick function.

    With `insist` kernels are compiled, if there are any: for samplers, which call it tens of
    thousands of times.
    """
    return Engine(problem, insist=True).gradient if insist else engine(problem).gradient


class Engine:
    """The likelihood of a problem, computed by NumPy or by compiled kernels.

    Where the problem has a penalty, values, scores and informations are those of the posterior.

    Parameters
    ----------
    problem : Problem
    insist : bool
        Compile whatever the rule says, unless the environment forbids it.
    """

    def __init__(self, problem: Problem, *, insist: bool = False) -> None:
        self.problem = problem
        self._evaluator: _Evaluator
        if problem.stream is not None:
            self._evaluator = _Blocked(problem)
        else:
            compiled = may_compile(problem) if insist else _wanted(problem)
            if problem.spec.standard is None and _adds_products(problem):
                self._evaluator = _Turned(problem, insist=insist)
            else:
                self._evaluator = _Compiled(problem) if compiled else _Numpy(problem)

    def log_likelihood(self, theta: np.ndarray) -> np.ndarray:
        """Log-likelihood (R,) at theta (R, D)."""
        value = self._evaluator.log_likelihood(theta)
        penalty = self.problem.penalty
        if penalty is None:
            return value
        prior = log_prior(self.problem.spec, penalty.model, theta, jacobian=penalty.jacobian)
        return value + prior.value

    def sums(
        self,
        theta: np.ndarray,
        responsibilities: Responsibilities | None = None,
        working: Working | None = None,
    ) -> Pass:
        """Responsibilities at theta (R, D), and the sums that the next step needs.

        Parameters
        ----------
        theta, responsibilities, working
            As of `passes.em_pass`.
        """
        p = self._evaluator.sums(theta, responsibilities, working)
        penalty = self.problem.penalty
        if penalty is None:
            return p
        prior = log_prior(self.problem.spec, penalty.model, theta, jacobian=penalty.jacobian)
        return Pass(
            p.loglik + prior.value, p.score + prior.score, p.scoring + prior.scoring, p.mass, {}
        )

    def information(self, theta: np.ndarray) -> Information:
        """Log-likelihood, score and exact observed information at theta (R, D)."""
        info = self._evaluator.information(theta)
        penalty = self.problem.penalty
        if penalty is None:
            return info
        prior = log_prior(self.problem.spec, penalty.model, theta, jacobian=penalty.jacobian)
        return Information(
            info.loglik + prior.value, info.score + prior.score, info.matrix + prior.curvature
        )

    def gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-likelihood and its gradient (D,) at one theta (D,), of a problem without priors."""
        assert self.problem.penalty is None
        return self._evaluator.gradient(theta)

    def units(self, theta: np.ndarray, *, shares: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Log-likelihoods (R, U) and responsibilities (R, S, U), if wanted, at theta (R, D).

        Without priors.
        """
        return self._evaluator.units(theta, shares)

    @cached_property
    def runs(self) -> Mixture | None:
        """The kernels' whole runs of starts, for small data without priors; else None.

        Compiled M steps know no priors, and with large data runs in one call would neither report
        progress nor be interrupted.
        """
        small = self.problem.penalty is None and not is_large(self.problem)
        return self._evaluator.mixture if small and has_runs(self.problem) else None

    @property
    def compiled(self) -> bool:
        """Whether kernels compute, and not NumPy."""
        return self._evaluator.mixture is not None


def compiled_data(problem: Problem) -> Arranged | None:
    """The data for a compiled density, which a sampler calls tens of thousands of times.

    None where a family has no kernel, or the environment forbids to compile.
    """
    return arrange(problem) if may_compile(problem) else None


def may_compile(problem: Problem) -> bool:
    """Whether there are kernels for a problem, and the environment does not forbid them."""
    return os.environ.get("BAYESMIX_COMPILE") != "0" and problem.stream is None and known(problem)


def is_large(problem: Problem) -> bool:
    """Whether compiling kernels pays, and one thread is not enough."""
    if problem.large is not None:
        return problem.large
    items = sum(len(group.members) for arrays in problem.blocks for group in arrays.groups)
    return problem.n_rows * items >= LARGE


def _wanted(problem: Problem) -> bool:
    """The rule by which compiled kernels are used: see the head of this module."""
    setting = os.environ.get("BAYESMIX_COMPILE", "")
    if setting == "0" or not known(problem):
        return False
    if setting == "1" or is_large(problem) or problem.kept.get("of_large"):
        return True
    from bayesmix import kernels

    if kernels.are_kept(kernel_names(problem)):
        return True
    kernels.log_once(
        "using NumPy: small data are fitted faster once `bayesmix warm` has compiled the "
        "kernels for this machine",
        logging.INFO,
    )
    return False


def threads(problem: Problem) -> int:
    """Threads of a pass: as the fit says, else all processors, one for small data."""
    if problem.n_threads is not None:
        return problem.n_threads
    return processors() if is_large(problem) else 1


def processors() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Evaluator(Protocol):
    """What both ways offer, without priors; `mixture` is None where NumPy computes."""

    @property
    def mixture(self) -> Mixture | None: ...

    def log_likelihood(self, theta: np.ndarray) -> np.ndarray: ...

    def sums(
        self,
        theta: np.ndarray,
        responsibilities: Responsibilities | None,
        working: Working | None,
    ) -> Pass: ...

    def information(self, theta: np.ndarray) -> Information: ...

    def gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]: ...

    def units(self, theta: np.ndarray, shares: bool) -> tuple[np.ndarray, np.ndarray]: ...


class _Numpy:
    """Any family, many starts at once."""

    mixture = None

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._gradient: gradient.ValueAndGradient | None = None
        self._alone = OneThread(problem.n_rows)

    def log_likelihood(self, theta: np.ndarray) -> np.ndarray:
        with self._alone:
            return densities.log_likelihood(self._problem, theta)

    def sums(
        self,
        theta: np.ndarray,
        responsibilities: Responsibilities | None,
        working: Working | None,
    ) -> Pass:
        with self._alone:
            return passes.em_pass(
                self._problem, theta, responsibilities=responsibilities, working=working
            )

    def information(self, theta: np.ndarray) -> Information:
        with self._alone:
            return observed.information(self._problem, theta)

    def gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        if self._gradient is None:
            self._gradient = gradient.value_and_gradient(self._problem)
        with self._alone:
            return self._gradient(theta)

    def units(self, theta: np.ndarray, shares: bool) -> tuple[np.ndarray, np.ndarray]:
        with self._alone:
            return densities.units(self._problem, theta, shares=shares)


def _adds_products(problem: Problem) -> bool:
    """Whether a density is made of sums of products of columns, where digits may cancel."""
    return any(layout.random for layout in problem.spec.layout.blocks)


class _Turned(_Numpy):
    """A problem in the user's coordinates whose likelihood is computed in standard ones.

    There the sums of products keep the digits that a column far from zero would cost.
    """

    def __init__(self, problem: Problem, *, insist: bool) -> None:
        super().__init__(problem)
        spec = standardise(problem.spec)
        assert spec.standard is not None
        self._standard = spec.standard
        self._inner = Engine(build_problem(spec, n_threads=problem.n_threads), insist=insist)

    def log_likelihood(self, theta: np.ndarray) -> np.ndarray:
        there = self._standard.to_standard(theta)
        return self._inner.log_likelihood(there) + self._standard.constant

    def information(self, theta: np.ndarray) -> Information:
        way = self._standard.to_standard
        info = self._inner.information(way(theta))
        score, matrix = way.pull(theta, info.score, info.matrix)
        return Information(info.loglik + self._standard.constant, score, matrix)

    def gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, score = self._inner.gradient(self._standard.to_standard(theta))
        return value + self._standard.constant, self._standard.to_standard.back(theta, score)

    def units(self, theta: np.ndarray, shares: bool) -> tuple[np.ndarray, np.ndarray]:
        loglik, share = self._inner.units(self._standard.to_standard(theta), shares=shares)
        return loglik + self._standard.by_unit, share


class _Blocked:
    """Rows that come in blocks: the sums of what the blocks' own engines give."""

    mixture = None

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._n_threads = threads(problem)

    def _parts(self, name: str, *given: Any) -> Iterator[Any]:
        return by_block(self._problem, partial(_asked, name, given), self._n_threads)

    def log_likelihood(self, theta: np.ndarray) -> np.ndarray:
        return np.add.reduce(list(self._parts("log_likelihood", theta)))

    def sums(
        self,
        theta: np.ndarray,
        responsibilities: Responsibilities | None,
        working: Working | None,
    ) -> Pass:
        assert working is None  # starts are made of the sample
        return reduce(_added, self._parts("sums", theta, responsibilities))

    def information(self, theta: np.ndarray) -> Information:
        parts = zip(*self._parts("information", theta), strict=True)
        return Information(*(np.add.reduce(list(part)) for part in parts))

    def gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = map(sum, zip(*self._parts("gradient", theta), strict=True))
        return float(value), np.asarray(slope)

    def units(self, theta: np.ndarray, shares: bool) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG002
        raise unavailable(self._problem.n_rows)


def _asked(name: str, given: tuple[Any, ...], block: Problem) -> Any:
    """What a block's engine gives."""
    return getattr(engine(block), name)(*given)


def _added(one: Pass, other: Pass) -> Pass:
    squares = {
        key: type(mine)(*(a + b for a, b in zip(mine, other.squares[key], strict=True)))
        for key, mine in one.squares.items()
    }
    sums = (np.add(a, b) for a, b in zip(one[:-1], other[:-1], strict=True))
    return Pass._make((*sums, squares))


class _Compiled:
    """Families with a scalar term, by compiled kernels."""

    def __init__(self, problem: Problem) -> None:
        from bayesmix.kernels import Mixture

        self._problem = problem
        self.mixture = Mixture(arrange(problem), threads(problem))
        self._closed = list(closed_items(problem))

    def log_likelihood(self, theta: np.ndarray) -> np.ndarray:
        return self.mixture.log_likelihood(theta)

    def sums(
        self,
        theta: np.ndarray,
        responsibilities: Responsibilities | None,
        working: Working | None,
    ) -> Pass:
        given = None
        if responsibilities is not None:
            given = responsibilities(
                slice(0, self._problem.n_units), lambda: self.mixture.units(theta)[1]
            )
        by_item = None if working is None else working_by_item(self._problem, working)
        sums = self.mixture.em_pass(theta, given, by_item)
        return Pass(sums.loglik, sums.score, sums.matrix, sums.mass, self._squares(sums))

    def _squares(self, sums: Sums) -> dict[int, Squares]:
        """The sums for closed scales, by response and component."""
        out: dict[int, Squares] = {}
        n, k = len(sums.loglik), self._problem.spec.k
        for (number, s, columns), (total, rows, score, gram) in zip(
            self._closed, sums.scales, strict=True
        ):
            p = self._problem.blocks[number].matrix.shape[1]
            if number not in out:
                out[number] = Squares(
                    np.zeros((n, k)), np.zeros((n, k)), np.zeros((n, k, p)), np.zeros((n, k, p, p))
                )
            out[number].total[:, s], out[number].rows[:, s] = total, rows
            out[number].score[:, s, columns] = score
            out[number].gram[:, s, columns[:, None], columns] = gram
        return out

    def information(self, theta: np.ndarray) -> Information:
        sums = self.mixture.information(theta)
        return Information(sums.loglik, sums.score, sums.matrix)

    def gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        return self.mixture.gradient(theta)

    def units(self, theta: np.ndarray, shares: bool) -> tuple[np.ndarray, np.ndarray]:
        return self.mixture.units(theta, shares=shares)
