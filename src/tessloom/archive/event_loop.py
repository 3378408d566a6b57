"""Running coroutines from ordinary code, also where an event loop runs already."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

# Seconds between two looks whether to leave off.
_ASK_EVERY = 0.5


class StoppedError(Exception):
    """Work was left off because whoever wanted it does not any more."""


def run(coroutine: Coroutine[Any, Any, T], stopped: Callable[[], bool] | None = None) -> T:
    """Run a coroutine to its end and return its result.

    In a notebook the caller's thread has a running loop, which can't be entered again; then
    another thread runs the coroutine.

    Parameters
    ----------
    stopped
        Asked now and then whether to leave off; see `unless`.
    """
    if stopped is not None:
        coroutine = unless(stopped, coroutine)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1, "tessloom-loop") as executor:
        return executor.submit(asyncio.run, coroutine).result()


async def unless(stopped: Callable[[], bool], work: Coroutine[Any, Any, T]) -> T:
    """Await work, or leave it off: also while it waits for the archive.

    Raises
    ------
    StoppedError
        It was left off.
    """
    task = asyncio.create_task(work)
    try:
        while not task.done() and not stopped():
            await asyncio.wait([task], timeout=_ASK_EVERY)
        if task.done():
            return task.result()
        raise StoppedError
    finally:
        # Also on Ctrl-C, which cancels this coroutine: nothing goes on behind its back.
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
