"""Scripts and target lists of any bytes: counted, bounded, and read the same however cut."""

import re
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tessloom.archive import FileNames, Findings, ScriptReader, TargetListReader
from tessloom.archive.lines import LONGEST_LINE
from tessloom.errors import ArchiveError
from tessloom.pipelines import QLP, TGLC
from test_lists import feed_list, feed_script, line

NAME = TGLC.light_curve_path(23, 5, 4, 1, "v1").rpartition("/")[2]
BREAKS = [b"\n", b"\r", b"\r\n", b"\t", b" ", b"\x00", b"\x1c"]
FOREIGN = [b"\xff", b"\xef\xbb\xbf", "\N{ARABIC-INDIC DIGIT THREE}".encode()]
PARTS = [b"#", b"../", b"llc.fits", b"hlsp_qlp_tess_ffi_s0023-", b"9" * 19, b"v" * 80]
JUNK = st.sampled_from([*BREAKS, *FOREIGN, *PARTS])
LINES = st.builds(
    lambda identifier, version, sector: line(identifier, version, sector).encode(),
    st.integers(1, 4) | st.just(10**18),
    st.sampled_from(["v01", "v02", "v1.1", "v" + "1" * 70]),
    st.sampled_from([23, 24]),
)
SCRIPTS = st.lists(LINES | LINES.map(lambda text: text[:-1]) | JUNK, max_size=25).map(b"".join)
NUMBERS = b"5|0000000006| 7 |-8|+9|0x1F|1.5|-2.5|.5|1e5|1e999|nan| NaN|-nan|inf|1_0|1.2.3".split(
    b"|"
)
LONG_NUMBERS = [b"9" * 19, b"9" * 40, b"3" * 400]
ODD_CELLS = [b"", b"None", b"--", b'"', b'"5"', b'"5, 6"', b"4\r", b"4\r5", *FOREIGN]
CELLS = st.sampled_from([*NUMBERS, *LONG_NUMBERS, *ODD_CELLS])
ROWS = st.lists(CELLS, min_size=1, max_size=5).map(b",".join) | st.lists(
    CELLS, min_size=4, max_size=4
).map(b",".join)
PLAIN_ROWS = st.integers(1, 9).map(lambda number: f"{number},1.5,-2.5,x".encode())
LISTS = st.lists(ROWS | PLAIN_ROWS, max_size=12).map(
    lambda rows: b"\n".join([b"#TIC_ID,RA,DEC,NAME", *rows])
)


def plain(names: FileNames) -> list[tuple[object, ...]]:
    versions = [names.version_names[version] for version in names.versions]
    columns = (names.identifiers, names.cameras, names.ccds)
    return list(zip(*(column.tolist() for column in columns), versions, strict=True))


def read_line_by_line(body: bytes) -> tuple[list[int], dict[str, int]]:
    """Read a script of QLP as plainly as can be."""
    counts: dict[str, int] = {}

    def count(kind: str) -> None:
        counts[kind] = counts.get(kind, 0) + 1

    blanks = " \t\r\n\x0b\f"
    ids = []
    *lines, rest = body.decode("ascii", "replace").split("\n")
    if rest.strip(blanks):
        count("unfinished")
    for text in [*lines, rest]:
        match = re.search(QLP.file_name.pattern, text)
        if match is None:
            if text.strip(blanks) and not text.startswith("#"):
                count("unmatched-line")
        elif int(match["id"]) >= 2**63 or len(match["version"]) > 64:
            if not text.startswith("#"):
                count("unmatched-line")
        elif match["sector"] != "0023":
            count("other-sector")
        else:
            ids.append(int(match["id"]))
            if "../" in text:
                count("outside-path")
    return list(dict.fromkeys(ids)), counts


@settings(deadline=None, max_examples=150)
@given(body=SCRIPTS | st.binary(max_size=300), piece=st.integers(1, 400))
def test_any_bytes_as_a_script_are_read_as_a_plain_reading_line_by_line_would(
    body: bytes, piece: int
) -> None:
    names, findings = feed_script(body, piece=piece)
    ids, counts = read_line_by_line(body)
    assert names.identifiers.tolist() == ids
    ours = {
        kind: n for kind, n in findings.counts.items() if kind not in ("duplicate", "superseded")
    }
    assert ours == counts


@settings(deadline=None, max_examples=150)
@given(
    body=SCRIPTS | st.binary(max_size=300),
    piece=st.integers(1, 400),
    limit=st.none() | st.integers(1, 5),
)
def test_any_bytes_as_a_script_read_the_same_however_they_are_cut(
    body: bytes, piece: int, limit: int | None
) -> None:
    whole, cut = feed_script(body, limit=limit), feed_script(body, limit=limit, piece=piece)
    assert plain(whole[0]) == plain(cut[0])
    assert whole[1] == cut[1]
    assert whole[1].sentences() == cut[1].sentences()


def outcome(read: Callable[[], object]) -> str:
    try:
        return repr(read())
    except ArchiveError as error:
        return str(error)


@settings(deadline=None, max_examples=300)
@given(
    body=LISTS | LISTS.map(lambda text: text + b"\n") | st.binary(max_size=300),
    piece=st.integers(1, 60),
    wanted=st.none() | st.lists(st.integers(1, 9), min_size=1, max_size=3),
)
@example(body=b"#TIC_ID,RA,DEC\n5,1,2\n", piece=9, wanted=[5])
@example(body=b"#TIC_ID,RA,DEC\n5,1,2\r6,3,4\n7,1,2\n", piece=60, wanted=None)
def test_any_bytes_as_a_target_list_read_the_same_however_they_are_cut(
    body: bytes, piece: int, wanted: list[int] | None
) -> None:
    whole = outcome(lambda: feed_list(body, wanted=wanted))
    assert whole == outcome(lambda: feed_list(body, piece=piece, wanted=wanted))


@settings(deadline=None, max_examples=150)
@given(rows=st.lists(ROWS | PLAIN_ROWS, max_size=12))
def test_a_row_is_read_the_same_whatever_stands_around_it(rows: list[bytes]) -> None:
    # Blocks of plain rows are read in another way than those with an odd one.
    header = b"#TIC_ID,RA,DEC,NAME\n"
    alone = [feed_list(header + row + b"\n") for row in rows]
    together, findings = feed_list(header + b"".join(row + b"\n" for row in rows))
    assert repr(together) == repr([row for found, _ in alone for row in found])
    bad = sum(found.counts.get("bad-row", 0) for _, found in alone)
    assert findings.counts.get("bad-row", 0) == bad


@pytest.mark.parametrize("piece", [1000, 1 << 20, 100 << 20])
def test_a_line_without_end_is_counted_and_dropped(piece: int) -> None:
    endless = b"x" * (20 << 20) + NAME.encode()
    body = line(7).encode() + endless + b"\n" + line(8).encode()
    names, findings = feed_script(body, piece=piece)
    assert names.identifiers.tolist() == [7, 8]
    assert findings.counts == {"unmatched-line": 1}
    assert findings.examples == {"unmatched-line": ["x" * 200]}

    body = b"#TIC_ID,RA,DEC\n7,1,2\n" + b"1" * (20 << 20) + b",3,4\n8,1,2\n"
    rows, findings = feed_list(body, piece=piece)
    assert [row[0] for row in rows] == [7, 8]
    assert findings.counts == {"bad-row": 1}


@pytest.mark.parametrize("limit", [None, 100])
def test_a_line_without_end_does_not_fill_the_memory(limit: int | None) -> None:
    script = ScriptReader(QLP, 23, Findings(), limit)
    target_list = TargetListReader(QLP, Findings(), "of a test")
    target_list.feed(b"#TIC_ID,RA,DEC\n")
    for _ in range(64):
        for reader in (script, target_list):
            reader.feed(b"x" * (1 << 20))
            assert reader._blocks._pending < 6 << 20
    assert len(script.close()) == 0


@pytest.mark.parametrize("longer", [0, 1])
def test_the_longest_line_that_is_read_has_64_kilobytes(longer: int) -> None:
    text = line(7)
    text = " " * (LONGEST_LINE + longer - len(text) + 1) + text
    for piece in (999, 1 << 20):
        names, findings = feed_script(text.encode(), piece=piece)
        assert len(names) == 1 - longer
        assert findings.counts == ({"unmatched-line": 1} if longer else {})


def test_a_list_whose_header_has_no_end_is_an_error() -> None:
    reader = TargetListReader(QLP, Findings(), "of a test")
    for _ in range(20):
        reader.feed(b"#TIC_ID,RA,DEC," * 70_000)
    with pytest.raises(ArchiveError, match="first line has more than 65536 bytes"):
        reader.close()


def test_versions_without_end_are_no_versions() -> None:
    body = "".join(line(number, f"v{number}") for number in range(1, 1500))
    names, findings = feed_script(body.encode())
    assert len(names) == 1000
    assert findings.counts == {"unmatched-line": 499}


def test_the_same_bytes_are_a_list_with_a_byte_order_mark_or_without() -> None:
    body = b"#TIC_ID,RA,DEC\n5,1.0,2.0\n"
    assert feed_list(b"\xef\xbb\xbf" + body) == feed_list(body)


def test_names_in_quotes_may_have_commas() -> None:
    rows, findings = feed_list(b'#TIC_ID,NAME,RA,DEC\n5,"Barnard, star of",1.0,2.0\n6,x,3.0,4.0\n')
    assert rows == [(5, 5, 1.0, 2.0), (6, 6, 3.0, 4.0)]
    assert not findings.counts
