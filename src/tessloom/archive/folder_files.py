"""The files of a folder: where they are, and what is in them."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def walk(start: str, passed_over: Callable[[str], None] = lambda _: None) -> Iterator[str]:
    """Yield the paths of all files below a folder, relative to it, in sorted order.

    Those of a directory come before those of the directories in it. The archive's tree has a
    directory for each file or two, at which `os.walk` takes twice as long.

    Parameters
    ----------
    start
        The folder, with a slash at its end.
    passed_over
        Called with each directory that is not looked into: links are not followed, as they may
        lead in a circle, and some can't be read.
    """
    directories = [""]
    while directories:
        directory = directories.pop()
        inside: list[str] = []
        files: list[str] = []
        try:
            with os.scandir(start + directory) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        inside.append(entry.name)
                    elif _leads_to_a_directory(entry):
                        passed_over(directory + entry.name)
                    else:
                        files.append(directory + entry.name)
        except OSError:
            passed_over(directory or ".")
        files.sort()
        yield from files
        inside.sort(reverse=True)
        directories += [f"{directory}{name}/" for name in inside]


def _leads_to_a_directory(entry: os.DirEntry[str]) -> bool:
    # A link that leads to itself can't be followed. It must not hide the files beside it.
    with contextlib.suppress(OSError):
        return entry.is_dir()
    return False


def read_file(path: str, size: int | None) -> bytes:
    """Return the first `size` bytes of a file, or all, at half of what a file object costs."""
    # A pipe that bears a light curve's name would be waited for without end.
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return _read_all(file, os.fstat(file).st_size if size is None else size)
    finally:
        os.close(file)


def _read_all(file: int, size: int) -> bytes:
    """Return `size` bytes of an open file, or as many as there are."""
    body = os.read(file, size)
    while 0 < len(body) < size:
        rest = os.read(file, size - len(body))
        if not rest:
            break
        body += rest
    return body
