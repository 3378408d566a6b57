"""The interpreter, tuned for builds while there are any."""

from __future__ import annotations

import gc
import os
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator

_OBJECTS_BETWEEN_COLLECTIONS = 100_000


class _Tuning:
    """Has the interpreter suit builds while there are any.

    Arrow's usual allocator gives memory back so soon that a build spends 8 % of its time on new
    pages; jemalloc, which not every pyarrow has, does not. The garbage collector would look
    through all light curves that wait, time and again; there are no cycles among them.

    Workers of several builds may be in one process: the last of them leaves it as it was.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._builds = 0
        self._undo = ExitStack()

    @contextmanager
    def during_build(self) -> Iterator[None]:
        """Tune meanwhile."""
        with self._lock:
            self._builds += 1
            if self._builds == 1:
                self._tune()
        try:
            yield
        finally:
            with self._lock:
                self._builds -= 1
                if not self._builds:
                    self._undo.close()

    def _tune(self) -> None:
        chosen = "ARROW_DEFAULT_MEMORY_POOL" in os.environ
        if not chosen and "jemalloc" in pa.supported_memory_backends():
            self._undo.callback(pa.set_memory_pool, pa.default_memory_pool())
            pa.set_memory_pool(pa.jemalloc_memory_pool())
        thresholds = gc.get_threshold()
        if thresholds[0]:  # 0 is off
            self._undo.callback(gc.set_threshold, *thresholds)
            gc.set_threshold(max(thresholds[0], _OBJECTS_BETWEEN_COLLECTIONS), *thresholds[1:])


_TUNING = _Tuning()


@contextmanager
def tuned() -> Iterator[None]:
    """Have the interpreter suit a build meanwhile."""
    with _TUNING.during_build():
        yield
