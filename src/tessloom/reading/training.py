"""What models learn from: a pipeline's light curves as PyTorch and Hugging Face have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessloom.dataset.splits import Splits, read_splits
from tessloom.dataset.storage import store_failures
from tessloom.errors import NotInDatasetError, RequestError
from tessloom.reading.batches import Batches
from tessloom.reading.condition import condition_of
from tessloom.reading.extras import extra
from tessloom.reading.partitions import asked

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.compute as pc
    from datasets import Dataset as HuggingFaceDataset
    from datasets import IterableDataset

    from tessloom.pipelines import Pipeline
    from tessloom.reading.catalogue import SectorChoice
    from tessloom.reading.partitions import Partitions
    from tessloom.reading.torch import TorchDataset


class Training:
    """The part of a `Catalogue` that models learn from."""

    pipeline: Pipeline
    schema: pa.Schema
    _root: Path
    _partitions: Partitions

    def torch(
        self,
        columns: Iterable[str] = ("time", "flux", "flux_err"),
        *,
        where: str | pc.Expression | None = None,
        split: str | None = None,
        splits: Splits | None = None,
        length: int = 1024,
        batch_size: int = 64,
        crop: str | None = None,
        mask: str | int | None = "default",
        min_cadences: int = 1,
        time_reference: float | None = None,
        shuffle_buffer: int | None = None,
        drop_last: bool = False,
        seed: int = 0,
        sector: SectorChoice = None,
    ) -> TorchDataset:
        """Return a PyTorch data set that yields batches; it needs ``tessloom[torch]``.

        Give it to a ``torch.utils.data.DataLoader`` with ``batch_size=None``, and call its
        ``set_epoch`` before each epoch: else all epochs have the same order and crops.

        A batch is a dict of tensors: the columns, shape ``(n, length)``, floats in float32;
        ``mask``, ``(n, length)``, true where there is a cadence with a time and a flux that no flag
        takes out (columns are 0 where it is false; where it is true, columns other than these two
        may be NaN); ``time_reference``, float64, ``(n,)``; header values that were asked for,
        ``(n,)``, NaN (0 among integers) where there is none; and ``tic_id``, ``gaia_dr3_id`` (0:
        none) and ``sector``, ``(n,)``.

        Parameters
        ----------
        columns
            Of the light curve; and header values that are numbers, such as ``tess_mag``, to learn.
        where
            A condition on header values, as in `select`.
        split
            ``train``, ``validation`` or ``test``; None: all stars. A star is in the same split in
            all sectors and pipelines.
        splits
            The shares of the splits; None: those of the dataset.
        length
            Cadences of a light curve: longer ones are cropped, shorter ones padded with zeros.
        batch_size
            Light curves of a batch; the last one of a worker may have fewer.
        crop
            ``random``: another part each epoch; ``start``: the first cadences. None: at random,
            but for ``validation`` and ``test``.
        mask
            Cadences that are taken out: ``default``, ``hardest``, or bits of ``quality``; None:
            only those without a time or a flux.
        min_cadences
            Of a crop: one with fewer that are to be used is left out.
        time_reference
            BTJD from which time is counted before it becomes float32, in which BTJD itself would be
            good to some 10 seconds; it is good to a second up to 128 days from here. None: from
            the first time of what is left of each light curve.
        shuffle_buffer
            Light curves among which batches are mixed; 0: in the dataset's order. None: 4,096, but
            0 for ``validation`` and ``test``.
        drop_last
            Whether batches that are not full are left out; each worker has one at its end. With
            several ranks all are full.
        seed
            Of the order and of random crops.
        sector
            One sector or several; None: all.

        Raises
        ------
        RequestError
            There is no such column or choice, or PyTorch is not installed.
        NotInDatasetError
            There is nothing of these sectors.
        """
        extra("torch", "torch")
        from tessloom.reading.torch import TorchDataset  # noqa: PLC0415

        if isinstance(columns, str):
            raise RequestError(f"columns is {columns!r}: give a list, such as ['time', 'flux']")
        return TorchDataset(
            Batches(
                pipeline=self.pipeline,
                paths=self._paths(sector),
                columns=tuple(columns),
                where=None if where is None else condition_of(where, self.schema),
                split=split,
                splits=self._shares(split, splits),
                length=length,
                batch_size=batch_size,
                crop=crop,
                mask=mask,
                min_cadences=min_cadences,
                time_reference=time_reference,
                shuffle_buffer=shuffle_buffer,
                drop_last=drop_last,
                seed=seed,
            )
        )

    def to_hf(
        self,
        sector: SectorChoice = None,
        *,
        split: str | None = None,
        splits: Splits | None = None,
        streaming: bool = False,
    ) -> HuggingFaceDataset | IterableDataset:
        """Return a Hugging Face dataset (``tessloom[huggingface]``), without the Hub.

        Parameters
        ----------
        sector
            One sector or several; None: all.
        split
            ``train``, ``validation`` or ``test``, as in `torch`; None: all stars.
        splits
            The shares of the splits; None: those of the dataset.
        streaming
            Whether rows are read when they are iterated over, as plain values; else they are
            copied into the cache of Hugging Face datasets once and come as numpy arrays, each
            column in its own type, so that time stays double and ids whole: 0 stands for an id
            that a star lacks. What lies in an object store is downloaded into that cache before,
            and takes twice the room.

        Raises
        ------
        NotInDatasetError
            There is nothing of these sectors.
        RequestError
            There is no such split, or Hugging Face datasets is not installed, or not to use the
            network (``HF_HUB_OFFLINE``) while the dataset lies in a store.
        DatasetError
            A file can't be read.
        """
        from tessloom.reading.huggingface import hugging_face_dataset  # noqa: PLC0415

        shares = self._shares(split, splits)
        return hugging_face_dataset(
            self._root, self.pipeline, self._paths(sector), split, shares, streaming=streaming
        )

    def _shares(self, split: str | None, splits: Splits | None) -> Splits:
        """Return the splits by which one is chosen: those that were given, or the dataset's."""
        if splits is not None and not isinstance(splits, Splits):
            raise RequestError(f"splits is {splits!r}: give tessloom.Splits(train=0.8, ...)")
        if split is None:
            if splits is not None:
                raise RequestError("splits are shares of the stars: say which split is wanted")
            return Splits()
        if splits is None:
            with store_failures(self._root):
                splits = read_splits(self._root)
        splits.check(split)
        return splits

    def _paths(self, sector: SectorChoice) -> list[Path]:
        found = self._partitions.chosen(asked(sector))
        if not found:
            raise NotInDatasetError(f"{self._root} has no light curves from {self.pipeline.title}")
        return found
