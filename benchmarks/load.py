"""How many light curves a second the client brings in, and what each costs: ``make load``.

A server in a process of its own gives files of the embedded archive under three models of
latency (facts of the archive: median 200 ms, now and then an answer takes 3 s). The client is
tessloom's as a build uses it: `HttpArchive.fetch` in a sliding window, bodies checked for their
size and left in memory. Batches of 100, the way of the existing builder, are measured in the same
run. Compare the columns of one run, not runs.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import time
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web
from serving import serving

from tessloom import fits
from tessloom.archive import find_archive, slide, with_policy
from tessloom.demo.products import PRODUCTS, light_curves
from tessloom.demo.sectors import SECTORS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from serving import Handler

_POOL = 64
_BATCH = 100
# The standard deviation of the logarithm is not known of the real archive; with this one windows
# of 64 and 256 take as long for 2,000 files as was measured beforehand.
_SIGMA = 0.5
_SLOW, _SLOW_SHARE = 3.0, 0.005
MODELS: dict[str, Callable[[], float]] = {
    "none": lambda: 0.0,
    "fixed": lambda: 0.2,
    "lognormal": lambda: (
        _SLOW
        if random.random() < _SLOW_SHARE  # noqa: S311 - no secret
        else random.lognormvariate(0, _SIGMA) * 0.2
    ),
}
_CASES = (
    ("none", 32),
    ("fixed", 64),
    ("lognormal", 64),
    ("fixed", 256),
    ("lognormal", 256),
)


def main() -> None:
    """Measure every case and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--batched", type=int, default=2_000, help="requests in batches of 100")
    arguments = parser.parse_args()
    print(f"{arguments.requests} requests a case; batches of {_BATCH}: {arguments.batched}")
    print(f"{'latency':10} {'window':>6} {'files/s':>8} {'of ideal':>9} {'CPU µs':>7}")
    for latency, window in _CASES:
        count = arguments.requests
        with serving(_files, latency) as address:
            seconds, cpu = _timed(_windowed(address, count, window))
        ideal = f"{100 * count / seconds / (window / 0.2):8.0f}%" if latency == "fixed" else ""
        rate, each = count / seconds, 1e6 * cpu / count
        print(f"{latency:10} {window:6} {rate:8.0f} {ideal:>9} {each:7.0f}", flush=True)
    for latency in ("fixed", "lognormal"):
        with serving(_files, latency) as address:
            seconds, cpu = _timed(_batched(address, arguments.batched))
        rate, each = arguments.batched / seconds, 1e6 * cpu / arguments.batched
        print(f"{latency:10} {'batches':>6} {rate:7.0f} {'':>9} {each:7.0f}", flush=True)


def _timed(work: Coroutine[Any, Any, None]) -> tuple[float, float]:
    """Return wall and CPU seconds of a coroutine."""
    wall, cpu = time.perf_counter(), time.process_time()
    asyncio.run(work)
    return time.perf_counter() - wall, time.process_time() - cpu


async def _windowed(address: str, count: int, window: int) -> None:
    archive = with_policy(find_archive(address), connections=window)  # type: ignore[arg-type]
    async with archive.open() as opened:

        async def get(number: int) -> None:
            await opened.fetch(_path(number), fits.check_file)

        await slide(opened.at_a_time, range(count), get)


async def _batched(address: str, count: int) -> None:
    async with aiohttp.ClientSession() as session:

        async def get(number: int) -> None:
            async with session.get(address + _path(number)) as response:
                await response.read()

        for start in range(0, count, _BATCH):
            await asyncio.gather(*map(get, range(start, min(start + _BATCH, count))))


def _path(number: int) -> str:
    return f"tglc/s0023/{number}.fits"


def _files(latency: str) -> Handler:
    """Return what answers every request with some light curve, as late as the model says."""
    product, wait = PRODUCTS["tglc"], MODELS[latency]
    targets = itertools.islice(light_curves("tglc", 23).values(), _POOL)
    turn = itertools.cycle([product.file(SECTORS[23], target) for target in targets])

    async def answer(_request: web.Request) -> web.Response:
        seconds = wait()
        if seconds:
            await asyncio.sleep(seconds)
        return web.Response(body=next(turn), content_type="application/fits")

    return answer


if __name__ == "__main__":
    main()
