"""Commands that run in processes of their own, and what they cost: CPU, time and memory."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TESSLOOM = str(Path(sys.executable).with_name("tessloom"))
_LOOK_EVERY = 0.05
_PROCESSES = Path("/proc")


@dataclass(frozen=True)
class Finished:
    """A command that has run.

    Attributes
    ----------
    wall, cpu
        Seconds; `cpu` is that of all threads and of all processes that the command started.
    peak, peak_of_children
        The most memory that its process, and any process that it started, had at a time, in
        megabytes. As `/proc` tells while they run (Linux), so that what happens in the last
        moments is missing; 0 where they were not observed.
    output
        What it printed.
    """

    wall: float
    cpu: float
    peak: float = 0.0
    peak_of_children: float = 0.0
    output: str = ""


def run(command: list[str], *, observed: bool = False) -> Finished:
    """Run a command to its end, without a cache of lists from earlier ones.

    Raises
    ------
    RuntimeError
        It failed; with what it printed.
    """
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - the benchmark's own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"TESSLOOM_CACHE": cache},
        )
        with _observing(process.pid) if observed else contextlib.nullcontext(_Peaks()) as peaks:
            _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="replace")
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit status {process.returncode}\n{text}")
    return Finished(wall, usage.ru_utime + usage.ru_stime, peaks.own, peaks.children, text)


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Keep this process, and what it starts meanwhile, on one core (Linux)."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(allowed)[core]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@dataclass
class _Peaks:
    own: float = 0.0
    children: float = 0.0


@contextlib.contextmanager
def _observing(process: int) -> Iterator[_Peaks]:
    """Look at the memory of a process now and then, from a thread.

    What the kernel tells at the end of a process is of no use: it counts the memory that the
    process had as a copy of its parent, before it became another program.
    """
    peaks, ended = _Peaks(), threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK_EVERY):
            peaks.own = max(peaks.own, _peak(process))
            for child in _descendants(process):
                peaks.children = max(peaks.children, _peak(child))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


def _peak(process: int) -> float:
    with contextlib.suppress(OSError):
        for line in (_PROCESSES / str(process) / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _descendants(process: int) -> list[int]:
    parents: dict[int, int] = {}
    for path in _PROCESSES.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in brackets, may have blanks.
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = [process]
    for parent in found:  # grows on the way
        found += [child for child, its_parent in parents.items() if its_parent == parent]
    return found[1:]
