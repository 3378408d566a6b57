"""Batches for training: in which order light curves come, each once, and to whom."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drawn import (
    LIGHT_CURVE_ID,
    batches,
    ids_in,
    paths_of,
    stored_ids,
)
from support import NAMES
from tessloom.reading.parts import Part, evenly_shared_out


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shards", [1, 2, 60])
def test_each_light_curve_comes_once_over_all_shards(name: str, shards: int, dataset: Path) -> None:
    drawn = batches(dataset, name, batch_size=4, length=3, shuffle_buffer=8)
    found = [ids for shard in range(shards) for ids in ids_in(drawn.draw(1, shard, shards))]
    assert Counter(found) == stored_ids(dataset, name)


def test_all_batches_but_the_last_are_full(dataset: Path) -> None:
    total = stored_ids(dataset, "tglc").total()
    size = next(size for size in (6, 7, 11) if total % size)
    for buffer in (0, 5, 1000):
        drawn = batches(dataset, batch_size=size, length=3, shuffle_buffer=buffer)
        sizes = [len(batch["sector"]) for batch in drawn.draw()]
        assert set(sizes[:-1]) == {size}
        assert 1 <= sizes[-1] < size
        full = [len(batch["sector"]) for batch in replace(drawn, drop_last=True).draw()]
        assert full == sizes[:-1]
        assert sum(sizes) == total


@pytest.mark.parametrize("shards", [2, 3, 60])
def test_evenly_shared_out_all_shards_have_as_many_full_batches(shards: int, dataset: Path) -> None:
    drawn = batches(dataset, batch_size=4, length=3)
    shares = [list(drawn.draw(2, shard, shards, even=True)) for shard in range(shards)]
    assert len({len(share) for share in shares}) == 1
    assert {len(batch["mask"]) for share in shares for batch in share} == {4}
    found = Counter(ids for share in shares for ids in ids_in(share))
    expected = stored_ids(dataset, "tglc")
    assert set(found) == set(expected)
    # As few come twice as can be where row groups are shared out whole.
    largest = max(count for _, count in drawn._counts)
    assert found.total() - expected.total() <= shards * (largest + 4)


def test_ranks_have_another_order_in_each_epoch_and_none_where_none_is_wanted(
    dataset: Path,
) -> None:
    drawn = batches(dataset, batch_size=2, length=3, shuffle_buffer=2)
    parts = [(Part(Path(str(number))), 400 + number % 37) for number in range(500)]
    orders = [
        [
            int(str(part.path))
            for part, _ in evenly_shared_out(parts, 4, np.random.default_rng(n))[0]
        ]
        for n in (1, 2)
    ]
    for order in orders:
        counts = [400 + number % 37 for number in order]
        assert abs(np.corrcoef(counts, np.arange(len(counts)))[0, 1]) < 0.4
    judged = replace(drawn, shuffle_buffer=0, split="validation")
    first, later = (ids_in(judged.draw(epoch, 1, 2, even=True)) for epoch in (0, 1))
    assert first == later != []
    assert ids_in(drawn.draw(0, 1, 2, even=True)) != ids_in(drawn.draw(1, 1, 2, even=True))


def test_a_crop_is_the_same_however_the_work_is_shared_out(dataset: Path) -> None:
    drawn = batches(dataset, columns=("flux",), length=20, seed=3)

    def crops(epoch: int, shards: int) -> dict[tuple[int, ...], bytes]:
        return {
            ids: flux.tobytes()
            for shard in range(shards)
            for batch in drawn.draw(epoch, shard, shards)
            for ids, flux in zip(ids_in([batch]), batch["flux"], strict=True)
        }

    assert crops(1, 1) == crops(1, 3)
    differ = [crops(1, 1)[ids] != flux for ids, flux in crops(2, 1).items()]
    assert np.mean(differ) > 0.9


def test_what_judges_a_model_is_always_the_same(dataset: Path) -> None:
    for split in ("validation", "test"):
        drawn = batches(dataset, "qlp", split=split, length=50)
        first, later = (list(drawn.draw(epoch)) for epoch in (0, 1))
        assert ids_in(first) == ids_in(later) != []
        for one, other in zip(first, later, strict=True):
            np.testing.assert_array_equal(one["flux"], other["flux"])


def test_without_a_buffer_they_come_in_the_dataset_s_order(dataset: Path) -> None:
    expected: list[tuple[int, ...]] = []
    for path in paths_of(dataset, "tglc"):
        columns = pq.read_table(path, columns=[*LIGHT_CURVE_ID], partitioning=None)
        rows = (columns[name].fill_null(0).to_pylist() for name in LIGHT_CURVE_ID)
        expected += zip(*rows, strict=True)
    assert ids_in(batches(dataset, shuffle_buffer=0, batch_size=7).draw()) == expected


def test_a_seed_and_an_epoch_give_one_order_and_others_give_others(dataset: Path) -> None:
    def drawn(seed: int, epoch: int) -> list[tuple[int, ...]]:
        return ids_in(batches(dataset, seed=seed, batch_size=8, length=10).draw(epoch))

    assert drawn(1, 2) == drawn(1, 2)
    orders = [drawn(1, 2), drawn(1, 3), drawn(2, 2)]
    assert len({tuple(order) for order in orders}) == 3
    assert len({frozenset(order) for order in orders}) == 1
    first, again = (next(batches(dataset, seed=1, length=10).draw(2)) for _ in range(2))
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name])


def test_a_buffer_mixes_light_curves_of_many_places(dataset: Path, tmp_path: Path) -> None:
    row = pq.read_table(paths_of(dataset, "tglc")[0], partitioning=None)[:1].combine_chunks()
    count = 2000
    table = pa.concat_tables([row] * count).combine_chunks()
    at = table.schema.get_field_index("tic_id")
    table = table.set_column(at, "tic_id", pa.array(np.arange(count)))
    pq.write_table(table, tmp_path / "many.parquet", row_group_size=50)
    drawn = replace(
        batches(dataset, shuffle_buffer=500, batch_size=20, length=4),
        paths=[tmp_path / "many.parquet"],
    )
    found = [batch["tic_id"] for batch in drawn.draw()]
    assert np.array_equal(np.sort(np.concatenate(found)), np.arange(count))
    # At random among 520 neighbours, a batch spans hundreds; in order it would span 20.
    assert np.median([np.ptp(batch) for batch in found]) > 300
    assert not any((np.diff(batch) > 0).all() for batch in found)
