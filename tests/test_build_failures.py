"""Whatever goes wrong is a clear error or a recorded failure, and nothing that was had is lost."""

import io
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

import tessloom
from support import (
    COMMAND,
    contents,
    demo_paths,
    fetch,
    file_key,
    open_with_lsdb,
    opens_everywhere,
    partial_files,
    partition_files,
    read_table,
    receipts,
    run,
    same_rows,
    stamps,
    written_ids,
)
from tessloom import Progress, RetryPolicy
from tessloom.demo import DemoServer, Faults
from tessloom.errors import ArchiveError, DatasetError, RequestError, UnknownSectorError
from tessloom.pipelines import PIPELINES, Pipeline

MOUNT, UNMOUNT = (shutil.which(name) or name for name in ("mount", "umount"))
# Goes without waits, and gives up as soon as the archive is down.
AT_ONCE = RetryPolicy(wait=0.001, ask_again=0.01, give_up_after=0)
REASONS = {
    "missing": "missing",
    "html": "not-fits",
    "wrong": "wrong-target",
    "corrupt": "truncated",
}


def build(out: Path, archive: object, name: str = "qlp", **options: Any) -> tessloom.Report:
    address = archive.address if isinstance(archive, DemoServer) else str(archive)
    return tessloom.build(name, out=out, archive=address, **({"sector": 23} | options))


def first_paths(name: str, count: int, sector: int = 23) -> list[str]:
    return list(demo_paths(name, sector).values())[:count]


def folder_with(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files of the archive, wherever, by their names."""
    folder.mkdir()
    for path, body in files.items():
        (folder / path.rpartition("/")[2]).write_bytes(body)
    return folder


@pytest.mark.parametrize("fault", REASONS)
@pytest.mark.usefixtures("impatient")
def test_what_can_t_be_had_is_recorded_with_its_reason_and_the_rest_is_there(
    fault: str, tmp_path: Path
) -> None:
    faults = Faults.parse(f"{fault}=0.25")
    paths = first_paths("qlp", 40)
    lost = sorted(file_key("qlp", path)[0] for path in paths if faults.hit(fault, path))
    kept = sorted(file_key("qlp", path)[0] for path in paths if not faults.hit(fault, path))
    assert lost
    assert kept
    with DemoServer(faults) as server:
        report = build(tmp_path, server, limit=40)
    assert written_ids(tmp_path, "qlp") == kept
    assert not report.complete
    for failures in (
        report.sectors[0].failures,
        tessloom.read_status(tmp_path)[0].failures,
        [failure for receipt in receipts(tmp_path).values() for failure in receipt.failures],
    ):
        assert sorted(failure.id for failure in failures) == lost
        assert {failure.reason for failure in failures} == {REASONS[fault]}
        assert all(failure.detail and failure.path in paths for failure in failures)
    assert f"{len(lost)} {REASONS[fault]}" in str(report)
    assert report.sectors[0].missing == 0


PASSING = (
    "busy",
    "busy_until",
    "unavailable",
    "html_once",
    "wrong_once",
    "garbled",
    "truncated",
    "unannounced",
    "reset",
    "cut",
    "stalled",
    "slow_body",
    "slow",
)


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_leaves_no_trace(
    fault: str, server: DemoServer, tmp_path: Path
) -> None:
    # Of the three pipelines' files, TESS-SPOC's have the check sums by which garbling is noticed.
    policy = RetryPolicy(wait=0.001, silence=0.3)
    build(tmp_path / "sound", server, "spoc", limit=20)
    with DemoServer(Faults.parse(f"{fault}=1,retry_after=0.1,delay=0.1")) as troubled:
        report = build(tmp_path / "healed", troubled, "spoc", limit=20, policy=policy)
        fetched = [troubled.requests[path] for path in first_paths("spoc", 20)]
        assert min(fetched) == (1 if fault.startswith("slow") else 2)
    assert report.complete
    assert contents(tmp_path / "healed") == contents(tmp_path / "sound")


def test_a_partition_of_which_nothing_could_be_had_keeps_its_receipt(tmp_path: Path) -> None:
    with DemoServer(Faults(missing=0.7)) as server:
        report = build(tmp_path / "data", server, limit=30)
    empty = {
        name: receipt
        for name, receipt in receipts(tmp_path / "data").items()
        if not receipt.written
    }
    assert empty
    for name, receipt in empty.items():
        assert pq.ParquetFile(tmp_path / "data" / name).num_row_groups == 0
        assert len(receipt.failures) == receipt.asked > 0
    opens_everywhere(tmp_path / "data", "qlp", report.sectors[0].written, tmp_path / "cache")


def test_a_sector_of_which_nothing_could_be_had_keeps_its_receipts(tmp_path: Path) -> None:
    from hats.io.validation import is_valid_catalog

    with DemoServer(Faults(missing=1)) as server:
        report = build(tmp_path, server, limit=10)
    assert (report.sectors[0].written, len(report.sectors[0].failures)) == (0, 10)
    assert len(tessloom.read_status(tmp_path)[0].failures) == 10
    assert sum(len(receipt.failures) for receipt in receipts(tmp_path).values()) == 10
    assert is_valid_catalog(tmp_path / "qlp", strict=True, verbose=False)
    # Not computed: nested-pandas 0.7 can't put together partitions that are all empty.
    assert "lightcurve" in open_with_lsdb(tmp_path / "qlp").columns
    assert len(read_table(tmp_path, "qlp")) == 0


def test_a_sector_of_which_no_target_can_be_placed_is_a_record_of_failures(tmp_path: Path) -> None:
    with DemoServer(Faults(nan=1, missing=1)) as lost:
        report = build(tmp_path, lost, limit=3)
    assert report.sectors[0].reasons() == {"missing": 3}
    assert "Nothing was left" not in str(report)
    assert tessloom.read_status(tmp_path) == report.sectors


def test_a_sector_of_which_nothing_could_be_had_does_not_keep_the_others_from_loading(
    server: DemoServer, tmp_path: Path
) -> None:
    build(tmp_path / "data", server, limit=10)
    with DemoServer(Faults(missing=1)) as emptied:
        build(tmp_path / "data", emptied, sector=24, limit=10)
    opens_everywhere(tmp_path / "data", "qlp", 10, tmp_path / "cache")


def test_a_target_named_twice_is_taken_once_and_counted(tmp_path: Path) -> None:
    with DemoServer(Faults(duplicate=1)) as server:
        report = build(tmp_path, server, limit=10)
        assert all(count == 1 for count in server.requests.values())
    ids = [file_key("qlp", path)[0] for path in first_paths("qlp", 10)]
    assert written_ids(tmp_path, "qlp") == sorted(ids)
    assert report.complete
    assert "named more than once" in str(report)


@pytest.mark.parametrize("fault", ["nan", "unlisted"])
def test_a_target_without_coordinates_in_the_list_is_placed_by_its_header(
    fault: str, server: DemoServer, tmp_path: Path
) -> None:
    build(tmp_path / "sound", server, limit=12)
    with DemoServer(Faults.parse(f"{fault}=0.5")) as odd:
        report = build(tmp_path / "odd", odd, limit=12)
    assert report.complete
    assert "not in the target list or have no position there" in str(report)
    assert same_rows(*(read_table(tmp_path / which, "qlp") for which in ("sound", "odd")))


def test_a_list_without_a_single_row_is_no_obstacle(tmp_path: Path) -> None:
    with DemoServer(Faults(unlisted=1)) as server:
        assert build(tmp_path, server, "tglc", limit=5).complete


def test_a_target_of_the_list_without_a_file_is_a_recorded_failure(tmp_path: Path) -> None:
    faults = Faults(unscripted=0.95)
    lost = [path for path in demo_paths("spoc", 23).values() if faults.hit("unscripted", path)]
    with DemoServer(faults) as server:
        report = build(tmp_path, server, "spoc")
    failures = report.sectors[0].failures
    assert sorted(failure.id for failure in failures) == sorted(
        file_key("spoc", path)[0] for path in lost
    )
    assert {failure.reason for failure in failures} == {"not-listed"}
    assert report.sectors[0].written == len(demo_paths("spoc", 23)) - len(lost) > 0


def test_an_archive_that_is_down_for_too_long_is_an_error_with_its_address(tmp_path: Path) -> None:
    with DemoServer(Faults(down=True)) as server:
        with pytest.raises(ArchiveError) as caught:
            build(tmp_path, server, limit=10, policy=AT_ONCE)
        assert server.address in str(caught.value)
    assert "503" in str(caught.value)
    assert "run the same command again later" in str(caught.value)
    assert not partition_files(tmp_path)


@pytest.mark.usefixtures("impatient")
def test_an_archive_that_can_t_be_reached_is_an_error_that_names_the_demo(tmp_path: Path) -> None:
    with DemoServer() as gone:
        address = gone.address
    with pytest.raises(ArchiveError, match="--archive demo") as caught:
        build(tmp_path, address, limit=10)
    assert address in str(caught.value)
    assert isinstance(caught.value, OSError)


class Cutter(Progress):
    """Does something when a sector is to be fetched and all before have come; keeps what is said.

    Attributes
    ----------
    said
        What a person would have read.
    """

    def __init__(self, cut: Callable[[], object], sector: int) -> None:
        self._cut = cut
        self._sector = sector
        self._to_come = 0
        self._changed = threading.Condition()
        self.said: list[str] = []

    def start(self, pipeline: Pipeline, sector: int, targets: int) -> None:  # noqa: ARG002
        with self._changed:
            if sector == self._sector:
                assert self._changed.wait_for(lambda: self._to_come == 0, timeout=60)
                self._cut()
            self._to_come += targets

    def advance(self, done: int, failed: int) -> None:  # noqa: ARG002
        with self._changed:
            self._to_come -= done
            self._changed.notify_all()

    def say(self, text: str) -> None:
        self.said.append(text)


def test_an_archive_that_goes_away_leaves_what_is_finished(tmp_path: Path) -> None:
    out = tmp_path / "data"
    with ExitStack() as stack:
        doomed = stack.enter_context(DemoServer())
        progress = Cutter(stack.close, 24)
        with pytest.raises(ArchiveError, match=r"the archive is down: http://127\.0\.0\.1"):
            build(out, doomed, sector=[23, 24], limit=40, progress=progress, policy=AT_ONCE)
    assert written_ids(out, "qlp", 23) == sorted(
        file_key("qlp", path)[0] for path in first_paths("qlp", 40)
    )
    assert not partial_files(out)
    opens_everywhere(out, "qlp", 40, tmp_path / "cache")
    done, undone = tessloom.read_status(out)
    assert (done.complete, undone.complete, undone.written) == (True, False, 0)


def test_the_same_call_goes_on_when_an_archive_that_went_away_is_back(
    server: DemoServer, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        doomed = stack.enter_context(DemoServer())
        progress = Cutter(stack.close, 24)
        with pytest.raises(ArchiveError, match="run the same command again later"):
            build(tmp_path, doomed, sector=[23, 24], limit=40, progress=progress, policy=AT_ONCE)
    before = {name: stamp for name, stamp in stamps(tmp_path).items() if "s0023" in name}
    report = build(tmp_path, server, sector=[23, 24], limit=40)
    assert report.complete
    assert {name: stamps(tmp_path)[name] for name in before} == before


class Maintenance(Cutter):
    """Takes the archive down before a sector is fetched, and ends that once it is said."""

    def __init__(self, server: DemoServer, sector: int) -> None:
        super().__init__(lambda: setattr(server, "faults", Faults(down=True)), sector)
        self._server = server

    def say(self, text: str) -> None:
        super().say(text)
        self._server.faults = Faults()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_maintenance_window_is_waited_out_with_a_message_and_without_a_loss(
    workers: int, server: DemoServer, tmp_path: Path
) -> None:
    build(tmp_path / "undisturbed", server, limit=60)
    with DemoServer() as troubled:
        progress = Maintenance(troubled, 23)
        policy = replace(AT_ONCE, give_up_after=600)
        out = tmp_path / "data"
        report = build(out, troubled, limit=60, workers=workers, progress=progress, policy=policy)
    assert report.complete
    assert contents(out) == contents(tmp_path / "undisturbed")
    assert any("is down (HTTP 503" in text for text in progress.said)
    assert any("answers again" in text for text in progress.said)


@pytest.mark.parametrize("name", ["qlp", "tglc", "spoc"])
def test_an_unknown_sector_is_answered_with_those_that_exist(
    name: str, server: DemoServer, tmp_path: Path
) -> None:
    with pytest.raises(UnknownSectorError, match=r"no sector 77.*23-24") as caught:
        build(tmp_path, server, name, sector=77)
    assert isinstance(caught.value, LookupError)
    assert "1426" not in str(caught.value)


@pytest.fixture(params=["a limit on file sizes", "a small file system"])
def full_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield a directory, and the start of a command line under which its disk is full."""
    out = tmp_path / "data"
    if request.param == "a limit on file sizes":
        yield out, ["bash", "-c", 'ulimit -f 40; exec "$@"', "bash"]
        return
    out.mkdir()
    mount = [MOUNT, "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(out)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    yield out, []
    subprocess.run([UNMOUNT, str(out)], check=True)


@pytest.mark.parametrize("file_format", ["parquet", "hdf5"])
def test_a_full_disk_is_a_clear_error_and_the_build_goes_on_when_there_is_room(
    full_disk: tuple[Path, list[str]], server: DemoServer, tmp_path: Path, file_format: str
) -> None:
    out, start = full_disk
    command = ["build", "qlp", "--sector", "23", "--limit", "60", "--archive", server.address]
    command += ["--format", file_format]
    stopped = subprocess.run(
        [*start, *COMMAND, *command, "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert stopped.returncode == 3, stopped.stderr
    assert stopped.stderr.count("tessloom: can't write") == 1
    assert "what is finished is kept" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert not partial_files(out)

    before = stamps(out)
    if out.is_mount():
        subprocess.run([MOUNT, "-o", "remount,size=50m", str(out)], check=True)
    assert run(*command, "--out", out).returncode == 0
    assert {name: stamps(out)[name] for name in before} == before
    build(tmp_path / "at_once", server, limit=60, format=file_format)
    assert contents(out)
    assert contents(out) == contents(tmp_path / "at_once")


def test_a_directory_with_somebody_s_readme_is_refused(server: DemoServer, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("My thesis.\n", "utf-8")
    with pytest.raises(DatasetError, match=r"README\.md was not written by tessloom"):
        build(tmp_path, server, limit=3)
    assert (tmp_path / "README.md").read_text("utf-8") == "My thesis.\n"
    assert not partition_files(tmp_path)


def test_synthetic_and_real_light_curves_are_not_mixed(tmp_path: Path, realdata: Path) -> None:
    build(tmp_path / "synthetic", "demo", limit=3)
    build(tmp_path / "real", realdata, sector=24)
    before = contents(tmp_path)
    with pytest.raises(DatasetError, match="must not be mixed"):
        build(tmp_path / "synthetic", realdata, sector=24)
    with pytest.raises(DatasetError, match="must not be mixed"):
        build(tmp_path / "real", "demo", limit=3)
    assert contents(tmp_path) == before


def test_light_curves_from_a_served_demo_archive_are_synthetic_too(
    server: DemoServer, tmp_path: Path, realdata: Path
) -> None:
    build(tmp_path, server, limit=3)
    with pytest.raises(DatasetError, match="must not be mixed"):
        build(tmp_path, realdata, sector=24)


def test_a_damaged_file_is_named_and_can_be_built_again(server: DemoServer, tmp_path: Path) -> None:
    build(tmp_path, server, limit=10)
    before = contents(tmp_path)
    name, path = next(iter(partition_files(tmp_path).items()))
    path.write_bytes(before[name][:-100])
    for call in (lambda: build(tmp_path, server, limit=10), lambda: tessloom.read_status(tmp_path)):
        with pytest.raises(DatasetError, match=r"damaged.*remove it and run") as e:
            call()
        assert str(path) in str(e.value)
    path.unlink()
    assert build(tmp_path, server, limit=10).built == 1
    assert contents(tmp_path) == before


def test_a_damaged_listing_is_named_and_can_be_read_again(
    server: DemoServer, tmp_path: Path
) -> None:
    build(tmp_path, server, limit=10)
    before = stamps(tmp_path)
    listing = tmp_path / "qlp" / "listing" / "s0023.parquet"
    listing.write_bytes(listing.read_bytes()[:-10])
    with pytest.raises(DatasetError, match=r"listing/s0023\.parquet is damaged"):
        build(tmp_path, server, limit=10)
    listing.unlink()
    assert build(tmp_path, server, limit=10).built == 0
    assert stamps(tmp_path) == before


def test_a_fits_column_that_is_not_known_is_named_and_counted(
    server: DemoServer, tmp_path: Path
) -> None:
    one, other = first_paths("qlp", 2)
    body = io.BytesIO()
    with fits.open(io.BytesIO(fetch(server.address + one))) as hdus:
        novel = fits.Column("NOVEL_FLUX", "E", array=np.ones(len(hdus[1].data), np.float32))
        hdus[1] = fits.BinTableHDU.from_columns(hdus[1].columns + novel, header=hdus[1].header)
        hdus.writeto(body)
    files = {one: body.getvalue(), other: fetch(server.address + other)}
    report = build(tmp_path / "data", folder_with(tmp_path / "files", files))
    assert report.complete
    assert report.sectors[0].unknown_columns == {"NOVEL_FLUX": 1}
    assert "NOVEL_FLUX (1 files)" in str(report)
    counts = [receipt.unknown_columns for receipt in receipts(tmp_path / "data").values()]
    assert counts.count({"NOVEL_FLUX": 1}) == 1
    assert "NOVEL_FLUX" in run("status", tmp_path / "data").stdout


def test_files_that_can_t_be_read_are_recorded_failures(server: DemoServer, tmp_path: Path) -> None:
    paths = first_paths("spoc", 6)
    sound = {path: fetch(server.address + path) for path in paths}
    files = {
        paths[0]: sound[paths[0]],
        paths[1]: b"",
        paths[2]: b"SIMPLE  = what" * 1000,
        paths[3]: sound[paths[3]][:40_000],
        paths[4]: sound[paths[0]],
    }
    folder = folder_with(tmp_path / "files", files)
    (folder / paths[5].rpartition("/")[2]).symlink_to(tmp_path / "nowhere")
    report = build(tmp_path / "data", folder, "spoc")
    reasons = {failure.id: failure.reason for failure in report.sectors[0].failures}
    ids = [file_key("spoc", path)[0] for path in paths]
    assert written_ids(tmp_path / "data", "spoc") == ids[:1]
    assert set(reasons) == set(ids[1:])
    assert reasons[ids[1]] == "not-fits"
    assert reasons[ids[3]] == "truncated"
    assert reasons[ids[4]] == "wrong-target"
    assert reasons[ids[5]] == "missing"


def test_a_star_without_a_position_anywhere_is_a_recorded_failure(
    server: DemoServer, tmp_path: Path
) -> None:
    one, other = first_paths("qlp", 2)
    body = io.BytesIO()
    with fits.open(io.BytesIO(fetch(server.address + one))) as hdus:
        hdus[0].header["RA_OBJ"] = "NaN"
        hdus.writeto(body)
    files = {one: body.getvalue(), other: fetch(server.address + other)}
    report = build(tmp_path / "data", folder_with(tmp_path / "files", files))
    (failure,) = report.sectors[0].failures
    assert (failure.id, failure.reason) == (file_key("qlp", one)[0], "no-coordinates")
    assert report.sectors[0].written == 1


def test_a_script_that_points_outside_its_directory_writes_nothing_there(
    server: DemoServer, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    paths = first_paths("qlp", 3)
    lines = ["#!/bin/sh"]
    for number, path in enumerate(paths):
        (archive / path).parent.mkdir(parents=True, exist_ok=True)
        (archive / path).write_bytes(fetch(server.address + path))
        name = path.rpartition("/")[2]
        outside = (f"../../../{name}", f"{tmp_path}/evil/{name}", f"s0023/../../../../{name}")
        lines.append(
            f"curl -f --create-dirs --output '{outside[number]}' "
            f"'https://archive.stsci.edu/hlsps/../../{outside[number]}'"
        )
    script = archive / PIPELINES["qlp"].script.format(sector=23)
    script.parent.mkdir(parents=True)
    script.write_text("\n".join(lines) + "\n", "ascii")
    before = {path for path in tmp_path.rglob("*") if path.is_file()}

    inside = tmp_path / "a" / "b" / "c"
    report = build(inside / "data", archive, keep_fits=inside / "kept")
    assert report.complete
    assert report.sectors[0].written == 3
    assert "point outside their directory" in str(report)
    after = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert all(path.is_relative_to(inside) for path in after - before)
    kept = {p.relative_to(inside / "kept").as_posix() for p in inside.rglob("*.fits")}
    assert kept == set(paths)


def test_a_maintenance_page_in_place_of_every_file_is_waited_out_from_the_start(
    tmp_path: Path, server: DemoServer
) -> None:
    build(tmp_path / "sound", server, limit=60)
    with DemoServer(Faults(html=1)) as archive:
        progress = Cutter(lambda: None, 0)
        ended: list[str] = []

        def end(text: str) -> None:
            ended.append(text)
            archive.faults = Faults()

        progress.say = end  # type: ignore[method-assign]
        policy = replace(AT_ONCE, give_up_after=600, down_after=5)
        first = build(tmp_path / "data", archive, limit=60, progress=progress, policy=policy)
        assert "is down" in ended[0]
        assert first.sectors[0].written > 0
        # The few that were answered before that was known are asked for by the next build.
        assert set(first.sectors[0].reasons()) <= {"not-fits"}
        assert build(tmp_path / "data", archive, limit=60).complete
    assert contents(tmp_path / "data") == contents(tmp_path / "sound")


def test_a_file_of_another_pixel_is_named_and_not_built_upon(
    server: DemoServer, tmp_path: Path
) -> None:
    build(tmp_path, server, limit=30)
    one, other = list(partition_files(tmp_path).values())[:2]
    one.rename(tmp_path / "kept")
    other.rename(one)
    (tmp_path / "kept").rename(other)
    with pytest.raises(DatasetError, match=r"belongs elsewhere: .* Remove it"):
        build(tmp_path, server, limit=30)


def test_a_log_on_a_full_disk_is_a_clear_error(server: DemoServer, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs Linux's /dev/full")
    with pytest.raises(DatasetError, match="can't write /dev/full: No space left"):
        build(tmp_path, server, limit=3, log_file="/dev/full")


@pytest.mark.parametrize(
    "knobs",
    [
        {"attempts": 0},
        {"attempts": 2.5},
        {"first_window": -5},
        {"give_up_after": float("nan")},
        {"silence": "x"},
        {"decrease": 5},
        {"most_bytes": 0},
    ],
)
def test_a_policy_that_makes_no_sense_is_a_wrong_call(knobs: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=f"RetryPolicy: {next(iter(knobs))}"):
        RetryPolicy(**knobs)


@pytest.mark.parametrize(
    "options",
    [
        {"archive": ""},
        {"sample": float("nan")},
        {"limit": 2.0},
        {"connections": "8"},
        {"redirect_hosts": ["http://a b"]},
    ],
)
def test_what_can_t_be_meant_is_a_wrong_call(options: dict[str, Any], tmp_path: Path) -> None:
    usual: dict[str, Any] = {
        "sector": 23,
        "out": tmp_path / "data",
        "archive": "http://127.0.0.1:1",
    }
    with pytest.raises(RequestError):
        tessloom.build("qlp", **(usual | options))
    assert not (tmp_path / "data").exists()
