"""The demo archive answers as MAST does, misbehaviour included."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import urllib.parse
from email.message import Message

import pytest

from tessloom.demo import DemoServer
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


def test_requests_are_counted_over_all_mirrors_and_for_each() -> None:
    with DemoServer() as server:
        for address in (server.address, server.s3, server.s3, server.gateway):
            root = address.partition(urllib.parse.urlsplit(address).netloc)[2]
            assert ask(server, light_curve(), root=root)[0] == 200
        assert server.requests == {light_curve(): 4}
        assert {name: each[light_curve()] for name, each in server.requests_of.items()} == {
            "s3": 2,
            "static": 1,
            "gateway": 1,
        }
        assert not server.listings


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


def test_a_range_of_another_version_is_answered_with_the_whole() -> None:
    with DemoServer() as server:
        _, headers, body = ask(server, SCRIPT)
        for version, expected in ((headers["ETag"], (206, body[100:])), ('"old"', (200, body))):
            asked = {"Range": "bytes=100-", "If-Range": version}
            status, _, part = ask(server, SCRIPT, headers=asked)
            assert (status, part) == expected


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
    code = "import sys, tessloom.demo; print({'astropy', 'healpix', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
