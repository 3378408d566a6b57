"""What runs in the processes of an executor: one task a partition, one worker for all of them.

Tasks that run in one process share one `Worker`, which stays open from one task to the next; and
a task leaves its place in Dask's pool as soon as its last target has been asked for, so that the
next one fills the window of requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tessloom.archive import event_loop
from tessloom.building.log import open_log
from tessloom.building.worker import Worker
from tessloom.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tessloom.building.partition import Result
    from tessloom.building.plan import Partition
    from tessloom.building.worker import Job

_LOOK_EVERY = 0.02
# Seconds for which a worker stays open without a task.
_IDLE = 30.0
# Seconds that a worker has to leave off: a row group may be being written.
_LEAVE_WITHIN = 60.0


def topic_of(job: Job) -> str:
    """Return under which name Dask hands on what workers say."""
    return f"tessloom-{job.build}"


def build_partition(job: Job, partition: Partition, workers: int, most: int) -> Result:
    """Build one partition: the task that executors run.

    Parameters
    ----------
    workers
        How many there were when the task was handed out; in a Dask worker it is asked anew.
    most
        How many of them work at a time at most.
    """
    task = _Task(partition, min(most, max(workers, _dask_workers())))
    while not _lasting_worker(job).take(task):
        pass  # it has just been closed
    task.begun.wait()
    _leave_place()
    return task.outcome.result()


def leave_off(root: Path, but: str = "") -> None:
    """End what builds into a directory in this process, and return when that has ended.

    Parameters
    ----------
    but
        The build that goes on.
    """
    with _LOCK:
        others = [w for w in _OPEN if w.job.root == root and w.job.build != but]
    for worker in others:
        worker.stopped.set()
    for worker in others:
        worker.thread.join(_LEAVE_WITHIN)


@dataclass(frozen=True)
class _Task:
    partition: Partition
    workers: int
    # Set when its last target has been asked for.
    begun: threading.Event = field(default_factory=threading.Event)
    outcome: Future[Result] = field(default_factory=Future)


def _dask_worker() -> Any:
    """Return the Dask worker that runs this task, or None."""
    if "distributed" in sys.modules:
        from distributed import get_worker  # noqa: PLC0415

        with contextlib.suppress(ValueError):  # it is another executor's
            return get_worker()
    return None


def _dask_workers() -> int:
    """Return how many workers the Dask cluster has; 1 where there is none."""
    if _dask_worker() is None:
        return 1
    from distributed import get_client  # noqa: PLC0415

    return len(get_client().nthreads())


def _leave_place() -> None:
    if _dask_worker() is not None:
        from distributed import secede  # noqa: PLC0415

        secede()


def _lasting_worker(job: Job) -> _LastingWorker:
    with _LOCK:
        for worker in _OPEN:
            if worker.job == job:
                return worker
        worker = _LastingWorker(job)
        _OPEN.append(worker)
        return worker


class _LastingWorker:
    """A worker on a thread of its own that takes partitions from several tasks."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.stopped = threading.Event()
        self._dask_worker = _dask_worker()
        self._waiting: queue.SimpleQueue[_Task] = queue.SimpleQueue()
        self._under_way: dict[tuple[str, int, int], _Task] = {}
        self._closed = False
        self.thread = threading.Thread(target=self._run, name="tessloom-worker", daemon=True)
        self.thread.start()

    def take(self, task: _Task) -> bool:
        """Take a task; False where it is too late."""
        with _LOCK:
            if not self._closed:
                self._waiting.put(task)
            return not self._closed

    def advance(self, done: int, failed: int) -> None:
        """Tell nothing: the result does."""

    def say(self, text: str) -> None:
        """Tell whoever watches, where there is a way."""
        if self._dask_worker is not None:
            self._dask_worker.log_event(topic_of(self.job), text)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            with open_log(self.job.log) as log:
                event_loop.run(self._build(log), self.stopped.is_set)
        except BaseException as raised:  # noqa: BLE001 - raised again in the tasks
            error = raised
        self._close()
        tasks = [*self._under_way.values()]
        with contextlib.suppress(queue.Empty):
            while True:
                tasks.append(self._waiting.get_nowait())
        for task in tasks:
            task.begun.set()
            task.outcome.set_exception(error or WorkerError("the worker was closed"))

    async def _build(self, log: Any) -> None:
        worker = Worker(self.job, self, log, self._finished)
        await worker.run(self._arriving(worker))

    async def _arriving(self, worker: Worker) -> AsyncIterator[Partition]:
        idle_since = time.monotonic()
        while True:
            try:
                task = self._waiting.get_nowait()
            except queue.Empty:
                if self._under_way:
                    idle_since = time.monotonic()
                elif time.monotonic() - idle_since > _IDLE and self._close_if_idle():
                    return
                await asyncio.sleep(_LOOK_EVERY)
                continue
            worker.share(task.workers)
            self._under_way[_key(task.partition)] = task
            yield task.partition
            task.begun.set()

    def _finished(self, result: Result) -> None:
        receipt = result.receipt
        task = self._under_way.pop((receipt.pipeline, receipt.sector, receipt.pixel))
        task.outcome.set_result(result)

    def _close_if_idle(self) -> bool:
        with _LOCK:
            if not self._waiting.empty():
                return False
            self._forget()
            return True

    def _close(self) -> None:
        with _LOCK:
            self._forget()

    def _forget(self) -> None:
        self._closed = True
        if self in _OPEN:
            _OPEN.remove(self)


def _key(partition: Partition) -> tuple[str, int, int]:
    return partition.pipeline.name, partition.sector, partition.pixel


# The workers of this process, one for each build.
_OPEN: list[_LastingWorker] = []
_LOCK = threading.Lock()


def _begin_anew() -> None:
    """Forget what the parent has: its threads are not here."""
    global _LOCK  # noqa: PLW0603
    _LOCK = threading.Lock()
    _OPEN.clear()


os.register_at_fork(after_in_child=_begin_anew)
