"""What a whole sector of TGLC costs, by the number of its targets: cost for each must not grow.

A server in a process of its own (`sector.Archive`) has the script, the target list and the light
curves of as many targets as is wanted; ``tessloom build`` makes a dataset of them. A real sector
has 1,460,000 targets, which make a dataset of 26 GB. Every size is built once, so that wall time
is as noisy as the machine; CPU is that of the build and its workers, without the server.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from conversion import build_command, light_curve_bytes
from fields import HALF_HOUR, Field
from processes import run
from sector import Archive
from serving import serving

# Bytes of a light curve in the dataset, lists and indexes included, and something to spare.
_BYTES_A_TARGET = 25_000


@dataclass(frozen=True)
class Built:
    """What a sector of one size cost.

    Attributes
    ----------
    seconds
        Wall time, all included.
    cpu
        CPU seconds of the build and its workers.
    memory, worker_memory
        Most megabytes of the command's process, and of any worker that it started (0 where the
        one worker is the command's process).
    size, light_curves
        Bytes of the dataset, and of its light-curve files alone.
    """

    targets: int
    workers: int
    seconds: float
    cpu: float
    memory: float
    worker_memory: float
    size: int
    light_curves: int


def main() -> None:
    """Build sectors of several sizes and print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sizes = [20_000, 100_000, 400_000]
    parser.add_argument("--targets", type=int, nargs="+", default=sizes, help="sizes to build")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, help="an existing folder for the datasets")
    parser.add_argument("--keep", action="store_true", help="leave the datasets there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = arguments.out or Path(temporary)
        free = shutil.disk_usage(root).free
        if free < max(arguments.targets) * _BYTES_A_TARGET:
            parser.error(f"{root} has {free / 1e9:.0f} GB free, which is too little: see --out")
        print(
            f"{'targets':>9} {'workers':>7} {'s':>7} {'files/s':>8} {'CPU µs':>7} {'MB':>6}"
            f" {'MB of workers':>13} {'GB':>7} {'bytes each':>10}"
        )
        results = []
        for targets in arguments.targets:
            out = root / f"tglc-{targets}"
            results.append(_build(targets, arguments.workers, out))
            _print(results[-1])
            if not arguments.keep:
                shutil.rmtree(out)
            if arguments.json:
                text = json.dumps([asdict(result) for result in results], indent=2)
                arguments.json.write_text(text + "\n", encoding="utf-8")
    first, *others = results
    for other in others:
        times = other.cpu / other.targets / (first.cpu / first.targets)
        print(f"CPU for each target, {other.targets} against {first.targets}: {times:.2f} times")


def _build(targets: int, workers: int, out: Path) -> Built:
    field = Field("tglc", HALF_HOUR, targets)
    with serving(Archive, targets) as address:
        command = build_command(field, address, out, "--workers", str(workers))
        finished = run(command, observed=True)
    return Built(
        targets=targets,
        workers=workers,
        seconds=finished.wall,
        cpu=finished.cpu,
        memory=finished.peak,
        worker_memory=finished.peak_of_children,
        size=sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
        light_curves=light_curve_bytes(out),
    )


def _print(built: Built) -> None:
    print(
        f"{built.targets:9} {built.workers:7} {built.seconds:7.1f}"
        f" {built.targets / built.seconds:8.0f} {1e6 * built.cpu / built.targets:7.0f}"
        f" {built.memory:6.0f} {built.worker_memory:13.0f} {built.size / 1e9:7.3f}"
        f" {built.size / built.targets:10.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
