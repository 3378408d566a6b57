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
    from multiprocessing.connection import Connection

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
    # Pipes without locks, not a Queue and an Event: a worker that is killed may hold a lock, and
    # then its parent would wait for it for ever.
    context = multiprocessing.get_context("spawn")
    progress, progress_in = context.Pipe(duplex=False)
    stop, stop_in = context.Pipe(duplex=False)
    end, end_in = context.Pipe(duplex=False)
    listener = threading.Thread(target=_listen, args=(progress, end, report), daemon=True)
    listener.start()
    try:
        with ProcessPoolExecutor(len(shares), context, _start, (progress_in, stop)) as executor:
            with _no_main_module():
                futures = [executor.submit(_build, job, share) for share in shares]
            try:
                return [result for future in as_completed(futures) for result in future.result()]
            except BrokenProcessPool as error:
                raise WorkerError(
                    "a worker was ended from outside, often because memory was short: run the same "
                    "command again to continue, with fewer workers if it happens again"
                ) from error
            finally:
                stop_in.close()
    finally:
        end_in.close()
        listener.join()
        for connection in (progress, progress_in, stop, end):
            connection.close()


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


_progress: Connection
_stopped = threading.Event()


def _start(progress: Connection, stop: Connection) -> None:
    """Prepare a worker's process."""
    # Ctrl-C reaches all processes of a terminal; the parent alone decides, through `stop`.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    global _progress  # noqa: PLW0603 - each worker has a process of its own
    _progress = progress
    threading.Thread(target=_watch, args=[stop], daemon=True).start()


def _watch(stop: Connection) -> None:
    """Leave off when the parent closes `stop`, and end this process as soon as it is gone.

    So none writes after a kill.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if parent.sentinel not in wait([parent.sentinel, stop]):
        _stopped.set()
        wait([parent.sentinel])
    os._exit(1)


def _build(job: Job, partitions: list[Partition]) -> list[Result]:
    # So small a message is written at once or not at all.
    return build_partitions(
        job, partitions, lambda done, failed: _progress.send((done, failed)), _stopped.is_set
    )


def _listen(progress: Connection, end: Connection, report: Callable[[int, int], None]) -> None:
    """Hand on what workers report, until all has been handed on and `end` is closed."""
    while progress in wait([progress, end]):
        report(*progress.recv())
