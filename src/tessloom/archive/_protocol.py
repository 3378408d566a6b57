"""What the rest of tessloom needs of an archive, however its files are had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from tessloom.archive.findings import Findings
    from tessloom.archive.script import FileNames
    from tessloom.pipelines import Pipeline

T = TypeVar("T")


class Archive(Protocol):
    """An open archive."""

    @property
    def at_a_time(self) -> int:
        """How many light curves are worth asking for at a time."""

    def health(self) -> list[dict[str, Any]]:
        """Return how each of its mirrors is, for logs: name, window, latency, counts."""

    async def sectors(self, pipeline: Pipeline) -> list[int]:
        """Return the sectors that exist, sorted."""

    async def file_names(
        self, pipeline: Pipeline, sector: int, findings: Findings, limit: int | None
    ) -> tuple[FileNames, Sequence[str | None]]:
        """Return the light curves of a sector, or the first `limit` of them, each once.

        The second value holds the paths of those that are not where the archive has them by its
        rule (`Pipeline.light_curve_path`), and None for the others; it is empty if there are none.

        Raises
        ------
        UnknownSectorError
            There is no such sector; the message says which there are.
        """

    def script(self, pipeline: Pipeline, sector: int) -> AsyncGenerator[bytes]:
        """Yield the download script in pieces.

        Raises
        ------
        UnknownSectorError
            There is no such sector; the message says which there are.
        ArchiveError
            There is the sector but no script.
        """

    def target_list(self, pipeline: Pipeline, sector: int) -> AsyncGenerator[bytes]:
        """Yield the target list in pieces.

        Raises
        ------
        FileMissingError
            There is none.
        """

    async def fetch(self, path: str, accept: Callable[[bytes], T]) -> T:
        """Return what `accept` makes of the light curve at `path`.

        Parameters
        ----------
        path
            Relative to `ArchiveAddress.files`.

        Raises
        ------
        TargetError
            It can't be had, or `accept` refused it.
        """

    async def fetch_header(self, path: str, accept: Callable[[bytes], T]) -> T:
        """Return what `accept` makes of at least the primary header of the light curve."""


class ArchiveAddress(Protocol):
    """Where an archive is: a small value that can be sent to a worker.

    Attributes
    ----------
    name
        What reports and ``hats.properties`` call it.
    files, lists
        Addresses or folders, ending in a slash, to which the relative paths of light curves and of
        scripts and target lists are appended.
    lists_may_change
        Whether a sector's listing must be read anew at every build: a folder changes under our
        hands, and reading it is cheap.
    most_workers
        How many are of use: each wants some connections of its own.
    """

    @property
    def name(self) -> str: ...
    @property
    def files(self) -> str: ...
    @property
    def lists(self) -> str: ...
    @property
    def lists_may_change(self) -> bool: ...
    @property
    def most_workers(self) -> int: ...

    def open(
        self, workers: int = 1, say: Callable[[str], None] = ...
    ) -> AbstractAsyncContextManager[Archive]:
        """Open the archive.

        Parameters
        ----------
        workers
            How many open it and share its connections.
        say
            Called with what a person should know while the archive is in use: that a mirror is
            down, and that it is up again.

        Raises
        ------
        RequestError
            It has not enough connections for so many workers.
        """
