"""Scripts and lists come in pieces; a broken connection is taken up where it broke."""

import socket
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest
from aiohttp import web

from local_archive import Answers, body, run, status
from tessloom.archive import RetryPolicy
from tessloom.archive.open_mirror import LARGEST_PAGE, MirrorDownError, OpenMirror
from tessloom.errors import ArchiveError, FileMissingError

CONTENT = bytes(range(256)) * 4000
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def cut(start: int, stop: int, **headers: str) -> Handler:
    """Announce the content from `start` on, send it up to `stop`, and close the connection."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        response.content_length = len(CONTENT) - start
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        await response.prepare(request)
        await response.write(CONTENT[start:stop])
        assert request.transport
        request.transport.close()
        return response

    return answer


def rest(start: int, **headers: str) -> web.Response:
    """Send the content from `start` on."""
    span = {"Content-Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"}
    return web.Response(status=206, body=CONTENT[start:], headers=headers | span)


async def whole(mirror: OpenMirror, address: str) -> bytes:
    async with aclosing(mirror.stream(address)) as pieces:
        return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize("ranges", [True, False])
def test_a_script_whose_connection_breaks_is_taken_up_where_it_broke(ranges: bool) -> None:
    asked: list[str | None] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Range"))
        start = int(asked[-1][6:-1]) if asked[-1] and ranges else 0
        if len(asked) < 4:
            return await cut(start, start + 300_000)(request)
        return rest(start) if start else web.Response(body=CONTENT)

    async def scenario(mirror: OpenMirror, address: str) -> None:
        assert await whole(mirror, address) == CONTENT

    run(handler, scenario)
    assert asked[0] is None
    assert all(asked[1:])


def test_a_server_may_send_less_than_the_rest() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if "Range" not in request.headers:
            return await cut(0, 100_000)(request)
        start = int(request.headers["Range"][6:-1])
        piece = CONTENT[start : start + 400_000]
        span = f"bytes {start}-{start + len(piece) - 1}/{len(CONTENT)}"
        return web.Response(status=206, body=piece, headers={"Content-Range": span})

    async def scenario(mirror: OpenMirror, address: str) -> None:
        assert await whole(mirror, address) == CONTENT

    run(handler, scenario)


@pytest.mark.parametrize(("tag", "condition"), [('"v1"', '"v1"'), ('W/"v1"', None), (None, None)])
def test_the_rest_is_asked_for_of_the_same_version(tag: str | None, condition: str | None) -> None:
    asked: list[str | None] = []
    named = {"ETag": tag} if tag else {}

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("If-Range"))
        if len(asked) == 1:
            return await cut(0, 300_000, **named)(request)
        return rest(300_000, **named)

    async def scenario(mirror: OpenMirror, address: str) -> None:
        assert await whole(mirror, address) == CONTENT

    run(handler, scenario)
    assert asked == [None, condition]


@pytest.mark.parametrize("change", ["tag", "length", "tag of a part"])
def test_a_file_that_changes_while_it_is_read_is_an_error(change: str) -> None:
    requests = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal requests
        requests += 1
        if requests == 1:
            return await cut(0, 300_000, ETag='"v1"')(request)
        if change == "tag of a part":
            return rest(300_000, ETag='"v2"')
        content = CONTENT + b"more" if change == "length" else CONTENT
        tag = {} if change == "length" else {"ETag": '"v2"'}
        return web.Response(body=content, headers=tag)

    async def scenario(mirror: OpenMirror, address: str) -> None:
        with pytest.raises(ArchiveError, match="changed while it was read"):
            await whole(mirror, address)

    run(handler, scenario)
    assert requests == 2


@pytest.mark.parametrize("span", ["bytes 0-5/1024000", "bytes 299999-1023999/1024000", "what", ""])
def test_another_part_than_was_asked_for_is_not_taken(span: str) -> None:
    requests = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal requests
        requests += 1
        if requests == 1:
            return await cut(0, 300_000)(request)
        if requests < 4:
            named = {"Content-Range": span} if span else {}
            return web.Response(status=206, body=b"x" * 724_000, headers=named)
        return rest(300_000)

    async def scenario(mirror: OpenMirror, address: str) -> None:
        assert await whole(mirror, address) == CONTENT

    run(handler, scenario)
    assert requests == 4


def test_a_body_of_unknown_length_ends_where_it_ends() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(CONTENT)
        return response

    async def scenario(mirror: OpenMirror, address: str) -> None:
        assert await whole(mirror, address) == CONTENT

    run(handler, scenario)


def test_a_body_of_unknown_length_that_is_cut_off_is_taken_up() -> None:
    requests = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal requests
        requests += 1
        if "Range" in request.headers:
            return rest(int(request.headers["Range"][6:-1]))
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(CONTENT[:300_000])
        assert request.transport
        request.transport.close()
        return response

    async def scenario(mirror: OpenMirror, address: str) -> None:
        assert await whole(mirror, address) == CONTENT

    run(handler, scenario)
    assert requests == 2


def test_a_script_that_stays_cut_off_is_an_error_not_an_end() -> None:
    async def scenario(mirror: OpenMirror, address: str) -> None:
        with pytest.raises(ArchiveError, match=r"can't read http://127.*--archive demo"):
            await whole(mirror, address)

    run(cut(0, 0), scenario)


def test_a_file_that_goes_away_while_it_is_read_is_an_error_not_an_end() -> None:
    requests = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal requests
        requests += 1
        return await cut(0, 300_000)(request) if requests == 1 else web.Response(status=404)

    async def scenario(mirror: OpenMirror, address: str) -> None:
        with pytest.raises(ArchiveError, match="has gone while it was read"):
            await whole(mirror, address)

    run(handler, scenario)


def test_what_is_missing_is_missing() -> None:
    async def scenario(mirror: OpenMirror, address: str) -> None:
        with pytest.raises(FileMissingError, match=r"http://127.*404"):
            await whole(mirror, f"{address}file")

    run(Answers(status(404)).answer, scenario)


def test_an_unreachable_archive_is_named_with_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    async def scenario(mirror: OpenMirror, _: str) -> None:
        address = f"http://127.0.0.1:{port}/hlsps/"
        with pytest.raises(ArchiveError, match=rf"{address}.*--archive demo") as caught:
            await whole(mirror, address)
        assert isinstance(caught.value, OSError)

    run(Answers(status(200)).answer, scenario, RetryPolicy(wait=0, attempts=2))


def test_a_mirror_that_refuses_all_is_down_and_a_script_that_it_refuses_is_not_there() -> None:
    refused = {"/script"}

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=503 if request.path in refused else 200)

    async def scenario(mirror: OpenMirror, address: str) -> None:
        with pytest.raises(ArchiveError, match=r"can't read .*/script: HTTP 503"):
            await whole(mirror, f"{address}script")
        refused.add("/")
        with pytest.raises(MirrorDownError, match="own is down"):
            await whole(mirror, f"{address}script")
        with pytest.raises(ArchiveError, match="own is down"):
            await mirror.read(f"{address}script")

    run(handler, scenario, RetryPolicy(wait=0))


@pytest.mark.parametrize("fault", ["refuse", "break"])
def test_a_body_that_has_begun_is_waited_for(fault: str) -> None:
    """So a window of maintenance does not end the reading of a script that takes an hour."""
    down = False

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal down
        if down:
            if fault == "break":
                assert request.transport
                request.transport.close()
            return web.Response(status=503)
        if request.path == "/":
            return web.Response()
        if "Range" in request.headers:
            return rest(int(request.headers["Range"][6:-1]))
        down = True
        return await cut(0, 300_000)(request)

    async def scenario(mirror: OpenMirror, address: str) -> None:
        def end_of_maintenance(_text: str) -> None:
            nonlocal down
            down = False

        mirror.outage._say = end_of_maintenance
        assert await whole(mirror, f"{address}script") == CONTENT

    run(handler, scenario, RetryPolicy(wait=0, ask_again=0.01))


def test_a_body_that_has_begun_is_not_begun_anew_when_the_mirror_goes_down() -> None:
    """Another request may find that the mirror is down while this one pauses."""
    down = True

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path != "/script":
            return web.Response(status=503 if down else 200)
        if "Range" in request.headers:
            return rest(int(request.headers["Range"][6:-1]))
        return await cut(0, 300_000)(request)

    async def scenario(mirror: OpenMirror, address: str) -> None:
        async with aclosing(mirror.stream(f"{address}script")) as pieces:
            read = await anext(pieces)
            with pytest.raises(MirrorDownError):
                await mirror.fetch(f"{address}file", bytes)
            nonlocal down
            down = False
            async for piece in pieces:
                read += piece
        assert read == CONTENT

    run(handler, scenario, RetryPolicy(wait=0, attempts=2, ask_again=0.05))


def test_a_page_without_end_is_refused() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * 2**16)
        except ConnectionError:
            return response

    async def scenario(mirror: OpenMirror, address: str) -> None:
        with pytest.raises(ArchiveError, match=f"more than {LARGEST_PAGE} bytes"):
            await mirror.read(address)

    run(handler, scenario)


def test_a_page_is_read_whole() -> None:
    answers = Answers(status(503), body(b"page"), status(503), body(b"page"))

    async def scenario(mirror: OpenMirror, address: str) -> None:
        assert await mirror.read(f"{address}page") == b"page"
        with pytest.raises(ArchiveError):
            await mirror.read_once(f"{address}page")

    run(answers.answer, scenario)
    assert answers.requests["/page"] == 3


LINES = b"a line of a script\n" * 5000


async def lines(mirror: OpenMirror, address: str) -> bytes:
    async with aclosing(mirror.stream(address, lines=True)) as pieces:
        return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_script_that_is_cut_in_a_line_and_announced_as_whole_is_asked_for_its_rest(
    announced: bool, ranges: bool
) -> None:
    asked: list[str | None] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Range"))
        if len(asked) > 1:
            span = {"Content-Range": f"bytes 7777-{len(LINES) - 1}/{len(LINES)}"}
            rest = web.Response(status=206, body=LINES[7777:], headers=span)
            return rest if ranges else web.Response(body=LINES)
        response = web.StreamResponse()
        if announced:
            response.content_length = 7777
        else:
            response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(LINES[:7777])
        await response.write_eof()
        return response

    async def scenario(mirror: OpenMirror, address: str) -> None:
        assert await lines(mirror, address) == LINES

    run(handler, scenario)
    assert asked == [None, "bytes=7777-"]


@pytest.mark.parametrize("beyond", [416, 200])
def test_a_script_that_ends_without_a_line_feed_is_asked_once_for_a_rest_that_is_not_there(
    beyond: int,
) -> None:
    content = LINES.rstrip()
    requests = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal requests
        requests += 1
        refused = "Range" in request.headers and beyond == 416
        return web.Response(status=416) if refused else web.Response(body=content)

    async def scenario(mirror: OpenMirror, address: str) -> None:
        assert await lines(mirror, address) == content

    run(handler, scenario)
    assert requests == 2


def test_a_script_that_ends_with_a_line_feed_and_an_empty_one_are_asked_for_once() -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(body=LINES if request.path == "/lines" else b"")

    async def scenario(mirror: OpenMirror, address: str) -> None:
        assert await lines(mirror, f"{address}lines") == LINES
        assert await lines(mirror, f"{address}empty") == b""

    run(handler, scenario)
    assert asked == ["/lines", "/empty"]
