"""What runs where Hugging Face datasets, up to version 3, loads ``tglc.py`` and its like.

Later versions have no loading scripts; there the dataset card says all that is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Read at a time: as many as a chunk of the file has.
_ROWS = 64

try:
    import datasets
except ImportError:  # Then nobody loads anything, and the downloaders work all the same.

    class LightCurves:
        """Stands in for the builder where there is no Hugging Face datasets."""

else:

    class LightCurves(datasets.GeneratorBasedBuilder):  # type: ignore[no-redef,misc]
        """Loads the HDF5 files of one pipeline, time series together under ``lightcurve``."""

        VERSION = datasets.Version("1.0.0")

        def _info(self) -> Any:
            files = [path for paths in (self.config.data_files or {}).values() for path in paths]
            return datasets.DatasetInfo(features=_features(files))

        def _split_generators(self, dl_manager: Any) -> list[Any]:
            files = dl_manager.download(self.config.data_files)
            return [
                datasets.SplitGenerator(name=split, gen_kwargs={"files": paths})
                for split, paths in files.items()
            ]

        def _generate_examples(
            self, files: Sequence[str], object_ids: Sequence[Sequence[Any]] | None = None
        ) -> Iterator[tuple[str, dict[str, Any]]]:
            """Yield light curves: all, or as cross-matching asks for them, some of each file."""
            features = self.info.features
            for number, path in enumerate(files):
                with h5py.File(path) as file:
                    if "object_id" not in file:  # none of its light curves could be had
                        continue
                    wanted = None if object_ids is None else object_ids[number]
                    for row, example in _examples(file, _rows(file, wanted), features):
                        yield f"{number}-{row}", example


def _features(files: Sequence[str]) -> Any:
    """Return the features that all files have; None if there is no light curve."""
    found: dict[str, tuple[str, bool]] | None = None
    for path in files:
        with h5py.File(path) as file:
            kinds = {name: _kind(name, dataset) for name, dataset in file.items()}
        if kinds:
            found = kinds if found is None else dict(found.items() & kinds.items())
    if found is None:
        return None
    values = {name: datasets.Value(kind) for name, (kind, _) in sorted(found.items())}
    series = {name: value for name, value in values.items() if found[name][1]}
    scalars = {name: value for name, value in values.items() if not found[name][1]}
    return datasets.Features({"lightcurve": datasets.Sequence(series), **scalars})


def _kind(name: str, dataset: h5py.Dataset) -> tuple[str, bool]:
    # The Multimodal Universe's ids are text.
    text = dataset.dtype.kind == "O" or name.upper().endswith("_ID")
    return "string" if text else dataset.dtype.name, dataset.ndim > 1


def _rows(file: h5py.File, wanted: Sequence[Any] | None) -> Iterator[int]:
    """Yield positions of light curves: all of them, or in the order in which they are wanted."""
    if wanted is None:
        yield from range(len(file["object_id"]))
        return
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(file["object_id"].asstr()[:]):
        rows.setdefault(name, []).append(row)
    for name in wanted:
        # A star on two CCDs is in the file twice; asked for twice, it is two rows.
        found = rows[name.decode() if isinstance(name, bytes) else str(name)]
        yield found.pop(0) if len(found) > 1 else found[0]


def _examples(
    file: h5py.File, rows: Iterable[int], features: Any
) -> Iterator[tuple[int, dict[str, Any]]]:
    series = getattr(features["lightcurve"], "feature", features["lightcurve"])
    names = [name for name in features if name != "lightcurve"]
    block, arrays = -1, {}
    for row in rows:
        number, place = divmod(row, _ROWS)
        if number != block:
            block, start = number, number * _ROWS
            arrays = {name: file[name][start : start + _ROWS] for name in [*series, *names]}
        yield (
            row,
            {
                "lightcurve": {name: arrays[name][place] for name in series},
                **{name: _scalar(arrays[name][place], features[name].dtype) for name in names},
            },
        )


def _scalar(value: Any, dtype: str) -> Any:
    if dtype != "string":
        return value
    return value.decode() if isinstance(value, bytes) else str(value)
