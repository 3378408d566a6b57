"""Who builds: this process, processes of this machine, or somebody else's executor."""

from __future__ import annotations

import os
import re
import secrets
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tessloom.building.cluster import AnyExecutor, DaskCluster, build_on_cluster
from tessloom.building.processes import (
    build_here,
    build_in_processes,
    no_interrupt,
    no_main_module,
)
from tessloom.dataset.storage import is_shared
from tessloom.errors import RequestError

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
# What Dask's own schemes look like; of anything else its client makes a minute's wait.
_ADDRESS = re.compile(r"(tcp|tls|ucx|ws|wss|inproc|gateway|proxy)://[^\s/]+(/\S*)?|[^\s/:]+:\d+")
# Of a small build, for each process that it is given.
_LEAST_TARGETS = 10


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Who builds partitions.

    Attributes
    ----------
    number
        How many; None: as many as the machine has cores, or as is worth it. On a cluster: how
        many at most; None: all.
    dask
        Address of a Dask scheduler, ``"local"``, or a `distributed.Client`; None: no Dask.
    executor
        A `concurrent.futures.Executor`, or None.
    """

    number: int | None = None
    dask: str | Client | None = None
    executor: Executor | None = None

    @property
    def elsewhere(self) -> bool:
        """Whether workers are not this build's own processes, and may die without its end."""
        return self.dask is not None or self.executor is not None

    @property
    def depend_on_size(self) -> bool:
        """Whether it must be known how much there is to do before they are started."""
        return not self.elsewhere and (self.number or 1) == 1

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
            Its number of workers, and what tells it from others, are set here.
        expected
            How many targets there will be; None: many.

        Raises
        ------
        RequestError
            There is no Dask, or the archive has too few connections for so many workers.
        WorkerError, ArchiveError, DatasetError
            See `processes.build_in_processes` and `cluster.build_on_cluster`.
        """
        most = min(job.archive.most_workers, self.number or sys.maxsize)
        job = replace(job, build=secrets.token_hex(8))
        shared = is_shared(job.root)
        if self.elsewhere and not shared:
            raise RequestError(f"other processes can't write to {job.root}: choose a directory")
        if self.executor is not None:
            cluster = AnyExecutor(self.executor, self.number or 1)
            return build_on_cluster(job, partitions, listener, cluster, most)
        if self.dask is not None:
            with _client(self.dask, self.number) as client:
                return build_on_cluster(job, partitions, listener, DaskCluster(client), most)
        number = self.number or self._worthwhile(job, expected)
        if expected is not None:
            number = min(number, max(1, expected // _LEAST_TARGETS))
        if not shared:
            number, expected = 1, 0  # nothing else sees this process's memory
        job = replace(job, workers=number)
        if number == 1 and expected is not None and expected < _MANY_TARGETS:
            return build_here(job, partitions, listener)
        return build_in_processes(job, partitions, listener)

    def _worthwhile(self, job: Job, expected: int | None) -> int:
        most = min(cores(), job.archive.worthwhile_workers)
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
    if dask.strip().lower() == _LOCAL:
        # Ctrl-C is this process's: workers that hear of it too would say so at length.
        with no_main_module(), no_interrupt():
            cluster: Any = distributed.LocalCluster(
                n_workers=workers or cores(),
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",  # else it warns where another cluster has one
            )
        with cluster, distributed.Client(cluster, set_as_default=False) as client:
            yield client
        return
    advice = "give its address, such as tcp://host:8786, or local"
    if not _ADDRESS.fullmatch(dask):
        raise RequestError(f"{dask!r} is not the address of a Dask scheduler: {advice}")
    try:
        client = distributed.Client(dask, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise RequestError(f"there is no Dask scheduler at {dask!r} ({error}): {advice}") from None
    with client:
        yield client
