"""Who answers is verified: only certificates of the system's authorities, or the user's, count."""

import asyncio
import os
import ssl
import sys
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from local_archive import opened, serving
from tessloom.archive import RetryPolicy
from tessloom.errors import ArchiveError, FileUnavailableError

QUICK = RetryPolicy(wait=0, attempts=2)
# Another process, because the authorities are read once, when aiohttp is imported.
READ = """
import asyncio, sys
from tessloom.archive import Mirror, RetryPolicy
from tessloom.archive.open_mirror import OpenMirror

async def read(address):
    policy = RetryPolicy(wait=0, attempts=2)
    mirror = Mirror(name="own", address=address)
    async with OpenMirror(mirror, 2, policy, frozenset(), print) as opened:
        print((await opened.read(address)).decode())

asyncio.run(read(sys.argv[1]))
"""


async def answer(request: web.Request) -> web.StreamResponse:
    if request.path == "/insecure":
        return web.Response(status=302, headers={"Location": f"http://{request.host}/"})
    return web.Response(body=b"whole")


def context_of(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def test_a_certificate_of_an_unknown_authority_is_refused() -> None:
    async def scenario() -> None:
        tls = context_of(trustme.CA(), "127.0.0.1")
        async with serving(answer, tls=tls) as address, opened(address, QUICK) as mirror:
            message = rf"can't read {address}.*[Cc]ertificate.*verify failed"
            with pytest.raises(ArchiveError, match=message):
                await mirror.read(address)
            with pytest.raises(FileUnavailableError, match=r"down.*verify failed"):
                await mirror.fetch(address, bytes)

    asyncio.run(scenario())


async def _read_elsewhere(address: str, authority: Path) -> tuple[str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", READ, address),
        env=os.environ | {"SSL_CERT_FILE": str(authority)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    return output.decode().strip(), errors.decode()


def test_the_user_s_authority_is_trusted_for_the_names_that_it_vouches_for(tmp_path: Path) -> None:
    authority = trustme.CA()
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(file)

    async def scenario() -> None:
        async with (
            serving(answer, tls=context_of(authority, "127.0.0.1")) as good,
            serving(answer, tls=context_of(authority, "archive.example")) as other,
        ):
            (read, _), (_, misnamed), (_, led_astray) = await asyncio.gather(
                _read_elsewhere(good, file),
                _read_elsewhere(other, file),
                _read_elsewhere(f"{good}insecure", file),
            )
        assert read == "whole"
        assert "verify failed: IP address mismatch" in misnamed
        assert "only on https" in led_astray

    asyncio.run(scenario())
