"""One set of references, against which hypotheses are read and scored."""

import argparse
from pathlib import Path

from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.scoring.error_rates import score
from asr_dro_plugin.scoring.phonemes import PhonemeMap
from asr_dro_plugin.scoring.read_texts import FORMS, read_hypotheses, read_reference
from asr_dro_plugin.scoring.report import Damage
from asr_dro_plugin.scoring.scores import Score
from asr_dro_plugin.scoring.set_inputs import check_units, folder_of, read_set_tables


class ScoredSet:
    """References and their tables, as the options of ``asr-dro score`` name them.

    Args:
        options: ``ref``, ``groups``, ``utt2dur``, ``units``, ``languages``, ``phoneme_map``,
            ``format``, ``text_norm``, ``name``, ``partial``.

    Raises:
        UserError: references or tables that are damaged; ``NotThere`` where there are none.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.forms = _forms(options.format)
        self.references = read_reference(options.ref, self.forms[0])
        self.name = options.name or folder_of(options.ref).name
        self.tables = read_set_tables(
            options.ref, options.groups, options.utt2dur, options.units, options.languages
        )
        check_units(self.tables.units, self.references)

    def score(self, path: str) -> tuple[Score, Damage]:
        """Score one file or folder of hypotheses; what of it could not be used."""
        references = self.references
        if self.options.partial:
            references, texts, damage = *self._so_far(Path(path)), Damage()
        else:
            found = read_hypotheses(path, self.forms[1])
            texts, damage = found.texts, Damage(tuple(found.duplicates), tuple(found.cut))
        phonemes = self.options.phoneme_map
        scored = score(
            references,
            texts,
            self.tables.languages,
            self.options.text_norm,
            self.tables.durations,
            self.tables.no_space,
            PhonemeMap.read(phonemes) if phonemes else None,
        )
        return scored, damage

    def complaints(self, path: str, scored: Score, damage: Damage) -> list[str]:
        """A sentence where ids do not match, lines were not whole or references are empty."""
        found = []
        if scored.missing or scored.extra or damage.duplicates or damage.cut:
            found = [_of_ids(path, self.options.ref, scored, damage)]
        if scored.empty_refs and path == self.options.hyp:  # said once, not of every hypothesis
            found.append(
                f"{self.options.ref} has {len(scored.empty_refs)} references without text after "
                f"normalising (first: {scored.empty_refs[0]}). Mend or remove them, or go on."
            )
        return found

    def _so_far(self, path: Path) -> tuple[dict[str, str], dict[str, str]]:
        """References and hypotheses of the utterances decoded so far."""
        from asr_dro_plugin.transcripts.partial import read_so_far

        parts = path.parent / "parts"
        texts = read_so_far(parts)
        if not texts and path.exists():
            texts = read_hypotheses(path, self.forms[1]).texts
        so_far = {utt_id: text for utt_id, text in self.references.items() if utt_id in texts}
        if not so_far:
            raise UserError(
                f"{parts} holds none of the {len(self.references)} hypotheses yet. Run stage 12."
            )
        print(
            f"Partial: {len(so_far)} of {len(self.references)} utterances are decoded, the "
            "longest of each part first.\n"
        )
        return so_far, texts


def _of_ids(path: str, reference: str, scored: Score, damage: Damage) -> str:
    """What is wrong with the ids and lines of one hypothesis."""
    more = f", gives {len(damage.duplicates)} twice" if damage.duplicates else ""
    if damage.cut:
        more += f", has {len(damage.cut)} lines that are not whole (first: {damage.cut[0]})"
    return (
        f"{path} lacks {len(scored.missing)} and adds {len(scored.extra)} utterances{more} "
        f"against {reference}. Decode the set again, or go on with what was scored."
    )


def _forms(words: str | None) -> tuple[str | None, str | None]:
    """Forms of references and hypotheses, of ``jsonl`` or ``kaldi,trn``."""
    if not words:
        return None, None
    forms = words.split(",")
    for form in forms:
        if form not in FORMS or len(forms) > 2:
            raise UserError(
                f"--format {words} is not known.{suggestion(form, FORMS)} "
                f"Known: {' '.join(FORMS)}, one for both or two as REF,HYP."
            )
    return forms[0], forms[-1]
