"""How many requests a mirror gets at a time: as many as it answers without slowing down."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tessloom.archive.retry_policy import RetryPolicy

# Latencies whose median is taken; fewer than that say little, since single answers may be slow.
_FEWEST_LATENCIES = 16
# Medians among which the lowest is the latency without congestion. Older ones are forgotten, since
# the way to the archive changes.
_MEDIANS_KEPT = 64


class Window:
    """Requests under way at one mirror: additive increase, multiplicative decrease.

    It begins small and doubles with each round trip until a request is refused; from then on it
    grows by one a round trip. It does not grow while answers take longer than they did, nor
    while nobody wants more.

    Parameters
    ----------
    most
        What it never exceeds.

    Attributes
    ----------
    size
        Requests that may be under way now.
    under_way
        Requests that are.
    latency
        Median of the last round, seconds; None before the first.
    """

    def __init__(self, most: int, policy: RetryPolicy) -> None:
        self.most = most
        self.size = float(min(most, policy.first_window))
        self.under_way = 0
        self.latency: float | None = None
        self._policy = policy
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._doubling = True
        self._shrunk_at = 0.0
        self._latencies: list[float] = []
        self._round = self._round_length()
        self._medians: deque[float] = deque(maxlen=_MEDIANS_KEPT)
        self._flat = True

    def limit(self, most: int) -> None:
        """Change what it never exceeds."""
        self.most = most
        self.size = min(self.size, float(most))

    async def enter(self, *, first: bool = False) -> None:
        """Wait for a place, in the order of asking; with `first` before all others that wait."""
        if not self._waiting and self.under_way < int(self.size):
            self.under_way += 1
            return
        place = asyncio.get_running_loop().create_future()
        if first:
            self._waiting.appendleft(place)
        else:
            self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place up."""
        self.under_way -= 1
        self._admit()

    def answered(self, started: float) -> None:
        """Learn from an answer to a request that was sent at `started` (`time.monotonic`)."""
        self._latencies.append(time.monotonic() - started)
        if len(self._latencies) >= self._round:
            self._end_round()
        if self._flat and self.size < self.most and self.under_way >= int(self.size):
            self.size = min(self.most, self.size + (1 if self._doubling else 1 / self.size))
            self._admit()

    def refused(self, started: float) -> None:
        """Shrink after a refusal; once for all requests of one window."""
        if started < self._shrunk_at:
            return
        self._shrunk_at = time.monotonic()
        self._doubling = False
        self.size = max(1.0, self.size * self._policy.decrease)

    def _end_round(self) -> None:
        self.latency = statistics.median(self._latencies)
        self._latencies.clear()
        # Fixed here, since a window that doubles grows as fast as answers come in.
        self._round = self._round_length()
        self._medians.append(self.latency)
        self._flat = self.latency <= self._policy.flat * min(self._medians)

    def _round_length(self) -> int:
        return max(_FEWEST_LATENCIES, int(self.size))

    def _admit(self) -> None:
        while self._waiting and self.under_way < int(self.size):
            place = self._waiting.popleft()
            if not place.done():  # else whoever waited has been cancelled
                self.under_way += 1
                place.set_result(None)
