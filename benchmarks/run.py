"""What tessloom reaches on this machine, and what was to be reached: ``make bench``.

Each line's reference is measured in the same run, in rounds that take turns with ours; compare
lines of one run, not runs. The fields of synthetic stars are written first and read from the page
cache. See the modules for what each line includes.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conversion import conversion, encoding, workers
from decoding import decoding
from downloads import downloading, waiting
from fields import ERAS, HALF_HOUR, LONG, Field
from memory import memory
from opened import opened
from reading import reading
from startup import startup
from table import print_head, print_line, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from table import Line

_NAMES = ("tglc", "qlp", "spoc")
_PARTS = (
    "decoding",
    "conversion",
    "encoding",
    "downloads",
    "memory",
    "workers",
    "startup",
    "reading",
    "opened",
)


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes
    ----------
    files, long_files
        Light curves of a field at 1,800 s and at 200 s.
    existing_files
        Those of them that the existing builder's way converts in a round.
    rounds
        Of what takes seconds; what takes milliseconds has five times as many.
    """

    files: int
    long_files: int
    existing_files: int
    rounds: int
    windowed: int
    batched: int


FULL = Size(20_000, 1500, 300, 3, windowed=6000, batched=1000)
QUICK = Size(1500, 200, 50, 2, windowed=1500, batched=200)


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(_PARTS)}; all of them if none")
    parser.add_argument("--quick", action="store_true", help="few files: a look, no judgement")
    parser.add_argument("--pipelines", nargs="+", choices=_NAMES, default=_NAMES)
    parser.add_argument("--sectors", nargs="+", type=int, choices=ERAS, default=list(ERAS))
    parser.add_argument("--files", type=int, help="light curves of a field at 1,800 s")
    parser.add_argument("--rounds", type=int, help="of each measurement")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here too")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(_PARTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    size = QUICK if arguments.quick else FULL
    size = Size(
        **vars(size)
        | {"files": arguments.files or size.files, "rounds": arguments.rounds or size.rounds}
    )
    parts = set(arguments.parts or _PARTS)
    fields = [
        Field(name, sector, size.files if sector == HALF_HOUR else size.long_files)
        for name, sector in itertools.product(arguments.pipelines, arguments.sectors)
    ]
    start = time.perf_counter()
    settings = vars(size) | {"parts": sorted(parts), "load before": os.getloadavg()[0]}
    print(f"{os.cpu_count()} cores, load {settings['load before']:.1f} before it began")
    lines = []
    print_head()
    with tempfile.TemporaryDirectory() as directory:
        for line in _measure(parts, size, fields, Path(directory)):
            print_line(line)
            lines.append(line)
            if arguments.json:
                write_json(arguments.json, lines, settings)
    print(f"{time.perf_counter() - start:.0f} s")


def _measure(
    parts: set[str], size: Size, fields: Sequence[Field], directory: Path
) -> Iterator[Line]:
    if "startup" in parts:
        yield from startup(5 * size.rounds)
    for field in fields if parts - {"startup"} else ():
        with tempfile.TemporaryDirectory(dir=directory) as folder:
            yield from _of_field(parts, size, field, field.write(Path(folder) / "archive"))
    if "downloads" in parts:
        yield from waiting(size.rounds, size.windowed, size.batched)


def _of_field(parts: set[str], size: Size, field: Field, root: Path) -> Iterator[Line]:
    usual = (field.name, field.sector) == ("tglc", HALF_HOUR)
    if "decoding" in parts:
        yield from decoding(field, root, 5 * size.rounds)
    if "encoding" in parts:
        yield from encoding(field, root, 5 * size.rounds)
    if "conversion" in parts:
        yield from conversion(field, root, size.rounds, size.existing_files)
    if "workers" in parts and field.sector == HALF_HOUR:
        yield from workers(field, root, size.rounds)
    if "downloads" in parts and usual:
        yield from downloading(field, root, size.rounds)
    if "memory" in parts and (usual or field.sector == LONG):
        yield from memory(field, root)
    if "reading" in parts and usual:
        yield from reading(field, root, 5 * size.rounds)
    if "opened" in parts and usual:
        yield from opened(field, root, size.rounds)


if __name__ == "__main__":
    main()
