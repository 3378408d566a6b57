"""Answers over HTTP, sound ones and such as go wrong on the way."""

import email.utils
import math
import socket
import struct
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from tessloom.demo.faults import Faults

_HTML = "text/html"
_NOT_FOUND = b"<html><body><h1>404 Not Found</h1></body></html>\n"
_MAINTENANCE = (
    b"<html><head><title>MAST is down for maintenance</title></head>"
    b"<body><h1>503 Service Unavailable</h1><p>Scheduled maintenance.</p></body></html>\n"
)
_PIECES = 10

# Waits so many seconds, or for ever, but no longer than the server runs.
Pause = Callable[[float | None], Awaitable[None]]


def whole(
    request: web.Request, body: bytes, media_type: str, etag: str | None = None
) -> web.Response:
    """Return the body, or the part of it that the request's Range asks for."""
    headers = {"Accept-Ranges": "bytes"}
    if etag is not None:
        headers["ETag"] = f'"{etag}"'
    # A range of another version than this is answered with the whole (RFC 9110, 13.1.5).
    outdated = request.headers.get("If-Range", headers.get("ETag")) != headers.get("ETag")
    if "Range" not in request.headers or outdated:
        return web.Response(body=body, content_type=media_type, headers=headers)
    try:
        asked = request.http_range
    except ValueError:
        asked = slice(len(body), None)
    start, stop, _ = asked.indices(len(body))
    if start >= stop:
        headers["Content-Range"] = f"bytes */{len(body)}"
        return web.Response(status=416, headers=headers)
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
    return web.Response(status=206, body=body[start:stop], content_type=media_type, headers=headers)


def not_found() -> web.Response:
    """Return the archive's short page for what doesn't exist."""
    return web.Response(status=404, body=_NOT_FOUND, content_type=_HTML)


def maintenance() -> web.Response:
    """Return what every address shows during a maintenance window."""
    return web.Response(status=503, body=_MAINTENANCE, content_type=_HTML)


def refusal(fault: str, faults: Faults) -> web.Response:
    """Return an answer that tells to come back later."""
    if fault == "unavailable":
        return web.Response(status=503)
    wait = f"{faults.retry_after:g}"
    if fault == "busy_until":
        wait = email.utils.formatdate(math.ceil(time.time() + faults.retry_after), usegmt=True)
    return web.Response(status=429, headers={"Retry-After": wait})


async def broken(
    fault: str, request: web.Request, sound: web.Response, pause: Pause, delay: float
) -> web.StreamResponse:
    """Deliver a sound answer in the way of a fault.

    Parameters
    ----------
    fault
        One of `tessloom.demo.faults.BREAKS`, or ``"unannounced"``.
    request, sound
        What was asked for, and the answer that has yet to be sent.
    pause
        Waits.
    delay
        Seconds that a slow body takes.
    """
    assert isinstance(sound.body, bytes)  # noqa: S101 - narrows the type
    body = sound.body
    response = web.StreamResponse(status=sound.status, headers=sound.headers)
    if fault != "unannounced":
        response.content_length = len(body)
    await response.prepare(request)
    if fault == "unannounced":
        await response.write(body)
    elif fault == "slow_body":
        await _dribble(response, body, pause, delay)
    else:
        await _break_off(fault, request, response, body, pause)
    return response


async def _dribble(response: web.StreamResponse, body: bytes, pause: Pause, delay: float) -> None:
    step = max(1, math.ceil(len(body) / _PIECES))
    for start in range(0, len(body), step):
        await pause(delay / _PIECES)
        await response.write(body[start : start + step])


async def _break_off(
    fault: str, request: web.Request, response: web.StreamResponse, body: bytes, pause: Pause
) -> None:
    """Send half of the body; then nothing, or the end of the connection."""
    transport = request.transport
    if transport is None:
        return
    # So that the half has left this process before the connection is reset.
    transport.set_write_buffer_limits(0)
    await response.write(body[: len(body) // 2])
    if fault == "stalled":
        await pause(None)
    if fault == "reset":
        # Lingering for no time makes closing a socket send RST instead of FIN (socket(7)).
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    else:
        transport.close()
