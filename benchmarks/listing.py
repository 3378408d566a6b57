"""What a listing costs: CPU time and memory for a TGLC sector of any size, without the network.

Script and target list are made as they are read, so neither is ever in memory or on disk. What
making them costs is measured in a first pass and subtracted. Each case runs in a process of its
own, as peak memory is the process's.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tessloom.archive import Findings, ScriptReader, Selection, read_listing
from tessloom.archive.listing_cache import ListingCache
from tessloom.pipelines import TGLC

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    import numpy.typing as npt

    from tessloom.archive import FileNames
    from tessloom.pipelines import Pipeline

SECTOR = 23
SECTOR_23 = 1_460_425
LINES_A_PIECE = 4000
TICK = time.process_time


class GeneratedArchive:
    """The lists of one sector, as the archive has them: sorted by camera, CCD and Gaia id."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self.making = 0.0  # CPU seconds that went into making the lists

    async def file_names(
        self, pipeline: Pipeline, sector: int, findings: Findings, limit: int | None
    ) -> tuple[FileNames, tuple[()]]:
        """Read the script."""
        reader = ScriptReader(pipeline, sector, findings, limit)
        for piece in self._timed(self._script()):
            reader.feed(piece)
            if reader.full:
                break
        return reader.close(), ()

    async def target_list(self, pipeline: Pipeline, sector: int) -> AsyncGenerator[bytes]:
        """Yield the target list in pieces."""
        del pipeline, sector
        for piece in self._timed(self._target_list()):
            yield piece

    def _timed(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        while True:
            start = TICK()
            piece = next(pieces, b"")
            self.making += TICK() - start
            if not piece:
                return
            yield piece

    def _parts(self) -> Iterator[tuple[int, int, npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
        """Yield camera, CCD, Gaia ids and positions; ids are those of healpix order 12."""
        for number in range(16):
            count = self._lines // 16 + (number < self._lines % 16)
            random = np.random.default_rng(number)
            for start in range(0, count, LINES_A_PIECE):
                stop = min(start + LINES_A_PIECE, count)
                steps = np.arange(start, stop) * (10**17 // max(count, 1))
                ids = (number + 1) * 4 * 10**17 + steps + random.integers(0, 10**9, stop - start)
                sky = random.random((stop - start, 2)) * (360.0, 180.0) - (0.0, 90.0)
                yield number // 4 + 1, number % 4 + 1, ids, sky

    def _script(self) -> Iterator[bytes]:
        yield b"#!/bin/sh\n"
        for camera, ccd, ids, _ in self._parts():
            lines = []
            for identifier in ids.tolist():
                path = TGLC.light_curve_path(SECTOR, identifier, camera, ccd, "v1")
                lines.append(
                    f"curl -f --create-dirs --output '{path[5:]}' "
                    f"'https://archive.stsci.edu/hlsps/{path}'\n"
                )
            yield "".join(lines).encode()

    def _target_list(self) -> Iterator[bytes]:
        yield b"#GAIADR3_ID,TIC_ID,RA,DEC\n"
        for _, _, ids, sky in self._parts():
            rows = zip(ids.tolist(), sky.tolist(), strict=True)
            yield "".join(
                f"{i},{i % 10**10},{ra:.12f},{dec:.12f}\n" for i, (ra, dec) in rows
            ).encode()


def main() -> None:
    """Measure a listing that is read, and the same from the cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=SECTOR_23, help="lines of the script")
    lines = parser.parse_args().lines
    print(f"TGLC, {lines} lines")
    with tempfile.TemporaryDirectory() as folder:
        for title, cached in (("read", False), ("read and kept", True), ("from the cache", True)):
            process = multiprocessing.get_context("spawn").Process(
                target=_measure, args=(title, lines, Path(folder) if cached else None)
            )
            process.start()
            process.join()
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        print(f"{'the cache':15} {size / 1e6:7.0f} MB")


def _measure(title: str, lines: int, folder: Path | None) -> None:
    archive = GeneratedArchive(lines)
    cache = None if folder is None else ListingCache(folder=folder, archive="generated")
    start = TICK()
    reading = read_listing(archive, TGLC, SECTOR, Selection(), cache)  # type: ignore[arg-type]
    listing = asyncio.run(reading)
    seconds = TICK() - start - archive.making
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert len(listing.targets) == lines  # noqa: S101 - a benchmark of a failure says nothing
    assert not listing.findings.counts  # noqa: S101
    print(f"{title:15} {seconds:7.2f} s of CPU {peak:7.0f} MB at most", flush=True)


if __name__ == "__main__":
    main()
