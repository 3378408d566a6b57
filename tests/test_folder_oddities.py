"""Folders as people keep them: links, locked directories, files that are named otherwise."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import tessloom
from support import demo_paths, fetch, file_key, written_ids
from tessloom.demo import DemoServer
from tessloom.errors import UnknownSectorError


@pytest.fixture
def three_files(server: DemoServer, tmp_path: Path) -> tuple[Path, list[int]]:
    """Return a folder with the files of three stars, and their ids."""
    folder = tmp_path / "three"
    folder.mkdir()
    paths = list(demo_paths("qlp", 23).values())[:3]
    for path in paths:
        (folder / Path(path).name).write_bytes(fetch(server.address + path))
    return folder, sorted(file_key("qlp", path)[0] for path in paths)


def test_a_link_to_itself_hides_no_file_beside_it(
    three_files: tuple[Path, list[int]], tmp_path: Path
) -> None:
    folder, ids = three_files
    # The order in a directory is the file system's: among twenty, some come before the files.
    for number in range(20):
        (folder / f"loop{number}").symlink_to(f"loop{number}")
    report = tessloom.build("qlp", sector=23, out=tmp_path / "data", archive=str(folder))
    assert report.complete
    assert written_ids(tmp_path / "data", "qlp") == ids


def test_directories_that_are_not_looked_into_are_counted_and_named(
    three_files: tuple[Path, list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = three_files
    (folder / "linked").symlink_to(tmp_path)
    (folder / "locked").mkdir()
    scandir = os.scandir

    def refuse(path: str | Path) -> Iterator[os.DirEntry[str]]:
        # Permissions mean nothing to root, as whom containers run tests.
        if "/locked" in str(path):
            raise PermissionError(str(path))
        return scandir(os.fspath(path))

    monkeypatch.setattr("tessloom.archive.folder_files.os.scandir", refuse)
    report = tessloom.build("qlp", sector=23, out=tmp_path / "data", archive=str(folder))
    assert "2 directories of the folder were not looked into" in str(report)
    assert "(such as linked)" in str(report)


def test_fits_files_under_other_names_are_counted_and_named(
    three_files: tuple[Path, list[int]], tmp_path: Path
) -> None:
    folder, ids = three_files
    first = min(folder.glob("*.fits"))
    (folder / f"{first.name}.gz").write_bytes(b"")
    shutil.copy(first, folder / f"copy of {first.name}")
    report = tessloom.build("qlp", sector=23, out=tmp_path / "data", archive=str(folder))
    assert "2 FITS files are not named as a light curve" in str(report)
    assert written_ids(tmp_path / "data", "qlp") == ids
    for path in folder.glob("hlsp*.fits"):
        path.unlink()
    with pytest.raises(UnknownSectorError, match="it has: none; 2 FITS files are not named"):
        tessloom.build("qlp", sector=23, out=tmp_path / "data", archive=str(folder))


@pytest.mark.timeout(60)
def test_a_pipe_with_a_light_curve_s_name_is_not_waited_for(
    three_files: tuple[Path, list[int]], tmp_path: Path
) -> None:
    folder, ids = three_files
    pipe = min(folder.glob("*.fits"))
    pipe.unlink()
    os.mkfifo(pipe)
    report = tessloom.build("qlp", sector=23, out=tmp_path / "data", archive=str(folder))
    assert [failure.reason for failure in report.sectors[0].failures] == ["not-fits"]
    assert written_ids(tmp_path / "data", "qlp") == [
        identifier for identifier in ids if identifier != file_key("qlp", pipe.name)[0]
    ]
