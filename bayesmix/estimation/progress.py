"""Progress of a fit on a terminal, and none elsewhere unless requested."""

from __future__ import annotations

import logging
import math
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bayesmix.likelihood import Problem

PATIENCE = 1.0
# A gain of the log-likelihood, relative to its size, with which a start ends.
GAIN = 1e-10


class Progress:
    """One line on standard error, shown once a fit takes longer than a second.

    Parameters
    ----------
    wanted : bool or None
        None: on a terminal or in a notebook only.
    n_starts : int
    problem : Problem
    """

    def __init__(self, wanted: bool | None, n_starts: int, problem: Problem) -> None:
        self.wanted = on_screen() if wanted is None else wanted
        self.n_starts, self.n_rows = n_starts, problem.n_rows
        self.begin = self.last = time.monotonic()
        self.count = 0
        self.gain = self.loglik = float("nan")
        self.shown = False
        self.notes: logging.Handler | None = None

    def __enter__(self) -> Progress:
        if self.wanted:
            self.notes = _Notes(self)
            logging.getLogger("bayesmix").addHandler(self.notes)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.notes is not None:
            logging.getLogger("bayesmix").removeHandler(self.notes)
        if self.shown:
            _write("\r\x1b[K")

    def update(self, stage: str, running: int, loglik: float) -> None:
        """Tell one iteration."""
        self.count += 1
        now = time.monotonic()
        left = self._left(loglik, (now - self.begin) / self.count)
        if not self.wanted or now - self.begin < PATIENCE or now - self.last < 0.2:
            return
        self.last = now
        self.show(
            f"{stage}: iteration {self.count}, {running} of {self.n_starts} starts at "
            f"work, log-likelihood {loglik:.9g}, {now - self.begin:.0f} s{left}"
        )

    def of_a_sample(self, stage: str, running: int, loglik: float) -> None:
        """Tell one iteration on a part of the rows."""
        self.update(f"starts on a sample, {stage}", running, loglik)

    def _left(self, loglik: float, seconds: float) -> str:
        """About how long the best start goes on, where its gains shrink by a steady ratio."""
        gain, self.loglik = loglik - self.loglik, loglik
        ratio, self.gain = gain / self.gain if self.gain else 0.0, gain
        goal = GAIN * (abs(loglik) + 1)
        if not (0 < ratio < 1 and gain > goal):
            return ""
        return f", about {seconds * math.log(goal / gain) / math.log(ratio):.0f} s left"

    def show(self, words: str) -> None:
        """Put words on the line."""
        self.shown = True
        _write(f"\r\x1b[K{words}")


class _Notes(logging.Handler):
    """What the kernels log while a fit waits for them."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.INFO)
        self.progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        self.progress.show(record.getMessage())


def on_screen() -> bool:
    """Whether somebody watches: a terminal or a notebook; windowed programs have no streams."""
    stream = sys.stderr
    return (stream is not None and stream.isatty()) or "ipykernel" in sys.modules


def _write(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(text)
        sys.stderr.flush()
