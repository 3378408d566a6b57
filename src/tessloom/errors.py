"""Every error that tessloom raises on purpose, in one tree.

Each leaf also inherits the builtin that people catch, so that ``except OSError``
and ``except ValueError`` go on working around calls to tessloom.
"""

from __future__ import annotations


class TessloomError(Exception):
    """The root of the tree: catches everything that tessloom raises on purpose."""


class RequestError(TessloomError, ValueError):
    """The call itself is wrong: an unknown pipeline, a bad number, options that exclude each other."""


class UnknownSectorError(RequestError, LookupError):
    """The archive has no such sector of this pipeline."""


class ArchiveError(TessloomError, OSError):
    """The archive can't be used: unreachable, failing for every file, or missing its lists."""


class FitsError(TessloomError, ValueError):
    """These bytes are not a light-curve file of the kind that was expected."""


class TruncatedFitsError(FitsError, EOFError):
    """The file is shorter than its own headers say."""


class DatasetError(TessloomError, OSError):
    """The directory can't be built into: damaged, of another kind, or out of space."""


class DatasetLockedError(DatasetError):
    """Another build is writing to this directory."""
