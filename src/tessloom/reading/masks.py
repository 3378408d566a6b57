"""Which bits of which flags take cadences out of a light curve."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, SupportsIndex

from tessloom.errors import RequestError

if TYPE_CHECKING:
    from tessloom.pipelines import Pipeline

    # A mask by name, by bits of ``quality``, or None: no flag counts.
    Mask = str | SupportsIndex | None

_CHOICES = "default, hardest or none, or give bits of quality"
# Flags are 32 bits wide, signed.
_LAST = 2**31 - 1


def masked_bits(pipeline: Pipeline, mask: Mask) -> dict[str, int]:
    """Return the bits of a mask by the columns of flags.

    Parameters
    ----------
    mask
        ``default``: what the pipeline recommends; ``hardest``: any bit; None or ``none``: no bit;
        or bits of ``quality``, as a number or its digits.

    Raises
    ------
    RequestError
        There is no such mask.
    """
    if mask is None or (isinstance(mask, str) and mask == "none"):
        return {}
    if isinstance(mask, str) and mask in {"default", "hardest"}:
        return {declared.column: getattr(declared, mask) for declared in pipeline.masks}
    return {"quality": _bits(mask)}


def _bits(mask: str | SupportsIndex) -> int:
    try:
        bits = int(mask) if isinstance(mask, str) else operator.index(mask)
    except (TypeError, ValueError):
        bits = None
    if bits is None or isinstance(mask, bool):
        raise RequestError(f"mask is {mask!r}: choose from {_CHOICES}")
    if not 0 <= bits <= _LAST:
        raise RequestError(f"mask is {mask!r}: bits of quality are a number from 0 to {_LAST}")
    return bits
