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
from serving import serving

from tessloom import fits
from tessloom.archive import find_archive, slide, with_policy
from tessloom.demo.products import PRODUCTS, light_curves
from tessloom.demo.sectors import SECTORS

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from contextlib import AbstractContextManager
    from typing import Any

    from serving import Answer, Latency

_POOL = 64
_BATCH = 100
# The standard deviation of the logarithm is not known of the real archive; with this one windows
# of 64 and 256 take as long for 2,000 files as was measured beforehand.
_SIGMA = 0.5
_SLOW, _SLOW_SHARE = 3.0, 0.005


def fixed() -> float:
    """Return 200 ms."""
    return 0.2


def lognormal() -> float:
    """Return about 200 ms, or now and then 3 s."""
    if random.random() < _SLOW_SHARE:  # noqa: S311 - no secret
        return _SLOW
    return random.lognormvariate(0, _SIGMA) * 0.2


MODELS: dict[str, Latency | None] = {"none": None, "fixed": fixed, "lognormal": lognormal}
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
        with serving_copies(latency) as address:
            seconds, cpu = timed(windowed(address, count, window))
        ideal = f"{100 * count / seconds / (window / 0.2):8.0f}%" if latency == "fixed" else ""
        rate, each = count / seconds, 1e6 * cpu / count
        print(f"{latency:10} {window:6} {rate:8.0f} {ideal:>9} {each:7.0f}", flush=True)
    for latency in ("fixed", "lognormal"):
        with serving_copies(latency) as address:
            seconds, cpu = timed(batched(address, arguments.batched))
        rate, each = arguments.batched / seconds, 1e6 * cpu / arguments.batched
        print(f"{latency:10} {'batches':>6} {rate:7.0f} {'':>9} {each:7.0f}", flush=True)


def serving_copies(latency: str) -> AbstractContextManager[str]:
    """Return a server that answers every request with some light curve, as late as a model says."""
    return serving(_light_curves, latency=MODELS[latency])


def timed(work: Coroutine[Any, Any, None]) -> tuple[float, float]:
    """Return wall and CPU seconds of a coroutine."""
    wall, cpu = time.perf_counter(), time.process_time()
    asyncio.run(work)
    return time.perf_counter() - wall, time.process_time() - cpu


async def windowed(address: str, count: int, window: int) -> None:
    """Fetch files as a build does, with so many requests at a time."""
    archive = with_policy(find_archive(address), connections=window)  # type: ignore[arg-type]
    async with archive.open() as opened:

        async def get(number: int) -> None:
            await opened.fetch(_path(number), fits.check_file)

        await slide(opened.at_a_time, range(count), get)


async def batched(address: str, count: int) -> None:
    """Fetch files in batches: the next one begins when the last file of one is there."""
    async with aiohttp.ClientSession() as session:

        async def get(number: int) -> None:
            async with session.get(address + _path(number)) as response:
                await response.read()

        for start in range(0, count, _BATCH):
            await asyncio.gather(*map(get, range(start, min(start + _BATCH, count))))


def _path(number: int) -> str:
    return f"tglc/s0023/{number}.fits"


def _light_curves() -> Answer:
    product = PRODUCTS["tglc"]
    targets = itertools.islice(light_curves("tglc", 23).values(), _POOL)
    turn = itertools.cycle([product.file(SECTORS[23], target) for target in targets])
    return lambda _path: next(turn)


if __name__ == "__main__":
    main()
