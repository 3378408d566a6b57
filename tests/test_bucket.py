"""What a bucket lists: its sectors page by page, and whether it holds one; and hostile listings."""

import asyncio
import tracemalloc
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import pytest

import tessloom
from local_archive import NAMESPACE, Answers, body, serving
from tessloom.archive import Bucket, Mirror, Mirrors, RetryPolicy
from tessloom.archive.findings import Findings
from tessloom.demo import DemoServer
from tessloom.errors import ArchiveError, UnknownSectorError
from tessloom.pipelines import QLP

ADDRESS = "https://bucket.example/"
BUCKET = Bucket(ADDRESS, "mast/hlsp/")


def page(*prefixes: str, following: str | None = None) -> bytes:
    parts = "".join(f"<CommonPrefixes><Prefix>{p}</Prefix></CommonPrefixes>" for p in prefixes)
    more = f"<NextContinuationToken>{following}</NextContinuationToken>" if following else ""
    return (
        f'<?xml version="1.0"?><ListBucketResult xmlns="{NAMESPACE}">'
        f"<Prefix>mast/hlsp/qlp/</Prefix>{parts}{more}</ListBucketResult>"
    ).encode()


class Pages:
    """Answers with pages one after the other, the last one for ever."""

    def __init__(self, *pages: bytes) -> None:
        self.pages = pages
        self.queries: list[dict[str, str]] = []

    async def get(self, address: str) -> bytes:
        assert address.startswith(f"{ADDRESS}?")
        query = parse_qs(urlsplit(address).query)
        self.queries.append({name: value for name, (value,) in query.items()})
        return self.pages[min(len(self.queries), len(self.pages)) - 1]


def sectors(*pages: bytes) -> list[int]:
    return asyncio.run(BUCKET.sectors("qlp/", Pages(*pages).get))


def test_sectors_are_the_directories_of_all_pages() -> None:
    pages = Pages(
        page("mast/hlsp/qlp/download_scripts/", "mast/hlsp/qlp/s0002/", following="a+b/c=="),
        page("mast/hlsp/qlp/s0001/", "mast/hlsp/qlp/s0104/", following="&amp;x"),
        page("mast/hlsp/qlp/s0002/", "mast/hlsp/qlp/s00003/", "mast/hlsp/qlp/target_lists/"),
    )
    assert asyncio.run(BUCKET.sectors("qlp/", pages.get)) == [1, 2, 104]
    common = {"list-type": "2", "prefix": "mast/hlsp/qlp/", "delimiter": "/"}
    assert pages.queries == [
        common,
        common | {"continuation-token": "a+b/c=="},
        common | {"continuation-token": "&x"},
    ]


def test_a_bucket_without_end_is_an_error() -> None:
    with pytest.raises(ArchiveError, match=f"{ADDRESS} does not come to the end of mast/hlsp/qlp/"):
        sectors(page("mast/hlsp/qlp/s0001/", following="again"))


def test_one_request_of_one_key_tells_whether_a_sector_is_held() -> None:
    contents = b"<Contents><Key>mast/hlsp/qlp/s0001/x</Key></Contents></ListBucketResult>"
    for answer, held in ((page(), False), (page().replace(b"</ListBucketResult>", contents), True)):
        pages = Pages(answer)
        assert asyncio.run(BUCKET.holds("qlp/s0001/", pages.get)) is held
        (query,) = pages.queries
        assert query == {"list-type": "2", "prefix": "mast/hlsp/qlp/s0001/", "max-keys": "1"}


def entities(depth: int, each: int) -> bytes:
    names = [f"e{number}" for number in range(depth)]
    lines = [f'<!ENTITY {names[0]} "{"x" * 100}">']
    lines += [f'<!ENTITY {name} "{f"&{before};" * each}">' for before, name in pairwise(names)]
    return (
        f"<!DOCTYPE ListBucketResult [{''.join(lines)}]>"
        f'<ListBucketResult xmlns="{NAMESPACE}"><Prefix>&{names[-1]};</Prefix></ListBucketResult>'
    ).encode()


HOSTILE = {
    "a web page": b"<html><body>Down for maintenance<br></body></html>",
    "nothing": b"",
    "no XML": b"\x00\xff" * 100,
    "cut short": page("mast/hlsp/qlp/s0001/")[:-10],
    "an unknown encoding": b'<?xml version="1.0" encoding="no-such"?><a/>',
    "an encoding of many bytes": b'<?xml version="1.0" encoding="shift_jis"?><a/>',
    "another root": b"<Error><Code>AccessDenied</Code></Error>",
    "another namespace": page().replace(b"s3.amazonaws.com", b"example.org"),
    "billion laughs": entities(10, 10),
    "an external entity": (
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
        b'<ListBucketResult xmlns="%s"><Prefix>&e;</Prefix></ListBucketResult>' % NAMESPACE.encode()
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_listing_is_an_error_and_takes_no_memory(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="is no listing of a bucket") as caught:
            sectors(HOSTILE[name])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 500
    assert most < 32 * 2**20


def s3_at(address: str) -> Mirrors:
    bucket = Bucket(f"{address}stpubdata/", "mast/hlsp/")
    mirror = Mirror(name="s3", address=f"{address}stpubdata/mast/hlsp/", bucket=bucket)
    return Mirrors(name="s3", for_files=(mirror,), for_lists=(mirror,), policy=RetryPolicy(wait=0))


def test_a_bucket_alone_says_which_sectors_there_are(server: DemoServer) -> None:
    async def scenario() -> None:
        async with s3_at(server.address.removesuffix("hlsps/")).open() as archive:
            assert await archive.sectors(QLP) == [1, 23, 24, 40, 56]
            with pytest.raises(UnknownSectorError, match=r"no sector 57 .* nearest: 40 and 56"):
                await archive.file_names(QLP, 57, Findings(), None)

    asyncio.run(scenario())


def test_numbers_above_200_are_no_sectors() -> None:
    answers = Answers(body(page(*(f"mast/hlsp/qlp/s{n:04d}/" for n in (1, 200, 201, 1000)))))

    async def scenario() -> None:
        async with serving(answers.answer) as address, s3_at(address).open() as archive:
            assert await archive.sectors(QLP) == [1, 200]

    asyncio.run(scenario())


def test_an_archive_of_several_mirrors_goes_by_the_index(server: DemoServer) -> None:
    """Because the bucket lags."""
    s3 = server.s3.removesuffix("mast/hlsp/")
    assert s3
    archive = f"{server.address},{server.gateway}"
    assert tessloom.find_sectors("qlp", archive=archive) == {"qlp": [1, 23, 24, 40, 56, 57]}
