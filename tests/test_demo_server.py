"""The demo archive answers as MAST does, misbehaviour included."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from email.message import Message

import pytest

from tessloom.demo import DemoServer, Faults
from tessloom.demo.products import PRODUCTS, light_curves
from tessloom.errors import RequestError

SCRIPT = PRODUCTS["spoc"].pipeline.script.format(sector=23)
LIST = PRODUCTS["spoc"].pipeline.target_list.format(sector=23)


def light_curve(number: int = 0) -> str:
    return list(light_curves("spoc", 23))[number]


def ask(
    server: DemoServer,
    path: str,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    root: str = "/hlsps/",
) -> tuple[int, Message, bytes]:
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.address).netloc)
    try:
        connection.request(method, root + path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def test_it_is_reachable_on_the_loopback_only() -> None:
    with DemoServer() as server:
        address = urllib.parse.urlsplit(server.address)
        assert (address.scheme, address.hostname, address.path) == ("http", "127.0.0.1", "/hlsps/")


@pytest.mark.parametrize("name", PRODUCTS)
def test_the_index_names_the_scripts_and_they_exist(name: str) -> None:
    pipeline = PRODUCTS[name].pipeline
    with DemoServer() as server:
        status, headers, page = ask(server, pipeline.script_directory)
        assert (status, headers.get_content_type()) == (200, "text/html")
        for sector in PRODUCTS[name].sectors:
            script = pipeline.script.format(sector=sector)
            assert f'href="{script.rpartition("/")[2]}"'.encode() in page
            assert ask(server, script, "HEAD")[0] == 200


def test_the_index_names_a_script_of_many_sectors() -> None:
    with DemoServer() as server:
        assert b"_s1426_" in ask(server, PRODUCTS["qlp"].pipeline.script_directory)[2]


def test_the_gateway_serves_the_same_bytes() -> None:
    with DemoServer() as server:
        static = ask(server, light_curve())[2]
        for root in ("/api/v0.1/Download/file/?uri=", "/api/v0.1/Download/file?uri="):
            assert ask(server, f"mast:HLSP/{light_curve()}", root=root)[2] == static
        assert server.requests[light_curve()] == 3


def test_two_servers_serve_the_same() -> None:
    with DemoServer() as one, DemoServer() as other:
        for path in (SCRIPT, LIST, light_curve()):
            assert ask(one, path)[2] == ask(other, path)[2]


@pytest.mark.parametrize("path", [SCRIPT, LIST, light_curve()])
def test_head_and_ranges(path: str) -> None:
    with DemoServer() as server:
        _, headers, body = ask(server, path)
        assert headers["Content-Length"] == str(len(body))
        status, headers, nothing = ask(server, path, "HEAD")
        assert (status, headers["Content-Length"], nothing) == (200, str(len(body)), b"")
        status, headers, rest = ask(server, path, headers={"Range": "bytes=100-"})
        assert (status, rest) == (206, body[100:])
        assert headers["Content-Range"] == f"bytes 100-{len(body) - 1}/{len(body)}"
        assert ask(server, path, headers={"Range": "bytes=5-9"})[2] == body[5:10]
        assert ask(server, path, headers={"Range": "bytes=-7"})[2] == body[-7:]
        assert ask(server, path, headers={"Range": f"bytes={len(body)}-"})[0] == 416


def test_scripts_and_lists_have_an_etag() -> None:
    with DemoServer() as server:
        tags = [ask(server, path)[1]["ETag"] for path in (SCRIPT, LIST, light_curve())]
    assert tags[0]
    assert tags[1]
    assert tags[0] != tags[1]
    assert tags[2] is None


@pytest.mark.parametrize("path", ["", "qlp/", "qlp/s0023/none.fits", "qlp/target_lists/s0099.csv"])
def test_what_does_not_exist_is_a_short_html_page_with_404(path: str) -> None:
    with DemoServer() as server:
        status, headers, body = ask(server, path)
    assert (status, headers.get_content_type()) == (404, "text/html")
    assert len(body) < 1000


def test_busy_asks_to_wait_and_recovers() -> None:
    with DemoServer(Faults(busy=1, retry_after=0)) as server:
        status, headers, _ = ask(server, light_curve())
        assert (status, headers["Retry-After"]) == (429, "0")
        assert ask(server, light_curve())[0] == 200


def test_unavailable_recovers() -> None:
    with DemoServer(Faults(unavailable=1)) as server:
        assert [ask(server, SCRIPT)[0] for _ in range(3)] == [503, 200, 200]


def test_a_cut_answer_announces_more_than_it_sends_and_recovers() -> None:
    with DemoServer(Faults(cut=1)) as server:
        with pytest.raises(http.client.IncompleteRead) as broken:
            ask(server, light_curve())
        _, _, whole = ask(server, light_curve())
    assert 0 < len(broken.value.partial) < len(whole)
    assert whole.startswith(broken.value.partial)


def test_a_truncated_answer_announces_what_it_sends_and_recovers() -> None:
    with DemoServer(Faults(truncated=1)) as server:
        _, headers, short = ask(server, light_curve())
        _, _, whole = ask(server, light_curve())
    assert int(headers["Content-Length"]) == len(short) < len(whole)


def test_a_slow_answer_takes_longer_once() -> None:
    with DemoServer(Faults(slow=1, delay=0.4)) as server:
        ask(server, "qlp/none")
        start = time.monotonic()
        ask(server, "tglc/none")
        middle = time.monotonic()
        ask(server, "tglc/none")
        assert middle - start >= 0.4 > time.monotonic() - middle


def test_a_missing_file_stays_missing() -> None:
    with DemoServer(Faults(missing=1)) as server:
        assert [ask(server, light_curve())[0] for _ in range(2)] == [404, 404]
        assert ask(server, SCRIPT)[0] == 200


def test_an_html_page_comes_with_status_200() -> None:
    with DemoServer(Faults(html=1)) as server:
        for _ in range(2):
            status, _, body = ask(server, light_curve())
            assert status == 200
            assert body.startswith(b"<html>")


def test_a_corrupt_file_is_short_each_time() -> None:
    with DemoServer() as sound, DemoServer(Faults(corrupt=1)) as server:
        whole = ask(sound, light_curve())[2]
        first, second = (ask(server, light_curve())[2] for _ in range(2))
    assert first == second
    assert whole.startswith(first)
    assert len(first) < len(whole)


def test_a_wrong_file_is_another_star_s() -> None:
    with DemoServer() as sound, DemoServer(Faults(wrong=1)) as server:
        assert ask(server, light_curve(5))[2] == ask(sound, light_curve(4))[2]


def test_an_archive_that_is_down_answers_nothing() -> None:
    with DemoServer(Faults(down=True)) as server:
        for path in (SCRIPT, SCRIPT, light_curve()):
            assert ask(server, path)[0] == 503


def test_a_rate_is_the_share_of_paths_hit_and_the_same_each_time() -> None:
    paths = [f"qlp/{number}" for number in range(5000)]
    hits = [Faults(busy=0.1).hit("busy", path) for path in paths]
    assert sum(hits) / len(hits) == pytest.approx(0.1, abs=0.02)
    assert hits == [Faults(busy=0.1).hit("busy", path) for path in paths]


def test_faults_are_read_from_text() -> None:
    text = "busy=0.02, missing=0.01,retry_after=0,down"
    assert Faults.parse(text) == Faults(busy=0.02, missing=0.01, retry_after=0, down=True)
    assert Faults.parse("") == Faults()


@pytest.mark.parametrize("text", ["tired=1", "busy", "busy=often", "busy=2", "delay=-1", "nan=nan"])
def test_bad_faults_are_refused(text: str) -> None:
    with pytest.raises(RequestError):
        Faults.parse(text)


def test_an_unknown_fault_is_answered_with_the_known_ones() -> None:
    with pytest.raises(RequestError, match=r"'tired'.*busy.*unscripted"):
        Faults.parse("tired=0.5")


def test_a_port_in_use_is_a_clear_error() -> None:
    with DemoServer() as server:
        port = urllib.parse.urlsplit(server.address).port
        assert port is not None
        with pytest.raises(RequestError, match=f"port {port}"):
            DemoServer(port=port).__enter__()


@pytest.mark.parametrize("port", [-1, 65536])
def test_an_impossible_port_is_a_clear_error(port: int) -> None:
    with pytest.raises(RequestError, match="between 0"), DemoServer(port=port):
        pass


def test_serve_runs_until_interrupted() -> None:
    code = "from tessloom.demo import serve; serve(0, ready=lambda a: print(a, flush=True))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stdout is not None
        address = urllib.parse.urlsplit(process.stdout.readline().strip())
        with socket.create_connection((str(address.hostname), int(address.port or 0))):
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_importing_the_demo_loads_neither_astropy_nor_healpix() -> None:
    code = "import sys, tessloom.demo; print({'astropy', 'cdshealpix', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
