"""Every error that tessloom raises on purpose, in one tree.

Each leaf also inherits the builtin that people catch, so that ``except OSError``
and ``except ValueError`` go on working around calls to tessloom.
"""

from __future__ import annotations

from typing import ClassVar


class TessloomError(Exception):
    """The root of the tree: catches everything that tessloom raises on purpose."""


class RequestError(TessloomError, ValueError):
    """The call itself is wrong: an unknown pipeline, a bad number, a file of ids without ids."""


class UnknownSectorError(RequestError, LookupError):
    """The archive has no such sector of this pipeline."""


class ArchiveError(TessloomError, OSError):
    """The archive can't be used: unreachable, failing for every file, or without its lists."""


class DatasetError(TessloomError, OSError):
    """The directory can't be read or built into: no dataset, of another kind, damaged, full."""


class NotInDatasetError(TessloomError, LookupError):
    """The dataset has no such pipeline, star or sector."""


class DatasetLockedError(DatasetError):
    """Another build is writing to this directory."""


class WorkerError(TessloomError, RuntimeError):
    """A worker's process was ended by somebody else. What is finished is kept."""


class TargetError(TessloomError):
    """One target can't be had. It is recorded as a failure and never ends a build.

    Attributes
    ----------
    reason
        One or two words, the same for all failures of a kind: what receipts count.
    """

    reason: ClassVar[str] = "unknown"


class FileMissingError(TargetError, FileNotFoundError):
    """The archive has no such file."""

    reason = "missing"


class FileUnavailableError(TargetError, OSError):
    """The archive did not give the file, however often it was asked."""

    reason = "unavailable"


class FileTimeoutError(FileUnavailableError, TimeoutError):
    """The archive was silent for too long, however often it was asked."""

    reason = "timeout"


class FitsError(TargetError, ValueError):
    """The file is not a light curve of the kind that was expected."""

    reason = "unreadable"


class NotFitsError(FitsError):
    """The file is something else: often a web page that was sent in its place."""

    reason = "not-fits"


class TruncatedFitsError(FitsError, EOFError):
    """The file is shorter than its own headers say."""

    reason = "truncated"


class CorruptFitsError(FitsError):
    """A check sum in the file does not agree with its bytes."""

    reason = "corrupt"


class WrongTargetError(FitsError):
    """The file is of another star or sector than its name says."""

    reason = "wrong-target"


class NoPositionError(TargetError, ValueError):
    """Neither the target list nor the file's header says where the star is."""

    reason = "no-coordinates"


class NotListedError(TargetError, LookupError):
    """The archive's lists for this sector name no file for the target."""

    reason = "not-listed"
