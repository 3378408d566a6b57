"""A server in a process of its own, so that what it costs is not the client's."""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextmanager
def serving(make_handler: Callable[..., Handler], *arguments: Any) -> Iterator[str]:
    """Yield the address of a server that answers with ``make_handler(*arguments)``.

    The handler is made in the server's process; it finds the path in ``match_info["path"]``.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(make_handler, arguments, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _serve(
    make_handler: Callable[..., Handler], arguments: tuple[Any, ...], connection: Connection
) -> None:
    async def announce(_: web.Application) -> None:
        connection.send(f"http://127.0.0.1:{listener.getsockname()[1]}/")

    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    application = web.Application()
    application.router.add_get("/{path:.+}", make_handler(*arguments))
    application.on_startup.append(announce)
    web.run_app(application, sock=listener, print=None, access_log=None)
