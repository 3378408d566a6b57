"""Five thousand targets with every fault at once: what can be had arrives, the rest is recorded."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

import tessloom
from support import contents, demo_paths, file_key, partial_files, read_table, same_rows
from tessloom.demo import DemoServer, Faults
from tessloom.demo.content import content_at
from tessloom.demo.faults import PASSING
from tessloom.pipelines import PIPELINES

LASTING = ("missing", "html", "wrong", "corrupt", "duplicate", "nan", "unlisted", "unscripted")
EVERY_FAULT = Faults(
    **dict.fromkeys((*PASSING, *LASTING, "script_short"), 0.05),  # type: ignore[arg-type]
    retry_after=0.02,
    delay=0.05,
)
# TGLC's files have no check sums: nobody can tell when bytes of one are garbled.
SOAKS = {
    "spoc": ((1, 23, 24, 40), EVERY_FAULT),
    "tglc": ((23, 24), replace(EVERY_FAULT, garbled=0.0)),
}
# One process makes what all tests here look at, and that takes minutes.
pytestmark = [pytest.mark.xdist_group("soak"), pytest.mark.timeout(1200)]
# In the order in which the server looks for them.
REASONS = {
    "missing": "missing",
    "html": "not-fits",
    "wrong": "wrong-target",
    "corrupt": "truncated",
}
# What a build runs as, so that it can be killed. Waits are short, as the server is near.
PROGRAM = """
import sys, tessloom
name, out, archive, *sectors = sys.argv[1:]
policy = tessloom.RetryPolicy(wait=0.01, longest_retry_after=0.1, silence=0.4)
tessloom.build(name, sector=map(int, sectors), out=out, archive=archive, policy=policy)
"""


class Soak:
    """A server with every fault on, and builds from it."""

    def __init__(self, server: DemoServer, out: Path) -> None:
        self.server = server
        self.out = out

    def start(self, name: str) -> subprocess.Popen[str]:
        sectors, self.server.faults = SOAKS[name]
        archive = f"{self.server.s3},{self.server.address},{self.server.gateway}"
        arguments = [name, str(self.out), archive, *map(str, sectors)]
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments], stderr=subprocess.PIPE, text=True
        )

    def run(self, name: str) -> None:
        with self.start(name) as process:
            _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors

    def run_killed(self, name: str, times: int) -> int:
        """Run a build that is killed again and again, then to its end; return the kills."""
        kills = 0
        for _ in range(times):
            before = self.server.requests.total()
            with self.start(name) as process:
                while process.poll() is None:
                    if self.server.requests.total() > before + 900:
                        process.kill()
                        kills += 1
                        break
                process.communicate(timeout=60)
        self.run(name)
        return kills


@pytest.fixture(scope="module")
def soaked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return what came of a soak that nothing interrupted."""
    with DemoServer() as server:
        soak = Soak(server, tmp_path_factory.mktemp("soaked"))
        for name in SOAKS:
            soak.run(name)
        yield soak.out


def expected_reasons(name: str, sector: int, faults: Faults) -> dict[tuple[int, int, int], str]:
    """Return all targets that can be known of, by id, camera and CCD; "" for those to be had."""
    script, target_list = (
        content_at(path.format(sector=sector), faults)
        for path in (PIPELINES[name].script, PIPELINES[name].target_list)
    )
    assert script
    assert target_list
    reasons = {}
    for path in demo_paths(name, sector).values():
        if path.rpartition("/")[2] not in script.body.decode():
            continue
        reason = next((each for each in REASONS if faults.hit(each, path)), "")
        unplaced = faults.hit("nan", path) or faults.hit("unlisted", path)
        if reason == "wrong" and faults.hit("corrupt", path) and not unplaced:
            # Another star's file, and cut: only where its header is asked alone, that is not seen.
            reason = "corrupt"
        reasons[file_key(name, path)] = REASONS.get(reason, "")
    scripted = {identifier for identifier, *_ in reasons}
    # The id is the first column of every list.
    rows = target_list.body.decode().splitlines()[1:]
    listed = {int(row.partition(",")[0]) for row in rows}
    return reasons | {(identifier, 0, 0): "not-listed" for identifier in listed - scripted}


@pytest.mark.parametrize("name", SOAKS)
def test_all_that_can_be_had_arrives_and_all_else_is_recorded(
    name: str, soaked: Path, tmp_path: Path
) -> None:
    sectors, faults = SOAKS[name]
    tessloom.build(name, sector=sectors, out=tmp_path, archive="demo")
    status = {s.sector: s for s in tessloom.read_status(soaked) if s.pipeline == name}
    for sector in sectors:
        expected = expected_reasons(name, sector, faults)
        lost = {key: reason for key, reason in expected.items() if reason}
        recorded = {(f.id, f.camera, f.ccd): f.reason for f in status[sector].failures}
        assert recorded == lost
        assert status[sector].missing == 0
        written = without_healpix(read_table(soaked, name, sector))
        sound = without_healpix(read_table(tmp_path, name, sector))
        keys = keys_of(name, sound)
        had = pa.array([expected.get(key, "never heard of") == "" for key in keys])
        assert same_rows(written, sound.filter(had))


def without_healpix(table: pa.Table) -> pa.Table:
    """Sort by what tells rows apart, without the pixel: it depends on the row's neighbours."""
    by = [(name, "ascending") for name in ("object_id", "camera", "ccd")]
    return table.drop_columns(["_healpix_29"]).sort_by(by)


def keys_of(name: str, table: pa.Table) -> list[tuple[int, int, int]]:
    names_ccd = PIPELINES[name].names_ccd
    columns = [table[column].to_pylist() for column in (PIPELINES[name].id_name, "camera", "ccd")]
    keys = zip(*columns, strict=True)
    return [(key[0], key[1], key[2]) if names_ccd else (key[0], 0, 0) for key in keys]


def test_a_build_that_is_killed_again_and_again_ends_in_the_same_dataset(
    soaked: Path, tmp_path: Path
) -> None:
    with DemoServer() as server:
        soak = Soak(server, tmp_path)
        kills = {name: soak.run_killed(name, times=3) for name in SOAKS}
    assert all(kills.values())
    assert not partial_files(tmp_path)
    assert contents(tmp_path) == contents(soaked)


def test_the_soak_has_five_thousand_targets(soaked: Path) -> None:
    asked = sum(status.asked for status in tessloom.read_status(soaked))
    assert asked >= 5000
