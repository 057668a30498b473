"""A constant learning rate that is lowered where it proves too high."""

import math
from dataclasses import dataclass

FACTOR = 3.0  # by which a rate is lowered
DIVERGED = 3.0  # times the first loss
STALLED = 200  # updates without a lower loss
LOW = 0.1  # share of the first loss under which what is learned is kept
BETTER = 0.99  # a lower loss is lower by a hundredth
FLAT = 0.1  # share of the first loss; what stays within was moved too little, not too much


@dataclass
class Backoff:
    """Watches the loss of every update.

    Attributes:
        rate: the learning rate at present.
        first, best, worst: loss of the first update since the last start from new weights, the
            lowest and the highest.
    """

    rate: float
    first: float = math.nan
    best: float = math.inf
    worst: float = -math.inf
    _waited: int = 0

    def look(self, loss: float) -> str:
        """What is to be done after an update: ``""`` nothing, ``"lower"`` go on with a lower rate,
        ``"restart"`` begin anew with a lower rate; ``rate`` is lowered already."""
        if math.isnan(self.first):
            self.first = loss
        if not math.isfinite(loss) or loss > DIVERGED * self.first:
            return self._lowered(restart=True)
        self.worst = max(self.worst, loss)
        if loss < BETTER * self.best:
            self.best, self._waited = loss, 0
            return ""
        self._waited += 1
        if self._waited < STALLED or self._is_flat():
            return ""
        return self._lowered(restart=self.best > LOW * self.first)

    def _is_flat(self) -> bool:
        """Whether the loss has stayed where it began: a lower rate would move it even less."""
        return self.worst - self.best < FLAT * abs(self.first)

    def _lowered(self, restart: bool) -> str:
        self.rate /= FACTOR
        self._waited = 0
        if restart:
            self.first, self.best, self.worst = math.nan, math.inf, -math.inf
        return "restart" if restart else "lower"
