"""Scripts, target lists and FITS files on disk, as the Multimodal Universe's builder keeps them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from tessloom import fits
from tessloom.archive import event_loop, slide
from tessloom.dataset.layout import (
    cannot_write,
    partial_path,
    put_in_place,
    write_bytes,
    write_text,
)
from tessloom.errors import FitsError, TargetError, TessloomError

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

    A hidden file beside it keeps where it is from and its size: all pipelines and archives use
    the same names, and other tools leave files cut off.

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
    note = path.with_name(f".{path.name}.source")
    origin = f"{address.name} {source}"
    if _noted(note) == (origin, _size(path)):
        return
    partial = partial_path(path)

    async def read() -> None:
        async with address.open(1) as archive, aclosing(pieces(archive)) as body:
            with partial.open("wb") as file:
                async for piece in body:
                    file.write(piece)
                    report(len(piece))

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        event_loop.run(read())
        put_in_place(partial, path)
        write_text(note, f"{_size(path)} {origin}\n")
    except TessloomError:
        raise
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        discard(partial)


def _noted(note: Path) -> tuple[str, int]:
    try:
        size, _, origin = note.read_text(encoding="utf-8").rstrip("\n").partition(" ")
        return origin, int(size)
    except (OSError, ValueError):  # there is none
        return "", -1


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None


def download_files(
    address: ArchiveAddress,
    files: Sequence[tuple[str, Path]],
    report: Callable[[bool], None],
) -> list[TargetError | None]:
    """Download light curves that are not there yet; return None or the error for each.

    Parameters
    ----------
    files
        Address of each file and where it is to stand.
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
        async with address.open(address.connections) as archive:

            async def get(index: int) -> None:
                source, path = files[index]
                if not is_whole(path):
                    try:
                        body = await archive.fetch(source, _checked)
                        await asyncio.to_thread(write_bytes, path, body)
                    except TargetError as error:
                        outcomes[index] = error
                report(outcomes[index] is None)

            await slide(address.connections, range(len(files)), get)

    event_loop.run(download())
    return outcomes


def is_whole(path: Path) -> bool:
    """Return whether a FITS file is there and has the size that its headers imply."""
    try:
        _checked(path.read_bytes())
    except (OSError, FitsError):
        return False
    return True


def _checked(body: bytes) -> bytes:
    fits.check_file(body)
    return body


def remove_files(folder: Path, paths: Iterable[str]) -> None:
    """Remove files below a folder, and what folders that leaves empty, but not `folder`."""
    for path in paths:
        file = folder / path
        file.unlink(missing_ok=True)
        for parent in file.parents:
            if parent == folder or not _removed(parent):
                break


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:  # something is in it
        return False
    return True
