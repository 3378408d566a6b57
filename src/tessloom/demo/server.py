"""The embedded archive: an HTTP server on the loopback that behaves like MAST."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from aiohttp import web

from tessloom.demo.faults import Faults
from tessloom.demo.mirrors import GATEWAY, MAST_URI, S3, STATIC, Mirrors
from tessloom.errors import RequestError

_HOST = "127.0.0.1"


def _listen(port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise RequestError(f"port {port}: a port lies between 0 (any free one) and 65535")
    try:
        return socket.create_server((_HOST, port))
    except OSError as error:
        raise RequestError(f"port {port} of {_HOST} can't be used: {error.strerror}") from error


def _origin(listener: socket.socket) -> str:
    return f"http://{_HOST}:{listener.getsockname()[1]}"


@contextlib.asynccontextmanager
async def _running(mirrors: Mirrors, listener: socket.socket) -> AsyncIterator[None]:
    runner = web.AppRunner(
        mirrors.application(),
        access_log=None,
        shutdown_timeout=1,
        # A stalled answer ends when its client leaves.
        handler_cancellation=True,
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        yield
    finally:
        await runner.cleanup()


class DemoServer:
    """The embedded archive in a thread of its own, for as long as a ``with`` block lasts.

    Parameters
    ----------
    faults
        How it misbehaves; by default not at all.
    port
        Port on the loopback, 0 for any free one.

    Attributes
    ----------
    address
        The root of its collections on the static archive, ``http://127.0.0.1:PORT/hlsps/``.
    s3, gateway
        The same in the S3 bucket, ``http://127.0.0.1:PORT/stpubdata/mast/hlsp/``, and at the
        API gateway, ``http://127.0.0.1:PORT/api/v0.1/Download/file?uri=mast:HLSP/``. A path is
        appended to each.
    requests
        How often each path below these was asked for, over all mirrors.
    requests_of
        The same for each mirror: ``"s3"``, ``"static"``, ``"gateway"``.
    listings
        How often the bucket was asked for a page of each prefix.

    Raises
    ------
    RequestError
        The port can't be used. Raised on entering the block.
    """

    def __init__(self, faults: Faults | None = None, port: int = 0) -> None:
        self._mirrors = Mirrors(faults or Faults())
        self._port = port
        self._stop = asyncio.Event()
        self.requests = self._mirrors.requests
        self.requests_of = self._mirrors.requests_of
        self.listings = self._mirrors.listings
        self.address = self.s3 = self.gateway = ""

    @property
    def faults(self) -> Faults:
        """How it misbehaves; may be set while it runs, from any thread.

        Requests that come later see the new faults. A path that had its passing fault has no
        other.
        """
        return self._mirrors.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._mirrors.faults = faults

    def __enter__(self) -> Self:
        listener = _listen(self._port)
        origin = _origin(listener)
        self.address = origin + STATIC
        self.s3 = origin + S3
        self.gateway = f"{origin}{GATEWAY}?uri={MAST_URI}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=[self._serve(listener)], daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self, listener: socket.socket) -> None:
        async with _running(self._mirrors, listener):
            await self._stop.wait()


def serve(
    port: int = 0,
    faults: Faults | None = None,
    ready: Callable[[str], object] | None = None,
) -> None:
    """Serve the embedded archive until interrupted.

    Parameters
    ----------
    port
        Port on the loopback, 0 for any free one.
    faults
        How it misbehaves; by default not at all.
    ready
        Called with the address once the archive answers.

    Raises
    ------
    RequestError
        The port can't be used.
    """
    listener = _listen(port)

    async def run() -> None:
        async with _running(Mirrors(faults or Faults()), listener):
            if ready is not None:
                ready(_origin(listener) + STATIC)
            await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())
