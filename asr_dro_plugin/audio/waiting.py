"""Samples that wait for more of them."""

from collections import deque

import numpy as np


class Waiting:
    """Samples that wait, first in, first out.

    Attributes:
        size: how many.
    """

    def __init__(self) -> None:
        self._parts: deque[np.ndarray] = deque()
        self.size = 0

    def add(self, samples: np.ndarray) -> None:
        """Put (N,) behind the others."""
        if len(samples):
            self._parts.append(samples)
            self.size += len(samples)

    def peek(self, number: int) -> np.ndarray:
        """The first ones, which stay."""
        if len(self._parts) > 1:
            self._parts = deque([np.concatenate(self._parts)])
        return self._parts[0][:number] if self._parts else np.zeros(0, np.float32)

    def take(self, number: int) -> np.ndarray:
        """The first ones, which go."""
        found = self.peek(number)
        if self._parts:
            rest = self._parts.popleft()[len(found) :]
            if len(rest):
                self._parts.append(rest.copy())  # a view would hold all of it
        self.size -= len(found)
        return found
