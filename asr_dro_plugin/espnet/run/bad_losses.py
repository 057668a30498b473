"""What is passed over, named and counted; utterances without a usable loss only now and then, so
that no step waits."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import torch

MAX_NAMED = 20


def few(names: Sequence[str]) -> str:
    """The first names, with dots where there are more."""
    return " ".join(names[:MAX_NAMED]) + " ..." * (len(names) > MAX_NAMED)


def counted(counts: Mapping[str, int]) -> str:
    """``deu:2 eng:1``, sorted by name."""
    return " ".join(f"{name}:{count}" for name, count in sorted(counts.items()))


class NamedCounts:
    """What went wrong along a run: how often in each group, and the first utterances."""

    def __init__(self) -> None:
        self.by_group: Counter[str] = Counter()
        self.utt_ids: list[str] = []

    def count(self, groups: Sequence[str], utt_ids: Sequence[str]) -> Counter[str]:
        """Add the groups of some utterances and their names; how many there are of each group."""
        here = Counter(groups)
        self.by_group.update(here)
        self.utt_ids = [*self.utt_ids, *utt_ids][:MAX_NAMED]
        return here

    def state_dict(self) -> dict:
        """Plain numbers, names and lists."""
        return {"by_group": dict(self.by_group), "utt_ids": list(self.utt_ids)}

    def load_state_dict(self, state: Mapping) -> None:
        """Take over the counts of ``state_dict``."""
        self.by_group, self.utt_ids = Counter(state["by_group"]), list(state["utt_ids"])


def _flagged(waiting: list[tuple], groups: Sequence[str]) -> list[tuple[str, str]]:
    """(utterance, group) of the losses that are marked as bad."""
    if not waiting:
        return []
    flags = torch.cat([mask for mask, _, _ in waiting]).tolist()
    names = [name for _, utt_ids, _ in waiting for name in utt_ids]
    ids = [group for _, _, group_ids in waiting for group in group_ids]
    rows = zip(flags, names, ids, strict=True)
    return [(name, groups[group]) for flag, name, group in rows if flag]


class BadLosses(NamedCounts):
    """Collects each batch's mask of infeasible or non-finite losses on its device.

    What waits is reported before the counts are saved.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[tuple[torch.Tensor, Sequence[str], Sequence[int]]] = []

    def add(
        self, bad_B: torch.Tensor | None, utt_ids: Sequence[str], group_ids: Sequence[int]
    ) -> None:
        """Keep a batch's mask (B,) until the next ``report``."""
        if bad_B is not None:
            self._waiting.append((bad_B.detach(), utt_ids, group_ids))

    def report(self, groups: Sequence[str], gather: Callable[[list], list]) -> None:
        """Look at what was kept: one copy to the host; log and count what is bad.

        Args:
            groups: names by id.
            gather: gives the lists of all ranks, which call this at the same steps.
        """
        waiting, self._waiting = self._waiting, []
        bad = [pair for own in gather(_flagged(waiting, groups)) for pair in own]
        if not bad:
            return
        new = [name for name in dict.fromkeys(name for name, _ in bad) if name not in self.utt_ids]
        here = self.count([group for _, group in bad], new)
        logging.warning(
            "%d utterances had no finite loss (too few frames for their text, or NaN) and were "
            "passed over: %s. By group: %s", len(bad), few(new) or "seen before", counted(here),
        )  # fmt: skip
