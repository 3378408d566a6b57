"""The decoder reads what astropy reads, recognises layouts, and refuses everything else."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from astropy.io import fits as astropy_fits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hostile import without_sums
from tessloom.demo.products import PRODUCTS, light_curves
from tessloom.demo.sectors import SECTORS
from tessloom.errors import CorruptFitsError, FitsError, NotFitsError, TruncatedFitsError
from tessloom.fits import Decoder, check_file, check_size, primary_values

TYPES = {"D": ">f8", "E": ">f4", "J": ">i4", "I": ">i2", "K": ">i8", "B": "u1"}
Cards = dict[str, Any]


def make_file(
    table: npt.NDArray[Any], cards: Cards, *, cube: bool = False, images: int = 0
) -> bytes:
    """Return a file as astropy writes it: cards in both headers, images before and after."""
    primary = astropy_fits.PrimaryHDU(np.zeros((3, 5, 5), "f4") if cube else None)
    hdus = astropy_fits.HDUList([primary, astropy_fits.BinTableHDU(table, name="LIGHTCURVE")])
    hdus += [astropy_fits.ImageHDU(np.arange(121, dtype="i4")) for _ in range(images)]
    for hdu in hdus[:2]:
        for keyword, value in cards.items():
            hdu.header[keyword] = value
    sink = io.BytesIO()
    hdus.writeto(sink)
    return sink.getvalue()


def demo_file(name: str = "tglc", sector: int = 23, number: int = 0) -> bytes:
    target = list(light_curves(name, sector).values())[number]
    return PRODUCTS[name].file(SECTORS[sector], target)


@st.composite
def tables(draw: st.DrawFn) -> npt.NDArray[Any]:
    columns = draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=6))
    dtype = np.dtype([(f"COL{index}", TYPES[code]) for index, code in enumerate(columns)])
    return draw(hnp.arrays(dtype, st.integers(0, 80)))


VALUES = st.one_of(
    st.integers(-(2**62), 2**62),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.booleans(),
    # astropy takes a slash behind a doubled quote for a comment, so they are not drawn together.
    st.text(st.sampled_from("ABz 09'=$"), max_size=40).map(str.rstrip),
    st.text(st.sampled_from("ABz 09/=$"), max_size=40).map(str.rstrip),
    st.none(),
)
CARDS = st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9]{2,6}X", fullmatch=True), VALUES, max_size=12)


@settings(deadline=None, max_examples=40)
@given(table=tables(), cards=CARDS, cube=st.booleans(), images=st.integers(0, 2))
def test_records_and_header_values_are_those_that_astropy_reads(
    table: npt.NDArray[Any], cards: Cards, cube: bool, images: int
) -> None:
    body = make_file(table, cards, cube=cube, images=images)
    wanted = [(hdu, keyword) for keyword in cards for hdu in (0, 1)] + [(0, "ABSENT")]
    decoder = Decoder(wanted)
    for _ in range(2):  # parsed, then recognised
        curve = decoder.decode(body)
        with astropy_fits.open(io.BytesIO(body)) as hdus:
            assert curve.records.tobytes() == hdus[1].data.tobytes()
            for (hdu, keyword), value in zip(wanted, curve.values, strict=True):
                expected = hdus[hdu].header.get(keyword)
                if isinstance(expected, astropy_fits.card.Undefined):
                    expected = None
                assert value == expected
                assert type(value) is type(expected)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(tables(), CARDS), min_size=2, max_size=5))
def test_a_layout_is_never_taken_for_another(files: list[tuple[npt.NDArray[Any], Cards]]) -> None:
    keywords = sorted({keyword for _, cards in files for keyword in cards})
    wanted = [(1, keyword) for keyword in keywords]
    shared = Decoder(wanted)
    for table, cards in files:
        body = make_file(table, cards)
        curve, alone = shared.decode(body), Decoder(wanted).decode(body)
        assert curve.records.dtype == alone.records.dtype
        assert curve.records.tobytes() == alone.records.tobytes()
        assert curve.values == alone.values


@pytest.mark.parametrize("text", ["1_000", "nan", "-inf", "1E999", "1.E999", "1 2", "'open", "0x1"])
def test_what_is_no_number_in_fits_or_beyond_doubles_is_no_value(text: str) -> None:
    body = make_file(np.zeros(1, [("A", ">f4")]), {"INT": 1, "REAL": 1.5})
    decoder = Decoder([(0, "INT"), (0, "REAL")])
    assert decoder.decode(body).values == (1, 1.5)
    for keyword in ("INT", "REAL"):
        at = body.index(f"{keyword:8}=".encode()) + 10
        body = body[:at] + text.ljust(70).encode() + body[at + 70 :]
    assert decoder.decode(body).values == (None, None)
    assert primary_values(body, ["INT", "REAL"]) == (None, None)


@pytest.mark.parametrize("text", ["'it''s'", "1.5D3", "1E5", " ", "/ comment only", "T", "'A / B'"])
def test_card_values_in_every_notation_are_those_that_astropy_reads(text: str) -> None:
    body = make_file(np.zeros(1, ">f4"[1:]).view([("A", ">f4")]), {"CARDX": "placeholder"})
    at = body.index(b"CARDX   =") + 10
    body = body[:at] + text.ljust(70).encode() + body[at + 70 :]
    expected = astropy_fits.getheader(io.BytesIO(body), 0)["CARDX"]
    if isinstance(expected, astropy_fits.card.Undefined):
        expected = None
    assert primary_values(body, ["CARDX"]) == (expected,)


# Cards in the fixed format, nearly so, and not at all; some reach into the next card.
CARD_TEXTS = st.one_of(
    st.text(st.sampled_from(" '/+-.0123456789ETF"), max_size=70),
    st.from_regex(
        r" {0,20}[+-]?[0-9]{1,20}(\.[0-9]{0,16})?(E[+-]?[0-9]{1,3})? {0,3}(/ x)?", fullmatch=True
    ),
    st.builds(lambda value: f"{value:>20} / comment", st.integers() | st.floats() | st.just("")),
    st.builds(lambda value: f"{value:>70}", st.integers(0) | st.sampled_from("TF/'")),
    st.builds("= '{:8}' / comment".format, st.text(st.sampled_from("ab '/"), max_size=60)),
    st.builds("= '{:>67}'".format, st.text(st.sampled_from("ab '"), max_size=70)),
).map(lambda text: text if text.startswith("= ") else f"= {text}")


@settings(deadline=None, max_examples=300)
@given(st.lists(CARD_TEXTS, min_size=5, max_size=5), st.booleans())
def test_cards_of_a_known_layout_say_what_they_say_when_each_is_read_alone(
    texts: list[str], same_kinds: bool
) -> None:
    cards = {"WHOLE": 1, "REAL": 1.5, "LOGICAL": True, "TEXT": "abc", "BLANK": None}
    body = make_file(np.zeros(1, [("A", ">f4")]), cards)
    changed = body
    for keyword, text in zip(cards, texts, strict=True):
        at = body.index(f"{keyword:8}=".encode()) + 8
        changed = changed[:at] + text.ljust(72)[:72].encode() + changed[at + 72 :]
    alone = primary_values(changed, list(cards))
    wanted = [(0, keyword) for keyword in cards]
    decoder = Decoder(wanted)
    # From the first file it learns of what kind the cards are.
    assert decoder.decode(body if same_kinds else changed) is not None
    assert repr(decoder.decode(changed).values) == repr(alone)
    assert repr(decoder.decode(body).values) == repr(tuple(cards.values()))


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_a_file_that_was_cut_off_is_never_decoded(data: st.DataObject) -> None:
    body = demo_file("spoc")
    size = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises((TruncatedFitsError, NotFitsError)):
        Decoder([(0, "TICID")]).decode(body[:size])


def test_a_file_that_was_cut_off_is_not_decoded_by_a_layout_that_is_known_either() -> None:
    body = demo_file()
    decoder = Decoder([])
    decoder.decode(body)
    for size in range(len(body) - 1, 0, -701):
        with pytest.raises((TruncatedFitsError, NotFitsError)):
            decoder.decode(body[:size])


def test_one_file_s_number_of_hdus_is_not_taken_for_another_s() -> None:
    whole = without_sums(demo_file("spoc"))
    end = whole.rindex(b"XTENSION")
    card = next(at for at in range(0, len(whole), 80) if whole.startswith(b"NEXTEND =", at))
    promising = whole[:end]  # two extensions, and one is there
    modest = promising[: card + 10] + b"1".rjust(20) + promising[card + 30 :]
    for bodies in ((modest, promising, modest), (promising, modest, promising)):
        decoder = Decoder([])
        for body in bodies:
            if body == modest:
                assert len(decoder.decode(body).records)
            else:
                with pytest.raises(TruncatedFitsError):
                    decoder.decode(body)


def test_a_file_that_was_cut_off_in_a_card_between_two_hdus_is_truncated() -> None:
    body = demo_file("spoc")
    starts = [at for at in range(0, len(body), 2880) if body.startswith(b"XTENSION", at)]
    assert len(starts) == 2
    for start in starts:
        for size in range(start, start + 90):
            with pytest.raises(TruncatedFitsError):
                Decoder([(0, "TICID")]).decode(body[:size])


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_a_damaged_file_raises_nothing_but_our_own_error(data: st.DataObject) -> None:
    body = bytearray(demo_file("qlp"))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, 9000))] = data.draw(st.integers(0, 255))
    try:
        curve = Decoder([(0, "TICID"), (1, "TIMEDEL")]).decode(bytes(body))
    except FitsError:
        return
    assert curve.records.nbytes <= len(body)


def test_what_follows_the_last_hdu_is_refused() -> None:
    with pytest.raises(FitsError, match="bytes follow the last HDU"):
        Decoder([]).decode(demo_file() + b"\0" * 2880)


def test_a_web_page_is_not_a_fits_file() -> None:
    with pytest.raises(NotFitsError, match="<html>"):
        Decoder([]).decode(b"<html><body>Not found</body></html>")


def test_a_scaled_column_is_refused_because_its_values_would_be_wrong() -> None:
    column = astropy_fits.Column("FLUX", "I", array=np.arange(3, dtype=np.uint16), bzero=32768)
    sink = io.BytesIO()
    hdus = [astropy_fits.PrimaryHDU(), astropy_fits.BinTableHDU.from_columns([column])]
    astropy_fits.HDUList(hdus).writeto(sink)
    with pytest.raises(FitsError, match="scaled"):
        Decoder([]).decode(sink.getvalue())


def test_a_column_of_an_unknown_format_is_named() -> None:
    column = astropy_fits.Column("TRACE", "PJ()", array=np.array([[1], [2, 3]], object))
    sink = io.BytesIO()
    hdus = [astropy_fits.PrimaryHDU(), astropy_fits.BinTableHDU.from_columns([column])]
    astropy_fits.HDUList(hdus).writeto(sink)
    with pytest.raises(FitsError, match=r"TRACE.*unknown format"):
        Decoder([]).decode(sink.getvalue())


def test_an_image_in_place_of_the_table_is_refused() -> None:
    sink = io.BytesIO()
    hdus = [astropy_fits.PrimaryHDU(), astropy_fits.ImageHDU(np.zeros(3))]
    astropy_fits.HDUList(hdus).writeto(sink)
    with pytest.raises(FitsError, match="not a binary table"):
        Decoder([]).decode(sink.getvalue())


def test_files_with_other_numbers_of_rows_share_a_layout() -> None:
    decoder = Decoder([(1, "TELAPS")])
    records = [decoder.decode(demo_file("qlp", 23, number)).records for number in range(0, 40, 10)]
    assert len({id(record.dtype) for record in records}) == 1
    assert len(decoder._layouts) == 1


def test_a_large_cube_is_not_kept_in_memory_by_the_records() -> None:
    table = np.zeros(4, [("A", ">f4")])
    curve = Decoder([]).decode(make_file(table, {}, cube=True))
    assert curve.records.base is None


def test_the_primary_header_is_read_from_a_file_s_first_blocks() -> None:
    body = demo_file("spoc")
    assert primary_values(body[:8640], ["TICID", "NOTHERE"]) == (
        astropy_fits.getheader(io.BytesIO(body))["TICID"],
        None,
    )
    with pytest.raises(TruncatedFitsError):
        primary_values(body[:2000], ["TICID"])


def test_the_size_that_the_headers_imply_is_the_size_of_whole_files() -> None:
    for name in ("qlp", "spoc", "tglc"):
        check_size(demo_file(name))


def checksums(body: bytes) -> list[bool]:
    """Return of each HDU whether astropy reckons the CHECKSUM that its header has.

    ``checksum=True`` can't be asked: where DATASUM is missing, astropy takes it for zero.
    """
    with astropy_fits.open(io.BytesIO(body), lazy_load_hdus=False) as hdus:
        return [
            hdu._calculate_checksum(hdu._calculate_datasum()) == hdu.header["CHECKSUM"]
            for hdu in hdus
        ]


def assert_check_sums_are_astropy_s(body: bytes) -> None:
    assert all(checksums(body))
    check_file(body)
    Decoder([]).decode(body)


def test_check_sums_of_real_files_agree(realdata: Path) -> None:
    bodies = [path.read_bytes() for path in sorted(realdata.glob("tess-spoc/*.fits"))]
    assert len(bodies) == 5
    for body in bodies:
        assert_check_sums_are_astropy_s(body)


@pytest.mark.parametrize("sector", [1, 23, 40, 56])
def test_check_sums_of_demo_files_agree(sector: int) -> None:
    assert_check_sums_are_astropy_s(demo_file("spoc", sector))


@settings(deadline=None, max_examples=25)
@given(table=tables(), cube=st.booleans())
def test_check_sums_that_astropy_writes_agree(table: npt.NDArray[Any], cube: bool) -> None:
    sink = io.BytesIO()
    primary = astropy_fits.PrimaryHDU(np.ones((3, 5, 5), "f4") if cube else None)
    astropy_fits.HDUList([primary, astropy_fits.BinTableHDU(table)]).writeto(sink, checksum=True)
    body = sink.getvalue()
    check_file(body)
    assert len(Decoder([]).decode(body).records) == len(table)


@settings(deadline=None, max_examples=60)
@given(at=st.integers(0, 158_399 - 8_640), bit=st.integers(0, 7))
def test_one_bit_that_was_flipped_is_found_and_spoils_no_other_file(at: int, bit: int) -> None:
    body = demo_file("spoc")
    decoder = Decoder([(0, "TICID")])
    flipped = body[:at] + bytes([body[at] ^ 1 << bit]) + body[at + 1 :]
    cards = (body.index(b"CHECKSUM"), body.index(b"CHECKSUM", 5760))
    for _ in range(2):  # parsed, then recognised
        # With another keyword the card is none, but then nothing else is wrong.
        if not any(start <= at < start + 8 for start in cards):
            with pytest.raises(FitsError):
                decoder.decode(flipped)
        assert decoder.decode(body).values == primary_values(body, ["TICID"])


def test_a_flipped_bit_among_the_records_is_corrupt() -> None:
    body = demo_file("spoc")
    at = 40_003
    with pytest.raises(CorruptFitsError, match="bytes 5760 to 149760 do not agree") as caught:
        Decoder([]).decode(body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :])
    assert caught.value.reason == "corrupt"


def test_bytes_in_another_order_are_corrupt() -> None:
    body = demo_file("spoc")
    words = np.frombuffer(body[40_000:60_000], "u4").byteswap().tobytes()
    with pytest.raises(CorruptFitsError):
        Decoder([]).decode(body[:40_000] + words + body[60_000:])


def test_an_hdu_that_is_not_read_is_for_check_file() -> None:
    body = demo_file("spoc")
    damaged = body[:-3000] + bytes([body[-3000] ^ 1]) + body[-2999:]
    assert len(Decoder([]).decode(damaged).records)
    with pytest.raises(CorruptFitsError):
        check_file(damaged)


@pytest.mark.parametrize("value", ["'0000000000000000'", "'                '", "", "/ none"])
def test_a_check_sum_that_is_not_filled_in_is_not_checked(value: str) -> None:
    body = demo_file("spoc")
    at = body.index(b"CHECKSUM") + 10
    body = body[:at] + value.ljust(70).encode() + body[at + 70 :]
    assert len(Decoder([]).decode(body).records)


def test_a_check_sum_that_is_unreadable_is_corrupt() -> None:
    body = demo_file("spoc")
    at = body.index(b"CHECKSUM") + 10
    with pytest.raises(CorruptFitsError):
        Decoder([]).decode(body[:at] + b"5".rjust(20).ljust(70) + body[at + 70 :])
