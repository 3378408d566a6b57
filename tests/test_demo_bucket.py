"""The demo archive as an S3 bucket: it answers as S3 does, and lags the archive."""

import hashlib
import http.client
import re
import urllib.parse
from collections.abc import Iterator
from email.message import Message
from html import unescape

import pytest

from tessloom.demo import DemoServer, Faults
from tessloom.demo.products import PRODUCTS, light_curves

ROOT = "mast/hlsp/"
SPOC_23 = list(light_curves("spoc", 23))


@pytest.fixture(scope="module")
def server() -> Iterator[DemoServer]:
    with DemoServer() as running:
        yield running


def ask(
    address: str, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[int, Message, bytes]:
    parts = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc)
    try:
        connection.request(method, address.partition(parts.netloc)[2], headers=headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def list_objects(server: DemoServer, **parameters: object) -> tuple[int, str]:
    query = {name.replace("_", "-"): value for name, value in parameters.items()}
    text = urllib.parse.urlencode({"list-type": 2} | query)
    status, headers, page = ask(f"{server.s3.removesuffix(ROOT)}?{text}")
    assert headers.get_content_type() == "application/xml"
    return status, page.decode()


def values(page: str, name: str) -> list[str]:
    return [unescape(value) for value in re.findall(f"<{name}>([^<]*)</{name}>", page)]


def test_an_object_is_the_static_archive_s_file_and_its_etag_the_md5(server: DemoServer) -> None:
    status, headers, body = ask(server.s3 + SPOC_23[0])
    assert status == 200
    assert body == ask(server.address + SPOC_23[0])[2]
    assert headers["ETag"] == f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def test_an_object_has_head_and_ranges(server: DemoServer) -> None:
    address = server.s3 + SPOC_23[0]
    _, whole, body = ask(address)
    status, headers, nothing = ask(address, "HEAD")
    assert (status, headers["Content-Length"], nothing) == (200, str(len(body)), b"")
    assert headers["ETag"] == whole["ETag"]
    status, headers, part = ask(address, headers={"Range": "bytes=2880-"})
    assert (status, part) == (206, body[2880:])
    assert headers["Content-Range"] == f"bytes 2880-{len(body) - 1}/{len(body)}"


@pytest.mark.parametrize("path", ["tess-spoc/none.fits", "", "../other"])
def test_a_missing_key_is_s3_s_error(server: DemoServer, path: str) -> None:
    status, headers, body = ask(server.s3 + path)
    assert (status, headers.get_content_type()) == (404, "application/xml")
    assert body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>')
    assert values(body.decode(), "Key") == [f"{ROOT}{path}"]


@pytest.mark.parametrize("name", PRODUCTS)
def test_the_newest_sector_is_not_there_yet(server: DemoServer, name: str) -> None:
    *held, newest = PRODUCTS[name].sectors
    for sector in held:
        assert ask(server.s3 + next(iter(light_curves(name, sector))), "HEAD")[0] == 200
    path = next(iter(light_curves(name, newest)))
    assert ask(server.s3 + path)[0] == 404
    assert ask(server.address + path, "HEAD")[0] == 200


@pytest.mark.parametrize("name", PRODUCTS)
def test_neither_scripts_nor_lists_are_there(server: DemoServer, name: str) -> None:
    pipeline = PRODUCTS[name].pipeline
    for path in (
        pipeline.script.format(sector=23),
        pipeline.target_list.format(sector=23),
        pipeline.script_directory,
    ):
        assert ask(server.s3 + path)[0] == 404
    _, page = list_objects(server, prefix=f"{ROOT}{pipeline.script_directory}")
    assert values(page, "KeyCount") == ["0"]


def test_a_listing_has_s3_s_elements_in_s3_s_order(server: DemoServer) -> None:
    status, page = list_objects(server, prefix=f"{ROOT}tess-spoc/s0023/", max_keys=1)
    body = ask(server.s3 + SPOC_23[0])[2]
    assert status == 200
    assert re.fullmatch(
        r'<\?xml version="1.0" encoding="UTF-8"\?>\n'
        r'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        rf"<Name>stpubdata</Name><Prefix>{ROOT}tess-spoc/s0023/</Prefix>"
        r"<NextContinuationToken>[^<]+</NextContinuationToken>"
        r"<KeyCount>1</KeyCount><MaxKeys>1</MaxKeys><IsTruncated>true</IsTruncated>"
        rf"<Contents><Key>{ROOT}{min(SPOC_23)}</Key>"
        r"<LastModified>\d{4}-\d\d-\d\dT00:00:00.000Z</LastModified>"
        rf"<ETag>&quot;{hashlib.md5(body, usedforsecurity=False).hexdigest()}&quot;</ETag>"
        rf"<Size>{len(body)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        r"</ListBucketResult>",
        page,
    )


def test_all_keys_come_in_order_page_by_page(server: DemoServer) -> None:
    keys: list[str] = []
    more: dict[str, str] = {}
    while True:
        _, page = list_objects(server, prefix=f"{ROOT}tess-spoc/s0023/", max_keys=200, **more)
        assert values(page, "KeyCount") == [str(len(values(page, "Key")))]
        assert values(page, "ContinuationToken") == list(more.values())
        keys += values(page, "Key")
        if values(page, "IsTruncated") == ["false"]:
            break
        more = {"continuation_token": values(page, "NextContinuationToken")[0]}
    assert keys == sorted(f"{ROOT}{path}" for path in SPOC_23)


def test_a_page_has_at_most_1000_keys(server: DemoServer) -> None:
    _, page = list_objects(server, prefix=f"{ROOT}tglc/s0023/", max_keys=5000)
    assert len(values(page, "Key")) == 1000
    assert values(page, "MaxKeys") == ["1000"]
    assert values(page, "IsTruncated") == ["true"]


def test_a_delimiter_folds_keys_into_common_prefixes(server: DemoServer) -> None:
    _, page = list_objects(server, prefix=f"{ROOT}qlp/", delimiter="/")
    sectors = [f"{ROOT}qlp/s{sector:04d}/" for sector in PRODUCTS["qlp"].sectors[:-1]]
    assert re.findall(r"<CommonPrefixes><Prefix>([^<]+)</Prefix></CommonPrefixes>", page) == sectors
    assert values(page, "KeyCount") == [str(len(sectors))]
    assert values(page, "Delimiter") == ["/"]
    assert not values(page, "Key")


def test_common_prefixes_come_page_by_page_too(server: DemoServer) -> None:
    asked = {"prefix": ROOT, "delimiter": "/", "max_keys": 2}
    _, first = list_objects(server, **asked)
    token = values(first, "NextContinuationToken")[0]
    _, second = list_objects(server, **asked, continuation_token=token)
    assert values(first, "Prefix")[1:] == [f"{ROOT}qlp/", f"{ROOT}tess-spoc/"]
    assert values(second, "Prefix")[1:] == [f"{ROOT}tglc/"]
    assert values(second, "IsTruncated") == ["false"]


def test_no_keys_asked_for_are_no_keys(server: DemoServer) -> None:
    _, page = list_objects(server, prefix=ROOT, max_keys=0)
    assert values(page, "KeyCount") == ["0"]
    assert values(page, "IsTruncated") == ["false"]


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        ({"max_keys": "many"}, 400, "InvalidArgument"),
        ({"continuation_token": "?"}, 400, "InvalidArgument"),
        ({"list-type": 1}, 501, "NotImplemented"),
        ({"start_after": "a"}, 501, "NotImplemented"),
    ],
)
def test_what_s3_refuses_is_refused(
    server: DemoServer, parameters: dict[str, object], status: int, code: str
) -> None:
    answer, page = list_objects(server, **parameters)
    assert (answer, values(page, "Code")) == (status, [code])


def test_listings_are_counted_by_prefix_and_are_no_requests_for_files() -> None:
    with DemoServer() as server:
        for _ in range(2):
            list_objects(server, prefix=f"{ROOT}qlp/s0057/", max_keys=1)
        assert server.listings == {f"{ROOT}qlp/s0057/": 2}
        assert not server.requests


def test_a_listing_tells_size_and_md5_of_what_the_archive_has_for_good() -> None:
    faults = Faults(missing=0.2, corrupt=0.3, wrong=0.3, html=0.2)
    with DemoServer(faults) as server:
        _, page = list_objects(server, prefix=f"{ROOT}tess-spoc/s0023/", max_keys=30)
        keys, sizes, tags = (values(page, name) for name in ("Key", "Size", "ETag"))
        answers = [ask(server.s3 + key.removeprefix(ROOT)) for key in keys]
    assert (
        keys == sorted(f"{ROOT}{path}" for path in SPOC_23 if not faults.hit("missing", path))[:30]
    )
    assert sizes == [str(len(body)) for _, _, body in answers]
    assert tags == [headers["ETag"] for _, headers, _ in answers]
    assert len(set(sizes)) == 3
