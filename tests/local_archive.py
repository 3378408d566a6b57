"""Local HTTP servers that misbehave as a test says, and the archive's mirrors opened on them."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from tessloom.archive import Bucket, Mirror, Mirrors, RetryPolicy
from tessloom.archive.open_mirror import OpenMirror
from tessloom.errors import NotFitsError, TruncatedFitsError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from tessloom.archive.http_archive import HttpArchive

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
    Scenario = Callable[[OpenMirror, str], Awaitable[None]]

AT_ONCE = RetryPolicy(wait=0, ask_again=0.01)
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
HTML = b"<html>Down for maintenance</html>"


@asynccontextmanager
async def serving(
    handler: Handler, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serve every path with `handler`; yield the address of the root."""
    application = web.Application()
    application.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls, reuse_address=True)
        await site.start()
        scheme = "http" if tls is None else "https"
        yield f"{scheme}://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def opened(
    address: str,
    policy: RetryPolicy = AT_ONCE,
    connections: int = 8,
    hosts: frozenset[str] = frozenset(),
    say: Callable[[str], None] = lambda _: None,
) -> OpenMirror:
    """Return one mirror, to be entered."""
    return OpenMirror(Mirror(name="own", address=address), connections, policy, hosts, say)


def run(
    handler: Handler,
    scenario: Scenario,
    policy: RetryPolicy = AT_ONCE,
    connections: int = 8,
    hosts: frozenset[str] = frozenset(),
) -> None:
    """Run a scenario with a mirror at a server that answers with `handler`."""

    async def serve() -> None:
        async with (
            serving(handler) as address,
            opened(address, policy, connections, hosts) as mirror,
        ):
            await scenario(mirror, address)

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
    """Return what makes an answer without a body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda: web.Response(status=code, headers=named)


def body(content: bytes) -> Callable[[], web.Response]:
    """Return what makes an answer with a body."""
    return lambda: web.Response(body=content)


def light_curve(path: str) -> bytes:
    """Return a body that `accept` takes."""
    return f"SIMPLE {path} END".encode()


def accept(content: bytes) -> str:
    """Return the path that a body is of."""
    if not content.startswith(b"SIMPLE"):
        raise NotFitsError("no light curve")
    if not content.endswith(b"END"):
        raise TruncatedFitsError("cut short")
    return content.decode().split()[1]


class ThreeMirrors:
    """S3, static archive and gateway on one server.

    Attributes
    ----------
    held
        Paths that each mirror holds; None: all.
    trouble
        Answers that take the place of a mirror's; None from one means none.
    asked
        Paths that each mirror was asked for, in order.
    listings
        Prefixes that the bucket was asked to list.
    most
        Most requests under way at each mirror.
    said
        What a person was told.
    """

    def __init__(self) -> None:
        self.held: dict[str, set[str] | None] = {"s3": None, "static": None, "gateway": None}
        self.trouble: dict[str, Callable[[str], web.Response | None]] = {}
        self.asked: dict[str, list[str]] = {"s3": [], "static": [], "gateway": []}
        self.listings: list[str] = []
        self.most: Counter[str] = Counter()
        self.said: list[str] = []
        self.say: Callable[[str], None] = self.said.append
        self._under_way: Counter[str] = Counter()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        mirror, _, path = request.path[1:].partition("/")
        if "list-type" in request.query:
            return self._list(request.query["prefix"])
        path = request.query.get("uri", path.removeprefix("mast/hlsp/")).removeprefix("mast:HLSP/")
        self.asked[mirror].append(path)
        self._under_way[mirror] += 1
        self.most[mirror] = max(self.most[mirror], self._under_way[mirror])
        # Others may come meanwhile.
        for _ in range(5):
            await asyncio.sleep(0)
        self._under_way[mirror] -= 1
        trouble = self.trouble[mirror](path) if mirror in self.trouble else None
        held = self.held[mirror]
        if trouble is not None:
            return trouble
        if held is not None and path not in held:
            return web.Response(status=404)
        return web.Response(body=light_curve(path))

    def _list(self, prefix: str) -> web.Response:
        self.listings.append(prefix)
        if "s3" in self.trouble and (trouble := self.trouble["s3"](prefix)) is not None:
            return trouble
        held = self.held["s3"]
        some = held is None or any(f"mast/hlsp/{path}".startswith(prefix) for path in held)
        contents = "<Contents><Key>x</Key></Contents>" if some else ""
        text = f'<ListBucketResult xmlns="{NAMESPACE}">{contents}</ListBucketResult>'
        return web.Response(text=text, content_type="application/xml")

    def mirrors(self, address: str, policy: RetryPolicy = AT_ONCE) -> dict[str, Mirrors]:
        """Return the archives ``mast``, ``s3``, ``static`` and ``gateway`` at `address`."""
        bucket = Bucket(f"{address}s3/", "mast/hlsp/")
        s3 = Mirror(name="s3", address=f"{address}s3/mast/hlsp/", bucket=bucket)
        static = Mirror(name="static", address=f"{address}static/")
        query = "?uri=mast:HLSP/"
        gateway = Mirror(
            name="gateway",
            address=f"{address}gateway/file{query}",
            connections=8,
            most_connections=8,
        )
        orders = {
            "mast": (s3, static, gateway),
            "s3": (s3,),
            "static": (static,),
            "gateway": (gateway,),
            "static,gateway": (static, gateway),
        }
        return {
            name: Mirrors(name=name, for_files=order, for_lists=(static, gateway), policy=policy)
            for name, order in orders.items()
        }

    def run(
        self,
        scenario: Callable[[HttpArchive], Awaitable[None]],
        name: str = "mast",
        policy: RetryPolicy = AT_ONCE,
        connections: int | None = None,
        workers: int = 1,
    ) -> None:
        """Run a scenario with an archive open at these mirrors."""
        from tessloom.archive import with_policy

        async def serve() -> None:
            async with serving(self.handle) as address:
                archive = with_policy(self.mirrors(address, policy)[name], connections=connections)
                async with archive.open(workers, self.say) as opened_archive:
                    await scenario(opened_archive)

        asyncio.run(serve())


async def outcomes(archive: HttpArchive, paths: Iterable[str]) -> list[str | BaseException]:
    """Return the light curves at paths, or what is raised, all asked for at once."""
    return await asyncio.gather(
        *(archive.fetch(path, accept) for path in paths), return_exceptions=True
    )
