"""Scripts, target lists and the index come from the mirror that has them and is up."""

import asyncio
import socket
from contextlib import aclosing
from dataclasses import replace

import pytest
from aiohttp import web

from local_archive import HTML, Answers, body, serving, status
from tessloom.archive import Mirror, Mirrors, RetryPolicy
from tessloom.archive.http_archive import HttpArchive
from tessloom.building.opening import demo_mirrors
from tessloom.demo import DemoServer, Faults
from tessloom.errors import ArchiveError, FileMissingError, UnknownSectorError
from tessloom.pipelines import QLP

QUICK = RetryPolicy(wait=0, ask_again=0.01)


async def script_of(archive: HttpArchive, sector: int = 23) -> bytes:
    async with aclosing(archive.script(QLP, sector)) as pieces:
        return b"".join([piece async for piece in pieces])


async def target_list_of(archive: HttpArchive, sector: int = 23) -> bytes:
    async with aclosing(archive.target_list(QLP, sector)) as pieces:
        return b"".join([piece async for piece in pieces])


def demo(server: DemoServer) -> Mirrors:
    return replace(demo_mirrors(server), policy=QUICK)


def at(address: str, *names: str) -> Mirrors:
    """Return an archive of mirrors that are directories of a server."""
    mirrors = tuple(Mirror(name=name, address=f"{address}{name}/") for name in names)
    return Mirrors(name="own", for_files=mirrors, for_lists=mirrors, policy=QUICK)


def test_while_the_static_archive_is_down_the_gateway_is_asked(server: DemoServer) -> None:
    async def scenario() -> None:
        async with demo(server).open() as archive:
            sound = await script_of(archive), await target_list_of(archive)
        with DemoServer(Faults(down_static=True)) as faulty:
            said: list[str] = []
            async with demo(faulty).open(say=said.append) as archive:
                asked = await script_of(archive), await target_list_of(archive)
            assert sum(faulty.requests_of["gateway"].values()) == 2
            other = faulty.address.encode(), server.address.encode()
            assert tuple(text.replace(*other) for text in asked) == sound
            assert len(said) == 1
            assert "static is down" in said[0]

    asyncio.run(scenario())


def test_maintenance_at_the_start_of_a_script_is_waited_for() -> None:
    with DemoServer(Faults(down=True)) as faulty:
        said: list[str] = []

        def say(text: str) -> None:
            said.append(text)
            if len(said) == 2:  # both are down
                faulty.faults = Faults()

        async def scenario() -> None:
            async with demo(faulty).open(say=say) as archive:
                assert (await script_of(archive)).startswith(b"#!")

        asyncio.run(scenario())
        assert "answers again" in said[2]


def test_maintenance_in_the_middle_of_a_script_is_waited_for(server: DemoServer) -> None:
    async def scenario() -> None:
        async with demo(server).open() as archive:
            sound = await script_of(archive)
        with DemoServer(Faults(script_cut=1)) as faulty:

            def say(_text: str) -> None:
                faulty.faults = Faults()

            async with (
                demo(faulty).open(say=say) as archive,
                aclosing(archive.script(QLP, 23)) as pieces,
            ):
                read = await anext(pieces)
                faulty.faults = Faults(down=True)
                async for piece in pieces:
                    read += piece
            assert read.replace(faulty.address.encode(), server.address.encode()) == sound
            # It is not begun anew elsewhere.
            assert not faulty.requests_of["gateway"]

    asyncio.run(scenario())


def test_maintenance_that_takes_too_long_is_an_error() -> None:
    with DemoServer(Faults(down=True)) as faulty:

        async def scenario() -> None:
            policy = replace(QUICK, give_up_after=0.1)
            async with replace(demo_mirrors(faulty), policy=policy).open() as archive:
                with pytest.raises(ArchiveError, match="static and gateway did not answer"):
                    await script_of(archive)

        asyncio.run(scenario())


def test_where_nothing_listens_it_is_an_error_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    async def scenario() -> None:
        said: list[str] = []
        async with at(f"http://127.0.0.1:{port}/", "a", "b").open(say=said.append) as archive:
            with pytest.raises(ArchiveError, match=rf"can't read http://127.0.0.1:{port}/a.*Check"):
                await script_of(archive)
            with pytest.raises(ArchiveError, match="can't read"):
                await archive.sectors(QLP)
        assert said == []

    asyncio.run(scenario())


@pytest.mark.parametrize("answer", [404, 403, "page"])
def test_what_the_first_mirror_lacks_comes_from_the_next(answer: int | str) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/second/"):
            return web.Response(body=b"the script")
        if isinstance(answer, int):
            return web.Response(status=answer)
        return web.Response(body=b"  \n" + HTML)

    async def scenario() -> None:
        async with (
            serving(handler) as address,
            at(address, "first", "second").open() as archive,
        ):
            assert await script_of(archive) == b"the script"
            assert await target_list_of(archive) == b"the script"

    asyncio.run(scenario())


def test_a_script_under_another_name_is_found_in_the_index() -> None:
    names = [f"hlsp_qlp_tess_ffi_s0023_tess_v{version:02d}_llc-fits.sh" for version in (2, 9, 3)]
    index = "".join(f'<a href="{name}">x</a>' for name in names).encode()

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == f"/own/{QLP.script_directory}":
            return web.Response(body=index)
        found = request.path.endswith(names[1])
        return web.Response(body=b"the script") if found else web.Response(status=404)

    async def scenario() -> None:
        async with serving(handler) as address, at(address, "own").open() as archive:
            assert await script_of(archive) == b"the script"
            with pytest.raises(UnknownSectorError, match=r"no sector 24 .*; it has: 23"):
                await script_of(archive, 24)
            with pytest.raises(FileMissingError):
                await target_list_of(archive)

    asyncio.run(scenario())


def test_web_pages_that_pass_leave_no_trace() -> None:
    """As a sector without a script, or a list of targets that nobody has a position for, would."""
    index = b"<a href=hlsp_qlp_s0023_tess_v1.sh>"
    answers = Answers(body(HTML), body(HTML), body(b"text"))
    indices = Answers(body(HTML), body(HTML), body(index))

    async def handler(request: web.Request) -> web.StreamResponse:
        chosen = indices if request.path.endswith("/") else answers
        return await chosen.answer(request)

    async def scenario() -> None:
        async with serving(handler) as address, at(address, "own").open() as archive:
            assert await script_of(archive) == b"text"
            assert await target_list_of(archive) == b"text"
            assert await archive.sectors(QLP) == [23]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (status(404), "has no index of scripts"),
        (body(HTML), "names no script"),
        (body(b""), "names no script"),
        (body(b" " * (5 * 2**20)), "no index page"),
    ],
)
def test_an_index_that_is_none_is_an_error(answer: object, message: str) -> None:
    async def scenario() -> None:
        async with (
            serving(Answers(answer).answer) as address,  # type: ignore[arg-type]
            at(address, "own").open() as archive,
        ):
            with pytest.raises(ArchiveError, match=message):
                await archive.sectors(QLP)

    asyncio.run(scenario())


def test_in_an_index_numbers_above_200_are_no_sectors() -> None:
    index = "".join(f"<a href=hlsp_qlp_s{n:04d}_tess_v1.sh>" for n in (7, 200, 201, 9999)).encode()

    async def scenario() -> None:
        async with (
            serving(Answers(body(index)).answer) as address,
            at(address, "own").open() as archive,
        ):
            assert await archive.sectors(QLP) == [7, 200]

    asyncio.run(scenario())


def test_who_needs_no_more_of_a_script_gives_the_place_back(server: DemoServer) -> None:
    async def scenario() -> None:
        async with demo(server).open() as archive:
            async with aclosing(archive.script(QLP, 23)) as pieces:
                await anext(pieces)
            assert all(mirror.window.under_way == 0 for mirror in archive._files)

    asyncio.run(scenario())
