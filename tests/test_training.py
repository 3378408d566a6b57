"""Batches for training: what is in them, and that every star is where it belongs, once."""

import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tessloom
from support import NAMES, partition_files, read_table
from tessloom.dataset.splits import star_fractions
from tessloom.errors import DatasetError, NotInDatasetError, RequestError
from tessloom.pipelines import PIPELINES
from tessloom.reading import Splits
from tessloom.reading.batches import Batches

LIGHT_CURVE_ID = ("tic_id", "gaia_dr3_id", "sector")
SPLITS = ("train", "validation", "test")


def paths_of(out: Path, name: str) -> list[Path]:
    return [path for key, path in partition_files(out).items() if key.startswith(f"{name}/")]


def batches(out: Path, name: str = "tglc", **choices: Any) -> Batches:
    choices = {"min_cadences": 0} | choices
    return Batches(pipeline=PIPELINES[name], paths=paths_of(out, name), **choices)


def ids_in(found: Iterable[Any]) -> list[tuple[int, ...]]:
    """Return the light curves of batches, in their order."""
    return [
        tuple(map(int, ids))
        for batch in found
        for ids in zip(*(batch[name] for name in LIGHT_CURVE_ID), strict=True)
    ]


def stored_ids(out: Path, name: str) -> Counter[tuple[int, ...]]:
    table = read_table(out, name)
    columns = (table[column].fill_null(0).to_pylist() for column in LIGHT_CURVE_ID)
    return Counter(zip(*columns, strict=True))


def stored(out: Path, name: str) -> dict[tuple[int, ...], dict[str, npt.NDArray[Any]]]:
    """Return the light curves of a dataset as pyarrow alone reads them."""
    table = read_table(out, name)
    keys = zip(*(table[c].fill_null(0).to_pylist() for c in LIGHT_CURVE_ID), strict=True)
    cells = table["lightcurve"].chunk(0)
    return {
        key: {
            field.name: cells.field(field.name)[row].values.to_numpy(zero_copy_only=False)
            for field in cells.type
        }
        for row, key in enumerate(keys)
    }


def good_cadences(name: str, curve: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.bool_]:
    good = np.isfinite(curve["time"]) & np.isfinite(curve["flux"])
    for mask in PIPELINES[name].masks:
        good &= (np.nan_to_num(curve[mask.column]).astype(np.int64) & mask.default) == 0
    return np.asarray(good)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [100, 20_000])
def test_a_light_curve_is_cropped_or_padded_and_masked(
    name: str, length: int, dataset: Path
) -> None:
    curves = stored(dataset, name)
    seen = 0
    for batch in batches(dataset, name, length=length, crop="start", batch_size=7).draw():
        assert batch["flux"].shape == batch["mask"].shape == (len(batch["sector"]), length)
        for row, key in enumerate(ids_in([batch])):
            curve, mask = curves[key], batch["mask"][row]
            count = min(length, len(curve["time"]))
            np.testing.assert_array_equal(mask[:count], good_cadences(name, curve)[:count])
            assert not mask[count:].any()
            for column in ("flux", "flux_err"):
                expected = np.where(mask[:count], curve[column][:count], 0)
                assert batch[column].dtype == np.float32
                np.testing.assert_array_equal(batch[column][row, :count], expected)
                assert not batch[column][row, count:].any()
            assert not batch["time"][row][~mask].any()
            seen += 1
    assert seen == len(curves)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reference", [None, 1900.0])
def test_time_is_good_to_a_second(name: str, reference: float | None, dataset: Path) -> None:
    curves = stored(dataset, name)
    drawn = batches(dataset, name, length=20_000, crop="start", time_reference=reference)
    for batch in drawn.draw():
        assert batch["time"].dtype == np.float32
        assert batch["time_reference"].dtype == np.float64
        for row, key in enumerate(ids_in([batch])):
            mask, time = batch["mask"][row], curves[key]["time"]
            days = batch["time"][row].astype(np.float64) + batch["time_reference"][row]
            if reference is None:
                assert batch["time_reference"][row] == time[np.isfinite(time)][0]
            elif key[-1] == 56:
                continue  # 900 days away: float32 is good to some seconds there
            off = np.abs(days[mask] - time[: len(mask)][mask[: len(time)]]) * 86_400
            assert off.max(initial=0) < 1


def test_a_random_crop_is_a_part_of_its_light_curve_and_not_always_the_same(dataset: Path) -> None:
    curves = stored(dataset, "tglc")
    drawn = batches(dataset, length=50, columns=("time", "cadence_num"), mask=None)
    starts = []
    for batch in drawn.draw():
        for row, key in enumerate(ids_in([batch])):
            mask = batch["mask"][row]
            where = np.searchsorted(curves[key]["cadence_num"], batch["cadence_num"][row][mask])
            np.testing.assert_array_equal(np.diff(where), np.diff(np.flatnonzero(mask)))
            starts.append(where[0])
            days = batch["time"][row][mask] + batch["time_reference"][row]
            np.testing.assert_allclose(days, curves[key]["time"][where], atol=1e-5)
    assert len(set(starts)) > len(starts) / 2
    assert max(starts) > 800
    assert min(starts) < 200


@pytest.mark.parametrize("name", ["qlp", "spoc"])
def test_types_are_the_same_in_all_eras(name: str, dataset: Path) -> None:
    columns = tuple(column.name for column in PIPELINES[name].columns)
    sectors = set()
    for batch in batches(
        dataset, name, columns=columns, batch_size=1, shuffle_buffer=0, length=9
    ).draw():
        sectors.add(int(batch["sector"][0]))
        for column in PIPELINES[name].columns:
            expected = "float32" if column.dtype == "float64" else column.dtype
            assert batch[column.name].dtype == expected, column.name
    assert sectors == {23, 24, 56}


def test_integers_that_an_era_lacks_are_0_and_floats_nan(dataset: Path, tmp_path: Path) -> None:
    path = paths_of(dataset, "tglc")[0]
    table = pq.read_table(path, partitioning=None).combine_chunks()
    cells = table["lightcurve"].chunk(0)
    lists = {field.name: cells.field(field.name) for field in cells.type}
    for name in ("tglc_flags", "cadence_num", "psf_flux"):
        nulls = pa.nulls(len(lists[name].values), lists[name].type.value_type)
        lists[name] = pa.ListArray.from_arrays(lists[name].offsets, nulls)
    light_curves = pa.StructArray.from_arrays(list(lists.values()), list(lists))
    pq.write_table(
        table.set_column(table.num_columns - 1, "lightcurve", light_curves), tmp_path / "f.parquet"
    )
    drawn = batches(dataset, columns=("cadence_num", "psf_flux"), length=20)
    for batch in replace(drawn, paths=[tmp_path / "f.parquet"]).draw():
        assert batch["cadence_num"].dtype == np.int32
        assert not batch["cadence_num"].any()
        assert batch["mask"].any()
        np.testing.assert_array_equal(np.isnan(batch["psf_flux"]), batch["mask"])


def test_a_light_curve_without_cadences_is_all_padding(dataset: Path, tmp_path: Path) -> None:
    table = pq.read_table(paths_of(dataset, "tglc")[0], partitioning=None)[:1].combine_chunks()
    row = table.to_pylist()[0]
    empty = row | {"lightcurve": {name: [] for name in row["lightcurve"]}}
    pq.write_table(pa.Table.from_pylist([row, empty], table.schema), tmp_path / "last.parquet")
    pq.write_table(pa.Table.from_pylist([empty], table.schema), tmp_path / "only.parquet")
    pq.write_table(table.schema.empty_table(), tmp_path / "none.parquet")
    paths = sorted(tmp_path.iterdir())
    (batch,) = replace(batches(dataset), paths=paths, shuffle_buffer=0).draw()
    assert len(batch["sector"]) == 3
    assert batch["mask"].any(axis=1).sum() == 1
    assert not batch["flux"][~batch["mask"]].any()


@pytest.mark.parametrize("mask", ["default", "hardest", 128, None])
def test_masks_are_those_of_clean(mask: str | int | None, dataset: Path) -> None:
    catalogue = tessloom.open(dataset)["tglc"]
    drawn = batches(dataset, length=2000, crop="start", mask=mask, batch_size=5)
    batch = next(drawn.draw())
    for row, (_, gaia, sector) in enumerate(ids_in([batch])):
        curve = catalogue.light_curve(gaia=gaia, sector=sector)
        clean = curve.clean(0 if mask is None else mask)
        np.testing.assert_array_equal(batch["flux"][row][batch["mask"][row]], clean.flux)


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


def test_header_values_come_along_and_choose(dataset: Path) -> None:
    table = read_table(dataset, "qlp")
    rows = zip(*(table[c].to_pylist() for c in ("tic_id", "sector", "tess_mag")), strict=True)
    expected = {(tic, sector): magnitude for tic, sector, magnitude in rows}
    bright = {key for key, magnitude in expected.items() if magnitude < 11}
    stars = tessloom.open(dataset)["qlp"].torch(
        ["flux", "tess_mag", "teff"], where="tess_mag < 11", length=9, min_cadences=0
    )
    found = {}
    for batch in stars:
        assert {batch[name].numpy().dtype for name in ("tess_mag", "teff")} == {np.dtype("f4")}
        for tic, sector, magnitude in zip(
            *(batch[name].tolist() for name in ("tic_id", "sector", "tess_mag")), strict=True
        ):
            found[tic, sector] = magnitude
    assert set(found) == bright != set(expected)
    assert all(found[key] == pytest.approx(expected[key]) for key in found)
    assert stars.count() == len(bright)


def test_a_crop_with_too_few_good_cadences_is_left_out(dataset: Path) -> None:
    everything, useful = (
        list(batches(dataset, "spoc", length=16, min_cadences=least).draw()) for least in (0, 9)
    )
    expected = [
        ids
        for batch in everything
        for ids, mask in zip(ids_in([batch]), batch["mask"], strict=True)
        if mask.sum() >= 9
    ]
    assert Counter(ids_in(useful)) == Counter(expected)
    assert 0 < len(expected) < sum(len(batch["mask"]) for batch in everything)


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


def test_splits_are_shared_by_sectors_and_pipelines(dataset: Path) -> None:
    stars: dict[str, set[int]] = {split: set() for split in SPLITS}
    for name in NAMES:
        found: Counter[tuple[int, ...]] = Counter()
        for split in SPLITS:
            ids = ids_in(batches(dataset, name, split=split, length=2).draw())
            found.update(ids)
            stars[split] |= {tic or gaia for tic, gaia, _ in ids}
        assert found == stored_ids(dataset, name)
    assert len(stars["train"]) > len(stars["test"]) > 0
    assert not stars["train"] & stars["test"]
    assert not stars["train"] & stars["validation"]
    assert not stars["validation"] & stars["test"]


def test_splits_are_80_10_and_10_per_cent_of_any_stars() -> None:
    count = 100_000
    random = np.random.default_rng(5)
    for stars in (
        np.arange(1, count + 1),
        10**18 + np.arange(count) * 4096,
        random.integers(1, 2**62, count),
    ):
        inside = np.array([Splits().holds(split, stars) for split in SPLITS])
        assert (inside.sum(axis=0) == 1).all()
        for share, of in zip((0.8, 0.1, 0.1), inside, strict=True):
            # Five standard deviations of a binomial distribution.
            assert abs(of.sum() - share * count) < 5 * (count * share * (1 - share)) ** 0.5


def test_splits_never_change() -> None:
    # SplitMix64 from the seed 0 begins so: published with the generator.
    assert int(star_fractions(np.array([0]))[0] * 2**53) == 0xE220A8397B1DCDAF >> 11
    stars = np.array([1, 2, 3, 39903405, 261136679, 441105436, 2**40, 1624690363063582848])
    assert [round(value, 6) for value in star_fractions(stars).tolist()] == [
        0.566562,
        0.59119,
        0.11345,
        0.232087,
        0.573554,
        0.186054,
        0.124473,
        0.675268,
    ]


def test_splits_can_be_chosen_and_must_add_up() -> None:
    stars = np.arange(1000)
    halves = Splits(train=0.5, validation=0.5, test=0)
    assert not halves.holds("test", stars).any()
    assert (halves.holds("train", stars) ^ halves.holds("validation", stars)).all()
    assert Splits(train=1, validation=0, test=0).holds("train", stars).all()
    for wrong in ((0.8, 0.1, 0.2), (1.2, -0.1, -0.1), (float("nan"), 0.5, 0.5)):
        with pytest.raises(RequestError, match="must add up to 1"):
            Splits(train=wrong[0], validation=wrong[1], test=wrong[2])


def test_a_dataset_s_own_splits_are_used_by_all_who_read_it(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    shutil.copytree(dataset, out)
    halves = tessloom.Splits(train=0.5, validation=0.5, test=0)
    tessloom.record_splits(out, halves)
    catalogue = tessloom.open(out)["tglc"]
    table = read_table(out, "tglc")
    stars = pa.compute.coalesce(table["tic_id"], table["gaia_dr3_id"])
    inside = int(halves.holds("train", stars).sum())
    assert 0 < inside != int(Splits().holds("train", stars).sum())
    assert catalogue.torch(split="train").count() == inside
    assert len(catalogue.to_hf(split="train")) == inside
    assert catalogue.torch(split="train", splits=Splits()).count() != inside
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "50/50/0 %" in card
    tessloom.build("tglc", sector=24, out=out, archive="demo", tiny=True)
    assert "50/50/0 %" in (out / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["80/10", "80/10/20", "a/b/c", "-10/100/10", ""])
def test_splits_that_are_none_are_an_error(text: str) -> None:
    with pytest.raises(RequestError, match="splits"):
        Splits.parse(text)


def test_splits_go_by_whole_ids_only() -> None:
    ids = np.array([1, 2, 3])
    assert Splits().holds("train", [1, 2, 3]).tolist() == Splits().holds("train", ids).tolist()
    for wrong in (ids.astype(float), pa.array([1, None]), ["a"]):
        with pytest.raises(RequestError, match="whole ids"):
            Splits().holds("train", wrong)


def test_a_split_without_stars_has_no_batches(dataset: Path) -> None:
    splits = Splits(train=1, validation=0, test=0)
    assert list(batches(dataset, split="test", splits=splits).draw()) == []


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"columns": ("time", "magic")}, "has no magic"),
        ({"length": 0}, "at least 1"),
        ({"batch_size": 0}, "at least 1"),
        ({"shuffle_buffer": -1}, "at least 0"),
        ({"crop": "end"}, "crop is 'end'"),
        ({"mask": "soft"}, "mask is 'soft'"),
        ({"split": "exam"}, "no split 'exam'"),
        ({"splits": {"train": 1}}, "give tessloom.Splits"),
        ({"length": 10.5}, "length is 10.5: give a whole number"),
        ({"seed": -1}, "seed is -1"),
        ({"time_reference": 2_459_000.5}, "give BTJD"),
        ({"time_reference": float("nan")}, "counted from nan"),
    ],
)
def test_what_can_t_be_drawn_is_an_error_at_once(
    wrong: dict[str, Any], error: str, dataset: Path
) -> None:
    with pytest.raises(RequestError, match=error):
        batches(dataset, **wrong)


def test_a_damaged_file_is_an_error_that_names_it(dataset: Path, tmp_path: Path) -> None:
    path = tmp_path / "s0023.parquet"
    shutil.copy(paths_of(dataset, "tglc")[0], path)
    path.write_bytes(path.read_bytes()[:-100])
    for shards in (1, 2):
        with pytest.raises(DatasetError, match=f"{path} is damaged"):
            list(replace(batches(dataset), paths=[path]).draw(0, 0, shards))


@pytest.mark.parametrize("sector", [None, 24])
def test_hugging_face_has_the_dataset_s_values_in_double(sector: int | None, dataset: Path) -> None:
    expected = read_table(dataset, "tglc", sector).sort_by([("sector", "ascending")])
    stars = tessloom.open(dataset)["tglc"].to_hf(sector)
    assert {stars[:]["tic_id"].dtype, stars[:]["gaia_dr3_id"].dtype} == {np.dtype(np.int64)}
    assert expected["tic_id"].null_count == np.count_nonzero(stars[:]["tic_id"] == 0) > 0
    rows = {(int(row["gaia_dr3_id"]), int(row["sector"])): row["lightcurve"] for row in stars}
    assert len(rows) == len(expected) == len(stars)
    for row in expected.to_pylist():
        found = rows[row["gaia_dr3_id"], row["sector"]]
        assert found["time"].dtype == np.float64
        assert found["flux"].dtype == np.float32
        for name in ("time", "flux"):
            np.testing.assert_array_equal(found[name], np.array(row["lightcurve"][name]))


def test_hugging_face_streams_all_pipelines(dataset: Path) -> None:
    streams = tessloom.open(dataset).to_hf(24, streaming=True)
    assert list(streams) == list(NAMES)
    for name, stream in streams.items():
        expected = read_table(dataset, name, 24)
        times = {row["object_id"]: row["lightcurve"]["time"] for row in stream}
        assert sorted(times) == sorted(expected["object_id"].to_pylist())
        cells = expected["lightcurve"].chunk(0).field("time")
        for identifier, time in zip(expected["object_id"].to_pylist(), cells, strict=True):
            assert np.array_equal(times[identifier], time.values.to_numpy(), equal_nan=True)


def test_sectors_that_are_not_there_are_an_error(dataset: Path) -> None:
    with pytest.raises(NotInDatasetError, match="nothing of sector 99"):
        tessloom.open(dataset)["tglc"].to_hf(99)


@pytest.mark.parametrize("streaming", [False, True])
def test_hugging_face_has_the_splits_that_batches_have(streaming: bool, dataset: Path) -> None:
    catalogue = tessloom.open(dataset)["tglc"]
    found: Counter[tuple[int, ...]] = Counter()
    for split in SPLITS:
        rows = catalogue.to_hf(split=split, streaming=streaming)
        ids = [tuple(int(row[name] or 0) for name in LIGHT_CURVE_ID) for row in rows]
        assert Counter(ids) == Counter(ids_in(batches(dataset, split=split, length=2).draw()))
        found.update(ids)
    assert found == stored_ids(dataset, "tglc")
