"""The mirrors of the embedded archive: one set of files under three addresses, as MAST's."""

import asyncio
import collections
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from tessloom.demo import answers
from tessloom.demo.faults import ALTERATIONS, BREAKS, REFUSALS, Faults, applies

if TYPE_CHECKING:
    from tessloom.demo.content import Content

MAST_URI = "mast:HLSP/"
# Where each mirror's relative paths begin, on one server.
STATIC = "/hlsps/"
GATEWAY = "/api/v0.1/Download/file"
BUCKET = "/stpubdata"
S3 = f"{BUCKET}/mast/hlsp/"


class Mirrors:
    """Answers requests, and remembers which paths were asked for.

    Attributes
    ----------
    faults
        How the archive misbehaves; may be replaced between two requests. A path whose passing
        fault has been served stays sound.
    requests, requests_of, listings
        See `tessloom.demo.DemoServer`.
    """

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.requests: collections.Counter[str] = collections.Counter()
        self.requests_of: dict[str, collections.Counter[str]] = {
            mirror: collections.Counter() for mirror in ("s3", "static", "gateway")
        }
        self.listings: collections.Counter[str] = collections.Counter()
        self._number = 0
        self._had_their_fault: set[str] = set()
        self._stopping = asyncio.Event()

    def application(self) -> web.Application:
        """Return the routes to all mirrors."""
        application = web.Application()
        routes = application.router
        routes.add_get(f"{STATIC}{{path:.*}}", self._static)
        routes.add_get(GATEWAY, self._gateway)
        routes.add_get(f"{GATEWAY}/", self._gateway)
        routes.add_get(BUCKET, self._list_bucket)
        routes.add_get(f"{BUCKET}/", self._list_bucket)
        routes.add_get(f"{S3}{{path:.*}}", self._object)
        routes.add_get(f"{BUCKET}/{{key:.+}}", self._no_such_key)
        application.on_shutdown.append(self._stop)
        return application

    async def _stop(self, _application: web.Application) -> None:
        self._stopping.set()

    async def _static(self, request: web.Request) -> web.StreamResponse:
        return await self._file(request, "static", request.match_info["path"])

    async def _gateway(self, request: web.Request) -> web.StreamResponse:
        uri = request.query.get("uri", "")
        if not uri.startswith(MAST_URI):
            raise web.HTTPBadRequest(text=f"uri should start with {MAST_URI}\n")
        return await self._file(request, "gateway", uri.removeprefix(MAST_URI))

    async def _file(self, request: web.Request, mirror: str, path: str) -> web.StreamResponse:
        async def found(faults: Faults) -> "Content | web.Response":
            # Imported at the first request, because the command line imports this module.
            from tessloom.demo.content import content_at  # noqa: PLC0415

            return content_at(path, faults) or answers.not_found()

        self._count(mirror, path)
        return await self._answer(request, mirror, path, found)

    async def _object(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]

        async def found(faults: Faults) -> "Content | web.Response":
            from tessloom.demo.bucket import ROOT, object_at  # noqa: PLC0415

            return object_at(path, faults) or _no_such_key(ROOT + path)

        self._count("s3", path)
        return await self._answer(request, "s3", path, found)

    async def _no_such_key(self, request: web.Request) -> web.StreamResponse:
        key = request.match_info["key"]

        async def found(_faults: Faults) -> web.Response:
            return _no_such_key(key)

        return await self._answer(request, "s3", f"{BUCKET}/{key}", found)

    async def _list_bucket(self, request: web.Request) -> web.StreamResponse:
        async def found(faults: Faults) -> "Content | web.Response":
            from tessloom.demo.bucket import BucketError, listing  # noqa: PLC0415

            try:
                # On a thread, because the MD5 of a page's files takes a while.
                return await asyncio.to_thread(listing, request.query, faults)
            except BucketError as error:
                return _s3_error(error.status, error.code, str(error))

        prefix = request.query.get("prefix", "")
        self.listings[prefix] += 1
        return await self._answer(request, "s3", f"{BUCKET}/?prefix={prefix}", found)

    def _count(self, mirror: str, path: str) -> None:
        self.requests[path] += 1
        self.requests_of[mirror][path] += 1

    async def _answer(
        self,
        request: web.Request,
        mirror: str,
        path: str,
        found: Callable[[Faults], Awaitable["Content | web.Response"]],
    ) -> web.StreamResponse:
        self._number += 1
        faults = self.faults
        if faults.outage(mirror):
            return answers.maintenance()
        fault = self._fault_of(path, faults)
        if fault in REFUSALS:
            self._had_their_fault.add(path)
            if mirror == "s3" and fault == "unavailable":
                return _s3_error(503, "SlowDown", "Please reduce your request rate.")
            return answers.refusal(fault, faults)
        if fault == "slow":
            self._had_their_fault.add(path)
            await self._pause(faults.delay)
        content = await found(faults)
        if isinstance(content, web.Response):
            return content
        if fault is not None and fault != "slow" and request.method == "GET":
            return await self._misbehave(request, path, content, fault, faults.delay)
        return answers.whole(request, content.body, content.media_type, content.etag)

    def _fault_of(self, path: str, faults: Faults) -> str | None:
        by_number = faults.by_number.get(self._number)
        if by_number is not None and applies(by_number, path):
            return by_number
        return None if path in self._had_their_fault else faults.passing(path)

    async def _misbehave(
        self, request: web.Request, path: str, content: "Content", fault: str, delay: float
    ) -> web.StreamResponse:
        from tessloom.demo.content import altered  # noqa: PLC0415

        brought = altered(content, fault, path) if fault in ALTERATIONS else content
        answer = answers.whole(request, brought.body, brought.media_type, brought.etag)
        if not answer.body or (fault in ALTERATIONS and brought is content):
            return answer
        self._had_their_fault.add(path)
        if fault in BREAKS or fault == "unannounced":
            return await answers.broken(fault, request, answer, self._pause, delay)
        return answer

    async def _pause(self, seconds: float | None) -> None:
        """Wait, for ever if no time is given, but no longer than the server runs."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


def _no_such_key(key: str) -> web.Response:
    return _s3_error(404, "NoSuchKey", "The specified key does not exist.", key)


def _s3_error(status: int, code: str, message: str, key: str = "") -> web.Response:
    from tessloom.demo.bucket import error_document  # noqa: PLC0415

    body = error_document(code, message, key)
    return web.Response(status=status, body=body, content_type="application/xml")
