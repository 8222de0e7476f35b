"""Passes with one BLAS thread: on busy cores, threads that wait for each other spin."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

# Products over fewer rows are too small for a second thread.
FEW_ROWS = 1_000


@functools.cache
def _controller() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


class OneThread:
    """A block of work over some rows with one BLAS thread.

    BLAS has one number of threads for the whole process: whoever comes first keeps it, and the
    last one to leave restores it.
    """

    _lock = threading.Lock()
    _inside = 0
    _before: Any = None

    def __init__(self, n_rows: int) -> None:
        self._needed = n_rows >= FEW_ROWS

    def __enter__(self) -> None:
        if self._needed:
            with self._lock:
                if OneThread._inside == 0:
                    OneThread._before = _controller().limit(limits=1, user_api="blas")
                OneThread._inside += 1

    def __exit__(self, *_: object) -> None:
        if self._needed:
            with self._lock:
                OneThread._inside -= 1
                if OneThread._inside == 0:
                    OneThread._before.restore_original_limits()
