"""Bodies without end, bombs and false lengths: each is refused, and takes no memory."""

import asyncio
import gzip
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from local_archive import run
from tessloom.archive import RetryPolicy
from tessloom.archive.open_mirror import OpenMirror
from tessloom.archive.retry_policy import MOST_BYTES
from tessloom.errors import ArchiveError, FileUnavailableError, FitsError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MOST = 2**20
POLICY = RetryPolicy(wait=0, most_bytes=MOST)


def most_memory(handler: Handler, error: type[Exception], match: str) -> int:
    """Return the most memory taken while a file is asked for, which fails."""

    async def scenario(mirror: OpenMirror, address: str) -> None:
        with pytest.raises(error, match=match):
            await mirror.fetch(f"{address}file", bytes)
        assert mirror.window.under_way == 0

    async def answer(request: web.Request) -> web.StreamResponse:
        return await handler(request) if request.path == "/file" else web.Response()

    tracemalloc.start()
    try:
        run(answer, scenario, POLICY)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_body_without_end_is_refused() -> None:
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 2**16)
                sent += 2**16
        except ConnectionError:
            return response

    memory = most_memory(handler, FitsError, f"more than {MOST} bytes")
    assert memory < 8 * MOST
    assert sent < 64 * MOST  # what is on its way in buffers of the system


@pytest.mark.parametrize("length", [MOST + 1, 10**12, 2**62])
def test_a_length_of_terabytes_allocates_nothing(length: int) -> None:
    requests = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal requests
        requests += 1
        response = web.StreamResponse(headers={"Content-Length": str(length)})
        await response.prepare(request)
        await response.write(b"x" * 1000)
        return response

    assert most_memory(handler, FitsError, f"more than {MOST} bytes") < 4 * 2**20
    assert requests == 1


@pytest.mark.parametrize("length", ["-5", "ten", "1e9", "99999999999999999999999999"])
def test_a_length_that_is_none_is_a_failure(length: str) -> None:
    """Sent by hand, since no server of ours would."""

    async def scenario(mirror: OpenMirror, _address: str) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nxxxxx".encode())
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(FileUnavailableError):
                await mirror.fetch(f"http://127.0.0.1:{port}/", bytes)

    async def unused(_: web.Request) -> web.Response:
        return web.Response()

    run(unused, scenario, POLICY)


@pytest.mark.parametrize("garbage", [b"", b"\r\n", b"SSH-2.0-x\r\n", b"HTTP/9 x\r\n\r\n"])
def test_what_is_no_http_is_a_failure(garbage: bytes) -> None:
    async def scenario(mirror: OpenMirror, _address: str) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(garbage)
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            with pytest.raises(FileUnavailableError):
                await mirror.fetch(address, bytes)
            with pytest.raises(ArchiveError, match="can't read"):
                await anext(mirror.stream(address))

    async def unused(_: web.Request) -> web.Response:
        return web.Response()

    run(unused, scenario, POLICY)


def test_headers_without_end_are_a_failure() -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(headers={"X-Long": "x" * 2**20})

    assert most_memory(handler, FileUnavailableError, "400") < 32 * 2**20


def test_a_compressed_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(200 * 2**20), 9)
    assert len(bomb) < MOST
    asked: list[str | None] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Accept-Encoding"))
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    memory = most_memory(handler, FileUnavailableError, "sent as gzip, which was not asked for")
    assert memory < 8 * 2**20
    assert asked == ["identity"]

    async def scenario(mirror: OpenMirror, address: str) -> None:
        with pytest.raises(ArchiveError, match="sent as gzip"):
            await mirror.read(address)

    run(handler, scenario, POLICY)


@pytest.mark.parametrize("name", ["identity", "Identity", ""])
def test_a_body_that_is_said_to_be_as_it_is_is_taken(name: str) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"whole", headers={"Content-Encoding": name})

    async def scenario(mirror: OpenMirror, address: str) -> None:
        assert await mirror.fetch(address, bytes) == b"whole"

    run(handler, scenario, POLICY)


def test_the_largest_light_curve_is_far_from_the_limit() -> None:
    assert MOST_BYTES > 100 * 1_150_000
