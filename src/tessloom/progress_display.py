"""Showing on standard error how far a build is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tessloom.building.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import rich.progress

    from tessloom.pipelines import Pipeline

_LINE_EVERY = 10.0


def display(wanted: bool = True, doing: str = "fetch") -> Progress:
    """Return what suits standard error, or if it is not wanted, what shows nothing.

    Parameters
    ----------
    doing
        What is done to light curves.
    """
    if not wanted:
        return Progress()
    return TerminalProgress(doing) if sys.stderr.isatty() else PlainProgress(doing)


@contextmanager
def bytes_display(name: str, wanted: bool = True) -> Iterator[Callable[[int], None]]:
    """Show how much of a file has come in, on a terminal; yield what to tell of each piece."""
    if not wanted or not sys.stderr.isatty():
        yield lambda _size: None
        return
    from rich import progress  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    columns = (
        progress.TextColumn("{task.description}"),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda size: bar.update(task, advance=size)


class _Display(Progress):
    def __init__(self, doing: str = "fetch") -> None:
        self._doing = doing

    def listing(self, pipeline: Pipeline, sector: int) -> None:
        """Say that the lists are being read: some have gigabytes."""
        _say(f"{pipeline.name} sector {sector}: reading the archive's lists")

    def say(self, text: str) -> None:
        """Show a message."""
        tell(text)


class TerminalProgress(_Display):
    """A bar for all sectors of a build."""

    _bar: rich.progress.Progress | None = None

    def start(self, pipeline: Pipeline, sector: int, targets: int) -> None:
        """Show the bar, or make it longer."""
        from rich import progress  # noqa: PLC0415
        from rich.console import Console  # noqa: PLC0415

        if self._bar is None:
            self._failed = 0
            self._targets = 0
            self._bar = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TextColumn("{task.fields[failed]} failed"),
                progress.TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._task: rich.progress.TaskID = self._bar.add_task("", total=0, failed=0)
            self._bar.start()
        self._targets += targets
        name = f"to {pipeline.name} sector {sector}: {self._doing}"
        if self._targets == targets:
            name = name.removeprefix("to ")
        self._bar.update(self._task, total=self._targets, description=name)

    def advance(self, done: int, failed: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._failed += failed
            self._bar.update(self._task, advance=done, failed=self._failed)

    def listing(self, pipeline: Pipeline, sector: int) -> None:
        """Say that the lists are being read, unless a bar says that there is something to do."""
        if self._bar is None:
            super().listing(pipeline, sector)

    def say(self, text: str) -> None:
        """Show a message above the bar, where there is one."""
        if self._bar is None:
            super().say(text)
        else:
            self._bar.console.print(f"tessloom: {text}", markup=False, highlight=False)

    def finish(self) -> None:
        """Leave the bar where it is."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class PlainProgress(_Display):
    """A line now and then, for logs."""

    _targets = _done = _failed = 0
    _said_at = 0.0

    def start(self, pipeline: Pipeline, sector: int, targets: int) -> None:
        """Say what is to be done."""
        self._targets += targets
        if targets:
            self._said_at = time.monotonic()
            _say(f"{pipeline.name} sector {sector}: {targets} light curves to {self._doing}")

    def advance(self, done: int, failed: int) -> None:
        """Say how much is done, if it is time."""
        self._done += done
        self._failed += failed
        if time.monotonic() - self._said_at > _LINE_EVERY:
            self._said_at = time.monotonic()
            _say(f"{self._done} of {self._targets} light curves done, {self._failed} failed")

    def finish(self) -> None:
        """Begin anew."""
        self._targets = self._done = self._failed = 0


def tell(text: str) -> None:
    """Show a message to whoever waits: that the archive is down, and that it is up again."""
    _say(f"tessloom: {text}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
