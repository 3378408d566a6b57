"""Asking again: exactly what could not be had, and files that end as if built at once."""

import json
from pathlib import Path
from typing import Any

import pytest

import tessloom
from support import NAMES, contents, demo_paths, partition_files, receipts, run, shared_ids, stamps
from tessloom import RetryPolicy
from tessloom.demo import DemoServer, Faults
from tessloom.errors import RequestError

LIMIT = 60
FORMATS = ("parquet", "hdf5")


def build(out: Path, archive: DemoServer, name: str = "qlp", **options: Any) -> tessloom.Report:
    usual: dict[str, Any] = {"sector": 23, "limit": LIMIT, "policy": RetryPolicy(wait=0.001)}
    return tessloom.build(name, out=out, archive=archive.address, **(usual | options))


def lost_paths(name: str, faults: Faults, fault: str) -> set[str]:
    paths = list(demo_paths(name, 23).values())[:LIMIT]
    return {path for path in paths if faults.hit(fault, path)}


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("name", NAMES)
def test_exactly_the_failed_targets_are_asked_for_again_and_the_files_are_as_if_built_at_once(
    name: str, file_format: str, server: DemoServer, tmp_path: Path
) -> None:
    faults = Faults(missing=0.15, corrupt=0.15)
    lost = lost_paths(name, faults, "missing") | lost_paths(name, faults, "corrupt")
    out = tmp_path / "data"
    with DemoServer(faults) as archive:
        first = build(out, archive, name, format=file_format)
        assert len(first.sectors[0].failures) == len(lost) > 0
        archive.requests.clear()
        archive.faults = Faults()
        report = tessloom.retry(out)
        assert set(archive.requests) == lost
        assert set(archive.requests.values()) == {1}
    assert report.complete
    build(tmp_path / "at-once", server, name, format=file_format)
    assert contents(out) == contents(tmp_path / "at-once")


def test_contiguous_files_stay_contiguous(server: DemoServer, tmp_path: Path) -> None:
    chosen: dict[str, Any] = {"format": "hdf5", "features": "time,flux", "contiguous": True}
    with DemoServer(Faults(missing=0.15)) as archive:
        assert not build(tmp_path / "data", archive, "spoc", **chosen).complete
        archive.faults = Faults()
        assert tessloom.retry(tmp_path / "data").complete
    build(tmp_path / "at-once", server, "spoc", **chosen)
    assert contents(tmp_path / "data") == contents(tmp_path / "at-once")


def test_partitions_without_a_failure_are_left_alone(tmp_path: Path) -> None:
    with DemoServer(Faults(missing=0.1)) as archive:
        build(tmp_path, archive)
        unhurt = {name for name, receipt in receipts(tmp_path).items() if not receipt.failures}
        before = stamps(tmp_path)
        archive.faults = Faults()
        tessloom.retry(tmp_path)
    after = stamps(tmp_path)
    assert unhurt
    assert {name for name in before if after[name] == before[name]} == unhurt


def test_what_still_can_t_be_had_stays_a_recorded_failure(tmp_path: Path) -> None:
    with DemoServer(Faults(missing=0.2)) as archive:
        first = build(tmp_path, archive)
        before = contents(tmp_path)
        report = tessloom.retry(tmp_path)
    assert not report.complete
    assert report.sectors[0].failures == first.sectors[0].failures
    assert contents(tmp_path) == before


def test_a_star_that_had_no_coordinates_is_placed_when_its_header_can_be_read(
    server: DemoServer, tmp_path: Path
) -> None:
    faults = Faults(unlisted=0.3, missing=0.3)
    unplaced = lost_paths("qlp", faults, "unlisted") & lost_paths("qlp", faults, "missing")
    out = tmp_path / "data"
    with DemoServer(faults) as archive:
        first = build(out, archive)
        assert len(unplaced) > 0
        archive.requests.clear()
        archive.faults = Faults(unlisted=0.3)
        report = tessloom.retry(out)
        # First for the position, then for the light curve; nothing that is there.
        assert {path for path, count in archive.requests.items() if count == 2} == unplaced
        assert set(archive.requests) == lost_paths("qlp", faults, "missing")
    assert len(first.sectors[0].failures) == len(archive.requests)
    assert report.complete
    build(tmp_path / "at-once", server)
    assert contents(out) == contents(tmp_path / "at-once")


def test_what_was_asked_for_and_found_in_the_lists_stays_as_it_was(
    server: DemoServer, tmp_path: Path
) -> None:
    out = tmp_path / "data"
    with DemoServer(Faults(missing=0.2, duplicate=0.2)) as archive:
        findings = build(out, archive, limit=20).sectors[0].findings
        assert findings
        archive.faults = Faults(duplicate=0.2)
        # From elsewhere: the dataset is still of the archive that it was built from.
        report = tessloom.retry(out, archive=server.address)
        assert report.complete
        assert report.sectors[0].findings == findings
        assert report.sectors[0].archive == archive.address
        # A whole sector is more than was asked for, and than a retry makes of it.
        assert build(out, archive, limit=None).sectors[0].asked == len(demo_paths("qlp", 23))


def test_what_the_lists_have_no_file_of_is_not_asked_for(tmp_path: Path) -> None:
    with DemoServer(Faults(unscripted=0.1)) as archive:
        build(tmp_path, archive, "spoc", limit=None)
        archive.requests.clear()
        report = tessloom.retry(tmp_path)
        assert not archive.requests
    assert set(report.sectors[0].reasons()) == {"not-listed"}


def test_partitions_that_were_never_built_are_left_to_build(tmp_path: Path) -> None:
    with DemoServer() as archive:
        build(tmp_path, archive)
        gone = next(iter(partition_files(tmp_path).values()))
        gone.unlink()
        report = tessloom.retry(tmp_path)
    assert not gone.exists()
    assert report.sectors[0].partitions_missing == 1


def test_more_targets_of_the_same_partitions_leave_what_is_there_unasked(
    server: DemoServer, tmp_path: Path
) -> None:
    out = tmp_path / "data"
    paths = list(demo_paths("tglc", 23).values())
    with DemoServer() as archive:
        build(out, archive, "tglc", limit=30)
        archive.requests.clear()
        build(out, archive, "tglc", limit=90)
        fetched = {path for path in archive.requests if path.endswith(".fits")}
    # One file of the sector is always asked: whether the archive is synthetic.
    assert len(fetched & set(paths[:30])) <= 1
    assert set(paths[30:90]) <= fetched
    build(tmp_path / "at-once", server, "tglc", limit=90)
    assert contents(out) == contents(tmp_path / "at-once")


def test_several_pipelines_and_sectors_are_retried_by_several_workers(
    server: DemoServer, tmp_path: Path
) -> None:
    out = tmp_path / "data"
    options: dict[str, Any] = {"limit": None, "sector": [23, 24]}
    with DemoServer(Faults(missing=0.3)) as archive:
        for name in NAMES:
            options["targets"] = shared_ids(name, 12)
            build(out, archive, name, **options)
            build(tmp_path / "at-once", server, name, **options)
        archive.faults = Faults()
        report = tessloom.retry(out, workers=2, log_file=tmp_path / "log")
    assert len(report.sectors) == 6
    assert report.complete
    assert contents(out) == contents(tmp_path / "at-once")


def test_the_command_line_retries_and_its_exit_status_tells(tmp_path: Path) -> None:
    out = tmp_path / "data"
    with DemoServer(Faults(missing=0.2)) as archive:
        policy = ("--sector", 23, "--limit", 20, "--out", out, "--archive", archive.address)
        assert run("build", "qlp", *policy).returncode == 1
        still = run("retry", out, "--log-file", tmp_path / "log")
        assert still.returncode == 1
        assert "missing" in still.stdout
        archive.faults = Faults()
        done = run("retry", out)
    assert done.returncode == 0, done.stderr
    assert "20 of 20 light curves" in done.stdout
    failures = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {line["reason"] for line in failures if line["event"] == "failure"} == {"missing"}


def test_a_folder_without_a_dataset_is_a_wrong_call(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no tessloom dataset"):
        tessloom.retry(tmp_path)
