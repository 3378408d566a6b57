"""The peak memory of a worker that fetches over a slow line with many requests at a time.

The command ``tessloom build`` runs in a process of its own, which is the worker too. Files come
with the latency of ``load.py``'s lognormal model; light curves of 200 s are the largest, and how
many targets there are must not matter.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from conversion import build_command
from downloads import files_in_memory
from fields import ERAS
from load import lognormal
from processes import run
from serving import serving
from table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fields import Field

_MOST = 600.0
_CONNECTIONS = 256


def memory(field: Field, root: Path) -> Iterator[Row]:
    """Yield the line on the peak memory of a worker."""
    with (
        serving(files_in_memory, root, latency=lognormal) as address,
        tempfile.TemporaryDirectory() as out,
    ):
        options = ("--connections", str(_CONNECTIONS))
        finished = run(build_command(field, address, out, *options), observed=True)
    yield Row(
        what=f"peak memory of a worker: {field.name}, {ERAS[field.sector]}",
        reached=finished.peak,
        unit="MB",
        goal=_MOST,
        at_most=True,
        figures={"files": field.files, "connections": _CONNECTIONS},
    )
