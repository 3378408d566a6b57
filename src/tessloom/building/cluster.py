"""Workers elsewhere: partitions as tasks of a `concurrent.futures.Executor`, such as Dask's."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from tessloom.building.log import open_log
from tessloom.building.tasks import build_partition, leave_off, topic_of
from tessloom.dataset.storage import is_local
from tessloom.errors import DatasetError, WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager

    from distributed import Client

    from tessloom.building.ahead import Ahead
    from tessloom.building.partition import Result
    from tessloom.building.plan import Partition
    from tessloom.building.worker import Job, Listener

# Partitions that are handed out to a worker at a time: some under way, and the next ones waiting.
_TASKS_A_WORKER = 4
_LOOK_EVERY = 0.1
_COUNT_EVERY = 1.0
# A network's file system may show a file that others wrote this much later (acdirmax of NFS: 60).
_SEEN_WITHIN = 120.0


class Cluster(Protocol):
    """Somebody's processes."""

    @property
    def executor(self) -> Executor:
        """What runs tasks in them."""

    def workers(self) -> int:
        """Return how many there are; this may change."""

    def serving(self, job: Job, say: Callable[[str], None]) -> AbstractContextManager[None]:
        """Let them work for a build, hand on what they say, and see to it that they leave off."""


@dataclass(frozen=True)
class AnyExecutor:
    """An executor that runs so many tasks at a time."""

    executor: Executor
    number: int

    def workers(self) -> int:
        """Return what the user says."""
        return self.number

    @contextmanager
    def serving(self, job: Job, say: Callable[[str], None]) -> Iterator[None]:  # noqa: ARG002
        """Leave off in this process; other processes finish what they have in hand."""
        try:
            yield
        finally:
            leave_off(job.root)


@dataclass
class DaskCluster:
    """A Dask cluster; its workers may come and go."""

    client: Client
    executor: Executor = field(init=False)
    _number: int = 0
    _counted_at: float = float("-inf")

    def __post_init__(self) -> None:
        self.executor = self.client.get_executor(pure=False)

    def workers(self) -> int:
        """Return how many there are, as of a moment ago."""
        if time.monotonic() - self._counted_at > _COUNT_EVERY:
            with _cluster_failing():
                self._number = len(self.client.nthreads())
            self._counted_at = time.monotonic()
        return self._number

    @contextmanager
    def serving(self, job: Job, say: Callable[[str], None]) -> Iterator[None]:
        """Let workers work for this build alone, and leave off when it ends, however it ends."""
        topic = topic_of(job)
        with _cluster_failing():
            # A build that was killed may have left some at work.
            self.client.run(leave_off, job.root, but=job.build)
            self.client.subscribe_topic(topic, lambda event: say(str(event[1])))
        try:
            yield
        finally:
            with suppress(Exception):  # the cluster is gone, then
                self.client.unsubscribe_topic(topic)
                self.client.run(leave_off, job.root)


def build_on_cluster(
    job: Job, partitions: Ahead[Partition], listener: Listener, cluster: Cluster, most: int
) -> list[Result]:
    """Build partitions as tasks.

    Parameters
    ----------
    most
        Workers that are given work at a time: more can't share the archive's connections.

    Raises
    ------
    WorkerError
        The cluster is gone, or loses a task's process more often than it repeats it.
    DatasetError
        The files are not where this process can see them, or see `Worker.run`.
    ArchiveError
        See `Worker.run`; the first error cancels what has not begun.
    """
    results: list[Result] = []
    running: dict[Future[Result], Partition] = {}
    with open_log(job.log) as log:

        def say(text: str) -> None:
            log.archive(text)
            listener.say(text)

        # Several hosts can't add to one file: this process keeps the log.
        task = replace(job, log=None)
        with cluster.serving(task, say):
            waiting = False
            try:
                while running or not partitions.exhausted:
                    if not cluster.workers() and not waiting:
                        say("the cluster has no workers: the build waits for some")
                    waiting = not cluster.workers()
                    _hand_out(task, partitions, cluster, most, running)
                    if not running:
                        time.sleep(_LOOK_EVERY)  # the first sector is being planned
                        continue
                    for future in wait(running, _LOOK_EVERY, FIRST_COMPLETED).done:
                        partition = running.pop(future)
                        result = _result(future)
                        _check_visible(partition, first=not results)
                        log.partition(result)
                        results.append(result)
                        asked, failed = len(partition.targets), len(result.receipt.failures)
                        listener.advance(asked - partition.kept, failed)
            finally:
                for future in running:
                    future.cancel()
    return results


def _hand_out(
    job: Job,
    partitions: Ahead[Partition],
    cluster: Cluster,
    most: int,
    running: dict[Future[Result], Partition],
) -> None:
    # Without any worker too: a cluster that adapts starts some when there are tasks.
    workers = max(1, cluster.workers())
    # Each task keeps one worker busy at most, so no more than `most` are.
    tasks = workers * _TASKS_A_WORKER if workers <= most else most
    while len(running) < tasks and (partition := partitions.poll()):
        with _cluster_failing():
            future = cluster.executor.submit(build_partition, job, partition, workers, most)
        running[future] = partition


def _result(future: Future[Result]) -> Result:
    with _cluster_failing():
        return future.result()


@contextmanager
def _cluster_failing() -> Iterator[None]:
    try:
        yield
    except (BrokenExecutor, CancelledError) as error:
        raise _lost(error) from error
    except Exception as error:
        # Dask's are known by their module, since distributed is an extra: KilledWorker, a
        # scheduler that does not answer.
        if type(error).__module__.startswith("distributed."):
            raise _lost(error) from error
        raise


def _lost(error: BaseException) -> WorkerError:
    return WorkerError(
        f"workers or their scheduler were ended from outside ({error or type(error).__name__}), "
        "often because memory was short, or because a script without "
        "'if __name__ == \"__main__\":' was run anew in each of them. The same command continues"
    )


def _check_visible(partition: Partition, *, first: bool) -> None:
    path: Any = partition.path
    if not (first or is_local(path)):
        return  # a store is the same from everywhere
    last = time.monotonic() + _SEEN_WITHIN
    while not path.exists():
        if time.monotonic() > last:
            raise DatasetError(
                f"a worker has written {path}, and it is not here: the dataset must be in the "
                "same directory on all machines. Choose one on a shared file system"
            )
        time.sleep(_LOOK_EVERY)
