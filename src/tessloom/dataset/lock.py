"""One build at a time in a dataset's directory."""

from __future__ import annotations

import json
import os
import platform
import secrets
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from tessloom.dataset.layout import LOCK, cannot_write, is_alive
from tessloom.dataset.storage import as_os_error, is_local, make_directory, store_of
from tessloom.errors import DatasetLockedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Seconds between two renewals of a lease, and until one is taken for abandoned: several renewals
# may fail, and clocks differ.
_RENEW_EVERY = 60.0
_ABANDONED_AFTER = 600.0
# Seconds after which of several builds that take a lease over all see which was the last.
_SETTLED_AFTER = 5.0
_TAKEN = "another tessloom build is writing to {root}: wait for it, or use another directory"


@contextmanager
def locked(root: Path) -> Iterator[Callable[[], None]]:
    """Keep other builds out of a directory, which is made where there is none.

    Yields
    ------
    Callable
        Raises `DatasetLockedError` when another build has taken the directory over.

    Raises
    ------
    DatasetLockedError
        Another build is writing to it.
    DatasetError
        It can't be written to.
    """
    with _locked_on_disk(root) if is_local(root) else _locked_in_store(root) as check:
        yield check


@contextmanager
def unwritten(root: Path) -> Iterator[None]:
    """See to it that no build is writing to a directory while it is read.

    Raises
    ------
    DatasetLockedError
        One is.
    """
    busy = DatasetLockedError(f"a tessloom build is writing to {root}: verify it when that is done")
    if not is_local(root):
        if _Lease(root).holder() is not None:
            raise busy
        yield
        return
    lock = filelock.FileLock(root / LOCK)
    if (root / LOCK).exists():
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            raise busy from None
        except OSError:
            pass  # nobody can build where nothing can be written
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _locked_on_disk(root: Path) -> Iterator[Callable[[], None]]:
    try:
        make_directory(root)
        lock = filelock.FileLock(root / LOCK)
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise DatasetLockedError(_TAKEN.format(root=root)) from None
    except OSError as error:
        raise cannot_write(root, error) from error
    try:
        yield lambda: None  # the system keeps the lock
    finally:
        lock.release()


@contextmanager
def _locked_in_store(root: Path) -> Iterator[Callable[[], None]]:
    lease = _Lease(root)
    try:
        with as_os_error():
            make_directory(root)
            holder = lease.acquire()
    except OSError as error:
        raise cannot_write(root, error) from error
    if holder is not None:
        minutes = round(_ABANDONED_AFTER / 60)
        raise DatasetLockedError(
            f"{_TAKEN.format(root=root)}. It is process {holder.process} on {holder.machine}, "
            f"heard of at {holder.renewed}; {minutes} minutes later it is taken for killed"
        )

    def check() -> None:
        if lease.lost:
            raise DatasetLockedError(
                f"another tessloom build took {root} over, because this one was silent for long: "
                "wait for it, then run the same command again"
            )

    try:
        yield check
    finally:
        lease.release()
    check()


def _process_numbers() -> str:
    """Return what is equal for two processes only if they see the same processes by number.

    Machines may have the same name, and so have containers that don't see each other's processes.
    """
    with suppress(OSError):  # not Linux
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    return ""


@dataclass(frozen=True, kw_only=True)
class _Holder:
    """Who may build, by what the object says.

    Attributes
    ----------
    processes
        Tells among which processes `process` is a number; empty where that is not known.
    token
        Tells one build from another.
    renewed
        When it was written last, in ISO 8601.
    """

    machine: str = field(default_factory=platform.node)
    processes: str = field(default_factory=_process_numbers)
    process: int = field(default_factory=os.getpid)
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    renewed: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    @property
    def is_gone(self) -> bool:
        """Whether the build has ended without saying so, as far as can be told from here."""
        known = self.processes and self.processes == _process_numbers()
        if known and not is_alive(self.process):
            return True
        silent = datetime.now(UTC) - datetime.fromisoformat(self.renewed)
        return silent.total_seconds() > _ABANDONED_AFTER

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()


class _Lease:
    """The right to build in a directory of a store: an object that its holder renews.

    A store has no locks that end with their process. But it creates an object only where there
    is none, if it is asked to, so of two builds that begin at once one gets it. One that is taken
    over is overwritten: of several that do so the last one has it, as all see a little later.

    Attributes
    ----------
    lost
        Whether another build has taken it over.
    """

    def __init__(self, root: Path) -> None:
        self._store, self._name = store_of(root / LOCK)
        self._own = _Holder()
        self._ended = threading.Event()
        self.lost = False
        self._thread = threading.Thread(target=self._renew, name="tessloom-lease", daemon=True)

    def holder(self) -> _Holder | None:
        """Return who has it; None if it is free."""
        found = self._read()
        return None if found is None or found.is_gone else found

    def acquire(self) -> _Holder | None:
        """Take it if it is free; return None, or who has it."""
        if not self._create():
            holder = self.holder()
            if holder is not None:
                return holder
            self._store.pipe_file(self._name, self._own.to_bytes())
            time.sleep(_SETTLED_AFTER)
            found = self._read()
            if found is None or found.token != self._own.token:
                return found or self._own
        self._thread.start()
        return None

    def release(self) -> None:
        """Give it back, if it is still this build's."""
        self._ended.set()
        self._thread.join()
        with suppress(Exception):  # it is free some minutes later, then
            self._look()
            if not self.lost:
                self._remove()

    def _create(self) -> bool:
        try:
            self._store.pipe_file(self._name, self._own.to_bytes(), mode="create")
        except FileExistsError:
            return False
        return True

    def _read(self) -> _Holder | None:
        try:
            holder = _Holder(**json.loads(self._store.cat_file(self._name)))
            datetime.fromisoformat(holder.renewed)
        except FileNotFoundError:
            return None
        except (TypeError, ValueError):
            return None  # no build has written it
        return holder

    def _remove(self) -> None:
        with suppress(FileNotFoundError):
            self._store.rm_file(self._name)

    def _look(self) -> None:
        holder = self._read()
        self.lost = holder is None or holder.token != self._own.token

    def _renew(self) -> None:
        while not self._ended.wait(_RENEW_EVERY):
            with suppress(Exception):  # the next time will do
                self._look()
                if self.lost:
                    return
                renewed = replace(self._own, renewed=datetime.now(UTC).isoformat())
                self._store.pipe_file(self._name, renewed.to_bytes())
