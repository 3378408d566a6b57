"""The archive's mirrors: one relative path has an address at each of them."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from yarl import URL

from tessloom.archive.bucket import Bucket
from tessloom.archive.retry_policy import RetryPolicy
from tessloom.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from tessloom.archive.http_archive import HttpArchive

# Connections that make a worker worth while: one keeps up with hundreds.
_WORTH_A_WORKER = 8
# The archive's own: a redirect from one to another is followed.
_ARCHIVE_HOSTS = frozenset({"archive.stsci.edu", "mast.stsci.edu", "stpubdata.s3.amazonaws.com"})
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|::1")


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """One set of addresses of the archive.

    Attributes
    ----------
    address
        To which the relative paths of light curves, scripts and target lists are appended.
    connections
        Most requests under way, over all workers, unless the user says otherwise.
    most_connections
        Most that the user may say.
    whole
        Whether it has all that the archive has, so that what it lacks need be sought nowhere else.
    bucket
        Where the mirror is an S3 bucket: how to ask what it holds.
    """

    name: str
    address: str
    connections: int = 64
    most_connections: int = 1024
    whole: bool = False
    bucket: Bucket | None = None


S3 = Mirror(
    name="s3",
    address="https://stpubdata.s3.amazonaws.com/mast/hlsp/",
    connections=256,  # made for more
    bucket=Bucket("https://stpubdata.s3.amazonaws.com/", "mast/hlsp/"),
)
# One user measured no errors at 32 to 128 requests at a time (facts: 249 files/s).
STATIC = Mirror(
    name="static", address="https://archive.stsci.edu/hlsps/", connections=128, whole=True
)
# Refuses most requests at 64 at a time.
GATEWAY = Mirror(
    name="gateway",
    address="https://mast.stsci.edu/api/v0.1/Download/file?uri=mast:HLSP/",
    connections=8,
    most_connections=8,
    whole=True,
)


@dataclass(frozen=True, kw_only=True)
class Mirrors:
    """An archive over HTTP: the mirrors that are asked for each file, one after the other.

    Attributes
    ----------
    for_files
        The mirrors, in the order in which they are asked for a light curve.
    for_lists
        In which order they are asked for scripts, target lists and the index of scripts.
    connections
        Most requests under way at each mirror, over all workers; None: `Mirror.connections`.
    hosts
        To which redirects may lead, beside the archive's own and the mirrors'.
    """

    name: str
    for_files: tuple[Mirror, ...]
    for_lists: tuple[Mirror, ...]
    connections: int | None = None
    hosts: frozenset[str] = frozenset()
    policy: RetryPolicy = field(default_factory=RetryPolicy)

    lists_may_change = False

    @property
    def files(self) -> str:
        """Address of the mirror that people know: the one with the lists."""
        return self.for_lists[0].address

    lists = files

    @property
    def most_workers(self) -> int:
        """How many can share the connections: all must ask the mirror that has the last word."""
        limits = self._limits()
        return max([limits[m] for m in limits if m.whole] or limits.values())

    @property
    def worthwhile_workers(self) -> int:
        """How many are of use."""
        return max(1, self.most_workers // _WORTH_A_WORKER)

    @asynccontextmanager
    async def open(
        self, workers: int = 1, say: Callable[[str], None] = lambda _: None
    ) -> AsyncIterator[HttpArchive]:
        """Open the archive for one of so many workers."""
        # With the HTTP client, which a folder needs not.
        from tessloom.archive.http_archive import HttpArchive  # noqa: PLC0415
        from tessloom.archive.open_mirror import LOOPBACK, OpenMirror  # noqa: PLC0415

        named = {str(URL(mirror.address).host) for mirror in (*self.for_files, *self.for_lists)}
        # What is on this machine is nobody else's to lead to.
        hosts = _ARCHIVE_HOSTS | (named - LOOPBACK) | self.hosts
        if workers > self.most_workers:
            raise RequestError(
                f"{workers} workers can't share {self.most_workers} connections to {self.name}: "
                "take fewer workers or more connections"
            )
        limits = self._limits()
        async with AsyncExitStack() as stack:
            opened = {
                mirror: await stack.enter_async_context(
                    OpenMirror(mirror, connections, self.policy, hosts, say)
                )
                for mirror, connections in (dict.fromkeys(self.for_lists, 1) | limits).items()
            }
            archive = HttpArchive(
                self.name,
                {opened[mirror]: connections for mirror, connections in limits.items()},
                [opened[mirror] for mirror in self.for_lists],
                self.policy,
            )
            archive.share(workers)
            yield archive

    def _limits(self) -> dict[Mirror, int]:
        """Return the connections that all workers together have to each mirror."""
        return {
            mirror: mirror.connections
            if self.connections is None
            else min(self.connections, mirror.most_connections)
            for mirror in self.for_files
        }


MAST = Mirrors(name="mast", for_files=(S3, STATIC, GATEWAY), for_lists=(STATIC, GATEWAY))
ARCHIVES = {
    archive.name: archive
    for archive in (
        MAST,
        # Not known to have the scripts and lists.
        Mirrors(name="s3", for_files=(S3,), for_lists=(S3, STATIC)),
        Mirrors(name="static", for_files=(STATIC,), for_lists=(STATIC,)),
        Mirrors(name="gateway", for_files=(GATEWAY,), for_lists=(GATEWAY, STATIC)),
    )
}


def mirrors_at(text: str) -> Mirrors:
    """Return an own mirror, or several with commas between them, names among them.

    Raises
    ------
    RequestError
        One is no address.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    named = [ARCHIVES[part] if part in ARCHIVES else _own_mirror(part) for part in parts]
    files = dict.fromkeys(mirror for archive in named for mirror in archive.for_files)
    lists = dict.fromkeys(mirror for archive in named for mirror in archive.for_lists)
    return Mirrors(name=",".join(a.name for a in named), for_files=(*files,), for_lists=(*lists,))


def _own_mirror(address: str) -> Mirrors:
    address = address.rstrip("/") + "/"
    try:
        url = URL(address)
    except ValueError as error:
        raise RequestError(f"the address {address!r} is none: {error}") from None
    if url.scheme not in ("http", "https"):
        raise RequestError(f"the address {address!r} is not one of http or https")
    if not url.host:
        raise RequestError(f"the address {address!r} names no host")
    mirror = Mirror(name=address, address=address)
    return Mirrors(name=address, for_files=(mirror,), for_lists=(mirror,))


def with_policy(
    archive: Mirrors,
    *,
    connections: int | None = None,
    policy: RetryPolicy | None = None,
    hosts: Iterable[str] = (),
) -> Mirrors:
    """Return the archive with what the user says of connections, repetitions and redirects.

    Raises
    ------
    RequestError
        A host is none.
    """
    hosts = [hosts] if isinstance(hosts, str) else list(hosts)
    for host in hosts:
        if not isinstance(host, str) or not _HOST.fullmatch(host):
            raise RequestError(f"{host!r} is no host: give a name such as cdn.example.org")
    return replace(
        archive,
        connections=archive.connections if connections is None else connections,
        policy=archive.policy if policy is None else policy,
        hosts=archive.hosts | frozenset(hosts),
    )
