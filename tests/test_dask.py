"""A Dask cluster builds the same files as one machine, also when one of its workers dies."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import tessloom
from support import COMMAND, contents, partial_files, partition_files, run
from tessloom import Progress
from tessloom.demo import DemoServer, Faults
from tessloom.errors import RequestError
from tessloom.pipelines import Pipeline
from test_resume import wait_until

LIMIT = 60
SECTORS = [23, 24]
SLOW = Faults(slow=0.3, delay=0.5)


@pytest.fixture(scope="module")
def on_one_machine(
    server: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """Return the light-curve files of an ordinary build."""
    out = tmp_path_factory.mktemp("one")
    options: dict[str, Any] = {"sector": SECTORS, "limit": LIMIT, "workers": 1}
    assert tessloom.build(["qlp", "tglc"], out=out, archive=server.address, **options).complete
    return contents(out)


def command(out: Path, archive: DemoServer, dask: str, *options: object) -> list[str]:
    return [
        *("build", "qlp", "tglc", "--sector", "23-24", "--limit", str(LIMIT), "--out", str(out)),
        *("--archive", archive.address, "--dask", dask, *map(str, options)),
    ]


@dataclass
class Cluster:
    """A scheduler and its workers, each a process of its own, as on several machines."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """Start a cluster; no worker is watched over, so one that dies stays dead."""
    dask = [sys.executable, "-m", "dask"]
    address_file = folder / "scheduler.json"
    with ExitStack() as stack:
        log = stack.enter_context((folder / "log").open("ab"))

        def start(*arguments: object) -> subprocess.Popen[bytes]:
            process = stack.enter_context(
                subprocess.Popen(
                    [*dask, *map(str, arguments), "--no-dashboard"],
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    cwd=folder,  # not where the build is started
                )
            )
            stack.callback(process.kill)
            return process

        scheduler = start(
            *("scheduler", "--host", "127.0.0.1", "--port", 0, "--scheduler-file", address_file)
        )
        wait_until(address_file.exists, scheduler)  # it is put in place whole
        crew = [
            start(
                *("worker", "--scheduler-file", address_file, "--host", "127.0.0.1"),
                *("--nthreads", 1, "--no-nanny"),
            )
            for _ in range(workers)
        ]
        from distributed import Client

        with Client(scheduler_file=str(address_file), set_as_default=False) as client:
            if workers:
                client.wait_for_workers(workers, timeout=60)
            yield Cluster(client.scheduler.address, scheduler, crew)


def test_a_cluster_writes_the_same_bytes_as_one_machine(
    server: DemoServer, on_one_machine: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "data"
    with cluster(tmp_path, 2) as dask:
        done = run(*command(out, server, dask.address))
    assert done.returncode == 0, done.stderr
    assert contents(out) == on_one_machine
    assert not partial_files(out)
    assert "complete" in done.stdout


def test_when_a_worker_dies_others_repeat_what_it_had_in_hand_and_nothing_else(
    on_one_machine: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "data"
    # Every file is slow, so that a worker that has a partition waits for files of it: where some
    # were fast, one could be killed that had just ended a partition and asked for nothing yet.
    with DemoServer(Faults(slow=1, delay=1.5)) as archive, cluster(tmp_path, 3) as dask:
        arguments = [*COMMAND, *command(out, archive, dask.address)]
        with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as build:
            wait_until(lambda: len(partition_files(out)) >= 8, build)
            dask.workers[0].send_signal(signal.SIGKILL)
            assert dask.workers[0].wait() == -signal.SIGKILL
            finished = {path: path.stat().st_mtime_ns for path in partition_files(out).values()}
            _, errors = build.communicate(timeout=120)
        assert build.returncode == 0, errors
        asked = archive.requests.copy()
    assert contents(out) == on_one_machine
    assert not partial_files(out)
    # What it had in hand was asked for again. What was finished was not: most files came once.
    unchanged = sum(path.stat().st_mtime_ns == before for path, before in finished.items())
    assert unchanged >= len(finished) - 4
    light_curves = {path: count for path, count in asked.items() if path.endswith(".fits")}
    assert 0 < sum(count > 1 for count in light_curves.values()) < len(light_curves) / 2


def test_a_build_on_a_cluster_that_is_killed_is_continued_by_the_same_command(
    on_one_machine: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "data"
    with DemoServer(SLOW) as archive, cluster(tmp_path, 2) as dask:
        arguments = [*COMMAND, *command(out, archive, dask.address)]
        with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as build:
            wait_until(lambda: len(partition_files(out)) >= 4, build)
            build.kill()
        done = run(*command(out, archive, dask.address))
    assert done.returncode == 0, done.stderr
    assert contents(out) == on_one_machine


class Maintenance(Progress):
    """Takes the archive down before light curves are fetched, and ends that once it is said."""

    def __init__(self, archive: DemoServer) -> None:
        self._archive = archive
        self.said: list[str] = []

    def start(self, pipeline: Pipeline, sector: int, targets: int) -> None:  # noqa: ARG002
        self._archive.faults = Faults(down=True)

    def say(self, text: str) -> None:
        self.said.append(text)
        self._archive.faults = Faults()


def test_what_workers_say_of_the_archive_reaches_whoever_watches(tmp_path: Path) -> None:
    with DemoServer() as archive, cluster(tmp_path, 1) as dask:
        progress = Maintenance(archive)
        report = tessloom.build(
            "qlp",
            sector=23,
            limit=20,
            out=tmp_path / "data",
            archive=archive.address,
            dask=dask.address,
            progress=progress,
            policy=tessloom.RetryPolicy(wait=0.01, down_after=3, ask_again=0.05),
        )
    assert report.complete
    assert any("is down" in text for text in progress.said)


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_any_executor_will_do(
    kind: type[Executor], server: DemoServer, on_one_machine: dict[str, bytes], tmp_path: Path
) -> None:
    if kind is ProcessPoolExecutor:
        import multiprocessing

        executor: Executor = ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))
    else:
        executor = ThreadPoolExecutor(2)
    with executor:
        report = tessloom.build(
            ["qlp", "tglc"],
            sector=SECTORS,
            limit=LIMIT,
            out=tmp_path,
            archive=server.address,
            executor=executor,
            workers=2,
        )
    assert report.complete
    assert contents(tmp_path) == on_one_machine


def test_a_cluster_of_this_machine_is_one_word(
    server: DemoServer, on_one_machine: dict[str, bytes], tmp_path: Path
) -> None:
    done = run(*command(tmp_path, server, "local", "--workers", 2))
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path) == on_one_machine


@pytest.mark.parametrize("address", [" ", "nonsense", "http://127.0.0.1:1", "tcp://"])
def test_what_is_no_address_of_a_scheduler_is_said_at_once(address: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is not the address of a Dask scheduler"):
        tessloom.build("qlp", sector=23, limit=1, out=tmp_path, archive="demo", dask=address)


def test_memory_is_not_shared_with_a_cluster(server: DemoServer) -> None:
    with pytest.raises(RequestError, match="other processes can't write to memory://"):
        tessloom.build(
            "qlp", sector=23, limit=1, out="memory://x", archive=server.address, dask="local"
        )


def test_no_scheduler_is_a_wrong_call(server: DemoServer, tmp_path: Path) -> None:
    quick = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1s"}
    done = run(*command(tmp_path / "data", server, "tcp://127.0.0.1:9"), **quick)
    assert done.returncode == 2
    assert "there is no Dask scheduler at 'tcp://127.0.0.1:9'" in done.stderr
    assert "Traceback" not in done.stderr


ADAPTING = """
import sys
import tessloom
from distributed import Client, LocalCluster

class Said(tessloom.Progress):
    def say(self, text):
        print(text)

if __name__ == "__main__":
    out, archive, limit = sys.argv[1:]
    with (
        LocalCluster(n_workers=0, threads_per_worker=2, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        cluster.adapt(minimum=0, maximum=2, interval="100ms")
        options = {"sector": [23, 24], "limit": int(limit), "out": out, "archive": archive}
        report = tessloom.build(["qlp", "tglc"], dask=client, progress=Said(), **options)
    assert report.complete
"""


def test_a_cluster_that_adapts_gets_workers_when_there_is_work(
    server: DemoServer, on_one_machine: dict[str, bytes], tmp_path: Path
) -> None:
    script = tmp_path / "adapting.py"
    script.write_text(ADAPTING, "utf-8")
    arguments = [str(tmp_path / "data"), server.address, str(LIMIT)]
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "data") == on_one_machine
    assert "the cluster has no workers: the build waits for some" in done.stdout


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_the_same_command_at_once_after_the_end_of_a_build_takes_over(
    kind: signal.Signals, on_one_machine: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "data"
    # Files take so long that workers still have partitions in hand when the second build begins.
    with DemoServer(Faults(slow=0.5, delay=3)) as archive, cluster(tmp_path, 2) as dask:
        arguments = [*COMMAND, *command(out, archive, dask.address)]
        with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as build:
            wait_until(lambda: sum(archive.requests.values()) >= 10, build)
            build.send_signal(kind)
            _, errors = build.communicate(timeout=60)
        assert build.returncode == (130 if kind == signal.SIGINT else -signal.SIGKILL)
        assert "Traceback" not in errors
        archive.faults = Faults()
        done = run(*command(out, archive, dask.address))
    assert done.returncode == 0, done.stderr
    assert contents(out) == on_one_machine


def test_a_scheduler_that_dies_stops_the_build_with_a_clear_error(tmp_path: Path) -> None:
    with DemoServer(SLOW) as archive, cluster(tmp_path, 1) as dask:
        arguments = [*COMMAND, *command(tmp_path / "data", archive, dask.address)]
        with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as build:
            wait_until(lambda: sum(archive.requests.values()) >= 10, build)
            dask.scheduler.kill()
            _, errors = build.communicate(timeout=120)
    assert build.returncode == 3
    assert "workers or their scheduler were ended from outside" in errors
    assert "The same command continues" in errors


def test_an_executor_says_how_many_tasks_it_runs_at_a_time(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as executor, pytest.raises(RequestError, match="say with workers"):
        tessloom.build("qlp", sector=23, out=tmp_path, archive="demo", executor=executor)


def test_files_that_workers_put_elsewhere_are_missed(
    server: DemoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tessloom.building.cluster._SEEN_WITHIN", 0.2)

    class Elsewhere(ThreadPoolExecutor):
        """Workers whose disk is not ours: what they write is not to be seen here."""

        def submit(self, fn: Any, /, *arguments: Any) -> Future[Any]:  # type: ignore[override]
            def work() -> Any:
                result = fn(*arguments)
                arguments[1].path.rename(tmp_path / "elsewhere")
                return result

            return super().submit(work)

    with (
        Elsewhere(1) as executor,
        pytest.raises(tessloom.errors.DatasetError, match="the same directory on all machines"),
    ):
        tessloom.build(
            "qlp",
            sector=23,
            limit=5,
            out=tmp_path / "data",
            archive=server.address,
            executor=executor,
            workers=1,
        )
