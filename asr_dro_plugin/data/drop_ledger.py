"""Utterances left out: counted by reason and language, listed in a file, and capped.

Nothing is dropped in silence.  Every step that may leave an utterance out keeps a ``DropLedger``
and concludes it: a file with one line for each dropped utterance, a summary in the log, and an
error when a language loses more than its cap.
"""

import logging
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.errors import UserError

DEFAULT_CAP = 0.05
REMEDY = "Mend the data, or raise --max_drop."
HEADER = "utt_id\tlang\treason\tdetail"


@dataclass(frozen=True)
class Drop:
    """One utterance that was left out, and why."""

    utt_id: str
    lang: str
    reason: str
    detail: str


class DropLedger:
    """Collects dropped utterances of one step over one data set."""

    def __init__(self) -> None:
        self.drops: list[Drop] = []

    def add(self, utt_id: str, lang: str, reason: str, detail: str = "") -> None:
        """Note that ``utt_id`` of language ``lang`` is left out for ``reason`` (a few words)."""
        self.drops.append(Drop(utt_id, lang, reason, " ".join(detail.split())))

    @property
    def utt_ids(self) -> set[str]:
        """The ids left out."""
        return {drop.utt_id for drop in self.drops}

    def write(self, path: str | os.PathLike) -> None:
        """Write all drops as TSV with a header (the header alone when nothing was dropped)."""
        with atomic_write(path) as stream:
            stream.write(HEADER + "\n")
            for drop in sorted(self.drops, key=lambda d: (d.lang, d.utt_id)):
                stream.write(f"{drop.utt_id}\t{drop.lang}\t{drop.reason}\t{drop.detail}\n")

    def conclude(
        self,
        totals: Mapping[str, int],
        path: str | os.PathLike,
        where: str,
        cap: float = DEFAULT_CAP,
        remedy: str = REMEDY,
    ) -> None:
        """Write the list, log the counts, and refuse a loss above the cap.

        Args:
            totals: utterances of each language before anything was dropped.
            path: the TSV to write; written before the error is raised, so that it can be read.
            where: the data set, for messages, for example ``dump/raw/org/train_prompts``.
            cap: largest share of a language that may go, 0..1.
            remedy: what the error tells the user to do.

        Raises:
            UserError: a language lost more than ``cap``; names the first cases and the list.
        """
        self.write(path)
        if not self.drops:
            return
        by_reason = Counter((d.lang, d.reason) for d in self.drops)
        for (lang, reason), count in sorted(by_reason.items()):
            logging.warning(
                "%s: dropped %d of %d %s utterances: %s", where, count, totals.get(lang, 0), lang,
                reason,
            )  # fmt: skip
        lost = Counter(d.lang for d in self.drops)
        for lang, count in sorted(lost.items()):
            total = max(totals.get(lang, 0), 1)
            if count > cap * total:
                first = [d for d in self.drops if d.lang == lang][:3]
                cases = "; ".join(
                    f"{d.utt_id}: {d.reason}" + (f" ({d.detail})" if d.detail else "")
                    for d in first
                )
                raise UserError(
                    f"{where} would lose {count} of {total} {lang} utterances "
                    f"({100 * count / total:.1f} %, allowed {100 * cap:g} %): {cases}. "
                    f"All are listed in {path}. {remedy}"
                )
