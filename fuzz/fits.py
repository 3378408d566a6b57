"""Any bytes are a light curve or a `FitsError`: looks for ones that are neither, by coverage.

``make fuzz`` runs it. A crash leaves its bytes in ``.venv/fuzz``; give that file as the argument to
run it again, and add what it shows to ``tests/test_fuzz.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tessloom.fits", "tessloom.dataset.rows"]):
    from hostile import Reader, demo_samples, without_sums

READERS = {sample.pipeline: Reader(sample.pipeline) for sample in demo_samples()}
KEYS = {sample.pipeline: sample.key for sample in demo_samples()}
_CADENCES_KEPT = 3


def read(body: bytes) -> None:
    """Read bytes as each pipeline's, and a sound file after them."""
    for pipeline, reader in READERS.items():
        reader.read_hostile(body, KEYS[pipeline])
        reader.check_sound()


def write_seeds(directory: Path) -> None:
    """Write demo files with few cadences, because headers are where there is most to find."""
    directory.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(demo_samples()):
        for suffix, body in (("sums", sample.body), ("plain", without_sums(sample.body))):
            seed = directory / f"{sample.pipeline}-{number}-{suffix}"
            seed.write_bytes(_with_few_cadences(body))


def _with_few_cadences(body: bytes) -> bytes:
    table = body.index(b"XTENSION= 'BINTABLE'")
    rows = body.index(b"NAXIS2  =", table) + 10
    end = body.index(b"END".ljust(80), table) + 80
    end += -end % 2880
    width = int(body[rows - 80 : rows - 60])
    header = body[:rows] + str(_CADENCES_KEPT).rjust(20).encode() + body[rows + 20 : end]
    size = int(body[rows : rows + 20]) * width
    following = body[end + size + -size % 2880 :]
    return header + body[end : end + _CADENCES_KEPT * width].ljust(2880, b"\0") + following


if __name__ == "__main__":
    corpora = [Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    if corpora and not corpora[0].is_file():
        write_seeds(corpora[0])
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
