"""From utterances to Kaldi data directories: what every ``local/data_<corpus>.py`` ends with.

A corpus script makes ``Utterance`` records, hands each set to ``clean``, and all sets to
``write_sets``, which puts them into place only when every one of them is whole.
"""

import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asr_dro_plugin.audio.files import probe, probe_header
from asr_dro_plugin.base.kaldi_io import spk2utt, write_table
from asr_dro_plugin.data import claims
from asr_dro_plugin.data.drop_ledger import DEFAULT_CAP, DropLedger
from asr_dro_plugin.data.kaldi_names import as_id
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.markup import MarkupCounts
from asr_dro_plugin.text.normalizers import Normalizer, add_tag, markup_remedy, split_tag

SETS = ("train", "dev", "test")
SPLIT_COPY = "split.tsv"


@dataclass(frozen=True)
class Utterance:
    """One utterance on its way into a data directory.

    ``audio`` is a file; ``start`` and ``end`` (seconds) cut the utterance out of a longer
    recording; an ``end`` alone cuts off what follows it, if anything does.  ``duration`` is in
    seconds, None until measured.  ``category`` is the group.  ``source`` is ``file:line`` where it
    came from, for messages.  ``corpus`` is where it was published, one word
    (``local/corpora.tsv`` lists licences by it).
    """

    utt_id: str
    audio: str
    text: str
    lang: str
    speaker: str
    duration: float | None = None
    category: str = ""
    start: float | None = None
    end: float | None = None
    source: str = ""
    corpus: str = ""


def kaldi_ids(lang: str, speaker: str, utt_id: str) -> tuple[str, str]:
    """Speaker and utterance id in Kaldi's form: both begin with the language, the utterance's id
    begins with its speaker's, and neither has white space or a slash.  Names that may become one
    are for ``kaldi_names.NamesApart`` to refuse.

    ``("deu", "kerstin", "kerstin-0068")`` -> ``("deu_kerstin", "deu_kerstin-0068")``.
    """
    speaker, utt_id = as_id(speaker), as_id(utt_id)
    prefix = f"{lang}_"
    speaker = prefix + speaker.removeprefix(prefix)
    utt_id = prefix + utt_id.removeprefix(prefix)
    rest = utt_id.removeprefix(speaker)
    if rest == utt_id or (rest and rest[0] not in "-_."):
        utt_id = f"{speaker}-{utt_id.removeprefix(prefix)}"
    return speaker, utt_id


def one_word(name: str) -> str:
    """A name as a table of one word a line holds it: ``"Common Voice"`` -> ``Common-Voice``."""
    return "-".join(name.split())


def refuse_duplicates(utterances: Iterable[Utterance]) -> None:
    """Raise if two utterances of the corpus share an id; the message names both places."""
    seen: dict[str, str] = {}
    for utt in utterances:
        if utt.utt_id in seen:
            raise UserError(
                f"{utt.source or utt.audio} gives utterance '{utt.utt_id}' a second time "
                f"(first: {seen[utt.utt_id]}). Make ids unique over the corpus."
            )
        seen[utt.utt_id] = utt.source or utt.audio


def clean(
    utterances: Iterable[Utterance],
    normalize: Normalizer,
    ledger: DropLedger,
    measure: Callable[[str], float] | None = None,
) -> list[Utterance]:
    """Normalise texts, measure missing durations, and drop what cannot be used.

    Dropped, each with its reason in ``ledger``: missing audio, unreadable audio, zero length,
    a duration or piece that the file's header belies, empty text after normalisation.

    Args:
        utterances: of one set.
        normalize: ``(text, lang) -> text``.
        ledger: takes the dropped ones.
        measure: path -> seconds, raises UserError; by default from the file's header.
    """
    measure = measure or audio_duration
    kept, markup = [], MarkupCounts()
    for utt in utterances:
        tag, text = split_tag(utt.text.strip())  # a tag that is there already is not text
        text = text if tag == utt.lang else utt.text
        markup.add(text, utt.lang, utt.source or utt.utt_id, normalize)
        text = normalize(text, utt.lang)
        try:
            seconds = _duration(utt, measure)
            utt, fault = held_to_its_claim(utt)
        except UserError as error:
            reason = "unreadable audio" if os.path.exists(utt.audio) else "missing audio"
            ledger.add(utt.utt_id, utt.lang, reason, str(error))
            continue
        if seconds > 0 and fault:
            reason = claims.NOT_AS_DECLARED if utt.start is None else claims.BEYOND
            ledger.add(utt.utt_id, utt.lang, reason, f"{utt.audio}: {fault}")
        elif seconds <= 0:
            ledger.add(utt.utt_id, utt.lang, "zero length", utt.audio)
        elif not text:
            ledger.add(utt.utt_id, utt.lang, "empty text", f"{utt.source} {utt.text!r}")
        else:
            group = utt.category or utt.lang
            kept.append(replace(utt, text=text, duration=seconds, category=group))
    if remark := markup.remark(markup_remedy(normalize)):
        logging.warning("%s", remark)
    return kept


def _duration(utt: Utterance, measure: Callable[[str], float]) -> float:
    if not os.path.exists(utt.audio):
        raise UserError(utt.audio)
    if not os.path.getsize(utt.audio):
        return 0.0
    if utt.duration is not None:
        return utt.duration
    whole = measure(utt.audio)
    return min(utt.end or whole, whole) - (utt.start or 0.0)


def held_to_its_claim(utt: Utterance) -> tuple[Utterance, str]:
    """A declared duration against the file's header, where that tells.

    What decodes is compared in stage 3, where a damaged file is told of, too.

    Returns:
        The utterance, without an ``end`` where the file ends there too, and what is wrong with it.
    """
    if utt.duration is None or not os.path.getsize(utt.audio):
        return utt, ""
    try:
        info = probe_header(utt.audio)
    except UserError:  # damaged: nothing to cut
        return replace(utt, end=utt.end if utt.start is not None else None), ""
    if info is None:
        return utt, ""
    if utt.start is not None:
        return utt, claims.fault_of_end(utt.start + utt.duration, info.duration, info.sample_rate)
    fault = claims.fault(utt.duration, info.duration, info.sample_rate)
    if utt.end is None or utt.end > info.duration:
        return replace(utt, end=None), fault
    return (utt, "") if fault else (replace(utt, end=None), "")


def audio_duration(path: str) -> float:
    """Seconds of audio in a file, from its header where it tells."""
    return probe(path).duration


def write_sets(
    out_dir: str | os.PathLike,
    corpus: str,
    sets: Mapping[str, tuple[Sequence[Utterance], DropLedger]],
    lid: bool = True,
    cap: float = DEFAULT_CAP,
    split_file: str | os.PathLike | None = None,
) -> None:
    """Write one Kaldi directory a set; all of them move into place at the end, or none.

    Args:
        out_dir: usually ``data``.
        corpus: the directories are ``train_<corpus>`` and so on.
        sets: ``train``, ``dev``, ``test`` -> (utterances kept, what was dropped).
        lid: whether texts begin with the language tag ``[iso]``.
        cap: largest share of a language, over all sets together, that may be dropped.
        split_file: the split that was made for them; each set keeps a copy.

    Raises:
        UserError: a set is empty, or a language lost too much; the list of drops is named.
    """
    out = Path(out_dir)
    work = out / f".new.{corpus}.{os.getpid()}"
    _conclude(out, corpus, sets, cap)
    try:
        for name, (utterances, ledger) in sets.items():
            target = work / f"{name}_{corpus}"
            if not utterances:
                raise UserError(
                    f"{out / target.name} would be empty. Choose other --langs or --data_source."
                )
            _write_directory(target, utterances, lid, corpus)
            ledger.write(target / "dropped.tsv")
            if split_file:
                shutil.copyfile(split_file, target / SPLIT_COPY)
        names = [f"{name}_{corpus}" for name in sets]
        for name in names:  # first all old ones leave: between, nothing looks finished
            if (out / name).exists():
                os.replace(out / name, work / f"old.{name}")
        for name in names:
            os.replace(work / name, out / name)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    langs = {utt.lang for utterances, _ in sets.values() for utt in utterances}
    for name, (utterances, ledger) in sets.items():
        where, told = out / f"{name}_{corpus}", "%s %s: %d utterances, %.1f min, %d dropped"
        for lang in sorted(langs):
            seconds = [utt.duration or 0.0 for utt in utterances if utt.lang == lang]
            lost = sum(drop.lang == lang for drop in ledger.drops)
            if seconds:
                logging.info(told, where, lang, len(seconds), sum(seconds) / 60, lost)
            else:
                logging.warning("%s has no %s utterances", where, lang)


def made_from_split(out_dir: str | os.PathLike, corpus: str) -> bool:
    """Whether the sets in ``out_dir`` were made from a split of ours, whose file must be there."""
    return (Path(out_dir) / f"train_{corpus}" / SPLIT_COPY).exists()


def _conclude(out: Path, corpus: str, sets: Mapping, cap: float) -> None:
    """Count the drops of all sets together against the cap; the list stays only if it is broken."""
    total = DropLedger()
    total.drops = [drop for _, ledger in sets.values() for drop in ledger.drops]
    sizes = Counter(utt.lang for utterances, _ in sets.values() for utt in utterances)
    dropped = out / f"dropped_{corpus}.tsv"
    total.conclude(sizes + Counter(d.lang for d in total.drops), dropped, f"corpus {corpus}", cap)
    dropped.unlink()


def _write_directory(path: Path, utterances: Sequence[Utterance], lid: bool, corpus: str) -> None:
    """The tables of one set; ``corpus`` names the utterances that name none themselves."""
    utts = {u.utt_id: u for u in utterances}
    utt2spk = {u.utt_id: u.speaker for u in utterances}
    tables = {
        "text": {i: add_tag(u.lang, u.text) if lid else u.text for i, u in utts.items()},
        "utt2spk": utt2spk,
        "spk2utt": spk2utt(utt2spk),
        "utt2lang": {i: u.lang for i, u in utts.items()},
        "utt2category": {i: u.category or u.lang for i, u in utts.items()},
        "utt2corpus": {i: one_word(u.corpus) or one_word(corpus) for i, u in utts.items()},
        "utt2dur": {i: f"{u.duration:.3f}" for i, u in utts.items()},
        **_recordings(utts),
    }
    for name, table in tables.items():
        write_table(path / name, table)


def _recordings(utts: Mapping[str, Utterance]) -> dict[str, dict[str, str]]:
    """``wav.scp`` by utterance; with cut recordings, ``wav.scp`` by recording and ``segments``."""
    here = os.path.join(os.getcwd(), "")  # a path below it is written relative to it
    paths = {i: os.path.abspath(u.audio).removeprefix(here) for i, u in utts.items()}
    if all(u.start is None and u.end is None for u in utts.values()):
        return {"wav.scp": paths}
    names = {path: f"rec-{n:07d}" for n, path in enumerate(sorted(set(paths.values())), 1)}
    segments = {}
    for i, u in utts.items():
        start = u.start or 0.0
        segments[i] = f"{names[paths[i]]} {start:.3f} {start + (u.duration or 0.0):.3f}"
    return {"wav.scp": {name: path for path, name in names.items()}, "segments": segments}


def write_left_out(ledger: DropLedger, path: str | os.PathLike) -> None:
    """List what a corpus's own selection rules leave out (not damage, so no cap applies)."""
    ledger.write(path)
    for (lang, reason), count in sorted(Counter((d.lang, d.reason) for d in ledger.drops).items()):
        logging.info("%s: left out %d %s: %s", path, count, lang, reason)
