"""What a pipeline's files are read in, and which shard reads what."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from tessloom.dataset.opening import damaged, open_parquet, parquet_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import pyarrow.parquet as pq

# Files are of very different sizes: with fewer for each shard, row groups are shared out instead.
_FILES_A_SHARD = 8
# Files whose row groups are mixed: neighbours on the sky are in one file, and share much else.
_FILES_OPEN = 32


class _RowGroup(NamedTuple):
    path: Path
    file: pq.ParquetFile
    number: int


class Part(NamedTuple):
    """A file, or one of its row groups."""

    path: Path
    row_group: int | None = None


def shared_out(
    paths: Sequence[Path], shards: int, random: np.random.Generator | None
) -> list[list[Part]]:
    """Return what each shard reads: files, or row groups if there are too few files.

    Parameters
    ----------
    random
        Orders them; None: they stay in their order.
    """
    parts = [Part(path) for path in paths]
    if shards > 1 and len(parts) < _FILES_A_SHARD * shards:
        parts = [part for path in paths for part in _row_groups(path)]
    if random is not None:
        parts = [parts[number] for number in random.permutation(len(parts))]
    return [parts[shard::shards] for shard in range(shards)]


def evenly_shared_out(
    counts: Sequence[tuple[Part, int]], shards: int, random: np.random.Generator | None
) -> list[list[tuple[Part, int]]]:
    """Return what each shard reads, so that all have about as many light curves.

    Parameters
    ----------
    counts
        Parts, and how many light curves of each are wanted.
    random
        Orders them; None: they stay in their order.
    """
    numbers = range(len(counts)) if random is None else random.permutation(len(counts)).tolist()
    held = np.zeros(shards, np.int64)
    shares: list[list[int]] = [[] for _ in range(shards)]
    for number in sorted(numbers, key=lambda number: -counts[number][1]):
        shard = int(held.argmin())
        shares[shard].append(number)
        held[shard] += counts[number][1]
    # The largest came first, in every epoch.
    ordered = [sorted(s) if random is None else random.permutation(s).tolist() for s in shares]
    return [[counts[number] for number in share] for share in ordered]


def count_wanted(
    paths: Sequence[Path], columns: Sequence[str], wanted: Callable[[pa.Table], int]
) -> list[tuple[Part, int]]:
    """Return all row groups that have light curves which are wanted, and how many.

    Parameters
    ----------
    columns
        Those that `wanted` looks at.
    """
    counts = []
    for path in paths:
        with parquet_file(path) as file:
            for number in range(file.num_row_groups):
                count = wanted(file.read_row_group(number, columns))
                counts += [(Part(path, number), count)] * (count > 0)
    return counts


def read_parts(
    parts: Sequence[Part],
    columns: Sequence[str],
    random: np.random.Generator | None,
    *,
    threads: bool,
) -> Iterator[pa.Table]:
    """Yield the row groups of parts.

    Parameters
    ----------
    random
        Mixes row groups of several files; None: they come in their order.
    threads
        Whether one is read ahead, its columns side by side; for a process that has the processor
        for itself.

    Raises
    ------
    DatasetError
        A file is damaged.
    """
    for start in range(0, len(parts), _FILES_OPEN):
        with ExitStack() as opened:
            some = parts[start : start + _FILES_OPEN]
            files = {path: _opened(opened, path, columns) for path in {part.path for part in some}}
            found = [
                _RowGroup(path, files[path], number)
                for path, row_group in some
                for number in (
                    range(files[path].num_row_groups) if row_group is None else [row_group]
                )
            ]
            if random is not None:
                found = [found[place] for place in random.permutation(len(found))]
            read = partial(_read, columns, threads=threads)
            yield from _one_ahead(read, found) if threads else map(read, found)


def _opened(stack: ExitStack, path: Path, columns: Sequence[str]) -> pq.ParquetFile:
    try:
        file = stack.enter_context(open_parquet(path))
        # Arrow would pass over columns that are not there.
        there = {column.path.removesuffix(".list.element") for column in file.schema}
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, error) from error
    if absent := sorted(set(columns) - there):
        raise damaged(path, KeyError(f"there is no {', '.join(absent)}"))
    return file


def _one_ahead(
    read: Callable[[_RowGroup], pa.Table], row_groups: Sequence[_RowGroup]
) -> Iterator[pa.Table]:
    """Yield what is read, while a thread reads the next."""
    with ThreadPoolExecutor(1) as reader:
        ahead = None
        for row_group in row_groups:
            done, ahead = ahead, reader.submit(read, row_group)
            if done is not None:
                yield done.result()
                done = None
        if ahead is not None:
            yield ahead.result()


def _read(columns: Sequence[str], row_group: _RowGroup, *, threads: bool) -> pa.Table:
    path, file, number = row_group
    try:
        return file.read_row_group(number, columns, use_threads=threads).combine_chunks()
    except (OSError, pa.ArrowException) as error:
        raise damaged(path, error) from error


def _row_groups(path: Path) -> list[Part]:
    with parquet_file(path) as file:
        return [Part(path, number) for number in range(file.num_row_groups)]
