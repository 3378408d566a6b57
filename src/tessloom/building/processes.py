"""Workers on this machine: one in this process, or several processes."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
import types
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from tessloom.archive import event_loop
from tessloom.building.log import open_log
from tessloom.building.worker import Worker
from tessloom.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnContext

    from tessloom.building.ahead import Ahead
    from tessloom.building.partition import Result
    from tessloom.building.plan import Partition
    from tessloom.building.worker import Job, Listener

# Seconds between two looks for a partition that is still being planned.
_LOOK_EVERY = 0.02
# Seconds that a worker has to leave off: a row group may be being written.
_LEAVE_WITHIN = 60.0


def build_here(job: Job, partitions: Ahead[Partition], listener: Listener) -> list[Result]:
    """Build partitions in this process; see `Worker.run`."""
    results: list[Result] = []
    with open_log(job.log) as log:

        async def build() -> None:
            await Worker(job, listener, log, results.append).run(_arriving(partitions))

        event_loop.run(build())
    return results


async def _arriving(partitions: Ahead[Partition]) -> AsyncIterator[Partition]:
    while True:
        partition = partitions.poll()
        if partition is not None:
            yield partition
        elif partitions.exhausted:
            return
        else:
            await asyncio.sleep(_LOOK_EVERY)


def build_in_processes(job: Job, partitions: Ahead[Partition], listener: Listener) -> list[Result]:
    """Build partitions with `Job.workers` processes, each of which takes the next when it can.

    Raises
    ------
    WorkerError
        One was ended from outside.
    ArchiveError, DatasetError
        See `Worker.run`; the first error stops all of them.
    """
    results: list[Result] = []
    with _started(job) as crew:
        while any(process.working for process in crew):
            looking = _hand_out(partitions, crew)
            ears = {ear: process for process in crew if process.working for ear in process.ears}
            for ear in wait([*ears], _LOOK_EVERY if looking else None):
                ears[ear].hear(listener, results)
    return results


@contextlib.contextmanager
def _started(job: Job) -> Iterator[list[_Process]]:
    """Start the processes, and see to it that all are gone in the end."""
    context = multiprocessing.get_context("spawn")
    crew: list[_Process] = []
    try:
        with no_main_module():
            for _ in range(job.workers):
                crew.append(_Process(context, job))  # noqa: PERF401 - started ones are ended
        yield crew
    finally:
        for process in crew:
            process.dismiss()
        for process in crew:
            process.end()


def _hand_out(partitions: Ahead[Partition], crew: list[_Process]) -> bool:
    """Give whoever wants one a partition; return whether some wait for what is being planned."""
    for process in crew:
        if not process.wants:
            continue
        partition = partitions.poll()
        if partition is None and not partitions.exhausted:
            return True
        process.give(partition)
    return False


class _Process:
    """A worker's process, as its parent sees it.

    They talk through a pipe of their own, without locks: a worker that is killed may hold one,
    and then its parent would wait for it for ever.

    Attributes
    ----------
    wants
        Whether it waits for a partition.
    working
        Whether it has not said that it is done.
    """

    def __init__(self, context: SpawnContext, job: Job) -> None:
        self.wants = False
        self.working = True
        self._connection, theirs = context.Pipe()
        # Not a daemon, which may not be started from a daemon; the pipe's end ends it too.
        self._process = context.Process(target=_work, args=(theirs, job), daemon=False)
        with theirs, _ended_from_outside(), no_interrupt():
            self._process.start()

    def dismiss(self) -> None:
        """Tell it to leave off."""
        self._connection.close()

    def end(self) -> None:
        """Wait for its end."""
        self._process.join(_LEAVE_WITHIN)
        self._process.kill()
        self._process.join()

    @property
    def ears(self) -> list[Any]:
        """What there is to wait for."""
        return [self._connection, self._process.sentinel]

    def give(self, partition: Partition | None) -> None:
        """Give it a partition, or None for the end."""
        self.wants = False
        with _ended_from_outside():
            self._connection.send(partition)

    def hear(self, listener: Listener, results: list[Result]) -> None:
        """Take one message, where there is one."""
        if not self.working:  # it has been heard since
            return
        if not self._connection.poll() and self._process.is_alive():
            return
        with _ended_from_outside():
            name, *content = self._connection.recv()
        match name:
            case "wants":
                self.wants = True
            case "finished":
                results += content
            case "failed":
                raise content[0]
            case "done":
                self.working = False
            case _:
                getattr(listener, name)(*content)


@contextlib.contextmanager
def _ended_from_outside() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError) as error:
        raise WorkerError(
            "a worker was ended from outside, often because memory was short: run the same "
            "command again to continue, with fewer workers if it happens again"
        ) from error


@contextlib.contextmanager
def no_interrupt() -> Iterator[None]:
    """Keep Ctrl-C from processes that are started meanwhile; the parent hears of it later."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_STARTING = threading.Lock()


@contextlib.contextmanager
def no_main_module() -> Iterator[None]:
    """Hide the caller's main module from processes that are started meanwhile.

    They would run it anew, and a script without ``if __name__ == "__main__":`` would start the
    build again in each of them. What they need is in tessloom alone.
    """
    with _STARTING:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def _work(connection: Connection, job: Job) -> None:
    """Be a worker's process."""
    # Ctrl-C reaches all processes of a terminal; the parent alone decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    try:
        asyncio.run(_build(connection, job))
    except event_loop.StoppedError:
        return
    except Exception as error:  # noqa: BLE001 - raised again in the parent
        error.add_note("".join(traceback.format_exception(error)))
        _tell(connection, "failed", error)
    else:
        _tell(connection, "done")


def _tell(connection: Connection, name: str, *content: Any) -> None:
    with contextlib.suppress(ConnectionError):  # the parent has left off
        try:
            connection.send((name, *content))
        except (pickle.PicklingError, TypeError, AttributeError):
            if name != "failed":
                raise
            connection.send((name, RuntimeError("".join(traceback.format_exception(content[0])))))


async def _build(connection: Connection, job: Job) -> None:
    orders: asyncio.Queue[Partition | None] = asyncio.Queue()
    stopped = threading.Event()
    loop = asyncio.get_running_loop()

    def receive() -> None:
        """Hand on orders; leave off when the parent says so, end at once when it is gone.

        So none writes after a kill.
        """
        with contextlib.suppress(EOFError, ConnectionError):
            while (order := connection.recv()) is not None:
                loop.call_soon_threadsafe(orders.put_nowait, order)
            loop.call_soon_threadsafe(orders.put_nowait, None)
            connection.recv()
        stopped.set()
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    async def ordered() -> AsyncIterator[Partition]:
        _tell(connection, "wants")
        while (partition := await orders.get()) is not None:
            yield partition
            _tell(connection, "wants")

    threading.Thread(target=receive, daemon=True).start()
    with open_log(job.log) as log:
        worker = Worker(
            job, _Told(connection), log, lambda result: _tell(connection, "finished", result)
        )
        await event_loop.unless(stopped.is_set, worker.run(ordered()))


class _Told:
    """Hands on to the parent what a worker tells."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def advance(self, done: int, failed: int) -> None:
        _tell(self._connection, "advance", done, failed)

    def say(self, text: str) -> None:
        _tell(self._connection, "say", text)
