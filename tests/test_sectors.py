"""Which sectors there are is asked of the archive, and kept for a day."""

import json
import time
from pathlib import Path

import pytest

import tessloom
from support import run
from tessloom.demo import DemoServer
from tessloom.errors import ArchiveError, RequestError, UnknownSectorError

SECTORS = {"qlp": [1, 23, 24, 40, 56, 57], "tglc": [1, 23, 24, 40], "spoc": [1, 23, 24, 40, 56]}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("TESSLOOM_CACHE", str(folder))
    return folder


@pytest.mark.parametrize("archive", ["demo", "served"])
def test_each_pipeline_has_its_own_sectors(archive: str, server: DemoServer, cache: Path) -> None:
    address = server.address if archive == "served" else archive
    assert tessloom.find_sectors(archive=address) == SECTORS
    assert tessloom.find_sectors("tglc", archive=address) == {"tglc": SECTORS["tglc"]}
    assert cache.exists() == (archive == "served")


def test_the_command_line_prints_ranges_or_json(server: DemoServer) -> None:
    text = run("sectors", "--archive", server.address)
    assert text.stdout.splitlines() == [
        "qlp: 1, 23-24, 40, 56-57",
        "tglc: 1, 23-24, 40",
        "spoc: 1, 23-24, 40, 56",
    ]
    one = run("sectors", "spoc", "--json", "--archive", server.address)
    assert json.loads(one.stdout) == {"spoc": SECTORS["spoc"]}


def test_the_environment_names_the_archive() -> None:
    assert run("sectors", "tglc", TESSLOOM_ARCHIVE="demo").stdout == "tglc: 1, 23-24, 40\n"


@pytest.mark.usefixtures("cache")
def test_the_archive_is_asked_once_a_day() -> None:
    with DemoServer() as counted:
        for _ in range(3):
            tessloom.find_sectors("qlp", archive=counted.address)
        assert sum(counted.requests.values()) == 1
        tessloom.find_sectors("qlp", archive=counted.address, refresh=True)
        assert sum(counted.requests.values()) == 2


@pytest.mark.parametrize("age", [25 * 3600, -3600])
def test_an_old_answer_is_asked_for_again(age: int, cache: Path) -> None:
    with DemoServer() as counted:
        tessloom.find_sectors("qlp", archive=counted.address)
        (path,) = cache.rglob("*.json")
        kept = json.loads(path.read_text()) | {"read_at": time.time() - age, "sectors": [9]}
        path.write_text(json.dumps(kept))
        assert tessloom.find_sectors("qlp", archive=counted.address) == {"qlp": SECTORS["qlp"]}
        assert sum(counted.requests.values()) == 2


@pytest.mark.parametrize(
    "content", ["", "[]", '{"sectors": [1]}', '{"read_at": 1e99, "sectors": 3}']
)
def test_a_damaged_answer_is_asked_for_again(content: str, server: DemoServer, cache: Path) -> None:
    tessloom.find_sectors("qlp", archive=server.address)
    (path,) = cache.rglob("*.json")
    path.write_text(content)
    assert tessloom.find_sectors("qlp", archive=server.address) == {"qlp": SECTORS["qlp"]}


def test_without_a_place_for_a_cache_all_goes_on(
    server: DemoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TESSLOOM_CACHE", str(tmp_path / "file"))
    assert tessloom.find_sectors("spoc", archive=server.address) == {"spoc": SECTORS["spoc"]}


@pytest.mark.usefixtures("cache", "impatient")
def test_an_archive_that_is_away_is_a_clear_error() -> None:
    with DemoServer() as gone:
        address = gone.address
    with pytest.raises(ArchiveError, match="Check the address and the connection"):
        tessloom.find_sectors("qlp", archive=address)


def test_a_folder_says_what_lies_in_it_now(server: DemoServer, tmp_path: Path, cache: Path) -> None:
    def build(sector: int) -> None:
        tessloom.build(
            "spoc",
            sector=sector,
            limit=2,
            archive=server.address,
            out=tmp_path / "data",
            keep_fits=tmp_path / "fits",
        )

    build(23)
    assert tessloom.find_sectors("spoc", archive=str(tmp_path / "fits")) == {"spoc": [23]}
    build(40)
    assert tessloom.find_sectors("spoc", archive=str(tmp_path / "fits")) == {"spoc": [23, 40]}
    assert not cache.exists()


def test_a_sector_that_is_not_there_is_answered_with_the_nearest(
    server: DemoServer, tmp_path: Path
) -> None:
    for sector, nearest in ((30, "nearest: 23 and 24"), (41, "nearest: 40 and 56")):
        with pytest.raises(UnknownSectorError, match=rf"no sector {sector} of .*; {nearest}; it h"):
            tessloom.build("qlp", sector=sector, archive=server.address, out=tmp_path / "d")
    with pytest.raises(RequestError, match="unknown pipeline 'kepler'"):
        tessloom.find_sectors("kepler", archive="demo")
