"""One HTTP request at a time: what comes back is whole, missing, or a fault that may pass."""

from __future__ import annotations

import asyncio
import email.utils
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Self

import aiohttp
from yarl import URL

from tessloom._version import __version__
from tessloom.errors import FileMissingError, FitsError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from types import TracebackType

    from tessloom.archive.retry_policy import RetryPolicy

USER_AGENT = f"tessloom/{__version__} (https://pypi.org/project/tessloom)"
PARTIAL = 206
_MISSING = frozenset({404, 410})
# Answers that are worth another try: timeouts, "too many requests", and a server in trouble.
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
# The largest known light curves have 1.2 MB. Of larger bodies few are in memory at a time: hundreds
# of requests are under way, and a server may send them anything.
_LARGE = 3 << 19
_LARGE_AT_A_TIME = 4
# What a request may fail with, for reasons that may pass.
CONNECTION_ERRORS = (aiohttp.ClientError, OSError)  # TimeoutError is an OSError


class Fault(Exception):  # noqa: N818 - it may pass, and then nobody hears of it
    """A request failed, and another one may not.

    Attributes
    ----------
    wait
        Seconds that the server asked for.
    final
        Whether to ask again is no use.
    overload
        Whether fewer requests at a time may help.
    timeout
        Whether the archive was silent for too long.
    answered
        Whether it is the archive itself that says so.
    """

    def __init__(
        self,
        message: str,
        *,
        wait: float | None = None,
        final: bool = False,
        overload: bool = False,
        timeout: bool = False,
        answered: bool = False,
    ) -> None:
        super().__init__(message)
        self.wait = wait
        self.final = final
        self.overload = overload
        self.timeout = timeout
        self.answered = answered

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Return the fault of a broken or silent connection."""
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return cls(text, overload=True, timeout=isinstance(error, TimeoutError))


class Client:
    """One session with one mirror, for the whole life of a worker.

    Parameters
    ----------
    proxies
        Whether the environment's proxies (``HTTPS_PROXY`` and so on) are used.
    hosts
        Hosts, besides the one that is asked, to which a redirect may lead. None may lead from
        https to http.
    """

    def __init__(
        self, policy: RetryPolicy, *, proxies: bool, hosts: frozenset[str] = frozenset()
    ) -> None:
        self._most_bytes = policy.most_bytes
        self._hosts = hosts
        self._large = asyncio.Semaphore(_LARGE_AT_A_TIME)
        # A script may take many minutes: silence is what ends it.
        self._endless, self._timeout = (
            aiohttp.ClientTimeout(
                total=total, sock_connect=policy.connect, sock_read=policy.silence
            )
            for total in (None, policy.longest_answer)
        )
        self._session = aiohttp.ClientSession(
            # How many requests are under way is the window's to say.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            trust_env=proxies,
            # Content-Length must be the length of the file.
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            # A few kB that unpack to gigabytes are no light curve.
            auto_decompress=False,
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

    async def get(self, address: str) -> bytes:
        """Return the whole body at `address`.

        Raises
        ------
        FileMissingError
            There is nothing.
        FitsError
            It is larger than any light curve.
        Fault
            The request failed.
        """
        try:
            async with self.request(address) as response:
                check_status(response)
                length = response.content_length
                if length is not None and length <= min(_LARGE, self._most_bytes):
                    return await response.read()
                return await self._read_large(response)
        except CONNECTION_ERRORS as error:
            if isinstance(error, FileMissingError):
                raise
            raise Fault.of(error) from error

    async def _read_large(self, response: aiohttp.ClientResponse) -> bytes:
        """Read a body that is, or may turn out to be, larger than any known light curve."""
        pieces: list[bytes] = []
        size = response.content_length or 0
        if size <= self._most_bytes:
            size = 0
            async with AsyncExitStack() as turn:
                if response.content_length is not None:
                    await turn.enter_async_context(self._large)
                async for piece in response.content.iter_any():
                    pieces.append(piece)
                    if size <= _LARGE < size + len(piece) and response.content_length is None:
                        await turn.enter_async_context(self._large)
                    size += len(piece)
                    if size > self._most_bytes:
                        break
        if size > self._most_bytes:
            raise FitsError(f"the file has more than {self._most_bytes} bytes: no light curve has")
        return b"".join(pieces)

    @asynccontextmanager
    async def request(
        self,
        address: str,
        headers: Mapping[str, str] | None = None,
        *,
        endless: bool = False,
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Ask for an address, and go where redirects may lead.

        Parameters
        ----------
        endless
            Whether the answer may take any time, as long as it goes on.
        """
        url = URL(address, encoded=True)
        timeout = self._endless if endless else self._timeout
        for _ in range(1 + _MOST_REDIRECTS):
            async with self._session.get(
                url, headers=headers, allow_redirects=False, timeout=timeout
            ) as response:
                target = response.headers.get("Location")
                if response.status not in _REDIRECTS or target is None:
                    yield response
                    return
            url = self._redirected(url, target)
        raise Fault(f"redirected more than {_MOST_REDIRECTS} times", final=True)

    def _redirected(self, url: URL, target: str) -> URL:
        try:
            further = url.join(URL(target, encoded=True))
            same = further.host == url.host and further.port == url.port
        except ValueError as error:
            raise Fault(f"redirected to {target[:200]!r}: {error}", final=True) from error
        safe = further.scheme == "https" or (further.scheme, url.scheme) == ("http", "http")
        if not safe or not (same or further.host in self._hosts):
            raise Fault(
                f"redirected to {target[:200]!r}, where tessloom does not follow: only on https, "
                "to the archive's own hosts and those that --redirect-host names",
                final=True,
            )
        return further


def check_status(response: aiohttp.ClientResponse) -> None:
    """Check that an answer has a body as it was asked for.

    Raises
    ------
    FileMissingError
        There is nothing at the address.
    Fault
        The answer is another one.
    """
    if response.status in (200, PARTIAL):
        encoding = response.headers.get("Content-Encoding", "")
        if encoding.lower() not in ("", "identity"):
            raise Fault(f"sent as {encoding}, which was not asked for", final=True)
        return
    if response.status in _MISSING:
        raise FileMissingError(f"the archive has no such file (HTTP {response.status})")
    message = f"HTTP {response.status} {(response.reason or '')[:80]}".rstrip()
    if response.status not in _TRANSIENT:
        raise Fault(message, final=True)
    wait = retry_after(response.headers.get("Retry-After"))
    silent = response.status in (408, 504)
    raise Fault(message, wait=wait, overload=True, timeout=silent, answered=True)


def retry_after(value: str | None) -> float | None:
    """Return the seconds of a ``Retry-After`` header, which holds a number or a date."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if seconds == seconds else None  # noqa: PLR0124 - not a number
