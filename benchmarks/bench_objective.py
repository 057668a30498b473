"""CTC-DRO's forward, given the losses, beside a per-utterance Python implementation.

    make bench

The slow side does what the published algorithm says in the plainest way: lists of pending losses,
one utterance after the other, one group after the other.  Both sides run in turn on the same
batches, of one group each (as in training) and mixed; the clock sees complete rounds, so that
updates of q are in the figures.
"""

import statistics
import time

import torch

from asr_dro_plugin.objectives import build_objective

NUM_GROUPS = 143
DEMANDS = {32: 5.0, 1024: 50.0}  # utterances a batch -> times as fast
ROUNDS = {32: 8, 1024: 2}
SMOOTHING, STEP_SIZE, FLOOR = 0.1, 1e-4, 1e-10


class PlainCTCDRO:
    """Algorithm 1 of arXiv:2502.01777, an utterance at a time."""

    def __init__(self, num_groups: int) -> None:
        self.q = torch.full((num_groups,), 1 / num_groups)
        self.pending = [[] for _ in range(num_groups)]

    def __call__(self, losses_B: torch.Tensor, group_ids_B: torch.Tensor) -> torch.Tensor:
        """Weighted loss of a batch."""
        groups = [int(g) for g in group_ids_B]
        for group in sorted(set(groups)):
            total = 0.0
            for i, other in enumerate(groups):
                if other == group:
                    total += losses_B[i].item()
            self.pending[group].append(total)
        if all(self.pending):
            self._update()
        weighted = [losses_B[i] * self.q[g] * len(self.q) for i, g in enumerate(groups)]
        return torch.stack(weighted).sum() / len(groups)

    def _update(self) -> None:
        for group, losses in enumerate(self.pending):
            mean = sum(losses) / len(losses)
            self.q[group] *= torch.exp(STEP_SIZE * mean / (self.q[group] + SMOOTHING))
        self.q = (self.q / self.q.sum()).clamp(min=FLOOR)
        self.q = self.q / self.q.sum()
        self.pending = [[] for _ in self.pending]


def draw_round(size: int, mixed: bool, generator: torch.Generator) -> list[tuple]:
    """Batches that hold every group at least once, in random order."""
    batches = []
    for group in torch.randperm(NUM_GROUPS, generator=generator).tolist():
        ids_B = torch.full((size,), group)
        if mixed:
            ids_B = torch.randint(NUM_GROUPS, (size,), generator=generator)
            ids_B[0] = group
        losses_B = 40.0 * torch.rand(size, generator=generator) + 1.0
        batches.append((losses_B.requires_grad_(), ids_B))
    return batches


def mean_microseconds(objective, batches: list[tuple]) -> float:
    """Mean over the batches of a round of one forward, the update among them."""
    times = []
    for losses_B, group_ids_B in batches:
        begin = time.perf_counter()
        objective(losses_B, group_ids_B)
        times.append(time.perf_counter() - begin)
    return statistics.mean(times) * 1e6


def compare(size: int, mixed: bool) -> tuple[float, float]:
    """Microseconds of a forward, ours and the plain one's: medians over rounds, run in turn."""
    generator = torch.Generator().manual_seed(size)
    ours = build_objective(
        "ctc_dro", NUM_GROUPS, smoothing=SMOOTHING, step_size=STEP_SIZE, floor=FLOOR, cap=1e9
    )
    plain = PlainCTCDRO(NUM_GROUPS)
    sides = {ours: [], plain: []}
    for number in range(ROUNDS[size] + 1):
        batches = draw_round(size, mixed, generator)
        for objective, spent_by_round in sides.items():
            spent = mean_microseconds(objective, batches)
            if number:  # the first round warms both up
                spent_by_round.append(spent)
    return statistics.median(sides[ours]), statistics.median(sides[plain])


def main() -> None:
    """Print one line a batch size; fail below the demand."""
    torch.set_num_threads(1)
    failed = []
    for size, demand in DEMANDS.items():
        for mixed in (False, True):
            ours, plain = compare(size, mixed)
            kind = "mixed groups" if mixed else "one group"
            print(
                f"G = {NUM_GROUPS}, B = {size:>4}, {kind:<12}: {ours:8.0f} us, plain {plain:9.0f} "
                f"us, {plain / ours:6.1f} times as fast (demand {demand:.0f})"
            )
            failed += [kind] if plain / ours < demand else []
    if failed:
        raise SystemExit("The objective is slower than demanded.")


if __name__ == "__main__":
    main()
