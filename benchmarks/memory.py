"""The peak memory of a worker that fetches over a slow line with many requests at a time.

A dense field of synthetic stars is served with the latency of ``load.py``'s lognormal model. Light
curves of 200 s (``spoc 56``) are the largest; how many targets there are must not matter.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web
from load import MODELS
from run import write_archive
from serving import serving

import tessloom
from tessloom.demo.products import PRODUCTS

if TYPE_CHECKING:
    from serving import Handler


def main() -> None:
    """Build one sector and print the rate and the peak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipeline", nargs="?", default="spoc")
    parser.add_argument("sector", nargs="?", type=int, default=56)
    parser.add_argument("--files", type=int, default=1500)
    parser.add_argument("--connections", type=int, default=256)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "archive"
        write_archive(PRODUCTS[arguments.pipeline], arguments.sector, arguments.files, root)
        before = _peak()
        with serving(_files, root) as address:
            start = time.perf_counter()
            report = tessloom.build(
                arguments.pipeline,
                sector=arguments.sector,
                out=Path(directory) / "data",
                archive=address,
                connections=arguments.connections,
            )
            seconds = time.perf_counter() - start
    print(report)
    rate = arguments.files / seconds
    print(f"{rate:.0f} files/s, peak memory {_peak():.0f} MB ({before:.0f} MB before the build)")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kB on Linux


def _files(root: Path) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(MODELS["lognormal"]())
        return web.Response(body=(root / request.match_info["path"]).read_bytes())

    return answer


if __name__ == "__main__":
    main()
