"""`tessloom info`: what a dataset holds, told without reading its light curves."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import tessloom
from support import NAMES, partition_files, read_table, run, shared_ids
from tessloom.demo import DemoServer
from tessloom.pipelines import PIPELINES
from tessloom.reading import contents
from tessloom.reading.contents import PipelineContents, describe, read_contents


@pytest.fixture(scope="module")
def hdf5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an HDF5 dataset in which one pixel has files of two sectors."""
    out = tmp_path_factory.mktemp("info") / "hdf5"
    ids = shared_ids("qlp")
    tessloom.build("qlp", sector=[23, 24], out=out, archive="demo", targets=ids, format="hdf5")
    return out


def cells(found: list[PipelineContents]) -> Iterator[list[str]]:
    lines = list(describe(found))
    return (line.split() for line in lines if line.split()[1] in {"23", "24", "56", "all"})


@pytest.mark.parametrize("few", [True, False])
def test_each_sector_has_its_numbers(
    few: bool, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not few:
        monkeypatch.setattr(contents, "_FEW", 0)
    for found, name in zip(read_contents(dataset), NAMES, strict=True):
        assert found.light_curves == len(read_table(dataset, name))
        assert found.synthetic
        assert not found.unpublished
        files = [p for k, p in partition_files(dataset).items() if k.startswith(f"{name}/")]
        assert (found.files, found.bytes) == (len(files), sum(p.stat().st_size for p in files))
        for sector in found.sectors:
            table = read_table(dataset, name, sector.sector)
            own = [path for path in files if path.name == f"s{sector.sector:04d}.parquet"]
            assert sector.light_curves == sector.targets == len(table)
            assert (sector.files, sector.bytes) == (len(own), sum(p.stat().st_size for p in own))
            if few:
                ids = {*table[PIPELINES[name].id_name].to_pylist()}
                assert sector.stars == len(ids)
        if few:
            ids = {*read_table(dataset, name)[PIPELINES[name].id_name].to_pylist()}
            assert found.stars == len(ids)


def test_each_sector_of_hdf5_has_its_files(hdf5: Path) -> None:
    (found,) = read_contents(hdf5)
    assert [sector.light_curves for sector in found.sectors] == [3, 3]
    files = partition_files(hdf5)
    assert sum(sector.files or 0 for sector in found.sectors) == found.files == len(files)
    assert sum(sector.bytes or 0 for sector in found.sectors) == found.bytes
    assert all(row[5] != "-" for row in cells([found]))


def test_what_is_not_known_without_opening_many_files_is_a_dash(
    hdf5: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "_FEW", 0)
    found = read_contents(hdf5)
    assert [row[3:6] for row in cells(found)] == [["-"] * 3] * 2 + [["-", "-", str(found[0].files)]]
    assert any("tessloom status" in line for line in describe(found))


def test_many_files_that_are_newer_than_what_was_counted_are_not_counted(
    server: DemoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tessloom.build("qlp", sector=23, out=tmp_path, archive=server.address, limit=3)
    monkeypatch.setattr(contents, "_FEW", 0)
    assert read_contents(tmp_path)[0].light_curves == 3
    next(iter(partition_files(tmp_path).values())).touch()
    assert read_contents(tmp_path)[0].light_curves is None


def test_the_json_has_the_same_numbers(dataset: Path) -> None:
    found = json.loads(run("info", dataset, "--json").stdout)
    assert found == [each.to_dict() for each in read_contents(dataset)]


@pytest.mark.parametrize("place", ["nothing", "empty", "file"])
def test_where_there_is_no_dataset_it_ends_with_2(place: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("no dataset")
    done = run("info", tmp_path / place)
    assert done.returncode == 2
    assert done.stderr == f"tessloom: there is no tessloom dataset in {tmp_path / place}\n"
