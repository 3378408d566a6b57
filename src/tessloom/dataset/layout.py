"""Where things are in a dataset's directory."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import re
import secrets
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tessloom.dataset.storage import (
    give_up_uploads,
    is_local,
    make_directory,
    matching,
    names_below,
    said,
    upload,
    upload_bytes,
)
from tessloom.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessloom.pipelines import Pipeline

LOCK = ".tessloom.lock"
CARD = "README.md"
# Readers pass over names that start with a dot, so a file in the making is never read.
_PARTIAL = ".{name}.{process}-{number}.partial"
# What is to be uploaded is made here, on the machine's own disk.
_TO_UPLOAD = "tessloom-{machine}-{process}-{number}.partial"
_PARTITION = re.compile(r"Norder=(\d+)/Dir=\d+/Npix=(\d+)/s(\d{4})\.parquet$")


def catalogue_directory(root: Path, pipeline: Pipeline) -> Path:
    """Return the directory of the HATS catalogue inside the collection."""
    return root / pipeline.name / "catalog"


def partition_path(root: Path, pipeline: Pipeline, pixel: int, sector: int) -> Path:
    """Return the file of one (pixel, sector)."""
    return catalogue_directory(root, pipeline) / partition_name(pipeline, pixel, sector)


def partition_name(pipeline: Pipeline, pixel: int, sector: int) -> str:
    """Return the path of the file of one (pixel, sector) inside a catalogue."""
    directory = pixel // 10_000 * 10_000  # the HATS standard's Dir
    parent = f"dataset/Norder={pipeline.healpix_order}/Dir={directory}/Npix={pixel}"
    return f"{parent}/s{sector:04d}.parquet"


def listing_path(root: Path, pipeline: Pipeline, sector: int) -> Path:
    """Return the file that says which targets were asked for."""
    return root / pipeline.name / "listing" / f"s{sector:04d}.parquet"


def index_directory(root: Path, pipeline: Pipeline, column: str) -> Path:
    """Return the directory of the index by `column`."""
    return root / pipeline.name / f"index_{column}"


def partitions(root: Path, pipeline: Pipeline) -> Iterator[tuple[int, int, Path]]:
    """Yield (pixel, sector, file) of all finished partitions, sorted by pixel and sector."""
    yield from sorted(_partitions(root, pipeline))


def has_partitions(root: Path, pipeline: Pipeline) -> bool:
    """Return whether there is a finished partition."""
    return next(_partitions(root, pipeline), None) is not None


def _partitions(root: Path, pipeline: Pipeline) -> Iterator[tuple[int, int, Path]]:
    pattern = "dataset/Norder=*/Dir=*/Npix=*/*.parquet"
    for path in matching(catalogue_directory(root, pipeline), pattern):
        match = _PARTITION.search(path.as_posix())
        if match and int(match[1]) == pipeline.healpix_order:
            yield int(match[2]), int(match[3]), path


def place(root: Path, pipeline: Pipeline, path: Path) -> tuple[int, int] | None:
    """Return the pixel and the sector of a partition's path; None if it is none."""
    match = _PARTITION.search(path.as_posix())
    if match is None:
        return None
    pixel, sector = int(match[2]), int(match[3])
    return (pixel, sector) if path == partition_path(root, pipeline, pixel, sector) else None


def visible_files(directory: Path) -> list[Path]:
    """Return the files below a directory that readers do not pass over, sorted."""
    return sorted(
        directory / name
        for name in names_below(directory)
        if not any(part[0] in "._" for part in name.split("/"))
    )


def sectors(root: Path, pipeline: Pipeline) -> list[int]:
    """Return the sectors of which targets were asked for."""
    paths = matching(root / pipeline.name / "listing", "s[0-9][0-9][0-9][0-9].parquet")
    return sorted(int(path.stem[1:]) for path in paths)


def partial_path(path: Path) -> Path:
    """Return a new name for the local file in which `path` is written before it is whole.

    It lies beside it, or among the temporary files if it is to be uploaded.
    """
    if not is_local(path):
        name = _TO_UPLOAD.format(
            machine=platform.node(), process=os.getpid(), number=secrets.token_hex(8)
        )
        return Path(tempfile.gettempdir()) / name
    # A number of its own each time: on a cluster, several may be writing one file.
    own = _PARTIAL.format(name=path.name, process=os.getpid(), number=secrets.token_hex(4))
    return path.with_name(own)


def discard(partial: Path) -> None:
    """Remove a file in the making, where there is one."""
    # Also where its directory could not be made: that is another error's to tell.
    with contextlib.suppress(OSError):
        partial.unlink()


def remove_partial_files(directory: Path) -> None:
    """Remove what killed builds left half written. The caller holds the lock."""
    if is_local(directory):
        for path in directory.rglob(".*.partial"):
            path.unlink(missing_ok=True)
        return
    give_up_uploads(directory)
    for name in names_below(directory):
        if PurePosixPath(name).match(".*.partial"):
            (directory / name).unlink(missing_ok=True)
    made_here = _TO_UPLOAD.format(machine=platform.node(), process="*", number="*")
    for path in Path(tempfile.gettempdir()).glob(made_here):
        process = path.stem.split("-")[-2]
        if process.isdecimal() and not is_alive(int(process)):
            discard(path)


def remove_abandoned(path: Path) -> None:
    """Remove what processes that are gone have left of `path`, which others may be writing."""
    for partial in path.parent.glob(f".{path.name}.*.partial"):
        process = partial.name.removeprefix(f".{path.name}.").partition("-")[0]
        if process.isdecimal() and not is_alive(int(process)):
            discard(partial)


def is_alive(process: int) -> bool:
    """Return whether there is a process of this number on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def remove_empty_pixels(root: Path, pipeline: Pipeline) -> None:
    """Remove directories of pixels in which no file was finished: HATS takes them for data."""
    if not is_local(root):
        return  # there, directories are nothing but the names of files
    for directory in catalogue_directory(root, pipeline).glob("dataset/Norder=*/Dir=*/Npix=*"):
        if not any(directory.iterdir()):
            directory.rmdir()


def put_in_place(partial: Path, path: Path) -> None:
    """Flush a finished file to the disk, or upload it, and give it its name.

    An older one is replaced.
    """
    if not is_local(path):
        upload(partial, path)
        discard(partial)
        return
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write a small file so that it is there whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, body: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises
    ------
    DatasetError
        The disk does not take it.
    """
    partial = partial_path(path)
    try:
        if not is_local(path):
            upload_bytes(body, path)
            return
        make_directory(path.parent)
        partial.write_bytes(body)
        put_in_place(partial, path)
    except OSError as error:
        discard(partial)
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> DatasetError:
    """Return the error for a disk that does not take a file."""
    advice = "Make room or choose another directory"
    if not is_local(path):
        advice = "Check the address, the credentials and what they allow"
        if error.errno == errno.ENOSPC:
            advice = f"Make room in {tempfile.gettempdir()}, or name another place in $TMPDIR"
    return DatasetError(
        f"can't write {path}: {said(error)}. {advice}, then run the same command again: what is "
        "finished is kept"
    )
