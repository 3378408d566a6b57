"""Which light curves a build asks for, and what a later build adds to an earlier one."""

from pathlib import Path
from typing import Any

import pytest

import tessloom
from support import (
    contents,
    demo_paths,
    fetch,
    partition_files,
    read_table,
    receipts,
    run,
    same_rows,
    stamps,
    written_ids,
)
from tessloom.demo import DemoServer, Faults
from tessloom.errors import DatasetError, RequestError
from tessloom.pipelines import PIPELINES


def script_ids(name: str, sector: int) -> list[int]:
    return [identifier for identifier, *_ in demo_paths(name, sector)]


def build(out: Path, server: DemoServer, **options: Any) -> tessloom.Report:
    given: dict[str, Any] = {"pipelines": "qlp", "sector": 23, "archive": server.address} | options
    return tessloom.build(given.pop("pipelines"), out=out, **given)


def test_tiny_is_the_first_hundred_of_the_script(server: DemoServer, tmp_path: Path) -> None:
    report = build(tmp_path, server, pipelines="tglc", tiny=True)
    assert written_ids(tmp_path, "tglc") == sorted(script_ids("tglc", 23)[:100])
    assert report.sectors[0].asked == 100


@pytest.mark.parametrize("name", ["qlp", "spoc"])
def test_a_limit_is_the_first_of_the_script(name: str, server: DemoServer, tmp_path: Path) -> None:
    report = build(tmp_path, server, pipelines=name, limit=7)
    assert written_ids(tmp_path, name) == sorted(script_ids(name, 23)[:7])
    assert report.complete


def test_a_sample_is_spread_over_the_sector_and_holds_the_smaller_ones(
    server: DemoServer, tmp_path: Path
) -> None:
    build(tmp_path / "small", server, sample=12)
    build(tmp_path / "large", server, sample=30)
    small, large = (written_ids(tmp_path / which, "qlp") for which in ("small", "large"))
    assert (len(small), len(large)) == (12, 30)
    assert set(small) < set(large)
    ids = script_ids("qlp", 23)
    assert {ids.index(identifier) * 3 // len(ids) for identifier in large} == {0, 1, 2}


def test_a_file_of_targets_chooses_by_id_and_records_what_is_not_there(
    server: DemoServer, tmp_path: Path
) -> None:
    ids = script_ids("qlp", 23)[5:9]
    chosen = tmp_path / "targets.txt"
    chosen.write_text("TIC\n# my stars\n" + "".join(f"{i}, a note\n" for i in [*ids, 42]), "utf-8")
    done = run(
        *("build", "qlp", "--sector", 23, "--targets", chosen),
        *("--out", tmp_path / "data", "--archive", server.address),
    )
    assert done.returncode == 1
    assert "4 of 5 light curves" in done.stdout
    assert "1 failed (1 not-listed)" in done.stdout
    assert written_ids(tmp_path / "data", "qlp") == sorted(ids)
    (failure,) = tessloom.read_status(tmp_path / "data")[0].failures
    assert (failure.id, failure.reason) == (42, "not-listed")


def test_tglc_s_targets_are_tic_or_gaia_ids(server: DemoServer, tmp_path: Path) -> None:
    build(tmp_path / "first", server, pipelines="tglc", limit=12)
    table = read_table(tmp_path / "first", "tglc")
    both = [row for row in table.drop_columns(["lightcurve"]).to_pylist() if row["tic_id"]]
    by_tic, by_gaia = both[0], both[1]
    targets = [by_tic["tic_id"], by_gaia["gaia_dr3_id"]]
    report = build(tmp_path / "second", server, pipelines="tglc", targets=targets)
    assert report.complete
    assert set(written_ids(tmp_path / "second", "tglc")) == {
        by_tic["gaia_dr3_id"],
        by_gaia["gaia_dr3_id"],
    }


def test_a_larger_selection_later_ends_in_the_same_bytes(
    server: DemoServer, tmp_path: Path
) -> None:
    build(tmp_path / "grown", server, limit=20)
    report = build(tmp_path / "grown", server, limit=60)
    build(tmp_path / "at_once", server, limit=60)
    assert report.complete
    assert report.sectors[0].asked == 60
    assert contents(tmp_path / "grown") == contents(tmp_path / "at_once")


def test_disjoint_selections_add_up(server: DemoServer, tmp_path: Path) -> None:
    ids = script_ids("spoc", 23)
    build(tmp_path, server, pipelines="spoc", targets=ids[10:20])
    report = build(tmp_path, server, pipelines="spoc", targets=ids[100:110])
    assert report.sectors[0].written == 20
    assert written_ids(tmp_path, "spoc") == sorted(ids[10:20] + ids[100:110])


def test_a_smaller_selection_later_changes_nothing(server: DemoServer, tmp_path: Path) -> None:
    build(tmp_path, server, limit=30)
    before = stamps(tmp_path)
    report = build(tmp_path, server, limit=10)
    assert (report.built, report.sectors[0].asked) == (0, 30)
    assert stamps(tmp_path) == before


def test_a_dry_run_says_what_there_is_to_do_and_writes_nothing(
    server: DemoServer, tmp_path: Path
) -> None:
    report = build(tmp_path / "data", server, limit=30, dry_run=True)
    assert report.dry_run
    assert (report.sectors[0].asked, report.sectors[0].missing) == (30, 30)
    assert not (tmp_path / "data").exists()
    build(tmp_path / "data", server, limit=30)
    files = sorted(tmp_path.rglob("*"))
    before = stamps(tmp_path / "data")
    assert report.built == len(before)
    assert build(tmp_path / "data", server, limit=40, dry_run=True).sectors[0].missing > 0
    assert (sorted(tmp_path.rglob("*")), stamps(tmp_path / "data")) == (files, before)


def test_a_dry_run_finds_out_that_the_place_can_t_be_used(
    server: DemoServer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    for place in ("file", "file/data"):
        with pytest.raises(DatasetError, match=r"can't write .*file is no directory"):
            build(tmp_path / place, server, limit=3, dry_run=True)


def test_a_build_says_of_which_partitions_no_fits_file_is_kept(
    server: DemoServer, tmp_path: Path
) -> None:
    data, kept = tmp_path / "data", tmp_path / "kept"
    there = build(data, server, limit=5).built
    report = build(data, server, limit=5, keep_fits=kept)
    assert any(note.startswith(f"{there} partitions were there already") for note in report.notes)
    assert not build(tmp_path / "other", server, limit=5, keep_fits=kept).notes


@pytest.mark.parametrize("name", ["qlp", "tglc", "spoc"])
def test_kept_fits_files_lie_as_in_the_archive_and_build_the_same_dataset(
    name: str, server: DemoServer, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    build(tmp_path / "data", server, pipelines=name, limit=12, keep_fits=kept)
    paths = list(demo_paths(name, 23).values())[:12]
    files = {p.relative_to(kept).as_posix(): p for p in kept.rglob("*") if p.is_file()}
    assert sorted(files) == sorted(paths)
    for path in paths:
        assert files[path].read_bytes() == fetch(server.address + path)

    report = tessloom.build(name, sector=23, out=tmp_path / "again", archive=str(kept))
    assert report.complete
    assert report.sectors[0].written == 12
    assert contents(tmp_path / "again") == contents(tmp_path / "data")


def test_a_request_that_was_answered_needs_no_archive(tmp_path: Path) -> None:
    with DemoServer() as server:
        build(tmp_path, server, limit=10)
        server.requests.clear()
        assert build(tmp_path, server, limit=10).built == 0
        assert not server.requests
    before = stamps(tmp_path)
    report = build(tmp_path, server, limit=10)
    assert report.complete
    assert "Nothing was left to do" in str(report)
    assert stamps(tmp_path) == before


def test_refresh_reads_the_lists_again_and_fetches_nothing_twice(tmp_path: Path) -> None:
    with DemoServer() as server:
        build(tmp_path, server, limit=10)
        server.requests.clear()
        report = build(tmp_path, server, limit=10, refresh=True)
        assert set(server.requests) == {
            PIPELINES["qlp"].script.format(sector=23),
            PIPELINES["qlp"].target_list.format(sector=23),
        }
    assert report.built == 0


def test_failures_are_asked_for_again_only_when_told_to(tmp_path: Path, server: DemoServer) -> None:
    out = tmp_path / "data"
    with DemoServer(Faults(missing=0.3)) as broken:
        first = build(out, broken, limit=30)
        lost = first.sectors[0].failures
        assert 0 < len(lost) < 30
        broken.requests.clear()
        assert build(out, broken, limit=30).sectors[0].failures == lost
        assert not broken.requests
    unhurt = {
        name: stamp for name, stamp in stamps(out).items() if not receipts(out)[name].failures
    }
    assert unhurt

    report = build(out, server, limit=30, retry_failed=True)
    assert report.complete
    assert written_ids(out, "qlp") == sorted(script_ids("qlp", 23)[:30])
    assert {name: stamps(out)[name] for name in unhurt} == unhurt
    build(tmp_path / "sound", server, limit=30)
    assert contents(tmp_path / "data") == contents(tmp_path / "sound")


def test_light_curves_that_are_there_survive_an_archive_that_lost_them(
    tmp_path: Path, server: DemoServer
) -> None:
    build(tmp_path, server, limit=15)
    before = read_table(tmp_path, "qlp").sort_by("tic_id")
    with DemoServer(Faults(missing=1)) as emptied:
        report = build(tmp_path, emptied, limit=40)
        assert emptied.requests.keys().isdisjoint(list(demo_paths("qlp", 23).values())[:15])
    assert not report.complete
    assert len(report.sectors[0].failures) == 25
    assert same_rows(read_table(tmp_path, "qlp").sort_by("tic_id"), before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tiny": True, "limit": 3}, "choose one"),
        ({"limit": 3, "sample": 3}, "exclude each other"),
        ({"limit": 0}, "limit must be at least 1"),
        ({"sample": -1}, "sample must be at least 1"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"targets": []}, "no ids"),
        ({"targets": "nowhere.txt"}, r"can't read the ids in nowhere\.txt"),
        ({"sector": 0}, "numbered from 1"),
        ({"sector": []}, "at least one sector"),
        ({"pipelines": "kepler"}, "qlp, tglc, spoc"),
        ({"pipelines": []}, "at least one pipeline"),
        ({"archive": "no/such/folder"}, "demo, mast, s3"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_written(
    options: dict[str, Any], message: str, server: DemoServer, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=message):
        build(tmp_path / "data", server, **options)
    assert not (tmp_path / "data").exists()


def test_several_pipelines_and_sectors_are_built_by_one_call(
    server: DemoServer, tmp_path: Path
) -> None:
    report = build(
        tmp_path, server, pipelines=["spoc", "qlp", "spoc"], sector=[24, 23, 24], limit=3
    )
    built = [(sector.pipeline, sector.sector) for sector in report.sectors]
    assert built == [("spoc", 24), ("spoc", 23), ("qlp", 24), ("qlp", 23)]
    assert report.built == len(partition_files(tmp_path))
    assert report.complete


def test_a_tilde_is_the_home_directory_wherever_a_path_is_given(
    server: DemoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (home / "ids.txt").write_text(f"{script_ids('qlp', 23)[0]}\n", "utf-8")
    paths: dict[str, Any] = {"targets": "~/ids.txt", "keep_fits": "~/fits", "log_file": "~/log"}
    assert build(Path("~/data"), server, **paths).complete
    assert tessloom.build("qlp", sector=23, out="~/again", archive="~/fits").complete
    assert tessloom.read_status("~/data") == tessloom.read_status(home / "data")
    assert {path.name for path in home.iterdir()} == {"ids.txt", "fits", "log", "data", "again"}
    assert list(tmp_path.iterdir()) == [home]


@pytest.mark.parametrize("out", [None, 7, b"data"])
def test_what_is_no_path_names_no_directory(
    out: Any, server: DemoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError, match="is not the dataset's directory"):
        build(out, server, limit=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("identifier", ["7", "x", 7.5, -1, 2**63, True])
def test_targets_that_are_no_ids_are_a_wrong_call(
    identifier: Any, server: DemoServer, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match="in targets is not an id"):
        build(tmp_path / "data", server, targets=[identifier])
    assert not list(tmp_path.iterdir())
