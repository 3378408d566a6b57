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
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Self

from tessloom.archive import target_table
from tessloom.building.worker import Job, build_partitions
from tessloom.dataset.listing_file import ListingRows
from tessloom.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

    from tessloom.building.partition import Result
    from tessloom.building.plan import Partition
    from tessloom.building.worker import Listener

# To plan so many takes memory that a worker should not have: then it is another process.
_MANY_TARGETS = 2_000_000
_NO_TARGETS = target_table({}, 0)


def share_out(partitions: list[Partition], workers: int) -> list[list[Partition]]:
    """Divide partitions so that all workers get about the same number of targets."""
    by_size = sorted(partitions, key=lambda partition: -len(partition.targets))
    shares: list[list[Partition]] = [by_size[worker::workers] for worker in range(workers)]
    # In the order of the listing, of which a worker reads one part after the other.
    return [sorted(share, key=lambda partition: partition.start) for share in shares if share]


def run_workers(
    job: Job, partitions: list[Partition], listing: Path, listener: Listener
) -> list[Result]:
    """Build partitions with `Job.workers` workers; see `worker.build_partitions`.

    Parameters
    ----------
    listing
        The listing file of which the partitions are parts.
    """
    shares = share_out(partitions, job.workers)
    targets = sum(len(partition.targets) for partition in partitions)
    if len(shares) <= 1 and targets < _MANY_TARGETS:
        return build_partitions(job, partitions, listener)
    # Pipes without locks, not a Queue and an Event: a worker that is killed may hold a lock, and
    # then its parent would wait for it for ever.
    context = multiprocessing.get_context("spawn")
    progress, progress_in = context.Pipe(duplex=False)
    stop, stop_in = context.Pipe(duplex=False)
    end, end_in = context.Pipe(duplex=False)
    thread = threading.Thread(target=_listen, args=(progress, end, listener), daemon=True)
    thread.start()
    try:
        with ProcessPoolExecutor(len(shares), context, _start, (progress_in, stop)) as executor:
            with _no_main_module():
                futures = [
                    executor.submit(_build, job, listing, [_Part.of(p) for p in share])
                    for share in shares
                ]
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
        thread.join()
        for connection in (progress, progress_in, stop, end):
            connection.close()


@dataclass(frozen=True)
class _Part:
    """A partition without its targets, which the worker reads from the listing file.

    A sector of 14 million targets would take a gigabyte of each worker's memory.
    """

    partition: Partition
    size: int

    @classmethod
    def of(cls, partition: Partition) -> Self:
        return cls(replace(partition, targets=_NO_TARGETS), len(partition.targets))

    def whole(self, listing: ListingRows) -> Partition:
        return replace(self.partition, targets=listing.rows(self.partition.start, self.size))


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


class _Sender:
    """Hands on to the parent what a worker tells. So small a message is sent at once or not."""

    def advance(self, done: int, failed: int) -> None:
        _progress.send(("advance", done, failed))

    def say(self, text: str) -> None:
        _progress.send(("say", text))


def _build(job: Job, listing: Path, parts: list[_Part]) -> list[Result]:
    with ListingRows(listing) as rows:
        partitions = (part.whole(rows) for part in parts)
        return build_partitions(job, partitions, _Sender(), _stopped.is_set)


def _listen(progress: Connection, end: Connection, listener: Listener) -> None:
    """Hand on what workers tell, until all has been handed on and `end` is closed."""
    while progress in wait([progress, end]):
        name, *arguments = progress.recv()
        getattr(listener, name)(*arguments)
