"""The state of every random generator that training draws from, taken and put back."""

import random
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class RandomState:
    """Generators of Python, numpy and torch (CPU, and the current GPU where there is one)."""

    python: tuple
    numpy: dict
    torch_cpu: torch.Tensor
    torch_gpu: torch.Tensor | None

    @classmethod
    def now(cls) -> "RandomState":
        """The present state; nothing waits for a GPU."""
        on_gpu = torch.cuda.is_initialized()
        return cls(
            random.getstate(),
            np.random.get_state(legacy=False),  # noqa: NPY002 libraries draw from it
            torch.get_rng_state(),
            torch.cuda.get_rng_state() if on_gpu else None,
        )

    def restore(self) -> None:
        """Draw from here on what was drawn after ``now``."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)  # noqa: NPY002
        torch.set_rng_state(self.torch_cpu)
        if self.torch_gpu is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(self.torch_gpu)

    def state_dict(self) -> dict:
        """Tensors and plain numbers, so that a checkpoint pickles no objects."""
        version, words, gauss = self.python
        inner = self.numpy["state"]
        return {
            "python": [version, list(words), gauss],
            "numpy": {
                "key": torch.from_numpy(inner["key"].astype(np.int64)),
                "pos": int(inner["pos"]),
                "has_gauss": int(self.numpy["has_gauss"]),
                "gauss": float(self.numpy["gauss"]),
            },
            "torch_cpu": self.torch_cpu,
            "torch_gpu": self.torch_gpu,
        }

    @classmethod
    def from_state_dict(cls, state: dict) -> "RandomState":
        """What ``state_dict`` wrote."""
        version, words, gauss = state["python"]
        numpy = state["numpy"]
        gpu = state["torch_gpu"]
        return cls(
            (version, tuple(words), gauss),
            {
                "bit_generator": "MT19937",
                "state": {"key": numpy["key"].cpu().numpy().astype(np.uint32), "pos": numpy["pos"]},
                "has_gauss": numpy["has_gauss"],
                "gauss": numpy["gauss"],
            },
            state["torch_cpu"].cpu(),
            None if gpu is None else gpu.cpu(),
        )
