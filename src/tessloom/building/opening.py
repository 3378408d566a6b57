"""Opening the archive that a user names, the embedded one included."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tessloom.archive import Mirror, Retry, find_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessloom.archive import ArchiveAddress

DEMO = "demo"
ARCHIVE_VARIABLE = "TESSLOOM_ARCHIVE"


@contextmanager
def open_archive(name: str | None) -> Iterator[ArchiveAddress]:
    """Find an archive, and keep the embedded one running for as long as it is in use.

    Parameters
    ----------
    name
        See `building.run.build`. None: what the environment says, else ``"mast"``.

    Raises
    ------
    RequestError
        There is no such archive.
    """
    name = name or os.environ.get(ARCHIVE_VARIABLE) or "mast"
    if name != DEMO:
        yield find_archive(name)
        return
    # Imported late: the demo archive brings a server along.
    from tessloom.demo import DemoServer  # noqa: PLC0415

    with DemoServer() as server:
        yield Mirror(name=DEMO, files=server.address, lists=server.address, retry=Retry(wait=0.05))
