"""Opening the archive that a user names, the embedded one included."""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from tessloom.archive import (
    GATEWAY,
    S3,
    STATIC,
    Bucket,
    Mirrors,
    RetryPolicy,
    find_archive,
    with_policy,
)
from tessloom.building.request import parse_count
from tessloom.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tessloom.archive import ArchiveAddress
    from tessloom.demo import DemoServer

DEMO = "demo"
S3_PREFIX = "mast/hlsp/"
ARCHIVE_VARIABLE = "TESSLOOM_ARCHIVE"


@contextmanager
def open_archive(
    name: str | os.PathLike[str] | None,
    *,
    connections: int | None = None,
    policy: RetryPolicy | None = None,
    redirect_hosts: Iterable[str] = (),
) -> Iterator[ArchiveAddress]:
    """Find an archive, and keep the embedded one running for as long as it is in use.

    Parameters
    ----------
    name
        See `building.run.build`. None: what the environment says, else ``"mast"``.
    connections, policy, redirect_hosts
        See `building.run.build`; a folder has no use for them.

    Raises
    ------
    RequestError
        There is no such archive.
    """
    if connections is not None:
        connections = parse_count("connections", connections)
    if name is None:
        name = os.environ.get(ARCHIVE_VARIABLE) or "mast"
    name = os.fspath(name) if isinstance(name, os.PathLike) else name
    if not isinstance(name, str):
        raise RequestError(f"the archive is {name!r}: give a name, an address or a folder")
    with _demo() if name == DEMO else nullcontext(find_archive(name)) as found:
        if isinstance(found, Mirrors):
            yield with_policy(found, connections=connections, policy=policy, hosts=redirect_hosts)
        else:
            yield found


@contextmanager
def _demo() -> Iterator[ArchiveAddress]:
    # Imported late: the demo archive brings a server along.
    from tessloom.demo import DemoServer  # noqa: PLC0415

    with DemoServer() as server:
        yield demo_mirrors(server)


def demo_mirrors(server: DemoServer) -> Mirrors:
    """Return the embedded archive as an archive of three mirrors, like MAST."""
    root = server.s3.removesuffix(S3_PREFIX)
    s3 = replace(S3, address=server.s3, bucket=Bucket(root, S3_PREFIX))
    static = replace(STATIC, address=server.address)
    gateway = replace(GATEWAY, address=server.gateway)
    return Mirrors(
        name=DEMO,
        for_files=(s3, static, gateway),
        for_lists=(static, gateway),
        policy=RetryPolicy(wait=0.05),
    )
