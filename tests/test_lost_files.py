"""Files of a dataset that are lost, forbidden, or of a build that was stopped: never in silence."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import tessloom
from support import COMMAND, partition_files, read_table, run, shared_ids
from tessloom.dataset.receipt import read_receipt
from tessloom.demo import DemoServer
from tessloom.errors import DatasetError, NotInDatasetError
from tessloom.reading.contents import read_contents

# Root may read everything, unless it is without these.
AS_ANYBODY = [] if os.geteuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
WRITTEN_LAST = ("catalog/hats.properties", "catalog/properties", "catalog/partition_info.csv")


@pytest.fixture
def out(dataset: Path, tmp_path: Path) -> Path:
    """Return a dataset to lose files of."""
    return Path(shutil.copytree(dataset, tmp_path / "copy"))


@pytest.fixture
def stopped(server: DemoServer, tmp_path: Path) -> Path:
    """Return a dataset of sector 23 whose build of sector 24 was stopped before its end."""
    out, kept = tmp_path / "out", tmp_path / "kept"
    tessloom.build("qlp", sector=23, out=out, archive=server.address, limit=5)
    shutil.copytree(out / "qlp", kept)
    tessloom.build("qlp", sector=24, out=out, archive=server.address, limit=5)
    shutil.copytree(kept, out / "qlp", dirs_exist_ok=True)  # with its times
    return out


def ids(out: Path, sector: int) -> set[int]:
    return {*read_table(out, "qlp", sector)["tic_id"].to_pylist()}


def file_of(out: Path, star: int, sector: int) -> Path:
    files = [
        path for path in partition_files(out).values() if path.name == f"s{sector:04d}.parquet"
    ]
    (path,) = [p for p in files if "qlp" in p.parts and star in tic_ids(p)]
    return path


def tic_ids(path: Path) -> list[int]:
    found: list[int] = pq.read_table(path, columns=["tic_id"])["tic_id"].to_pylist()
    return found


def as_anybody(*command: object) -> subprocess.CompletedProcess[str]:
    if AS_ANYBODY and shutil.which(AS_ANYBODY[0]) is None:
        pytest.skip("root may read everything, and there is no setpriv")
    return subprocess.run(
        [*AS_ANYBODY, *map(str, command)], capture_output=True, text=True, check=False, timeout=120
    )


def reads(out: Path, expression: str) -> str:
    """Return what comes of an expression of the dataset `ds`, for somebody without rights."""
    script = (
        "import tessloom\nfrom tessloom.errors import DatasetError\n"
        f"try:\n ds = tessloom.open({str(out)!r}); print({expression})\n"
        "except DatasetError as error: print(error)"
    )
    return as_anybody(sys.executable, "-c", script).stdout.strip()


@pytest.mark.parametrize("expression", ["len(ds['qlp'].select())", "ds['qlp'].sectors"])
def test_a_directory_without_the_right_to_read_it_is_an_error(out: Path, expression: str) -> None:
    forbidden = out / "qlp" / "catalog" / "dataset" / "Norder=5"
    forbidden.chmod(0)
    try:
        assert reads(out, expression) == f"{forbidden} can't be read: permission denied"
        for command in ("info", "status", "verify"):
            done = as_anybody(*COMMAND, command, out)
            assert done.returncode == 3
            assert "can't be read: permission denied" in done.stderr
    finally:
        forbidden.chmod(0o755)


def test_a_file_without_the_right_to_read_it_is_not_to_be_removed(out: Path) -> None:
    star = shared_ids("qlp")[0]
    path = file_of(out, star, 23)
    path.chmod(0)
    said = reads(out, f"ds['qlp'].light_curve(tic={star})")
    assert said == f"{path} can't be read: permission denied"
    done = as_anybody(*COMMAND, "verify", out)
    assert f"{path} can't be read. Permission denied." in done.stdout
    assert done.returncode == 1


def test_a_star_whose_file_is_lost_is_an_error_and_not_absent(out: Path) -> None:
    star = (ids(out, 23) - ids(out, 24)).pop()
    path = file_of(out, star, 23)
    path.unlink()
    choices: list[dict[str, Any]] = [{}, {"sector": 23}]
    for options in choices:
        with pytest.raises(DatasetError, match=rf"tic_id {star} is in .*: run the same build"):
            tessloom.open(out)["qlp"].light_curve(tic=star, **options)
        for missing in ("error", "skip"):
            with pytest.raises(DatasetError, match=rf"tic_id {star} is in .*: run the same build"):
                list(tessloom.open(out)["qlp"].light_curves(tic=[star], missing=missing, **options))
    with pytest.raises(DatasetError, match="run the same build again"):
        tessloom.open(out).light_curves(tic=star)


def test_a_file_that_is_lost_while_it_is_read_is_not_called_damaged(out: Path) -> None:
    lost = next(iter(partition_files(out).values()))
    lost.unlink()
    with pytest.raises(DatasetError, match=rf"^{lost} is missing: run the same build again, "):
        read_receipt(lost)


@pytest.mark.parametrize(
    "lost",
    [
        "collection.properties",
        "catalog/partition_info.csv",
        "catalog/hats.properties",
        "catalog/dataset/_common_metadata",
        "index_tic_id",
        "listing/s0024.parquet",
    ],
)
def test_what_is_lost_beside_the_light_curves_is_told_and_comes_back(
    lost: str, server: DemoServer, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def build() -> tessloom.Report:
        return tessloom.build("qlp", sector=[23, 24], out=out, archive=server.address, limit=3)

    build()
    path = out / "qlp" / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    for command in ("status", "info"):
        done = run(command, out)
        assert lost in done.stdout
        assert "missing" in done.stdout
        assert "run the same build again" in done.stdout
        assert done.returncode == (command == "status")
    assert not all(status.complete for status in tessloom.read_status(out))
    assert run("verify", out).returncode == 1
    assert list(tessloom.open(out)) == ["qlp"]
    assert len(tessloom.open(out)["qlp"].select()) == 6
    assert build().built == 0
    assert run("status", out).returncode == 0
    assert run("verify", out).returncode == 0


def test_a_pipeline_without_an_index_is_not_left_out_of_a_match(out: Path) -> None:
    shutil.rmtree(out / "qlp" / "index_tic_id")
    (out / "qlp" / "catalog" / "partition_info.csv").unlink()
    opened = tessloom.open(out)
    assert "qlp" in opened
    for call in (opened.match, lambda: opened["qlp"].light_curve(tic=1)):
        with pytest.raises(DatasetError, match=r"index_tic_id.* is missing: run the same build"):
            call()


def test_a_star_of_a_sector_that_is_not_finished_is_found_without_the_index(
    stopped: Path,
) -> None:
    star = (ids(stopped, 24) - ids(stopped, 23)).pop()
    opened = tessloom.open(stopped)
    assert opened["qlp"].light_curve(tic=star).sectors == (24,)
    assert opened["qlp"].light_curve(tic=star, sector=24).sectors == (24,)
    (one,) = opened["qlp"].light_curves(tic=[star])
    assert one.sectors == (24,)
    assert run("show", stopped, star).returncode == 0
    with pytest.raises(NotInDatasetError, match="in sector 23"):
        opened["qlp"].light_curve(tic=star, sector=23)


def test_a_star_that_is_still_to_be_built_is_said_to_be(stopped: Path) -> None:
    star = (ids(stopped, 24) - ids(stopped, 23)).pop()
    file_of(stopped, star, 24).unlink()
    opened = tessloom.open(stopped)
    words = "yet, because sector 24 is not finished: run the same build again"
    for call in (opened["qlp"].light_curve, opened.light_curves):
        with pytest.raises(NotInDatasetError, match=words):
            call(tic=star)
        with pytest.raises(NotInDatasetError, match=r"(?i)no light curve of (tic|tic_id) 99"):
            call(tic=99)


def test_status_and_info_agree_on_a_build_that_was_stopped(stopped: Path) -> None:
    words = "qlp: the catalogue and the index know 5 of 10 light curves"
    for command in ("status", "info"):
        assert words in run(command, stopped).stdout
    assert run("status", stopped).returncode == 1
    (found,) = read_contents(stopped)
    assert [sector.light_curves for sector in found.sectors] == [5, 5]
    assert [status.written for status in tessloom.read_status(stopped)] == [5, 5]
    next(iter(partition_files(stopped).values())).unlink()
    (found,) = read_contents(stopped)
    assert found.light_curves == sum(status.written for status in tessloom.read_status(stopped))


def test_a_first_build_that_was_stopped_opens_and_says_what_it_lacks(
    server: DemoServer, tmp_path: Path
) -> None:
    tessloom.build("qlp", sector=23, out=tmp_path, archive=server.address, limit=5)
    for name in ("index_tic_id", "catalog/dataset/_common_metadata", "collection.properties"):
        path = tmp_path / "qlp" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in WRITTEN_LAST:
        (tmp_path / "qlp" / name).unlink()
    for command in ("status", "info"):
        assert (
            "the first build was stopped before it wrote the index" in run(command, tmp_path).stdout
        )
    opened = tessloom.open(tmp_path)
    assert len(opened["qlp"].select()) == 5
    with pytest.raises(DatasetError, match="is missing: run the same build again"):
        opened["qlp"].light_curve(tic=1)
