"""The embedded archive as an S3 bucket: its objects, and ListObjectsV2.

The XML is that of the Amazon S3 API reference, ``ListObjectsV2`` and "Error responses".
"""

import base64
import binascii
import bisect
import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from tessloom.demo.content import Content, content_at, sector_of
from tessloom.demo.faults import Faults
from tessloom.demo.products import PRODUCTS, Product, light_curves
from tessloom.demo.sectors import SECTORS

NAME = "stpubdata"
ROOT = "mast/hlsp/"
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_PAGE_SIZE = 1000
_PARAMETERS = {"list-type", "prefix", "delimiter", "max-keys", "continuation-token"}
# Sorts after every key that begins with what stands before it.
_LAST = "\U0010ffff"


class BucketError(Exception):
    """A request that S3 answers with an error. `code` and `status` are S3's."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def sectors_held(product: Product) -> tuple[int, ...]:
    """Return the sectors of a collection that are in the bucket.

    The bucket lags the archive: it lacks the newest sector of a collection that has several.
    It has light curves only. Whether the real one has scripts and target lists is not known; a
    client has to do without.
    """
    return product.sectors[:-1] or product.sectors


def object_at(path: str, faults: Faults) -> Content | None:
    """Return the object of a path below ``mast/hlsp/``, None if the bucket lacks it."""
    for product in PRODUCTS.values():
        if sector_of(product, path) in sectors_held(product):
            content = content_at(path, faults)
            return content and dataclasses.replace(content, etag=_md5(content.body))
    return None


def listing(query: Mapping[str, str], faults: Faults) -> Content:
    """Return one page of ListObjectsV2.

    Light curves are made for the page to know their MD5: about a second for 1000, once.

    Raises
    ------
    BucketError
        The query is not one of ListObjectsV2, or has what isn't imitated here.
    """
    unknown = sorted(query.keys() - _PARAMETERS)
    if query.get("list-type") != "2" or unknown:
        what = f"the parameter {unknown[0]}" if unknown else "a listing without list-type=2"
        raise BucketError(501, "NotImplemented", f"The demo's bucket does not have {what}.")
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    size = _page_size(query.get("max-keys", str(_PAGE_SIZE)))
    token = query.get("continuation-token")
    after = "" if token is None else _name_in(token)
    names, truncated = _page(_keys(faults), prefix, delimiter, after, size)
    parts = [
        _element("Name", NAME),
        _element("Prefix", prefix),
        _element("NextContinuationToken", _token(names[-1])) if truncated else "",
        _element("ContinuationToken", token) if token is not None else "",
        _element("KeyCount", len(names)),
        _element("MaxKeys", size),
        _element("Delimiter", delimiter) if delimiter else "",
        _element("IsTruncated", str(truncated).lower()),
        *(_contents(name, faults) for name in names if not _is_common(name, delimiter)),
        *(_common_prefix(name) for name in names if _is_common(name, delimiter)),
    ]
    body = f'<ListBucketResult xmlns="{_NAMESPACE}">{"".join(parts)}</ListBucketResult>'
    return Content(_document(body), "application/xml")


def error_document(code: str, message: str, key: str = "") -> bytes:
    """Return S3's description of an error."""
    parts = [_element("Code", code), _element("Message", message)]
    parts += [_element("Key", key)] if key else []
    parts += [_element("RequestId", "TESSLOOM"), _element("HostId", "demo")]
    return _document(f"<Error>{''.join(parts)}</Error>")


@functools.lru_cache(maxsize=4)
def _keys(faults: Faults) -> list[str]:
    """Return all keys in the order of their UTF-8, which is that of Python's strings."""
    return sorted(
        ROOT + path
        for product in PRODUCTS.values()
        for sector in sectors_held(product)
        for path in light_curves(product.pipeline.name, sector)
        if not faults.hit("missing", path)
    )


def _page(
    keys: Sequence[str], prefix: str, delimiter: str, after: str, size: int
) -> tuple[list[str], bool]:
    """Return the names of a page, keys and common prefixes, and whether more follow."""
    passed = after + _LAST if _is_common(after, delimiter) else after
    at = max(bisect.bisect_left(keys, prefix), bisect.bisect_right(keys, passed))
    names: list[str] = []
    while size and at < len(keys) and keys[at].startswith(prefix):
        if len(names) == size:
            return names, True
        cut = keys[at].find(delimiter, len(prefix)) if delimiter else -1
        if cut < 0:
            names.append(keys[at])
            at += 1
        else:
            names.append(keys[at][: cut + len(delimiter)])
            at = bisect.bisect_left(keys, names[-1] + _LAST)
    return names, False


def _is_common(name: str, delimiter: str) -> bool:
    # No key of the bucket ends in a delimiter.
    return bool(delimiter) and name.endswith(delimiter)


def _page_size(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise BucketError(400, "InvalidArgument", "Provided max-keys not an integer or negative")
    return min(int(text), _PAGE_SIZE)


def _token(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _name_in(token: str) -> str:
    try:
        return base64.b64decode(token, b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise BucketError(
            400, "InvalidArgument", "The continuation token provided is incorrect"
        ) from None


def _contents(key: str, faults: Faults) -> str:
    path = key.removeprefix(ROOT)
    size, tag = _size_and_tag(path, faults)
    sector = next(filter(None, (sector_of(product, path) for product in PRODUCTS.values())))
    parts = [
        _element("Key", key),
        _element("LastModified", f"{SECTORS[sector].processed}T00:00:00.000Z"),
        _element("ETag", f'"{tag}"'),
        _element("Size", size),
        _element("StorageClass", "STANDARD"),
    ]
    return f"<Contents>{''.join(parts)}</Contents>"


@functools.lru_cache(maxsize=1 << 16)
def _size_and_tag(path: str, faults: Faults) -> tuple[int, str]:
    held = object_at(path, faults)
    assert held is not None  # noqa: S101 - the key comes from a listing
    assert held.etag is not None  # noqa: S101
    return len(held.body), held.etag


def _common_prefix(name: str) -> str:
    return f"<CommonPrefixes>{_element('Prefix', name)}</CommonPrefixes>"


def _md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def _element(name: str, value: object) -> str:
    text = escape(str(value), {'"': "&quot;"})
    return f"<{name}>{text}</{name}>"


def _document(body: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode()
