"""Asynchronous requests to an archive: retries, one pause for all, verified bodies."""

from __future__ import annotations

import asyncio
import email.utils
import random
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

import aiohttp
from yarl import URL

from tessloom._version import __version__
from tessloom.errors import (
    ArchiveError,
    FileMissingError,
    FileUnavailableError,
    NotFitsError,
    TargetError,
    TruncatedFitsError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
    from types import TracebackType

T = TypeVar("T")

USER_AGENT = f"tessloom/{__version__} (https://pypi.org/project/tessloom)"
_PIECE = 1 << 18
_PARTIAL = 206
_MISSING = frozenset({404, 410})
# Answers that are worth another try: timeouts, "too many requests", and a server in trouble.
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How often and when a request is repeated.

    Attributes
    ----------
    attempts
        Requests for one file, the first included.
    bad_bodies
        The same, where the server answers but what it sends is no whole light curve. A missing
        file may be answered by a web page with status 200, so this is lower.
    wait, longest_wait
        Seconds before the first repetition, doubled for each further one up to the longest;
        each wait is shortened by a random part of it, up to half.
    longest_retry_after
        Most seconds that a server's ``Retry-After``, which replaces the wait, is believed.
    give_up_after
        So many files in a row that could not be had for the archive's fault end the build:
        then it is the archive that fails, and every further file would be lost too.
    """

    attempts: int = 6
    bad_bodies: int = 3
    wait: float = 0.5
    longest_wait: float = 60.0
    longest_retry_after: float = 600.0
    give_up_after: int = 30

    def seconds(self, attempt: int) -> float:
        """Return the seconds to wait after the failed attempt number `attempt`, from 1."""
        longest: float = min(self.longest_wait, self.wait * 2.0 ** (attempt - 1))
        return longest * (1 - random.random() / 2)  # noqa: S311


class _Transient(Exception):  # noqa: N818
    """A failure that another attempt may mend.

    Attributes
    ----------
    wait
        Seconds that the server asked for.
    attempts
        After how many attempts to leave off, where it is not `Retry.attempts`.
    answer
        What to raise in the end where the archive did answer, but with a bad body.
    """

    def __init__(
        self,
        message: str,
        *,
        wait: float | None = None,
        attempts: int | None = None,
        answer: TargetError | None = None,
    ) -> None:
        super().__init__(message)
        self.wait = wait
        self.attempts = attempts
        self.answer = answer


class Client:
    """One session with an archive, for the whole life of a worker.

    Parameters
    ----------
    connections
        Most connections open at a time.
    proxies
        Whether the environment's proxies (``HTTPS_PROXY`` and so on) are used.
    hosts
        Hosts, besides the one that is asked, to which a redirect may lead. None may lead from
        https to http.
    """

    def __init__(
        self,
        connections: int,
        retry: Retry,
        *,
        proxies: bool,
        hosts: frozenset[str] = frozenset(),
    ) -> None:
        self._retry = retry
        self._hosts = hosts
        self._resume_at = 0.0
        self._failed_in_a_row = 0
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=60),
            # No limit on the whole: a script may take many minutes. Silence is what ends it.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60),
            trust_env=proxies,
            # Content-Length must be the length of the file.
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def fetch(self, address: str, accept: Callable[[bytes], T]) -> T:
        """Return what `accept` makes of the body at `address`.

        `accept` raises `FitsError` for a body that is no whole light curve. If it was cut off or
        is something else altogether, the file is asked for again.

        Raises
        ------
        FileMissingError, FileUnavailableError, FitsError
            This file can't be had.
        ArchiveError
            Nor could the last many.
        """

        async def get() -> T:
            async with self._get(address) as response:
                _check_status(response)
                body = await response.read()
            try:
                return accept(body)
            except (NotFitsError, TruncatedFitsError) as error:
                raise _Transient(
                    str(error), attempts=self._retry.bad_bodies, answer=error
                ) from error

        try:
            result = await self._persist(get)
        except TargetError:
            self._failed_in_a_row = 0
            raise
        except _Transient as failure:
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= self._retry.give_up_after:
                raise ArchiveError(
                    f"the archive failed for {self._failed_in_a_row} files in a row, last with: "
                    f"{failure} ({address}). Run the same command again later to continue"
                ) from failure
            raise FileUnavailableError(str(failure)) from failure
        self._failed_in_a_row = 0
        return result

    async def stream(self, address: str) -> AsyncGenerator[bytes]:
        """Yield the body at `address` in pieces; a broken connection is taken up where it broke.

        Raises
        ------
        FileMissingError
            There is nothing at this address.
        ArchiveError
            It can't be read to its end.
        """
        done = 0
        length: int | None = None
        attempt = 0
        while True:
            await self._pause()
            headers = {"Range": f"bytes={done}-"} if done else {}
            failure: Exception
            try:
                async with self._get(address, headers) as response:
                    _check_status(response)
                    start = done if response.status == _PARTIAL else 0
                    if length is None and response.content_length is not None:
                        length = start + response.content_length
                    skip = done - start
                    async for piece in response.content.iter_chunked(_PIECE):
                        if new := piece[skip:]:
                            done += len(new)
                            attempt = 0
                            yield new
                        skip = max(0, skip - len(piece))
                if length is None or done >= length:
                    return
                failure = _Transient(f"the body ended after {done} of {length} bytes")
            except FileMissingError as error:
                raise FileMissingError(f"{address}: {error}") from error
            except _FAULTS as error:
                failure = error
            attempt += 1
            if not await self._wait(attempt, failure):
                raise ArchiveError(_unreachable(address, failure)) from failure

    @asynccontextmanager
    async def _get(
        self, address: str, headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Ask for an address, and go where redirects may lead."""
        url = URL(address, encoded=True)
        for _ in range(1 + _MOST_REDIRECTS):
            async with self._session.get(url, headers=headers, allow_redirects=False) as response:
                target = response.headers.get("Location")
                if response.status not in _REDIRECTS or target is None:
                    yield response
                    return
            url = self._redirected(url, target)
        raise _Transient(f"redirected more than {_MOST_REDIRECTS} times", attempts=1)

    def _redirected(self, url: URL, target: str) -> URL:
        try:
            further = url.join(URL(target, encoded=True))
        except ValueError as error:
            raise _Transient(f"redirected to {target!r}: {error}", attempts=1) from error
        same = further.host == url.host and further.port == url.port
        safe = further.scheme == "https" or (further.scheme, url.scheme) == ("http", "http")
        if not safe or not (same or further.host in self._hosts):
            raise _Transient(
                f"redirected to {further.origin()}, where tessloom does not follow: only on https, "
                "and to the archive's own hosts",
                attempts=1,
            )
        return further

    async def _persist(self, get: Callable[[], Awaitable[T]]) -> T:
        """Call `get` until it returns; raise its last failure if it never does."""
        attempt = 0
        while True:
            await self._pause()
            try:
                return await get()
            except FileMissingError:
                raise
            except _FAULTS as error:
                failure = error if isinstance(error, _Transient) else _Transient(_describe(error))
            attempt += 1
            if not await self._wait(attempt, failure):
                raise failure.answer or failure

    async def _wait(self, attempt: int, failure: Exception) -> bool:
        """Wait before another attempt; return False if there should be none."""
        asked, attempts = None, None
        if isinstance(failure, _Transient):
            asked, attempts = failure.wait, failure.attempts
        if attempt >= (attempts or self._retry.attempts):
            return False
        if asked is not None:
            # The server speaks for itself, not for one file: every request waits.
            seconds = min(asked, self._retry.longest_retry_after)
            self._resume_at = max(self._resume_at, time.monotonic() + seconds)
        else:
            await asyncio.sleep(self._retry.seconds(attempt))
        return True

    async def _pause(self) -> None:
        # Not an event: a time, which another answer may have moved on while this one slept.
        while (seconds := self._resume_at - time.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(seconds)


# What a request may fail with, for reasons that may pass.
_FAULTS = (aiohttp.ClientError, OSError, _Transient)  # TimeoutError is an OSError


def _check_status(response: aiohttp.ClientResponse) -> None:
    if response.status in (200, _PARTIAL):
        return
    if response.status in _MISSING:
        raise FileMissingError(f"the archive has no such file (HTTP {response.status})")
    message = f"HTTP {response.status} {response.reason}"
    if response.status in _TRANSIENT:
        raise _Transient(message, wait=_retry_after(response.headers.get("Retry-After")))
    raise _Transient(message, attempts=1)


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a ``Retry-After`` header, which holds a number or a date."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _unreachable(address: str, error: BaseException) -> str:
    return (
        f"can't read {address}: {_describe(error)}. Check the address and the connection; "
        "--archive demo works without a network"
    )
