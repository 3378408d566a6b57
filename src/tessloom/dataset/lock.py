"""One build at a time in a dataset's directory."""

from __future__ import annotations

import json
import os
import platform
import secrets
import threading
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import filelock

from tessloom.dataset.layout import LOCK, cannot_write, is_alive
from tessloom.dataset.storage import as_os_error, is_local, store_of
from tessloom.errors import DatasetLockedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Seconds between two renewals of a lease, and until one is taken for abandoned: several renewals
# may fail, and clocks differ.
_RENEW_EVERY = 60.0
_ABANDONED_AFTER = 600.0
_TAKEN = "another tessloom build is writing to {root}: wait for it, or use another directory"


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Keep other builds out of a directory, which is made where there is none.

    Raises
    ------
    DatasetLockedError
        Another build is writing to it.
    DatasetError
        It can't be written to.
    """
    with _locked_on_disk(root) if is_local(root) else _locked_in_store(root):
        yield


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
def _locked_on_disk(root: Path) -> Iterator[None]:
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(root / LOCK)
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise DatasetLockedError(_TAKEN.format(root=root)) from None
    except OSError as error:
        raise cannot_write(root, error) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _locked_in_store(root: Path) -> Iterator[None]:
    lease = _Lease(root)
    try:
        with as_os_error():
            holder = lease.acquire()
    except OSError as error:
        raise cannot_write(root, error) from error
    if holder is not None:
        minutes = round(_ABANDONED_AFTER / 60)
        raise DatasetLockedError(
            f"{_TAKEN.format(root=root)}. It is process {holder.process} on {holder.machine}, "
            f"heard of at {holder.renewed}; {minutes} minutes later it is taken for killed"
        )
    try:
        yield
    except BaseException:
        lease.release()
        raise
    if not lease.release():
        raise DatasetLockedError(
            f"another tessloom build took {root} over, because this one was silent for long: "
            "wait for it, then run the same command again"
        )


@dataclass(frozen=True, kw_only=True)
class _Holder:
    """Who may build, by what the object says.

    Attributes
    ----------
    token
        Tells one build from another.
    renewed
        When it was written last, in ISO 8601.
    """

    machine: str = field(default_factory=platform.node)
    process: int = field(default_factory=os.getpid)
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    renewed: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    @property
    def is_gone(self) -> bool:
        """Whether the build has ended without saying so, as far as can be told from here."""
        if self.machine == platform.node() and not is_alive(self.process):
            return True
        silent = datetime.now(UTC) - datetime.fromisoformat(self.renewed)
        return silent.total_seconds() > _ABANDONED_AFTER

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()


class _Lease:
    """The right to build in a directory of a store: an object that its holder renews.

    A store has no locks that end with their process. But it creates an object only where there
    is none, if it is asked to, so of two builds that begin at once one gets it.
    """

    def __init__(self, root: Path) -> None:
        self._store, self._name = store_of(root / LOCK)
        self._own = _Holder()
        self._ended = threading.Event()
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
            self._remove()
            if not self._create():
                return self.holder() or self._own
        self._thread.start()
        return None

    def release(self) -> bool:
        """Give it back; return whether it was still this build's."""
        self._ended.set()
        self._thread.join()
        with suppress(Exception):  # it is free some minutes later, then
            if not self._is_own():
                return False
            self._remove()
        return True

    def _create(self) -> bool:
        try:
            self._store.pipe_file(self._name, self._own.to_bytes(), mode="create")
        except FileExistsError:
            return False
        return True

    def _read(self) -> _Holder | None:
        try:
            return _Holder(**json.loads(self._store.cat_file(self._name)))
        except FileNotFoundError:
            return None
        except (TypeError, ValueError):
            return None  # no build has written it

    def _remove(self) -> None:
        with suppress(FileNotFoundError):
            self._store.rm_file(self._name)

    def _is_own(self) -> bool:
        holder = self._read()
        return holder is not None and holder.token == self._own.token

    def _renew(self) -> None:
        while not self._ended.wait(_RENEW_EVERY):
            with suppress(Exception):  # the next time will do
                if not self._is_own():
                    return
                renewed = replace(self._own, renewed=datetime.now(UTC).isoformat())
                self._store.pipe_file(self._name, renewed.to_bytes())
