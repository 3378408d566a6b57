"""Fields of synthetic stars as folders laid out like the archive's, as dense as its sectors."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np

from tessloom.demo.products import PRODUCTS
from tessloom.demo.sectors import SECTORS
from tessloom.demo.sky import Target, stars

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tessloom.demo.products import Product
    from tessloom.pipelines import Pipeline

# The sectors that are measured: at 1,800 s (about 1,250 rows) and at 200 s (about 11,500).
HALF_HOUR, LONG = 23, 56
ERAS = {HALF_HOUR: "1,250 rows", LONG: "11,500 rows"}
# Targets of a real sector (facts: archive), over the four cameras' 24 by 24 degrees each.
_TARGETS = {"tglc": 1_460_000, "qlp": 1_000_000, "spoc": 160_000}
TARGETS_A_SQUARE_DEGREE = {name: count / (4 * 24**2) for name, count in _TARGETS.items()}
_CENTRE = (200.0, 40.0)
_FIRST_GAIA_ID = 10**18
_WRITTEN_AT_A_TIME = 250


@dataclass(frozen=True)
class Field:
    """So many targets of one pipeline and sector, around one point of the sky."""

    name: str
    sector: int
    files: int

    @property
    def product(self) -> Product:
        """The embedded archive's collection."""
        return PRODUCTS[self.name]

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline."""
        return self.product.pipeline

    def targets(self, start: int = 0, stop: int | None = None) -> Iterator[Target]:
        """Yield targets, each with an id of its own; stars are used again where they run out."""
        side = (self.files / TARGETS_A_SQUARE_DEGREE[self.name]) ** 0.5
        places = np.random.default_rng(1).uniform(-side / 2, side / 2, (self.files, 2))
        places[:, 0] /= np.cos(np.radians(_CENTRE[1]))
        held = [star for star in stars() if self.product.holds(star)]
        chosen = itertools.islice(enumerate(places.tolist()), start, stop)
        for number, (east, north) in chosen:
            star = held[number % len(held)]._replace(
                tic_id=1000 + number,
                gaia_dr3_id=_FIRST_GAIA_ID + number * 10**6,
                ra=_CENTRE[0] + east,
                dec=_CENTRE[1] + north,
            )
            yield Target(star, 1, 1, 100.0, 100.0)

    def path(self, target: Target) -> str:
        """Return where the archive has a target's light curve."""
        return self.product.path(SECTORS[self.sector], target)

    def write(self, root: Path) -> Path:
        """Write the light curves, the script and the target list; return the folder."""
        starts = range(0, self.files, _WRITTEN_AT_A_TIME)
        with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as executor:
            count = len(starts)
            list(executor.map(_write, [self] * count, [root] * count, starts))
        product, script, rows = self.product, ["#!/bin/sh"], [self.product.list_header]
        for target in self.targets():
            path = self.path(target)
            script.append(product.command.format(path=path, output=path))
            star = target.star
            rows.append(product.list_row.format(star=star, ra=star.ra, dec=star.dec))
        for name, lines in ((self.pipeline.script, script), (self.pipeline.target_list, rows)):
            listing = root / name.format(sector=self.sector)
            listing.parent.mkdir(parents=True, exist_ok=True)
            listing.write_text("\n".join(lines) + "\n", encoding="utf-8")
        os.sync()  # else the disk is busy with these files while a build waits for its own
        return root


def light_curve_files(root: Path) -> list[Path]:
    """Return the light curves in a folder, by path."""
    return sorted(root.rglob("*.fits"))


def _write(field: Field, root: Path, start: int) -> None:
    for target in field.targets(start, start + _WRITTEN_AT_A_TIME):
        path = root / field.path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(field.product.file(SECTORS[field.sector], target))
