"""Several sectors and pipelines in one call: one queue, one summary, an estimate beforehand."""

import threading
from pathlib import Path

import pytest

import tessloom
from support import contents, demo_paths, partition_files, run
from tessloom import Progress
from tessloom.demo import DemoServer, Faults
from tessloom.errors import RequestError, UnknownSectorError
from tessloom.pipelines import Pipeline
from tessloom.sectors import parse_sectors

LIMIT = 30


@pytest.mark.parametrize(
    ("asked", "found", "lacking"),
    [
        (23, [23], []),
        ("24", [24], []),
        ([24, 23], [24, 23], []),
        ("23,24", [23, 24], []),
        ("22-24", [23, 24], [22]),
        ("24-", [24, 40, 56], []),
        ("all", [23, 24, 40, 56], []),
        (" 1 - 30 , 56", [23, 24, 56], [*range(1, 23), *range(25, 31)]),
        (["1-23", 99], [23, 99], [*range(1, 23)]),
    ],
)
def test_sectors_are_numbers_and_ranges(
    asked: int | str | list[int | str], found: list[int], lacking: list[int]
) -> None:
    sectors = parse_sectors(asked)
    assert sectors.among([23, 24, 40, 56]) == found
    assert sectors.lacking([23, 24, 40, 56]) == lacking


@pytest.mark.parametrize("asked", ["", "x", "1-2-3", "-5", "0", "3-2", 1.5, True, None, []])
def test_what_is_no_sector_is_a_wrong_call(asked: object) -> None:
    with pytest.raises(RequestError):
        parse_sectors(asked)


def test_a_campaign_is_the_same_dataset_as_one_build_after_the_other(
    server: DemoServer, tmp_path: Path
) -> None:
    at_once = tessloom.build(
        ["qlp", "tglc"],
        sector="23-24",
        limit=LIMIT,
        out=tmp_path / "once",
        archive=server.address,
        workers=2,
    )
    assert at_once.complete
    for name in ("qlp", "tglc"):
        for sector in (23, 24):
            report = tessloom.build(
                name,
                sector=sector,
                limit=LIMIT,
                out=tmp_path / "single",
                archive=server.address,
                workers=1,
            )
            assert report.complete
    assert contents(tmp_path / "once") == contents(tmp_path / "single")
    assert [(status.pipeline, status.sector) for status in at_once.sectors] == [
        ("qlp", 23),
        ("qlp", 24),
        ("tglc", 23),
        ("tglc", 24),
    ]


def test_sectors_of_hdf5_that_are_under_way_together_have_files_of_their_own(
    server: DemoServer, tmp_path: Path
) -> None:
    for out, sectors in (("once", [[23, 24]]), ("single", [[23], [24]])):
        for sector in sectors:
            assert tessloom.build(
                "tglc",
                sector=sector,
                limit=LIMIT,
                out=tmp_path / out,
                archive=server.address,
                format="hdf5",
                workers=2,
            ).complete
    assert contents(tmp_path / "once") == contents(tmp_path / "single")


class Overlap(Progress):
    """Lets no light curve of the first sector end before the lists of the next are being read."""

    def __init__(self, archive: DemoServer) -> None:
        self._archive = archive
        self.reading_next = threading.Event()
        self.done_before = -1
        self._done = 0

    def listing(self, pipeline: Pipeline, sector: int) -> None:  # noqa: ARG002
        if sector == 24:
            self.done_before = self._done
            self._archive.faults = Faults()
            self.reading_next.set()

    def start(self, pipeline: Pipeline, sector: int, targets: int) -> None:  # noqa: ARG002
        if sector == 23:
            self._archive.faults = Faults(down=True)

    def advance(self, done: int, failed: int) -> None:  # noqa: ARG002
        self._done += done


def test_the_next_sector_is_planned_while_light_curves_of_the_one_before_come_in(
    tmp_path: Path,
) -> None:
    with DemoServer() as archive:
        progress = Overlap(archive)
        report = tessloom.build(
            "qlp",
            sector=[23, 24],
            limit=LIMIT,
            out=tmp_path,
            archive=archive.address,
            progress=progress,
            policy=tessloom.RetryPolicy(wait=0.01, down_after=3, ask_again=0.05),
        )
    assert report.complete
    assert progress.done_before == 0


def test_all_means_every_sector_that_the_archive_has(server: DemoServer, tmp_path: Path) -> None:
    there = tessloom.find_sectors("tglc", archive=server.address)["tglc"]
    report = tessloom.build(
        "tglc", sector="all", limit=2, out=tmp_path, archive=server.address, workers=1
    )
    assert [status.sector for status in report.sectors] == there
    assert len(there) > 2
    assert report.complete
    assert report.notes == []


def test_what_a_range_asks_for_and_the_archive_lacks_is_said(
    server: DemoServer, tmp_path: Path
) -> None:
    done = run(
        *("build", "qlp", "--sector", "20-23", "--limit", 3, "--out", tmp_path),
        *("--archive", server.address),
    )
    assert done.returncode == 0, done.stderr
    assert "has no qlp of sectors 20-22." in done.stdout


def test_a_range_without_any_sector_is_a_wrong_call(server: DemoServer, tmp_path: Path) -> None:
    with pytest.raises(UnknownSectorError, match=r"none of these sectors of .*; it has: "):
        tessloom.build("qlp", sector="97-99", out=tmp_path, archive=server.address)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("file_format", ["parquet", "hdf5"])
def test_a_dry_run_estimates_what_the_build_then_takes(
    file_format: str, server: DemoServer, tmp_path: Path
) -> None:
    options = {"sector": "23-24", "limit": 200, "out": tmp_path / "data", "format": file_format}

    def build(*, dry_run: bool) -> tessloom.Report:
        return tessloom.build(
            ["tglc", "spoc"],
            archive=server.address,
            dry_run=dry_run,
            **options,  # type: ignore[arg-type]
        )

    planned = build(dry_run=True)
    assert not (tmp_path / "data").exists()
    built = build(dry_run=False)
    assert built.complete
    for status, estimate in zip(built.sectors, planned.estimates, strict=True):
        assert estimate is not None
        assert estimate.seconds > 0
        assert estimate.sampled >= 100
        fetched = list(demo_paths(status.pipeline, status.sector).values())[: status.asked]
        sent = sum(len(_body(server, path)) for path in fetched)
        assert estimate.download == pytest.approx(sent, rel=0.05)
    disk = sum(path.stat().st_size for path in partition_files(tmp_path / "data").values())
    expected = sum(estimate.disk for estimate in planned.estimates if estimate)
    assert expected == pytest.approx(disk, rel=0.25)
    assert build(dry_run=True).estimates == [None] * 4


def _body(server: DemoServer, path: str) -> bytes:
    from support import fetch

    return fetch(server.address + path)


def test_a_dry_run_says_what_it_takes_in_all(server: DemoServer, tmp_path: Path) -> None:
    done = run(
        *("build", "qlp", "tglc", "--sector", "23", "--limit", 10, "--out", tmp_path / "data"),
        *("--archive", server.address, "--dry-run"),
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "10 light curves to fetch): " in lines[0]
    assert lines[2].startswith("In all: 20 light curves to fetch: ")
    assert "MB to download" in lines[2]
    assert "on disk" in lines[2]
    assert not (tmp_path / "data").exists()
