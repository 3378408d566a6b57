"""A circuit breaker: a mirror that is down is left alone, and asked now and then."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from tessloom.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tessloom.archive.retry_policy import RetryPolicy


class Outage:
    """Whether a mirror is down.

    So many failures in a row, or one file that does not come however often it is asked for, raise
    the question whether it is the mirror that fails. It is asked one thing; if it does not answer
    that, it is down, until it does.

    Parameters
    ----------
    name
        Of the mirror.
    answers
        Asks the mirror for something that it should have, and returns whether it answered.
    say
        Called with a sentence when the mirror goes down or is up again.

    Attributes
    ----------
    since
        When it went down (`time.monotonic`); None while it is up.
    up
        Set while it is up.
    why
        The last failure.
    """

    def __init__(
        self,
        name: str,
        policy: RetryPolicy,
        answers: Callable[[], Awaitable[bool]],
        say: Callable[[str], None],
    ) -> None:
        self.name = name
        self._policy = policy
        self._answers = answers
        self._say = say
        # The question under way, and the many that follow it while the mirror is down.
        self._question: asyncio.Task[bool] | None = None
        self._questions: asyncio.Task[None] | None = None
        self.since: float | None = None
        self.up = asyncio.Event()
        self.up.set()
        self.why = ""
        self._failures = 0

    @property
    def down(self) -> bool:
        """Whether the mirror is down."""
        return self.since is not None

    def answered(self) -> None:
        """Learn that the mirror has answered. A late answer does not end an outage."""
        self._failures = 0

    def failed(self, why: str) -> None:
        """Learn that a request has failed."""
        self._failures += 1
        if not self.down:
            self.why = why
            if self._failures >= self._policy.down_after:
                self._ask()

    async def is_down(self, why: str) -> bool:
        """Find out whether it is the mirror that fails, rather than one file, and remember it."""
        if self.down:
            return True
        self.why = why
        # Others wait for the same answer.
        return not await asyncio.shield(self._ask())

    async def close(self) -> None:
        """Ask no more."""
        tasks: list[asyncio.Task[Any]] = [t for t in (self._question, self._questions) if t]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _ask(self) -> asyncio.Task[bool]:
        if self._question is None or self._question.done():
            self._question = asyncio.create_task(self._ask_once())
        return self._question

    async def _ask_once(self) -> bool:
        answers = await self._answers()
        self._failures = 0
        if not answers:
            self._begin()
        return answers

    def _begin(self) -> None:
        self.since = time.monotonic()
        self.up.clear()
        minutes = self._policy.give_up_after / 60
        self._say(
            f"{self.name} is down ({self.why}); it is asked again for up to {minutes:.3g} minutes"
        )
        self._questions = asyncio.create_task(self._ask_until_it_answers(self.since))

    async def _ask_until_it_answers(self, since: float) -> None:
        question = 1
        await asyncio.sleep(self._policy.seconds_down(question))
        while not await self._answers():
            question += 1
            await asyncio.sleep(self._policy.seconds_down(question))
        self._failures = 0
        self.since = None
        self.up.set()
        minutes = (time.monotonic() - since) / 60
        self._say(f"{self.name} answers again, after {minutes:.1f} minutes")


async def wait_for_one_of(outages: Sequence[Outage], give_up_after: float) -> None:
    """Wait until one of several mirrors is up again.

    Raises
    ------
    ArchiveError
        All have been down for `give_up_after` seconds.
    """
    began = max(outage.since or time.monotonic() for outage in outages)
    left = began + give_up_after - time.monotonic()
    waits = [asyncio.create_task(outage.up.wait()) for outage in outages]
    try:
        done, _ = await asyncio.wait(
            waits, timeout=max(0, left), return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        for wait in waits:
            wait.cancel()
    if not done:
        names = " and ".join(outage.name for outage in outages)
        raise ArchiveError(
            f"the archive is down: {names} did not answer for {give_up_after / 60:.3g} minutes "
            f"({outages[-1].why}). What is finished is kept: run the same command again later to "
            "continue"
        )
