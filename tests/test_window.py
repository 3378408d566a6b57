"""The window of requests: as many at a time as a mirror answers without slowing down."""

import asyncio
from itertools import pairwise
from types import SimpleNamespace

import pytest

from tessloom.archive import RetryPolicy, window
from tessloom.archive.window import Window


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(window, "time", SimpleNamespace(monotonic=clock))
    return clock


def window_of(most: int = 256, first: int = 8) -> Window:
    return Window(most, RetryPolicy(first_window=first))


def round_trip(window: Window, clock: Clock, latency: float, *, wanted: int = 1000) -> int:
    """Answer a whole window of requests, after which as many as there is room for are sent."""
    window.under_way = sent = min(wanted, int(window.size))
    started = clock.now
    clock.now += latency
    for _ in range(sent):
        window.under_way = min(wanted, int(window.size))
        window.answered(started)
    return sent


def test_it_doubles_with_each_round_trip_up_to_its_limit(clock: Clock) -> None:
    window = window_of(100)
    assert [round_trip(window, clock, 0.1) for _ in range(6)] == [8, 16, 32, 64, 100, 100]


def test_it_stops_growing_when_answers_become_slower(clock: Clock) -> None:
    window = window_of(1024)
    served_at_a_time = 40
    sizes = [
        round_trip(window, clock, 0.1 * max(1, window.size / served_at_a_time)) for _ in range(50)
    ]
    assert served_at_a_time < sizes[-1] <= 6 * served_at_a_time
    assert sizes[-1] == sizes[10]


def test_it_grows_again_when_answers_are_as_fast_as_they_were(clock: Clock) -> None:
    window = window_of()
    for latency in (0.1, 0.1, 0.1, 0.3, 0.3):
        round_trip(window, clock, latency)
    held = window.size
    assert round_trip(window, clock, 0.3) == int(held) == int(window.size)
    for _ in range(3):
        round_trip(window, clock, 0.1)
    assert window.size > held


def test_single_slow_answers_do_not_hold_it_up(clock: Clock) -> None:
    window = window_of()
    for _ in range(10):
        round_trip(window, clock, 0.1)
        window.answered(clock.now - 60.0)
    assert int(window.size) == 256


def test_it_does_not_grow_while_nobody_wants_more(clock: Clock) -> None:
    window = window_of()
    for _ in range(10):
        round_trip(window, clock, 0.1, wanted=5)
    assert window.size == 8


def test_a_refusal_halves_it_once_a_round_trip(clock: Clock) -> None:
    window = window_of(64, first=64)
    sent = clock.now
    clock.now += 0.1
    for _ in range(64):
        window.refused(sent)
    assert window.size == 32
    window.refused(sent)
    assert window.size == 32
    again = clock.now
    clock.now += 0.1
    window.refused(again)
    assert window.size == 16


def test_after_a_refusal_it_grows_by_one_a_round_trip(clock: Clock) -> None:
    window = window_of(64, first=32)
    window.refused(clock.now)
    sizes = [round_trip(window, clock, 0.1) for _ in range(10)]
    assert sizes[0] == 16
    assert all(0 <= later - earlier <= 1 for earlier, later in pairwise(sizes))
    assert 22 <= sizes[-1] <= 25


def test_it_is_never_below_one_nor_above_its_limit(clock: Clock) -> None:
    window = window_of(5)
    assert window.size == 5
    for _ in range(20):
        clock.now += 1
        window.refused(clock.now)
        clock.now += 1
    assert window.size == 1
    for _ in range(200):
        round_trip(window, clock, 0.1)
    assert window.size == 5


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_places_are_given_in_the_order_of_asking() -> None:
    async def scenario() -> None:
        window = window_of(1)
        served: list[int] = []

        async def visit(number: int) -> None:
            await window.enter(first=number == 9)
            served.append(number)
            await asyncio.sleep(0)
            window.leave()

        await window.enter()
        visits = [asyncio.create_task(visit(number)) for number in (0, 1, 2, 3, 9)]
        await _turns()
        window.leave()
        await asyncio.gather(*visits)
        assert served == [9, 0, 1, 2, 3]
        assert window.under_way == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("given", [True, False])
def test_a_place_is_given_back_by_who_is_cancelled(given: bool) -> None:
    async def scenario() -> None:
        window = window_of(1)
        await window.enter()
        waiting = asyncio.create_task(window.enter())
        behind = asyncio.create_task(window.enter())
        await _turns()
        if given:
            window.leave()  # the place is its own now, but it does not know yet
            waiting.cancel()
        else:
            waiting.cancel()
            await _turns()
            window.leave()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(behind, 5)
        assert window.under_way == 1
        window.leave()
        assert window.under_way == 0
        await asyncio.wait_for(window.enter(), 5)

    asyncio.run(scenario())


def test_nobody_enters_a_window_that_has_shrunk_until_it_is_empty_enough(clock: Clock) -> None:
    async def scenario() -> None:
        window = window_of(8)
        for _ in range(8):
            await window.enter()
        window.refused(clock.now)
        waiting = asyncio.create_task(window.enter())
        for left in (7, 6, 5, 4):
            await _turns()
            assert not waiting.done()
            window.leave()
            assert window.under_way == left
        await _turns()
        assert not waiting.done()
        window.leave()
        await asyncio.wait_for(waiting, 5)

    asyncio.run(scenario())
