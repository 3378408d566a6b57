"""Listings kept on disk: they spare the lists, and nothing that is wrong with them does harm."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tessloom.archive import FileNames, Findings, Listing, ScriptReader, Selection, read_listing
from tessloom.archive.listing_cache import ListingCache
from tessloom.errors import ArchiveError, FileMissingError
from tessloom.pipelines import QLP, TGLC, Pipeline
from test_lists import line

SCRIPT = line(7) + line(5, "v02") + line(9) + line(7) + line(8, sector=24) + "echo done\n"
LIST = "#TIC_ID,RA,DEC\n5,1.0,2.0\n6,3.0,4.0\n7,5.0,6.0\n7,5.0,6.0\n9,7.0,8.0\nx,1.0,2.0\n"


class Lists:
    """An archive with nothing but lists, which counts how often they are asked for."""

    def __init__(self, script: str = SCRIPT, target_list: str | None = LIST) -> None:
        self.script = script.encode()
        self.rows = target_list
        self.asked = 0

    async def file_names(
        self, pipeline: Pipeline, sector: int, findings: Findings, limit: int | None
    ) -> tuple[FileNames, tuple[()]]:
        self.asked += 1
        reader = ScriptReader(pipeline, sector, findings, limit)
        reader.feed(self.script)
        return reader.close(), ()

    async def target_list(self, _pipeline: Pipeline, _sector: int) -> AsyncGenerator[bytes]:
        self.asked += 1
        if self.rows is None:
            raise FileMissingError("no list")
        yield self.rows.encode()

    async def fetch_header(self, _path: str, _accept: object) -> None:
        raise FileMissingError("no file")


def read(
    lists: Lists,
    cache: ListingCache | None = None,
    selection: Selection | None = None,
    pipeline: Pipeline = QLP,
) -> Listing:
    selection = selection or Selection()
    return asyncio.run(read_listing(lists, pipeline, 23, selection, cache))  # type: ignore[arg-type]


def cache_in(
    folder: Path, archive: str = "https://here/", *, refresh: bool = False
) -> ListingCache:
    return ListingCache(folder=folder / "listings", archive=archive, refresh=refresh)


def kept_files(folder: Path) -> list[Path]:
    return sorted((folder / "listings").iterdir())


SELECTIONS = [
    Selection(),
    Selection(limit=2),
    Selection(sample=2),
    Selection(sample=3),
    Selection(targets=(6, 9, 99)),
]


@pytest.mark.parametrize("selection", SELECTIONS, ids=Selection.key)
def test_a_listing_from_the_cache_is_the_one_that_was_read(
    tmp_path: Path, selection: Selection
) -> None:
    read(Lists(), cache_in(tmp_path))
    lists = Lists()
    kept = read(lists, cache_in(tmp_path), selection)
    fresh = read(Lists(), None, selection)
    assert lists.asked == 0
    assert kept.targets.equals(fresh.targets)
    assert kept.targets["id"].num_chunks <= 1 or selection.targets
    if selection.limit is None:
        assert kept.findings == fresh.findings


def test_what_is_odd_about_the_lists_is_counted_both_ways(tmp_path: Path) -> None:
    for cache in (None, cache_in(tmp_path), cache_in(tmp_path)):
        listing = read(Lists(SCRIPT + line(11)), cache)
        assert listing.targets["id"].to_pylist() == [7, 5, 9, 11, 6]
        assert listing.targets["reason"].to_pylist() == [None] * 3 + ["missing", "not-listed"]
        assert listing.findings.counts == {
            "unmatched-line": 1,
            "other-sector": 1,
            "duplicate": 1,
            "bad-row": 1,
            "repeated-row": 1,
            "no-file": 1,
            "not-in-list": 1,
        }
        assert listing.findings.examples["no-file"] == ["id 6"]
        assert listing.findings.examples["not-in-list"] == ["id 11"]


def test_a_star_on_two_ccds_may_be_in_the_list_twice_but_not_three_times() -> None:
    script = "".join(TGLC.light_curve_path(23, 5, 4, ccd, "v1") + "\n" for ccd in (1, 2))
    header, row = "#GAIADR3_ID,TIC_ID,RA,DEC\n", "5,9,1.0,2.0\n"
    assert not read(Lists(script, header + row * 2), pipeline=TGLC).findings.counts
    thrice = read(Lists(script, header + row * 3), pipeline=TGLC).findings
    assert thrice.counts == {"repeated-row": 1}


def test_a_row_that_gives_another_tic_id_is_counted_and_the_first_is_taken() -> None:
    script = TGLC.light_curve_path(23, 5, 4, 1, "v1") + "\n"
    rows = "#GAIADR3_ID,TIC_ID,RA,DEC\n5,9,1.0,2.0\n5,8,1.0,2.0\n5,,1.0,2.0\n"
    listing = read(Lists(script, rows), pipeline=TGLC)
    assert listing.targets["tic_id"].to_pylist() == [9]
    assert listing.findings.counts == {"repeated-row": 2, "other-tic-id": 1}


def test_that_there_is_no_target_list_is_said_and_not_kept(tmp_path: Path) -> None:
    for _ in range(2):
        lists = Lists(line(7), None)
        listing = read(lists, cache_in(tmp_path))
        assert lists.asked == 2
        assert listing.targets["reason"].to_pylist() == ["missing"]
        assert listing.findings.counts == {"no-list": 1}


def test_with_a_limit_only_the_beginning_is_read_and_nothing_is_kept(tmp_path: Path) -> None:
    listing = read(Lists(), cache_in(tmp_path), Selection(limit=1))
    assert listing.targets["id"].to_pylist() == [7]
    assert not listing.findings.counts
    assert not (tmp_path / "listings").exists()


def test_another_archive_or_pipeline_has_another_listing(tmp_path: Path) -> None:
    read(Lists(), cache_in(tmp_path))
    lists = Lists(line(3), None)
    assert read(lists, cache_in(tmp_path, "https://there/")).targets["id"].to_pylist() == [3]
    with pytest.raises(ArchiveError, match="names no light curve"):
        read(lists, cache_in(tmp_path), pipeline=TGLC)


def test_a_refresh_replaces_what_was_kept(tmp_path: Path) -> None:
    read(Lists(), cache_in(tmp_path))
    read(Lists(line(3)), cache_in(tmp_path, refresh=True))
    assert read(Lists(), cache_in(tmp_path)).targets["id"].to_pylist()[0] == 3


def test_what_is_older_than_a_day_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(Lists(), cache_in(tmp_path))
    now = time.time()
    for hours, asked in ((23, 0), (25, 2), (-1, 2)):
        lists = Lists()
        monkeypatch.setattr(time, "time", lambda later=hours: now + later * 3600)
        assert cache_in(tmp_path).read(QLP, 23) is None or not asked
        read(lists, cache_in(tmp_path / "nowhere") if asked else cache_in(tmp_path))
        assert lists.asked == asked


def test_old_files_are_removed_when_a_listing_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "listings"
    folder.mkdir()
    for name in ("tglc-s0001-x.parquet", ".tglc-s0001-x.parquet.1.partial", "notes.txt"):
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (0, 0))
    read(Lists(), cache_in(tmp_path))
    names = sorted(path.name.partition("-")[0] for path in folder.iterdir())
    assert names == ["notes.txt", "qlp", "qlp"]


def test_a_damaged_file_is_as_good_as_none_and_replaced(tmp_path: Path) -> None:
    expected = read(Lists(), cache_in(tmp_path)).targets
    about, listing = kept_files(tmp_path)
    assert (about.suffix, listing.suffix) == (".json", ".parquet")
    whole = listing.read_bytes()
    flipped = [
        whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]
        for place in range(0, len(whole), 50)
    ]
    for body in (b"", b"PAR1", whole[:-1], whole[: len(whole) // 2], *flipped):
        listing.write_bytes(body)
        lists = Lists()
        assert read(lists, cache_in(tmp_path)).targets.equals(expected)
        assert lists.asked == 2
    assert listing.read_bytes() == whole
    for text in ("", "{}", "[]", "1", about.read_text()[:-9], '{"archive": "https://here/"}'):
        about.write_text(text)
        assert read(Lists(), cache_in(tmp_path)).targets.equals(expected)
    lists = Lists()
    read(lists, cache_in(tmp_path))
    assert lists.asked == 0


def test_a_disk_that_takes_nothing_means_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "listings").write_text("a file where the folder should be")
    assert len(read(Lists(), cache_in(tmp_path)).targets) == 4

    def full(_self: Path, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    other = tmp_path / "other"
    assert len(read(Lists(), cache_in(other)).targets) == 4
    assert list((other / "listings").iterdir()) == []
