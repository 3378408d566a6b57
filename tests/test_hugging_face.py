"""What `to_hf` gives: the values of the dataset, in double, and its splits."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import tessloom
from drawn import (
    LIGHT_CURVE_ID,
    SPLITS,
    batches,
    ids_in,
    stored_ids,
)
from support import NAMES, read_table


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
