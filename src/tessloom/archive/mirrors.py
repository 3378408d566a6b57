"""The archive over HTTP: which addresses a relative path has, and which sectors exist."""

from __future__ import annotations

import re
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from yarl import URL

from tessloom.archive.client import Client, Retry
from tessloom.archive.script import ScriptReader
from tessloom.archive.sectors import unknown_sector
from tessloom.errors import ArchiveError, FileMissingError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

    from tessloom.archive.findings import Findings
    from tessloom.archive.script import FileNames
    from tessloom.pipelines import Pipeline

T = TypeVar("T")

STATIC = "https://archive.stsci.edu/hlsps/"
S3 = "https://stpubdata.s3.amazonaws.com/mast/hlsp/"
# Numbers above are scripts over several sectors, not sectors.
LAST_PLAUSIBLE_SECTOR = 200
# The archive's own: a redirect from one to another is followed.
_ARCHIVE_HOSTS = frozenset({"archive.stsci.edu", "mast.stsci.edu", "stpubdata.s3.amazonaws.com"})
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_SCRIPT_LINK = re.compile(r"""href=["']?(?:[^"'>]*/)?([^"'>/]*_s(\d{4})_[^"'>/]*\.sh)["'>]""")


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """One set of addresses of the archive.

    Attributes
    ----------
    files, lists
        Addresses, ending in a slash, to which the relative paths of light curves and of scripts
        and target lists are appended.
    """

    name: str
    files: str
    lists: str
    connections: int = 64
    retry: Retry = field(default_factory=Retry)

    lists_may_change = False

    @asynccontextmanager
    async def open(self, connections: int) -> AsyncIterator[HttpArchive]:
        """Open the mirror for one worker."""
        # A proxy can't reach this machine's loopback, where tessloom's own server is.
        proxies = URL(self.files).host not in _LOOPBACK
        named = {str(URL(self.files).host), str(URL(self.lists).host)}
        hosts = _ARCHIVE_HOSTS | named - _LOOPBACK
        async with Client(connections, self.retry, proxies=proxies, hosts=hosts) as client:
            yield HttpArchive(self, client)


# The static archive took 32 to 128 connections without an error (facts: 249 files/s); S3 is
# made for more, but is not known to have the scripts and lists.
MIRRORS = {
    "mast": Mirror(name="mast", files=STATIC, lists=STATIC),
    "s3": Mirror(name="s3", files=S3, lists=STATIC, connections=128),
}


class HttpArchive:
    """An open mirror."""

    def __init__(self, mirror: Mirror, client: Client) -> None:
        self._mirror = mirror
        self._client = client

    async def sectors(self, pipeline: Pipeline) -> list[int]:
        """Return the sectors of which there is a download script."""
        return sorted(await self._scripts(pipeline))

    async def file_names(
        self, pipeline: Pipeline, sector: int, findings: Findings, limit: int | None
    ) -> tuple[FileNames, Sequence[str | None]]:
        """Read the download script."""
        reader = ScriptReader(pipeline, sector, findings, limit)
        async with aclosing(self.script(pipeline, sector)) as pieces:
            async for piece in pieces:
                reader.feed(piece)
                if reader.full:
                    break
        return reader.close(), ()

    async def script(self, pipeline: Pipeline, sector: int) -> AsyncGenerator[bytes]:
        """Yield the script in pieces; where it is not under its usual name, look for it."""
        pieces = self._text(pipeline.script.format(sector=sector))
        try:
            first = await anext(pieces, b"")
        except FileMissingError:
            path = await self._find_script(pipeline, sector)
            pieces = self._text(path)
            try:
                first = await anext(pieces, b"")
            except FileMissingError as error:
                raise ArchiveError(
                    f"{self._lists(path)} is in the index but can't be read: {error}"
                ) from error
        async with aclosing(pieces):
            yield first
            async for piece in pieces:
                yield piece

    async def target_list(self, pipeline: Pipeline, sector: int) -> AsyncGenerator[bytes]:
        """Yield the target list in pieces."""
        path = pipeline.target_list.format(sector=sector)
        async with aclosing(self._text(path)) as pieces:
            async for piece in pieces:
                yield piece

    async def fetch(self, path: str, accept: Callable[[bytes], T]) -> T:
        """Return what `accept` makes of the light curve at `path`."""
        address = path if "://" in path else self._mirror.files + path
        return await self._client.fetch(address, accept)

    # A light curve is small, and whether a mirror serves parts of one is not known.
    fetch_header = fetch

    async def _find_script(self, pipeline: Pipeline, sector: int) -> str:
        scripts = await self._scripts(pipeline)
        if sector not in scripts:
            archive = f"the archive {self._mirror.name}"
            raise unknown_sector(archive, pipeline, sector, sorted(scripts))
        return pipeline.script_directory + scripts[sector]

    async def _scripts(self, pipeline: Pipeline) -> dict[int, str]:
        page = b""
        async with aclosing(self._client.stream(self._lists(pipeline.script_directory))) as pieces:
            async for piece in pieces:
                page += piece
        links = _SCRIPT_LINK.findall(page.decode("utf-8", "replace"))
        # Sorted, so that of several versions of a script the newest is taken.
        return {
            int(sector): name
            for name, sector in sorted(links)
            if int(sector) <= LAST_PLAUSIBLE_SECTOR
        }

    async def _text(self, path: str) -> AsyncGenerator[bytes]:
        """Yield a script or list; a web page sent in its place means that there is none."""
        first = True
        async with aclosing(self._client.stream(self._lists(path))) as pieces:
            async for piece in pieces:
                if first and piece.lstrip()[:1] == b"<":
                    raise FileMissingError(f"a web page was sent in place of {path}")
                first = False
                yield piece

    def _lists(self, path: str) -> str:
        return self._mirror.lists + path
