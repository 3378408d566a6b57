"""A server in a process of its own, so that what it costs is not the client's.

It speaks just enough of HTTP/1.1 for a client that sends one GET after the other, and keeps
connections open. A web framework would be the bottleneck of what is measured.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

# Body of what is at a path, or its pieces; None where nothing is.
Answer = Callable[[str], bytes | Iterator[bytes] | None]
# Seconds until an answer is sent.
Latency = Callable[[], float]
_END = b"\r\n\r\n"
_MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def serving(
    make_answer: Callable[..., Answer], *arguments: Any, latency: Latency | None = None
) -> Iterator[str]:
    """Yield the address of a server that answers with ``make_answer(*arguments)``.

    Parameters
    ----------
    make_answer
        Called in the server's process; what it returns gets the path without the first slash.
    latency
        A function of a module, which the server's process finds there.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    arguments_there = (make_answer, arguments, latency, theirs)
    process = context.Process(target=_serve, args=arguments_there, daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _serve(
    make_answer: Callable[..., Answer],
    arguments: tuple[Any, ...],
    latency: Latency | None,
    connection: Connection,
) -> None:
    answer = make_answer(*arguments)

    async def serve() -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        loop = asyncio.get_running_loop()
        await loop.create_server(lambda: _Connection(answer, latency), sock=listener)
        connection.send(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        await loop.create_future()  # until it is ended from outside

    asyncio.run(serve())


class _Connection(asyncio.Protocol):
    _transport: asyncio.Transport

    def __init__(self, answer: Answer, latency: Latency | None) -> None:
        self._answer = answer
        self._latency = latency
        self._received = b""
        self._writable = asyncio.Event()
        self._writable.set()
        self._streams: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type
        self._transport = transport

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(_END)
        for request in requests:
            path = request.split(b" ", 2)[1].decode()[1:]
            seconds = self._latency() if self._latency else 0.0
            if seconds:
                asyncio.get_running_loop().call_later(seconds, self._send, path)
            else:
                self._send(path)

    def _send(self, path: str) -> None:
        body = self._answer(path)
        if body is None:
            self._transport.write(_MISSING)
            return
        if isinstance(body, bytes):
            kind = "application/fits" if path.endswith(".fits") else "text/plain"
            self._transport.writelines((_head(kind, f"Content-Length: {len(body)}"), body))
            return
        stream = asyncio.get_running_loop().create_task(self._stream(body))
        self._streams.add(stream)
        stream.add_done_callback(self._streams.discard)

    async def _stream(self, pieces: Iterator[bytes]) -> None:
        self._transport.write(_head("text/plain", "Transfer-Encoding: chunked"))
        for piece in pieces:
            self._transport.writelines((b"%x\r\n" % len(piece), piece, b"\r\n"))
            await self._writable.wait()
            if self._transport.is_closing():
                return
        self._transport.write(b"0\r\n\r\n")


def _head(kind: str, length: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{length}\r\n\r\n".encode()
