"""A mirror that is down is waited for, and no target is lost; a single bad file takes none down."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from aiohttp import web

from local_archive import (
    AT_ONCE,
    HTML,
    ThreeMirrors,
    accept,
    light_curve,
    opened,
    outcomes,
    serving,
)
from tessloom.archive import RetryPolicy, slide
from tessloom.archive.http_archive import HttpArchive
from tessloom.archive.open_mirror import MirrorDownError
from tessloom.archive.outage import Outage, wait_for_one_of
from tessloom.errors import (
    ArchiveError,
    FileMissingError,
    FileTimeoutError,
    FileUnavailableError,
    NotFitsError,
)

PATHS = [f"qlp/s0023/{number}.fits" for number in range(200)]
DOWN: dict[str, Callable[[], web.Response]] = {
    "503": lambda: web.Response(status=503),
    "web pages": lambda: web.Response(body=HTML),
    "429": lambda: web.Response(status=429),
    "403": lambda: web.Response(status=403),
}


class Maintenance:
    """Takes mirrors down after so many answers of each, until somebody is told that one is."""

    def __init__(self, three: ThreeMirrors, how: str, mirrors: tuple[str, ...], after: int) -> None:
        self.said: list[str] = []
        self.over = False
        self._how = how
        self._after = after
        self._three = three
        for mirror in mirrors:
            three.trouble[mirror] = partial(self._trouble, mirror)
        three.say = self.say

    def _trouble(self, mirror: str, _path: str) -> web.Response | None:
        if self.over or len(self._three.asked[mirror]) <= self._after:
            return None
        return DOWN[self._how]()

    def say(self, text: str) -> None:
        self.said.append(text)
        self.over = True


@pytest.mark.parametrize("after", [0, 1, 50])
@pytest.mark.parametrize("connections", [1, 8])
@pytest.mark.parametrize("how", ["503", "429"])
def test_a_mirror_that_goes_down_is_waited_for_and_no_target_is_lost(
    how: str, connections: int, after: int
) -> None:
    three = ThreeMirrors()
    maintenance = Maintenance(three, how, ("static",), after)

    async def scenario(archive: HttpArchive) -> None:
        assert await outcomes(archive, PATHS) == PATHS

    three.run(scenario, "static", connections=connections)
    down, up = maintenance.said
    assert down.startswith(f"static is down (HTTP {how}")
    assert up.startswith("static answers again, after 0.0 minutes")


@pytest.mark.parametrize("connections", [1, 8])
@pytest.mark.parametrize("how", ["web pages", "403"])
def test_a_mirror_that_answers_nonsense_is_down(how: str, connections: int) -> None:
    three = ThreeMirrors()
    maintenance = Maintenance(three, how, ("static",), 50)

    async def scenario(archive: HttpArchive) -> None:
        assert await outcomes(archive, PATHS) == PATHS

    three.run(scenario, "static", connections=connections)
    assert len(maintenance.said) == 2


@pytest.mark.parametrize("connections", [1, 8])
def test_a_mirror_where_nobody_listens_any_more_is_waited_for(connections: int) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0)
        return web.Response(body=light_curve(request.path[1:]))

    async def scenario() -> None:
        address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        half, down, end = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def serve() -> None:
            async with serving(answer) as root:
                address.set_result(root)
                await half.wait()
            await down.wait()
            async with serving(answer, int(root.rstrip("/").rpartition(":")[2])):
                await end.wait()

        said: list[str] = []
        got: list[str] = []

        def say(text: str) -> None:
            said.append(text)
            down.set()

        async def get(path: str) -> None:
            while True:  # as `HttpArchive.fetch` does
                try:
                    got.append(await mirror.fetch(root + path, accept))
                except MirrorDownError:
                    await wait_for_one_of([mirror.outage], 20)
                else:
                    break
            if len(got) == 50:
                half.set()

        server = asyncio.create_task(serve())
        root = await address
        async with opened(root, AT_ONCE, connections, say=say) as mirror:
            await slide(20, PATHS, get)
        end.set()
        await server
        assert sorted(got) == sorted(PATHS)
        assert len(said) == 2

    asyncio.run(scenario())


def test_while_one_mirror_is_down_the_others_are_used() -> None:
    three = ThreeMirrors()
    three.trouble["s3"] = lambda path: (
        web.Response(status=503) if not path.startswith("mast/") else None
    )

    async def scenario(archive: HttpArchive) -> None:
        assert await outcomes(archive, PATHS) == PATHS
        asked = len(three.asked["s3"])
        assert await outcomes(archive, PATHS) == PATHS
        assert len(three.asked["s3"]) == asked

    three.run(scenario, policy=RetryPolicy(wait=0, ask_again=3600))
    assert len(three.said) == 1
    assert three.said[0].startswith("s3 is down (HTTP 503")
    assert "up to 360 minutes" in three.said[0]


def test_a_mirror_that_is_up_again_is_used_again() -> None:
    three = ThreeMirrors()
    maintenance = Maintenance(three, "503", ("s3",), 20)

    async def scenario(archive: HttpArchive) -> None:
        assert await outcomes(archive, PATHS) == PATHS
        await archive._files[0].outage.up.wait()
        assert len(maintenance.said) == 2
        static = len(three.asked["static"])
        assert await outcomes(archive, PATHS) == PATHS
        assert len(three.asked["static"]) == static

    three.run(scenario)


@pytest.mark.parametrize("how", ["503", "web pages"])
def test_when_all_are_down_for_too_long_it_is_the_end(how: str) -> None:
    three = ThreeMirrors()
    down = False
    for mirror in three.asked:
        three.trouble[mirror] = lambda _path: DOWN[how]() if down else None
    kept: list[str] = []

    async def scenario(archive: HttpArchive) -> None:
        async def get(path: str) -> None:
            nonlocal down
            down = len(kept) >= 20
            kept.append(await archive.fetch(path, accept))

        # So that each has given something.
        firsts = [mirror.fetch(mirror.address_of(PATHS[0]), accept) for mirror in archive._files]
        kept.extend(await asyncio.gather(*firsts))
        message = (
            r"the archive is down: s3 and static and gateway did not answer for 0\.00\d+ minutes "
            r"\(.*\)\. What is finished is kept: run the same command again later"
        )
        with pytest.raises(ArchiveError, match=message):
            await slide(10, PATHS, get)
        # Only the question whether it is up may be under way.
        assert all(mirror.window.under_way <= 1 for mirror in archive._files)

    three.run(scenario, policy=RetryPolicy(wait=0, ask_again=0.01, give_up_after=0.1))
    assert 20 <= len(kept) < 40
    assert len(three.said) == 3


@pytest.mark.parametrize("bad", [1, 80])
def test_files_that_always_fail_are_recorded_and_do_not_take_a_mirror_down(bad: int) -> None:
    """Not even if nothing else is asked for any more, as when failed targets are asked again."""
    three = ThreeMirrors()
    three.trouble["static"] = lambda path: web.Response(status=503) if path in PATHS[:bad] else None

    async def scenario(archive: HttpArchive) -> None:
        if bad == 1:
            await outcomes(archive, PATHS[bad:])
        found = await outcomes(archive, PATHS[:bad])
        assert all(type(error) is FileUnavailableError for error in found)

    three.run(scenario, "static")
    assert three.said == []
    for path in PATHS[:bad]:
        assert three.asked["static"].count(path) == AT_ONCE.attempts


def test_web_pages_in_place_of_single_files_do_not_take_a_mirror_down() -> None:
    three = ThreeMirrors()
    three.trouble["static"] = lambda path: web.Response(body=HTML) if path in PATHS[100:] else None

    async def scenario(archive: HttpArchive) -> None:
        found = await outcomes(archive, PATHS)
        assert found[:100] == PATHS[:100]
        assert all(isinstance(error, NotFitsError) for error in found[100:])

    three.run(scenario, "static")
    assert three.said == []


def test_an_answer_in_between_shows_that_the_mirror_is_well() -> None:
    three = ThreeMirrors()
    three.trouble["static"] = lambda path: (
        web.Response(status=404 if path == "missing" else 503) if path else None
    )

    async def scenario(archive: HttpArchive) -> None:
        for path in PATHS[:10]:
            with pytest.raises(FileUnavailableError):
                await archive.fetch(path, accept)
            with pytest.raises(FileMissingError):
                await archive.fetch("missing", accept)

    three.run(scenario, "static", RetryPolicy(wait=0, attempts=1, down_after=2))
    assert three.said == []


def test_a_single_file_that_hangs_is_a_timeout() -> None:
    hanging = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/hang":
            await hanging.wait()
        return web.Response(body=light_curve(request.path))

    async def scenario() -> None:
        said: list[str] = []
        policy = RetryPolicy(wait=0, silence=0.3, attempts=2)
        async with serving(answer) as address, opened(address, policy, say=said.append) as mirror:
            await mirror.fetch(address, accept)
            with pytest.raises(FileTimeoutError) as caught:
                await mirror.fetch(f"{address}hang", accept)
            assert caught.value.reason == "timeout"
            assert mirror.window.size < 8
            assert await mirror.fetch(f"{address}other", accept) == "/other"
            hanging.set()
        assert said == []

    asyncio.run(scenario())


def test_a_file_that_dribbles_for_ever_is_a_timeout() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if request.path == "/":
            return web.Response()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.01)
        except ConnectionError:
            return response

    async def scenario() -> None:
        policy = RetryPolicy(wait=0, longest_answer=0.3, attempts=2)
        async with serving(answer) as address, opened(address, policy) as mirror:
            with pytest.raises(FileTimeoutError):
                await mirror.fetch(f"{address}slow", accept)
            assert mirror.window.under_way == 0

    asyncio.run(scenario())


def test_a_mirror_that_is_down_is_waited_for_where_the_others_lack_the_file() -> None:
    three = ThreeMirrors()
    three.held["static"] = set(PATHS[:100])
    refusals = iter(range(40))
    three.trouble["gateway"] = lambda _: (
        web.Response(status=503) if next(refusals, None) is not None else None
    )

    async def scenario(archive: HttpArchive) -> None:
        assert await outcomes(archive, PATHS[90:110]) == PATHS[90:110]

    three.run(scenario, "static,gateway", RetryPolicy(wait=0, ask_again=0.01))


class Questions:
    """Answers the questions of an `Outage` from a list, and counts them."""

    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def answer(self) -> bool:
        self.asked += 1
        await asyncio.sleep(0)
        return self.answers.pop(0)


def test_many_doubts_at_once_are_one_question() -> None:
    async def scenario() -> None:
        questions = Questions(True, False, False, True)
        said: list[str] = []
        outage = Outage("m", RetryPolicy(ask_again=0.001), questions.answer, said.append)
        assert not any(await asyncio.gather(*(outage.is_down("x") for _ in range(50))))
        assert questions.asked == 1
        assert all(await asyncio.gather(*(outage.is_down("x") for _ in range(50))))
        assert questions.asked == 2
        outage.answered()  # a request that had been sent before
        assert outage.down
        await asyncio.wait_for(outage.up.wait(), 10)
        assert questions.asked == 4
        assert not outage.down
        assert len(said) == 2
        await outage.close()

    asyncio.run(scenario())


def test_so_many_failures_in_a_row_raise_the_question() -> None:
    async def scenario() -> None:
        questions = Questions(True, False)
        outage = Outage(
            "m", RetryPolicy(down_after=3, ask_again=3600), questions.answer, lambda _: None
        )

        async def fail(times: int) -> None:
            for _ in range(times):
                outage.failed("x")
            for _ in range(5):
                await asyncio.sleep(0)

        await fail(2)
        outage.answered()
        await fail(2)
        assert questions.asked == 0
        await fail(10)
        assert questions.asked == 1
        assert not outage.down
        await fail(2)
        assert questions.asked == 1
        await fail(1)
        assert questions.asked == 2
        assert outage.down
        with pytest.raises(ArchiveError, match="m did not answer"):
            await wait_for_one_of([outage], 0.01)
        await outage.close()
        await fail(10)
        assert questions.asked == 2
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())


def test_the_question_goes_before_all_requests_that_wait() -> None:
    order: list[str] = []
    hanging = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        order.append(request.path)
        if request.path == "/0":
            await hanging.wait()
        return web.Response(body=light_curve(request.path))

    async def scenario() -> None:
        async with serving(answer) as address, opened(address, connections=1) as mirror:
            files = [
                asyncio.create_task(mirror.fetch(f"{address}{number}", accept))
                for number in range(5)
            ]
            await asyncio.sleep(0)
            question = asyncio.create_task(mirror.outage.is_down("x"))
            for _ in range(5):
                await asyncio.sleep(0)
            hanging.set()
            assert not await question
            await asyncio.gather(*files)

    asyncio.run(scenario())
    assert order == ["/0", "/0", "/1", "/2", "/3", "/4"]


def test_who_stops_waiting_leaves_the_question_to_the_others() -> None:
    async def scenario() -> None:
        asked = asyncio.Event()

        async def answer() -> bool:
            await asked.wait()
            return True

        outage = Outage("m", RetryPolicy(), answer, lambda _: None)
        one, other = (asyncio.create_task(outage.is_down("x")) for _ in range(2))
        await asyncio.sleep(0)
        one.cancel()
        asked.set()
        assert not await other
        with pytest.raises(asyncio.CancelledError):
            await one
        await outage.close()

    asyncio.run(scenario())
