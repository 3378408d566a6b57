"""What a mirror holds: it is not asked a million times for a sector that it lacks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tessloom.errors import ArchiveError, FileMissingError

if TYPE_CHECKING:
    from tessloom.archive.open_mirror import OpenMirror
    from tessloom.errors import TargetError

# A mirror that lacked so many files of a sector, and had none, does not hold the sector.
MISSES = 32


@dataclass
class _Sector:
    """What is known of one (pipeline, sector); `held` is None as long as nothing is."""

    held: bool | None = None
    misses: int = 0
    asked: bool = False
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class Holdings:
    """Which sectors one mirror holds, learnt from its bucket's listing or from its answers.

    Attributes
    ----------
    last
        Whether no other mirror is asked after it. Then it is asked for each file.
    """

    def __init__(self, mirror: OpenMirror) -> None:
        self._mirror = mirror
        self.last = False
        self._sectors: dict[str, _Sector] = {}

    async def may_hold(self, path: str) -> bool:
        """Return whether the mirror may have the light curve at `path`."""
        directory = _sector_directory(path)
        sector = self._sectors.get(directory)
        if sector is None:
            # Without a listing there is nothing to ask.
            asked = self._mirror.mirror.bucket is None
            sector = self._sectors[directory] = _Sector(asked=asked)
        # While the mirror rests, others are asked first: they need not wait for this.
        if not sector.asked and self._mirror.available:
            # Requests that start together share one question.
            async with sector.asking:
                if not sector.asked:
                    sector.held = await self._ask(directory)
                    sector.asked = True
        return sector.held is not False

    def count(self, path: str, error: TargetError | None) -> None:
        """Learn from an answer to a request for `path`."""
        sector = self._sectors.get(_sector_directory(path))
        if sector is None or sector.held is not None:
            return
        if error is None:
            sector.held = True
        elif isinstance(error, FileMissingError) and not self.last:
            sector.misses += 1
            sector.held = False if sector.misses >= MISSES else None

    async def _ask(self, directory: str) -> bool | None:
        bucket = self._mirror.mirror.bucket
        if bucket is None:
            return None
        try:
            return await bucket.holds(directory, self._mirror.read_once)
        except ArchiveError:
            return None  # then the files themselves tell


def _sector_directory(path: str) -> str:
    """Return the first two directories of a path: pipeline and sector."""
    collection, _, rest = path.partition("/")
    return f"{collection}/{rest.partition('/')[0]}/"
