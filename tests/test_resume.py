"""A build that is stopped, however and whenever, is continued by the same command."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import tessloom
from support import COMMAND, contents, partial_files, partition_files, run, stamps
from tessloom.demo import DemoServer, Faults
from tessloom.pipelines import QLP

LIMIT = 50
# A part of the files takes longer, so that a build is under way when it is stopped.
SLOW = Faults(slow=0.2, delay=0.8)


@pytest.fixture(scope="module")
def uninterrupted(server: DemoServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the light-curve files of a build that nothing stopped."""
    out = tmp_path_factory.mktemp("uninterrupted")
    assert go_on(out, server).complete
    return contents(out)


def command(out: Path, archive: DemoServer, workers: int = 1) -> list[str]:
    return [
        *("build", "qlp", "--sector", "23", "--limit", str(LIMIT), "--out", str(out)),
        *("--archive", archive.address, "--workers", str(workers)),
    ]


def go_on(out: Path, archive: DemoServer) -> tessloom.Report:
    """Make the call that `command` makes, in this process."""
    return tessloom.build("qlp", sector=23, limit=LIMIT, out=out, archive=archive.address)


@contextmanager
def started(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Start a build in a process group of its own; none of it is left in the end."""
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    """Wait for a condition while a process runs; fail if it ends before."""
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, f"the build ended too early: {process.communicate()}"
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.001)


MOMENTS: dict[str, Callable[[Path, DemoServer], bool]] = {
    "the lists are being read": lambda _, archive: sum(archive.requests.values()) >= 1,
    "files are being fetched": lambda _, archive: sum(archive.requests.values()) >= 10,
    "a file is half written": lambda out, _: bool(partial_files(out)),
    "one partition is finished": lambda out, _: len(partition_files(out)) >= 1,
    "several partitions are finished": lambda out, _: len(partition_files(out)) >= 8,
}


@pytest.mark.parametrize(
    ("moment", "workers"),
    [
        *((moment, 1) for moment in MOMENTS),
        ("files are being fetched", 2),
        ("several partitions are finished", 2),
    ],
)
def test_a_killed_build_is_continued_and_ends_in_the_same_bytes(
    moment: str, workers: int, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "data"
    with DemoServer(SLOW) as archive:
        with started(command(out, archive, workers)) as process:
            wait_until(lambda: MOMENTS[moment](out, archive), process)
            process.kill()
            # The pipes come to their end when the last worker is gone too.
            process.communicate(timeout=30)
            assert process.returncode == -signal.SIGKILL
        finished = stamps(out)
        assert len(finished) < len(uninterrupted)
        assert {name: body for name, (_, body) in finished.items()}.items() <= uninterrupted.items()

        assert go_on(out, archive).complete
    assert contents(out) == uninterrupted
    assert {name: stamps(out)[name] for name in finished} == finished
    assert not partial_files(out)


def test_a_build_that_is_killed_again_and_again_comes_to_its_end(
    uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "data"
    with DemoServer(SLOW) as archive:
        for count in (1, 5):
            archive.requests.clear()  # so that the archive is as slow as at first
            with started(command(out, archive)) as process:
                wait_until(lambda count=count: len(partition_files(out)) >= count, process)  # type: ignore[misc]
                process.kill()
        assert go_on(out, archive).complete
    assert contents(out) == uninterrupted
    assert not partial_files(out)


def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    out = tmp_path / "data"
    with DemoServer(Faults(slow=1, delay=20)) as archive:
        lists = {path.format(sector=23): 1 for path in (QLP.script, QLP.target_list)}
        archive.requests.update(lists)  # so that only the light curves are slow

        def fetching() -> bool:
            return bool(set(archive.requests) - set(lists))

        with started(command(out, archive, workers=2)) as process:
            wait_until(fetching, process)
            process.kill()
            start = time.monotonic()
            process.communicate(timeout=15)  # the pipes end with the last process that holds them
            assert time.monotonic() - start < 15
    assert not partition_files(out)


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Return the process ids of a build's workers, as Linux tells them."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [
        int(child)
        for child in children
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_a_worker_that_is_killed_stops_the_build_with_a_clear_error(tmp_path: Path) -> None:
    with DemoServer(SLOW) as archive, started(command(tmp_path, archive, workers=2)) as process:
        wait_until(lambda: len(workers_of(process)) == 2, process)
        os.kill(workers_of(process)[0], signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    # A worker that was still being started may say on its own that its parent is gone.
    said = [line for line in errors.splitlines() if line.startswith("tessloom: ")]
    assert len(said) == 1
    assert said[0].startswith("tessloom: a worker was ended from outside")


def test_a_finished_build_run_again_does_nothing_and_says_so(
    server: DemoServer, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    assert run(*command(tmp_path, server)).returncode == 0
    before = stamps(tmp_path)
    done = run(*command(tmp_path, server))
    assert done.returncode == 0
    assert "Nothing was left to do." in done.stdout
    assert stamps(tmp_path) == before
    assert contents(tmp_path) == uninterrupted


def test_of_two_builds_at_once_the_second_stops_with_a_clear_error(tmp_path: Path) -> None:
    with (
        DemoServer(Faults(slow=1, delay=30)) as archive,
        started(command(tmp_path, archive)) as first,
    ):
        wait_until(lambda: bool(archive.requests), first)
        second = run(*command(tmp_path, archive))
        assert first.poll() is None
        first.kill()
    assert second.returncode == 3
    assert "another tessloom build is writing to" in second.stderr
    assert str(tmp_path) in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_a_build_and_leaves_nothing_half_written(
    workers: int, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "data"
    with DemoServer(SLOW) as archive:
        with started(command(out, archive, workers)) as process:
            wait_until(lambda: len(partition_files(out)) >= 1, process)
            os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to every process
            _, errors = process.communicate(timeout=30)
        assert process.returncode == 130, errors
        assert "the same command continues" in errors
        assert "Traceback" not in errors
        assert not partial_files(out)
        assert go_on(out, archive).complete
    assert contents(out) == uninterrupted


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_a_build_that_waits_for_an_archive_that_is_down(
    workers: int, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with DemoServer(SLOW) as archive:
        arguments = [*command(tmp_path / "data", archive, workers), "--log-file", str(log)]
        with started(arguments) as process:
            wait_until(lambda: archive.requests.total() > 10, process)
            archive.faults = Faults(down=True)
            wait_until(lambda: "is down" in log.read_text(), process)
            os.killpg(process.pid, signal.SIGINT)
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "the same command continues where it stopped" in errors
    assert not partial_files(tmp_path)
