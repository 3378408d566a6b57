"""PyTorch's view of a pipeline: a data set that several workers and ranks share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import distributed
from torch.utils.data import IterableDataset, get_worker_info

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessloom.reading.batches import Batches


class TorchDataset(IterableDataset[dict[str, torch.Tensor]]):
    """Batches of light curves as tensors; see `Catalogue.torch` for what is in one.

    Give it to a ``torch.utils.data.DataLoader`` with ``batch_size=None``: it makes batches itself.
    Light curves are shared out between the ranks of a process group and the workers of a loader.
    All ranks get equally many batches, all of them full, as they wait for each other: so some
    light curves come twice in an epoch, as with PyTorch's ``DistributedSampler``.
    """

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self.batches = batches
        # Shared, so that it reaches workers that stay from epoch to epoch.
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call,unused-ignore]
        self._place = (0, 1)
        if self._rank_and_ranks()[1] > 1:
            batches.count()  # once, and not in every worker

    def __repr__(self) -> str:
        of = self.batches
        what = "all stars" if of.split is None else of.split
        return f"<{of.pipeline.title}, {what}: batches of {of.batch_size} x {of.length} cadences>"

    def set_epoch(self, epoch: int) -> None:
        """Take another order, and other crops, from the next iteration on."""
        self._epoch.fill_(epoch)

    def count(self) -> int:
        """Return how many light curves there are, for all ranks and workers together."""
        return self.batches.count()

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        rank, ranks = self._rank_and_ranks()
        worker = get_worker_info()
        number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        shard, shards = rank * workers + number, ranks * workers
        for batch in self.batches.draw(int(self._epoch), shard, shards, even=ranks > 1):
            yield {name: torch.from_numpy(values) for name, values in batch.items()}

    def __getstate__(self) -> dict[str, Any]:
        # A worker that does not start as a fork has no process group.
        return self.__dict__ | {"_place": self._rank_and_ranks()}

    def _rank_and_ranks(self) -> tuple[int, int]:
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
        return self._place
