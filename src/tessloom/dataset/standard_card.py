"""The card and the Croissant file of a dataset in the Multimodal Universe's format."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tessloom.dataset.card import write_card
from tessloom.dataset.columns import array_columns
from tessloom.dataset.croissant import Files, write_croissant
from tessloom.dataset.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tessloom.dataset.summary import SectorSummary
    from tessloom.pipelines import Feature, Pipeline

_PATTERN = "{directory}/healpix=*/*001-of-001.hdf5"
_OPENING = """
## Opening it

```python
from pathlib import Path
from datasets import load_dataset
stars = load_dataset(str(Path.cwd()), "{name}", split="train")
stars = stars.with_format("numpy", dtype=None)           # dtype=None keeps time in double
```
```python
import h5py
with h5py.File("{directory}/healpix=.../001-of-001.hdf5") as file:
    star = 0
    time = file["time"][star, : file["length"][star]]    # what follows is padding
```

Arrays have the shape `(n, T)` or `(n,)`. Rows are padded with zeros up to the longest light curve
of their file; `length` says where the padding starts. `time` is BTJD (BJD - 2457000, TDB) in
double. `object_id`, `ra`, `dec` (degrees, ICRS) and `healpix` (nside 16, NESTED) are there for
cross-matching. Nothing was cleaned or left out.
{notes}
"""
_PARTIAL = (
    "Only some files in {directory} have the arrays {arrays}: h5py reads them there, "
    "Hugging Face datasets leaves them out."
)


class Contents(NamedTuple):
    """What a dataset has of one pipeline.

    Attributes
    ----------
    directory
        Name of the pipeline's directory.
    kinds
        Of each file with light curves, what the card calls each array's type; its length may
        differ between files.
    features
        All that are known of the pipeline, to describe arrays by.
    """

    pipeline: Pipeline
    directory: str
    sectors: Mapping[int, SectorSummary]
    synthetic: bool
    kinds: Sequence[Mapping[str, str]]
    features: Sequence[Feature]

    @property
    def shared(self) -> dict[str, str]:
        """The arrays that every file has."""
        return dict(sorted(set.intersection(*(set(kinds.items()) for kinds in self.kinds))))

    @property
    def partial(self) -> list[str]:
        """The arrays that only some files have."""
        return sorted({name for kinds in self.kinds for name in kinds} - self.shared.keys())


def write_description(root: Path, contents: Sequence[Contents]) -> list[str]:
    """Write the card and the Croissant file; return notes for the user."""
    configs, information, notes = ["configs:"], ["dataset_info:"], []
    summaries, files = [], []
    for each in contents:
        name, directory = each.pipeline.name, each.directory
        pattern = _PATTERN.format(directory=directory)
        configs += [f"- config_name: {name}", "  data_files:", "  - split: train"]
        configs.append(f'    path: "{pattern}"')
        # Hugging Face datasets passes over arrays that are not declared, and fails at a
        # declared one that a file lacks.
        information += [f"- config_name: {name}", "  features:"]
        for array, kind in each.shared.items():
            information += [f"  - name: {array}", f"    {kind}"]
        if each.partial:
            notes.append(_PARTIAL.format(directory=directory, arrays=", ".join(each.partial)))
        summary = Summary(
            pipeline=each.pipeline,
            sectors=each.sectors,
            stars=None,
            synthetic=each.synthetic,
            columns=array_columns(each.pipeline, each.features, each.shared),
        )
        summaries.append(summary)
        files.append(Files(summary, pattern, "application/x-hdf5"))
    if summaries:
        name, directory = contents[0].pipeline.name, contents[0].directory
        opening = _OPENING.format(name=name, directory=directory, notes="\n".join(notes))
        write_card(root, summaries, [*configs, *information], opening)
        write_croissant(root, files)
    return notes
