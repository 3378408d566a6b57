"""A sliding window over work: the next piece starts when any one ends, never in batches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


async def slide(
    size: int, items: Iterable[T] | AsyncIterator[T], work: Callable[[T], Awaitable[None]]
) -> None:
    """Await ``work(item)`` for all `items`, at most `size` at a time.

    The first error stops everything that is under way and is raised as it is.

    Parameters
    ----------
    items
        An asynchronous iterator is asked by several tasks at a time, so it can't be a generator.
    """
    shared = items if isinstance(items, AsyncIterator) else iter(items)

    async def pull() -> None:
        if isinstance(shared, AsyncIterator):
            async for item in shared:
                await work(item)
        else:
            for item in shared:
                await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(size):
                group.create_task(pull())
    except BaseExceptionGroup as errors:
        error: BaseException = errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from error.__cause__
