"""A folder as the archive: real files as they lie there, and copies of the archive's own tree."""

import asyncio
import shutil
from pathlib import Path

import pytest
from astropy.io import fits

import tessloom
from support import (
    assert_equals_fits,
    contents,
    demo_paths,
    fetch,
    file_key,
    read_table,
    run,
    same_rows,
    scalar_rows,
    written_ids,
)
from tessloom.archive.folder import FolderArchive
from tessloom.demo import DemoServer
from tessloom.errors import (
    FileMissingError,
    FileUnavailableError,
    RequestError,
    UnknownSectorError,
)
from tessloom.pipelines import PIPELINES

REAL = [
    ("qlp", 24),
    ("qlp", 25),
    ("qlp", 56),
    ("spoc", 1),
    ("spoc", 24),
    ("spoc", 25),
    ("spoc", 40),
    ("tglc", 1),
    ("tglc", 7),
    ("tglc", 34),
]
# Written by the tglc package in 2022, with columns that its files at MAST do not have.
PACKAGE_2022 = ("tglc", 34)


def real_files(folder: Path, name: str, sector: int) -> dict[int, Path]:
    """Return the real files of a sector by id."""
    found = {}
    for path in folder.rglob("*.fits"):
        match = PIPELINES[name].file_name.fullmatch(path.name)
        if match and int(match["sector"]) == sector:
            found[int(match["id"])] = path
    return found


@pytest.mark.parametrize(("name", "sector"), [real for real in REAL if real != PACKAGE_2022])
@pytest.mark.filterwarnings("ignore::astropy.io.fits.verify.VerifyWarning")
def test_real_files_are_built_as_they_lie_there(
    name: str, sector: int, realdata: Path, tmp_path: Path
) -> None:
    files = real_files(realdata, name, sector)
    if not files:
        pytest.skip(f"{realdata} has no file of {name} sector {sector}")
    report = tessloom.build(name, sector=sector, out=tmp_path, archive=str(realdata))
    assert report.complete
    assert not report.sectors[0].synthetic
    assert not report.sectors[0].unknown_columns
    table = read_table(tmp_path, name)
    rows = scalar_rows(table)
    assert len(rows) == len(files)
    for row in rows:
        (path,) = (
            path for identifier, path in files.items() if identifier == row[PIPELINES[name].id_name]
        )
        assert_equals_fits(name, row, table, path.read_bytes())


def test_a_real_file_of_the_tglc_package_of_2022_keeps_its_known_columns_and_names_the_others(
    realdata: Path, tmp_path: Path
) -> None:
    name, sector = PACKAGE_2022
    files = real_files(realdata, name, sector)
    if not files:
        pytest.skip(f"{realdata} has no file of {name} sector {sector}")
    report = tessloom.build(name, sector=sector, out=tmp_path, archive=str(realdata))
    assert report.complete
    ((identifier, path),) = files.items()
    with fits.open(path) as hdus:
        records = hdus[1].data
        known = {source.upper() for column in PIPELINES[name].columns for source in column.fits}
        others = {column for column in records.names if column.upper() not in known}
        assert set(report.sectors[0].unknown_columns) == others
        (star,) = scalar_rows(read_table(tmp_path, name))
        times = read_table(tmp_path, name)["lightcurve"][0]["time"].values.to_numpy()
        assert times.tobytes() == records["time"].astype("<f8").tobytes()
    assert identifier in (star["gaia_dr3_id"], star["gaia_dr2_id"])


def test_the_command_line_builds_real_files(realdata: Path, tmp_path: Path) -> None:
    done = run(*("build", "qlp", "--sector", 24, "--archive", realdata, "--out", tmp_path / "x"))
    assert done.returncode == 0, done.stderr
    assert "qlp sector 24: 2 of 2 light curves" in done.stdout
    assert "synthetic" not in done.stdout
    assert "Synthetic" not in (tmp_path / "x" / "README.md").read_text("utf-8")


def test_real_eras_of_qlp_open_as_one_table(realdata: Path, tmp_path: Path) -> None:
    tessloom.build("qlp", sector=[24, 25, 56], out=tmp_path, archive=str(realdata))
    table = read_table(tmp_path, "qlp")
    assert sorted(table["sector"].to_pylist()) == [24, 24, 25, 56]
    assert all(
        len({len(values) for values in light_curve.values()}) == 1
        for light_curve in table["lightcurve"].to_pylist()
    )


def test_a_folder_says_which_sectors_it_has(realdata: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownSectorError, match=r"sector 3 .*nearest: 24 and 25; it has: 24-25"):
        tessloom.build("qlp", sector=3, out=tmp_path, archive=str(realdata))


@pytest.fixture(scope="module")
def mirrored(
    server: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, Path]]:
    """Return, for each pipeline, a copy of a part of the archive, and what HTTP gives of it."""
    copies = {}
    for name, pipeline in PIPELINES.items():
        folder = tmp_path_factory.mktemp(name)
        script, target_list = pipeline.script.format(sector=23), pipeline.target_list
        for path in [
            script,
            target_list.format(sector=23),
            *list(demo_paths(name, 23).values())[:9],
        ]:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(fetch(server.address + path))
        out = tmp_path_factory.mktemp(f"{name}-http")
        tessloom.build(name, sector=23, out=out, archive=server.address, limit=9)
        copies[name] = (folder, out)
    return copies


@pytest.mark.parametrize("name", PIPELINES)
def test_a_copy_of_the_archive_gives_what_the_archive_gives(
    name: str, mirrored: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    folder, over_http = mirrored[name]
    report = tessloom.build(name, sector=23, out=tmp_path, archive=str(folder), limit=9)
    assert report.complete
    assert contents(tmp_path) == contents(over_http)


@pytest.mark.parametrize("name", PIPELINES)
def test_the_collection_s_own_directory_is_enough(
    name: str, mirrored: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    folder, over_http = mirrored[name]
    inside = folder / PIPELINES[name].hlsp
    report = tessloom.build(name, sector=23, out=tmp_path, archive=str(inside), limit=9)
    assert report.complete
    assert contents(tmp_path) == contents(over_http)


@pytest.mark.parametrize("name", PIPELINES)
def test_without_script_and_list_the_files_and_their_headers_tell(
    name: str, mirrored: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    folder, over_http = mirrored[name]
    scattered = tmp_path / "scattered"
    for number, path in enumerate(sorted(folder.rglob("*.fits"))):
        place = scattered / ("here", "there/and there", ".")[number % 3]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    (scattered / "notes.txt").write_text("not a light curve", "utf-8")
    report = tessloom.build(name, sector=23, out=tmp_path / "data", archive=str(scattered))
    assert report.complete
    assert report.sectors[0].asked == 9
    assert same_rows(read_table(tmp_path / "data", name), read_table(over_http, name))


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("place", [".", "here", "one for each"])
def test_files_lie_anywhere_beside_their_script(
    name: str, place: str, mirrored: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    folder, over_http = mirrored[name]
    scattered = tmp_path / "scattered"
    for number, path in enumerate(sorted(folder.rglob("*.fits"))):
        into = scattered / (str(number) if place == "one for each" else place)
        into.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, into)
    for listing in (PIPELINES[name].script, PIPELINES[name].target_list):
        shutil.copy(folder / listing.format(sector=23), scattered)
    report = tessloom.build(
        name, sector=23, out=tmp_path / "data", archive=str(scattered), limit=10
    )
    lost = [(failure.id, failure.reason) for failure in report.sectors[0].failures]
    assert lost == [(list(demo_paths(name, 23))[9][0], "missing")]
    assert same_rows(read_table(tmp_path / "data", name), read_table(over_http, name))


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("layout", ["archive", "collection", "flat"])
def test_only_names_of_files_in_unusual_places_are_kept_in_memory(
    name: str, layout: str, tmp_path: Path
) -> None:
    places = list(demo_paths(name, 23).values())[:3]
    usual, unusual, missing = places
    where = {"archive": usual, "collection": usual.partition("/")[2], "flat": Path(usual).name}
    for path in (where[layout], f"elsewhere/{Path(unusual).name}"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path, "utf-8")
    archive = FolderArchive(tmp_path, {})
    with pytest.raises(FileMissingError, match="is not in the folder"):
        asyncio.run(archive.fetch(missing, bytes))
    assert asyncio.run(archive.fetch(usual, bytes)) == where[layout].encode()
    assert asyncio.run(archive.fetch(unusual, bytes)).startswith(b"elsewhere/")
    assert list(archive._scattered) == [Path(unusual).name]


def test_the_folder_is_not_searched_for_what_is_known_to_have_failed(tmp_path: Path) -> None:
    path = next(iter(demo_paths("qlp", 23).values()))
    known = FileUnavailableError("503")
    archive = FolderArchive(tmp_path, {path: known})
    with pytest.raises(FileUnavailableError, match="503"):
        asyncio.run(archive.fetch(path, bytes))
    assert "_scattered" not in vars(archive)


def test_without_a_list_the_script_still_tells_what_there_should_be(
    mirrored: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(mirrored["qlp"][0], folder)
    shutil.rmtree(folder / "qlp" / "target_lists")
    report = tessloom.build("qlp", sector=23, out=tmp_path / "data", archive=str(folder), limit=12)
    keys = list(demo_paths("qlp", 23))[:12]
    assert written_ids(tmp_path / "data", "qlp") == sorted(key[0] for key in keys[:9])
    lost = {failure.id: failure.reason for failure in report.sectors[0].failures}
    assert lost == {key[0]: "missing" for key in keys[9:]}


def test_files_that_are_added_to_a_folder_are_added_to_the_dataset(
    server: DemoServer, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    paths = list(demo_paths("spoc", 23).values())[:6]
    ids = [file_key("spoc", path)[0] for path in paths]
    for count in (3, 6):
        for path in paths[:count]:
            (folder / Path(path).name).write_bytes(fetch(server.address + path))
        report = tessloom.build("spoc", sector=23, out=tmp_path / "data", archive=str(folder))
        assert report.complete
        assert written_ids(tmp_path / "data", "spoc") == sorted(ids[:count])
    assert tessloom.build("spoc", sector=23, out=tmp_path / "data", archive=str(folder)).built == 0


def test_of_several_versions_of_a_file_the_newest_is_taken(
    server: DemoServer, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    first, second = list(demo_paths("qlp", 23).values())[:2]
    newest = Path(first).name.replace("_v01_", "_v02_")
    (folder / newest).write_bytes(fetch(server.address + first))
    # The old version is of another star, so that it would be noticed.
    (folder / Path(first).name).write_bytes(fetch(server.address + second))
    report = tessloom.build("qlp", sector=23, out=tmp_path / "data", archive=str(folder))
    assert report.complete
    assert "have a newer version" in str(report)
    assert written_ids(tmp_path / "data", "qlp") == [file_key("qlp", first)[0]]


def test_an_archive_may_be_a_path(realdata: Path, tmp_path: Path) -> None:
    report = tessloom.build("qlp", sector=24, out=tmp_path / "out", archive=realdata)
    assert report.complete
    with pytest.raises(RequestError, match="the archive is 7"):
        tessloom.build("qlp", sector=24, out=tmp_path / "out", archive=7)  # type: ignore[arg-type]


def test_an_empty_folder_and_none_at_all_are_clear_errors(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnknownSectorError, match=r"has no sector 23 of .*; it has: none"):
        tessloom.build("qlp", sector=23, out=tmp_path / "data", archive=str(tmp_path / "empty"))
    with pytest.raises(RequestError, match="a folder that exists"):
        tessloom.build("qlp", sector=23, out=tmp_path / "data", archive=str(tmp_path / "none"))
