"""PyTorch's view of a dataset: workers, ranks and epochs."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

import tessloom
from drawn import ids_in, stored_ids
from support import read_table
from tessloom.errors import NotInDatasetError, RequestError

torch = pytest.importorskip("torch")

RANK = """
import json, os, sys
import torch, tessloom
os.environ |= {"GLOO_SOCKET_IFNAME": "lo"}
out, store, rank, workers, method = sys.argv[1:]
torch.distributed.init_process_group(
    "gloo", init_method=f"file://{store}", rank=int(rank), world_size=2
)
stars = tessloom.open(out)["tglc"].torch(length=5, batch_size=4, min_cadences=0)
loader = torch.utils.data.DataLoader(
    stars, batch_size=None, num_workers=int(workers), multiprocessing_context=method or None
)
names = ("tic_id", "gaia_dr3_id", "sector")
print(json.dumps([[*zip(*(batch[name].tolist() for name in names))] for batch in loader]))
torch.distributed.destroy_process_group()
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_gives_each_light_curve_once(workers: int, dataset: Path) -> None:
    stars = tessloom.open(dataset)["tglc"].torch(length=5, batch_size=4, min_cadences=0)
    loader = torch.utils.data.DataLoader(stars, batch_size=None, num_workers=workers)
    found = list(loader)
    assert {batch["flux"].dtype for batch in found} == {torch.float32}
    assert {batch["mask"].dtype for batch in found} == {torch.bool}
    assert Counter(ids_in(found)) == stored_ids(dataset, "tglc")


def test_an_epoch_reaches_workers_that_stay(dataset: Path) -> None:
    stars = tessloom.open(dataset)["tglc"].torch(length=5, batch_size=4, min_cadences=0)
    loader = torch.utils.data.DataLoader(
        stars, batch_size=None, num_workers=1, persistent_workers=True
    )
    first, same = ids_in(loader), ids_in(loader)
    stars.set_epoch(1)
    other = ids_in(loader)
    assert first == same != other
    assert sorted(first) == sorted(other)


@pytest.mark.parametrize(("workers", "method"), [(0, ""), (2, "fork"), (2, "spawn")])
def test_two_ranks_have_all_light_curves_in_as_many_batches(
    workers: int, method: str, dataset: Path, tmp_path: Path
) -> None:
    arguments = [str(workers), method]
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(dataset), str(tmp_path / "store"), rank, *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    answers = [rank.communicate(timeout=120)[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0]
    one, other = (json.loads(answer.splitlines()[-1]) for answer in answers)
    assert len(one) == len(other) > 0
    assert {len(batch) for batch in one + other} == {4}
    expected = stored_ids(dataset, "tglc")
    shares = [{tuple(ids) for batch in share for ids in batch} for share in (one, other)]
    assert not shares[0] & shares[1]
    assert shares[0] | shares[1] == set(expected)


def test_what_is_not_there_is_an_error_before_training(dataset: Path) -> None:
    catalogue = tessloom.open(dataset)["tglc"]
    with pytest.raises(NotInDatasetError, match="nothing of sector 99"):
        catalogue.torch(sector=99)
    with pytest.raises(RequestError, match="give a list"):
        catalogue.torch("flux")


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


def test_a_condition_may_be_on_any_header_value_and_blames_no_file(dataset: Path) -> None:
    catalogue = tessloom.open(dataset)["qlp"]
    star = read_table(dataset, "qlp")["object_id"][0].as_py()
    expected = len(catalogue.select(["object_id"], where=f"object_id = {star}"))
    assert catalogue.torch(where=f"object_id = {star}").count() == expected > 0
    by_zero = pc.divide(pc.field("sector"), pc.subtract(pc.field("sector"), 23)) > 1
    drawn = catalogue.torch(where=by_zero, min_cadences=0)
    for read in (drawn.count, lambda: list(drawn)):
        with pytest.raises(RequestError, match="the condition can't be computed"):
            read()


def test_the_splits_are_the_dataset_s_own(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    shutil.copytree(dataset, out)
    tessloom.record_splits(out, tessloom.Splits(train=0.3, validation=0.3, test=0.4))
    catalogue = tessloom.open(out)["tglc"]
    own = catalogue.torch(split="train").count()
    usual = catalogue.torch(split="train", splits=tessloom.Splits()).count()
    assert 0 < own < usual < stored_ids(out, "tglc").total()
    for give in (catalogue.torch, catalogue.to_hf):
        with pytest.raises(RequestError, match="say which split"):
            give(splits=tessloom.Splits())
        with pytest.raises(RequestError, match="give tessloom"):
            give(split="train", splits="70/20/10")  # type: ignore[arg-type]
