"""What a sector will take: judged by a sample that goes the whole way, into a scratch folder."""

from __future__ import annotations

import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import pyarrow as pa

from tessloom.building.ahead import Ahead
from tessloom.building.processes import build_here
from tessloom.building.worker import Job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from tessloom.archive import Archive, ArchiveAddress
    from tessloom.building.request import Request
    from tessloom.building.sector_plan import SectorPlan
    from tessloom.building.worker import Listener

T = TypeVar("T")

# Light curves of a sample: their sizes vary little, and the window of requests has grown by then.
_SAMPLE = 128


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What it will take to do what is still to be done of one (pipeline, sector).

    Attributes
    ----------
    download, disk
        Bytes to fetch, and bytes of the dataset that they become.
    seconds
        At the rate at which the second half of the sample came in, by one worker.
    sampled
        How many light curves that is judged by.
    """

    download: int
    disk: int
    seconds: float
    sampled: int


def estimate(request: Request, address: ArchiveAddress, plan: SectorPlan) -> Estimate | None:
    """Fetch a sample of what is to be done, and judge the rest by it.

    Returns
    -------
    Estimate or None
        None where nothing is to be done, or none of the sample could be had.
    """
    if not plan.to_do:
        return None
    targets = pa.concat_tables([partition.targets for partition in plan.to_do])
    spread = np.linspace(0, len(targets) - 1, min(_SAMPLE, len(targets))).astype(int)
    chosen = targets.take(pa.array(spread)).combine_chunks()
    measured = _Measured(address)
    with tempfile.TemporaryDirectory(prefix="tessloom-dry-run-") as folder:
        job = Job(
            root=Path(folder),
            dataset_format=request.dataset_format,
            archive=cast("ArchiveAddress", measured),  # the rest is handed on
            workers=1,
            keep_fits=None,
        )
        files = [_build(job, plan, rows, request) for rows in (chosen.slice(0, 1), chosen)]
    if not files[-1][0]:
        return None
    to_fetch = len(targets) - sum(partition.kept for partition in plan.to_do)
    return Estimate(
        download=round(sum(measured.sizes) / len(measured.sizes) * to_fetch),
        disk=_disk(files, len(targets), len(plan.to_do)),
        seconds=to_fetch * measured.seconds_each(),
        sampled=files[-1][0],
    )


def _build(job: Job, plan: SectorPlan, targets: pa.Table, request: Request) -> tuple[int, int]:
    """Put targets into one file; return how many light curves and how many bytes it has."""
    path = job.root / f"sample-{len(targets)}"
    sample = replace(plan.to_do[0], targets=targets, known=None, path=path)
    with Ahead(lambda _stopped: iter([sample]), 1) as partitions:
        (result,) = build_here(job, partitions, _Saying(request.progress))
    return result.receipt.written, path.stat().st_size


def _disk(files: Sequence[tuple[int, int]], targets: int, partitions: int) -> int:
    """Return the bytes of a dataset, judged by a file of one light curve and one of many."""
    (few, small), (many, large) = files
    each = (large - small) / (many - few) if many > few else large / max(many, 1)
    return round(targets * each + partitions * max(0.0, small - few * each))


@dataclass(frozen=True)
class _Saying:
    """Hands on what a person should know, and not how far the sample is."""

    listener: Listener

    def advance(self, done: int, failed: int) -> None:
        pass

    def say(self, text: str) -> None:
        self.listener.say(text)


@dataclass
class _Measured:
    """An archive that notes how large files are and when they came in."""

    address: ArchiveAddress
    sizes: list[int] = field(default_factory=list)
    _times: list[float] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.address, name)

    @asynccontextmanager
    async def open(
        self, workers: int = 1, say: Callable[[str], None] = lambda _: None
    ) -> AsyncIterator[Archive]:
        async with self.address.open(workers, say) as archive:
            self._times = [time.perf_counter()]
            yield cast("Archive", _MeasuredArchive(archive, self))

    def note(self, size: int) -> None:
        self.sizes.append(size)
        self._times.append(time.perf_counter())

    def seconds_each(self) -> float:
        """Return how much time a file took that came in since the opening, in the second half."""
        half = len(self._times) // 2
        return (self._times[-1] - self._times[half - 1]) / (len(self._times) - half)


class _MeasuredArchive:
    def __init__(self, archive: Archive, measured: _Measured) -> None:
        self._archive = archive
        self._measured = measured

    def __getattr__(self, name: str) -> Any:
        return getattr(self._archive, name)

    async def fetch(self, path: str, accept: Callable[[bytes], T]) -> T:
        def noted(body: bytes) -> T:
            accepted = accept(body)
            self._measured.note(len(body))
            return accepted

        return await self._archive.fetch(path, noted)
