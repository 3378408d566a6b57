"""What a dataset is as a mapping, and the stars that its pipelines share."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import tessloom
from support import NAMES, partition_files, read_table, shared_ids
from tessloom.errors import DatasetError, NotInDatasetError, RequestError


@pytest.fixture(scope="module")
def opened(dataset: Path) -> tessloom.Dataset:
    return tessloom.open(dataset)


@pytest.fixture
def copied(dataset: Path, tmp_path: Path) -> Path:
    return shutil.copytree(dataset, tmp_path / "copied")


def ids_of(dataset: Path, name: str, *sectors: int) -> set[int]:
    """Return the TIC ids that a pipeline has, as pyarrow finds them; of some sectors or of all."""
    table = read_table(dataset, name)
    rows = zip(table["tic_id"].to_pylist(), table["sector"].to_pylist(), strict=True)
    return {tic for tic, sector in rows if tic is not None and (sector in sectors or not sectors)}


def test_a_dataset_is_a_mapping_of_the_pipelines_that_it_has(copied: Path) -> None:
    shutil.rmtree(copied / "spoc")
    ds = tessloom.open(copied)
    assert list(ds) == ["qlp", "tglc"]
    for present in ("qlp", "QLP"):
        assert present in ds
    for absent in ("spoc", "eleanor", 0, None):
        assert absent not in ds
        assert ds.get(absent) is None  # type: ignore[arg-type]
    for name, error in (("spoc", NotInDatasetError), ("eleanor", RequestError)):
        with pytest.raises(error):
            ds[name]
        with pytest.raises(KeyError):
            ds[name]


def test_what_a_dataset_lacks_is_told_without_quotes_around_it(opened: tessloom.Dataset) -> None:
    with pytest.raises(KeyError) as caught:
        opened["spoc"].light_curve(tic=1)
    assert str(caught.value).endswith("from TESS-SPOC")
    assert '"' not in str(caught.value)


def test_a_pipeline_is_also_known_by_the_archive_s_name(opened: tessloom.Dataset) -> None:
    for name in ("tess-spoc", "TESS-SPOC", "SPOC"):
        assert opened[name] is opened["spoc"]


def test_a_match_has_its_stars_and_no_others(dataset: Path, opened: tessloom.Dataset) -> None:
    match = opened.match()
    shared = set.intersection(*(ids_of(dataset, name) for name in NAMES))
    others = set.union(*(ids_of(dataset, name) for name in NAMES)) - shared
    star = min(shared)
    assert all(tic in match for tic in shared)
    assert others
    assert not any(tic in match for tic in others)
    names: list[Any] = [star, np.int64(star), match.tic_ids[0], float(star), f"TIC {star}"]
    for found in names:
        assert found in match
        assert list(match[found]) == [*NAMES]
    for absent in (min(others), 12345, -1, 2**63, 2**80, None, "a star"):
        assert absent not in match
        assert match.get(absent) is None  # type: ignore[arg-type]
        with pytest.raises(NotInDatasetError, match="is none of the"):
            match[absent]  # type: ignore[index]


def test_sectors_may_be_given_as_any_library_has_them(opened: tessloom.Dataset) -> None:
    star = shared_ids("qlp")[0]
    given: list[Any] = [np.int64(23), np.array(23), "23", iter([23])]
    for sector in given:
        assert opened.light_curves(tic=star, sector=sector)["qlp"].sectors == (23,)
    assert len(opened.match(sector=np.array(23))) == len(opened.match(sector=23))
    with pytest.raises(NotInDatasetError, match="in sector 99"):
        opened.light_curves(tic=star, sector=given[0] + 76)


def test_a_match_is_of_the_pipelines_that_are_named(
    dataset: Path, opened: tessloom.Dataset
) -> None:
    match = opened.match(pipelines=["qlp", "TESS-SPOC"])
    expected = ids_of(dataset, "qlp") & ids_of(dataset, "spoc")
    assert [*match] == sorted(expected)
    assert len(match) > len(opened.match())
    assert list(match[min(expected)]) == ["qlp", "spoc"]
    assert repr(match) == f"<{len(expected):,} stars that are in qlp, spoc>"


@pytest.mark.parametrize("sectors", [[23], [24], [23, 24]])
def test_a_match_is_of_the_sectors_that_are_named(
    sectors: list[int], dataset: Path, opened: tessloom.Dataset
) -> None:
    expected = set.intersection(*(ids_of(dataset, name, *sectors) for name in NAMES))
    match = opened.match(sector=iter(sectors))
    assert [*match] == sorted(expected)
    for curves in match.values():
        assert all(set(curve.sectors) <= set(sectors) for curve in curves.values())
        assert list(curves) == [*NAMES]


def test_what_can_t_be_matched_is_an_error(opened: tessloom.Dataset) -> None:
    with pytest.raises(RequestError, match="matched by tic_id, not by 'object_id'"):
        opened.match("object_id")
    with pytest.raises(RequestError, match="at least one pipeline"):
        opened.match(pipelines=[])
    with pytest.raises(RequestError, match="unknown pipeline 'kepler'"):
        opened.match(pipelines=["kepler"])
    with pytest.raises(NotInDatasetError, match=r"nothing of sector 56 .*TGLC.* it has 23, 24"):
        opened.match(sector=56)


def test_a_match_is_a_table_of_ids(opened: tessloom.Dataset) -> None:
    match = opened.match()
    assert match.to_arrow()["tic_id"].to_pylist() == [*match]
    assert match.to_pandas()["tic_id"].tolist() == [*match]
    assert match.to_polars()["tic_id"].to_list() == [*match]


@pytest.mark.parametrize("gone", [["spoc"], [*NAMES]])
def test_a_star_of_the_index_whose_files_are_gone_is_an_error(
    gone: list[str], copied: Path
) -> None:
    match = tessloom.open(copied).match()
    for key, path in partition_files(copied).items():
        if key.split("/")[0] in gone:
            path.unlink()
    with pytest.raises(DatasetError, match=rf"is in .*{gone[0]}.* no file has it: run the same"):
        match[match.tic_ids[0].as_py()]


def test_a_gaia_id_finds_the_star_in_pipelines_that_have_none(opened: tessloom.Dataset) -> None:
    tic = next(iter(opened.match()))
    by_tic = opened.light_curves(tic=tic)
    gaia = by_tic["tglc"].header["gaia_dr3_id"]
    by_gaia = opened.light_curves(gaia=gaia)
    assert list(by_gaia) == [*NAMES]
    for name, curve in by_gaia.items():
        assert curve.sectors == by_tic[name].sectors
        np.testing.assert_array_equal(curve.flux, by_tic[name].flux)
    assert list(opened.light_curves(gaia=gaia, pipelines="spoc")) == ["spoc"]
    with pytest.raises(NotInDatasetError, match="no light curve of Gaia DR3 5"):
        opened.light_curves(gaia=5)
    with pytest.raises(RequestError, match="give one of"):
        opened.light_curves(gaia=gaia, tic=tic)
    with pytest.raises(RequestError, match="give one of"):
        opened.light_curves()


def test_a_gaia_id_that_some_files_lack_finds_no_less_than_the_tic_id(copied: Path) -> None:
    """Files that the tglc package wrote in 2022 name Gaia DR2."""
    gaia = shared_ids("tglc")[-1]
    ds = tessloom.open(copied)
    tic = ds["tglc"].light_curve(gaia=gaia).header["tic_id"]
    for key, path in partition_files(copied).items():
        if key.startswith("tglc/") and path.stem == "s0023":
            table = pq.read_table(path, partitioning=None)
            at = table.schema.get_field_index("gaia_dr3_id")
            ids = [None if known == gaia else known for known in table["gaia_dr3_id"].to_pylist()]
            field = table.schema.field(at)
            pq.write_table(table.set_column(at, field, [ids]), path)
    assert ds["tglc"].light_curve(gaia=gaia).sectors == (24,)
    assert ds["tglc"].light_curve(tic=tic).sectors == (23, 24)
    assert ds.light_curves(gaia=gaia)["tglc"].sectors == (23, 24)


def test_a_star_that_is_not_in_a_sector_is_an_error_that_names_those_it_is_in(
    opened: tessloom.Dataset,
) -> None:
    star = shared_ids("spoc")[-1]
    with pytest.raises(NotInDatasetError, match=f"TIC {star} in sector 99; it has sectors 23, 24"):
        opened.light_curves(tic=star, sector=99)
    with pytest.raises(NotInDatasetError, match=r"TIC 1 in sector 23, 24$"):
        opened.light_curves(tic=1, sector=[23, 24])


def test_a_place_that_is_no_dataset_is_told_from_one_inside(copied: Path, tmp_path: Path) -> None:
    for inside in ("tglc", "tglc/catalog", "README.md"):
        with pytest.raises(RequestError, match=rf"{inside} lies inside the dataset .*: open "):
            tessloom.open(copied / inside)
    (tmp_path / "notes.txt").write_text("stars")
    with pytest.raises(RequestError, match=r"notes.txt is a file; a dataset is a directory"):
        tessloom.open(tmp_path / "notes.txt")
    with pytest.raises(RequestError, match=r"tessloom build \.\.\. --out .*nowhere makes one"):
        tessloom.open(tmp_path / "nowhere")
