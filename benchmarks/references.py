"""What tessloom is compared with: other ways to do the same with the same files."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import fitsio
import h5py
import numpy as np
from astropy.io import fits as astropy_fits
from astropy.table import Table

from tessloom.healpix import coarser, healpix_29

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from fields import Field

    from tessloom.pipelines import Pipeline

_NSIDE_16 = 4  # the order of the pixels by which the existing builder divides its files


def bare_read(paths: Iterable[str], buffer: bytearray) -> None:
    """Bring the bytes of files into one buffer that is used again: nothing can be cheaper."""
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        os.readv(file, [buffer])
        os.close(file)


def read_with_astropy(paths: Iterable[str], wanted: Sequence[tuple[int, str]]) -> None:
    """Read all columns into arrays of the machine's byte order, and the wanted header values."""
    for path in paths:
        with astropy_fits.open(path) as hdus:
            for number, keyword in wanted:
                hdus[number].header.get(keyword)
            records = hdus[1].data
            for column in records.columns.names:
                values = records[column]
                values.astype(values.dtype.newbyteorder("="))


def read_with_fitsio(paths: Iterable[str], wanted: Sequence[tuple[int, str]]) -> None:
    """Read all columns, which fitsio gives in the machine's byte order, and both headers."""
    for path in paths:
        with fitsio.FITS(path) as hdus:
            headers = [hdus[number].read_header() for number in (0, 1)]
            for number, keyword in wanted:
                headers[number].get(keyword)
            hdus[1].read()


def existing_way(pipeline: Pipeline, pixels: dict[int, list[Path]], out: Path) -> None:
    """Convert files as the Multimodal Universe's TESS builder is described to do.

    Made anew from that description, none of its code is in here: astropy opens each file and a
    dictionary takes its arrays; the arrays of a HEALPix pixel are padded to the longest by
    `numpy.pad` and collected in an astropy table, whose columns h5py writes as they are, one
    contiguous array each. Only the builder's own columns are read, not all. It is called for a
    folder of files, so its download and the merging with its catalogue are not in here, nor is
    the start of Python.
    """
    for pixel, paths in pixels.items():
        curves = [_as_dictionary(pipeline, path) for path in paths]
        longest = max(len(curve["time"]) for curve in curves)
        for curve in curves:
            for name, value in curve.items():
                if isinstance(value, np.ndarray):
                    curve[name] = np.pad(value, (0, longest - len(value)))
        table = Table(rows=curves)
        directory = out / pipeline.name.upper() / f"healpix={pixel}"
        directory.mkdir(parents=True)
        with h5py.File(directory / "001-of-001.hdf5", "w") as file:
            for name in table.colnames:
                file.create_dataset(name, data=table[name])


def by_pixel(field: Field, root: Path, files: int) -> dict[int, list[Path]]:
    """Return some files of a field by the existing builder's pixels: all of the fullest one, ...

    So a pixel has as many files as in a real sector, or as are asked for.
    """
    targets = list(field.targets())
    positions = np.array([(target.star.ra, target.star.dec) for target in targets])
    pixels = coarser(healpix_29(positions[:, 0], positions[:, 1]), _NSIDE_16)
    found = defaultdict(list)
    for pixel, target in zip(pixels.tolist(), targets, strict=True):
        found[pixel].append(root / field.path(target))
    chosen: dict[int, list[Path]] = {}
    for pixel in sorted(found, key=lambda pixel: len(found[pixel]), reverse=True):
        if files:
            chosen[pixel] = found[pixel][:files]
            files -= len(chosen[pixel])
    return chosen


def _as_dictionary(pipeline: Pipeline, path: Path) -> dict[str, Any]:
    columns = {column.name: column for column in pipeline.columns}
    keywords = {keyword.name: keyword for keyword in pipeline.keywords}
    curve: dict[str, Any] = {}
    with astropy_fits.open(path) as hdus:
        records = hdus[1].data
        for feature in pipeline.features:
            for source in feature.sources:
                if source in columns:
                    found = [name for name in columns[source].fits if name in records.names]
                    if found:
                        curve[feature.name] = np.array(records[found[0]])
                else:
                    keyword = keywords[source]
                    header = hdus[keyword.hdu].header
                    found = [name for name in keyword.fits if name in header]
                    if found:
                        curve[feature.name] = _number(header[found[0]])
    return curve


def _number(value: Any) -> float:
    """Return a header value as a number; it may be missing, or the text NaN."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
