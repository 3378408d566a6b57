"""PyTorch's view of a pipeline: a data set that several workers and ranks share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import distributed
from torch.utils.data import IterableDataset, get_worker_info

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessloom.reading.batches import Batches


class TorchDataset(IterableDataset[dict[str, torch.Tensor]]):
    """Batches of light curves as tensors; see `Catalogue.torch` for what is in one.

    Give it to a ``torch.utils.data.DataLoader`` with ``batch_size=None``: it makes batches itself.
    Light curves are shared out between the ranks of a process group and the workers of a loader,
    about evenly: ranks may get unequal numbers of batches, for which PyTorch has
    ``torch.distributed.algorithms.join``.
    """

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self.batches = batches
        # Shared, so that it reaches workers that stay from epoch to epoch.
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call,unused-ignore]

    def set_epoch(self, epoch: int) -> None:
        """Take another order, and other crops, from the next iteration on."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        rank, ranks = 0, 1
        if distributed.is_available() and distributed.is_initialized():
            rank, ranks = distributed.get_rank(), distributed.get_world_size()
        worker = get_worker_info()
        number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        shard, shards = rank * workers + number, ranks * workers
        for batch in self.batches.draw(int(self._epoch), shard, shards):
            yield {name: torch.from_numpy(values) for name, values in batch.items()}
