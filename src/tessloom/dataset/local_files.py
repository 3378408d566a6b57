"""A dataset's files on this machine: found without passing over what can't be read."""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tessloom.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator


def unreadable(path: Path | str, error: OSError) -> DatasetError:
    """Return the error for a file or directory that the system does not let one read."""
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    return DatasetError(f"{path} can't be read: {reason}")


def matching_below(directory: Path, part: str, *parts: str) -> Iterator[Path]:
    """Yield what `Path.glob` finds for a pattern's parts; that passes over what it can't read.

    Raises
    ------
    DatasetError
        A directory can't be read.
    """
    try:
        names = fnmatch.filter(os.listdir(directory), part)  # noqa: PTH208 - names alone
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise unreadable(directory, error) from error
    for name in names:
        if parts:
            yield from matching_below(directory / name, *parts)
        else:
            yield directory / name


def files_below(directory: Path) -> Iterator[Path]:
    """Yield the files below a directory.

    Raises
    ------
    DatasetError
        A directory can't be read.
    """

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise unreadable(error.filename, error) from error

    for folder, _, names in os.walk(directory, onerror=fail):
        yield from (Path(folder, name) for name in names)


def is_there(path: Path) -> bool:
    """Return whether there is a file; `Path.exists` may say no where it can't look.

    Raises
    ------
    DatasetError
        The system does not tell.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unreadable(path, error) from error
    return True


def check_place(directory: Path) -> None:
    """Check, without writing anything, that a directory can be written to or made.

    Raises
    ------
    DatasetError
        It can't.
    """
    found = next(place for place in (directory, *directory.absolute().parents) if is_there(place))
    if not found.is_dir():
        raise DatasetError(f"can't write {directory}: {found} is no directory")
    if not os.access(found, os.W_OK | os.X_OK):
        raise DatasetError(f"can't write {directory}: {found} may not be written to")
