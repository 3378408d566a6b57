"""A worker: targets in, partitions out, with one window of requests that never drains.

Bytes come in on an event loop and are decoded there, in microseconds; row groups are encoded and
written on one thread beside it; files that are complete are put in place on a few more. Several
partitions are under way at a time, as the window slides from one to the next.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from tessloom.archive import light_curve_paths, slide
from tessloom.building.partition import PartitionBuilder
from tessloom.building.stored_rows import Kept
from tessloom.building.tuning import tuned
from tessloom.dataset.layout import write_bytes
from tessloom.dataset.receipt import Failure
from tessloom.dataset.rows import Row
from tessloom.errors import TargetError
from tessloom.fits import Decoder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tessloom.archive import Archive, ArchiveAddress
    from tessloom.building.log import Log
    from tessloom.building.partition import Result, RowGroup
    from tessloom.building.plan import Partition
    from tessloom.dataset._protocol import DatasetFormat
    from tessloom.dataset.rows import RowFormat

    # A target: which partition it is of, its number there, and what the listing says of it.
    Item = tuple[PartitionBuilder, int, "_Target"]

# Light curves that are on their way, wait for their row group to fill, or to be written. Beside
# them, a row group is in memory twice while it is laid out, and all else takes some 200 MB.
MEMORY = 128 * 2**20
_LARGEST = 1_200_000
_REPORT_EVERY = 0.2
# To put a file in place means waiting: for the disk, or for several requests to an object store.
_FINISHED_AT_A_TIME = 4


class _Target(NamedTuple):
    """What a request needs of the listing."""

    id: int
    camera: int
    ccd: int
    version: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker needs to know; small, and sent to it as it is.

    Attributes
    ----------
    root
        The dataset's directory.
    workers
        How many there are: they share the archive's connections.
    keep_fits
        Folder for the FITS files, or None.
    log
        File to which events are logged, or None.
    build
        Tells one build from another, where several work in one process.
    """

    root: Path
    dataset_format: DatasetFormat
    archive: ArchiveAddress
    workers: int
    keep_fits: Path | None
    log: Path | None = None
    build: str = ""


class Listener(Protocol):
    """Hears how far a worker is."""

    def advance(self, done: int, failed: int) -> None:
        """Hear now and then how many more targets are done, and how many of them failed."""

    def say(self, text: str) -> None:
        """Hear what a person should know of the archive."""


class Worker:
    """Builds partitions one after the other, several of them under way at a time.

    Parameters
    ----------
    finished
        Called with what became of each partition, in the order in which they are finished.
    """

    def __init__(
        self, job: Job, listener: Listener, log: Log, finished: Callable[[Result], None]
    ) -> None:
        self._job = job
        self._listener = listener
        self._log = log
        self._finished = finished
        self._reported_at = time.monotonic()
        self._done = self._failed = 0
        self._formats: dict[str, tuple[RowFormat, Decoder]] = {}
        self._open: list[PartitionBuilder] = []
        self._memory = _Memory(MEMORY)
        # One thread: a partition's row groups must be written in their order.
        self._writing = ThreadPoolExecutor(1, "tessloom-writing")
        self._finishing = ThreadPoolExecutor(_FINISHED_AT_A_TIME, "tessloom-finishing")

    async def run(self, partitions: AsyncIterator[Partition]) -> None:
        """Build partitions until there are no more.

        The next one is asked for when the last request for the one before has begun: so the
        window of requests stays full from one to the next.

        Raises
        ------
        ArchiveError
            The archive is down for too long.
        DatasetError
            The disk does not take the files.
        """
        job = self._job
        try:
            async with AsyncExitStack() as stack:
                stack.enter_context(tuned())
                archive = await stack.enter_async_context(job.archive.open(job.workers, self._say))
                self._archive: Archive = archive
                await stack.enter_async_context(self._log.each_minute(archive.health))
                await slide(archive.at_a_time, _Targets(partitions, self._begin), self._get)
        finally:
            self._writing.shutdown()
            self._finishing.shutdown()
            for builder in self._open:
                builder.abandon()
            self._tell()

    def share(self, workers: int) -> None:
        """Leave their part of the archive's connections to so many workers."""
        self._archive.share(workers)

    def _begin(self, partition: Partition) -> Iterator[Item]:
        name = partition.pipeline.name
        if name not in self._formats:
            row_format = self._job.dataset_format.row_format(partition.pipeline)
            self._formats[name] = (row_format, Decoder(row_format.wanted))
        builder = PartitionBuilder(
            partition, self._formats[name][0], self._job.dataset_format, self._job.root
        )
        self._open.append(builder)
        paths = light_curve_paths(partition.pipeline, partition.sector, partition.targets)
        columns = (*(partition.targets[name] for name in _Target._fields[:-1]), paths)
        rows = zip(*(column.to_pylist() for column in columns), strict=True)
        for slot, row in enumerate(rows):
            yield builder, slot, _Target(*row)

    def _say(self, text: str) -> None:
        self._log.archive(text)
        self._listener.say(text)

    async def _get(self, item: Item) -> None:
        builder, slot, target = item
        await self._memory.enter()
        try:
            outcome: Row | Kept | Failure
            if builder.stored is not None and slot in builder.stored:
                outcome = builder.stored.kept(slot)
            else:
                outcome = await self._fetch(builder.partition, target)
                self._memory.take(_size(outcome))
            # Up to the first await nothing else runs: row groups are handed on in their order.
            groups = builder.put(slot, outcome)
            complete = builder.complete
            if not isinstance(outcome, Kept):
                self._count(failed=isinstance(outcome, Failure))
            if groups or complete:
                await self._write(builder, groups, complete=complete)
            else:
                await asyncio.sleep(0)  # an archive that never waits lets others run too
        finally:
            self._memory.leave()

    async def _write(
        self, builder: PartitionBuilder, groups: list[RowGroup], *, complete: bool
    ) -> None:
        for group in groups:
            # Here and not in the thread: its thousands of small copies would wait for the
            # interpreter each. What is kept must be read from the disk first.
            if group.fetched:
                builder.lay_out(group)
        writes = [self._in_thread(builder.write, group) for group in groups]
        if complete:
            # Handed on from the writing thread, it comes after the row groups.
            writes.append(self._in_thread(self._finishing.submit, builder.finish))
        results = await asyncio.gather(*writes)
        self._memory.give_back(sum(group.nbytes for group in groups))
        if complete:
            result: Result = await _done_anyhow(asyncio.wrap_future(results[-1]))
            self._open.remove(builder)
            self._log.partition(result)
            self._tell()
            self._finished(result)

    async def _fetch(self, partition: Partition, target: _Target) -> Row | Failure:
        row_format, decoder = self._formats[partition.pipeline.name]
        name = (partition.sector, target.id, target.camera, target.ccd)

        def accept(body: bytes) -> tuple[Row, bytes | None]:
            row = row_format.row(decoder.decode(body), *name)
            return row, body if self._job.keep_fits else None

        try:
            row, body = await self._archive.fetch(target.path, accept)
        except TargetError as error:
            return Failure.of(target._asdict(), target.path, error)
        if self._job.keep_fits and body is not None:
            usual = partition.pipeline.light_curve_path(*name, target.version)
            await asyncio.to_thread(write_bytes, self._job.keep_fits / usual, body)
        return row

    def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        return _done_anyhow(loop.run_in_executor(self._writing, work, *arguments))

    def _count(self, *, failed: bool) -> None:
        self._done += 1
        self._failed += failed
        if time.monotonic() - self._reported_at > _REPORT_EVERY:
            self._tell()

    def _tell(self) -> None:
        if self._done:
            self._listener.advance(self._done, self._failed)
        self._done = self._failed = 0
        self._reported_at = time.monotonic()


def _done_anyhow(future: asyncio.Future[Any]) -> asyncio.Future[Any]:
    """Return a thread's work, which is done even if nobody waits for it any more.

    What has come in as a whole is still written, whatever ends the rest. Of an error that nobody
    waits for, asyncio would print something.
    """
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return asyncio.shield(future)


class _Targets:
    """The targets of one partition after the other, for several tasks that take them.

    Parameters
    ----------
    begin
        Returns the targets of a partition.
    """

    def __init__(
        self,
        partitions: AsyncIterator[Partition],
        begin: Callable[[Partition], Iterator[Item]],
    ) -> None:
        self._partitions = partitions
        self._begin = begin
        self._current: Iterator[Item] = iter(())
        self._turn = asyncio.Lock()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        while (item := next(self._current, None)) is None:
            exhausted = self._current
            async with self._turn:
                if self._current is exhausted:
                    # The last one raises StopAsyncIteration, for each task that asks.
                    self._current = self._begin(await anext(self._partitions))
        return item


def _size(outcome: Row | Kept | Failure) -> int:
    """Return the bytes of memory that an outcome holds."""
    return outcome.nbytes if isinstance(outcome, Row) else 0


class _Memory:
    """Pauses requests while too much is on its way or waits to be written.

    Requests are paused in their order, and one goes ahead when nothing else is under way: the
    row group that is to be written first waits for that one, so memory always comes back.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._under_way = 0
        # Bytes of a light curve, as they come in. At first the largest are expected, as otherwise
        # all requests would be under way before anything is known.
        self._typical = float(_LARGEST)
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    async def enter(self) -> None:
        """Wait until there is room for one more."""
        if self._turn.locked() or not self._has_room():
            async with self._turn:
                while not self._has_room():
                    self._changed.clear()
                    await self._changed.wait()
        self._under_way += 1

    def leave(self) -> None:
        """Be under way no more."""
        self._under_way -= 1
        self._changed.set()

    def take(self, size: int) -> None:
        """Count a light curve that has come in."""
        self._taken += size
        self._typical += (size - self._typical) / 16

    def give_back(self, size: int) -> None:
        """Count what has been written."""
        self._taken -= size
        self._changed.set()

    def _has_room(self) -> bool:
        expected = self._taken + self._under_way * self._typical
        return not self._under_way or expected <= self._size
