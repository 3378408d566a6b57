"""The log: one line of JSON for each partition, each failure, and each mirror each minute."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

from tessloom._version import __version__
from tessloom.dataset.layout import cannot_write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from tessloom.building.partition import Result
    from tessloom.building.report import Report
    from tessloom.dataset.receipt import Failure
    from tessloom.pipelines import Pipeline

_HEALTH_EVERY = 60.0


class Log:
    """Events as lines of a file; several processes may write to the same one."""

    def __init__(
        self, logger: FilteringBoundLogger | None = None, path: Path | None = None
    ) -> None:
        self._logger = logger
        self._path = path

    def started(self, **what: Any) -> None:
        """Log that a build begins."""
        self._write("started", version=__version__, **what)

    def finished(self, report: Report) -> None:
        """Log what a build has done."""
        summary = report.to_dict()
        summary["sectors"] = [_without_failures(sector) for sector in summary["sectors"]]
        self._write("finished", **summary)

    def stopped(self, error: BaseException) -> None:
        """Log what has ended a build early."""
        self._write("stopped", error=type(error).__name__, detail=str(error))

    def partition(self, result: Result) -> None:
        """Log a partition that is done, and each of its failures."""
        receipt = result.receipt
        place = {"pipeline": receipt.pipeline, "sector": receipt.sector, "pixel": receipt.pixel}
        for failure in receipt.failures:
            self._write("failure", **place, **failure.__dict__)
        self._write(
            "partition",
            **place,
            asked=receipt.asked,
            written=receipt.written,
            failed=len(receipt.failures),
            lost=result.lost,
        )

    def unplaced(self, pipeline: Pipeline, sector: int, failures: Iterable[Failure]) -> None:
        """Log the failures of targets that are in no partition."""
        for failure in failures:
            place = {"pipeline": pipeline.name, "sector": sector, "pixel": None}
            self._write("failure", **place, **failure.__dict__)

    def archive(self, text: str) -> None:
        """Log what a person was told of the archive."""
        self._write("archive", text=text)

    @contextlib.asynccontextmanager
    async def each_minute(self, health: Callable[[], list[dict[str, Any]]]) -> AsyncIterator[None]:
        """Log how the mirrors are each minute, and once in the end."""
        task = asyncio.create_task(self._watch(health))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            self._mirrors(health)

    async def _watch(self, health: Callable[[], list[dict[str, Any]]]) -> None:
        while True:
            await asyncio.sleep(_HEALTH_EVERY)
            self._mirrors(health)

    def _mirrors(self, health: Callable[[], list[dict[str, Any]]]) -> None:
        for mirror in health():
            self._write("mirror", **mirror)

    def _write(self, event: str, **values: Any) -> None:
        if self._logger is None or self._path is None:
            return
        try:
            self._logger.info(event, process=os.getpid(), **values)
        except OSError as error:
            raise cannot_write(self._path, error) from error


@contextlib.contextmanager
def open_log(path: Path | None) -> Iterator[Log]:
    """Open a log to go on with; without a path, one that keeps nothing.

    Raises
    ------
    DatasetError
        The disk does not take it.
    """
    if path is None:
        yield Log()
        return
    import structlog  # noqa: PLC0415 - most builds keep no log

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A line is written at once: lines of several processes don't run into one another.
        file = path.open("ab", buffering=0)
    except OSError as error:
        raise cannot_write(path, error) from error
    with file:
        yield Log(
            structlog.wrap_logger(
                structlog.BytesLogger(file),
                processors=[
                    structlog.processors.TimeStamper(fmt="iso", utc=True),
                    structlog.processors.JSONRenderer(_json),
                ],
                wrapper_class=structlog.make_filtering_bound_logger(0),
            ),
            path,
        )


def _json(values: Any, **options: Any) -> bytes:
    return json.dumps(values, **options).encode()


def _without_failures(sector: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in sector.items() if name != "failures"}
