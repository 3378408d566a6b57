"""A sector of TGLC of any size, of which no file exists: the lists stream, the files are patched.

Targets lie as dense as in a real sector and have ids made as Gaia makes them: of the position and
a number. The light curves are those of a pool of synthetic stars, one after the other along the
sky, so that no two in a row group are the same; their headers are given the target's ids, position,
camera and CCD in the same cards (TGLC's files have no check sums).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from fields import HALF_HOUR, TARGETS_A_SQUARE_DEGREE, Field

from tessloom.demo.sectors import SECTORS
from tessloom.healpix import coarser, healpix_29
from tessloom.pipelines import TGLC

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

POOL = 1024  # twice a row group
# The cameras' strip.
_LARGEST_HEIGHT = 24.0
_FIRST_TIC_ID = 10**9
# A Gaia id is a pixel of order 12, and a number of 35 bits.
_GAIA_ORDER, _GAIA_SHIFT = 12, 35
_LINES_A_PIECE = 2000
_CARD, _VALUE = 80, 70
# What differs between targets, where a header has it.
_KEYWORDS = ("OBJECT", "GAIADR3", "TICID", "CAMERA", "CCD", "RA_OBJ", "DEC_OBJ")


class Sector:
    """So many targets.

    Attributes
    ----------
    ra, dec
        Degrees, of shape ``(targets,)``.
    gaia_ids
        The same; the number of a target is its place in these arrays, along the sky.
    """

    def __init__(self, targets: int) -> None:
        area = targets / TARGETS_A_SQUARE_DEGREE["tglc"]
        height = min(area**0.5, _LARGEST_HEIGHT)
        places = np.random.default_rng(2).uniform(-0.5, 0.5, (targets, 2))
        ra, dec = 180 + places[:, 0] * area / height, places[:, 1] * height
        healpix = healpix_29(ra, dec)
        order = np.argsort(healpix)
        self.ra, self.dec = ra[order], dec[order]
        pixels = coarser(healpix[order], _GAIA_ORDER)
        self.gaia_ids = (pixels << _GAIA_SHIFT) + np.arange(targets)
        across = np.floor((places[order] + 0.5) * (8, 2)).astype(np.int64)
        self.cameras = across[:, 0] // 2 + 1
        self.ccds = across[:, 0] % 2 + 2 * across[:, 1] + 1

    def __len__(self) -> int:
        """Return the number of targets."""
        return len(self.ra)

    def script(self) -> Iterator[bytes]:
        """Yield the download script, in the archive's order."""
        yield b"#!/bin/sh\n"
        for numbers in self._in_order():
            columns = (self.gaia_ids[numbers], self.cameras[numbers], self.ccds[numbers])
            lines = []
            targets = zip(*(column.tolist() for column in columns), strict=True)
            for gaia_id, camera, ccd in targets:
                path = TGLC.light_curve_path(HALF_HOUR, gaia_id, camera, ccd, TGLC.version)
                lines.append(
                    f"curl -f --create-dirs --output '{path.partition('/')[2]}' "
                    f"'https://archive.stsci.edu/hlsps/{path}'\n"
                )
            yield "".join(lines).encode()

    def target_list(self) -> Iterator[bytes]:
        """Yield the target list."""
        yield b"#GAIADR3_ID,TIC_ID,RA,DEC\n"
        for numbers in self._in_order():
            columns = (self.gaia_ids[numbers], self.ra[numbers], self.dec[numbers])
            rows = zip(numbers.tolist(), *(column.tolist() for column in columns), strict=True)
            yield "".join(
                f"{gaia_id},{_FIRST_TIC_ID + number},{ra},{dec}\n"
                for number, gaia_id, ra, dec in rows
            ).encode()

    def number(self, gaia_id: int) -> int | None:
        """Return the number of a target, None if there is none of this id."""
        number = gaia_id & ((1 << _GAIA_SHIFT) - 1)
        return number if number < len(self) and self.gaia_ids[number] == gaia_id else None

    def cards(self, number: int) -> dict[str, bytes]:
        """Return what stands after ``KEYWORD = `` in the cards that tell a target from others."""
        gaia_id = int(self.gaia_ids[number])
        texts = {"OBJECT": f"Gaia DR3 {gaia_id}", "TICID": f"{_FIRST_TIC_ID + number}"}
        numbers = {
            "GAIADR3": gaia_id,
            "CAMERA": self.cameras[number],
            "CCD": self.ccds[number],
            "RA_OBJ": float(self.ra[number]),
            "DEC_OBJ": float(self.dec[number]),
        }
        cards = {name: f"'{text:8}'" for name, text in texts.items()}
        cards |= {name: f"{value:>20}" for name, value in numbers.items()}
        return {name: card.ljust(_VALUE).encode() for name, card in cards.items()}

    def _in_order(self) -> Iterator[npt.NDArray[np.int64]]:
        """Yield the numbers of targets, sorted by camera, CCD and id, some at a time."""
        order = np.lexsort((self.gaia_ids, self.ccds, self.cameras))
        for start in range(0, len(order), _LINES_A_PIECE):
            yield order[start : start + _LINES_A_PIECE]


class Archive:
    """What is at each path of the sector's archive; see `serving.Answer`."""

    def __init__(self, targets: int) -> None:
        self._sector = Sector(targets)
        field = Field("tglc", HALF_HOUR, min(POOL, targets))
        observed = SECTORS[HALF_HOUR]
        bodies = [field.product.file(observed, target) for target in field.targets()]
        self._pool = [(body, _places(body)) for body in bodies]

    def __call__(self, path: str) -> bytes | Iterator[bytes] | None:
        """Return the body at a path below ``hlsps/``, or its pieces."""
        if path == TGLC.script.format(sector=HALF_HOUR):
            return self._sector.script()
        if path == TGLC.target_list.format(sector=HALF_HOUR):
            return self._sector.target_list()
        match = TGLC.file_name.search(path)
        number = self._sector.number(int(match["id"])) if match else None
        return None if number is None else self._file(number)

    def _file(self, number: int) -> bytes:
        body, places = self._pool[number % len(self._pool)]
        patched = bytearray(body)
        cards = self._sector.cards(number)
        for name, place in places:
            patched[place : place + _VALUE] = cards[name]
        return bytes(patched)


def _places(body: bytes) -> list[tuple[str, int]]:
    """Return where the values of the cards stand, after ``KEYWORD = ``, and of which they are."""
    names = {f"{name:8}= ".encode(): name for name in _KEYWORDS}
    starts = range(0, len(body), _CARD)
    found = [(names.get(body[start : start + 10]), start + 10) for start in starts]
    return [(name, place) for name, place in found if name is not None]
