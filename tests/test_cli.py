"""The command line: exit statuses, help, and what is printed where."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tessloom
from support import COMMAND, demo_paths, partition_files, run, written_ids
from tessloom.demo import DemoServer, Faults


@pytest.fixture(scope="module")
def built(server: DemoServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset with a complete sector and one with failures."""
    out = tmp_path_factory.mktemp("cli") / "data"
    tessloom.build("qlp", sector=23, out=out, archive=server.address, limit=5)
    with DemoServer(Faults(missing=0.5)) as broken:
        tessloom.build("qlp", sector=24, out=out, archive=broken.address, limit=40)
    return out


def test_a_complete_build_ends_with_0_and_says_how_to_open_it(
    server: DemoServer, tmp_path: Path
) -> None:
    done = run(
        *("build", "qlp", "-s", 23, "--limit", 3, "-o", tmp_path, "--archive", server.address)
    )
    assert done.returncode == 0, done.stderr
    assert "3 of 3 light curves" in done.stdout
    assert f'lsdb.open_catalog("{tmp_path}/qlp")' in done.stdout
    assert f'load_dataset("{tmp_path}", "qlp", split="s0023")' in done.stdout


def test_the_printed_python_opens_the_dataset(server: DemoServer, tmp_path: Path) -> None:
    done = run(
        *("build", "tglc", "-s", 23, "--limit", 3, "-o", tmp_path, "--archive", server.address)
    )
    lines = done.stdout.partition("Open it in Python:\n")[2].splitlines()
    code = "\n".join(line.strip() for line in lines if line.startswith("    "))
    assert "tessloom.open" in code
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(time.dtype, len(time) == len(flux), len(stars))"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("float64 True 3\n", "")


def test_a_build_with_failures_ends_with_1(tmp_path: Path) -> None:
    with DemoServer(Faults(missing=1)) as server:
        done = run(
            *("build", "qlp", "-s", 23, "--limit", 3, "-o", tmp_path, "--archive", server.address)
        )
    assert done.returncode == 1
    assert "3 failed (3 missing)" in done.stdout
    assert "To ask for them again: tessloom retry" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("build", "qlp", "--out", "x"), "--sector"),
        (("build", "--sector", 23, "--out", "x"), "PIPELINE"),
        (("build", "qlp", "--sector", 23), "--out"),
        (("build", "kepler", "--sector", 23, "--out", "x"), "kepler"),
        (("build", "qlp", "--sector", "every", "--out", "x"), "1-26 or 27-, or all"),
        (("build", "qlp", "--sector", "26-1", "--out", "x"), "ends before it begins"),
        (("build", "qlp", "--sector", 0, "--out", "x"), "numbered from 1"),
        (("build", "qlp", "--sector", 23, "--out", "x", "--archive", "http://"), "no host"),
        (("build", "qlp", "--sector", 23, "--out", "x", "--archive", "http://a:99999"), "99999"),
        (("build", "qlp", "--sector", 23, "--out", "x", "--archive", "nowhere"), "nowhere"),
        (("build", "qlp", "--sector", 23, "--out", "x", "--limit", 0), "at least 1"),
        (("build", "qlp", "--sector", 23, "--out", "x", "--sample", -4), "at least 1"),
        (("build", "qlp", "--sector", 23, "--out", "x", "--workers", 0), "at least 1"),
        (("build", "qlp", "--sector", 23, "--out", "x", "--tiny", "--limit", 5), "choose one"),
        (("build", "qlp", "--sector", 23, "--out", "x", "--limit", 5, "--sample", 5), "choose one"),
        (("build", "qlp", "--sector", 23, "--out", "x", "--targets", "none.txt"), "none.txt"),
        (("build", "qlp", "--sector", 23, "--out", "x", "--archive", "nowhere"), "demo, mast, s3"),
        (("build", "qlp", "--sector", 23, "--out", "x", "--turbo"), "--turbo"),
        (("weave",), "weave"),
        (("serve", "--port", 99999), "65535"),
        (("serve", "--faults", "tired=1"), "tired"),
        (("serve", "--faults", "busy=2"), "between 0 and 1"),
    ],
)
def test_a_wrong_call_ends_with_2_and_says_why(
    arguments: tuple[object, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.returncode == 2, done
    assert message.lower() in done.stderr.lower()
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_unknown_sector_ends_with_2_and_says_which_there_are(tmp_path: Path) -> None:
    done = run("build", "qlp", "--sector", 99, "--out", tmp_path, "--archive", "demo")
    assert done.returncode == 2
    assert "23-24" in done.stderr


def test_a_file_in_the_place_of_the_directory_ends_with_3(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine", "utf-8")
    done = run("build", "qlp", "-s", 23, "-o", tmp_path / "data", "--archive", "demo", "--tiny")
    assert done.returncode == 3
    assert str(tmp_path / "data") in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "data").read_text("utf-8") == "mine"


@pytest.mark.parametrize("command", [(), ("build",), ("status",), ("serve",)])
def test_help_is_there_for_every_command(command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert "Usage: tessloom" in done.stdout
    assert done.stderr == ""


def test_help_waits_for_no_heavy_import() -> None:
    code = "import sys; sys.argv = ['tessloom', 'build', '--help']; import tessloom.cli as cli\n"
    code += "try: cli.main()\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--sector" in done.stdout
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "typer" in loaded
    assert not loaded & {"pyarrow", "numpy", "astropy", "aiohttp", "healpix", "rich"}


def test_the_version_is_shown() -> None:
    assert run("--version").stdout == f"tessloom {tessloom.__version__}\n"


def test_status_says_what_is_there_and_ends_with_1_if_something_is_missing(built: Path) -> None:
    done = run("status", built)
    assert done.returncode == 1
    assert "qlp sector 23: 5 of 5 light curves" in done.stdout
    failures = tessloom.read_status(built)[1].failures
    assert f"{len(failures)} failed ({len(failures)} missing)" in done.stdout
    assert f"  {failures[0].id}: missing" in done.stdout


def test_status_as_json_has_every_failure(built: Path) -> None:
    done = run("status", built, "--json")
    assert done.returncode == 1
    complete, incomplete = json.loads(done.stdout)
    assert (complete["pipeline"], complete["sector"], complete["complete"]) == ("qlp", 23, True)
    assert (complete["asked"], complete["written"], complete["failures"]) == (5, 5, [])
    assert incomplete["asked"] == 40 == incomplete["written"] + len(incomplete["failures"])
    assert incomplete["reasons"] == {"missing": len(incomplete["failures"])}
    assert all(failure["path"] and failure["id"] for failure in incomplete["failures"])
    assert incomplete["synthetic"] is True


def test_status_of_a_complete_dataset_ends_with_0(server: DemoServer, tmp_path: Path) -> None:
    tessloom.build("qlp", sector=23, out=tmp_path, archive=server.address, limit=2)
    assert run("status", tmp_path).returncode == 0


@pytest.mark.parametrize("there", [True, False])
def test_status_without_a_dataset_is_a_clear_error(there: bool, tmp_path: Path) -> None:
    done = run("status", tmp_path if there else tmp_path / "nothing")
    assert done.returncode == 2
    assert "no tessloom dataset" in done.stderr


def test_the_environment_names_the_archive_and_the_option_overrides_it(
    server: DemoServer, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    build = ("build", "qlp", "--sector", 23, "--limit", 2, "--out")
    by_environment = run(*build, tmp_path / "one", TESSLOOM_ARCHIVE=server.address)
    assert by_environment.returncode == 0, by_environment.stderr
    assert tessloom.read_status(tmp_path / "one")[0].archive == server.address
    empty = str(tmp_path / "empty")
    assert run(*build, tmp_path / "two", TESSLOOM_ARCHIVE=empty).returncode == 2
    overridden = run(
        *build, tmp_path / "three", "--archive", server.address, TESSLOOM_ARCHIVE=empty
    )
    assert overridden.returncode == 0, overridden.stderr


def test_the_environment_names_the_archive_for_python_too(
    server: DemoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSLOOM_ARCHIVE", server.address)
    tessloom.build("qlp", sector=23, out=tmp_path, limit=2)
    assert tessloom.read_status(tmp_path)[0].archive == server.address


def test_a_dry_run_writes_nothing(server: DemoServer, tmp_path: Path) -> None:
    done = run(
        *("build", "spoc", "-s", 23, "--limit", 9, "-o", tmp_path / "data", "--dry-run"),
        *("--archive", server.address),
    )
    assert done.returncode == 0, done.stderr
    assert "spoc sector 23: 9 light curves" in done.stdout
    assert not (tmp_path / "data").exists()


def test_progress_is_plain_lines_where_there_is_no_terminal(
    server: DemoServer, tmp_path: Path
) -> None:
    done = run(
        *("build", "qlp", "-s", 23, "--limit", 3, "-o", tmp_path, "--archive", server.address)
    )
    assert "qlp sector 23: 3 light curves to fetch\n" in done.stderr
    assert "\x1b" not in done.stderr + done.stdout
    assert "\r" not in done.stderr + done.stdout


def test_progress_is_a_bar_on_a_terminal(server: DemoServer, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    arguments = ("build", "qlp", "-s", 23, "--limit", 3, "-o", tmp_path)
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--archive", server.address],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm"},
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:
            pass  # the terminal is gone with the process
        os.close(ours)
    assert process.returncode == 0
    assert b"qlp sector 23" in shown
    assert b"3/3" in shown
    assert "━".encode() in shown


def test_serve_announces_its_address_and_serves_until_interrupted(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", "--faults", "missing=0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[-1]
            assert address.startswith("http://127.0.0.1:")
            assert f"--archive {address}" in process.stdout.readline()
            report = tessloom.build("qlp", sector=23, out=tmp_path, archive=address, limit=2)
            assert report.complete
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_two_pipelines_and_two_sectors_in_one_command(server: DemoServer, tmp_path: Path) -> None:
    done = run(
        *("build", "qlp", "spoc", "--sector", 23, "--sector", 24, "--limit", 2),
        *("--out", tmp_path, "--archive", server.address),
    )
    assert done.returncode == 0, done.stderr
    for name in ("qlp", "spoc"):
        for sector in (23, 24):
            ids = sorted(identifier for identifier, *_ in list(demo_paths(name, sector))[:2])
            assert written_ids(tmp_path, name, sector) == ids


def test_a_build_works_inside_a_running_event_loop(server: DemoServer, tmp_path: Path) -> None:
    async def cell_of_a_notebook() -> tessloom.Report:
        return tessloom.build("qlp", sector=23, out=tmp_path, archive=server.address, limit=3)

    assert asyncio.run(cell_of_a_notebook()).complete
    assert partition_files(tmp_path)


def test_a_script_without_a_guard_is_run_once_by_several_workers(
    server: DemoServer, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import tessloom\n"
        "print('started')\n"
        f"print(tessloom.build('tglc', sector=23, out='data', archive={server.address!r},\n"
        "                     limit=30, workers=3))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.count("started") == 1
    assert "tglc sector 23: 30 of 30 light curves" in done.stdout


def test_help_takes_less_than_a_second() -> None:
    run("--help")  # fills the caches
    durations = []
    for _ in range(5):
        start = time.monotonic()
        run("--help")
        durations.append(time.monotonic() - start)
    # 0.3 s is the aim, measured on an idle machine; this one may be shared.
    assert min(durations) < 1
