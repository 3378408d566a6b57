"""The log file: lines of JSON that say what became of each partition, target and mirror."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import tessloom
from support import receipts, run
from tessloom.building import log as log_module
from tessloom.building.log import open_log
from tessloom.demo import DemoServer, Faults
from tessloom.errors import ArchiveError, DatasetError


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def of_event(lines: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"] == event]


@pytest.mark.parametrize("workers", [1, 2])
def test_each_partition_each_failure_and_each_mirror_has_a_line(
    workers: int, tmp_path: Path
) -> None:
    out, log = tmp_path / "data", tmp_path / "logs" / "log.jsonl"
    with DemoServer(Faults(missing=0.2)) as server:
        report = tessloom.build(
            "tglc",
            sector=23,
            out=out,
            archive=f"{server.s3},{server.address}",
            limit=40,
            workers=workers,
            log_file=log,
        )
        addresses = {server.s3, server.address}
    lines = lines_of(log)
    assert all(line["timestamp"].endswith("Z") for line in lines)
    partitions = {line["pixel"]: line for line in of_event(lines, "partition")}
    written = {receipt.pixel: receipt for receipt in receipts(out).values()}
    assert len(of_event(lines, "partition")) == len(written)
    for pixel, receipt in written.items():
        line = partitions[pixel]
        assert (line["pipeline"], line["sector"]) == ("tglc", 23)
        assert (line["asked"], line["written"]) == (receipt.asked, receipt.written)
        assert line["failed"] == len(receipt.failures)
    failures = of_event(lines, "failure")
    assert {(line["id"], line["camera"], line["ccd"], line["reason"]) for line in failures} == {
        (f.id, f.camera, f.ccd, f.reason) for f in report.sectors[0].failures
    }
    assert failures
    mirrors = of_event(lines, "mirror")
    assert {line["mirror"] for line in mirrors} == addresses
    assert len({line["process"] for line in mirrors}) == workers
    assert sum(line["answers"] for line in mirrors) >= 40
    assert of_event(lines, "started")[0]["pipelines"] == ["tglc"]
    (finished,) = of_event(lines, "finished")
    assert finished["complete"] is False
    assert finished["sectors"][0]["reasons"] == {"missing": len(failures)}


def test_a_log_is_added_to(server: DemoServer, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for limit in (3, 5):
        arguments = ("--sector", 23, "--limit", limit, "--out", tmp_path / "data")
        done = run("build", "qlp", *arguments, "--archive", server.address, "--log-file", log)
        assert done.returncode == 0, done.stderr
    assert [line["event"] for line in lines_of(log)].count("started") == 2


def test_a_build_that_is_stopped_says_by_what(tmp_path: Path) -> None:
    policy = tessloom.RetryPolicy(wait=0, give_up_after=0)
    with DemoServer(Faults(down=True)) as server, pytest.raises(ArchiveError):
        tessloom.build(
            "qlp",
            sector=23,
            out=tmp_path / "data",
            archive=server.address,
            policy=policy,
            log_file=tmp_path / "log",
        )
    (stopped,) = of_event(lines_of(tmp_path / "log"), "stopped")
    assert stopped["error"] == "ArchiveError"
    assert server.address in stopped["detail"]


def test_mirrors_are_logged_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "_HEALTH_EVERY", 0.001)
    asked = asyncio.Event()
    numbers = iter(range(1000))

    def health() -> list[dict[str, Any]]:
        number = next(numbers)
        if number == 3:
            asked.set()
        return [{"mirror": "static", "window": number}]

    async def watch() -> None:
        with open_log(tmp_path / "log") as log:
            async with log.each_minute(health):
                await asyncio.wait_for(asked.wait(), 60)

    asyncio.run(watch())
    windows = [line["window"] for line in lines_of(tmp_path / "log")]
    assert windows == list(range(len(windows)))
    assert len(windows) >= 5


def test_a_log_that_can_t_be_written_is_a_clear_error(server: DemoServer, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=f"can't write {tmp_path}"):
        tessloom.build(
            "qlp",
            sector=23,
            out=tmp_path / "data",
            archive=server.address,
            limit=3,
            log_file=tmp_path,
        )
