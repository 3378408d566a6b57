"""What an S3 bucket says of itself: one request tells whether it holds a sector."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tessloom.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    # What returns the body at an address.
    Get = Callable[[str], Awaitable[bytes]]

_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
# Of the directories of one collection; a page names 1000 of them.
_MOST_PAGES = 100
_SECTOR = re.compile(r"/s(\d{4})/$")


@dataclass(frozen=True)
class Bucket:
    """A public bucket and the prefix of its keys below which the archive's paths begin.

    Attributes
    ----------
    address
        Of the bucket, ending in a slash; it answers ListObjectsV2 (Amazon S3 API Reference).
    """

    address: str
    prefix: str

    async def holds(self, directory: str, get: Get) -> bool:
        """Return whether there is anything below a directory of the archive."""
        page = await self._page({"prefix": self.prefix + directory, "max-keys": "1"}, get)
        return page.find(f"{_NAMESPACE}Contents") is not None

    async def sectors(self, directory: str, get: Get) -> list[int]:
        """Return the sectors that have a directory below `directory`, sorted."""
        query = {"prefix": self.prefix + directory, "delimiter": "/"}
        found = {
            int(match[1])
            async for page in self._pages(query, get)
            for element in page.iter(f"{_NAMESPACE}Prefix")
            if (match := _SECTOR.search(element.text or ""))
        }
        return sorted(found)

    async def _pages(self, query: dict[str, str], get: Get) -> AsyncIterator[ET.Element]:
        token: str | None = ""
        for _ in range(_MOST_PAGES):
            page = await self._page(query | ({"continuation-token": token} if token else {}), get)
            yield page
            token = page.findtext(f"{_NAMESPACE}NextContinuationToken")
            if not token:
                return
        raise ArchiveError(f"{self.address} does not come to the end of {query['prefix']}")

    async def _page(self, query: dict[str, str], get: Get) -> ET.Element:
        address = f"{self.address}?{urlencode({'list-type': '2'} | query)}"
        body = await get(address)
        try:
            page = ET.fromstring(body)  # noqa: S314 - pages are small, and expat bounds entities since 2.4.1
        except (ET.ParseError, LookupError, ValueError) as error:  # the others: its encoding
            raise ArchiveError(f"{address} is no listing of a bucket: {error}") from error
        if page.tag != f"{_NAMESPACE}ListBucketResult":
            raise ArchiveError(f"{address} is no listing of a bucket: it is a {page.tag[:80]}")
        return page
