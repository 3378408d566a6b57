"""The embedded archive: an HTTP server on the loopback that behaves like MAST."""

import asyncio
import collections
import contextlib
import hashlib
import socket
import threading
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from aiohttp import web

from tessloom.demo.faults import Faults
from tessloom.errors import RequestError

_HOST = "127.0.0.1"
_GATEWAY = "/api/v0.1/Download/file"
_MAST_URI = "mast:HLSP/"
_NOT_FOUND = b"<html><body><h1>404 Not Found</h1></body></html>\n"


class _Handler:
    """Answers requests, and remembers which paths were asked for."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.requests: collections.Counter[str] = collections.Counter()

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/hlsps/{path:.*}", self._static)
        application.router.add_get(_GATEWAY, self._gateway)
        application.router.add_get(f"{_GATEWAY}/", self._gateway)
        return application

    async def _static(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, request.match_info["path"])

    async def _gateway(self, request: web.Request) -> web.StreamResponse:
        uri = request.query.get("uri", "")
        if not uri.startswith(_MAST_URI):
            raise web.HTTPBadRequest(text=f"uri should start with {_MAST_URI}\n")
        return await self._answer(request, uri.removeprefix(_MAST_URI))

    async def _answer(self, request: web.Request, path: str) -> web.StreamResponse:
        # Imported at the first request, because the command line imports this module.
        from tessloom.demo.content import content_at  # noqa: PLC0415

        self.requests[path] += 1
        first = self.requests[path] == 1
        faults = self._faults
        if first and faults.hit("slow", path):
            await asyncio.sleep(faults.delay)
        fault = first and faults.first(path, "busy", "unavailable", "cut", "truncated")
        if fault == "busy":
            return web.Response(status=429, headers={"Retry-After": f"{faults.retry_after:g}"})
        if faults.down or fault == "unavailable":
            return web.Response(status=503)
        content = content_at(path, faults)
        if content is None:
            return web.Response(status=404, body=_NOT_FOUND, content_type="text/html")
        body = content.body[: len(content.body) // 2] if fault == "truncated" else content.body
        response = _response(request, body, content.media_type)
        if content.tagged:
            response.etag = hashlib.blake2b(body, digest_size=8).hexdigest()
        if fault == "cut" and request.method == "GET":
            return await _cut(request, response)
        return response


def _response(request: web.Request, body: bytes, media_type: str) -> web.Response:
    """Return the body, or the part of it that the request's Range asks for."""
    headers = {"Accept-Ranges": "bytes"}
    try:
        asked = request.http_range
    except ValueError:
        asked = slice(len(body), None)
    start, stop, _ = asked.indices(len(body))
    if "Range" not in request.headers:
        return web.Response(body=body, content_type=media_type, headers=headers)
    if start >= stop:
        headers["Content-Range"] = f"bytes */{len(body)}"
        return web.Response(status=416, headers=headers)
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
    return web.Response(status=206, body=body[start:stop], content_type=media_type, headers=headers)


async def _cut(request: web.Request, whole: web.Response) -> web.StreamResponse:
    """Announce the whole body, send half of it, and close the connection."""
    assert isinstance(whole.body, bytes)  # noqa: S101 - narrows the type
    response = web.StreamResponse(status=whole.status, headers=whole.headers)
    response.content_length = len(whole.body)
    await response.prepare(request)
    await response.write(whole.body[: len(whole.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def _listen(port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise RequestError(f"port {port}: a port lies between 0 (any free one) and 65535")
    try:
        return socket.create_server((_HOST, port))
    except OSError as error:
        raise RequestError(f"port {port} of {_HOST} can't be used: {error.strerror}") from error


def _address(listener: socket.socket) -> str:
    return f"http://{_HOST}:{listener.getsockname()[1]}/hlsps/"


@contextlib.asynccontextmanager
async def _running(handler: _Handler, listener: socket.socket) -> AsyncIterator[None]:
    runner = web.AppRunner(handler.application(), access_log=None, shutdown_timeout=1)
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
        The root of its collections, ``http://127.0.0.1:PORT/hlsps/``.
    requests
        How often each path below ``hlsps/`` was asked for.

    Raises
    ------
    RequestError
        The port can't be used. Raised on entering the block.
    """

    def __init__(self, faults: Faults | None = None, port: int = 0) -> None:
        self._handler = _Handler(faults or Faults())
        self._port = port
        self._stop = asyncio.Event()
        self.requests = self._handler.requests
        self.address = ""

    def __enter__(self) -> Self:
        listener = _listen(self._port)
        self.address = _address(listener)
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
        async with _running(self._handler, listener):
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
        async with _running(_Handler(faults or Faults()), listener):
            if ready is not None:
                ready(_address(listener))
            await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())
