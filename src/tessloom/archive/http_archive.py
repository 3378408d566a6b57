"""An open archive over HTTP: each file from the first of its mirrors that gives it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from tessloom.archive.holdings import Holdings
from tessloom.archive.http_lists import LAST_PLAUSIBLE_SECTOR, HttpLists
from tessloom.archive.open_mirror import MirrorDownError
from tessloom.archive.outage import wait_for_one_of
from tessloom.archive.script import ScriptReader
from tessloom.archive.sectors import unknown_sector
from tessloom.errors import FileMissingError, FileUnavailableError, NotFitsError, TargetError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from tessloom.archive.findings import Findings
    from tessloom.archive.open_mirror import OpenMirror
    from tessloom.archive.retry_policy import RetryPolicy
    from tessloom.archive.script import FileNames
    from tessloom.pipelines import Pipeline

T = TypeVar("T")


class HttpArchive:
    """An open archive.

    Parameters
    ----------
    files, lists
        The mirrors for light curves, with the most requests that all workers may have under way
        there, and those for scripts and lists; in the order of asking.
    """

    def __init__(
        self,
        name: str,
        files: Mapping[OpenMirror, int],
        lists: Sequence[OpenMirror],
        policy: RetryPolicy,
    ) -> None:
        self._name = name
        self._limits = files
        self._lists = HttpLists(name, lists, policy)
        self._addresses = [mirror.mirror.address for mirror in (*files, *lists)]
        self._policy = policy
        self._given = False  # whether any light curve has come
        self._holdings = {mirror: Holdings(mirror) for mirror in files}
        self.share(1)

    def share(self, workers: int) -> None:
        """Leave their part of the connections to so many workers, this one included.

        A mirror that has not one for each is left to nobody, so that all workers ask the same.
        """
        shares = {mirror: limit // workers for mirror, limit in self._limits.items()}
        self._files = [mirror for mirror, share in shares.items() if share]
        for mirror in self._files:
            mirror.window.limit(shares[mirror])
            # The last one has the last word on each file.
            self._holdings[mirror].last = mirror is self._files[-1]

    @property
    def at_a_time(self) -> int:
        """How many light curves are worth asking for at a time."""
        return sum(mirror.window.most for mirror in self._files)

    def health(self) -> list[dict[str, Any]]:
        """Return how each mirror is: for logs."""
        return [mirror.health() for mirror in self._files]

    async def fetch(self, path: str, accept: Callable[[bytes], T]) -> T:
        """Return what `accept` makes of the light curve at `path`."""
        path = self._relative(path)
        mirrors = await self._holding(path)
        answers: dict[OpenMirror, TargetError] = {}
        while True:
            faults: dict[OpenMirror, FileUnavailableError] = {}
            for mirror in _in_turn(mirrors):
                if mirror in answers:
                    continue
                try:
                    # One that rests already has none before it that might do.
                    result = await mirror.fetch(
                        mirror.address_of(path), accept, patient=not mirror.available
                    )
                except FileUnavailableError as error:
                    faults[mirror] = error
                except TargetError as error:
                    self._holdings[mirror].count(path, error)
                    if await self._is_down(mirror, error):
                        faults[mirror] = MirrorDownError(str(error))
                    else:
                        answers[mirror] = error
                else:
                    self._holdings[mirror].count(path, None)
                    self._note_given()
                    return result
            if (verdict := _verdict(mirrors, answers)) is not None:
                raise verdict
            await self._check_worth_asking_again(mirrors, answers, faults)

    def _note_given(self) -> None:
        if not self._given:
            self._given = True
            for mirror in self._files:
                mirror.trust()

    async def _is_down(self, mirror: OpenMirror, error: TargetError) -> bool:
        """Return whether a web page is that of a maintenance: nobody has given anything yet."""
        return (
            isinstance(error, NotFitsError)
            and not self._given
            and await mirror.gives_only_pages(error)
        )

    async def _check_worth_asking_again(
        self,
        mirrors: Sequence[OpenMirror],
        answers: Mapping[OpenMirror, TargetError],
        faults: Mapping[OpenMirror, FileUnavailableError],
    ) -> None:
        """Return when it is time to ask those that have not answered; raise if it is no use."""
        down = [m.outage for m in mirrors if m.outage.down and m not in answers]
        if down:
            await wait_for_one_of(down, self._policy.give_up_after)
            return
        for error in faults.values():
            if not isinstance(error, MirrorDownError):
                raise error

    # A light curve is small, and whether a mirror serves parts of one is not known.
    fetch_header = fetch

    def _relative(self, path: str) -> str:
        """Return the path below a mirror's address, where it is a whole address of one."""
        for address in self._addresses:
            path = path.removeprefix(address)
        return path

    async def _holding(self, path: str) -> Sequence[OpenMirror]:
        """Return the mirrors that may hold the light curve at `path`."""
        if "://" in path:  # it is elsewhere altogether
            return self._files[-1:]
        holding = [mirror for mirror in self._files if await self._holdings[mirror].may_hold(path)]
        return holding or self._files

    async def sectors(self, pipeline: Pipeline) -> list[int]:
        """Return the sectors of which there is a download script, or light curves in a bucket."""
        bucket_alone = all(mirror.mirror.bucket for mirror in self._files)
        if not bucket_alone:
            return sorted(await self._lists.scripts(pipeline))
        found: set[int] = set()
        for mirror in self._files:
            if mirror.mirror.bucket:
                directory = f"{pipeline.hlsp}/"
                found.update(await mirror.mirror.bucket.sectors(directory, mirror.read))
        return sorted(number for number in found if number <= LAST_PLAUSIBLE_SECTOR)

    async def file_names(
        self, pipeline: Pipeline, sector: int, findings: Findings, limit: int | None
    ) -> tuple[FileNames, Sequence[str | None]]:
        """Read the download script."""
        await self._check_sector(pipeline, sector)
        reader = ScriptReader(pipeline, sector, findings, limit)
        async with aclosing(self.script(pipeline, sector)) as pieces:
            async for piece in pieces:
                reader.feed(piece)
                if reader.full:
                    break
        return reader.close(), ()

    async def _check_sector(self, pipeline: Pipeline, sector: int) -> None:
        """Check that some mirror may hold light curves of the sector."""
        path = f"{pipeline.hlsp}/s{sector:04d}/"
        # The last ones mostly have no listing, and then there is nothing to ask.
        for mirror in reversed(self._files):
            if await self._holdings[mirror].may_hold(path):
                return
        known = await self.sectors(pipeline)
        raise unknown_sector(f"the archive {self._name}", pipeline, sector, known)

    def script(self, pipeline: Pipeline, sector: int) -> AsyncGenerator[bytes]:
        """Yield the download script in pieces."""
        return self._lists.script(pipeline, sector)

    def target_list(self, pipeline: Pipeline, sector: int) -> AsyncGenerator[bytes]:
        """Yield the target list in pieces."""
        return self._lists.target_list(pipeline, sector)


def _verdict(
    mirrors: Sequence[OpenMirror], answers: Mapping[OpenMirror, TargetError]
) -> TargetError | None:
    """Return why a file can't be had; None while a mirror that did not answer may have it."""
    if len(answers) < len(mirrors) and not any(mirror.mirror.whole for mirror in answers):
        return None
    errors = [answers[mirror] for mirror in mirrors if mirror in answers]
    # A missing file may be answered by a web page.
    bad = [e for e in errors if not isinstance(e, FileMissingError | NotFitsError)]
    missing = [e for e in errors if isinstance(e, FileMissingError)]
    return (bad or missing or errors)[-1]


def _in_turn(mirrors: Sequence[OpenMirror]) -> list[OpenMirror]:
    """Return the mirrors in the order of asking: those that rest last, none that are down."""
    up = [mirror for mirror in mirrors if not mirror.outage.down]
    return sorted(up, key=lambda mirror: not mirror.available)
