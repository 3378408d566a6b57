"""An iterator that works ahead of whoever takes from it."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

T = TypeVar("T")

_LOOK_EVERY = 0.1


class Ahead(Generic[T]):
    """Items that are made on a thread of their own, so many before they are wanted.

    Parameters
    ----------
    make
        Given a function that tells whether to leave off, yields the items. It runs on the thread.
    size
        How many items wait at most.
    """

    def __init__(self, make: Callable[[Callable[[], bool]], Iterator[T]], size: int) -> None:
        self._make = make
        self._waiting: queue.Queue[_Item[T] | _End] = queue.Queue(size)
        self._stopped = threading.Event()
        self._end: _End | None = None
        self._thread = threading.Thread(target=self._run, name="tessloom-ahead", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        while (item := self.poll(_LOOK_EVERY)) is None:
            if self.exhausted:
                raise StopIteration
        return item

    def wait(self) -> None:
        """Return when the first item is there, or it is certain that there is none."""
        while self._waiting.empty() and self._thread.is_alive():
            self._thread.join(_LOOK_EVERY)

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing more to come."""
        return self._end is not None

    def poll(self, timeout: float = 0.0) -> T | None:
        """Return the next item, or None where there is none yet, or none any more."""
        if self._end is not None:
            return None
        try:
            item = self._waiting.get(timeout > 0, timeout)
        except queue.Empty:
            return None
        if isinstance(item, _Item):
            return item.value
        self._end = item
        return None

    def check(self) -> None:
        """Raise what has ended the making of items, if it was an error.

        It is not raised before, so that whoever takes items can finish those that were made.
        """
        if self._end is not None and self._end.error is not None:
            raise self._end.error

    def _run(self) -> None:
        try:
            for item in self._make(self._stopped.is_set):
                self._put(_Item(item))
                if self._stopped.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - raised again where the items are taken
            self._put(_End(error))
        else:
            self._put(_End())

    def _put(self, item: _Item[T] | _End) -> None:
        while not self._stopped.is_set():
            try:
                self._waiting.put(item, timeout=_LOOK_EVERY)
            except queue.Full:
                continue
            return


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None = None
