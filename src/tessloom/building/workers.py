"""Who builds: this process, processes of this machine, or somebody else's executor."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tessloom.building.cluster import TOPIC, build_on_executor
from tessloom.building.processes import build_here, build_in_processes
from tessloom.errors import RequestError, WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

    from distributed import Client

    from tessloom.building.ahead import Ahead
    from tessloom.building.partition import Result
    from tessloom.building.plan import Partition
    from tessloom.building.worker import Job, Listener

# Targets for which a further process is worth its start, which takes about half a second.
_WORTH_A_PROCESS = 2000
# The tables of so many targets take memory that a worker should not have: then it is another
# process than the one that plans.
_MANY_TARGETS = 200_000
_LOCAL = "local"


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Who builds partitions.

    Attributes
    ----------
    number
        How many; None: as many as the machine has cores, or as is worth it.
    dask
        Address of a Dask scheduler, ``"local"``, or a `distributed.Client`; None: no Dask.
    executor
        A `concurrent.futures.Executor`, or None.
    """

    number: int | None = None
    dask: str | Client | None = None
    executor: Executor | None = None

    def build(
        self,
        job: Job,
        partitions: Ahead[Partition],
        listener: Listener,
        expected: int | None,
    ) -> list[Result]:
        """Build partitions, and return what became of them.

        Parameters
        ----------
        job
            Its number of workers is set here.
        expected
            How many targets there will be; None: many.

        Raises
        ------
        RequestError
            There is no Dask, or the archive has too few connections for so many workers.
        WorkerError, ArchiveError, DatasetError
            See `processes.build_in_processes` and `cluster.build_on_executor`.
        """
        if self.dask is not None:
            with _client(self.dask, self.number) as client:
                client.subscribe_topic(TOPIC, lambda event: listener.say(str(event[1])))
                return build_on_executor(
                    job,
                    partitions,
                    listener,
                    client.get_executor(pure=False),
                    lambda: len(client.nthreads()),
                )
        number = self.number or self._worthwhile(job, expected)
        if self.executor is not None:
            return build_on_executor(job, partitions, listener, self.executor, lambda: number)
        job = replace(job, workers=number)
        if number == 1 and expected is not None and expected < _MANY_TARGETS:
            return build_here(job, partitions, listener)
        return build_in_processes(job, partitions, listener)

    def _worthwhile(self, job: Job, expected: int | None) -> int:
        most = min(cores(), job.archive.most_workers)
        if expected is None:
            return most
        return max(1, min(most, expected // _WORTH_A_PROCESS))


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _client(dask: str | Client, workers: int | None) -> Iterator[Client]:
    """Yield a client of a Dask cluster that has workers."""
    try:
        import distributed  # noqa: PLC0415 - an extra
    except ImportError:
        raise RequestError('Dask is not installed: pip install "tessloom[dask]"') from None
    if not isinstance(dask, str):
        yield dask
        return
    if dask == _LOCAL:
        cluster: Any = distributed.LocalCluster(
            n_workers=workers or cores(), threads_per_worker=1, dashboard_address=None
        )
        with cluster, distributed.Client(cluster) as client:
            yield client
        return
    try:
        client = distributed.Client(dask, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise RequestError(
            f"there is no Dask scheduler at {dask!r} ({error}): give its address, such as "
            "tcp://host:8786, or local"
        ) from None
    with client:
        if not client.nthreads():
            raise WorkerError(f"the Dask cluster at {dask} has no workers yet: start some")
        yield client
