"""The ranks that train one model together: what they tell each other in a step.

Every rank goes through its share of a step's batches; then sums and gradients become those of all of them, and each rank makes the
same step. Gradients are added by hand rather than by `DistributedDataParallel`: a budget leaves experts without a gradient on every
rank, and they have to stay at None, where AdamW passes them by. DDP would wait for them, or step them with zeros.

One rank alone needs no process group, and pays nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, distributed

_BUCKET = 1 << 23
"""Numbers that travel together (32 MiB): many small messages cost more than one copy."""


class RankGroup:
    """`rank` of `world`. Every method but `share` is a meeting: all ranks have to call it, in the same order."""

    def __init__(self, rank: int = 0, world: int = 1, device: torch.device | str = "cpu") -> None:
        self.rank, self.world, self.device = rank, world, torch.device(device)

    @classmethod
    def joined(cls, device: torch.device | str = "cpu") -> RankGroup:
        """The ranks of the process group that this process is in."""
        return cls(distributed.get_rank(), distributed.get_world_size(), device)

    def share(self, count: int) -> range:
        """Which of a step's `count` batches are this rank's."""
        return range(self.rank, count, self.world)

    def sum(self, values: Tensor) -> Tensor:
        """Of all ranks' tensors, which have one shape; the same numbers everywhere."""
        if self.world == 1:
            return values
        total = values.detach().to(self.device, copy=True)
        distributed.all_reduce(total)
        return total.to(values.device)

    def sums(self, values: Sequence[float]) -> list[float]:
        if self.world == 1:
            return list(values)
        found: list[float] = self.sum(torch.tensor(values, dtype=torch.float64)).tolist()
        return found

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Each gradient becomes the sum over ranks. One that no rank has stays None; who has none adds zero."""
        if self.world == 1:
            return
        parameters = list(parameters)
        has_P = torch.tensor([p.grad is not None for p in parameters], dtype=torch.uint8, device=self.device)
        distributed.all_reduce(has_P, distributed.ReduceOp.MAX)
        learning = [p for p, has in zip(parameters, has_P.tolist(), strict=True) if has]
        for bucket in _buckets(learning):
            grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
            flat = torch.cat([grad.flatten() for grad in grads])
            distributed.all_reduce(flat)
            for p, part in zip(bucket, flat.split([p.numel() for p in bucket]), strict=True):
                p.grad = part.view_as(p)

    def wait(self) -> None:
        """Until all ranks are here."""
        if self.world > 1:
            distributed.barrier()


def _buckets(parameters: Sequence[Tensor]) -> Iterable[list[Tensor]]:
    """In their order, each bucket of one type."""
    bucket: list[Tensor] = []
    size = 0
    for p in parameters:
        if bucket and (size + p.numel() > _BUCKET or p.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(p)
        size += p.numel()
    if bucket:
        yield bucket
