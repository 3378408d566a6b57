"""Scripts, target lists and the index of scripts, from the first mirror that gives them."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from typing import TYPE_CHECKING

from tessloom.archive.open_mirror import LARGEST_PAGE, MirrorDownError
from tessloom.archive.outage import Outage, wait_for_one_of
from tessloom.archive.sectors import unknown_sector
from tessloom.errors import ArchiveError, FileMissingError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from tessloom.archive.open_mirror import OpenMirror
    from tessloom.archive.retry_policy import RetryPolicy
    from tessloom.pipelines import Pipeline

# Numbers above are scripts over several sectors, not sectors.
LAST_PLAUSIBLE_SECTOR = 200
_SCRIPT_LINK = re.compile(r"""href=["']?(?:[^"'>]*/)?([^"'>/]*_s(\d{4})_[^"'>/]*\.sh)["'>]""")


class _WebPageError(FileMissingError):
    """A web page was sent in place of a list, which may pass."""


class HttpLists:
    """What the archive says that it has.

    Parameters
    ----------
    name
        What errors call the archive.
    mirrors
        In the order of asking.
    """

    def __init__(self, name: str, mirrors: Sequence[OpenMirror], policy: RetryPolicy) -> None:
        self._name = name
        self._mirrors = mirrors
        self._policy = policy

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
                raise ArchiveError(f"{path} is in the index but can't be read: {error}") from error
        async with aclosing(pieces):
            yield first
            async for piece in pieces:
                yield piece

    async def target_list(self, pipeline: Pipeline, sector: int) -> AsyncGenerator[bytes]:
        """Yield the target list in pieces."""
        async with aclosing(self._text(pipeline.target_list.format(sector=sector))) as pieces:
            async for piece in pieces:
                yield piece

    async def scripts(self, pipeline: Pipeline) -> dict[int, str]:
        """Return the names of the scripts by sector, as the index page has them."""
        links = await self._links(pipeline.script_directory)
        # Sorted, so that of several versions of a script the newest is taken.
        return {
            int(sector): name
            for name, sector in sorted(links)
            if int(sector) <= LAST_PLAUSIBLE_SECTOR
        }

    async def _find_script(self, pipeline: Pipeline, sector: int) -> str:
        scripts = await self.scripts(pipeline)
        if sector not in scripts:
            raise unknown_sector(f"the archive {self._name}", pipeline, sector, sorted(scripts))
        return pipeline.script_directory + scripts[sector]

    async def _links(self, path: str) -> list[tuple[str, str]]:
        for attempt in range(1, self._policy.bad_bodies + 1):
            page = await self._index(path)
            if links := _SCRIPT_LINK.findall(page.decode("utf-8", "replace")):
                return links
            await asyncio.sleep(self._policy.seconds(attempt))
        raise ArchiveError(
            f"the index {path} of the archive {self._name} names no script: is it down for "
            "maintenance, or is its address another one?"
        )

    async def _index(self, path: str) -> bytes:
        page = b""
        try:
            async with aclosing(self._text(path, page=True)) as pieces:
                async for piece in pieces:
                    page += piece
                    if len(page) > LARGEST_PAGE:
                        raise ArchiveError(
                            f"the index {path} of the archive {self._name} has more than "
                            f"{LARGEST_PAGE} bytes: that is no index page"
                        )
        except FileMissingError as error:
            raise ArchiveError(
                f"the archive {self._name} has no index of scripts: {error}"
            ) from error
        return page

    async def _text(self, path: str, *, page: bool = False) -> AsyncGenerator[bytes]:
        """Yield a script, list or web page, from the first mirror that has it and is up.

        Parameters
        ----------
        page
            Whether it is a web page. Else one that is sent in its place means that there is none.

        Raises
        ------
        FileMissingError
            All say that there is none.
        ArchiveError
            None can be read, or all have been down for too long.
        """
        rounds = 1
        while True:
            failures: list[FileMissingError | ArchiveError] = []
            down: list[Outage] = []
            for mirror in self._mirrors:
                body = mirror.stream(mirror.address_of(path), lines=not page)
                async with aclosing(body) as pieces:
                    try:
                        first = await anext(pieces, b"")
                        if not page:
                            _check_no_page(path, first)
                    except MirrorDownError:
                        down.append(mirror.outage)
                        continue
                    except (FileMissingError, ArchiveError) as error:
                        failures.append(error)
                        continue
                    yield first
                    async for piece in pieces:
                        yield piece
                    return
            if down:
                await wait_for_one_of(down, self._policy.give_up_after)
            elif rounds < self._policy.bad_bodies and _WebPageError in map(type, failures):
                await asyncio.sleep(self._policy.seconds(rounds))
                rounds += 1
            else:
                raise next((e for e in failures if isinstance(e, ArchiveError)), failures[-1])


def _check_no_page(path: str, beginning: bytes) -> None:
    if beginning.lstrip()[:1] == b"<":
        raise _WebPageError(f"a web page was sent in place of {path}")
