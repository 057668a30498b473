"""The processes that train one model together, one GPU (or CPU) each.

Gradients are summed once an optimizer step, after all backward passes, instead of inside them as
``DistributedDataParallel`` does: so a rank may split its batch in pieces, or have none, without
another one noticing.  Small agreements travel on a CPU group of their own, past the GPU's queue.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from asr_dro_plugin.errors import UserError

BUCKET_ELEMENTS = 32 * 2**20
PATIENCE = timedelta(hours=2)  # rank 0 alone averages models and plots: the others wait for it

COMPRESSED = {"fp16_compress_hook": torch.float16, "bf16_compress_hook": torch.bfloat16}


class Ranks:
    """This process among the ``world_size`` that train together; alone, all methods are trivial."""

    def __init__(self, distributed: bool = False) -> None:
        self.rank = dist.get_rank() if distributed else 0
        self.world_size = dist.get_world_size() if distributed else 1
        self._control = dist.new_group(backend="gloo", timeout=PATIENCE) if distributed else None

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0

    def sum_host(self, values: Sequence[float]) -> list[float]:
        """Sums over the ranks of a few numbers that are on the host."""
        if self.world_size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64)
        try:
            dist.all_reduce(tensor, group=self._control)
        except RuntimeError as error:  # it was killed, or waited for too long
            raise UserError(
                "Another process of this training has ended without a word "
                f"({str(error).splitlines()[0]}). Give the same command again to go on."
            ) from None
        return tensor.tolist()

    def sum_device(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sum over the ranks of a tensor where it is; no wait for the device."""
        if self.world_size > 1:
            dist.all_reduce(tensor)
        return tensor

    def gather(self, value: Any) -> list:
        """The values of all ranks, in the order of the ranks."""
        if self.world_size == 1:
            return [value]
        values: list = [None] * self.world_size
        dist.all_gather_object(values, value, group=self._control)
        return values

    def mean_stats(self, stats: dict[str, Any], weight: float) -> tuple[dict[str, float], float]:
        """Means of the stats over the ranks, each weighted by its number of utterances.

        A rank without a batch has no stats; its weight of zero says so.
        """
        return weighted_means(self.gather(_plain(stats, weight)))

    def sum_gradients(self, params: Iterable[torch.nn.Parameter], hook: str | None = None) -> None:
        """Sum the gradients of all ranks into each rank's ``grad``.

        A parameter has a gradient afterwards if it had one on any rank, as in one process over
        all the batches: an optimizer leaves those without alone.

        Args:
            hook: ``fp16_compress_hook`` or ``bf16_compress_hook`` halves what travels.
        """
        if self.world_size == 1:
            return
        params = [param for param in params if param.requires_grad]
        present = torch.tensor([param.grad is not None for param in params], dtype=torch.int32)
        dist.all_reduce(present, group=self._control)
        params = [param for param, some in zip(params, present.tolist(), strict=True) if some]
        for param in params:
            if param.grad is None:
                param.grad = torch.zeros_like(param)
        for bucket in _buckets(params):
            self._sum_bucket([param.grad for param in bucket], COMPRESSED.get(hook or ""))

    @staticmethod
    def _sum_bucket(grads: list[torch.Tensor], dtype: torch.dtype | None) -> None:
        """Sum tensors of one dtype and device over the ranks, as one long tensor."""
        flat = torch.cat([grad.reshape(-1) for grad in grads])
        travelling = flat.to(dtype) if dtype else flat
        dist.all_reduce(travelling)
        parts = travelling.to(flat.dtype).split([grad.numel() for grad in grads])
        pairs = zip(parts, grads, strict=True)
        torch._foreach_copy_(grads, [part.view_as(grad) for part, grad in pairs])

    def share_buffers(self, model: torch.nn.Module) -> None:
        """Give every rank the buffers of the first: running statistics differ between ranks."""
        if self.world_size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)


def weighted_means(parts: Iterable[tuple[dict, float]]) -> tuple[dict[str, float], float]:
    """Means of (stats, weight), each with its weight, and the sum of the weights."""
    parts = [_plain(*part) for part in parts if part[1]]
    total = sum(weight for _, weight in parts)
    keys = dict.fromkeys(key for stats, _ in parts for key in stats)
    means = {
        key: sum(stats.get(key, float("nan")) * weight for stats, weight in parts) / total
        for key in keys
    }
    return means, float(total)


def _plain(stats: dict[str, Any], weight: float) -> tuple[dict[str, float], float]:
    """Both as numbers; ESPnet's models name what they do not have, with None."""
    return {key: float(value) for key, value in stats.items() if value is not None}, float(weight)


def _buckets(params: Sequence[torch.nn.Parameter]) -> list[list[torch.nn.Parameter]]:
    """Parameters in order, parted where dtype or device change or a bucket is full."""
    buckets: list[list[torch.nn.Parameter]] = []
    size, kind = 0, None
    for param in params:
        this = (param.dtype, param.device)
        if this != kind or size + param.numel() > BUCKET_ELEMENTS:
            buckets.append([])
            size, kind = 0, this
        buckets[-1].append(param)
        size += param.numel()
    return buckets
