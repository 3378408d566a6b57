"""What comes over HTTP: from a server on the loopback to a dataset, and through slow lines.

The server (`serving`) has the field's files in its memory and answers at once or, for the second
part, as late as the model of the archive's latency says.
"""

from __future__ import annotations

import time
from statistics import mean
from typing import TYPE_CHECKING

from bare_client import download
from conversion import Build
from fields import ERAS, light_curve_files
from load import batched, serving_copies, timed, windowed
from measuring import noise, ratio, take_turns
from serving import serving
from table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fields import Field
    from serving import Answer

_RATE = 3000.0
_TIMES_BATCHES = 6.0
_WINDOW = 256
_CONNECTIONS = 32


def downloading(field: Field, root: Path, rounds: int) -> Iterator[Row]:
    """Yield the line on server to Parquet by one worker, in wall time and all of it included."""
    paths = [path.relative_to(root).as_posix() for path in light_curve_files(root)]

    def barely() -> float:
        start = time.perf_counter()
        download(address, paths, _CONNECTIONS)
        return time.perf_counter() - start

    with serving(files_in_memory, root) as address:
        build = Build(field, address)
        costs = take_turns(rounds, {"bare client": barely, "build": build.wall})
    yield Row(
        what=f"HTTP to Parquet, one worker: {field.name}, {ERAS[field.sector]}",
        reached=field.files / min(costs["build"]),
        unit="files/s",
        goal=_RATE,
        noise=noise(costs["build"]),
        figures={
            "files/s of a bare client": len(paths) / min(costs["bare client"]),
            "CPU µs a file": 1e6 * min(finished.cpu for finished in build.runs) / field.files,
            "files": field.files,
        },
    )


def waiting(rounds: int, windowed_requests: int, batched_requests: int) -> Iterator[Row]:
    """Yield the line on a sliding window against batches of 100, with lognormal latency.

    Mean wall time for each request. The first of them are in it, when the window is small, and the
    last, when it empties.
    """
    with serving_copies("lognormal") as address:
        costs = take_turns(
            rounds,
            {
                "batches": lambda: timed(batched(address, batched_requests))[0] / batched_requests,
                "window": lambda: (
                    timed(windowed(address, windowed_requests, _WINDOW))[0] / windowed_requests
                ),
            },
        )
    found = ratio(costs, "batches", "window", mean)
    yield Row(
        what=f"200 ms lognormal, 0.5 % at 3 s: window of {_WINDOW}",
        reference="batches of 100",
        reached=found.value,
        unit="times faster",
        goal=_TIMES_BATCHES,
        noise=found.noise,
        figures={f"{name}, files/s": 1 / mean(values) for name, values in costs.items()}
        | {"requests": windowed_requests, "requests in batches": batched_requests},
    )


def files_in_memory(root: Path) -> Answer:
    """Return what answers with the files below a folder."""
    bodies = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }
    return bodies.get
