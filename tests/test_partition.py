"""A partition's file: the same bytes in whatever order answers come, whole or not there."""

import itertools
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from cdshealpix.nested import healpix_to_lonlat

from tessloom.archive.targets import target_table
from tessloom.building import partition as partition_module
from tessloom.building.partition import PartitionBuilder, Result
from tessloom.building.plan import Partition, make_partitions
from tessloom.dataset.layout import partition_path
from tessloom.dataset.receipt import Failure, read_receipt
from tessloom.dataset.rows import Row, RowFormat
from tessloom.demo.products import PRODUCTS
from tessloom.demo.sectors import SECTORS
from tessloom.demo.sky import Target, stars
from tessloom.errors import DatasetError
from tessloom.fits import Decoder
from tessloom.healpix import coarser, healpix_29
from tessloom.pipelines import QLP

COUNT = 12
FORMAT = RowFormat(QLP)


def make_partition(ra: np.ndarray, dec: np.ndarray) -> Partition:
    """Return the one partition of stars 1, 2, … at positions of the target list."""
    count = len(ra)
    table = target_table(
        {
            "id": np.arange(1, count + 1),
            "camera": [0] * count,
            "ccd": [0] * count,
            "version": ["v01"] * count,
            "ra": ra,
            "dec": dec,
            "healpix_29": healpix_29(ra, dec),
        },
        count,
    )
    (partition,) = make_partitions(QLP, 23, table)
    return partition


def make_row(identifier: int, ra: float, dec: float) -> Row:
    """Return the row of a file whose header has this position."""
    star = stars()[identifier]._replace(tic_id=identifier, ra=ra, dec=dec)
    body = PRODUCTS["qlp"].file(SECTORS[23], Target(star, 1, 1, 9.0, 9.0))
    return FORMAT.row(Decoder(FORMAT.wanted).decode(body), 23, identifier, 0, 0)


@pytest.fixture(scope="module")
def partition() -> Partition:
    # Around the centre of a pixel, which is 1.8 degrees wide at order 5.
    centre = healpix_to_lonlat(np.array([2000]), QLP.healpix_order)
    offsets = np.random.default_rng(5).uniform(-0.3, 0.3, (2, COUNT))
    ra, dec = (value.deg + offset for value, offset in zip(centre, offsets, strict=True))
    return make_partition(ra, dec)


@pytest.fixture(scope="module")
def outcomes(partition: Partition) -> list[Row | Failure]:
    """One outcome a target in the order of the partition: rows, and two failures."""
    made: list[Row | Failure] = []
    for target in partition.targets.to_pylist():
        if target["id"] in (4, 9):
            made.append(failure(target["id"]))
        else:
            made.append(make_row(target["id"], target["ra"], target["dec"]))
    return made


def failure(identifier: int) -> Failure:
    return Failure(id=identifier, camera=0, ccd=0, path="p", reason="missing", detail="d")


def write(
    partition: Partition, outcomes: list[Row | Failure], root: Path, order: list[int] | None = None
) -> Result:
    builder = PartitionBuilder(partition, FORMAT, root)
    for slot in order or range(len(outcomes)):
        for group in builder.put(slot, outcomes[slot]):
            builder.write(group)
    assert builder.complete
    return builder.finish()


def path_of(partition: Partition, root: Path) -> Path:
    return partition_path(root, QLP, partition.pixel, 23)


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_answers_does_not_change_the_bytes(
    partition: Partition,
    outcomes: list[Row | Failure],
    tmp_path: Path,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partition_module, "MOST_ROWS", 3)
    order = list(range(COUNT))
    random.Random(seed).shuffle(order)  # noqa: S311
    write(partition, outcomes, tmp_path / "in_order")
    write(partition, outcomes, tmp_path / "shuffled", order)
    one, other = (path_of(partition, tmp_path / name) for name in ("in_order", "shuffled"))
    assert one.read_bytes() == other.read_bytes()


def test_row_groups_hold_no_more_than_their_number_of_light_curves(
    partition: Partition,
    outcomes: list[Row | Failure],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partition_module, "MOST_ROWS", 4)
    write(partition, outcomes, tmp_path)
    metadata = pq.read_metadata(path_of(partition, tmp_path))
    groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert groups == [4, 4, 2]


def test_row_groups_hold_no_more_than_their_number_of_bytes(
    partition: Partition,
    outcomes: list[Row | Failure],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partition_module, "MOST_BYTES", 250_000)
    write(partition, outcomes, tmp_path)
    with pq.ParquetFile(path_of(partition, tmp_path)) as file:
        groups = [file.read_row_group(i) for i in range(file.num_row_groups)]
    assert len(groups) > 2
    assert all(group.nbytes < 260_000 for group in groups)


def test_the_receipt_says_what_was_asked_for_and_what_failed(
    partition: Partition, outcomes: list[Row | Failure], tmp_path: Path
) -> None:
    result = write(partition, outcomes, tmp_path)
    receipt = read_receipt(path_of(partition, tmp_path))
    assert receipt == result.receipt
    assert (receipt.asked, receipt.written, receipt.synthetic) == (COUNT, COUNT - 2, True)
    assert sorted(failure.id for failure in receipt.failures) == [4, 9]
    assert receipt.digest == partition.digest


@pytest.mark.parametrize("most_rows", [3, 512])
def test_rows_stay_sorted_where_header_and_list_disagree_and_the_receipt_counts_it(
    partition: Partition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_rows: int
) -> None:
    monkeypatch.setattr(partition_module, "MOST_ROWS", most_rows)
    listed = partition.targets.to_pylist()
    # Two neighbours have changed places, and one star lies beyond the pixel by its header.
    swapped = [dict(target) for target in listed]
    for name in ("ra", "dec"):
        swapped[1][name], swapped[9][name] = listed[9][name], listed[1][name]
    swapped[5]["dec"] += 5
    rows: list[Row | Failure] = [make_row(t["id"], t["ra"], t["dec"]) for t in swapped]
    receipt = write(partition, rows, tmp_path).receipt
    with pq.ParquetFile(path_of(partition, tmp_path)) as file:
        table = file.read()
    healpix = table["_healpix_29"].to_numpy()
    assert (np.diff(healpix) >= 0).all()
    assert set(coarser(healpix, QLP.healpix_order)) == {partition.pixel}
    by_id = {row["tic_id"]: row for row in table.drop_columns(["lightcurve"]).to_pylist()}
    for target in swapped:
        assert (by_id[target["id"]]["ra"], by_id[target["id"]]["dec"]) == (
            target["ra"],
            target["dec"],
        )
    assert receipt.moved == (1 if most_rows == 512 else 3)
    headers = healpix_29(table["ra"].to_numpy(), table["dec"].to_numpy())
    assert (headers != healpix).sum() == receipt.moved


def test_a_header_without_a_position_takes_the_list_s(partition: Partition, tmp_path: Path) -> None:
    names = [keyword.name for keyword in QLP.keywords]
    rows: list[Row | Failure] = []
    for target in partition.targets.to_pylist():
        row = make_row(target["id"], target["ra"], target["dec"])
        scalars = dict(zip(names, row.scalars, strict=True)) | {"ra": None, "dec": None}
        rows.append(replace(row, scalars=tuple(scalars.values())))
    receipt = write(partition, rows, tmp_path).receipt
    with pq.ParquetFile(path_of(partition, tmp_path)) as file:
        table = file.read()
    assert table["ra"].null_count == 0
    assert receipt.moved == COUNT


def test_a_partition_of_failures_is_a_file_without_row_groups_but_with_a_receipt(
    partition: Partition, tmp_path: Path
) -> None:
    write(partition, [failure(number) for number in range(COUNT)], tmp_path)
    path = path_of(partition, tmp_path)
    assert pq.read_metadata(path).num_row_groups == 0
    assert len(read_receipt(path).failures) == COUNT
    assert pq.read_schema(path).equals(FORMAT.schema)


def test_a_file_is_not_replaced_by_one_that_lacks_its_light_curves(
    partition: Partition, outcomes: list[Row | Failure], tmp_path: Path
) -> None:
    write(partition, outcomes, tmp_path)
    path = path_of(partition, tmp_path)
    before = path.read_bytes()
    poorer = [failure(1), *outcomes[1:]]
    assert isinstance(outcomes[0], Row)
    assert write(partition, poorer, tmp_path).lost == 1
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_nothing_stands_under_the_final_name_before_the_file_is_whole(
    partition: Partition, outcomes: list[Row | Failure], tmp_path: Path
) -> None:
    builder = PartitionBuilder(partition, FORMAT, tmp_path)
    path = path_of(partition, tmp_path)
    for group in itertools.chain.from_iterable(
        builder.put(slot, outcome) for slot, outcome in enumerate(outcomes)
    ):
        builder.write(group)
    assert not path.exists()
    assert all(found.name.startswith(".") for found in path.parent.iterdir())
    builder.finish()
    assert list(path.parent.iterdir()) == [path]


def test_a_file_of_which_a_row_group_was_not_written_is_never_put_in_place(
    partition: Partition, outcomes: list[Row | Failure], tmp_path: Path
) -> None:
    builder = PartitionBuilder(partition, FORMAT, tmp_path)
    for slot, outcome in enumerate(outcomes):
        builder.put(slot, outcome)
    with pytest.raises(DatasetError, match="not every row group"):
        builder.finish()
    assert not path_of(partition, tmp_path).exists()
    assert not list(tmp_path.rglob("*.partial"))
