"""Which bits of which flags take cadences out of a light curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessloom.errors import RequestError

if TYPE_CHECKING:
    from tessloom.pipelines import Pipeline

_MASKS = ("default", "hardest")


def masked_bits(pipeline: Pipeline, mask: str | int) -> dict[str, int]:
    """Return the bits of a mask by the columns of flags.

    Parameters
    ----------
    mask
        ``default``: what the pipeline recommends; ``hardest``: any bit; or bits of ``quality``.

    Raises
    ------
    RequestError
        There is no such mask.
    """
    if isinstance(mask, int) and not isinstance(mask, bool):
        return {"quality": mask}
    if mask not in _MASKS:
        raise RequestError(f"mask is {mask!r}: choose from {_MASKS}, or give bits of quality")
    return {
        declared.column: declared.default if mask == "default" else declared.hardest
        for declared in pipeline.masks
    }
