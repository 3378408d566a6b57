"""The demo archive misbehaves on request: what goes over the wire, byte by byte."""

import dataclasses
import email.message
import email.parser
import email.utils
import io
import socket
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import numpy as np
import pytest
from astropy.io import fits

from tessloom.demo import DemoServer, Faults
from tessloom.demo.faults import PASSING
from tessloom.demo.products import PRODUCTS, light_curves
from tessloom.demo.sectors import SECTORS
from tessloom.errors import RequestError

SCRIPT = PRODUCTS["spoc"].pipeline.script.format(sector=23)
LIST = PRODUCTS["spoc"].pipeline.target_list.format(sector=23)
INDEX = PRODUCTS["spoc"].pipeline.script_directory
CURVES = light_curves("spoc", 23)
PATHS = list(CURVES)


class Answer(NamedTuple):
    """What came over the wire. The body is as sent, chunks and all."""

    status: int
    headers: email.message.Message
    body: bytes
    reset: bool

    @property
    def announced(self) -> int:
        return int(self.headers["Content-Length"])


def sound(path: str) -> bytes:
    """Return the file that the archive has without faults."""
    product = next(each for each in PRODUCTS.values() if path.startswith(each.pipeline.hlsp))
    match = product.pipeline.file_name.search(path)
    assert match is not None
    sector = int(match["sector"])
    return product.file(SECTORS[sector], light_curves(product.pipeline.name, sector)[path])


@contextmanager
def asked(address: str, method: str = "GET", *headers: str) -> Iterator[socket.socket]:
    """Send one request over a connection of its own, which the server is to close."""
    parts = urllib.parse.urlsplit(address)
    target = address.partition(parts.netloc)[2]
    lines = (f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close", *headers)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0))) as connection:
        connection.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
        yield connection


def ask(address: str, method: str = "GET", *headers: str) -> Answer:
    """Return all that the server sends until it ends the connection."""
    received, reset = b"", False
    with asked(address, method, *headers) as connection:
        try:
            while piece := connection.recv(1 << 16):
                received += piece
        except ConnectionResetError:
            reset = True
    return parsed(received, reset=reset)


def parsed(received: bytes, *, reset: bool = False) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    status, _, fields = head.decode().partition("\r\n")
    headers = email.parser.Parser().parsestr(fields)
    return Answer(int(status.split()[1]), headers, body, reset)


def unchunked(body: bytes) -> bytes:
    whole = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        assert body[length : length + 2] == b"\r\n"
        whole += body[:length]
        body = body[length + 2 :]
        if length == 0:
            assert not body
            return whole


def is_sound(answer: Answer, path: str = PATHS[0]) -> bool:
    return answer.status == 200 and answer.body == sound(path) and not answer.reset


def test_busy_asks_to_wait_some_seconds() -> None:
    with DemoServer(Faults(busy=1, retry_after=3)) as server:
        answer = ask(server.address + PATHS[0])
        assert (answer.status, answer.headers["Retry-After"], answer.body) == (429, "3", b"")
        assert is_sound(ask(server.address + PATHS[0]))


def test_busy_until_asks_to_wait_until_a_date() -> None:
    before = time.time()
    with DemoServer(Faults(busy_until=1, retry_after=60.5)) as server:
        answer = ask(server.address + PATHS[0])
        assert answer.status == 429
        date = answer.headers["Retry-After"]
        assert date.endswith(" GMT")
        until = email.utils.parsedate_to_datetime(date).timestamp()
        assert before + 60.5 <= until <= time.time() + 61.5
        assert is_sound(ask(server.address + PATHS[0]))


def test_unavailable_is_503_without_more() -> None:
    with DemoServer(Faults(unavailable=1)) as server:
        answer = ask(server.address + SCRIPT)
        assert (answer.status, answer.headers["Retry-After"], answer.body) == (503, None, b"")
        assert ask(server.address + SCRIPT).status == 200


def test_unavailable_is_slow_down_in_s3_s_words() -> None:
    with DemoServer(Faults(unavailable=1)) as server:
        answer = ask(server.s3 + PATHS[0])
        assert answer.status == 503
        assert b"<Error><Code>SlowDown</Code>" in answer.body


def test_an_html_page_takes_a_file_s_place_once() -> None:
    with DemoServer(Faults(html_once=1)) as server:
        for mirror in (server.address, server.s3):
            path = PATHS[mirror == server.s3]
            answer = ask(mirror + path)
            assert (answer.status, answer.headers.get_content_type()) == (200, "text/html")
            assert answer.headers["ETag"] is None
            assert answer.body.startswith(b"<html>")
            assert answer.announced == len(answer.body)
            assert is_sound(ask(mirror + path), path)


def test_a_wrong_star_s_file_comes_once() -> None:
    with DemoServer(Faults(wrong_once=1)) as server:
        assert is_sound(ask(server.address + PATHS[5]), PATHS[4])
        assert is_sound(ask(server.address + PATHS[5]), PATHS[5])
        assert ask(server.address + LIST).body.startswith(b"#TIC_ID")


@pytest.mark.parametrize("name", PRODUCTS)
def test_garbled_bytes_lie_in_the_table_and_the_length_is_right(name: str) -> None:
    for path in list(light_curves(name, 23))[:3]:
        with DemoServer(Faults(garbled=1)) as server:
            first, second = (ask(server.address + path).body for _ in range(2))
        whole = sound(path)
        assert second == whole
        assert len(first) == len(whole)
        changed = np.flatnonzero(np.frombuffer(first, "u1") != np.frombuffer(whole, "u1"))
        assert changed.tolist() == list(range(changed[0], changed[0] + 64))
        with fits.open(io.BytesIO(whole)) as hdus:
            start, header = hdus[1].fileinfo()["datLoc"], hdus[1].header
            assert start <= changed[0]
            assert changed[-1] < start + header["NAXIS1"] * header["NAXIS2"]


def test_garbled_bytes_are_the_same_each_time_and_the_etag_tells_them() -> None:
    with DemoServer(Faults(garbled=1)) as one, DemoServer(Faults(garbled=1)) as other:
        first, second = ask(one.s3 + PATHS[0]), ask(one.s3 + PATHS[0])
        assert ask(other.s3 + PATHS[0]).body == first.body != second.body
        assert first.headers["ETag"] == second.headers["ETag"]


def test_a_truncated_answer_announces_what_it_sends() -> None:
    whole = sound(PATHS[0])
    with DemoServer(Faults(truncated=1)) as server:
        answer = ask(server.address + PATHS[0])
        assert answer.body == whole[: len(whole) // 2]
        assert answer.announced == len(answer.body)
        assert not answer.reset
        assert is_sound(ask(server.address + PATHS[0]))


def test_an_unannounced_end_is_chunked_and_properly_ended() -> None:
    whole = sound(PATHS[0])
    with DemoServer(Faults(unannounced=1)) as server:
        answer = ask(server.address + PATHS[0])
        assert answer.status == 200
        assert answer.headers["Content-Length"] is None
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert unchunked(answer.body) == whole[: len(whole) // 2]
        assert is_sound(ask(server.address + PATHS[0]))


def test_a_script_is_cut_and_announces_more_and_light_curves_are_not() -> None:
    with DemoServer(Faults(script_cut=1)) as server:
        answer, whole = (ask(server.address + SCRIPT) for _ in range(2))
        assert answer.announced == whole.announced == len(whole.body)
        assert answer.body == whole.body[: len(whole.body) // 2]
        assert answer.headers["ETag"] == whole.headers["ETag"]
        assert not answer.reset
        assert is_sound(ask(server.address + PATHS[0]))


def test_a_cut_script_goes_on_where_it_ended() -> None:
    with DemoServer(Faults(script_cut=1)) as server:
        begin = ask(server.address + SCRIPT)
        resumed = f"Range: bytes={len(begin.body)}-", f"If-Range: {begin.headers['ETag']}"
        rest = ask(server.address + SCRIPT, "GET", *resumed)
        assert rest.status == 206
        assert begin.body + rest.body == ask(server.address + SCRIPT).body


def test_a_reset_breaks_the_connection_in_the_middle_of_the_body() -> None:
    whole = sound(PATHS[0])
    with DemoServer(Faults(reset=1)) as server:
        answer = ask(server.address + PATHS[0])
        assert answer.reset
        assert answer.announced == len(whole)
        assert 0 < len(answer.body) <= len(whole) // 2
        assert whole.startswith(answer.body)
        assert is_sound(ask(server.address + PATHS[0]))


def test_a_cut_answer_announces_more_than_it_sends() -> None:
    whole = sound(PATHS[0])
    with DemoServer(Faults(cut=1)) as server:
        answer = ask(server.address + PATHS[0])
        assert not answer.reset
        assert answer.announced == len(whole)
        assert answer.body == whole[: len(whole) // 2]
        assert is_sound(ask(server.address + PATHS[0]))


def test_a_cut_range_is_cut_in_its_own_middle() -> None:
    whole = sound(PATHS[0])
    with DemoServer(Faults(cut=1)) as server:
        answer = ask(server.address + PATHS[0], "GET", "Range: bytes=1000-1999")
    assert (answer.status, answer.announced, answer.body) == (206, 1000, whole[1000:1500])


def test_a_stalled_answer_keeps_the_connection_and_says_no_more() -> None:
    whole = sound(PATHS[0])
    with DemoServer(Faults(stalled=1)) as server, asked(server.address + PATHS[0]) as connection:
        received = b""
        while len(parsed(received or b"HTTP/1.1 200\r\n\r\n").body) < len(whole) // 2:
            received += connection.recv(1 << 16)
        answer = parsed(received)
        assert answer.announced == len(whole)
        assert answer.body == whole[: len(whole) // 2]
        assert is_sound(ask(server.address + PATHS[0]))
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)


def test_a_stalled_answer_does_not_keep_the_server_from_stopping() -> None:
    with ExitStack() as running:
        server = running.enter_context(DemoServer(Faults(stalled=1)))
        with asked(server.address + PATHS[0]) as connection:
            assert connection.recv(1)
            start = time.monotonic()
            running.close()
            # The server waits a second for answers that are under way.
            assert time.monotonic() - start < 0.9
            while connection.recv(1 << 16):
                pass


def test_a_slow_body_dribbles_in() -> None:
    with DemoServer(Faults(slow_body=1, delay=0.5)) as server:
        ask(server.address + SCRIPT, "HEAD")  # so that the imports don't count
        with asked(server.address + PATHS[0]) as connection:
            start = time.monotonic()
            received = connection.recv(1 << 16)
            begun = time.monotonic() - start
            while piece := connection.recv(1 << 16):
                received += piece
            taken = time.monotonic() - start
        assert is_sound(parsed(received))
        assert begun < 0.5 <= taken
        assert is_sound(ask(server.address + PATHS[0]))


def test_a_slow_answer_begins_later_once() -> None:
    with DemoServer(Faults(slow=1, delay=0.4)) as server:
        ask(server.address + "qlp/none")
        start = time.monotonic()
        ask(server.address + "tglc/none")
        middle = time.monotonic()
        ask(server.address + "tglc/none")
        assert middle - start >= 0.4 > time.monotonic() - middle


def test_a_missing_file_stays_missing() -> None:
    with DemoServer(Faults(missing=1)) as server:
        for mirror in (server.address, server.s3, server.gateway):
            assert [ask(mirror + PATHS[0]).status for _ in range(2)] == [404, 404]
        assert ask(server.address + SCRIPT).status == 200


def test_an_html_page_takes_a_light_curve_s_place_for_good() -> None:
    with DemoServer(Faults(html=1)) as server:
        for _ in range(2):
            answer = ask(server.address + PATHS[0])
            assert answer.status == 200
            assert answer.body.startswith(b"<html>")


def test_a_wrong_star_s_file_comes_for_good() -> None:
    with DemoServer(Faults(wrong=1)) as server:
        for _ in range(2):
            assert is_sound(ask(server.address + PATHS[5]), PATHS[4])


def test_a_corrupt_file_is_short_each_time() -> None:
    whole = sound(PATHS[0])
    with DemoServer(Faults(corrupt=1)) as server:
        for _ in range(2):
            answer = ask(server.address + PATHS[0])
            assert answer.body == whole[: len(whole) * 2 // 3]
            assert answer.announced == len(answer.body)


def test_a_short_script_ends_in_the_middle_of_a_line_for_good() -> None:
    with DemoServer() as sane, DemoServer(Faults(script_short=1)) as server:
        whole = ask(sane.address + SCRIPT).body
        first, second = (ask(server.address + SCRIPT) for _ in range(2))
        assert ask(server.address + LIST).body == ask(sane.address + LIST).body
    assert first.body == second.body
    assert first.announced == len(first.body)
    *lines, last = first.body.split(b"\n")
    assert lines == whole.split(b"\n")[: len(lines)]
    assert 0 < len(last) < len(whole.split(b"\n")[len(lines)])


@pytest.mark.parametrize("fault", ["unlisted", "unscripted", "duplicate", "nan"])
def test_lists_disagree(fault: str) -> None:
    faults = Faults.parse(f"{fault}=0.2")
    ids = {f"{target.star.tic_id:016d}": path for path, target in CURVES.items()}
    with DemoServer(faults) as server:
        rows = ask(server.address + LIST).body.decode().splitlines()[1:]
        lines = ask(server.address + SCRIPT).body.decode().splitlines()[1:]
    times = {"unlisted": (0, 1), "unscripted": (1, 0), "duplicate": (2, 2), "nan": (1, 1)}[fault]
    for identifier, path in ids.items():
        named = [row for row in rows if row.startswith(identifier)]
        scripted = [line for line in lines if path in line]
        expected = times if faults.hit(fault, path) else (1, 1)
        assert (len(named), len(scripted)) == expected
        nowhere = fault == "nan" and faults.hit(fault, path)
        assert all(row.endswith("nan,nan") == nowhere for row in named)


def test_an_archive_that_is_down_shows_a_page_about_maintenance() -> None:
    with DemoServer(Faults(down=True)) as server:
        for mirror in (server.address, server.s3, server.gateway, server.s3[: -len("mast/hlsp/")]):
            for _ in range(2):
                answer = ask(mirror + PATHS[0])
                assert (answer.status, answer.headers.get_content_type()) == (503, "text/html")
                assert b"maintenance" in answer.body


@pytest.mark.parametrize("mirror", ["s3", "static", "gateway"])
def test_one_mirror_can_be_down_and_come_back(mirror: str) -> None:
    with DemoServer(Faults.parse(f"down_{mirror}")) as server:
        mirrors = {"s3": server.s3, "static": server.address, "gateway": server.gateway}
        for name, address in mirrors.items():
            assert ask(address + PATHS[0]).status == (503 if name == mirror else 200)
        server.faults = Faults()
        assert is_sound(ask(mirrors[mirror] + PATHS[0]))


def test_a_bucket_that_is_down_lists_nothing() -> None:
    with DemoServer(Faults(down_s3=True)) as server:
        listing = f"{server.s3.removesuffix('mast/hlsp/')}?list-type=2&max-keys=1"
        assert ask(listing).status == 503
        server.faults = Faults(busy=1)
        assert [ask(listing).status for _ in range(2)] == [429, 200]


def test_a_path_has_one_fault_over_all_mirrors() -> None:
    with DemoServer(Faults(busy=1, truncated=1, cut=1)) as server:
        assert ask(server.s3 + PATHS[0]).status == 429
        assert is_sound(ask(server.gateway + PATHS[0]))
        assert is_sound(ask(server.address + PATHS[0]))


def test_a_path_keeps_its_fault_until_it_can_hit() -> None:
    with DemoServer(Faults(truncated=1, down_s3=True)) as server:
        assert ask(server.s3 + PATHS[0]).status == 503
        assert ask(server.address + PATHS[0], "HEAD").announced == len(sound(PATHS[0]))
        assert ask(server.address + PATHS[0]).announced == len(sound(PATHS[0])) // 2
        assert is_sound(ask(server.address + PATHS[0]))


def test_other_faults_at_run_time_do_not_hit_a_path_again() -> None:
    faults = Faults(busy=1)
    with DemoServer(faults) as server:
        assert ask(server.address + PATHS[0]).status == 429
        server.faults = dataclasses.replace(faults, unavailable=1, busy=0)
        assert is_sound(ask(server.address + PATHS[0]))
        assert ask(server.address + PATHS[1]).status == 503


def test_of_several_faults_a_path_has_the_first_that_can_hit_it() -> None:
    for number, name in enumerate(PASSING):
        rest = Faults.parse(",".join(f"{each}=1" for each in PASSING[number:]))
        assert rest.passing(SCRIPT if name == "script_cut" else PATHS[0]) == name
    assert Faults(wrong_once=1, garbled=1, cut=1).passing(LIST) == "cut"
    assert Faults(script_cut=1, cut=1).passing(PATHS[0]) == "cut"


@pytest.mark.parametrize("path", [LIST, INDEX])
def test_lists_and_index_pages_have_faults_that_pass(path: str) -> None:
    with DemoServer(Faults(truncated=1)) as server:
        short, whole = (ask(server.address + path) for _ in range(2))
        assert short.body == whole.body[: len(whole.body) // 2]


def test_the_nth_request_has_a_fault_whatever_its_path() -> None:
    with DemoServer(Faults.parse("busy=#2,unavailable=#4,busy=#5")) as server:
        mirrors = [server.address, server.s3, server.gateway] * 2
        statuses = [ask(mirror + PATHS[0]).status for mirror in mirrors]
    assert statuses == [200, 429, 200, 503, 429, 200]


def test_a_numbered_fault_takes_the_place_of_the_path_s_own() -> None:
    with DemoServer(Faults.parse("busy=1,unavailable=#1")) as server:
        assert [ask(server.address + PATHS[0]).status for _ in range(2)] == [503, 200]


def test_a_rate_is_the_share_of_paths_hit_and_the_same_each_time() -> None:
    paths = [f"qlp/{number}" for number in range(5000)]
    hits = [Faults(busy=0.1).hit("busy", path) for path in paths]
    assert sum(hits) / len(hits) == pytest.approx(0.1, abs=0.02)
    assert hits == [Faults(busy=0.1).hit("busy", path) for path in paths]


def test_faults_are_read_from_text() -> None:
    text = "busy=0.02, missing=0.01,retry_after=0,down"
    assert Faults.parse(text) == Faults(busy=0.02, missing=0.01, retry_after=0, down=True)
    assert Faults.parse("") == Faults()
    assert Faults.parse("down_s3,delay=2") == Faults(down_s3=True, delay=2)
    assert Faults.parse("busy=#7,cut=#9,busy=0.5") == Faults(
        busy=0.5, nth=(("busy", 7), ("cut", 9))
    )


@pytest.mark.parametrize(
    "text",
    [
        *("tired=1", "busy", "busy=often", "busy=2", "delay=-1", "nan=nan", "nth=1", "down=yes"),
        *("busy=#", "busy=#0", "busy=#1.5", "missing=#3", "delay=#3", "busy=#3,cut=#3"),
    ],
)
def test_bad_faults_are_refused(text: str) -> None:
    with pytest.raises(RequestError):
        Faults.parse(text)


def test_an_unknown_fault_is_answered_with_the_known_ones() -> None:
    with pytest.raises(RequestError, match=r"'tired'.*busy.*unscripted"):
        Faults.parse("tired=0.5")
