"""Workers: one in this process, or several processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import types
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from tessloom.building.worker import Job, build_partitions
from tessloom.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.synchronize import Event

    from tessloom.building.partition import Result
    from tessloom.building.plan import Partition


def share_out(partitions: list[Partition], workers: int) -> list[list[Partition]]:
    """Divide partitions so that all workers get about the same number of targets."""
    by_size = sorted(partitions, key=lambda partition: -len(partition.targets))
    shares: list[list[Partition]] = [by_size[worker::workers] for worker in range(workers)]
    return [share for share in shares if share]


def run_workers(
    job: Job, partitions: list[Partition], workers: int, report: Callable[[int, int], None]
) -> list[Result]:
    """Build partitions with so many workers; see `worker.build_partitions`."""
    shares = share_out(partitions, workers)
    if len(shares) <= 1:
        return build_partitions(job, partitions, report)
    context = multiprocessing.get_context("spawn")
    queue: SimpleQueue[tuple[int, int] | None] = context.SimpleQueue()
    stop = context.Event()
    listener = threading.Thread(target=_listen, args=(queue, report), daemon=True)
    listener.start()
    try:
        with ProcessPoolExecutor(len(shares), context, _start, (queue, stop)) as executor:
            with _no_main_module():
                futures = [executor.submit(_build, job, share) for share in shares]
            try:
                return [result for future in as_completed(futures) for result in future.result()]
            except BrokenProcessPool as error:
                stop.set()
                raise WorkerError(
                    "a worker was ended from outside, often because memory was short: run the same "
                    "command again to continue, with fewer workers if it happens again"
                ) from error
            except BaseException:
                stop.set()
                raise
    finally:
        queue.put(None)
        listener.join()


@contextlib.contextmanager
def _no_main_module() -> Iterator[None]:
    """Hide the caller's main module from processes that are started meanwhile.

    They would run it anew, and a script without ``if __name__ == "__main__":`` would start the
    build again in each of them. What they need is in tessloom alone.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


_queue: SimpleQueue[tuple[int, int] | None]
_stop: Event


def _start(queue: SimpleQueue[tuple[int, int] | None], stop: Event) -> None:
    """Prepare a worker's process."""
    # Ctrl-C reaches all processes of a terminal; the parent alone decides, through `stop`.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    global _queue, _stop
    _queue, _stop = queue, stop
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process as soon as its parent is gone, so that none writes after a kill."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _build(job: Job, partitions: list[Partition]) -> list[Result]:
    return build_partitions(
        job, partitions, lambda done, failed: _queue.put((done, failed)), _stop.is_set
    )


def _listen(queue: SimpleQueue[tuple[int, int] | None], report: Callable[[int, int], None]) -> None:
    while (news := queue.get()) is not None:
        report(*news)
