"""Splits: which stars a model may learn from, and which it is judged by."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import tessloom
from drawn import (
    SPLITS,
    batches,
    ids_in,
    stored_ids,
)
from support import NAMES, read_table
from tessloom.dataset.splits import Splits, star_fractions
from tessloom.errors import DatasetError, RequestError
from tessloom.reading.recorded_splits import recorded_splits


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
    stars = pc.coalesce(table["tic_id"], table["gaia_dr3_id"])
    inside = int(halves.holds("train", stars).sum())
    assert 0 < inside != int(Splits().holds("train", stars).sum())
    assert batches(out, split="train", splits=recorded_splits(out)).count() == inside
    assert len(catalogue.to_hf(split="train")) == inside
    assert len(catalogue.to_hf(split="train", splits=Splits())) != inside
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "50/50/0 %" in card
    tessloom.build("tglc", sector=24, out=out, archive="demo", tiny=True)
    assert "50/50/0 %" in (out / "README.md").read_text(encoding="utf-8")


def test_thirds_are_read_back_as_they_were_written(dataset: Path, tmp_path: Path) -> None:
    thirds = Splits(train=1 / 3, validation=1 / 3, test=1 / 3)
    stars = np.arange(100_000)
    written = Splits.parse(str(thirds))
    assert np.mean(written.holds("train", stars) != thirds.holds("train", stars)) < 1e-4
    assert Splits.parse("0.7/0.2/0.1") == Splits(train=0.7, validation=0.2, test=0.1)
    assert str(Splits.parse("80/10/10")) == "80/10/10"
    shutil.copytree(dataset / "qlp", tmp_path / "qlp")
    tessloom.record_splits(tmp_path, thirds)
    assert recorded_splits(tmp_path) == thirds
    (tmp_path / "splits.json").unlink()
    assert recorded_splits(tmp_path) == thirds  # the card has them too
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    (line,) = [line for line in card.splitlines() if line.startswith("splits = ")]
    names: dict[str, Any] = {"tessloom": tessloom}
    exec(line, names)  # noqa: S102 - the card's own
    assert names["splits"] == thirds


def test_somebody_s_own_readme_is_not_replaced(dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(dataset / "qlp", tmp_path / "qlp")
    (tmp_path / "README.md").write_text("my own notes", encoding="utf-8")
    with pytest.raises(DatasetError, match="move it elsewhere"):
        tessloom.record_splits(tmp_path, Splits(train=0.5, validation=0.5, test=0))
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "my own notes"
    assert recorded_splits(tmp_path) == Splits()


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
