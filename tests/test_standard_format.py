"""The Multimodal Universe's HDF5: what stands in it, from real files and synthetic ones."""

import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from cdshealpix.nested import lonlat_to_healpix

import tessloom
from support import (
    NAMES,
    contents,
    demo_paths,
    fetch,
    file_key,
    native,
    partition_files,
    run,
    shared_ids,
    stamps,
)
from tessloom.demo import DemoServer, Faults
from tessloom.errors import DatasetError, RequestError
from tessloom.pipelines import PIPELINES, TGLC

ADDED = {"object_id": "O", "ra": "f8", "dec": "f8", "healpix": "i8", "length": "i8"}
# Name of each array, its type, and where the file has it: a column's names, or a header's card.
SERIES = {
    "qlp": {
        "time": ("f8", ["TIME"]),
        "sap_flux": ("f4", ["SAP_FLUX"]),
        "kspsap_flux": ("f4", ["KSPSAP_FLUX", "DET_FLUX"]),
        "kspsap_flux_err": ("f4", ["KSPSAP_FLUX_ERR", "DET_FLUX_ERR"]),
        "quality": ("i4", ["QUALITY"]),
        "orbitid": ("i4", ["ORBITID"]),
        "sap_x": ("f4", ["SAP_X"]),
        "sap_y": ("f4", ["SAP_Y"]),
        "sap_bkg": ("f4", ["SAP_BKG"]),
        "sap_bkg_err": ("f4", ["SAP_BKG_ERR"]),
        "kspsap_flux_sml": ("f4", ["KSPSAP_FLUX_SML", "DET_FLUX_SML"]),
        "kspsap_flux_lag": ("f4", ["KSPSAP_FLUX_LAG", "DET_FLUX_LAG"]),
        "sys_rm_flux": ("f4", ["SYS_RM_FLUX"]),
    },
    "tglc": {
        "time": ("f8", ["time"]),
        "psf_flux": ("f4", ["psf_flux"]),
        "aper_flux": ("f4", ["aperture_flux"]),
        "tess_flags": ("i2", ["TESS_flags"]),
        "tglc_flags": ("i2", ["TGLC_flags"]),
    },
    "spoc": {
        "time": ("f8", ["TIME"]),
        "flux": ("f4", ["PDCSAP_FLUX"]),
        "flux_err": ("f4", ["PDCSAP_FLUX_ERR"]),
        "quality": ("i4", ["QUALITY"]),
    },
}
SKY = {"RA": ("f8", "RA_OBJ"), "DEC": ("f8", "DEC_OBJ"), "TIC_ID": ("i8", "TICID")}
SCALARS = {
    "qlp": SKY
    | {
        "tess_mag": ("f8", "TESSMAG"),
        "radius": ("f8", "RADIUS"),
        "teff": ("f8", "TEFF"),
        "logg": ("f8", "LOGG"),
        "mh": ("f8", "MH"),
    },
    "tglc": SKY
    | {
        "GAIADR3_ID": ("i8", "GAIADR3"),
        "gaiadr3_id": ("i8", "GAIADR3"),
        "psf_flux_err": ("f8", "PSF_ERR"),
        "aper_flux_err": ("f8", "APER_ERR"),
    },
    "spoc": SKY,
}
REAL = [("qlp", 24), ("qlp", 25), ("qlp", 56), ("tglc", 1), ("tglc", 7), ("tglc", 34)]
REAL += [("spoc", sector) for sector in (1, 24, 25, 40)]
ERAS = [("qlp", 23), ("qlp", 40), ("qlp", 56), ("tglc", 23), ("tglc", 40)]
ERAS += [("spoc", 23), ("spoc", 40), ("spoc", 56)]


def rows_of(out: Path) -> Iterator[tuple[h5py.File, int]]:
    """Yield each light curve of a dataset as its file and its place in it."""
    for path in partition_files(out).values():
        with h5py.File(path) as file:
            for row in range(len(file["object_id"])):
                yield file, row


def assert_equals_fits(name: str, file: h5py.File, row: int, body: bytes) -> None:
    """Check every value of a light curve with its file as astropy reads it."""
    with fits.open(io.BytesIO(body)) as hdus:
        data, headers = hdus["LIGHTCURVE"].data, (hdus[0].header, hdus[1].header)
        length = len(data)
        assert file["length"][row] == length
        columns = {column.upper(): column for column in data.names}
        for array, (kind, sources) in SERIES[name].items():
            source = next((columns[s.upper()] for s in sources if s.upper() in columns), None)
            if source is None:
                assert array == "sys_rm_flux"
                assert array not in file or np.isnan(file[array][row][:length]).all()
                continue
            assert file[array].dtype == np.dtype(kind), array
            stored = file[array][row]
            assert stored[:length].tobytes() == native(data[source]).tobytes(), array
            assert not stored[length:].any(), array
        for array, (kind, card) in SCALARS[name].items():
            value = next((h[card] for h in headers if card in h), None)
            if value is None and card == "GAIADR3":
                value = headers[0]["GAIADR2"]
            assert file[array].dtype == np.dtype(kind), array
            missing = 0 if kind == "i8" else np.nan
            expected = missing if value in (None, "") else np.dtype(kind).type(value)
            np.testing.assert_array_equal(file[array][row], expected, array)
        assert (file["ra"][row], file["dec"][row]) == (file["RA"][row], file["DEC"][row])
        identifier = headers[0].get("TICID") or file["GAIADR3_ID"][row]
        assert file["object_id"].asstr()[row] == str(identifier)


def assert_layout(name: str, path: Path) -> None:
    """Check the names, types and shapes of a file, and that its pixel holds its stars."""
    with h5py.File(path) as file:
        count = len(file["object_id"])
        width = file["time"].shape[1]
        expected: dict[str, Any]
        expected = {array: ((count, width), kind) for array, (kind, _) in SERIES[name].items()}
        expected |= {array: ((count,), kind) for array, (kind, _) in SCALARS[name].items()}
        expected |= {array: ((count,), kind) for array, kind in ADDED.items()}
        if "sys_rm_flux" not in file:
            expected.pop("sys_rm_flux", None)
        found = {array: (data.shape, data.dtype.str.lstrip("<|")) for array, data in file.items()}
        assert found == expected
        assert width == file["length"][:].max()
        pixel = int(re.findall(r"/healpix=(\d+)/001-of-001\.hdf5$", path.as_posix())[0])
        assert set(file["healpix"][:]) == {pixel}
        import astropy.units as u
        from astropy.coordinates import Latitude, Longitude

        pixels = lonlat_to_healpix(
            Longitude(file["ra"][:] * u.deg), Latitude(file["dec"][:] * u.deg), depth=4
        )
        assert set(pixels) == {pixel}


@pytest.mark.parametrize(("name", "sector"), REAL)
def test_real_files_are_stored_as_astropy_reads_them(
    name: str, sector: int, realdata: Path, tmp_path: Path
) -> None:
    report = tessloom.build(name, sector=sector, archive=str(realdata), out=tmp_path, format="hdf5")
    assert report.complete
    bodies = {
        file_key(name, path.name): path.read_bytes()
        for path in realdata.rglob(f"*s{sector:04d}*.fits")
        if PIPELINES[name].file_name.fullmatch(path.name)
    }
    rows = list(rows_of(tmp_path))
    assert len(rows) == len(bodies) > 0
    by_id = {identifier: body for (identifier, *_), body in bodies.items()}
    for path in partition_files(tmp_path).values():
        assert_layout(name, path)
        with h5py.File(path) as file:
            for row in range(len(file["object_id"])):
                identifier = file["GAIADR3_ID" if name == "tglc" else "TIC_ID"][row]
                assert_equals_fits(name, file, row, by_id[int(identifier)])


@pytest.mark.parametrize(("name", "sector"), ERAS)
def test_every_era_is_stored_as_astropy_reads_it(
    name: str, sector: int, server: DemoServer, tmp_path: Path
) -> None:
    limit = 30 if sector == 23 else 5
    tessloom.build(
        name, sector=sector, archive=server.address, out=tmp_path, limit=limit, format="hdf5"
    )
    first = itertools.islice(demo_paths(name, sector).items(), limit)
    # A star may be on two CCDs; its light curves stand in the order of the target's.
    bodies: dict[int, list[bytes]] = {}
    for (identifier, *_), place in sorted(first):
        bodies.setdefault(identifier, []).append(fetch(server.address + place))
    count = 0
    for path in partition_files(tmp_path).values():
        assert_layout(name, path)
        with h5py.File(path) as file:
            for row in range(len(file["object_id"])):
                identifier = int(file["GAIADR3_ID" if name == "tglc" else "TIC_ID"][row])
                assert_equals_fits(name, file, row, bodies[identifier].pop(0))
                count += 1
    assert count == limit


def test_a_second_sector_overwrites_nothing(server: DemoServer, tmp_path: Path) -> None:
    def build(sector: int) -> tessloom.Report:
        return tessloom.build(
            "spoc",
            sector=sector,
            archive=server.address,
            out=tmp_path,
            targets=shared_ids("spoc", 40),
            format="hdf5",
        )

    assert build(23).complete
    before = contents(tmp_path)
    assert build(24).complete
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    own = {name for name in after if name not in before}
    beside = {name for name in own if name.rsplit("/", 1)[1] == "s0024-001-of-001.hdf5"}
    assert beside
    assert all(name.rsplit("/", 1)[0] + "/001-of-001.hdf5" in before for name in beside)
    assert len(list(rows_of(tmp_path))) == 80
    # Each finds its own again.
    assert "Nothing was left to do." in str(build(23))
    assert "Nothing was left to do." in str(build(24))
    assert [status.written for status in tessloom.read_status(tmp_path)] == [40, 40]


def test_a_pixel_without_any_file_is_a_recorded_failure(tmp_path: Path) -> None:
    with DemoServer(Faults(missing=1.0)) as empty:
        report = tessloom.build(
            "tglc", sector=23, archive=empty.address, out=tmp_path, limit=4, format="hdf5"
        )
    (status,) = tessloom.read_status(tmp_path)
    assert not report.complete
    assert (status.written, status.reasons()["missing"]) == (0, 4)
    for path in partition_files(tmp_path).values():
        with h5py.File(path) as file:
            assert not list(file)


def test_a_sector_with_failures_loads_all_the_same(tmp_path: Path) -> None:
    import datasets

    with DemoServer(Faults(missing=0.5)) as poor:
        tessloom.build(
            "spoc", sector=23, archive=poor.address, out=tmp_path / "d", limit=30, format="hdf5"
        )
    (status,) = tessloom.read_status(tmp_path / "d")
    assert 0 < status.written < 30
    files = partition_files(tmp_path / "d").values()
    assert any(not list(h5py.File(path)) for path in files)
    stars = datasets.load_dataset(str(tmp_path / "d"), split="train", cache_dir=str(tmp_path))
    assert len(stars) == status.written


@pytest.mark.parametrize("name", NAMES)
def test_hugging_face_loads_files_of_different_lengths(
    name: str, server: DemoServer, tmp_path: Path
) -> None:
    import datasets

    out = tmp_path / "built"
    for sector in (23, 24, 40):
        tessloom.build(
            name, sector=sector, archive=server.address, out=out, limit=12, format="hdf5"
        )
    splits = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert list(splits) == ["train"]
    stars = splits["train"].with_format("numpy", dtype=None)
    assert len(stars) == 36
    assert len({len(star["time"]) for star in stars}) > 1
    by_key = {
        (file["object_id"].asstr()[row], int(file["length"][row])): (file["time"][row], file.name)
        for file, row in rows_of(out)
    }
    for star in stars:
        time, _ = by_key[star["object_id"], int(star["length"])]
        assert star["time"].dtype == np.float64
        np.testing.assert_array_equal(star["time"], time)
    streamed = datasets.load_dataset(str(out), split="train", streaming=True)
    assert sorted(star["object_id"] for star in streamed) == sorted(splits["train"]["object_id"])


def test_three_pipelines_in_one_directory_are_three_configs(
    server: DemoServer, tmp_path: Path
) -> None:
    import datasets

    out = tmp_path / "built"
    tessloom.build(NAMES, sector=23, archive=server.address, out=out, limit=5, format="hdf5")
    assert sorted(datasets.get_dataset_config_names(str(out))) == sorted(NAMES)
    for name in NAMES:
        stars = datasets.load_dataset(str(out), name, split="train", cache_dir=str(tmp_path))
        assert len(stars) == 5


def test_cross_matching_finds_what_it_reads(server: DemoServer, tmp_path: Path) -> None:
    """Do what the Multimodal Universe's cross-matching does, with the columns that it takes."""
    catalogues = {}
    for name in ("qlp", "spoc"):
        out = tmp_path / name
        tessloom.build(name, sector=23, archive=server.address, out=out, limit=60, format="hdf5")
        parts = []
        for path in out.glob(f"{name.upper()}/healpix=*/*.hdf5"):
            pixel = int(re.findall(r"healpix=(\d+)", str(path))[0])
            with h5py.File(path) as file:
                part = Table({key: file[key][:] for key in ("object_id", "ra", "dec", "healpix")})
            assert set(part["healpix"]) == {pixel}
            parts.append(part)
        catalogues[name] = {row["object_id"]: row for part in parts for row in part}
    both = set(catalogues["qlp"]) & set(catalogues["spoc"])
    assert len(both) > 5
    for star in both:
        one, other = (catalogues[name][star] for name in ("qlp", "spoc"))
        assert one["healpix"] == other["healpix"]
        assert abs(one["dec"] - other["dec"]) < 1e-5


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ("time,flux,flux_err", {"time", "flux", "flux_err"}),
        (["time", "cadence_num", "gaia_g"], {"time", "cadence_num", "gaia_g"}),
        (
            "default, near_edge",
            {*SERIES["tglc"], *SCALARS["tglc"], "near_edge"},
        ),
    ],
)
def test_features_can_be_chosen(
    features: Any, expected: set[str], server: DemoServer, tmp_path: Path
) -> None:
    tessloom.build(
        "tglc",
        sector=23,
        archive=server.address,
        out=tmp_path,
        limit=5,
        format="hdf5",
        features=features,
    )
    for path in partition_files(tmp_path).values():
        with h5py.File(path) as file:
            assert set(file) == expected | set(ADDED)


def test_all_features_are_every_column_and_header_value(server: DemoServer, tmp_path: Path) -> None:
    tessloom.build(
        "tglc",
        sector=23,
        archive=server.address,
        out=tmp_path,
        limit=5,
        format="hdf5",
        features="all",
    )
    every = {c.name for c in TGLC.columns} | {k.name for k in TGLC.keywords}
    for path in partition_files(tmp_path).values():
        with h5py.File(path) as file:
            assert set(file) == every | {*SERIES["tglc"], *SCALARS["tglc"], *ADDED}
            assert file["near_edge"].dtype == bool
            assert file["gaia_g"].dtype == np.float64
            errors = file["cal_aper_flux_err"][:].astype(np.float32)
            np.testing.assert_array_equal(file["flux_err"][:, 0], errors)


def test_more_features_make_the_files_anew_and_fewer_are_refused(
    server: DemoServer, tmp_path: Path
) -> None:
    def build(features: str) -> tessloom.Report:
        return tessloom.build(
            "spoc",
            sector=23,
            archive=server.address,
            out=tmp_path,
            limit=5,
            format="hdf5",
            features=features,
        )

    partitions = build("time,flux").built
    assert build("flux,time").built == 0
    assert build("time,flux,sap_flux").built == partitions
    before = contents(tmp_path)
    with pytest.raises(DatasetError, match="has the arrays sap_flux, which were not asked for"):
        build("time,flux")
    assert contents(tmp_path) == before
    for file, _ in rows_of(tmp_path):
        assert set(file) == {"time", "flux", "sap_flux", *ADDED}


def test_contiguous_arrays_hold_the_same_values_and_are_not_built_anew_by_mistake(
    server: DemoServer, tmp_path: Path
) -> None:
    def build(out: Path, *options: str, status: int = 0) -> str:
        command = ["build", "qlp", "--sector", 56, "--limit", 20, "--archive", server.address]
        command += ["--out", out, "--format", "hdf5", "--features", "all"]
        done = run(*command, *options)
        assert done.returncode == status, done.stderr
        return done.stderr

    compressed, out = tmp_path / "compressed", tmp_path / "contiguous"
    build(compressed)
    build(out, "--contiguous")
    for name, path in partition_files(out).items():
        with h5py.File(path) as file, h5py.File(compressed / name) as other:
            assert set(file) == set(other)
            for array, values in file.items():
                assert values.chunks is None
                np.testing.assert_array_equal(values[:], other[array][:], array)
    assert run("verify", out).returncode == 0
    before = stamps(out)
    build(out, "--contiguous")
    assert stamps(out) == before
    assert "are contiguous, and all would be fetched" in build(out, status=3)
    assert "are compressed, and all would be fetched" in build(compressed, "--contiguous", status=3)
    assert stamps(out) == before


def test_the_card_names_arrays_that_only_some_files_have(
    server: DemoServer, tmp_path: Path
) -> None:
    import datasets

    out = tmp_path / "built"
    for sector in (23, 56):
        tessloom.build(
            "qlp", sector=sector, archive=server.address, out=out, limit=4, format="hdf5"
        )
    card = (out / "README.md").read_text("utf-8")
    assert "Only some files in QLP have the arrays sys_rm_flux:" in card
    stars = datasets.load_dataset(str(out), split="train", cache_dir=str(tmp_path))
    assert len(stars) == 8
    assert "sys_rm_flux" not in stars.features


def test_a_damaged_file_is_an_error_that_names_it(server: DemoServer, tmp_path: Path) -> None:
    tessloom.build("spoc", sector=23, archive=server.address, out=tmp_path, limit=3, format="hdf5")
    path = next(iter(partition_files(tmp_path).values()))
    body = bytearray(path.read_bytes())
    body[200:2000] = bytes(1800)
    path.write_bytes(body)
    with pytest.raises(DatasetError, match=rf"{path} (is damaged|was not written)"):
        tessloom.build(
            "spoc", sector=23, archive=server.address, out=tmp_path, limit=3, format="hdf5"
        )


def test_files_of_another_tool_are_not_touched(server: DemoServer, tmp_path: Path) -> None:
    foreign = tmp_path / "SPOC" / "healpix=1644" / "001-of-001.hdf5"
    foreign.parent.mkdir(parents=True)
    with h5py.File(foreign, "w") as file:
        file["object_id"] = [1, 2]
    before = foreign.read_bytes()
    with pytest.raises(DatasetError, match=r"001-of-001\.hdf5 was not written by tessloom: choo"):
        tessloom.build(
            "spoc", sector=23, archive=server.address, out=tmp_path, limit=3, format="hdf5"
        )
    assert foreign.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "hdf5", "features": "time,fluxx"}, r"no feature 'fluxx'; choose from.*flux"),
        ({"format": "hdf5", "features": " , "}, "features names none"),
        ({"features": "all"}, "features are chosen with format hdf5"),
        ({"contiguous": True}, "contiguous arrays are of format hdf5"),
        ({"format": "zarr"}, "unknown format 'zarr': choose from parquet, hdf5"),
    ],
)
def test_a_wrong_format_or_feature_is_refused(
    arguments: dict[str, Any], message: str, server: DemoServer, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=message):
        tessloom.build("spoc", sector=23, archive=server.address, out=tmp_path / "d", **arguments)
    assert not (tmp_path / "d").exists()


def test_a_directory_holds_one_format(server: DemoServer, tmp_path: Path) -> None:
    tessloom.build("qlp", sector=23, archive=server.address, out=tmp_path, limit=3)
    before = contents(tmp_path)
    with pytest.raises(RequestError, match=r"holds a dataset in the format parquet.*directory"):
        tessloom.build(
            "spoc", sector=23, archive=server.address, out=tmp_path, limit=3, format="hdf5"
        )
    assert contents(tmp_path) == before


def test_the_command_line_builds_hdf5_and_says_how_to_open_it(
    server: DemoServer, tmp_path: Path
) -> None:
    import datasets

    out = tmp_path / "built"
    command = ["build", "spoc", "--sector", 23, "--limit", 8, "--archive", server.address]
    command += ["--out", out, "--format", "hdf5", "--features", "default,sap_flux"]
    done = run(*command, "--workers", 2)
    assert done.returncode == 0, done.stderr
    (call,) = re.findall(r"load_dataset\((.*?)\)", done.stdout)
    assert call == f'"{out}", "spoc", split="train"'
    stars = datasets.load_dataset(str(out), "spoc", split="train", cache_dir=str(tmp_path))
    assert len(stars) == 8
    assert "sap_flux" in stars.features
    status = run("status", out)
    assert status.returncode == 0
    assert "spoc sector 23: 8 of 8 light curves" in status.stdout
    assert "Nothing was left to do." in run(*command).stdout


def test_one_worker_and_three_write_the_same_bytes(server: DemoServer, tmp_path: Path) -> None:
    for workers in (1, 3):
        tessloom.build(
            "qlp",
            sector=23,
            archive=server.address,
            out=tmp_path / str(workers),
            limit=40,
            format="hdf5",
            workers=workers,
        )
    assert contents(tmp_path / "1") == contents(tmp_path / "3")
