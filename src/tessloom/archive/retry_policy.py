"""The one policy of requests: every knob of retries, windows and outages."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tessloom.errors import RequestError

_LEAST = {
    "attempts": 1,
    "bad_bodies": 1,
    "wait": 0,
    "longest_wait": 0,
    "longest_retry_after": 0,
    "connect": 0.001,
    "silence": 0.001,
    "longest_answer": 0.001,
    "most_bytes": 1,
    "first_window": 1,
    "decrease": 0,
    "flat": 1,
    "down_after": 1,
    "ask_again": 0,
    "longest_ask_again": 0,
    "give_up_after": 0,
}
MOST_BYTES = 128 * 2**20


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often and when a request is repeated, how many are under way, and when to give up.

    All times are in seconds.

    Attributes
    ----------
    attempts
        Requests for one file of one mirror, the first included.
    bad_bodies
        The same, where the mirror answers but what it sends is no whole light curve. A missing
        file may be answered by a web page with status 200, so this is lower.
    wait, longest_wait
        Before the first repetition, doubled for each further one up to the longest; each wait is
        shortened by a random part of it, up to half.
    longest_retry_after
        Most that a server's ``Retry-After``, which replaces the wait, is believed.
    connect, silence
        To connect, and between two pieces of an answer: after that a request has timed out.
    longest_answer
        For the whole of one light curve, however it dribbles in.
    most_bytes
        Of one light curve's file, 128 MiB: a larger one is refused before it is in memory.
    first_window
        Requests under way at a mirror to begin with. Each answer makes room for one more, until
        the first that is refused; then a whole window of answers does.
    decrease
        Factor by which a refusal, a time-out or a broken connection shrinks the window.
    flat
        The window grows for as long as the median latency stays below so many times the lowest.
    down_after
        So many failures in a row, without any answer between, mean that the mirror is down.
    ask_again, longest_ask_again
        Before a mirror that is down is asked again, doubled up to the longest.
    give_up_after
        When all mirrors have been down for so long, the build ends; what is finished is kept.
    """

    attempts: int = 6
    bad_bodies: int = 3
    wait: float = 0.5
    longest_wait: float = 60.0
    longest_retry_after: float = 600.0
    connect: float = 30.0
    silence: float = 60.0
    longest_answer: float = 600.0
    most_bytes: int = MOST_BYTES
    first_window: int = 8
    decrease: float = 0.5
    flat: float = 2.0
    down_after: int = 30
    ask_again: float = 10.0
    longest_ask_again: float = 300.0
    give_up_after: float = 6 * 3600.0

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            whole = isinstance(getattr(type(self), name), int)
            known = isinstance(value, int if whole else int | float)
            if not known or isinstance(value, bool) or not value >= least:
                kind = "a whole number" if whole else "a number"
                raise RequestError(f"RetryPolicy: {name} is {kind} from {least} up, not {value!r}")
        if not self.decrease <= 1:
            raise RequestError(f"RetryPolicy: decrease is 1 at most, not {self.decrease!r}")

    def seconds(self, attempt: int) -> float:
        """Return how long to wait after the failed attempt number `attempt`, from 1."""
        return _shortened(min(self.longest_wait, self.wait * 2.0 ** (attempt - 1)))

    def seconds_down(self, question: int) -> float:
        """Return how long to wait before asking a mirror that is down, the `question`-th time."""
        return _shortened(min(self.longest_ask_again, self.ask_again * 2.0 ** (question - 1)))


def _shortened(seconds: float) -> float:
    # So that many workers, or many users, don't all come back in the same moment.
    return seconds * (1 - random.random() / 2)  # noqa: S311
