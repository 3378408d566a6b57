"""The least that a client can do: ask for files, count the bytes that come, keep nothing.

It shows what the server can give (see `serving`), so that the server is not measured for tessloom.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n")
_END = b"\r\n\r\n"


def download(address: str, paths: Sequence[str], connections: int) -> None:
    """Ask for all files, over so many connections that are kept open."""
    asyncio.run(_download(address, iter(paths), connections))


async def _download(address: str, paths: Iterator[str], connections: int) -> None:
    loop, parts = asyncio.get_running_loop(), urlsplit(address)
    host, port = str(parts.hostname), int(parts.port or 80)
    opening = [
        loop.create_connection(lambda: _Client(paths), host, port) for _ in range(connections)
    ]
    await asyncio.gather(*(client.done for _, client in await asyncio.gather(*opening)))


class _Client(asyncio.Protocol):
    _transport: asyncio.Transport

    def __init__(self, paths: Iterator[str]) -> None:
        self._paths = paths
        self._head = b""
        self._missing = 0  # bytes of the body that are still to come
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            self._head += data
            end = self._head.find(_END)
            if end < 0:
                return
            match = _LENGTH.search(self._head)
            assert match  # noqa: S101 - the server gives it with every file
            self._missing = int(match[1])
            data, self._head = self._head[end + len(_END) :], b""
        self._missing -= len(data)
        if not self._missing:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server left off"))

    def _ask(self) -> None:
        path = next(self._paths, None)
        if path is None:
            self.done.set_result(None)
            self._transport.close()
        else:
            self._transport.write(f"GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
