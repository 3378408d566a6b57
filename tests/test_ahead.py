"""Items are made ahead of whoever takes them, and never behind his back."""

import itertools
import threading
from collections.abc import Callable, Iterator

import pytest

from tessloom.building.ahead import Ahead


def test_items_come_in_their_order_and_then_no_more() -> None:
    with Ahead(lambda _stopped: iter(range(100)), 3) as items:
        assert list(items) == [*range(100)]
        assert items.exhausted
        assert items.poll() is None
        items.check()


def test_only_so_many_are_made_before_they_are_wanted() -> None:
    made = []
    enough = threading.Event()

    def make(stopped: Callable[[], bool]) -> Iterator[int]:
        for number in itertools.count():
            made.append(number)
            if number == 3:  # three wait, and the fourth has no room
                enough.set()
            yield number
            if stopped():
                return

    with Ahead(make, 3) as items:
        assert enough.wait(10)
        assert next(items) == 0
    assert len(made) <= 6


def test_an_error_is_raised_only_when_what_was_made_before_it_has_been_taken() -> None:
    def make(_stopped: Callable[[], bool]) -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("the lists of the next sector")

    with Ahead(make, 10) as items:
        assert list(items) == [1, 2]
        with pytest.raises(OSError, match="the lists of the next sector"):
            items.check()


def test_leaving_early_ends_the_making_also_while_it_waits() -> None:
    waiting = threading.Event()

    def make(stopped: Callable[[], bool]) -> Iterator[int]:
        yield 1
        waiting.set()
        while not stopped():
            threading.Event().wait(0.001)
        raise RuntimeError("nobody hears of it")

    with Ahead(make, 10) as items:
        assert next(items) == 1
        assert waiting.wait(10)
    items.check()
    assert not [thread for thread in threading.enumerate() if thread.name == "tessloom-ahead"]


def test_waiting_ends_with_the_first_item_or_with_the_end() -> None:
    with Ahead(lambda _stopped: iter([7]), 10) as items:
        items.wait()
        assert items.poll() == 7
    with Ahead(lambda _stopped: iter(()), 10) as nothing:
        nothing.wait()
        assert list(nothing) == []
