"""The downloaders where things go wrong, are done again, or are replaced by a subclass."""

import os
import pickle
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from astropy.table import Table, vstack

import tessloom
from support import contents, demo_paths, partial_files, partition_files
from tessloom.archive import RetryPolicy
from tessloom.demo import DemoServer, Faults
from tessloom.errors import (
    ArchiveError,
    DatasetError,
    FileMissingError,
    NotFitsError,
    RequestError,
    UnknownSectorError,
)
from tessloom.multimodal_universe import (
    QLP_Downloader,
    SPOC_Downloader,
    TESS_Downloader,
    TGLC_Downloader,
)

TINY = 20


def make(
    server: DemoServer | str,
    folder: Path,
    kind: type[TESS_Downloader] = SPOC_Downloader,
    sector: int = 23,
    **arguments: Any,
) -> TESS_Downloader:
    archive = server if isinstance(server, str) else server.address
    return kind(sector, folder, archive=archive, tiny_size=TINY, **arguments)


def object_ids(folder: Path) -> list[str]:
    """Return the object ids of all HDF5 files."""
    found: list[str] = []
    for path in partition_files(folder).values():
        with h5py.File(path) as file:
            found += file["object_id"].asstr()[:].tolist() if "object_id" in file else []
    return sorted(found)


# What a downloader is made with.


@pytest.mark.parametrize("kind", [QLP_Downloader, SPOC_Downloader, TGLC_Downloader])
def test_the_data_path_has_a_name_of_the_pipeline_too(
    kind: type[TESS_Downloader], tmp_path: Path
) -> None:
    named: dict[str, Any] = {f"{kind.pipeline.lower()}_data_path": tmp_path}
    downloader = kind(sector=23, archive="demo", **named)
    assert downloader.data_path == tmp_path
    assert downloader.hdf5_output_dir == tmp_path
    assert downloader.fits_dir == tmp_path / "fits"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sector": 0}, RequestError, "0 is not a sector"),
        ({"sector": "23rd"}, RequestError, "'23rd' is not a sector"),
        ({"sector": [23, 24]}, RequestError, "has one sector"),
        ({"sector": 23.5}, RequestError, "23.5 is not a sector"),
        ({"sector": 23, "n_processes": 0}, RequestError, "n_processes must be at least 1"),
        ({"sector": 23, "n_processes": "4"}, RequestError, "n_processes must be at least 1"),
        ({"sector": 23, "qlp_data_path": "x"}, TypeError, "has no argument qlp_data_path"),
        ({"sector": 23, "features": "fluxx"}, RequestError, "no feature 'fluxx'"),
        ({"sector": 23, "archive": "nowhere"}, RequestError, "no archive 'nowhere'"),
        ({"sector": 23, "tiny_size": 0}, RequestError, "tiny_size must be at least 1"),
        ({"sector": 23, "data_path": "x", "tglc_data_path": "y"}, TypeError, "mean the same"),
    ],
)
def test_a_wrong_argument_is_refused(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        TGLC_Downloader(**({"archive": "demo"} | arguments))


def test_the_base_class_says_which_to_use() -> None:
    with pytest.raises(RequestError, match="use QLP_Downloader, SPOC_Downloader or TGLC_Down"):
        TESS_Downloader(23)


def test_an_unknown_sector_is_answered_with_those_that_exist(
    server: DemoServer, tmp_path: Path
) -> None:
    with pytest.raises(UnknownSectorError, match=r"no sector 77.*23-24"):
        make(server, tmp_path, sector=77).create_sector_catalog(tiny=True)
    assert not partial_files(tmp_path)


def test_a_downloader_can_be_sent_to_another_process(server: DemoServer, tmp_path: Path) -> None:
    downloader = make(server, tmp_path)
    catalog = downloader.create_sector_catalog(tiny=True)
    copy = pickle.loads(pickle.dumps(downloader))  # noqa: S301
    assert copy.get_fits_lightcurve(catalog[0]) is True
    assert downloader.processing_fn(catalog[0])["object_id"]


# Scripts and lists on disk.


def test_what_is_there_is_not_downloaded_again(tmp_path: Path) -> None:
    with DemoServer() as counted:
        downloader = make(counted, tmp_path)
        first = downloader.create_sector_catalog(tiny=True)
        downloader.batched_download(first)
        before = dict(counted.requests)
        second = make(counted, tmp_path).create_sector_catalog(tiny=True)
        assert make(counted, tmp_path).batched_download(second) == [[True] * TINY]
        assert dict(counted.requests) == before
    assert str(first) == str(second)


@pytest.mark.parametrize("name", ["s0023_fits_download_script.sh", "s0023_target_list.csv"])
@pytest.mark.parametrize("kept", [0, 0.5, 0.99])
def test_a_cut_list_is_downloaded_again_and_kept_beside(
    name: str, kept: float, server: DemoServer, tmp_path: Path
) -> None:
    downloader = make(server, tmp_path)
    downloader.create_sector_catalog(tiny=True)
    whole = (tmp_path / name).read_bytes()
    cut = whole[: int(len(whole) * kept)]
    (tmp_path / name).write_bytes(cut)
    with pytest.warns(UserWarning, match=rf"was not as it was downloaded: it is now .*{name}.old"):
        downloader.create_sector_catalog(tiny=True)
    assert (tmp_path / name).read_bytes() == whole
    assert (tmp_path / f"{name}.old").read_bytes() == cut


def test_a_script_of_one_s_own_is_not_lost(server: DemoServer, tmp_path: Path) -> None:
    downloader = make(server, tmp_path)
    for text in ("# mine\n", "# mine too\n"):
        downloader.sh_path.write_text(text)
        with pytest.warns(UserWarning, match="was not as it was downloaded"):
            assert downloader.download_sh_script() is True
    whole = downloader.sh_path.read_text()
    downloader.sh_path.write_text(whole.replace("curl", "CURL"))
    with pytest.warns(UserWarning, match="was not as it was downloaded"):
        downloader.download_sh_script()
    assert downloader.sh_path.read_text() == whole
    kept = [Path(f"{downloader.sh_path}.old{number}").read_text() for number in ("", 1, 2)]
    assert kept == ["# mine\n", "# mine too\n", whole.replace("curl", "CURL")]


def test_what_a_killed_download_left_is_removed(server: DemoServer, tmp_path: Path) -> None:
    downloader = make(server, tmp_path)
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    left = tmp_path / f".{downloader.sh_path.name}.{gone.pid}-1.partial"
    others = tmp_path / f".{downloader.sh_path.name}.{os.getppid()}-1.partial"
    for path in (left, others):
        path.touch()
    downloader.download_sh_script()
    assert partial_files(tmp_path) == [others]


def test_lists_of_another_pipeline_in_the_same_folder_are_replaced(
    server: DemoServer, tmp_path: Path
) -> None:
    for kind in (QLP_Downloader, SPOC_Downloader, TGLC_Downloader, QLP_Downloader):
        downloader = make(server, tmp_path, kind)
        assert downloader.download_sector(tiny=True) is True
    statuses = tessloom.read_status(tmp_path)
    assert [(status.pipeline, status.written) for status in statuses] == [
        ("qlp", TINY),
        ("tglc", TINY),
        ("spoc", TINY),
    ]


def test_a_folder_without_a_target_list_gives_positions_from_the_headers(
    server: DemoServer, tmp_path: Path
) -> None:
    downloader = make(server, tmp_path / "had")
    expected = downloader.create_sector_catalog(tiny=True)
    downloader.batched_download(expected)
    folder = downloader.fits_dir
    shutil.copy(downloader.sh_path, folder / downloader.sh_url.rpartition("/")[2])
    again = make(str(folder), tmp_path / "again")
    assert again.fits_base_url == f"{folder}/"
    with pytest.warns(UserWarning, match="Positions are taken from the FITS files' headers"):
        catalog = again.create_sector_catalog(tiny=True)
    np.testing.assert_array_equal(catalog["healpix"], expected["healpix"])
    assert again.batched_download(catalog) == [[True] * TINY]
    assert all(again.convert_fits_to_standard_format(catalog))
    assert len(list(again.fits_dir.rglob("*.fits"))) == TINY


# Files that can't be had.


@pytest.mark.usefixtures("impatient")
def test_failures_keep_their_reason_to_the_end(tmp_path: Path) -> None:
    faults = Faults(missing=0.2, html=0.2)
    with DemoServer(faults) as poor:
        downloader = make(poor, tmp_path)
        catalog = downloader.create_sector_catalog(tiny=True)
        with pytest.warns(UserWarning, match=r"\d+ of 20 files could not be had .*`failures`"):
            (results,) = downloader.batched_download(catalog)
        converted = downloader.convert_fits_to_standard_format(catalog)
    paths = [downloader.fits_url(row)[1] for row in catalog]
    assert [path in downloader.failures for path in paths] == [not there for there in results]
    kinds = {type(error) for error in downloader.failures.values()}
    assert kinds == {FileMissingError, NotFitsError}
    (status,) = tessloom.read_status(tmp_path)
    assert (status.asked, status.written) == (TINY, sum(results))
    recorded = {failure.path: failure.reason for failure in status.failures}
    assert recorded == {path: error.reason for path, error in downloader.failures.items()}
    complete = {
        pixel: all(there for there, row in zip(results, catalog, strict=True) if same(row, pixel))
        for pixel in sorted(set(catalog["healpix"]))
    }
    assert converted == list(complete.values())
    assert not all(converted)


def same(row: Any, pixel: int) -> bool:
    return bool(row["healpix"] == pixel)


def test_targets_without_a_file_are_recorded_as_the_build_does(tmp_path: Path) -> None:
    faults = Faults(unscripted=0.03, unlisted=0.03, duplicate=0.03)
    with DemoServer(faults) as odd:
        downloader = make(odd, tmp_path / "steps")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert downloader.download_sector(tiny=False) is False
        tessloom.build(
            "spoc", sector=23, archive=odd.address, out=tmp_path / "build", format="hdf5"
        )
    (steps,) = tessloom.read_status(tmp_path / "steps")
    (build,) = tessloom.read_status(tmp_path / "build")
    assert steps.reasons() == build.reasons() == {"not-listed": len(build.failures)}
    assert len(build.failures) > 5
    assert (steps.asked, steps.written) == (build.asked, build.written)
    assert steps.findings == build.findings
    assert len(build.findings) == 4
    warned = [str(warning.message) for warning in caught]
    assert set(build.findings) < set(warned)
    assert sum(" targets of the list have no file, such as " in text for text in warned) == 1


def test_a_warning_counts_what_this_call_could_not_get(tmp_path: Path) -> None:
    with DemoServer(Faults(missing=1.0)) as empty:
        downloader = make(empty, tmp_path)
        catalog = downloader.create_sector_catalog(tiny=True)
        for part in (catalog[:3], catalog[3:4]):
            expected = rf"^{len(part)} of {len(part)} files .* \({len(part)} missing: "
            with pytest.warns(UserWarning, match=expected):
                downloader.batched_download(part)


def test_a_folder_that_is_not_laid_out_like_the_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"has no tess-spoc\. tessloom build --archive takes"):
        make(str(tmp_path), tmp_path / "data")


def test_files_of_another_tool_are_found_out_before_the_download(tmp_path: Path) -> None:
    foreign = tmp_path / "TGLC" / "healpix=5" / "001-of-001.hdf5"
    foreign.parent.mkdir(parents=True)
    with h5py.File(foreign, "w") as file:
        file["object_id"] = [1]
    with DemoServer() as counted:
        with pytest.raises(DatasetError, match="was not written by tessloom"):
            make(counted, tmp_path, QLP_Downloader).download_sector(tiny=True)
        assert not counted.requests


@pytest.mark.usefixtures("impatient")
def test_what_could_not_be_had_is_had_by_the_next_call(server: DemoServer, tmp_path: Path) -> None:
    with DemoServer(Faults(missing=0.3)) as poor:
        downloader = make(poor, tmp_path)
        with pytest.warns(UserWarning, match="could not be had"):
            assert downloader.download_sector(tiny=True) is False
    assert make(server, tmp_path).download_sector(tiny=True) is True
    make(server, tmp_path / "at_once").download_sector(tiny=True)
    assert contents(tmp_path) == contents(tmp_path / "at_once")


def test_files_that_were_never_downloaded_are_failures(server: DemoServer, tmp_path: Path) -> None:
    downloader = make(server, tmp_path)
    catalog = downloader.create_sector_catalog(tiny=True)
    assert not any(downloader.convert_fits_to_standard_format(catalog))
    (status,) = tessloom.read_status(tmp_path)
    assert (status.written, status.reasons()) == (0, {"missing": TINY})
    with pytest.raises(FileMissingError, match=r"is not in .*/fits"):
        downloader.processing_fn(catalog[0])


@pytest.mark.parametrize("body", [b"", b"<html>Busy</html>", b"SIMPLE  =", "cut", "another"])
def test_a_damaged_file_is_downloaded_again(
    body: bytes | str, server: DemoServer, tmp_path: Path
) -> None:
    downloader = make(server, tmp_path)
    catalog = downloader.create_sector_catalog(tiny=True)
    downloader.batched_download(catalog)
    path = tmp_path / "fits" / downloader.fits_url(catalog[3])[1]
    whole = path.read_bytes()
    other = (tmp_path / "fits" / downloader.fits_url(catalog[4])[1]).read_bytes()
    bodies = {"cut": whole[:-2880], "another": other}
    path.write_bytes(bodies[body] if isinstance(body, str) else body)
    assert not all(downloader.convert_fits_to_standard_format(catalog))
    assert downloader.batched_download(catalog) == [[True] * TINY]
    assert path.read_bytes() == whole
    assert all(downloader.convert_fits_to_standard_format(catalog))


def test_light_curves_that_were_written_are_not_lost_with_their_files(
    server: DemoServer, tmp_path: Path
) -> None:
    downloader = make(server, tmp_path)
    catalog = downloader.create_sector_catalog(tiny=True)
    first, second = catalog[::2], catalog[1::2]
    downloader.batched_download(first)
    assert all(downloader.convert_fits_to_standard_format(first))
    written = object_ids(tmp_path)
    downloader.clean_up(fits_dir=tmp_path / "fits")
    downloader.batched_download(second)
    assert all(downloader.convert_fits_to_standard_format(second))
    assert set(written) < set(object_ids(tmp_path))
    assert len(object_ids(tmp_path)) == TINY


def test_a_directory_that_can_t_be_built_into_is_found_out_before_the_download(
    tmp_path: Path,
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("My thesis.\n")
    with DemoServer() as counted:
        downloader = make(counted, tmp_path, hdf5_output_dir=tmp_path / "out")
        with pytest.raises(DatasetError, match="was not written by tessloom"):
            downloader.download_sector(tiny=True)
        assert not counted.requests


# Catalogues that people have changed.


def test_a_part_of_a_catalogue_adds_to_what_is_there(server: DemoServer, tmp_path: Path) -> None:
    downloader = make(server, tmp_path)
    catalog = downloader.create_sector_catalog(tiny=True)
    downloader.batched_download(catalog)
    downloader.convert_fits_to_standard_format(catalog[:7])
    assert len(object_ids(tmp_path)) == 7
    downloader.convert_fits_to_standard_format(catalog[5:][::-1])
    make(server, tmp_path / "at_once").download_sector(tiny=True)
    assert object_ids(tmp_path) == object_ids(tmp_path / "at_once")


@pytest.mark.parametrize("kind", [QLP_Downloader, TGLC_Downloader])
def test_parsed_lines_alone_make_a_catalogue(
    kind: type[TESS_Downloader], server: DemoServer, tmp_path: Path
) -> None:
    downloader = make(server, tmp_path, kind)
    downloader.download_sh_script()
    rows = downloader.parse_curl_commands(downloader.sh_path)[:8]
    catalog = Table(rows=rows, names=downloader.catalog_column_names)
    assert downloader.batched_download(vstack([catalog, catalog[:3]])) == [[True] * 11]
    assert all(downloader.convert_fits_to_standard_format(vstack([catalog, catalog[:3]])))
    assert len(object_ids(tmp_path)) == 8


def test_an_empty_catalogue_is_no_crash(server: DemoServer, tmp_path: Path) -> None:
    downloader = make(server, tmp_path)
    catalog = downloader.create_sector_catalog(tiny=True)[:0]
    assert downloader.batched_download(catalog) == []
    assert downloader.convert_fits_to_standard_format(catalog) == []


def test_a_corrected_position_leaves_a_star_where_it_was(
    server: DemoServer, tmp_path: Path
) -> None:
    downloader = make(server, tmp_path)
    catalog = downloader.create_sector_catalog(tiny=True)
    downloader.batched_download(catalog)
    wrong = catalog.copy()
    wrong["RA"] = (wrong["RA"] + 90) % 360
    assert all(downloader.convert_fits_to_standard_format(wrong))
    assert all(downloader.convert_fits_to_standard_format(catalog))
    assert len(object_ids(tmp_path)) == TINY


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (list, "is an astropy Table, not a list"),
        (lambda table: Table(table, meta={"sector": 24}), "the catalogue is of sector 24, not 23"),
        (lambda table: Table(table, meta={"pipeline": "qlp"}), "is of pipeline qlp, not spoc"),
    ],
)
def test_another_catalogue_is_refused(
    change: Any, message: str, server: DemoServer, tmp_path: Path
) -> None:
    downloader = make(server, tmp_path)
    catalog = change(downloader.create_sector_catalog(tiny=True))
    for use in (downloader.batched_download, downloader.convert_fits_to_standard_format):
        with pytest.raises(RequestError, match=message):
            use(catalog)


def test_a_catalogue_without_ids_is_refused(server: DemoServer, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no column GAIADR3_ID, cam, ccd; it has: RA"):
        make(server, tmp_path, TGLC_Downloader).convert_fits_to_standard_format(Table({"RA": [1]}))


def test_a_full_sector_is_more_than_tiny(server: DemoServer, tmp_path: Path) -> None:
    downloader = make(server, tmp_path)
    whole = downloader.create_sector_catalog(tiny=False)
    assert len(whole) == len(demo_paths("spoc", 23)) > TINY
    assert len(Table.read(tmp_path / "s0023_catalog.hdf5")) == len(whole)
    assert not (tmp_path / "s0023_catalog_tiny.hdf5").exists()
    downloader.create_sector_catalog(tiny=True, save_catalog=False)
    assert not (tmp_path / "s0023_catalog_tiny.hdf5").exists()


# Subclasses that replace a piece.


def test_replaced_parsing_chooses_the_targets(server: DemoServer, tmp_path: Path) -> None:
    class Bright(TGLC_Downloader):
        def read_sh(self, path: Any) -> list[str]:
            return super().read_sh(path)[10:20]

        def parse_line(self, line: str) -> list[Any]:
            values = super().parse_line(line)
            if values[0] % 2:
                raise RequestError("odd")
            return values

    expected = TGLC_Downloader(23, tmp_path / "all", archive=server.address)
    everything = expected.create_sector_catalog(tiny=True)[10:20]
    bright = make(server, tmp_path, Bright)
    with pytest.warns(UserWarning, match=r"\d lines of .* name no light curve"):
        catalog = bright.create_sector_catalog(tiny=True)
    assert catalog["GAIADR3_ID"].tolist() == [
        star for star in everything["GAIADR3_ID"].tolist() if star % 2 == 0
    ]


def test_replaced_parsing_keeps_the_versions_that_the_script_has(
    server: DemoServer, tmp_path: Path
) -> None:
    class Own(SPOC_Downloader):
        def parse_line(self, line: str) -> list[Any]:
            return super().parse_line(line)

        def download_sh_script(self, show_progress: bool = False) -> bool:
            return self.sh_path.exists() or super().download_sh_script(show_progress)

    downloader = make(server, tmp_path, Own)
    downloader.download_sh_script()
    script = downloader.sh_path.read_text()
    downloader.sh_path.write_text(script.replace("_v1_lc.fits", "_v2_lc.fits"))
    catalog = downloader.create_sector_catalog(tiny=True)
    assert set(catalog["version"]) == {"v2"}
    assert downloader.fits_url(catalog[0])[0].endswith("_tess_v2_lc.fits")


def test_a_replaced_download_is_what_is_called(server: DemoServer, tmp_path: Path) -> None:
    asked: list[int] = []

    class Own(SPOC_Downloader):
        def get_fits_lightcurve(self, row: Any) -> bool:
            asked.append(int(row["TIC_ID"]))
            return super().get_fits_lightcurve(row) and len(asked) % 2 == 0

    downloader = make(server, tmp_path, Own, n_processes=1)
    catalog = downloader.create_sector_catalog(tiny=True)
    with pytest.warns(UserWarning, match="10 of 20 files could not be had"):
        (results,) = downloader.batched_download(catalog)
    assert asked == catalog["TIC_ID"].tolist()
    assert results == [False, True] * (TINY // 2)
    assert len(list((tmp_path / "fits").rglob("*.fits"))) == TINY


def test_replaced_addresses_are_kept_in_the_conversion(server: DemoServer, tmp_path: Path) -> None:
    class Flat(SPOC_Downloader):
        def fits_url(self, row: Any) -> tuple[str, str]:
            url, path = super().fits_url(row)
            return url, path.rpartition("/")[2]

    downloader = make(server, tmp_path, Flat)
    assert downloader.download_sector(tiny=True) is True
    assert len(list((tmp_path / "fits").glob("*.fits"))) == TINY
    make(server, tmp_path / "usual").download_sector(tiny=True)
    assert object_ids(tmp_path) == object_ids(tmp_path / "usual")
    catalog = downloader.create_sector_catalog(tiny=True)
    assert all(downloader.convert_fits_to_standard_format(vstack([catalog, catalog[:5]])))


class Normalised(SPOC_Downloader):
    """Adds a feature and leaves some out, as the document says that one can."""

    def processing_fn(self, row: Any) -> dict[str, Any]:
        light_curve = super().processing_fn(row)
        flux = light_curve["flux"] / np.nanmedian(light_curve["flux"])
        if row["TIC_ID"] % 5 == 0:
            return None  # type: ignore[return-value]
        return {"time": light_curve["time"], "norm_flux": flux, "TIC_ID": row["TIC_ID"], "n": "x"}


def test_a_replaced_processing_fn_makes_the_files(server: DemoServer, tmp_path: Path) -> None:
    downloader = make(server, tmp_path, Normalised)
    catalog = downloader.create_sector_catalog(tiny=True)
    downloader.batched_download(catalog)
    refused = [star for star in catalog["TIC_ID"].tolist() if star % 5 == 0]
    assert refused
    converted = downloader.convert_fits_to_standard_format(catalog)
    assert converted.count(False) == len({r["healpix"] for r in catalog if r["TIC_ID"] in refused})
    (status,) = tessloom.read_status(tmp_path)
    assert (status.written, status.synthetic) == (TINY - len(refused), True)
    assert {failure.id for failure in status.failures} == set(refused)
    assert {failure.detail for failure in status.failures} == {"processing_fn returned None"}
    rows = {row["TIC_ID"]: row for row in catalog}
    for path in partition_files(tmp_path).values():
        with h5py.File(path) as file:
            if not list(file):
                continue
            names = {"time", "norm_flux", "TIC_ID", "n"}
            assert set(file) == names | {"object_id", "ra", "dec", "healpix", "length"}
            for place, star in enumerate(file["TIC_ID"][:]):
                row, length = rows[star], file["length"][place]
                assert file["object_id"].asstr()[place] == str(star)
                assert (file["ra"][place], file["dec"][place]) == (row["RA"], row["DEC"])
                flux = SPOC_Downloader.processing_fn(downloader, row)["flux"]
                stored = file["norm_flux"][place, :length]
                np.testing.assert_array_equal(stored, flux / np.nanmedian(flux))


def test_a_changed_processing_fn_makes_the_files_anew(server: DemoServer, tmp_path: Path) -> None:
    class Other(Normalised):
        def processing_fn(self, row: Any) -> dict[str, Any]:
            return {"time": SPOC_Downloader.processing_fn(self, row)["time"]}

    catalog = make(server, tmp_path, Normalised).create_sector_catalog(tiny=True)
    make(server, tmp_path, Normalised).batched_download(catalog)
    make(server, tmp_path, Normalised).convert_fits_to_standard_format(catalog)
    make(server, tmp_path, Other).convert_fits_to_standard_format(catalog)
    for path in partition_files(tmp_path).values():
        with h5py.File(path) as file:
            assert "norm_flux" not in file
    assert len(object_ids(tmp_path)) == TINY


def test_a_processing_fn_may_leave_stars_out_or_name_them_otherwise(
    server: DemoServer, tmp_path: Path
) -> None:
    class Renamed(SPOC_Downloader):
        def processing_fn(self, row: Any) -> dict[str, Any]:
            return super().processing_fn(row) | {"object_id": f"star-{row['TIC_ID']}"}

    assert make(server, tmp_path).download_sector(tiny=True) is True
    catalog = make(server, tmp_path).create_sector_catalog(tiny=True)
    assert all(make(server, tmp_path, Renamed).convert_fits_to_standard_format(catalog))
    assert all(name.startswith("star-") for name in object_ids(tmp_path))
    assert not all(make(server, tmp_path, Normalised).convert_fits_to_standard_format(catalog))
    assert 0 < len(object_ids(tmp_path)) < TINY


def test_a_processing_fn_does_not_replace_what_has_no_fits_file_any_more(
    server: DemoServer, tmp_path: Path
) -> None:
    downloader = make(server, tmp_path)
    assert downloader.download_sector(tiny=True) is True
    catalog = downloader.create_sector_catalog(tiny=True)
    before = contents(tmp_path)
    downloader.clean_up(fits_dir=tmp_path / "fits")

    class Own(SPOC_Downloader):
        def processing_fn(self, row: Any) -> dict[str, Any]:
            return super().processing_fn(row)

    with pytest.warns(UserWarning, match="FITS files are gone"):
        converted = make(server, tmp_path, Own).convert_fits_to_standard_format(catalog)
    assert not any(converted)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ({"time": np.arange(3.0), "flux": np.arange(4.0)}, "arrays of different lengths"),
        ({"TIC_ID": 3}, "no array with a value at each cadence"),
        ({"time": np.zeros((3, 2))}, "'time' as float64 of 2 dimensions"),
        ({"time": np.zeros(3), "a/b": 1}, "the name 'a/b'"),
        ({"time": np.zeros(3), "x": None}, "'x' as object"),
        ({"time": np.zeros(3, complex)}, "'time' as complex128"),
        ({"time": np.array(["a"])}, "'time' as <U1 of 1 dimensions"),
        ([1, 2], "returns list, not a dict"),
        ({"time": np.ma.masked_array([1, 2], [False, True])}, "'time' as int64 with a mask"),
    ],
)
def test_a_processing_fn_that_returns_no_light_curve_is_refused(
    returned: dict[str, Any], message: str, server: DemoServer, tmp_path: Path
) -> None:
    class Wrong(SPOC_Downloader):
        def processing_fn(self, row: Any) -> dict[str, Any]:  # noqa: ARG002
            return returned

    downloader = make(server, tmp_path, Wrong)
    catalog = downloader.create_sector_catalog(tiny=True)
    with pytest.raises(RequestError, match=message):
        downloader.convert_fits_to_standard_format(catalog)
    assert not partition_files(tmp_path)
    assert not partial_files(tmp_path)


class Changing(SPOC_Downloader):
    """Returns light curves that differ from the second one on."""

    def __init__(self, *arguments: Any, values: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.values = iter(values)

    def processing_fn(self, row: Any) -> dict[str, Any]:
        return {"time": super().processing_fn(row)["time"], **next(self.values)}


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        ({"x": 0}, {"x": 0.75}, "float64 as 'x', before it was int64"),
        ({"x": 1}, {}, "nothing as 'x', before it was int64"),
        ({}, {"x": np.arange(3)}, "different lengths"),
        ({"x": 1.0}, {"x": "a"}, "text as 'x', before it was float64"),
    ],
)
def test_light_curves_of_different_types_are_refused(
    one: Any, other: Any, message: str, server: DemoServer, tmp_path: Path
) -> None:
    values = [one, other, *[other] * TINY]
    downloader = make(server, tmp_path, Changing, values=values)
    catalog = downloader.create_sector_catalog(tiny=True)
    downloader.batched_download(catalog)
    with pytest.raises(RequestError, match=message) as caught:
        downloader.convert_fits_to_standard_format(catalog)
    assert "This was at the light curve of " in caught.value.__notes__[0]


def test_series_may_stand_together_and_have_masks(server: DemoServer, tmp_path: Path) -> None:
    class Nested(SPOC_Downloader):
        def processing_fn(self, row: Any) -> dict[str, Any]:
            light_curve = super().processing_fn(row)
            flux = np.ma.masked_array(light_curve["flux"], light_curve["quality"] != 0)
            return {"lightcurve": {"time": light_curve["time"], "flux": flux}, "RA": row["RA"]}

    downloader = make(server, tmp_path, Nested)
    assert downloader.download_sector(tiny=True) is True
    catalog = downloader.create_sector_catalog(tiny=True)
    light_curve = SPOC_Downloader.processing_fn(downloader, catalog[0])
    path = tmp_path / "SPOC" / f"healpix={catalog['healpix'][0]}" / "001-of-001.hdf5"
    with h5py.File(path) as file:
        place = list(file["object_id"].asstr()).index(light_curve["object_id"])
        stored = file["flux"][place, : file["length"][place]]
    flagged = light_curve["quality"] != 0
    assert np.isnan(stored[flagged]).all()
    np.testing.assert_array_equal(stored[~flagged], light_curve["flux"][~flagged])
    assert stored.dtype == np.float32


def test_a_light_curve_without_cadences_is_a_failure(server: DemoServer, tmp_path: Path) -> None:
    class Empty(SPOC_Downloader):
        def processing_fn(self, row: Any) -> dict[str, Any]:  # noqa: ARG002
            return {"time": np.array([])}

    downloader = make(server, tmp_path, Empty)
    assert downloader.download_sector(tiny=True) is False
    (status,) = tessloom.read_status(tmp_path)
    assert {failure.detail for failure in status.failures} == {"the light curve has no cadences"}


def test_an_exception_names_the_star_and_leaves_a_dataset(
    server: DemoServer, tmp_path: Path
) -> None:
    class Fails(SPOC_Downloader):
        def processing_fn(self, row: Any) -> dict[str, Any]:
            if row["TIC_ID"] == last:
                raise ZeroDivisionError
            return super().processing_fn(row)

    downloader = make(server, tmp_path, Fails)
    catalog = downloader.create_sector_catalog(tiny=True)
    downloader.batched_download(catalog)
    last = int(catalog["TIC_ID"][catalog["healpix"] == max(catalog["healpix"])][0])
    with pytest.raises(ZeroDivisionError) as caught:
        downloader.convert_fits_to_standard_format(catalog)
    assert caught.value.__notes__ == [f"This was at the light curve of {last}."]
    assert (tmp_path / "README.md").exists()
    assert object_ids(tmp_path)
    assert not partial_files(tmp_path)


def test_a_processing_fn_needs_the_rows_of_earlier_catalogues(
    server: DemoServer, tmp_path: Path
) -> None:
    downloader = make(server, tmp_path, Normalised)
    catalog = downloader.create_sector_catalog(tiny=True)
    downloader.batched_download(catalog)
    downloader.convert_fits_to_standard_format(catalog[:10])
    with pytest.raises(RequestError, match="give it the rows of all catalogues together"):
        downloader.convert_fits_to_standard_format(catalog[10:])
    downloader.convert_fits_to_standard_format(vstack([catalog[10:], catalog[:10]]))


# Cleaning up.


def test_nothing_is_removed_unless_it_is_asked_for(server: DemoServer, tmp_path: Path) -> None:
    downloader = make(server, tmp_path)
    downloader.download_sector(tiny=True)
    before = sorted(tmp_path.rglob("*"))
    downloader.clean_up()
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_asked_for_is_removed_once_it_is_written(
    server: DemoServer, tmp_path: Path
) -> None:
    downloader = make(server, tmp_path)
    downloader.download_sector(tiny=True)
    (tmp_path / "fits" / "notes.txt").write_text("mine")
    downloader.clean_up(fits_dir=tmp_path / "fits", sh_dir=tmp_path)
    assert [path.name for path in (tmp_path / "fits").rglob("*")] == ["notes.txt"]
    assert not downloader.sh_path.exists()
    assert downloader.csv_path.exists()
    assert len(object_ids(tmp_path)) == TINY
    downloader.clean_up(csv_dir=tmp_path)
    assert not downloader.csv_path.exists()


def test_nothing_is_removed_while_something_is_missing(server: DemoServer, tmp_path: Path) -> None:
    downloader = make(server, tmp_path)
    catalog = downloader.create_sector_catalog(tiny=True)
    downloader.batched_download(catalog)
    with pytest.raises(DatasetError, match="no HDF5 of sector 23: nothing was removed"):
        downloader.clean_up(fits_dir=tmp_path / "fits", sh_dir=tmp_path)
    lost = tmp_path / "fits" / downloader.fits_url(catalog[0])[1]
    lost.unlink()
    downloader.convert_fits_to_standard_format(catalog)
    with pytest.raises(DatasetError, match=r"1 of 20 light curves .* nothing was removed"):
        downloader.clean_up(fits_dir=tmp_path / "fits", sh_dir=tmp_path)
    assert downloader.sh_path.exists()
    assert len(list((tmp_path / "fits").rglob("*.fits"))) == TINY - 1


def test_files_are_not_removed_for_a_damaged_hdf5(server: DemoServer, tmp_path: Path) -> None:
    downloader = make(server, tmp_path)
    downloader.download_sector(tiny=True)
    path = next(iter(partition_files(tmp_path).values()))
    with h5py.File(path) as file:
        chunk = file["flux"].id.get_chunk_info(0)
    body = bytearray(path.read_bytes())
    body[chunk.byte_offset + 20] ^= 1
    path.write_bytes(body)
    with pytest.raises(DatasetError, match=rf"{path} is damaged"):
        downloader.clean_up(fits_dir=tmp_path / "fits")
    assert len(list((tmp_path / "fits").rglob("*.fits"))) == TINY


def test_the_archive_itself_and_what_is_outside_is_not_removed(
    server: DemoServer, tmp_path: Path
) -> None:
    first = make(server, tmp_path / "had")
    first.download_sector(tiny=True)
    shutil.copy(first.sh_path, first.fits_dir / first.sh_url.rpartition("/")[2])
    again = make(str(first.fits_dir), tmp_path / "again", fits_dir=first.fits_dir)
    with pytest.warns(UserWarning, match="Positions are taken"):
        assert again.download_sector(tiny=True) is True
    with pytest.raises(RequestError, match="is the archive itself: nothing was removed"):
        again.clean_up(fits_dir=first.fits_dir)
    assert len(list(first.fits_dir.rglob("*.fits"))) == TINY


# The command.


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--pipeline", "tglc"], 2, "required: -s/--sector"),
        (["--pipeline", "kepler", "-s", "23"], 2, "invalid choice: 'kepler'"),
        (["--pipeline", "tglc", "-s", "77"], 2, "no sector 77"),
        (["--pipeline", "tglc", "-s", "23", "-n", "0"], 2, "must be at least 1"),
        (["--pipeline", "tglc", "-s", "23", "--features", "fluxx"], 2, "no feature 'fluxx'"),
        (["--pipeline", "tglc", "-s", "23", "--data_path", "file"], 3, "can't write"),
    ],
)
def test_a_wrong_command_ends_with_a_line_and_a_status(
    arguments: list[str], status: int, message: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    script = Path(__file__).parents[1] / "build_parent_sample.py"
    done = subprocess.run(
        [sys.executable, str(script), *arguments, "--archive", "demo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (status, False), done.stderr
    assert message in done.stderr


def test_an_archive_that_fails_is_an_error_that_keeps_what_was_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with DemoServer() as doomed:
        downloader = make(doomed, tmp_path)
        catalog = downloader.create_sector_catalog(tiny=True)
        downloader.batched_download(catalog[:5])
        paths = [downloader.fits_url(row)[1] for row in catalog]
    impatient = RetryPolicy(wait=0.001, attempts=2, down_after=10, ask_again=0.01, give_up_after=0)
    archive = replace(downloader._address, policy=impatient)  # type: ignore[type-var]
    monkeypatch.setattr(downloader, "_address", archive)
    with pytest.raises(ArchiveError, match="run the same command again later"):
        downloader.batched_download(catalog)
    assert [(tmp_path / "fits" / path).exists() for path in paths] == [True] * 5 + [False] * 15
    assert f"{doomed.address} is down" in capsys.readouterr().err
