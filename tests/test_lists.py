"""Scripts, target lists and selections: whatever they look like, nothing is lost silently."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessloom.archive import Findings, Selection, read_target_ids
from tessloom.archive.script import FileNames, ScriptReader
from tessloom.archive.target_list import TargetListReader
from tessloom.errors import ArchiveError, RequestError
from tessloom.pipelines import QLP, TGLC, Pipeline


def read_script(
    text: str, pipeline: Pipeline = QLP, limit: int | None = None, piece: int = 1 << 20
) -> tuple[FileNames, Findings]:
    return feed_script(text.encode(), pipeline, limit, piece)


def feed_script(
    body: bytes, pipeline: Pipeline = QLP, limit: int | None = None, piece: int = 1 << 20
) -> tuple[FileNames, Findings]:
    findings = Findings()
    reader = ScriptReader(pipeline, 23, findings, limit)
    for start in range(0, len(body), piece):
        reader.feed(body[start : start + piece])
        if reader.full:
            break
    return reader.close(), findings


def path(identifier: int, version: str = "v01", sector: int = 23) -> str:
    return QLP.light_curve_path(sector, identifier, 0, 0, version)


def line(identifier: int, version: str = "v01", sector: int = 23) -> str:
    name = path(identifier, version, sector)
    return f"curl -f --create-dirs --output '{name[4:]}' 'https://mast/?uri=mast:HLSP/{name}'\n"


def read_list(
    text: str, pipeline: Pipeline = QLP, piece: int = 1 << 20
) -> tuple[list[tuple[object, ...]], Findings]:
    return feed_list(text.encode(), pipeline, piece)


def feed_list(
    body: bytes, pipeline: Pipeline = QLP, piece: int = 1 << 20, wanted: list[int] | None = None
) -> tuple[list[tuple[object, ...]], Findings]:
    findings = Findings()
    ids = None if wanted is None else np.array(wanted, np.int64)
    reader = TargetListReader(pipeline, findings, "of a test", ids)
    for start in range(0, len(body), piece):
        reader.feed(body[start : start + piece])
        if reader.full:
            break
    reader.close()
    return [tuple(row.values()) for row in reader.rows().to_pylist()], findings


@settings(deadline=None, max_examples=60)
@given(ids=st.lists(st.integers(1, 10**10), max_size=30), piece=st.integers(1, 500))
def test_a_script_reads_the_same_in_pieces_of_any_size(ids: list[int], piece: int) -> None:
    text = "#!/bin/sh\n" + "".join(map(line, ids)) + "echo done\n"
    whole, cut = read_script(text), read_script(text, piece=piece)
    assert whole[0].identifiers.tolist() == list(dict.fromkeys(ids))
    assert whole[0].identifiers.tolist() == cut[0].identifiers.tolist()
    assert whole[1] == cut[1]
    assert whole[1].counts["unmatched-line"] == 1
    assert whole[1].counts.get("duplicate", 0) == len(ids) - len(set(ids))


@pytest.mark.parametrize(
    "text",
    [
        f"curl {path(7)}",
        f'wget -O "{path(7)}" "https://stpubdata.s3.amazonaws.com/mast/hlsp/{path(7)}"\r\n',
        f"  curl 'https://archive.stsci.edu/hlsps/{path(7)}' -C - --output {path(7)}   \n",
    ],
)
def test_options_quotes_and_addresses_do_not_matter(text: str) -> None:
    assert read_script(text)[0].identifiers.tolist() == [7]


def test_the_newest_version_is_taken_and_the_others_are_counted() -> None:
    names, findings = read_script(line(7, "v02") + line(7, "v10") + line(7, "v01") + line(8))
    assert [names.version_names[v] for v in names.versions] == ["v10", "v01"]
    assert names.identifiers.tolist() == [7, 8]
    assert findings.counts == {"superseded": 2}


def test_lines_of_another_sector_are_passed_over_and_counted() -> None:
    names, findings = read_script(line(7) + line(8, sector=24))
    assert names.identifiers.tolist() == [7]
    assert findings.counts == {"other-sector": 1}


def test_a_line_that_points_outside_is_counted_and_its_target_sought_where_it_belongs() -> None:
    names, findings = read_script(f"curl --output ../../etc/{path(7).rpartition('/')[2]} x\n")
    assert list(names.paths(QLP, 23)) == [path(7)]
    assert findings.counts == {"outside-path": 1}


def test_an_id_that_can_not_be_one_is_counted_as_a_line_without_a_light_curve() -> None:
    names, findings = read_script(line(10**18).replace(f"{10**18}", "9" * 19))
    assert len(names) == 0
    assert findings.counts == {"unmatched-line": 1}


def test_a_script_without_a_last_line_feed_is_read_to_its_end_and_named() -> None:
    names, findings = read_script((line(7) + line(8)).rstrip())
    assert names.identifiers.tolist() == [7, 8]
    assert findings.counts == {"unfinished": 1}


def test_a_limit_counts_light_curves_not_lines() -> None:
    names, _ = read_script(line(7) + line(7) + line(8) + line(9), limit=2)
    assert names.identifiers.tolist() == [7, 8]


def test_a_star_on_two_ccds_is_two_light_curves() -> None:
    lines = [TGLC.light_curve_path(23, 5, 4, ccd, "v1") + "\n" for ccd in (1, 2)]
    names, findings = read_script("".join(lines), TGLC)
    assert (names.cameras.tolist(), names.ccds.tolist()) == ([4, 4], [1, 2])
    assert not findings.counts


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(1, 10**10),
            st.floats(0, 360).map(lambda x: round(x, 6)),
            st.floats(-90, 90).map(lambda x: round(x, 6)),
        ),
        max_size=30,
    ),
    piece=st.integers(1, 400),
)
def test_a_target_list_reads_the_same_in_pieces_of_any_size(
    rows: list[tuple[int, float, float]], piece: int
) -> None:
    text = "#TIC_ID,RA,DEC\n" + "".join(f"{i:016d},{ra},{dec}\n" for i, ra, dec in rows)
    assert read_list(text, piece=piece)[0] == [(i, i, ra, dec) for i, ra, dec in rows]


@pytest.mark.parametrize(
    "text",
    [
        "#GAIADR3_ID,TIC_ID,RA,DEC\n5,9,1.5,-2.5\n",
        "# GAIADR3_ID , RA , DEC , TIC_ID , TMAG\r\n 5 , 1.5 , -2.5 , 9 , 11.2\r\n",
        '#GAIADR3_ID,DEC,RA,TIC_ID\n"5","-2.5","1.5","9"',
        "#gaiadr3_id,tic_id,ra,dec\n\n5,9,1.5,-2.5\n\n",
    ],
)
def test_columns_are_found_by_name_in_any_order_and_spelling(text: str) -> None:
    assert read_list(text, TGLC)[0] == [(5, 9, 1.5, -2.5)]


def test_a_missing_tic_id_or_position_is_null() -> None:
    rows, _ = read_list("#GAIADR3_ID,TIC_ID,RA,DEC\n5,,nan,NaN\n6,9,,\n", TGLC)
    assert rows == [(5, None, None, None), (6, 9, None, None)]


def test_a_row_that_can_not_be_read_is_counted_and_the_others_are_kept() -> None:
    rows, findings = read_list("#TIC_ID,RA,DEC\n5,1.0,2.0\nsix,1.0,2.0\n7,1.0\n8,3.0,4.0\n")
    assert [row[0] for row in rows] == [5, 8]
    assert findings.counts == {"bad-row": 2}


@pytest.mark.parametrize("text", ["", "#TIC_ID,RA\n5,1.0\n", "<html>\n"])
def test_a_list_without_the_columns_that_are_needed_is_an_error(text: str) -> None:
    with pytest.raises(ArchiveError, match=r"target list of a test"):
        read_list(text)


@given(st.lists(st.integers(1, 2**62), min_size=1, max_size=200, unique=True), st.data())
def test_a_larger_sample_contains_every_smaller_one(ids: list[int], data: st.DataObject) -> None:
    array = np.array(ids)
    large = data.draw(st.integers(1, len(ids)))
    small = data.draw(st.integers(1, large))
    chosen = [set(array[Selection(sample=n).by_number(array)].tolist()) for n in (small, large)]
    assert (len(chosen[0]), len(chosen[1])) == (small, large)
    assert chosen[0] <= chosen[1]


@given(st.permutations(range(1, 60)))
def test_a_sample_does_not_depend_on_the_order_of_the_script(ids: list[int]) -> None:
    array = np.array(ids)
    usual = np.arange(1, 60)
    sample = Selection(sample=20)
    chosen = sorted(array[sample.by_number(array)].tolist())
    assert chosen == sorted(usual[sample.by_number(usual)].tolist())


def test_a_sample_is_spread_over_the_sector() -> None:
    ids = np.arange(10**18, 10**18 + 100_000)
    chosen = Selection(sample=1000).by_number(ids)
    counts, _ = np.histogram(chosen, bins=10, range=(0, 100_000))
    assert counts.min() > 60


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("7\n5\n7\n", (5, 7)),
        ("\ufeffTIC,name\r\n5, Vega\r\n\r\n7 x y\r\n", (5, 7)),
        ("# mine\nid\n5 # the first\n", (5,)),
    ],
)
def test_files_of_ids_are_read_as_people_write_them(
    text: str, ids: tuple[int, ...], tmp_path: Path
) -> None:
    (tmp_path / "ids").write_text(text, "utf-8")
    assert read_target_ids(tmp_path / "ids") == ids


@pytest.mark.parametrize("text", ["", "id\n", "5\nx\n", "5\n-7\n", "5\n99999999999999999999\n"])
def test_a_file_that_does_not_hold_ids_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text(text, "utf-8")
    with pytest.raises(RequestError, match="ids"):
        read_target_ids(tmp_path / "ids")


def test_selections_exclude_each_other_and_must_be_positive() -> None:
    with pytest.raises(RequestError, match="exclude each other"):
        Selection(limit=1, sample=1)
    with pytest.raises(RequestError, match="at least 1"):
        Selection(limit=0)
