"""What is asked for again, how often, when all requests wait, and over how many connections."""

import asyncio
import email.utils
import time
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

import tessloom
from local_archive import AT_ONCE, HTML, Answers, accept, body, light_curve, run, status
from tessloom.archive import RetryPolicy, event_loop, slide
from tessloom.archive.client import retry_after
from tessloom.archive.open_mirror import OpenMirror
from tessloom.errors import (
    ArchiveError,
    CorruptFitsError,
    FileMissingError,
    FileTimeoutError,
    FileUnavailableError,
    FitsError,
    NoPositionError,
    NotFitsError,
    TruncatedFitsError,
    WrongTargetError,
)
from tessloom.fits import Decoder


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again(code: int) -> None:
    answers = Answers(status(code), status(code), body(b"whole"))

    async def scenario(mirror: OpenMirror, address: str) -> None:
        assert await mirror.fetch(address, bytes) == b"whole"

    run(answers.answer, scenario)
    assert answers.requests.total() == 3


@pytest.mark.parametrize("code", [404, 410])
def test_a_missing_file_is_asked_for_once(code: int) -> None:
    answers = Answers(status(code))

    async def scenario(mirror: OpenMirror, address: str) -> None:
        with pytest.raises(FileMissingError, match=str(code)):
            await mirror.fetch(address, bytes)

    run(answers.answer, scenario)
    assert answers.requests.total() == 1


def test_a_refusal_is_not_repeated() -> None:
    answers = Answers(status(403))

    async def scenario(mirror: OpenMirror, address: str) -> None:
        with pytest.raises(FileUnavailableError, match="403"):
            await mirror.fetch(f"{address}file", bytes)

    run(answers.answer, scenario)
    assert answers.requests["/file"] == 1


def test_a_file_that_never_comes_is_asked_for_as_often_as_the_policy_says() -> None:
    answers = Answers(status(503))

    async def answer(request: web.Request) -> web.StreamResponse:
        return await answers.answer(request) if request.path == "/file" else web.Response()

    async def scenario(mirror: OpenMirror, address: str) -> None:
        with pytest.raises(FileUnavailableError, match="503"):
            await mirror.fetch(f"{address}file", bytes)

    run(answer, scenario, RetryPolicy(wait=0, attempts=4))
    assert answers.requests["/file"] == 4


@pytest.mark.parametrize("code", [408, 504])
def test_a_file_of_which_the_server_says_that_time_ran_out_is_a_timeout(code: int) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=code if request.path == "/file" else 200)

    async def scenario(mirror: OpenMirror, address: str) -> None:
        with pytest.raises(FileTimeoutError) as caught:
            await mirror.fetch(f"{address}file", bytes)
        assert caught.value.reason == "timeout"

    run(answer, scenario)


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

    async def scenario(mirror: OpenMirror, address: str) -> None:
        with pytest.raises(error):
            await mirror.fetch(f"{address}file", Decoder([]).decode)

    run(answers.answer, scenario, RetryPolicy(wait=0, bad_bodies=3))
    assert answers.requests["/file"] == 3


@pytest.mark.parametrize(
    ("error", "requests"),
    [(CorruptFitsError, 2), (WrongTargetError, 2), (FitsError, 1), (NoPositionError, 1)],
)
def test_only_what_another_download_may_mend_is_asked_for_again(
    error: type[Exception], requests: int
) -> None:
    answers = Answers(body(b"bad"))

    def refuse(_body: bytes) -> None:
        raise error("bad")

    async def scenario(mirror: OpenMirror, address: str) -> None:
        with pytest.raises(error):
            await mirror.fetch(address, refuse)

    run(answers.answer, scenario, RetryPolicy(wait=0, bad_bodies=2))
    assert answers.requests.total() == requests


@pytest.mark.parametrize("content", [HTML, b"SIMPLE cut sho"])
def test_a_bad_body_that_passes_leaves_no_trace(content: bytes) -> None:
    answers = Answers(body(content), body(content), body(light_curve("a")))

    async def scenario(mirror: OpenMirror, address: str) -> None:
        assert await mirror.fetch(address, accept) == "a"

    run(answers.answer, scenario)


def short(*, announced: bool) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Send half of a light curve; with its whole length announced, or in chunks that end well."""
    content = light_curve("a" * 1000)

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if announced:
            response.content_length = len(content)
        else:
            response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(content[:500])
        if announced:
            assert request.transport
            request.transport.close()
        return response

    return answer


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_cut_off_is_asked_for_again(announced: bool) -> None:
    requests = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal requests
        requests += 1
        if requests < 3:
            return await short(announced=announced)(request)
        return web.Response(body=light_curve("a" * 1000))

    async def scenario(mirror: OpenMirror, address: str) -> None:
        assert await mirror.fetch(address, accept) == "a" * 1000

    run(answer, scenario)
    assert requests == 3


@pytest.mark.parametrize(
    ("announced", "error"), [(True, FileUnavailableError), (False, TruncatedFitsError)]
)
def test_a_body_that_stays_cut_off_is_recorded(announced: bool, error: type[Exception]) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await short(announced=announced)(request) if request.path > "/" else web.Response()

    async def scenario(mirror: OpenMirror, address: str) -> None:
        with pytest.raises(error):
            await mirror.fetch(f"{address}file", accept)

    run(answer, scenario)


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_makes_every_request_wait(form: str, code: int) -> None:
    wait = 0.4 if form == "seconds" else 2.0
    arrivals: list[float] = []

    async def handler(_: web.Request) -> web.StreamResponse:
        arrivals.append(time.monotonic())
        if len(arrivals) == 1:
            date = email.utils.formatdate(time.time() + wait, usegmt=True)
            value = str(wait) if form == "seconds" else date
            return web.Response(status=code, headers={"Retry-After": value})
        return web.Response(body=b"whole")

    async def scenario(mirror: OpenMirror, address: str) -> None:
        busy = asyncio.Event()
        rest = mirror._rest

        async def rest_and_tell() -> None:
            if arrivals:  # the answer "come later" has come
                busy.set()
            await rest()

        mirror._rest = rest_and_tell  # type: ignore[method-assign]
        first = asyncio.create_task(mirror.fetch(f"{address}busy", bytes))
        await busy.wait()
        others = [mirror.fetch(f"{address}{number}", bytes) for number in range(5)]
        assert set(await asyncio.gather(first, *others)) == {b"whole"}

    run(handler, scenario)
    waited = [at - arrivals[0] for at in arrivals[1:]]
    assert len(waited) == 6
    # A date has whole seconds, so up to one of them is lost.
    assert min(waited) > (wait if form == "seconds" else wait - 1.01) * 0.9


def test_a_retry_after_that_can_not_be_read_is_as_none() -> None:
    answers = Answers(status(503, Retry_After="soon"), body(b"whole"))

    async def scenario(mirror: OpenMirror, address: str) -> None:
        assert await mirror.fetch(address, bytes) == b"whole"

    run(answers.answer, scenario)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("nan", None),
        ("soon", None),
        ("120", 120.0),
        ("-5", 0.0),
        ("1e400", float("inf")),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 0.0),
        ("Thu, 99 Jan 1970 00:00:10 GMT", None),
        ("Thu, 01 Jan 99999999999999999999 00:00:10 GMT", None),
    ],
)
def test_retry_after_is_a_number_of_seconds_a_date_or_nothing(
    text: str | None, seconds: float | None
) -> None:
    assert retry_after(text) == seconds


def test_retry_after_is_believed_up_to_a_limit() -> None:
    answers = Answers(status(429, Retry_After="1e400"), body(b"whole"))

    async def scenario(mirror: OpenMirror, address: str) -> None:
        assert await mirror.fetch(address, bytes) == b"whole"

    run(answers.answer, scenario, RetryPolicy(wait=0, longest_retry_after=0.05))


def test_a_server_that_asks_for_no_time_is_given_some() -> None:
    answers = Answers(*[status(429, Retry_After="0")] * 2, body(b"whole"))
    waits: list[int] = []

    class Patient(RetryPolicy):
        def seconds(self, attempt: int) -> float:
            waits.append(attempt)
            return 0

    async def scenario(mirror: OpenMirror, address: str) -> None:
        assert await mirror.fetch(address, bytes) == b"whole"

    run(answers.answer, scenario, Patient())
    assert waits == [1, 2]


def test_waits_double_up_to_the_longest_and_are_shortened_by_chance() -> None:
    policy = RetryPolicy(wait=1, longest_wait=8, ask_again=10, longest_ask_again=30)
    for attempt, longest in enumerate((1, 2, 4, 8, 8, 8), start=1):
        waits = [policy.seconds(attempt) for _ in range(50)]
        assert longest / 2 <= min(waits) < max(waits) <= longest
    assert max(policy.seconds_down(number) for number in range(1, 50)) <= 30


def test_one_slow_answer_does_not_hold_up_the_window() -> None:
    release = asyncio.Event()
    done: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/0":
            await release.wait()
        return web.Response(body=request.path.encode())

    async def scenario(mirror: OpenMirror, address: str) -> None:
        async def get(number: int) -> None:
            done.append((await mirror.fetch(f"{address}{number}", bytes)).decode())
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

    async def scenario(mirror: OpenMirror, address: str) -> None:
        async def get(number: int) -> None:
            await mirror.fetch(f"{address}{number}", bytes)

        await slide(50, range(300), get)

    run(handler, scenario, connections=5)
    assert len(peers) <= 5
    assert most <= 5


def test_places_are_given_back_whatever_ends_a_request() -> None:
    hanging = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/hang":
            await hanging.wait()
        if request.path == "/cut":
            return await short(announced=True)(request)
        return web.Response(status=404 if request.path == "/missing" else 200, body=b"x" * 10**6)

    async def scenario(mirror: OpenMirror, address: str) -> None:
        for path in ("hang", "cut", "missing"):
            tasks = [
                asyncio.create_task(mirror.fetch(f"{address}{path}", bytes)) for _ in range(20)
            ]
            await asyncio.wait(tasks, timeout=0.05 if path == "hang" else 10)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert mirror.window.under_way == 0
        hanging.set()
        pieces = mirror.stream(f"{address}script")
        await anext(pieces)
        assert mirror.window.under_way == 1
        await pieces.aclose()
        assert mirror.window.under_way == 0

    run(handler, scenario, connections=3)


def test_the_window_shrinks_when_the_server_refuses_and_grows_while_it_answers() -> None:
    refuse = False

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(status=429 if refuse else 200, body=b"")

    async def scenario(mirror: OpenMirror, address: str) -> None:
        nonlocal refuse

        async def get(number: int) -> None:
            await mirror.fetch(f"{address}{number}", bytes)

        await slide(64, range(500), get)
        assert mirror.window.size > 8
        refuse = True
        with pytest.raises(FileUnavailableError):
            await get(0)
        assert mirror.window.size == 1
        health = mirror.health()
        assert health["window"] == 1
        assert health["answers"] == 500
        assert health["faults"] >= 6

    run(handler, scenario, RetryPolicy(wait=0, flat=1000), connections=64)


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


def test_the_archive_is_told_who_asks() -> None:
    agents: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        agents.append(request.headers["User-Agent"])
        return web.Response(body=b"whole")

    async def scenario(mirror: OpenMirror, address: str) -> None:
        await mirror.fetch(address, bytes)

    run(answer, scenario, AT_ONCE)
    assert agents == [f"tessloom/{tessloom.__version__} (https://pypi.org/project/tessloom)"]
