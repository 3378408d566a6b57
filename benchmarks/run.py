"""What a light curve costs, step by step, on this machine: run with ``make bench``.

A dense field of synthetic stars (one or two partitions, as full sectors have them) is written to
a folder and built from there and over HTTP. The figures are microseconds a file, of wall time;
compare the columns of one run, not runs. The page cache is warm.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from aiohttp import web
from astropy.io import fits as astropy_fits
from serving import serving

import tessloom
from tessloom.dataset.rows import RowFormat
from tessloom.demo.products import PRODUCTS
from tessloom.demo.sectors import SECTORS
from tessloom.demo.sky import Target, stars
from tessloom.fits import Decoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving import Handler

    from tessloom.demo.products import Product

CASES = (("tglc", 23), ("qlp", 23), ("spoc", 23), ("tglc", 40), ("qlp", 56), ("spoc", 56))
ASTROPY_FILES = 50


def main() -> None:
    """Measure every case and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1500, help="light curves of a case")
    parser.add_argument("--rounds", type=int, default=3, help="the fastest round counts")
    arguments = parser.parse_args()
    print(f"{arguments.files} files a case, µs a file, fastest of {arguments.rounds} rounds")
    print(f"{'':10} {'kB':>6} {'astropy':>8} {'decode':>8} {'folder':>8} {'HTTP':>8} {'times':>6}")
    for name, sector in CASES:
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory)
            write_archive(PRODUCTS[name], sector, arguments.files, root / "archive")
            line = _measure(PRODUCTS[name], sector, root, arguments.rounds)
        print(f"{name:5} {sector:4} {line}", flush=True)


def _measure(product: Product, sector: int, root: Path, rounds: int) -> str:
    paths = sorted((root / "archive").rglob("*.fits"))
    size = sum(path.stat().st_size for path in paths) / len(paths)
    row_format = RowFormat(product.pipeline)
    decoder = Decoder(row_format.wanted)

    def decode() -> None:
        for path in paths:
            decoder.decode(path.read_bytes())

    def read_with_astropy() -> None:
        for path in paths[:ASTROPY_FILES]:
            with astropy_fits.open(path, memmap=False) as hdus:
                for column in hdus[1].columns.names:
                    np.array(hdus[1].data[column])

    def build(archive: str) -> Callable[[], None]:
        def run() -> None:
            with tempfile.TemporaryDirectory(dir=root) as out:
                report = tessloom.build(
                    product.pipeline.name, sector=sector, out=out, archive=archive
                )
                assert report.complete  # noqa: S101 - a benchmark of a failure says nothing

        return run

    reading = _fastest(read_with_astropy, rounds) / min(ASTROPY_FILES, len(paths))
    decoding = _fastest(decode, rounds) / len(paths)
    from_folder = _fastest(build(str(root / "archive")), rounds) / len(paths)
    with serving(_files, root / "archive") as address:
        over_http = _fastest(build(address), rounds) / len(paths)
    microseconds = [1e6 * value for value in (reading, decoding, from_folder, over_http)]
    columns = " ".join(f"{value:8.0f}" for value in microseconds)
    return f"{size / 1000:6.0f} {columns} {reading / decoding:6.0f}"


def _fastest(work: Callable[[], None], rounds: int) -> float:
    durations = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        durations.append(time.perf_counter() - start)
    return min(durations)


def write_archive(product: Product, sector: int, files: int, root: Path) -> None:
    """Write a field of stars as dense as a real sector's, with script and list."""
    positions = np.random.default_rng(1).uniform(-0.6, 0.6, (files, 2))
    observed = SECTORS[sector]
    script, target_list = ["#!/bin/sh"], [product.list_header]
    for number, (east, north) in enumerate(positions.tolist()):
        star = stars()[number]._replace(
            tic_id=1000 + number,
            gaia_dr3_id=10**18 + number * 10**6,
            ra=200.0 + east,
            dec=40.0 + north,
        )
        target = Target(star, 1, 1, 100.0, 100.0)
        path = product.path(observed, target)
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(product.file(observed, target))
        script.append(product.command.format(path=path, output=path))
        target_list.append(product.list_row.format(star=star, ra=star.ra, dec=star.dec))
    for name, lines in (
        (product.pipeline.script, script),
        (product.pipeline.target_list, target_list),
    ):
        listing = root / name.format(sector=sector)
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("\n".join(lines) + "\n")


def _files(root: Path) -> Handler:
    """Return what answers with the files below a folder, from memory."""
    bodies = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=bodies[request.match_info["path"]])

    return answer


if __name__ == "__main__":
    main()
