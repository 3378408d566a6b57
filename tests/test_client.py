"""The client's policy: what is asked for again, when all requests wait, and when it gives up."""

import asyncio
import email.utils
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest
from aiohttp import web
from yarl import URL

import tessloom
from tessloom.archive import Retry, event_loop, slide
from tessloom.archive.client import Client
from tessloom.errors import (
    ArchiveError,
    FileMissingError,
    FileUnavailableError,
    NotFitsError,
    TruncatedFitsError,
)
from tessloom.fits import Decoder

AT_ONCE = Retry(wait=0)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Scenario = Callable[[Client, str], Awaitable[None]]


def run(
    handler: Handler,
    scenario: Scenario,
    retry: Retry = AT_ONCE,
    connections: int = 8,
    hosts: frozenset[str] = frozenset(),
) -> None:
    """Run a scenario with a client and the address of a server that answers with `handler`."""

    async def serve() -> None:
        application = web.Application()
        application.router.add_get("/{path:.*}", handler)
        runner = web.AppRunner(application, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            async with Client(connections, retry, proxies=False, hosts=hosts) as client:
                await scenario(client, f"http://127.0.0.1:{runner.addresses[0][1]}/")
        finally:
            await runner.cleanup()

    asyncio.run(serve())


class Answers:
    """Answers each path with its list of answers, the last one for ever; counts requests."""

    def __init__(self, *answers: Callable[[], web.StreamResponse]) -> None:
        self.answers = answers
        self.requests: Counter[str] = Counter()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        number = self.requests[request.path]
        self.requests[request.path] += 1
        return self.answers[min(number, len(self.answers) - 1)]()


def status(code: int, **headers: str) -> Callable[[], web.Response]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda: web.Response(status=code, headers=named)


def body(content: bytes) -> Callable[[], web.Response]:
    return lambda: web.Response(body=content)


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again(code: int) -> None:
    answers = Answers(status(code), status(code), body(b"whole"))

    async def scenario(client: Client, address: str) -> None:
        assert await client.fetch(address, bytes) == b"whole"

    run(answers.answer, scenario)
    assert answers.requests.total() == 3


@pytest.mark.parametrize("code", [404, 410])
def test_a_missing_file_is_asked_for_once(code: int) -> None:
    answers = Answers(status(code))

    async def scenario(client: Client, address: str) -> None:
        with pytest.raises(FileMissingError, match=str(code)):
            await client.fetch(address, bytes)

    run(answers.answer, scenario)
    assert answers.requests.total() == 1


def test_a_refusal_is_not_repeated() -> None:
    answers = Answers(status(403))

    async def scenario(client: Client, address: str) -> None:
        with pytest.raises(FileUnavailableError, match="403"):
            await client.fetch(address, bytes)

    run(answers.answer, scenario)
    assert answers.requests.total() == 1


def test_a_file_that_never_comes_is_asked_for_as_often_as_the_policy_says() -> None:
    answers = Answers(status(503))

    async def scenario(client: Client, address: str) -> None:
        with pytest.raises(FileUnavailableError, match="503"):
            await client.fetch(address, bytes)

    run(answers.answer, scenario, Retry(wait=0, attempts=4))
    assert answers.requests.total() == 4


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"<html>Not found</html>", NotFitsError),
        (b"SIMPLE  =                    T".ljust(2879), TruncatedFitsError),
    ],
)
def test_a_bad_body_is_asked_for_again_and_then_recorded(
    content: bytes, error: type[Exception]
) -> None:
    answers = Answers(body(content))

    async def scenario(client: Client, address: str) -> None:
        with pytest.raises(error):
            await client.fetch(address, Decoder([]).decode)

    run(answers.answer, scenario, Retry(wait=0, bad_bodies=3))
    assert answers.requests.total() == 3


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_makes_every_request_wait(form: str) -> None:
    wait = 0.4 if form == "seconds" else 2.0
    arrivals: list[float] = []
    busy = asyncio.Event()

    async def handler(_: web.Request) -> web.StreamResponse:
        arrivals.append(time.monotonic())
        if len(arrivals) == 1:
            date = email.utils.formatdate(time.time() + wait, usegmt=True)
            value = str(wait) if form == "seconds" else date
            return web.Response(status=429, headers={"Retry-After": value})
        return web.Response(body=b"whole")

    async def scenario(client: Client, address: str) -> None:
        pause = client._pause

        async def pause_and_tell() -> None:
            if arrivals:  # the answer "too many requests" has come
                busy.set()
            await pause()

        client._pause = pause_and_tell  # type: ignore[method-assign]
        first = asyncio.create_task(client.fetch(f"{address}busy", bytes))
        await busy.wait()
        others = [client.fetch(f"{address}{number}", bytes) for number in range(5)]
        assert set(await asyncio.gather(first, *others)) == {b"whole"}

    run(handler, scenario)
    waited = [at - arrivals[0] for at in arrivals[1:]]
    assert len(waited) == 6
    # A date has whole seconds, so up to one of them is lost.
    assert min(waited) > (wait if form == "seconds" else wait - 1.01) * 0.9


def test_a_retry_after_that_can_not_be_read_is_as_none() -> None:
    answers = Answers(status(503, Retry_After="soon"), body(b"whole"))

    async def scenario(client: Client, address: str) -> None:
        assert await client.fetch(address, bytes) == b"whole"

    run(answers.answer, scenario)


def test_many_failures_in_a_row_are_the_archive_s_and_end_the_build() -> None:
    async def scenario(client: Client, address: str) -> None:
        for number in range(2):
            with pytest.raises(FileUnavailableError):
                await client.fetch(f"{address}{number}", bytes)
        with pytest.raises(ArchiveError, match=r"3 files in a row.*127\.0\.0\.1.*again later"):
            await client.fetch(f"{address}2", bytes)

    run(Answers(status(503)).answer, scenario, Retry(wait=0, attempts=1, give_up_after=3))


def test_an_answer_in_between_shows_that_the_archive_is_well() -> None:
    answers = Answers(status(503))

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/missing":
            return web.Response(status=404)
        return await answers.answer(request)

    async def scenario(client: Client, address: str) -> None:
        for number in range(10):
            with pytest.raises(FileUnavailableError):
                await client.fetch(f"{address}{number}", bytes)
            with pytest.raises(FileMissingError):
                await client.fetch(f"{address}missing", bytes)

    run(handler, scenario, Retry(wait=0, attempts=1, give_up_after=2))


CONTENT = bytes(range(256)) * 4000


def cut(start: int, stop: int) -> Handler:
    """Announce CONTENT from `start` on, send it up to `stop`, and close the connection."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=206 if start else 200)
        response.content_length = len(CONTENT) - start
        await response.prepare(request)
        await response.write(CONTENT[start:stop])
        assert request.transport
        request.transport.close()
        return response

    return answer


@pytest.mark.parametrize("ranges", [True, False])
def test_a_script_whose_connection_breaks_is_taken_up_where_it_broke(ranges: bool) -> None:
    asked: list[str | None] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Range"))
        start = int(asked[-1][6:-1]) if asked[-1] and ranges else 0
        if len(asked) < 4:
            return await cut(start, start + 300_000)(request)
        return web.Response(status=206 if start else 200, body=CONTENT[start:])

    async def scenario(client: Client, address: str) -> None:
        async with aclosing(client.stream(address)) as pieces:
            assert b"".join([piece async for piece in pieces]) == CONTENT

    run(handler, scenario)
    assert asked[0] is None
    assert all(asked[1:])


def test_a_script_that_stays_cut_off_is_an_error_not_an_end() -> None:
    async def scenario(client: Client, address: str) -> None:
        async with aclosing(client.stream(address)) as pieces:
            with pytest.raises(ArchiveError, match=r"can't read http://127.*--archive demo"):
                await anext(pieces)

    run(cut(0, 0), scenario)


def test_an_unreachable_archive_is_named_with_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    async def scenario(client: Client, _: str) -> None:
        address = f"http://127.0.0.1:{port}/hlsps/"
        async with aclosing(client.stream(address)) as pieces:
            with pytest.raises(ArchiveError, match=rf"{address}.*--archive demo") as caught:
                await anext(pieces)
        assert isinstance(caught.value, OSError)

    run(Answers(status(200)).answer, scenario, Retry(wait=0, attempts=2))


def test_one_slow_answer_does_not_hold_up_the_window() -> None:
    release = asyncio.Event()
    done: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/0":
            await release.wait()
        return web.Response(body=request.path.encode())

    async def scenario(client: Client, address: str) -> None:
        async def get(number: int) -> None:
            done.append((await client.fetch(f"{address}{number}", bytes)).decode())
            if len(done) == 199:
                release.set()

        await slide(4, range(200), get)

    run(handler, scenario, connections=4)
    assert done[-1] == "/0"
    assert len(done) == 200


def test_connections_are_kept_and_never_more_than_allowed() -> None:
    peers: set[object] = set()
    under_way = most = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal under_way, most
        assert request.transport
        peers.add(request.transport.get_extra_info("peername"))
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return web.Response(body=b"")

    async def scenario(client: Client, address: str) -> None:
        async def get(number: int) -> None:
            await client.fetch(f"{address}{number}", bytes)

        await slide(50, range(300), get)

    run(handler, scenario, connections=5)
    assert len(peers) <= 5
    assert most <= 5


def test_the_first_error_stops_the_window_and_is_raised_as_it_is() -> None:
    started: list[int] = []

    async def work(number: int) -> None:
        started.append(number)
        await asyncio.sleep(0)
        if number == 3:
            raise ArchiveError("down")

    with pytest.raises(ArchiveError, match="down"):
        asyncio.run(slide(2, range(1000), work))
    assert len(started) < 10


def test_coroutines_run_also_where_a_loop_is_running() -> None:
    async def answer() -> int:
        return 42

    async def notebook() -> int:
        return event_loop.run(answer())

    assert asyncio.run(notebook()) == event_loop.run(answer()) == 42


def redirect(code: int, target: str) -> Callable[[], web.Response]:
    return lambda: web.Response(status=code, headers={"Location": target})


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["/elsewhere", "elsewhere?a=%20b", "./../elsewhere"])
def test_a_redirect_on_the_same_host_is_followed(code: int, target: str) -> None:
    answers = Answers(redirect(code, target), body(b"whole"))

    async def answer(request: web.Request) -> web.StreamResponse:
        first = request.path == "/file"
        return answers.answers[0]() if first else answers.answers[1]()

    async def scenario(client: Client, address: str) -> None:
        assert await client.fetch(address + "file", bytes) == b"whole"
        async with aclosing(client.stream(address + "file")) as pieces:
            assert b"".join([piece async for piece in pieces]) == b"whole"

    run(answer, scenario)


@pytest.mark.parametrize(
    "target", ["http://localhost:1/x", "http://192.0.2.1/x", "ftp://127.0.0.1/x", "http://[/x"]
)
def test_a_redirect_to_another_host_or_scheme_is_not_followed(target: str) -> None:
    answers = Answers(redirect(302, target))

    async def scenario(client: Client, address: str) -> None:
        with pytest.raises(FileUnavailableError, match="redirected to"):
            await client.fetch(address, bytes)
        with pytest.raises(ArchiveError, match="redirected to"):
            await anext(client.stream(address))

    run(answers.answer, scenario)
    assert answers.requests.total() == 2


def test_a_redirect_from_https_to_http_is_not_followed() -> None:
    async def scenario(client: Client, _address: str) -> None:
        https = URL("https://archive.stsci.edu/x")
        with pytest.raises(Exception, match="only on https"):
            client._redirected(https, "http://archive.stsci.edu/y")
        with pytest.raises(Exception, match="archive's own hosts"):
            client._redirected(https, "https://example.org/y")
        other = client._redirected(https, "https://mast.stsci.edu/y%2Fz")
        assert str(other) == "https://mast.stsci.edu/y%2Fz"

    run(Answers(status(404)).answer, scenario, hosts=frozenset({"mast.stsci.edu"}))


def test_redirects_in_a_circle_come_to_an_end() -> None:
    answers = Answers(redirect(302, "/again"))

    async def scenario(client: Client, address: str) -> None:
        with pytest.raises(FileUnavailableError, match="redirected more than 5 times"):
            await client.fetch(address, bytes)

    run(answers.answer, scenario)
    assert answers.requests.total() == 6


def test_the_archive_is_told_who_asks() -> None:
    agents: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        agents.append(request.headers["User-Agent"])
        return web.Response(body=b"whole")

    async def scenario(client: Client, address: str) -> None:
        await client.fetch(address, bytes)

    run(answer, scenario)
    assert agents == [f"tessloom/{tessloom.__version__} (https://pypi.org/project/tessloom)"]
