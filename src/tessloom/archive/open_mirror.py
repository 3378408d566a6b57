"""One mirror, open: its requests with their repetitions, its window and its outages."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self, TypeVar

from yarl import URL

from tessloom.archive.client import CONNECTION_ERRORS, Client, Fault, check_status
from tessloom.archive.outage import Outage, wait_for_one_of
from tessloom.archive.partial_body import PartialBody
from tessloom.archive.window import Window
from tessloom.errors import (
    ArchiveError,
    CorruptFitsError,
    FileMissingError,
    FileTimeoutError,
    FileUnavailableError,
    FitsError,
    NotFitsError,
    TruncatedFitsError,
    WrongTargetError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from types import TracebackType

    from tessloom.archive.mirrors import Mirror
    from tessloom.archive.retry_policy import RetryPolicy

T = TypeVar("T")

_PIECE = 1 << 18
# Of an index page or a page of a bucket's listing: the real ones have some 100,000 bytes.
LARGEST_PAGE = 4 * 2**20
_FITS = b"SIMPLE"
# Which bad bodies another download may mend.
_MENDABLE = (NotFitsError, TruncatedFitsError, CorruptFitsError, WrongTargetError)
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# Seconds: a mirror that wants so long a rest is passed over where there is another one, and so
# long a rest is told to whoever watches.
_LONG_REST = 5.0
_VERY_LONG_REST = 30.0


class MirrorDownError(FileUnavailableError):
    """The mirror is down: ask another one, or wait until it is up."""


class OpenMirror:
    """One mirror, open.

    Parameters
    ----------
    connections
        Most requests under way.
    hosts
        To which redirects may lead, beside the mirror's own.
    say
        Called with what a person at the terminal should know.

    Attributes
    ----------
    mirror
        What is open.
    window, outage
        How many requests it takes, and whether it takes any.
    """

    def __init__(
        self,
        mirror: Mirror,
        connections: int,
        policy: RetryPolicy,
        hosts: frozenset[str],
        say: Callable[[str], None],
    ) -> None:
        self.mirror = mirror
        self.window = Window(connections, policy)
        self.outage = Outage(mirror.name, policy, self._answers, say)
        self._policy = policy
        self._say = say
        # A proxy can't reach this machine's loopback, where tessloom's own server is.
        proxies = URL(mirror.address).host not in LOOPBACK
        self._client = Client(policy, proxies=proxies, hosts=hosts)
        self._resume_at = 0.0
        self._known: str | None = None  # the address that gave a light curve last
        self._suspected = False  # of sending web pages because it is down
        self._pages: deque[str] = deque(maxlen=policy.down_after)  # where a page came instead
        self._counts: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.outage.close()
        await self._client.__aexit__(kind, error, trace)

    @property
    def available(self) -> bool:
        """Whether a request would be sent soon."""
        return not self.outage.down and self._resume_at - time.monotonic() < _LONG_REST

    def health(self) -> dict[str, Any]:
        """Return how the mirror is: for logs."""
        latency = self.window.latency
        return {
            "mirror": self.mirror.name,
            "down": self.outage.down,
            "window": int(self.window.size),
            "under_way": self.window.under_way,
            "latency_ms": None if latency is None else round(1000 * latency, 1),
            **{name: self._counts[name] for name in ("answers", "bytes", "missing", "faults")},
        }

    def address_of(self, path: str) -> str:
        """Return where the mirror has a path; a whole address is returned as it is."""
        return path if "://" in path else self.mirror.address + path

    async def fetch(self, address: str, accept: Callable[[bytes], T], *, patient: bool = True) -> T:
        """Return what `accept` makes of the body at `address`.

        `accept` raises `FitsError` for a body that is no whole light curve. If it was cut off,
        garbled, or is something else altogether, the file is asked for again.

        Parameters
        ----------
        patient
            Whether a long rest is waited for, rather than taken for an outage.

        Raises
        ------
        MirrorDownError
            The mirror is down, which says nothing of the file.
        FileMissingError, FileUnavailableError, FitsError
            This file can't be had here.
        """
        faults = bad_bodies = 0
        while True:
            try:
                body = await self._get(address, patient=patient)
            except Fault as fault:
                faults += 1
                if fault.final or faults >= self._policy.attempts:
                    await self._check_up(fault)
                    raise _unavailable(fault) from fault
                # The other wait is every request's.
                if not fault.wait:
                    await asyncio.sleep(self._policy.seconds(faults))
                continue
            try:
                result = accept(body)
            except _MENDABLE as error:
                bad_bodies += 1
                if bad_bodies >= self._policy.bad_bodies:
                    if isinstance(error, NotFitsError):
                        self._pages.append(address)
                        await self._check_up(error)
                    raise
                await asyncio.sleep(self._policy.seconds(bad_bodies))
                continue
            self._known = address
            self._pages.clear()
            self.trust()
            return result

    async def read(self, address: str) -> bytes:
        """Return the body at `address`, a page: asked for again as often as a file.

        Raises
        ------
        ArchiveError
            It can't be had.
        """
        return await self._read(address, self._policy.attempts)

    async def read_once(self, address: str) -> bytes:
        """Return the body at `address`, a page that is not worth a second request."""
        return await self._read(address, 1)

    async def _read(self, address: str, attempts: int) -> bytes:
        page = b""
        try:
            async with aclosing(self.stream(address, attempts)) as pieces:
                async for piece in pieces:
                    page += piece
                    if len(page) > LARGEST_PAGE:
                        raise ArchiveError(f"{address} has more than {LARGEST_PAGE} bytes: no page")
        except (FileMissingError, MirrorDownError) as error:
            raise ArchiveError(_unreachable(address, error)) from error
        return page

    async def stream(
        self, address: str, attempts: int | None = None, *, lines: bool = False
    ) -> AsyncGenerator[bytes]:
        """Yield the body at `address` in pieces; a broken connection is taken up where it broke.

        Parameters
        ----------
        attempts
            Requests in a row that bring nothing; None: as the policy says.
        lines
            Whether it is a text of lines. Where the last one has no end, the rest is asked for: a
            body may be cut off and announced as whole.

        Raises
        ------
        FileMissingError
            There is nothing at this address.
        MirrorDownError
            The mirror answers that it is in trouble. Once the body has begun, it is waited for.
        ArchiveError
            It can't be read to its end.
        """
        attempts = attempts or self._policy.attempts
        body = PartialBody(lines=lines)
        faults = 0
        while not body.whole:
            try:
                async with aclosing(self._further_pieces(address, body)) as pieces:
                    async for piece in pieces:
                        faults = 0
                        yield piece
            except FileMissingError as error:
                if body.done:
                    raise ArchiveError(f"{address} has gone while it was read: {error}") from error
                raise FileMissingError(f"{address}: {error}") from error
            except MirrorDownError:
                if not body.done:
                    raise
                await wait_for_one_of([self.outage], self._policy.give_up_after)
            except Fault as fault:
                faults += 1
                if fault.final or faults >= attempts:
                    await self._check_worth_waiting(address, body, fault)
                    faults = 0
                elif not fault.wait:
                    await asyncio.sleep(self._policy.seconds(faults))

    async def _check_worth_waiting(self, address: str, body: PartialBody, fault: Fault) -> None:
        """Check that a body that has begun fails because the mirror is down."""
        # Where nobody listens from the start, the address may be wrong.
        if not fault.final and (body.done or fault.answered):
            try:
                await self._check_up(fault)
            except MirrorDownError:
                if not body.done:
                    raise
                return
        raise ArchiveError(_unreachable(address, fault)) from fault

    async def _further_pieces(self, address: str, body: PartialBody) -> AsyncGenerator[bytes]:
        await self._enter()
        started = time.monotonic()
        try:
            async with self._client.request(address, body.headers(), endless=True) as response:
                if body.has_no_rest(response):
                    self._have_answer(started)
                    return
                check_status(response)
                self._have_answer(started)
                skip = body.begin(response)
                async for piece in response.content.iter_chunked(_PIECE):
                    new = piece[skip:]
                    skip = max(0, skip - len(piece))
                    if new:
                        body.take(new)
                        yield new
            body.end()
        except FileMissingError:
            self._have_answer(started)
            raise
        except Fault as fault:
            self._have_fault(fault, started)
            raise
        except CONNECTION_ERRORS as error:
            broken = Fault.of(error)
            self._have_fault(broken, started)
            raise broken from error
        finally:
            self.window.leave()

    async def _get(self, address: str, *, patient: bool) -> bytes:
        """Send one request, when the window and the archive's wishes allow it."""
        await self._enter(patient=patient)
        started = time.monotonic()
        try:
            body = await self._client.get(address)
        except (FileMissingError, FitsError) as error:
            self._have_answer(started)
            self._counts["missing"] += isinstance(error, FileMissingError)
            raise
        except Fault as fault:
            self._have_fault(fault, started)
            raise
        finally:
            self.window.leave()
        self._have_answer(started)
        self._counts["bytes"] += len(body)
        return body

    async def _enter(self, *, patient: bool = True) -> None:
        await self.window.enter()
        try:
            if patient or self.available:
                await self._rest()
            self._check_available(patient=patient)
        except BaseException:
            self.window.leave()
            raise

    async def _rest(self) -> None:
        # Not an event: a time, which another answer may have moved on while this one slept.
        while (seconds := self._resume_at - time.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(seconds)

    def _check_available(self, *, patient: bool) -> None:
        if self.outage.down:
            raise MirrorDownError(f"{self.mirror.name} is down ({self.outage.why})")
        if not patient and not self.available:
            raise MirrorDownError(f"{self.mirror.name} asked for a rest")

    def _have_answer(self, started: float) -> None:
        self._counts["answers"] += 1
        self.window.answered(started)
        self.outage.answered()

    def _have_fault(self, fault: Fault, started: float) -> None:
        self._counts["faults"] += 1
        if fault.overload:
            self.window.refused(started)
        if fault.wait is not None:
            # The server speaks for itself, not for one file: every request waits.
            self._rest_for(min(fault.wait, self._policy.longest_retry_after), str(fault))
        self.outage.failed(str(fault))

    def _rest_for(self, seconds: float, why: str) -> None:
        now = time.monotonic()
        if seconds > _VERY_LONG_REST and self._resume_at <= now:
            self._say(f"{self.mirror.name} wants a rest of {seconds / 60:.1f} minutes ({why})")
        self._resume_at = max(self._resume_at, now + seconds)

    async def gives_only_pages(self, error: NotFitsError) -> bool:
        """Return whether many files were answered by web pages, none by a light curve, and are."""
        if self._known is not None or len(self._pages) < self._policy.down_after:
            return False
        self._suspected = True
        return await self.outage.is_down(str(error))

    def trust(self) -> None:
        """Learn that web pages are the mirror's way to say that it lacks files."""
        self._suspected = False

    async def _check_up(self, failure: Exception) -> None:
        """Check that it is one file that fails, rather than the mirror."""
        if await self.outage.is_down(str(failure)):
            raise MirrorDownError(f"{self.mirror.name} is down ({failure})") from failure

    async def _answers(self) -> bool:
        """Return whether the mirror gives what it has given before, or else anything at all."""
        await self.window.enter(first=True)
        try:
            await self._rest()
            # During maintenance every file may be answered by a web page.
            sought = random.choice(self._pages) if self._suspected else self._known  # noqa: S311
            async with self._client.request(sought or self.mirror.address) as response:
                check_status(response)
                return not sought or await response.content.readexactly(len(_FITS)) == _FITS
        except FileMissingError:
            return True
        except Fault as fault:
            return fault.final and not (self._known or self._suspected)
        except (asyncio.IncompleteReadError, *CONNECTION_ERRORS):
            return False
        finally:
            self.window.leave()


def _unavailable(fault: Fault) -> FileUnavailableError:
    return FileTimeoutError(str(fault)) if fault.timeout else FileUnavailableError(str(fault))


def _unreachable(address: str, error: BaseException) -> str:
    return (
        f"can't read {address}: {error}. Check the address and the connection; "
        "--archive demo works without a network"
    )
