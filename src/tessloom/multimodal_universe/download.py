"""Scripts, target lists and FITS files on disk, as the Multimodal Universe's builder keeps them."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import warnings
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tessloom.archive import event_loop, slide
from tessloom.dataset.layout import (
    cannot_write,
    discard,
    partial_path,
    put_in_place,
    remove_abandoned,
    write_bytes,
    write_text,
)
from tessloom.errors import DatasetError, FitsError, RequestError, TargetError, TessloomError
from tessloom.progress_display import tell

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
    from pathlib import Path

    from tessloom.archive import Archive, ArchiveAddress


def download_text(
    address: ArchiveAddress,
    source: str,
    pieces: Callable[[Archive], AsyncGenerator[bytes]],
    path: Path,
    report: Callable[[int], None],
) -> None:
    """Write a script or list to disk as it comes in, unless it is there as a whole.

    A hidden file beside it keeps where it is from and its checksum: all pipelines and archives
    use the same names, and other tools leave files cut off. What is there and was not downloaded,
    or was changed since, is kept under another name.

    Parameters
    ----------
    source
        Its path in the archive.
    pieces
        What of the open archive is wanted.
    report
        Called with the bytes that have come in since it was last called.

    Raises
    ------
    DatasetError
        The disk does not take it.
    """
    note = note_path(path)
    origin, digest = _noted(note)
    wanted = f"{address.name} {source}"
    unchanged = path.exists() and digest == _digest(path)
    if unchanged and origin == wanted:
        return
    remove_abandoned(path)
    partial = partial_path(path)

    async def read() -> None:
        async with address.open(say=tell) as archive, aclosing(pieces(archive)) as body:
            with partial.open("wb") as file:
                async for piece in body:
                    file.write(piece)
                    report(len(piece))

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        event_loop.run(read())
        if path.exists() and not unchanged:
            kept = _free_name(path)
            path.replace(kept)
            warnings.warn(f"{path} was not as it was downloaded: it is now {kept}", stacklevel=4)
        put_in_place(partial, path)
        write_text(note, f"{_digest(path)} {wanted}\n")
    except TessloomError:
        raise
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        discard(partial)


def note_path(path: Path) -> Path:
    """Return the hidden file that says where a script or list is from."""
    return path.with_name(f".{path.name}.source")


def _noted(note: Path) -> tuple[str, str]:
    try:
        digest, _, origin = note.read_text(encoding="utf-8").rstrip("\n").partition(" ")
    except (OSError, ValueError):  # there is none
        return "", ""
    return origin, digest


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.old{number or ''}") for number in itertools.count())
    return next(name for name in names if not name.exists())


@dataclass(frozen=True)
class WantedFile:
    """One FITS file.

    Attributes
    ----------
    source
        Its address, or path below the archive's.
    path
        Where it is to stand.
    check
        Raises `FitsError` for a body that is not the file.
    """

    source: str
    path: Path
    check: Callable[[bytes], object]

    def accept(self, body: bytes) -> bytes:
        """Return the body, checked."""
        self.check(body)
        return body

    def is_there(self) -> bool:
        """Return whether the file is there, whole, and the right one."""
        try:
            self.check(self.path.read_bytes())
        except (OSError, FitsError):
            return False
        return True


def download_files(
    address: ArchiveAddress, files: Sequence[WantedFile], report: Callable[[bool], None]
) -> list[TargetError | None]:
    """Download light curves that are not there yet; return None or the error for each.

    Parameters
    ----------
    report
        Called as each is done, with whether it is there.

    Raises
    ------
    ArchiveError
        The archive fails for every file. What was had is kept.
    DatasetError
        The disk does not take a file.
    """
    outcomes: list[TargetError | None] = [None] * len(files)

    async def download() -> None:
        async with address.open(say=tell) as archive:

            async def get(index: int) -> None:
                file = files[index]
                if not file.is_there():
                    try:
                        body = await archive.fetch(file.source, file.accept)
                        await asyncio.to_thread(write_bytes, file.path, body)
                    except TargetError as error:
                        outcomes[index] = error
                report(outcomes[index] is None)

            await slide(archive.at_a_time, range(len(files)), get)

    event_loop.run(download())
    return outcomes


def remove_files(folder: Path, paths: Iterable[str]) -> None:
    """Remove files below a folder, and what folders that leaves empty, but not `folder`.

    Raises
    ------
    RequestError
        A path leads out of the folder.
    DatasetError
        A file can't be removed.
    """
    folder = folder.resolve()
    for path in paths:
        file = (folder / path).resolve()
        if not file.is_relative_to(folder):
            raise RequestError(f"{path} leads out of {folder}: it was not removed")
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise DatasetError(f"can't remove {file}: {error.strerror}") from error
        for parent in file.parents:
            if parent == folder or not _removed(parent):
                break


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:  # something is in it
        return False
    return True
