"""Margin caches: the stars just beyond each pixel's border, for cross-matches in LSDB.

LSDB matches pixel by pixel. A star near a border may have its counterpart beyond it, so the right
side of a match needs, for each pixel, the stars around it. They are copied with their light
curves, about one in a hundred for 10 arcseconds.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import healpix
import numpy as np
import pyarrow as pa

from tessloom._version import SOFTWARE
from tessloom.dataset.catalogue import (
    catalogue_properties,
    publish,
    write_catalogue_directory,
)
from tessloom.dataset.layout import partition_name, partitions
from tessloom.dataset.lock import locked
from tessloom.dataset.margins import MADE_OF, digest_of, margin_directory, withdraw_margins
from tessloom.dataset.opening import parquet_file
from tessloom.dataset.parquet import ParquetWriter
from tessloom.dataset.receipt import Receipt, read_receipt
from tessloom.dataset.schema import HEALPIX, arrow_schema
from tessloom.dataset.storage import for_each, is_local, names_below
from tessloom.errors import RequestError
from tessloom.healpix import is_position

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from tessloom.pipelines import Pipeline

    # Rows of a partition by the pixel beyond whose border they lie.
    Rows = dict[int, npt.NDArray[np.int64]]

_WIDEST = 600.0
_ROW_GROUP = 512
# A circle of twice the width has so many points that one of them lies in each pixel which comes
# as near as the width, even if only a corner of it does: from there its sides, more than 23
# degrees apart, cut out of the circle more than lies between two points.
_POINTS = 32
_BEYOND = 2.0


def write_margin(root: Path, pipeline: Pipeline, arcsec: float = 10.0) -> int:
    """Write the margin cache of a catalogue, and name it; see `Catalogue.write_margin`."""
    if not 0 < arcsec <= _WIDEST:
        raise RequestError(
            f"a margin of {arcsec} arcseconds: give more than 0, {_WIDEST:g} at most"
        )
    with locked(root):
        withdraw_margins(root, pipeline)
        directory = margin_directory(root, pipeline, arcsec)
        _remove(directory)
        paths = [path for *_, path in partitions(root, pipeline)]
        receipts = dict(zip(paths, for_each(read_receipt, paths, root), strict=True))
        written = list(_write_files(directory, pipeline, receipts, arcsec))
        count = sum(receipt.written for receipt in written)
        synthetic = any(receipt.synthetic for receipt in written)
        properties = catalogue_properties(pipeline, count, synthetic=synthetic) | {
            "obs_collection": f"{pipeline.name}_{directory.name}",
            "dataproduct_type": "margin",
            "hats_primary_table_url": "../catalog",
            "hats_margin_threshold": f"{arcsec:g}",
            MADE_OF: digest_of(receipts.values()),
        }
        pixels = {receipt.pixel for receipt in written}
        write_catalogue_directory(directory, pipeline, pixels, properties)
        publish(root)
    return count


def _write_files(
    directory: Path, pipeline: Pipeline, receipts: Mapping[Path, Receipt], arcsec: float
) -> Iterator[Receipt]:
    """Write a file for each (pixel, sector) that has a margin, and yield their receipts.

    Each partition is read once. What is read waits until all the neighbours of its pixel are.
    """

    def beyond_of(path: Path) -> Rows:
        return _beyond(path, pipeline, receipts[path].pixel, arcsec)

    beyond = dict(zip(receipts, for_each(beyond_of, receipts, directory), strict=True))
    to_come = Counter((pixel, receipts[path].sector) for path in beyond for pixel in beyond[path])
    waiting: dict[tuple[int, int], list[pa.Table]] = defaultdict(list)
    for path, rows in beyond.items():
        if not rows:
            continue
        numbers = np.unique(np.concatenate(list(rows.values())))
        table = _read_rows(path, numbers)
        for pixel, own in rows.items():
            place = pixel, receipts[path].sector
            waiting[place].append(table.take(np.searchsorted(numbers, own)))
            to_come[place] -= 1
            if not to_come[place]:
                yield _write(directory, pipeline, place, waiting.pop(place), receipts[path])


def _beyond(path: Path, pipeline: Pipeline, pixel: int, arcsec: float) -> Rows:
    """Return which rows of a partition lie in the margin of which other pixels."""
    with parquet_file(path) as file:
        table = file.read(["ra", "dec"])
    ra, dec = (table[name].to_numpy() for name in ("ra", "dec"))
    numbers = np.flatnonzero(is_position(ra, dec))
    if not len(numbers):
        return {}
    near = pixels_near(ra[numbers], dec[numbers], pipeline.healpix_order, arcsec)
    return {
        int(other): numbers[(near == other).any(axis=1)]
        for other in np.unique(near)
        if other != pixel
    }


def pixels_near(
    ra: npt.NDArray[np.float64], dec: npt.NDArray[np.float64], order: int, arcsec: float
) -> npt.NDArray[np.int64]:
    """Return pixels about each position: all that come as near as `arcsec`, and some farther ones.

    Parameters
    ----------
    ra, dec
        Shape ``(n,)``, degrees.
    order
        Of the pixels, which are much larger than `arcsec`.

    Returns
    -------
    Array of shape ``(n, m)``, in which pixels repeat.
    """
    lon, lat = np.radians(ra)[:, None], np.radians(dec)[:, None]
    centre = np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)
    east = -np.sin(lon), np.cos(lon), np.zeros_like(lon)
    north = -np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)
    angles = np.linspace(0, 2 * np.pi, _POINTS, endpoint=False)
    distance = np.radians(_BEYOND * arcsec / 3600)
    points = (
        np.cos(distance) * c + np.sin(distance) * (np.cos(angles) * e + np.sin(angles) * n)
        for c, e, n in zip(centre, east, north, strict=True)
    )
    ring = healpix.vec2pix(2**order, *points, nest=True)
    own = healpix.vec2pix(2**order, *centre, nest=True)
    return np.concatenate([ring, own], axis=1).astype(np.int64)


def _read_rows(path: Path, numbers: npt.NDArray[np.int64]) -> pa.Table:
    """Read some rows of a partition; only row groups that have some are read."""
    found, start = [], 0
    with parquet_file(path) as file:
        for group in range(file.num_row_groups):
            stop = start + file.metadata.row_group(group).num_rows
            inside = numbers[(numbers >= start) & (numbers < stop)]
            if len(inside):
                found.append(file.read_row_group(group).take(inside - start))
            start = stop
    return pa.concat_tables(found)


def _write(
    directory: Path,
    pipeline: Pipeline,
    place: tuple[int, int],
    tables: list[pa.Table],
    of_one: Receipt,
) -> Receipt:
    """Write the margin of one (pixel, sector)."""
    pixel, sector = place
    schema = arrow_schema(pipeline)
    table = pa.concat_tables(tables).sort_by(HEALPIX)
    writer = ParquetWriter(directory / partition_name(pipeline, pixel, sector), schema)
    try:
        for start in range(0, len(table), _ROW_GROUP):
            batch = table.slice(start, _ROW_GROUP).combine_chunks().to_batches()[0]
            writer.write(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
        return writer.close(
            Receipt(
                pipeline=pipeline.name,
                sector=sector,
                pixel=pixel,
                digest="",
                asked=len(table),
                written=len(table),
                synthetic=of_one.synthetic,
                software=SOFTWARE,
            )
        )
    except BaseException:
        writer.abandon()
        raise


def _remove(directory: Path) -> None:
    """Remove what an earlier margin, or an interrupted one, has left."""
    if is_local(directory):
        shutil.rmtree(directory, ignore_errors=True)
        return
    for name in names_below(directory):
        (directory / name).unlink(missing_ok=True)
