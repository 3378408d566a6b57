"""A dataset holds what the archive has, and opens with the readers that people use."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import Latitude, Longitude, SkyCoord
from cdshealpix.nested import lonlat_to_healpix

import tessloom
from support import (
    NAMES,
    assert_equals_fits,
    contents,
    demo_paths,
    fetch,
    open_with_lsdb,
    partition_files,
    read_table,
    receipts,
    run,
    scalar_rows,
    shared_ids,
    stamps,
)
from tessloom.demo import DemoServer
from tessloom.pipelines import PIPELINES

BUILT = [(name, sector) for name in NAMES for sector in (23, 24)] + [("qlp", 56), ("spoc", 56)]
SECTORS = {"qlp": [23, 24, 56], "tglc": [23, 24], "spoc": [23, 24, 56]}


@pytest.mark.parametrize(("name", "sector"), BUILT)
def test_every_light_curve_is_what_astropy_reads_from_the_served_file(
    name: str, sector: int, dataset: Path, server: DemoServer
) -> None:
    table = read_table(dataset, name, sector)
    paths = demo_paths(name, sector)
    by_id = {identifier: path for (identifier, *_), path in paths.items()}
    rows = scalar_rows(table)
    assert len(rows) >= (4 if sector == 56 else 28)
    for row in rows:
        identifier = row[PIPELINES[name].id_name]
        path = paths.get((identifier, row["camera"], row["ccd"])) or by_id[identifier]
        assert_equals_fits(name, row, table, fetch(server.address + path))


@pytest.mark.parametrize("name", NAMES)
def test_the_catalogue_passes_the_strict_validation(name: str, dataset: Path) -> None:
    from hats.io.validation import is_valid_catalog

    assert is_valid_catalog(dataset / name, strict=True, verbose=False)


@pytest.mark.parametrize("name", NAMES)
def test_lsdb_finds_the_stars_in_a_cone(name: str, dataset: Path) -> None:
    table = read_table(dataset, name)
    sky = SkyCoord(table["ra"].to_numpy(), table["dec"].to_numpy(), unit="deg")
    centre = sky[0]
    separations = sky.separation(centre).deg
    radius = float(np.quantile(separations, 0.3)) + 0.01
    inside = table.filter(pa.array(separations < radius))
    assert 1 < len(inside) < len(table)
    cone = open_with_lsdb(dataset / name).cone_search(centre.ra.deg, centre.dec.deg, radius * 3600)
    assert sorted(cone.compute()["object_id"]) == sorted(inside["object_id"].to_pylist())


@pytest.mark.parametrize(
    ("name", "column"), [(name, column) for name in NAMES for column in PIPELINES[name].indexes]
)
def test_lsdb_finds_all_sectors_of_a_star_through_the_index(
    name: str, column: str, dataset: Path
) -> None:
    table = read_table(dataset, name)
    star = shared_ids(name)[-1]
    rows = table.filter(pa.compute.equal(table[PIPELINES[name].id_name], star))
    identifier = next(value for value in rows[column].to_pylist() if value)
    catalogue = open_with_lsdb(dataset / name)
    found = catalogue.id_search(values={column: identifier})
    assert len(found.get_healpix_pixels()) < len(catalogue.get_healpix_pixels()) / 4
    stars = found.compute()
    assert sorted(stars["sector"]) == sorted(rows["sector"].to_pylist())
    assert {23, 24} <= set(stars["sector"])
    assert set(stars[column]) == {identifier}


@pytest.mark.parametrize("name", NAMES)
def test_hugging_face_loads_one_split_a_sector_offline(
    name: str, dataset: Path, tmp_path: Path
) -> None:
    import datasets

    splits = datasets.load_dataset(str(dataset), name, cache_dir=str(tmp_path))
    assert list(splits) == [f"s{sector:04d}" for sector in SECTORS[name]]
    for sector in SECTORS[name]:
        rows = splits[f"s{sector:04d}"]
        assert set(rows["sector"]) == {sector}
        assert len(rows) == len(read_table(dataset, name, sector))


@pytest.mark.parametrize("name", NAMES)
def test_hugging_face_streams_the_same_rows(name: str, dataset: Path) -> None:
    import datasets

    streams = datasets.load_dataset(str(dataset), name, streaming=True)
    for sector in SECTORS[name]:
        streamed = [star["object_id"] for star in streams[f"s{sector:04d}"]]
        assert streamed == read_table(dataset, name, sector)["object_id"].to_pylist()


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_sorted_by_the_pixels_in_which_the_stars_lie(name: str, dataset: Path) -> None:
    order = PIPELINES[name].healpix_order
    for path in partition_files(dataset).values():
        if name not in path.parts:
            continue
        table = pq.read_table(path, columns=["_healpix_29", "ra", "dec"], partitioning=None)
        ra, dec = (table[column].to_numpy() for column in ("ra", "dec"))
        healpix = table["_healpix_29"].to_numpy()
        pixels = lonlat_to_healpix(Longitude(ra, "deg"), Latitude(dec, "deg"), 29)
        assert healpix.tolist() == np.asarray(pixels).astype(np.int64).tolist()
        assert (np.diff(healpix) >= 0).all()
        assert set(healpix >> 2 * (29 - order)) == {int(path.parent.name.removeprefix("Npix="))}
        assert path.parents[2].name == f"Norder={order}"


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_tells_units_descriptions_and_sources(name: str, dataset: Path) -> None:
    common = dataset / name / "catalog" / "dataset" / "_common_metadata"
    some = next(path for path in partition_files(dataset).values() if name in path.parts)
    schema = pq.read_schema(common)
    assert schema.equals(pq.read_schema(some), check_metadata=False)
    for path in (common, some):
        stored = pq.read_schema(path)
        assert stored.field("ra").metadata[b"unit"] == b"deg"
        assert all(b"description" in field.metadata for field in stored)
        light_curve = stored.field("lightcurve").type
        assert light_curve.field("time").type.value_type == pa.float64()
        assert light_curve.field("time").metadata[b"unit"] == b"d"
        assert all(
            b"description" in field.metadata and b"fits" in field.metadata for field in light_curve
        )


def test_files_are_encoded_for_light_curves_and_read_in_small_groups(dataset: Path) -> None:
    for path in partition_files(dataset).values():
        with pq.ParquetFile(path) as file:
            for number in range(file.num_row_groups):
                group = file.metadata.row_group(number)
                assert 0 < group.num_rows <= 512
                columns = {
                    group.column(i).path_in_schema: group.column(i)
                    for i in range(group.num_columns)
                }
                flux = columns["lightcurve.flux.list.element"]
                assert flux.compression == "ZSTD"
                assert "BYTE_STREAM_SPLIT" in flux.encodings
                assert columns["_healpix_29"].is_stats_set


def properties(path: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in path.read_text("utf-8").splitlines())
    return {name: value.replace("\\:", ":") for name, _, value in lines}


@pytest.mark.parametrize("name", NAMES)
def test_the_properties_describe_the_catalogue(name: str, dataset: Path) -> None:
    catalogue = properties(dataset / name / "catalog" / "hats.properties")
    assert catalogue == properties(dataset / name / "catalog" / "properties")
    assert catalogue["hats_nrows"] == str(len(read_table(dataset, name)))
    assert catalogue["hats_order"] == str(PIPELINES[name].healpix_order)
    assert catalogue["hats_npix_suffix"] == "/"
    assert (catalogue["hats_col_ra"], catalogue["hats_col_dec"]) == ("ra", "dec")
    assert catalogue["hats_col_healpix"] == "_healpix_29"
    assert catalogue["hats_builder"] == f"tessloom {tessloom.__version__}"
    assert "SYNTHETIC" in catalogue["obs_title"]
    collection = properties(dataset / name / "collection.properties")
    assert collection["hats_primary_table_url"] == "catalog"
    assert collection["all_indexes"].split()[::2] == list(PIPELINES[name].indexes)
    for column in PIPELINES[name].indexes:
        index = properties(dataset / name / f"index_{column}" / "hats.properties")
        assert index["dataproduct_type"] == "index"
        assert index["hats_index_column"] == column


@pytest.mark.parametrize("name", NAMES)
def test_the_pixels_of_the_catalogue_are_those_of_the_files(name: str, dataset: Path) -> None:
    lines = (dataset / name / "catalog" / "partition_info.csv").read_text("ascii").splitlines()
    assert lines[0] == "Norder,Npix"
    listed = {tuple(map(int, line.split(","))) for line in lines[1:]}
    pixels = {
        int(path.parent.name.removeprefix("Npix="))
        for path in partition_files(dataset).values()
        if name in path.parts
    }
    assert listed == {(PIPELINES[name].healpix_order, pixel) for pixel in pixels}


def card(dataset: Path) -> tuple[dict[str, Any], str]:
    from huggingface_hub import RepoCard

    loaded = RepoCard.load(dataset / "README.md", ignore_metadata_errors=False)
    return loaded.data.to_dict(), loaded.text


def test_synthetic_light_curves_are_marked_on_the_card_the_receipts_and_the_status(
    dataset: Path,
) -> None:
    assert "Synthetic data" in card(dataset)[1]
    assert all(receipt.synthetic for receipt in receipts(dataset).values())
    assert all(sector.synthetic for sector in tessloom.read_status(dataset))


@pytest.mark.parametrize("name", NAMES)
def test_two_workers_write_the_bytes_that_one_writes(
    name: str, server: DemoServer, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "elsewhere" / "two"
    for out, workers in ((one, 1), (two, 2)):
        done = run(
            *("build", name, "--sector", 23, "--limit", 40, "--out", out),
            *("--archive", server.address, "--workers", workers),
        )
        assert done.returncode == 0, done.stderr
    assert contents(one) == contents(two)
    assert len(contents(one)) > 2


def test_another_sector_adds_files_and_rewrites_none(server: DemoServer, tmp_path: Path) -> None:
    ids = shared_ids("spoc", 8)
    options: dict[str, Any] = {"out": tmp_path / "data", "archive": server.address, "targets": ids}
    tessloom.build("spoc", sector=23, **options)
    before = stamps(tmp_path / "data")
    tessloom.build("spoc", sector=24, **options)
    after = stamps(tmp_path / "data")
    assert {name: after[name] for name in before} == before
    assert {Path(name).name for name in set(after) - set(before)} == {"s0024.parquet"}

    table = read_table(tmp_path / "data", "spoc")
    assert sorted(set(table["sector"].to_pylist())) == [23, 24]
    catalogue = tmp_path / "data" / "spoc"
    assert properties(catalogue / "catalog" / "hats.properties")["hats_nrows"] == "16"
    index = pq.read_table(catalogue / "index_tic_id" / "dataset" / "index" / "part.0.parquet")
    assert sorted(set(index["tic_id"].to_pylist())) == ids
    (config,) = card(tmp_path / "data")[0]["configs"]
    assert [files["split"] for files in config["data_files"]] == ["s0023", "s0024"]


def test_a_sector_s_bytes_do_not_depend_on_what_else_is_there(
    dataset: Path, tmp_path: Path
) -> None:
    ids = sorted(set(read_table(dataset, "qlp", 56)["tic_id"].to_pylist()))
    tessloom.build("qlp", sector=56, out=tmp_path, archive="demo", targets=ids)
    alone = contents(tmp_path)
    together = contents(dataset)
    assert alone == {name: together[name] for name in alone}


def test_eras_open_as_one_table_with_nulls_for_what_an_era_lacks(dataset: Path) -> None:
    table = read_table(dataset, "qlp")
    early_only, late_only = (
        {"kspsap_flux_sml", "kspsap_flux_lag"},
        {
            "det_flux_sml",
            "det_flux_lag",
            "sys_rm_flux",
        },
    )
    for sector, light_curve in zip(
        table["sector"].to_pylist(), table["lightcurve"].to_pylist(), strict=True
    ):
        lengths = {len(values) for values in light_curve.values()}
        assert len(lengths) == 1
        absent = {name for name, values in light_curve.items() if values.count(None) == len(values)}
        assert absent == (early_only if sector == 56 else late_only)


def test_a_dataset_can_be_moved(dataset: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(dataset, moved)
    before = stamps(moved)
    report = tessloom.build("qlp", sector=23, out=moved, archive="demo", limit=25)
    assert report.built == 0
    assert report.complete
    assert stamps(moved) == before
