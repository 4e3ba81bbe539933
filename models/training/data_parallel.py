"""Data parallel training: what the ranks exchange in a step.

Every rank computes its share of a step's batches; then gradients are summed over ranks, and each rank makes the same optimiser
step. `DistributedDataParallel` is not used: experts outside the budget have no gradient on any rank, and it must stay None so
that AdamW skips them. DDP would wait for them, or step them with zeros.

A single rank needs no process group.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, distributed

_BUCKET = 1 << 23
"""Numbers in one message (32 MiB of float32): many small messages are slower than copying them together."""


class RankGroup:
    """The ranks that train together. Every method but `share` is collective: all ranks must call it, in the same order.

    `rank`: number of this one, from 0. `world`: how many there are.
    """

    def __init__(self, rank: int = 0, world: int = 1, device: torch.device | str = "cpu") -> None:
        self.rank, self.world, self.device = rank, world, torch.device(device)

    @classmethod
    def joined(cls, device: torch.device | str = "cpu") -> RankGroup:
        """The ranks of the process group that this process has joined."""
        return cls(distributed.get_rank(), distributed.get_world_size(), device)

    def share(self, count: int) -> range:
        """Numbers of the batches, of the `count` of a step, that this rank computes."""
        return range(self.rank, count, self.world)

    def sum(self, values: Tensor) -> Tensor:
        """The sum of all ranks' tensors, which must have one shape; equal on all ranks."""
        if self.world == 1:
            return values
        total = values.detach().to(self.device, copy=True)
        distributed.all_reduce(total)
        return total.to(values.device)

    def sums(self, values: Sequence[float]) -> list[float]:
        """Sums of numbers over ranks."""
        if self.world == 1:
            return list(values)
        found: list[float] = self.sum(torch.tensor(values, dtype=torch.float64)).tolist()
        return found

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replaces each gradient by its sum over ranks. One that no rank has stays None; a rank without it adds zero."""
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
        """Waits until all ranks have called it."""
        if self.world > 1:
            distributed.barrier()


def _buckets(parameters: Sequence[Tensor]) -> Iterable[list[Tensor]]:
    """The parameters in their order, in buckets of one data type and at most _BUCKET numbers."""
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
