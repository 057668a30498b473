"""One set of references, against which hypotheses are read and scored."""

import argparse
import os
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path

from asr_dro_plugin.base.overwrite import refuse_earlier
from asr_dro_plugin.errors import SomeLeftOut, UserError, suggestion
from asr_dro_plugin.scoring.alignments import write_alignments
from asr_dro_plugin.scoring.alternatives import chosen, has_alternatives
from asr_dro_plugin.scoring.causes import Causes, causes_of
from asr_dro_plugin.scoring.causes_table import add_causes
from asr_dro_plugin.scoring.error_rates import normalized, score
from asr_dro_plugin.scoring.notations import refuse_letters
from asr_dro_plugin.scoring.paired import compare_scores
from asr_dro_plugin.scoring.phonemes import PhonemeMap
from asr_dro_plugin.scoring.read_texts import FORMS, Texts, read_hypotheses, read_reference
from asr_dro_plugin.scoring.report import build_report, write_report
from asr_dro_plugin.scoring.scores import Score, write_utterances
from asr_dro_plugin.scoring.set_inputs import check_units, folder_of, read_set_tables
from asr_dro_plugin.scoring.table import comparison_table, details_table, text_table
from asr_dro_plugin.scoring.training_text import TrainingText
from asr_dro_plugin.text.normalizers import get_normalizer, split_tag


class ScoredSet:
    """References and their tables, as the options of ``asr-dro score`` name them.

    Args:
        options: ``ref``, ``groups``, ``utt2dur``, ``units``, ``languages``, ``phoneme_map``,
            ``format``, ``text_norm``, ``name``, ``partial``.
        training: what the model can know of writing; None where nobody told.

    Raises:
        UserError: references or tables that are damaged; ``NotThere`` where there are none.
    """

    def __init__(self, options: argparse.Namespace, training: TrainingText | None = None) -> None:
        self.options, self.training = options, training
        self.forms = _forms(options.format)
        self.references = read_reference(options.ref, self.forms[0])
        self.name = options.name or folder_of(options.ref).name
        self.tables = read_set_tables(
            options.ref, options.groups, options.utt2dur, options.units, options.languages
        )
        check_units(self.tables.units, self.references)

    def score(self, path: str) -> tuple[Score, Texts]:
        """Score one file or folder of hypotheses, which are given too, for what was damaged."""
        references = self.references
        if self.options.partial:
            references, found = self._so_far(Path(path))
        else:
            found = read_hypotheses(path, self.forms[1])
            self._refuse_letters(path, found.texts)
        references = self._read_for(references, found.texts)
        tables, text_norm, phonemes = self.tables, self.options.text_norm, self.options.phoneme_map
        scored = score(
            references, found.texts, tables.languages, text_norm, tables.durations,
            tables.no_space, PhonemeMap.read(phonemes) if phonemes else None,
        )  # fmt: skip
        return scored, found

    def causes(self, scored: Score, forced: str | None) -> Causes:
        """Why it is as it is.

        Args:
            scored: of this set.
            forced: hypotheses of the same model, each utterance's language given.
        """
        told = self.score(forced)[0] if forced else None
        unseen = counts = None
        if self.training:
            refs, normalize = scored.utterances.refs, get_normalizer(self.options.text_norm)
            unseen, counts = self.training.unseen(refs, normalize), self.training.counts
        tables = self.tables
        return causes_of(scored, told, unseen, tables.durations, tables.scripts, counts)

    @cached_property
    def with_alternatives(self) -> frozenset[str]:
        """Ids of references that can be read in several ways."""
        return frozenset(u for u, text in self.references.items() if has_alternatives(text))

    def _read_for(
        self, references: Mapping[str, str], hypotheses: Mapping[str, str]
    ) -> Mapping[str, str]:
        """The references, each in the way that is nearest to its hypothesis."""
        if not self.with_alternatives:
            return references
        normalize, languages = get_normalizer(self.options.text_norm), self.tables.languages or {}

        def units(text: str, lang: str | None) -> list[str]:
            compared = normalized(text, lang or "", normalize)
            spaceless = lang in self.tables.no_space
            return list(compared.replace(" ", "")) if spaceless else compared.split()

        found = dict(references)
        for utt_id in self.with_alternatives & references.keys():
            lang = split_tag(references[utt_id])[0] or languages.get(utt_id)
            heard = units(hypotheses.get(utt_id, ""), lang)
            found[utt_id] = chosen(references[utt_id], heard, partial(units, lang=lang))
        return found

    def _refuse_letters(self, path: str, texts: Mapping[str, str]) -> None:
        """Neither side may be letters where the other has words."""
        languages, no_space = self.tables.languages or {}, self.tables.no_space
        spaced = [utt_id for utt_id in self.references if languages.get(utt_id) not in no_space]
        refuse_letters(texts, self.references, path, spaced)
        refuse_letters(self.references, texts, self.options.ref, spaced)

    def complaints(self, path: str, scored: Score, damage: Texts) -> list[str]:
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

    def _so_far(self, path: Path) -> tuple[dict[str, str], Texts]:
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
        return so_far, Texts(texts)


def score_set(
    options: argparse.Namespace,
    run: Mapping[str, str | None],
    training: TrainingText | None = None,
) -> None:
    """Print one set's table and write what is asked for; complain of ids at the end.

    Args:
        options: those of ``ScoredSet``, and ``hyp``, ``forced``, ``compare``, ``json``, ``utts``,
            ``alignments``, ``details``, ``best_k``, ``overwrite``, ``strict``.
        run: where the hypotheses come from, as ``build_report`` takes it.
        training: as ``ScoredSet`` takes it.

    Raises:
        SomeLeftOut: hypotheses are missing, extra, double or cut, or references empty;
            ``UserError`` where ``strict`` is set.
    """
    if options.partial:
        _refuse_to_write(options)
    written = options.json, options.utts, options.alignments
    refuse_earlier(filter(None, written), options.overwrite)
    scored = ScoredSet(options, training)
    score, damage = scored.score(options.hyp)
    run = {**run, "model_file": _followed(run["model_file"])}
    report = build_report(score, scored.name, run, scored.tables.units, damage, options.best_k)
    add_causes(report, scored.causes(score, options.forced), score)
    shown, complaints = [text_table(report)], scored.complaints(options.hyp, score, damage)
    if options.details:
        shown.append(details_table(report))
    if options.compare and scored.with_alternatives:
        raise UserError(
            f"{options.ref} has sclite's alternatives, so that each hypothesis has references of "
            "its own and the paired test has none. Leave --compare away."
        )
    if options.compare:
        other, other_damage = scored.score(options.compare)
        report["comparison"] = compare_scores(score, other, scored.tables.units)
        shown.append(comparison_table(report["comparison"]))
        complaints += scored.complaints(options.compare, other, other_damage)
    if options.json:
        write_report(options.json, report)
    if options.utts:
        write_utterances(options.utts, score.utterances, scored.tables.units.of_utt)
    if options.alignments:
        write_alignments(options.alignments, score.utterances)
    print("\n\n".join(shown))
    if complaints and not options.partial:
        raise (UserError if options.strict else SomeLeftOut)(" ".join(complaints))


def _refuse_to_write(options: argparse.Namespace) -> None:
    for name in ("json", "utts", "alignments", "compare", "forced"):
        if getattr(options, name):
            raise UserError(f"--partial prints a score that is not final. Leave --{name} away.")


def _followed(model_file: str | None) -> str | None:
    """What was really decoded: ``valid.ave.pth -> valid.ave_3best.pth`` where it is a link."""
    if model_file and os.path.islink(model_file):
        return f"{model_file} -> {os.readlink(model_file)}"
    return model_file


def _of_ids(path: str, reference: str, scored: Score, damage: Texts) -> str:
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
