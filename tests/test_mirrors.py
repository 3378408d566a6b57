"""Each file comes from the first mirror that has it, in the order S3, static archive, gateway."""

import asyncio
import time

import pytest
from aiohttp import web

from local_archive import HTML, ThreeMirrors, accept, outcomes, status
from tessloom.archive import (
    ARCHIVES,
    GATEWAY,
    S3,
    STATIC,
    RetryPolicy,
    find_archive,
    open_mirror,
    with_policy,
)
from tessloom.archive.holdings import MISSES
from tessloom.archive.http_archive import HttpArchive
from tessloom.demo import DemoServer
from tessloom.errors import FileMissingError, FileUnavailableError, NotFitsError, RequestError


def paths(count: int, sector: int = 23) -> list[str]:
    return [f"qlp/s{sector:04d}/{number}.fits" for number in range(count)]


def test_a_file_comes_from_s3_and_nobody_else_is_asked() -> None:
    three = ThreeMirrors()

    async def scenario(archive: HttpArchive) -> None:
        assert await outcomes(archive, paths(20)) == paths(20)

    three.run(scenario)
    assert sorted(three.asked["s3"]) == sorted(paths(20))
    assert not three.asked["static"]
    assert not three.asked["gateway"]


def test_what_one_mirror_lacks_comes_from_the_next() -> None:
    three = ThreeMirrors()
    one, two, three_, four = paths(4)
    three.held = {"s3": {one}, "static": {one, two}, "gateway": {one, two, three_}}

    async def scenario(archive: HttpArchive) -> None:
        *found, missing = await outcomes(archive, [one, two, three_, four])
        assert found == [one, two, three_]
        assert isinstance(missing, FileMissingError)

    three.run(scenario)
    assert sorted(three.asked["s3"]) == [one, two, three_, four]
    assert sorted(three.asked["static"]) == [two, three_, four]
    assert sorted(three.asked["gateway"]) == [three_, four]


def test_a_web_page_may_mean_missing_and_all_mirrors_have_a_word() -> None:
    three = ThreeMirrors()
    (path,) = paths(1)
    three.held = {"s3": {path}, "static": set(), "gateway": set()}
    three.trouble["s3"] = lambda _: web.Response(body=HTML)

    async def scenario(archive: HttpArchive) -> None:
        (error,) = await outcomes(archive, [path])
        assert isinstance(error, FileMissingError)

    three.run(scenario)

    three = ThreeMirrors()
    three.held["static"] = set()
    three.trouble["gateway"] = lambda p: web.Response(body=HTML) if p else None

    async def other(archive: HttpArchive) -> None:
        (error,) = await outcomes(archive, [path])
        assert isinstance(error, FileMissingError)

    three.run(other, "static,gateway")

    three = ThreeMirrors()
    for name in ("static", "gateway"):
        three.trouble[name] = lambda p: web.Response(body=HTML) if p else None

    async def pages(archive: HttpArchive) -> None:
        (error,) = await outcomes(archive, [path])
        assert isinstance(error, NotFitsError)

    three.run(pages, "static,gateway")


@pytest.mark.parametrize(
    "content", [HTML, b"SIMPLE cut sho", b""], ids=["web page", "cut short", "nothing"]
)
def test_a_bad_body_at_one_mirror_and_a_good_one_at_the_next_gives_the_good_one(
    content: bytes,
) -> None:
    three = ThreeMirrors()
    bad = paths(1)[0]
    three.trouble["s3"] = lambda path: web.Response(body=content) if path == bad else None

    async def scenario(archive: HttpArchive) -> None:
        assert await outcomes(archive, paths(3)) == paths(3)

    three.run(scenario)
    assert three.asked["static"] == [bad]


def test_one_request_tells_that_s3_lacks_a_sector() -> None:
    three = ThreeMirrors()
    three.held["s3"] = {"qlp/s0022/1.fits"}

    async def scenario(archive: HttpArchive) -> None:
        assert await outcomes(archive, paths(200)) == paths(200)
        assert await outcomes(archive, paths(200)) == paths(200)

    three.run(scenario)
    assert three.listings == ["mast/hlsp/qlp/s0023/"]
    assert not three.asked["s3"]
    assert len(three.asked["static"]) == 400


def test_each_sector_and_each_open_archive_asks_once() -> None:
    three = ThreeMirrors()

    async def scenario(archive: HttpArchive) -> None:
        await outcomes(archive, paths(200) + paths(200, 24))

    three.run(scenario)
    assert sorted(three.listings) == ["mast/hlsp/qlp/s0023/", "mast/hlsp/qlp/s0024/"]
    three.run(scenario)
    assert len(three.listings) == 4


@pytest.mark.parametrize("listing", [503, 403, 404, "page", "other"])
def test_where_the_listing_tells_nothing_the_files_do(listing: int | str) -> None:
    three = ThreeMirrors()
    three.held["s3"] = set()

    def trouble(path: str) -> web.Response | None:
        if not path.startswith("mast/"):
            return None
        if isinstance(listing, int):
            return web.Response(status=listing)
        return web.Response(body=HTML if listing == "page" else b"<not xml")

    three.trouble["s3"] = trouble

    async def scenario(archive: HttpArchive) -> None:
        for path in paths(MISSES + 20):
            assert await archive.fetch(path, accept) == path

    three.run(scenario)
    assert len(three.listings) == 1
    assert len([path for path in three.asked["s3"] if path]) == MISSES


def test_a_mirror_without_a_listing_that_lacked_so_many_is_not_asked_on() -> None:
    three = ThreeMirrors()
    absent = status(404)
    three.trouble["static"] = lambda path: absent() if path.startswith("qlp/s0023") else None

    async def scenario(archive: HttpArchive) -> None:
        for path in paths(MISSES + 20):
            assert await archive.fetch(path, accept) == path
        # Of another sector it is asked.
        (other,) = paths(1, 24)
        assert await archive.fetch(other, accept) == other

    three.run(scenario, "static,gateway", RetryPolicy(wait=0, bad_bodies=1))
    assert len([path for path in three.asked["static"] if path]) == MISSES + 1
    assert three.asked["gateway"] == paths(MISSES + 20)


def test_a_mirror_that_had_one_file_of_a_sector_is_asked_on() -> None:
    three = ThreeMirrors()
    three.held["static"] = {paths(1)[0]}

    async def scenario(archive: HttpArchive) -> None:
        for path in paths(100):
            assert await archive.fetch(path, accept) == path

    three.run(scenario, "static,gateway")
    assert len(three.asked["static"]) == 100


def test_the_last_mirror_is_asked_for_each_file() -> None:
    three = ThreeMirrors()
    three.held = {"s3": set(), "static": set(), "gateway": {paths(100)[-1]}}

    async def scenario(archive: HttpArchive) -> None:
        *missing, last = await outcomes(archive, paths(100))
        assert all(isinstance(error, FileMissingError) for error in missing)
        assert last == paths(100)[-1]

    three.run(scenario)
    assert sorted(three.asked["gateway"]) == sorted(paths(100))

    async def one_by_one(archive: HttpArchive) -> None:
        for path in paths(100):
            await outcomes(archive, [path])

    three = ThreeMirrors()
    three.held = {"s3": set(), "static": set(), "gateway": set()}
    three.run(one_by_one)
    assert len(three.asked["static"]) == MISSES
    assert three.asked["gateway"] == paths(100)


@pytest.mark.parametrize("name", ["s3", "static", "gateway"])
def test_a_mirror_that_is_named_is_asked_alone(name: str) -> None:
    three = ThreeMirrors()
    three.held[name] = {"qlp/s0023/0.fits"}

    async def scenario(archive: HttpArchive) -> None:
        found, missing = await outcomes(archive, paths(2))
        assert found == "qlp/s0023/0.fits"
        assert isinstance(missing, FileMissingError)

    three.run(scenario, name)
    assert {mirror for mirror, asked in three.asked.items() if asked} == {name}


@pytest.mark.parametrize("connections", [None, 1, 5, 500])
def test_the_gateway_never_sees_more_than_eight_at_a_time(connections: int | None) -> None:
    three = ThreeMirrors()
    # Also not while it is asked whether it is down.
    three.trouble["gateway"] = lambda path: (
        web.Response(status=503) if path.endswith("7.fits") else None
    )

    async def scenario(archive: HttpArchive) -> None:
        found = await outcomes(archive, paths(200))
        assert sum(isinstance(error, FileUnavailableError) for error in found) == 20

    policy = RetryPolicy(wait=0, ask_again=0.01, decrease=1.0)
    three.run(scenario, "gateway", policy, connections)
    assert three.most["gateway"] == min(8, connections or 8)


def test_what_a_mirror_that_rests_has_is_waited_for() -> None:
    three = ThreeMirrors()
    three.held["static"] = set()
    (path,) = paths(1)

    async def scenario(archive: HttpArchive) -> None:
        static, gateway = archive._files
        asked_at: list[float] = []
        three.trouble["gateway"] = lambda _: asked_at.append(time.monotonic())
        gateway._resume_at = time.monotonic() + 0.2
        resume_at = gateway._resume_at
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(open_mirror, "_LONG_REST", 0.1)
            assert not gateway.available
            assert await archive.fetch(path, accept) == path
        assert static.available
        assert asked_at[0] >= resume_at

    three.run(scenario, "static,gateway")
    assert three.asked["gateway"] == [path]


def test_others_are_asked_first_while_a_mirror_rests() -> None:
    three = ThreeMirrors()

    async def scenario(archive: HttpArchive) -> None:
        loop = asyncio.get_running_loop()
        archive._files[0]._resume_at = loop.time() + 3600
        assert await outcomes(archive, paths(10)) == paths(10)

    three.run(scenario)
    assert not three.listings
    assert not three.asked["s3"]
    assert len(three.asked["static"]) == 10


def test_who_asked_when_a_mirror_begins_to_rest_goes_to_the_next() -> None:
    three = ThreeMirrors()
    three.trouble["s3"] = lambda path: (
        web.Response(status=503, headers={"Retry-After": "3600"}) if path in paths(100) else None
    )

    async def scenario(archive: HttpArchive) -> None:
        assert await outcomes(archive, paths(100)) == paths(100)

    three.run(scenario)
    assert 1 <= len(three.asked["s3"]) <= 10
    assert three.said == ["s3 wants a rest of 10.0 minutes (HTTP 503 Service Unavailable)"]


def test_a_mirror_alone_that_begins_to_rest_is_waited_for() -> None:
    three = ThreeMirrors()
    refusals = [web.Response(status=429, headers={"Retry-After": "1"})]
    three.trouble["static"] = lambda _: refusals.pop() if refusals else None

    async def scenario(archive: HttpArchive) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(open_mirror, "_LONG_REST", 0.01)
            assert await outcomes(archive, paths(5)) == paths(5)
        assert not refusals

    three.run(scenario, "static", RetryPolicy(wait=0, longest_retry_after=0.1))


@pytest.mark.parametrize("path", ["../../etc/passwd", "http://192.0.2.1/x", "//192.0.2.1/x", "a b"])
def test_whatever_a_path_is_it_is_asked_for_below_the_mirror(path: str) -> None:
    three = ThreeMirrors()

    async def scenario(archive: HttpArchive) -> None:
        await outcomes(archive, [path])

    three.run(scenario, "gateway")
    assert all(three.asked[mirror] == [] for mirror in ("s3", "static"))
    assert len(three.asked["gateway"]) <= 2


def shares(name: str, workers: int, connections: int | None = None) -> dict[str, int]:
    async def opened() -> dict[str, int]:
        archive = with_policy(ARCHIVES[name], connections=connections)
        async with archive.open(workers) as opened_archive:
            return {m.mirror.name: m.window.most for m in opened_archive._files}

    return asyncio.run(opened())


def test_workers_share_a_mirror_s_connections() -> None:
    assert shares("mast", 1) == {"s3": 256, "static": 128, "gateway": 8}
    assert shares("mast", 3) == {"s3": 85, "static": 42, "gateway": 2}
    assert shares("mast", 2, connections=64) == {"s3": 32, "static": 32, "gateway": 4}
    assert shares("gateway", 2, connections=64) == {"gateway": 4}


def test_a_mirror_with_fewer_connections_than_workers_is_left_out() -> None:
    assert shares("mast", 16) == {"s3": 16, "static": 8}
    with pytest.raises(RequestError, match="9 workers can't share 8 connections to gateway"):
        shares("gateway", 9)
    with pytest.raises(RequestError, match="5 workers can't share 4 connections to mast"):
        shares("mast", 5, connections=4)


def test_mirrors_are_named_alone_or_with_commas() -> None:
    mast = find_archive("mast")
    assert mast is ARCHIVES["mast"]
    assert ARCHIVES["mast"].for_files == (S3, STATIC, GATEWAY)
    several = find_archive("gateway, s3,http://127.0.0.1:1/x,s3")
    assert [mirror.address for mirror in several.for_files] == [  # type: ignore[attr-defined]
        GATEWAY.address,
        S3.address,
        "http://127.0.0.1:1/x/",
    ]
    assert several.name == "gateway,s3,http://127.0.0.1:1/x/,s3"
    for wrong in ("s3,no-such-mirror", "s3,ftp://x/", "http://[/", "https://", "nothing", ","):
        with pytest.raises(RequestError):
            find_archive(wrong)


def test_the_demo_archive_is_three_mirrors_of_which_s3_lags(server: DemoServer) -> None:
    from tessloom.building.opening import demo_mirrors
    from tessloom.demo.products import light_curves

    before = {name: sum(count.values()) for name, count in server.requests_of.items()}
    held = list(light_curves("qlp", 23))[:5]
    newest = list(light_curves("qlp", 57))[:5]

    async def scenario() -> None:
        async with demo_mirrors(server).open() as archive:
            for path in held + newest:
                assert (await archive.fetch(path, bytes)).startswith(b"SIMPLE")

    asyncio.run(scenario())
    asked = {name: sum(count.values()) - before[name] for name, count in server.requests_of.items()}
    assert asked == {"s3": 5, "static": 5, "gateway": 0}
