"""Any bytes give a light curve or a `FitsError`, take little memory and spoil no other file."""

import functools
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostile import BLOCK, CARD, Reader, Sample, demo_samples, without_sums
from tessloom.errors import FitsError
from tessloom.fits import Decoder
from tessloom.pipelines import PIPELINES

# The same examples in every run: what CI finds, everybody finds. `make fuzz` looks for new ones.
fuzzed = functools.partial(
    settings,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
KEYWORDS = (
    *("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "PCOUNT", "GCOUNT"),
    *("TFIELDS", "TTYPE1", "TTYPE2", "TFORM1", "TFORM2", "TFORM6", "TSCAL1", "TZERO2", "TNULL3"),
    *("NEXTEND", "CHECKSUM", "END", "TICID", "GAIADR3", "GAIADR2", "SECTOR", "CAMERA", "CCD"),
    *("RA_OBJ", "DEC_OBJ", "TESSMAG", "TIMEDEL", "XPTIME", "CAPE_ERR", "NEAREDGE", "SIMDATA"),
)
VALUES = (
    *("0", "1", "-1", "2", "3", "8", "999", "-64", "1_0", "007", "1 2", str(2**31), str(2**53 + 1)),
    *(str(2**63), "-" + str(2**63), "9" * 70, "T", "F", "3.7", "1E39", "-1E300", "1.E999", "1D308"),
    *("NaN", "'NaN'", "inf", "'inf'", "'1E999'", "nan", "''", "'", "'it''s", "", "/ nothing", "é"),
    *("'TIME'", "'time'", "'BINTABLE'", "'IMAGE'", "'D'", "'0D'", "'L'", "'K'", "'A'", "'0A'"),
    *("'999999999A'", "'99999999999999999999D'", "'PJ()'", "'8X'", "'2E'", "'0000000000000000'"),
)


@st.composite
def cards(draw: st.DrawFn) -> bytes:
    keyword = draw(st.sampled_from(KEYWORDS) | st.text(max_size=8))
    value = draw(st.sampled_from(VALUES) | st.integers().map(str) | st.floats().map(repr))
    indicator = draw(st.sampled_from(("= ", "= ", "= ", "=", "  ")))
    card = f"{keyword:<8}{indicator}{value:>20}".encode("latin-1", "replace")
    return card.ljust(CARD)[:CARD]


@st.composite
def damaged(draw: st.DrawFn, body: bytes) -> bytes:
    """Return a file that something has happened to, once or a few times."""
    if draw(st.booleans()):
        body = without_sums(body)
    for _ in range(draw(st.integers(1, 3))):
        # Most of a file is records, where any byte is as good as another.
        at = draw(st.integers(0, min(len(body), 20_000)) | st.integers(0, len(body)))
        start, size = at // BLOCK * BLOCK, draw(st.sampled_from((1, 2, 8, CARD, BLOCK)))
        match draw(st.sampled_from(("flip", "delete", "insert", "cut", "swap", "card", "repeat"))):
            case "flip":
                body = body[:at] + bytes([draw(st.integers(0, 255))]) + body[at + 1 :]
            case "delete":
                body = body[:at] + body[at + size :]
            case "insert":
                body = body[:at] + draw(st.binary(min_size=1, max_size=CARD)) + body[at:]
            case "cut":
                body = body[:at]
            case "swap":
                following = body[start + BLOCK : start + 2 * BLOCK]
                body = body[:start] + following + body[start : start + BLOCK] + body[start + 5760 :]
            case "card":
                card = draw(cards())
                home = body.find(card[:8])
                place = home if home >= 0 and draw(st.booleans()) else at // CARD * CARD
                body = body[:place] + card + body[place + CARD :]
            case "repeat":
                body = body[: start + size] + body[start:]
    return body


@st.composite
def assembled(draw: st.DrawFn) -> bytes:
    """Return the frame of a file with a table, cards of any kind, and data of any size."""
    forms = draw(st.lists(st.sampled_from(("D", "E", "J", "I", "K", "L", "3A", "0A", "2E"))))
    names = st.sampled_from(("TIME", "time", "PDCSAP_FLUX", "QUALITY", "KSPSAP_FLUX", "X", ""))
    sizes = {"D": 8, "E": 4, "J": 4, "I": 2, "K": 8, "L": 1, "3A": 3, "0A": 0, "2E": 8}
    rows = draw(st.integers(0, 40))
    primary = [_card("SIMPLE", "T"), _card("BITPIX", 8), _card("NAXIS", 0)]
    table = [_card("XTENSION", "'BINTABLE'"), _card("BITPIX", 8), _card("NAXIS", 2)]
    table += [_card("NAXIS1", sum(sizes[form] for form in forms)), _card("NAXIS2", rows)]
    table += [_card("PCOUNT", 0), _card("GCOUNT", 1), _card("TFIELDS", len(forms))]
    for number, form in enumerate(forms, 1):
        table += [_card(f"TTYPE{number}", f"'{draw(names)}'"), _card(f"TFORM{number}", f"'{form}'")]
    for header in (primary, table):
        for card in draw(st.lists(cards(), max_size=4)):
            header.insert(draw(st.integers(3, len(header))), card)
    size = rows * sum(sizes[form] for form in forms)
    data = _blocks(draw(st.binary(max_size=64)).ljust(size, b"\xff"), b"\0")
    return _header(primary) + _header(table) + data


@functools.cache
def readers() -> dict[str, Reader]:
    return {name: Reader(name) for name in PIPELINES}


def read_by_all(body: bytes, sample: Sample) -> bool:
    """Read bytes as each pipeline's, and then a sound file; return whether one accepts them."""
    accepted = [reader.read_hostile(body, sample.key) for reader in readers().values()]
    for reader in readers().values():
        reader.check_sound()
    return any(accepted)


@fuzzed(max_examples=150)
@given(
    st.binary(max_size=2 * BLOCK), st.sampled_from((b"", b"SIMPLE  =", b"SIMPLE  =".ljust(CARD)))
)
def test_any_bytes_are_a_light_curve_or_a_typed_error(body: bytes, start: bytes) -> None:
    assert not read_by_all(start + body, demo_samples()[0])


@fuzzed(max_examples=300)
@given(assembled())
def test_any_cards_in_the_frame_of_a_file_are_a_light_curve_or_a_typed_error(body: bytes) -> None:
    read_by_all(body, demo_samples()[0])


@fuzzed(max_examples=600)
@given(st.data())
def test_a_damaged_file_of_any_era_is_a_light_curve_or_a_typed_error(data: st.DataObject) -> None:
    # Of the eras with more cadences there is the same header, and a copy of the file costs more.
    small = [sample for sample in demo_samples() if len(sample.body) < 200_000]
    sample = data.draw(st.sampled_from(small) | st.sampled_from(demo_samples()))
    read_by_all(data.draw(damaged(sample.body)), sample)


@fuzzed(max_examples=200)
@given(st.data())
def test_a_damaged_real_file_is_a_light_curve_or_a_typed_error(
    realdata: Path, data: st.DataObject
) -> None:
    sample = data.draw(st.sampled_from(real_samples(realdata)))
    read_by_all(data.draw(damaged(sample.body)), sample)


@functools.cache
def real_samples(realdata: Path) -> list[Sample]:
    return [
        Sample.named(pipeline, path.name, path.read_bytes())
        for path in sorted(realdata.rglob("*.fits"))
        for pipeline in PIPELINES.values()
        if pipeline.file_name.fullmatch(path.name)
    ]


def test_sound_files_are_read_by_the_readers_that_have_seen_everything_else() -> None:
    for sample in demo_samples():
        assert readers()[sample.pipeline].read_hostile(sample.body, sample.key)


def _card(keyword: str, value: object) -> bytes:
    text = value if isinstance(value, str) and value[0] == "'" else f"{value:>20}"
    return f"{keyword:<8}= {text}".ljust(CARD).encode()


def _blocks(data: bytes, filler: bytes) -> bytes:
    return data + filler * (-len(data) % BLOCK)


def _header(cards: list[bytes]) -> bytes:
    return _blocks(b"".join(cards) + b"END".ljust(CARD), b" ")


def _file(primary: list[bytes], table: list[bytes], data: bytes = b"") -> bytes:
    return _header([_card("SIMPLE", "T"), *primary]) + _header(table) + _blocks(data, b"\0")


EMPTY = [_card("BITPIX", 8), _card("NAXIS", 0)]
HUGE = 10**15


def _table(width: object, rows: object, *more: bytes) -> list[bytes]:
    cards = [_card("XTENSION", "'BINTABLE'"), _card("BITPIX", 8), _card("NAXIS", 2)]
    cards += [_card("NAXIS1", width), _card("NAXIS2", rows), _card("PCOUNT", 0)]
    return [*cards, _card("GCOUNT", 1), *more]


def _column(form: str, number: int = 1) -> tuple[bytes, bytes]:
    return _card(f"TTYPE{number}", f"'C{number}'"), _card(f"TFORM{number}", f"'{form}'")


def _axes(count: int, length: int) -> list[bytes]:
    axes = [_card(f"NAXIS{number}", length) for number in range(1, count + 1)]
    return [_card("BITPIX", 64), _card("NAXIS", count), *axes]


ONE_COLUMN = _card("TFIELDS", 1)
HOSTILE_CLAIMS = {
    "rows": _file(EMPTY, _table(8, HUGE, ONE_COLUMN, *_column("D"))),
    "rows of 70 digits": _file(EMPTY, _table(8, "9" * 70, ONE_COLUMN, *_column("D"))),
    "a wide row": _file(EMPTY, _table(HUGE, 1, ONE_COLUMN, *_column(f"{HUGE}A"))),
    "a wide row of no table": _file(
        EMPTY, _table(999999999, 0, ONE_COLUMN, *_column("999999999A"))
    ),
    "a repeat": _file(EMPTY, _table(8, 0, ONE_COLUMN, *_column("999999999999999999D"))),
    "columns": _file(EMPTY, _table(8, 1, _card("TFIELDS", 10**9), *_column("D"))),
    "columns that are true": _file(EMPTY, _table(8, 1, _card("TFIELDS", "T"), *_column("D"))),
    "no column": _file(EMPTY, _table(0, 1, _card("TFIELDS", 0))),
    "rows without bytes": _file(EMPTY, _table(0, HUGE, ONE_COLUMN, *_column("0A"))),
    "an image": _file([_card("BITPIX", 64), *_axes(2, HUGE)[1:]], _table(8, 1)),
    "999 axes": _file(_axes(999, 2**63 - 1), _table(8, 1)),
    "10,000 axes": _file(_axes(10_000, 2**63 - 1), _table(8, 1)),
    "axes that are not there": _file([_card("BITPIX", 8), _card("NAXIS", 999)], _table(8, 1)),
    "extensions": _file(
        [*EMPTY, _card("NEXTEND", 10**60)], _table(8, 1, ONE_COLUMN, *_column("D"))
    ),
    "a header of a megabyte": _file(EMPTY, _table(8, 1, ONE_COLUMN, *_column("D") * 6_500), b"x"),
    "a megabyte of columns": _file(
        EMPTY,
        _table(8, 1, _card("TFIELDS", 999), *(c for n in range(6_500) for c in _column("D", n))),
    ),
    "END off the cards' places": _header([_card("SIMPLE", "T"), *EMPTY])[:-BLOCK]
    + _card("SIMPLE", "T")
    + b" "
    + b"END".ljust(CARD) * 26_000,
    "keywords off the cards' places": _file(
        [*EMPTY, *[b"TICID   TICID   ".rjust(CARD)] * 13_000], _table(8, 1)
    ),
    "headers": _header([_card("SIMPLE", "T"), *EMPTY])
    + _header([_card("XTENSION", "'IMAGE'"), *EMPTY]) * 700,
}


@pytest.mark.parametrize("claim", HOSTILE_CLAIMS)
def test_a_claim_that_the_file_s_size_does_not_bear_out_takes_no_memory_and_no_time(
    claim: str,
) -> None:
    body = HOSTILE_CLAIMS[claim]
    reader = readers()["spoc"]
    start = time.process_time()
    reader.read_hostile(body, demo_samples()[0].key)
    assert time.process_time() - start < 2
    tracemalloc.start()
    try:
        accepted = reader.read_hostile(body, demo_samples()[0].key)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not accepted
    assert peak < 20 * len(body) + 1_000_000
    reader.check_sound()


def test_what_is_remembered_of_hostile_files_is_bounded() -> None:
    decoder = Decoder([])
    tracemalloc.start()
    try:
        for number in range(200):
            more = [_card(f"X{number}", 1)] * 3_000
            body = _file([*EMPTY, *more], _table(8, 1, ONE_COLUMN, *_column("D")), b"x" * 8)
            assert len(decoder.decode(body).records) == 1
        del body, more
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000


def test_what_is_remembered_of_a_file_does_not_keep_it_in_memory() -> None:
    decoder = Decoder([])
    tracemalloc.start()
    try:
        image = [_card("BITPIX", 8), _card("NAXIS", 1), _card("NAXIS1", 4_000_000)]
        table = _header(_table(8, 1, ONE_COLUMN, *_column("D")))
        body = _header([_card("SIMPLE", "T"), *image]) + _blocks(bytes(4_000_000), b"\0") + table
        body = body + _blocks(b"x", b"\0")
        curve = decoder.decode(body)
        del body, table
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(curve.records) == 1
    assert kept < 1_000_000


def test_a_number_with_a_fraction_in_one_file_does_not_turn_the_next_one_s_id_into_a_float() -> (
    None
):
    def body(value: str) -> bytes:
        table = _table(8, 1, ONE_COLUMN, *_column("D"))
        return _file([*EMPTY, _card("TICID", value)], table, b"x" * 8)

    decoder = Decoder([(0, "TICID")])
    assert decoder.decode(body("1.5")).values == (1.5,)
    (value,) = decoder.decode(body(str(2**53 + 1))).values
    assert value == 2**53 + 1
    assert type(value) is int


def test_a_scale_without_equals_sign_in_one_file_does_not_hide_the_next_one_s() -> None:
    table = _table(8, 1, ONE_COLUMN, *_column("D"))
    plain, scaled = (
        _file(EMPTY, [*table, f"TSCAL1  {text}".ljust(CARD).encode()], b"x" * 8)
        for text in ("  2", "= 2")
    )
    decoder = Decoder([])
    assert len(decoder.decode(plain).records) == 1
    with pytest.raises(FitsError, match="scaled"):
        decoder.decode(scaled)
