"""Each reader gives the light curves of the FITS files they came from, in double where they were.

The other side of each comparison is the archive's file as astropy reads it. pyarrow, which reads
every column of every star, stands in test_build_readers.py.
"""

import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import tessloom
from support import (
    DATASETS3,
    NAMES,
    ROOT,
    fits_series,
    open_with_lsdb,
    partition_files,
    read_table,
    shared_ids,
    written_ids,
)
from tessloom.demo import DemoServer
from tessloom.pipelines import PIPELINES

SERIES = ("time", "flux", "flux_err", "quality")
# For datasets 3, which takes a script for each pipeline: a light curve a file.
SAVE = """
import sys
import datasets, numpy as np
script, files, key, out = sys.argv[1:]
files = datasets.data_files.DataFilesPatternsDict.from_patterns({"train": [files]})
stars = datasets.load_dataset(script, data_files=files, trust_remote_code=True)["train"]
for star in stars:
    series = {name: star["lightcurve"][name] for name in ("time", "flux", "flux_err", "quality")}
    np.savez(f"{out}/{star[key]}-{star['sector']}.npz", length=star["length"], **series)
"""
SECTORS = {"qlp": (23, 24, 56), "tglc": (23, 24), "spoc": (23, 24, 56)}
# A pipeline's rows as a reader gives them: the id, `sector`, and under `lightcurve` columns by
# name. The last argument is a folder for what the reader keeps.
Rows = Iterable[Any]
Reader = Callable[[Path, str, Path], Rows]


def stars(root: Path, name: str) -> list[tuple[int, int]]:
    """Return a star and sector for each sector of the dataset; one star is in two of them."""
    late = [(written_ids(root, name, 56)[0], 56)] if 56 in SECTORS[name] else []
    return [(shared_ids(name)[-1], 23), (shared_ids(name)[-1], 24), *late]


def assert_is_fits(series: Any, expected: Mapping[str, Any]) -> None:
    """Check that columns have the values of a FITS file, in their types or in Python's own."""
    assert (expected["time"].astype(np.float32) != expected["time"]).any()
    for column, values in expected.items():
        found = np.asarray(series[column])
        assert found.dtype in {values.dtype, np.array(values[:1].tolist()).dtype}, column
        np.testing.assert_array_equal(found.astype(np.float64), values.astype(np.float64), column)


def parquet_files(root: Path, name: str) -> str:
    return str(root / name / "catalog/dataset/*/*/*/*.parquet")


def tessloom_select(root: Path, name: str, _: Path) -> Rows:
    chosen = tessloom.open(root)[name].select([PIPELINES[name].id_name, "sector", *SERIES])
    for batch in chosen.to_batches():
        yield from ({**row, "lightcurve": row} for row in batch.to_pylist())


def lsdb(root: Path, name: str, _: Path) -> Rows:
    return (row for _, row in open_with_lsdb(root / name).compute().iterrows())


def hugging_face(root: Path, name: str, cache: Path) -> Rows:
    import datasets

    for rows in datasets.load_dataset(str(root), name, cache_dir=str(cache)).values():
        yield from rows.with_format("numpy", dtype=None)


def hugging_face_streaming(root: Path, name: str, _: Path) -> Rows:
    import datasets

    for rows in datasets.load_dataset(str(root), name, streaming=True).values():
        yield from rows


def to_hf(root: Path, name: str, _: Path) -> Rows:
    yield from tessloom.open(root)[name].to_hf()


def to_hf_streaming(root: Path, name: str, _: Path) -> Rows:
    yield from tessloom.open(root)[name].to_hf(streaming=True)


def duckdb(root: Path, name: str, _: Path) -> Rows:
    import duckdb

    query = duckdb.sql(
        f"SELECT {PIPELINES[name].id_name}, sector, lightcurve "  # noqa: S608 - a declared name
        "FROM read_parquet($files, hive_partitioning = false)",
        params={"files": parquet_files(root, name)},
    )
    assert query is not None
    return (dict(zip(query.columns, row, strict=True)) for row in query.fetchall())


def polars(root: Path, name: str, _: Path) -> Rows:
    import polars as pl

    rows = pl.scan_parquet(parquet_files(root, name), hive_partitioning=False).collect()
    types = dict(rows.schema["lightcurve"])  # type: ignore[call-overload]
    assert (types["time"], types["flux"]) == (pl.List(pl.Float64), pl.List(pl.Float32))
    return rows.iter_rows(named=True)


def pandas(root: Path, name: str, _: Path) -> Rows:
    import pandas as pd

    frame = pd.read_parquet(root / name / "catalog" / "dataset")
    return (row for _, row in frame.iterrows())


def mlcroissant(root: Path, name: str, _: Path) -> Rows:
    import mlcroissant

    def plain(record: Mapping[str, Any], above: str) -> dict[str, Any]:
        return {key.removeprefix(f"{above}/"): value for key, value in record.items()}

    for record in mlcroissant.Dataset(jsonld=root / "croissant.json").records(name):
        row = plain(record, name)
        yield row | {"lightcurve": plain(row["lightcurve"], f"{name}/lightcurve")}


READERS: list[Reader] = [tessloom_select, lsdb, duckdb, polars, pandas, mlcroissant]
READERS += [hugging_face, hugging_face_streaming, to_hf, to_hf_streaming]


# rdflib, which mlcroissant stands on, calls what it uses itself deprecated.
@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_a_reader_of_parquet_gives_what_the_fits_files_have(
    reader: Reader, name: str, dataset: Path, server: DemoServer, tmp_path: Path
) -> None:
    key = PIPELINES[name].id_name
    rows = list(reader(dataset, name, tmp_path))
    assert len(rows) == len(read_table(dataset, name))
    found = {(int(row[key]), int(row["sector"])): row["lightcurve"] for row in rows}
    for star, sector in stars(dataset, name):
        assert_is_fits(found[star, sector], fits_series(server.address, name, sector, star))


@pytest.mark.parametrize("name", NAMES)
def test_a_light_curve_by_id_is_what_the_fits_files_have(
    name: str, dataset: Path, server: DemoServer
) -> None:
    by = {"tic_id": "tic", "gaia_dr3_id": "gaia"}[PIPELINES[name].id_name]
    catalogue = tessloom.open(dataset)[name]
    for star, sector in stars(dataset, name):
        found = catalogue.light_curve(**{by: star}, sector=sector)
        assert_is_fits(found, fits_series(server.address, name, sector, star))


@pytest.mark.parametrize("name", NAMES)
def test_batches_of_torch_are_what_the_fits_files_have_and_time_is_good_to_a_second(
    name: str, dataset: Path, server: DemoServer
) -> None:
    pytest.importorskip("torch")
    drawn = tessloom.open(dataset)[name].torch(SERIES, length=12_000, crop="start", mask=None)
    found = {}
    for batch in drawn:
        rows = {column: values.numpy() for column, values in batch.items()}
        for place, key in enumerate(
            zip(rows[PIPELINES[name].id_name].tolist(), rows["sector"].tolist(), strict=True)
        ):
            found[key] = {column: values[place] for column, values in rows.items()}
    for key in stars(dataset, name):
        expected = fits_series(server.address, name, key[1], key[0])
        mask = np.isfinite(expected["time"]) & np.isfinite(expected["flux"])
        row = {column: values[: len(mask)] for column, values in found[key].items() if values.ndim}
        assert found[key]["mask"].sum() == mask.sum() > 0
        np.testing.assert_array_equal(row["mask"], mask)
        for column in ("flux", "flux_err", "quality"):
            assert row[column].dtype == expected[column].dtype
            np.testing.assert_array_equal(row[column][mask], expected[column][mask])
        assert row["time"].dtype == np.float32
        days = found[key]["time_reference"] + row["time"].astype(np.float64)
        assert np.abs(days - expected["time"])[mask].max() * 86_400 < 1


@pytest.fixture(scope="module")
def universe(dataset: Path, server: DemoServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the stars in the Multimodal Universe's files, with what all pipelines have."""
    out = tmp_path_factory.mktemp("hdf5") / "built"
    for name in NAMES:
        for star, sector in stars(dataset, name):
            tessloom.build(
                name,
                sector=sector,
                out=out,
                archive=server.address,
                targets=[star],
                format="hdf5",
                features=["default", "sector", *SERIES],
            )
    return out


def hdf5_files(root: Path, name: str) -> str:
    return str(root / name.upper() / "healpix=*" / "*.hdf5")


def h5py_alone(root: Path, name: str, _: Path) -> Rows:
    for path in partition_files(root).values():
        if name.upper() in path.parts:
            with h5py.File(path) as file:
                for place in range(len(file["length"])):
                    yield {array: values[place] for array, values in file.items()}


def hugging_face_of_hdf5(root: Path, name: str, cache: Path) -> Rows:
    import datasets

    rows = datasets.load_dataset(str(root), name, split="train", cache_dir=str(cache))
    yield from rows.with_format("numpy", dtype=None)


def hugging_face_streaming_of_hdf5(root: Path, name: str, _: Path) -> Rows:
    import datasets

    yield from datasets.load_dataset(str(root), name, split="train", streaming=True)


def datasets_3_with_the_script(root: Path, name: str, scratch: Path) -> Rows:
    if not DATASETS3.exists():
        pytest.skip("needs a second environment: make test makes it")
    script, key = str(ROOT / f"{name}.py"), HDF5_IDS[name]
    command = [str(DATASETS3), "-c", SAVE, script, hdf5_files(root, name), key, str(scratch)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    for path in scratch.glob("*.npz"):
        star, sector = path.stem.split("-")
        yield {key: star, "sector": sector, **np.load(path)}


HDF5_IDS = {"qlp": "TIC_ID", "tglc": "GAIADR3_ID", "spoc": "TIC_ID"}
HDF5_READERS: list[Reader] = [h5py_alone, hugging_face_of_hdf5, hugging_face_streaming_of_hdf5]
HDF5_READERS += [datasets_3_with_the_script]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reader", HDF5_READERS, ids=lambda reader: reader.__name__)
def test_a_reader_of_hdf5_gives_what_the_fits_files_have(
    reader: Reader, name: str, universe: Path, server: DemoServer, tmp_path: Path
) -> None:
    key = HDF5_IDS[name]
    rows = {(int(row[key]), int(row["sector"])): row for row in reader(universe, name, tmp_path)}
    assert sorted(sector for _, sector in rows) == list(SECTORS[name])
    for (star, sector), row in rows.items():
        found = {column: row[column][: int(row["length"])] for column in SERIES}
        assert_is_fits(found, fits_series(server.address, name, sector, star))
