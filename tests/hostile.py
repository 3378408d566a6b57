"""Hostile and damaged files, and what reading them must keep: for the fuzz tests and `fuzz/`."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tessloom.dataset.rows import Row, RowFormat
from tessloom.demo.products import PRODUCTS, light_curves
from tessloom.demo.sectors import SECTORS
from tessloom.errors import FitsError
from tessloom.fits import Decoder, check_file, check_size, primary_values
from tessloom.pipelines import PIPELINES

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from tessloom.pipelines import Pipeline

BLOCK = 2880
CARD = 80


@dataclass(frozen=True)
class Sample:
    """A sound file, and what its name says: sector, id, camera and CCD."""

    pipeline: str
    key: tuple[int, int, int, int]
    body: bytes = field(repr=False)

    @classmethod
    def named(cls, pipeline: Pipeline, name: str, body: bytes) -> Sample:
        match = pipeline.file_name.search(name)
        assert match, name
        groups = match.groupdict("0")
        names = ("sector", "id", "camera", "ccd")
        sector, identifier, camera, ccd = (int(groups.get(key, 0)) for key in names)
        return cls(pipeline.name, (sector, identifier, camera, ccd), body)


@functools.cache
def demo_samples() -> tuple[Sample, ...]:
    """Return a demo file of each pipeline and sector, those of sectors with many cadences last."""
    return tuple(
        Sample.named(product.pipeline, path, product.file(SECTORS[sector], target))
        for product in PRODUCTS.values()
        for sector in product.sectors
        for path, target in list(light_curves(product.pipeline.name, sector).items())[:1]
    )


def without_sums(body: bytes) -> bytes:
    """Return a file whose check sums count as absent, so that damage to it is not found by them."""
    at = body.find(b"CHECKSUM= '")
    while at >= 0:
        body = body[: at + 11] + b"0" * 16 + body[at + 27 :]
        at = body.find(b"CHECKSUM= '", at + 1)
    return body


class Reader:
    """Reads files of one pipeline, sound and hostile ones, with one decoder and one row format."""

    def __init__(self, pipeline: str) -> None:
        self._format = RowFormat(PIPELINES[pipeline])
        self._decoder = Decoder(self._format.wanted)
        self._sample = next(s for s in demo_samples() if s.pipeline == pipeline)
        self._row = self._read(self._sample.body, self._sample.key)
        self._bytes = self._as_batch(self._row).serialize()

    def read_hostile(self, body: bytes, key: tuple[int, int, int, int]) -> bool:
        """Read any bytes; return whether they are a light curve. Only a `FitsError` is expected."""
        for check in (check_file, check_size, _primary_values):
            _refused(check, body)
        try:
            row = self._read(body, key)
        except FitsError:
            return False
        assert row.records.nbytes <= row.nbytes <= len(body)
        self._as_batch(row)
        self._as_batch(row, self._row)
        return True

    def check_sound(self) -> None:
        """Check that a sound file still has the values that it had before all others."""
        row = self._read(self._sample.body, self._sample.key)
        assert self._as_batch(row).serialize().equals(self._bytes)  # NaN equals itself in bytes

    def _read(self, body: bytes, key: tuple[int, int, int, int]) -> Row:
        return self._format.row(self._decoder.decode(body), *key)

    def _as_batch(self, *rows: Row) -> pa.RecordBatch:
        ra, dec = self._format.positions(rows)
        batch = self._format.batch(rows, np.zeros(len(rows), np.int64), ra, dec)
        batch.validate(full=True)
        assert batch.schema == self._format.schema
        return batch


def _primary_values(body: bytes) -> Any:
    return primary_values(body, ("RA_OBJ", "DEC_OBJ", "TICID", "SIMDATA"))


def _refused(check: Callable[[bytes], Any], body: bytes) -> None:
    with contextlib.suppress(FitsError):
        check(body)
