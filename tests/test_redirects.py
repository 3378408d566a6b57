"""Where redirects may lead: on https, and to the archive's hosts and those that the user names."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import pytest
from aiohttp import web
from yarl import URL

from local_archive import AT_ONCE, Answers, accept, body, light_curve, run, serving
from tessloom.archive import Mirror, Mirrors, with_policy
from tessloom.archive.open_mirror import OpenMirror
from tessloom.errors import ArchiveError, FileUnavailableError


def redirect(code: int, target: str) -> Callable[[], web.Response]:
    return lambda: web.Response(status=code, headers={"Location": target})


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["/elsewhere", "elsewhere?a=%20b", "./../elsewhere"])
def test_a_redirect_on_the_same_host_is_followed(code: int, target: str) -> None:
    answers = Answers(redirect(code, target), body(b"whole"))

    async def answer(request: web.Request) -> web.StreamResponse:
        first = request.path == "/file"
        return answers.answers[0]() if first else answers.answers[1]()

    async def scenario(mirror: OpenMirror, address: str) -> None:
        assert await mirror.fetch(address + "file", bytes) == b"whole"
        async with aclosing(mirror.stream(address + "file")) as pieces:
            assert b"".join([piece async for piece in pieces]) == b"whole"

    run(answer, scenario)


@pytest.mark.parametrize(
    "target",
    [
        "http://localhost:1/x",
        "http://192.0.2.1/x",
        "//192.0.2.1/x",
        "ftp://127.0.0.1/x",
        "http://[/x",
        "http://127.0.0.1:99999/x",
        "data:,x",
        "mailto:x",
        "javascript:alert(1)",
        "file:///etc/passwd",
    ],
)
def test_a_redirect_to_another_host_or_scheme_is_not_followed(target: str) -> None:
    answers = Answers(redirect(302, target))

    async def scenario(mirror: OpenMirror, address: str) -> None:
        with pytest.raises(FileUnavailableError, match="redirected to"):
            await mirror.fetch(f"{address}file", bytes)
        with pytest.raises(ArchiveError, match="redirected to"):
            await anext(mirror.stream(f"{address}file"))

    run(answers.answer, scenario)
    assert answers.requests["/file"] == 2


def test_a_redirect_from_https_to_http_is_not_followed() -> None:
    async def scenario(mirror: OpenMirror, _address: str) -> None:
        client = mirror._client
        https = URL("https://archive.stsci.edu/x")
        with pytest.raises(Exception, match="only on https"):
            client._redirected(https, "http://archive.stsci.edu/y")
        with pytest.raises(Exception, match="archive's own hosts"):
            client._redirected(https, "https://example.org/y")
        other = client._redirected(https, "https://mast.stsci.edu/y%2Fz")
        assert str(other) == "https://mast.stsci.edu/y%2Fz"

    run(Answers(body(b"")).answer, scenario, hosts=frozenset({"mast.stsci.edu"}))


def test_redirects_in_a_circle_come_to_an_end() -> None:
    answers = Answers(redirect(302, "/again"))

    async def scenario(mirror: OpenMirror, address: str) -> None:
        with pytest.raises(FileUnavailableError, match="redirected more than 5 times"):
            await mirror.fetch(f"{address}file", bytes)

    run(answers.answer, scenario)
    # The file's, and those of the question whether it is the mirror that fails.
    assert answers.requests == {"/file": 1, "/": 1, "/again": 10}


@pytest.mark.parametrize("named", [True, False])
def test_a_host_that_the_user_names_is_followed(named: bool) -> None:
    async def file(_: web.Request) -> web.Response:
        return web.Response(body=light_curve("a"))

    async def scenario() -> None:
        async with serving(file) as other:
            target = other.replace("127.0.0.1", "localhost")

            async def lead(_: web.Request) -> web.Response:
                return web.Response(status=302, headers={"Location": target})

            async with serving(lead) as address:
                mirror = Mirror(name="own", address=address)
                archive = Mirrors(
                    name="own", for_files=(mirror,), for_lists=(mirror,), policy=AT_ONCE
                )
                hosts = ["localhost"] if named else []
                async with with_policy(archive, hosts=hosts).open() as opened_archive:
                    if named:
                        assert await opened_archive.fetch("a", accept) == "a"
                    else:
                        with pytest.raises(FileUnavailableError, match="--redirect-host"):
                            await opened_archive.fetch("a", accept)

    asyncio.run(scenario())


def test_a_mirror_on_this_machine_is_no_place_for_others_to_lead_to() -> None:
    async def file(_: web.Request) -> web.Response:
        return web.Response(body=light_curve("a"))

    async def scenario() -> None:
        async with (
            serving(file) as other,
            serving(Answers(redirect(302, other)).answer) as address,
        ):
            mirrors = tuple(Mirror(name=root, address=root) for root in (other, address))
            archive = Mirrors(
                name="own", for_files=mirrors[1:], for_lists=mirrors[:1], policy=AT_ONCE
            )
            async with archive.open() as opened_archive:
                with pytest.raises(FileUnavailableError, match="redirected to"):
                    await opened_archive.fetch("file", accept)

    asyncio.run(scenario())
