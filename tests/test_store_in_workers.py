"""Forked processes read a dataset in a store that was opened, and used, before the fork."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tessloom
from object_store import BUCKET, ObjectStore
from support import read_table, shared_ids

URL = f"s3://{BUCKET}/data"
# In a process of their own: pytest's has threads, and warnings of forks that are errors.
OPENED = f"""
import json, multiprocessing, os, sys, tessloom
opened = tessloom.open("{URL}")
star = int(sys.argv[1])
def use(_):
    qlp = opened["qlp"]
    time = qlp.light_curve(tic=star)["time"].tolist()
    return os.getpid(), time, len(qlp.select(["tic_id"]))
here = use(0)
"""
POOL = """
with multiprocessing.get_context("fork").Pool(2) as pool:
    workers = pool.map(use, range(2), chunksize=1)
print(json.dumps([here, *workers]))
"""
LOADER = """
from torch.utils.data import DataLoader
def batches():
    return opened["qlp"].torch(length=100, batch_size=8)
def rows(stars):
    return sum(len(batch["flux"]) for batch in stars)
def made_and_counted():
    return rows(batches())
loader = DataLoader(batches(), batch_size=None, num_workers=2, multiprocessing_context="fork")
with multiprocessing.get_context("fork").Pool(1) as pool:
    made_there = pool.apply(made_and_counted)
print(json.dumps([rows(loader), made_there]))
"""


@pytest.fixture(scope="module", autouse=True)
def _placed(running: ObjectStore, dataset: Path) -> None:
    for path in dataset.glob("qlp/**/*"):
        if path.is_file():
            name = path.relative_to(dataset).as_posix()
            running.write(f"{URL}/{name}", path.read_bytes())


def run_code(code: str, star: int) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", OPENED + code, str(star)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_forked_processes_find_the_same_light_curves(dataset: Path) -> None:
    star = shared_ids("qlp")[0]
    here, *workers = run_code(POOL, star)
    table = read_table(dataset, "qlp")
    own = table.filter(np.equal(table["tic_id"].to_numpy(), star)).sort_by("sector")
    expected = np.concatenate([row["time"] for row in own["lightcurve"].to_pylist()])
    assert here[0] not in {worker[0] for worker in workers}
    for _, time, rows in (here, *workers):
        np.testing.assert_array_equal(time, expected)
        assert rows == len(table)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_forked_workers_of_a_loader_give_every_light_curve(dataset: Path) -> None:
    pytest.importorskip("torch")
    local = tessloom.open(dataset)["qlp"].torch(length=100, batch_size=8)
    expected = sum(len(batch["flux"]) for batch in local)
    assert expected > 0
    assert run_code(LOADER, shared_ids("qlp")[0]) == [expected, expected]
