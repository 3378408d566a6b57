"""Batches for training: what is in them."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tessloom
from drawn import (
    batches,
    good_cadences,
    ids_in,
    paths_of,
    stored,
)
from support import NAMES
from tessloom.errors import DatasetError, NotInDatasetError, RequestError
from tessloom.pipelines import PIPELINES


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


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"columns": ("time", "magic")}, "has no magic"),
        ({"length": 0}, "at least 1"),
        ({"length": 9, "min_cadences": 10}, "min_cadences is 10"),
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


def test_sectors_that_are_not_there_are_an_error(dataset: Path) -> None:
    with pytest.raises(NotInDatasetError, match="nothing of sector 99"):
        tessloom.open(dataset)["tglc"].to_hf(99)
