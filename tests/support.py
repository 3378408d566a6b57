"""What the end-to-end tests share: running tessloom, and reading datasets independently of it."""

import importlib
import io
import os
import subprocess
import sys
import urllib.request
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.io.fits.card import Undefined

from tessloom.dataset.receipt import Receipt, read_receipt
from tessloom.demo.products import light_curves
from tessloom.pipelines import PIPELINES

NAMES = ("qlp", "tglc", "spoc")
# What all pipelines have under one name, and where their FITS files have it; an error of the whole
# light curve is a card of the second header.
FITS_SERIES: dict[str, dict[str, tuple[str, ...]]] = {
    "qlp": {
        "time": ("TIME",),
        "flux": ("KSPSAP_FLUX", "DET_FLUX"),
        "flux_err": ("KSPSAP_FLUX_ERR", "DET_FLUX_ERR"),
        "quality": ("QUALITY",),
    },
    "tglc": {
        "time": ("time",),
        "flux": ("cal_aper_flux",),
        "flux_err": ("CAPE_ERR",),
        "quality": ("TESS_flags",),
    },
    "spoc": {
        "time": ("TIME",),
        "flux": ("PDCSAP_FLUX",),
        "flux_err": ("PDCSAP_FLUX_ERR",),
        "quality": ("QUALITY",),
    },
}
ROOT = Path(__file__).parents[1]
# The Pythons of environments that `make test` makes beside the one it runs in.
DATASETS3 = ROOT / ".venv" / "datasets3" / "bin" / "python"
LIGHTKURVE = ROOT / ".venv" / "lightkurve" / "bin" / "python"
COMMAND = [str(Path(sys.executable).with_name("tessloom"))]


def shared_ids(name: str, count: int = 3) -> list[int]:
    """Return ids of stars that the demo archive has in sectors 23 and 24."""
    ids = [{identifier for identifier, *_ in demo_paths(name, sector)} for sector in (23, 24)]
    return sorted(set.intersection(*ids))[:count]


@cache
def demo_paths(name: str, sector: int) -> dict[tuple[int, int, int], str]:
    """Return the demo archive's paths by (id, camera, CCD), in the order of the script."""
    return {file_key(name, path): path for path in light_curves(name, sector)}


def file_key(name: str, path: str) -> tuple[int, int, int]:
    """Return id, camera and CCD of a file's name; 0 for what it does not tell."""
    match = PIPELINES[name].file_name.search(path)
    assert match, path
    groups = match.groupdict("0")
    return int(groups["id"]), int(groups.get("camera", 0)), int(groups.get("ccd", 0))


def fetch(address: str) -> bytes:
    """Return the body at an address of the demo server."""
    with urllib.request.urlopen(address) as response:  # noqa: S310 - the server on the loopback
        body: bytes = response.read()
    return body


def fits_series(address: str, name: str, sector: int, star: int) -> dict[str, npt.NDArray[Any]]:
    """Return time, flux, flux_err and quality of a star's file as astropy reads it."""
    (path,) = (path for (of, *_), path in demo_paths(name, sector).items() if of == star)
    series = {}
    with fits.open(io.BytesIO(fetch(address + path))) as hdus:
        records, header = hdus[1].data, hdus[1].header
        for column, places in FITS_SERIES[name].items():
            place = next(place for place in places if place in (*records.names, *header))
            if place in records.names:
                series[column] = native(records[place])
            else:
                series[column] = np.full(len(records), np.float32(float(header[place])))
    if series["quality"].dtype == np.int16:  # sixteen bits without a sign
        series["quality"] = series["quality"].view(np.uint16).astype(np.int32)
    assert [values.dtype.str[1:] for values in series.values()] == ["f8", "f4", "f4", "i4"]
    return series


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
        timeout=120,
    )


def partition_files(out: Path) -> dict[str, Path]:
    """Return a dataset's light-curve files by their path below it."""
    places = ("*/catalog/dataset/Norder=*/Dir=*/Npix=*/s*.parquet", "*/healpix=*/*.hdf5")
    return {
        path.relative_to(out).as_posix(): path
        for place in places
        for path in sorted(out.glob(place))
        if not path.name.startswith(".")
    }


def contents(out: Path) -> dict[str, bytes]:
    """Return the bytes of a dataset's light-curve files."""
    return {name: path.read_bytes() for name, path in partition_files(out).items()}


def stamps(out: Path) -> dict[str, tuple[int, bytes]]:
    """Return when each light-curve file was written, and its bytes."""
    return {
        name: (path.stat().st_mtime_ns, path.read_bytes())
        for name, path in partition_files(out).items()
    }


def partial_files(out: Path) -> list[Path]:
    """Return what is half written below a directory."""
    return list(out.rglob("*.partial"))


def receipts(out: Path) -> dict[str, Receipt]:
    """Return the receipts of a dataset's light-curve files."""
    return {name: read_receipt(path) for name, path in partition_files(out).items()}


def read_table(out: Path, name: str, sector: int | None = None) -> pa.Table:
    """Read a pipeline's light curves with nothing but pyarrow."""
    table = pq.read_table(out / name / "catalog" / "dataset", partitioning=None)
    if sector is not None:
        table = table.filter(pa.compute.equal(table["sector"], sector))
    return table.combine_chunks()


def same_rows(one: pa.Table, other: pa.Table) -> bool:
    """Return whether two tables hold the same, NaN taken as equal to NaN."""
    return one.schema == other.schema and repr(one.to_pylist()) == repr(other.to_pylist())


def written_ids(out: Path, name: str, sector: int | None = None) -> list[int]:
    """Return the ids of a dataset's light curves, sorted."""
    return sorted(read_table(out, name, sector)[PIPELINES[name].id_name].to_pylist())


def open_with_lsdb(catalogue: object) -> Any:
    """Open a catalogue with `lsdb.open_catalog`, which its types do not name as public."""
    return importlib.import_module("lsdb").open_catalog(catalogue)


def opens_everywhere(out: Path, name: str, rows: int, cache: Path) -> None:
    """Check that a catalogue is valid and that all readers find so many light curves."""
    import datasets
    from hats.io.validation import is_valid_catalog

    assert is_valid_catalog(out / name, strict=True, verbose=False)
    assert len(open_with_lsdb(out / name).compute()) == rows
    splits = datasets.load_dataset(str(out), name, cache_dir=str(cache))
    assert sum(map(len, splits.values())) == rows
    streams = datasets.load_dataset(str(out), name, streaming=True)
    assert sum(1 for stream in streams.values() for _ in stream) == rows
    assert len(read_table(out, name)) == rows


def assert_equals_fits(name: str, row: dict[str, Any], table: pa.Table, body: bytes) -> None:
    """Check one row of a dataset, every value of it, with the file as astropy reads it.

    Parameters
    ----------
    row
        Its scalars, and as ``position`` its number in `table`.
    """
    with fits.open(io.BytesIO(body)) as hdus:
        headers = [hdu.header for hdu in hdus[:2]]
        assert_scalars(table.schema, row, headers)
        assert_columns(name, table, row, hdus["LIGHTCURVE"].data, headers[1])


def assert_scalars(schema: pa.Schema, row: dict[str, Any], headers: list[Any]) -> None:
    """Check what a row has from the headers."""
    for field in schema:
        metadata = field.metadata or {}
        if field.name == "lightcurve" or b"fits" not in metadata:
            continue
        value = None
        for card in metadata[b"fits"].decode().split():
            found = [header[card] for header in headers if card in header]
            value = next((v for v in found if not isinstance(v, Undefined)), value)
        stored = row[field.name]
        if value is None or value == "":
            assert stored is None, field.name
        elif pa.types.is_floating(field.type):
            factor = 86400 if card == "TIMEDEL" else 1
            kind = field.type.to_pandas_dtype()
            np.testing.assert_array_equal(kind(stored), kind(float(value) * factor), field.name)
        else:
            assert stored == (value if isinstance(value, bool) else int(value)), field.name


def assert_columns(
    name: str, table: pa.Table, row: dict[str, Any], records: Any, header: Any
) -> None:
    """Check that every column of a FITS table is stored bit for bit, and no other one."""
    cells = table["lightcurve"].chunk(0)
    available = {column.upper(): column for column in records.names}
    stored_from = set()
    for field in cells.type:
        elements = cells.field(field.name)[row["position"]].values
        assert len(elements) == len(records), field.name
        source = _source(table.schema, name, field.name)
        column = next((available[s.upper()] for s in source if s.upper() in available), None)
        if column is not None:
            stored_from.add(column)
            expected = native(records[column])
            if expected.dtype.itemsize < field.type.value_type.bit_width // 8:
                assert expected.dtype == np.int16, field.name  # flags, widened without their sign
                expected = expected.view(np.uint16)
            expected = expected.astype(field.type.value_type.to_pandas_dtype())
            assert elements.null_count == 0, field.name
            assert elements.to_numpy().tobytes() == expected.tobytes(), field.name
        elif source and source[0] in header:
            number = np.float32(float(header[source[0]]))
            np.testing.assert_array_equal(elements.to_numpy(), np.full(len(records), number))
        else:
            assert elements.null_count == len(records), field.name
    assert stored_from == set(records.names)


def native(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return values in the machine's byte order, their bits unchanged."""
    return np.asarray(values).astype(values.dtype.newbyteorder("="))


def _source(schema: pa.Schema, name: str, column: str) -> list[str]:
    """Return the FITS columns, or the header card, that the schema names as a list's source."""
    metadata = schema.field("lightcurve").type.field(column).metadata
    assert metadata, f"{name}: the schema of {column} has lost its metadata"
    return str(metadata[b"fits"].decode()).split()


def scalar_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return a table's rows without the light curves, with their positions."""
    rows: list[dict[str, Any]] = table.drop_columns(["lightcurve"]).to_pylist()
    return [row | {"position": position} for position, row in enumerate(rows)]
