"""Workers elsewhere: partitions as tasks of a `concurrent.futures.Executor`, such as Dask's.

A task is one partition. Tasks that run in one process share one `Worker`, which stays open from
one task to the next; and a task leaves its place in Dask's pool as soon as its last target has
been asked for, so that the next one fills the window of requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tessloom.archive import event_loop
from tessloom.building.log import open_log
from tessloom.building.worker import Worker
from tessloom.errors import DatasetError, WorkerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from concurrent.futures import Executor

    from tessloom.building.ahead import Ahead
    from tessloom.building.partition import Result
    from tessloom.building.plan import Partition
    from tessloom.building.worker import Job, Listener

# Partitions that are handed out to a worker at a time: some under way, and the next ones waiting.
_TASKS_A_WORKER = 4
_LOOK_EVERY = 0.1
# Seconds for which a worker stays open without a task.
_IDLE = 30.0
# A network's file system may show a file that others wrote this much later (acdirmax of NFS: 60).
_SEEN_WITHIN = 120.0


def build_on_executor(
    job: Job,
    partitions: Ahead[Partition],
    listener: Listener,
    executor: Executor,
    workers: Callable[[], int],
) -> list[Result]:
    """Build partitions as tasks of an executor.

    Parameters
    ----------
    workers
        Returns how many processes share the archive's connections; it may grow.

    Raises
    ------
    WorkerError
        The executor lost a task's process more often than it repeats it.
    DatasetError
        The files are not where this process can see them, or see `Worker.run`.
    ArchiveError
        See `Worker.run`; the first error cancels what has not begun.
    """
    results: list[Result] = []
    running: dict[Future[Result], Partition] = {}
    share = 0
    with open_log(job.log) as log:
        try:
            while running or not partitions.exhausted:
                share = max(share, workers())
                while len(running) < share * _TASKS_A_WORKER and (partition := partitions.poll()):
                    # Several hosts can't add to one file: this process keeps the log.
                    task = replace(job, workers=share, log=None)
                    running[executor.submit(build_partition, task, partition)] = partition
                if not running:
                    time.sleep(_LOOK_EVERY)  # the first sector is being planned
                    continue
                for future in wait(running, _LOOK_EVERY, FIRST_COMPLETED).done:
                    partition = running.pop(future)
                    result = _result(future)
                    _check_visible(job, partition)
                    log.partition(result)
                    results.append(result)
                    asked, failed = len(partition.targets), len(result.receipt.failures)
                    listener.advance(asked - partition.kept, failed)
        finally:
            for future in running:
                future.cancel()
    return results


def _result(future: Future[Result]) -> Result:
    try:
        return future.result()
    except Exception as error:
        # Dask's KilledWorker is known by its name, since distributed is an extra.
        if isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker":
            raise WorkerError(
                f"workers were ended from outside, often because memory was short ({error}): run "
                "the same command again to continue"
            ) from error
        raise


def _check_visible(job: Job, partition: Partition) -> None:
    path = partition.path or job.dataset_format.partition_path(
        job.root, partition.pipeline, partition.pixel, partition.sector
    )
    last = time.monotonic() + _SEEN_WITHIN
    while not path.exists():
        if time.monotonic() > last:
            raise DatasetError(
                f"a worker has written {path}, and it is not here: {job.root} must be the same "
                "directory on all machines. Choose one on a shared file system"
            )
        time.sleep(_LOOK_EVERY)


@dataclass(frozen=True)
class _Task:
    partition: Partition
    # Set when its last target has been asked for.
    begun: threading.Event = field(default_factory=threading.Event)
    outcome: Future[Result] = field(default_factory=Future)


def build_partition(job: Job, partition: Partition) -> Result:
    """Build one partition: the task that executors run."""
    task = _Task(partition)
    while True:
        if _lasting_worker(job).take(task):
            break
    task.begun.wait()
    _leave_place()
    return task.outcome.result()


def _lasting_worker(job: Job) -> _LastingWorker:
    with _LOCK:
        for worker in _OPEN:
            if worker.job == job:
                return worker
        worker = _LastingWorker(job, _sayer())
        _OPEN.append(worker)
        return worker


def _sayer() -> Callable[[str], None]:
    """Return what hands a message on to whoever watches, where there is a way."""
    if "distributed" in sys.modules:
        from distributed import get_worker  # noqa: PLC0415

        with contextlib.suppress(ValueError):  # not in a Dask worker
            worker = get_worker()
            return lambda text: worker.log_event(TOPIC, text)
    return lambda _text: None


def _leave_place() -> None:
    if "distributed" in sys.modules:
        from distributed import secede  # noqa: PLC0415

        with contextlib.suppress(ValueError):  # not in a Dask worker
            secede()


# Under which Dask hands messages on.
TOPIC = "tessloom"


class _LastingWorker:
    """A worker on a thread of its own that takes partitions from several tasks."""

    def __init__(self, job: Job, say: Callable[[str], None]) -> None:
        self.job = job
        self.say = say
        self._waiting: queue.SimpleQueue[_Task] = queue.SimpleQueue()
        self._under_way: dict[Any, _Task] = {}
        self._closed = False
        threading.Thread(target=self._run, name="tessloom-worker", daemon=True).start()

    def take(self, task: _Task) -> bool:
        """Take a task; False where it is too late."""
        with _LOCK:
            if not self._closed:
                self._waiting.put(task)
            return not self._closed

    def advance(self, done: int, failed: int) -> None:
        """Tell nothing: the result does."""

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            with open_log(self.job.log) as log:

                async def build() -> None:
                    await Worker(self.job, self, log, self._finished).run(self._arriving())

                event_loop.run(build())
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

    def _close(self) -> None:
        with _LOCK:
            self._closed = True
            _OPEN.remove(self)

    async def _arriving(self) -> AsyncIterator[Partition]:
        idle_since = time.monotonic()
        while True:
            try:
                task = self._waiting.get_nowait()
            except queue.Empty:
                if self._under_way:
                    idle_since = time.monotonic()
                elif time.monotonic() - idle_since > _IDLE and self._close_if_idle():
                    return
                await asyncio.sleep(_LOOK_EVERY / 5)
                continue
            self._under_way[_key(task.partition)] = task
            yield task.partition
            task.begun.set()

    def _close_if_idle(self) -> bool:
        with _LOCK:
            self._closed = self._waiting.empty()
            return self._closed

    def _finished(self, result: Result) -> None:
        receipt = result.receipt
        task = self._under_way.pop((receipt.pipeline, receipt.sector, receipt.pixel))
        task.outcome.set_result(result)


def _key(partition: Partition) -> tuple[str, int, int]:
    return partition.pipeline.name, partition.sector, partition.pixel


# The workers of this process. More than one only while the number of workers changes.
_OPEN: list[_LastingWorker] = []
_LOCK = threading.Lock()
