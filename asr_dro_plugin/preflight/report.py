"""What ``preflight`` found, judged and written: what cannot work, what is odd, and the table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

import numpy as np

from asr_dro_plugin.base.files import write_json, write_text
from asr_dro_plugin.base.text_table import aligned
from asr_dro_plugin.data import feature_store
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.groups import GroupMap
from asr_dro_plugin.preflight.first_epoch import PlannedBatches, batch_facts, longest_batch
from asr_dro_plugin.preflight.measure import EXAMPLES, Facts, Few, Ruler, SetFacts
from asr_dro_plugin.stack.extraction import frontend_frames
from asr_dro_plugin.stack.table import describe_frame_shift
from asr_dro_plugin.text.casing import case_remedy
from asr_dro_plugin.text.characters import code_point, name_of
from asr_dro_plugin.text.tokens import read_symbols

MAX_UNKNOWN = 0.1  # share of a language's characters that the token list may lack
FEW = 10  # utterances of a language
CHARACTERS = (
    "characters: of the text as it is tokenised, without tags and spaces (a score counts those of "
    "the normalised reference, single spaces included)"
)
HEADER = ("set", "lang", "utts", "hours", "characters", "tokens", "median s", "longest s",
          "unalignable", "unknown", "unseen")  # fmt: skip


def problems(sets: Sequence[SetFacts], ruler: Ruler, max_drop: float) -> Iterator[str]:
    """What cannot work, a line each: fact, where, remedy.

    Args:
        sets: training, validation and test sets; the first is the training set.
        ruler: what they were measured by.
        max_drop: largest share of a language that may be unalignable.
    """
    train = sets[0]
    for found in sets:
        for lang, facts in found.languages.items():
            where = f"{found.name}: {lang}"
            if found.role == "valid" and lang not in train.languages:
                yield (
                    f"{where} is no language of {train.name} ({' '.join(train.languages)}). "
                    "Validate on the languages you train on."
                )
            if found.role != "test":
                yield from _unknown(where, facts, ruler)
                yield from _unalignable(where, facts, ruler, max_drop)
                yield from _beyond(where, facts, ruler, max_drop)


def refuse_other_lengths(sets: Sequence[SetFacts], features_dir: Path, config: Mapping) -> None:
    """Hold the features that training will read against the frames that the plan counts with.

    Args:
        sets: those that training reads.
        features_dir: has a folder of features for each, by name.
        config: whose frontend they are of.

    Raises:
        UserError: a folder that is not whole, that lacks an utterance, or has other frames of one.
    """
    for found in sets:
        samples, folder = found.usable, features_dir / found.name
        frames = feature_store.frames_of(folder, samples)
        wanted = frontend_frames(config, np.array(list(samples.values())))
        for utt_id, number in zip(samples, [] if wanted is None else wanted.tolist(), strict=False):
            if frames[utt_id] != number:
                raise UserError(
                    f"{folder} has {frames[utt_id]} frames of {utt_id}, and the frontend makes "
                    f"{number} of its audio. {feature_store.AGAIN}"
                )


def continuation_problems(
    where: str, tokens: Sequence[str], init_exp: str | None, extend: bool
) -> Iterator[str]:
    """Whether the tokens (of the file ``where``) are those of the model that is continued."""
    if not init_exp:
        return
    path = Path(init_exp)
    old_list = (path.parent if path.is_file() else path) / "tokens.txt"
    if not old_list.is_file():
        return  # an experiment of ESPnet's own; training compares it with its config.yaml
    old = read_symbols(old_list)
    lost, new = set(old) - set(tokens), set(tokens) - set(old)
    if lost:
        yield (
            f"{where} lacks {len(lost)} tokens of {old_list} (first: {min(lost)}), so the "
            "head of the old model does not fit. Make the list with --init_exp (stage 5)."
        )
    elif new and not extend:
        yield (
            f"{where} has {len(new)} tokens that {old_list} lacks (first: {min(new)}). "
            "Give --extend_groups true if that is meant."
        )


def _unalignable(where: str, facts: Facts, ruler: Ruler, max_drop: float) -> Iterator[str]:
    few = facts.unalignable
    if _lacks_much(facts):
        return  # <unk> beside <unk> needs a blank between: the list is at fault, not the frames
    if few.count > max_drop * facts.num_utts or few.count == facts.num_utts:
        shift = f"{1000 * ruler.frames.frame_shift:g} ms per frame ({ruler.frames.blame})"
        is_part = few.count < facts.num_utts
        mend = "mend their texts, or raise --max_drop" if is_part else "or mend their texts"
        yield (
            f"{where}: {few.count} of {facts.num_utts} utterances have fewer frames than CTC needs "
            f"for their text at {shift}{_first(few)}. Choose a stack with a smaller frame shift, "
            f"{mend}."
        )


def _beyond(where: str, facts: Facts, ruler: Ruler, max_drop: float) -> Iterator[str]:
    """More than the stack's encoder or decoder can take; a few of them stage 10 leaves out."""
    limits, most = ruler.limits, max_drop * facts.num_utts
    if facts.too_long.count > most:
        yield (
            f"{where}: {facts.too_long.count} utterances are longer than the "
            f"{limits.max_seconds:g} s that {limits.whose} hears{_first(facts.too_long)}. Cut them "
            f"(asr-dro segment), or run stage 4 with --max_wav_duration {limits.max_seconds:g}."
        )
    if facts.too_many_labels.count > most:
        yield (
            f"{where}: {facts.too_many_labels.count} texts have more than the {limits.max_labels} "
            f"tokens that {limits.whose}'s decoder writes{_first(facts.too_many_labels)}. "
            "Cut them (asr-dro segment), or take them out."
        )


def _unknown(where: str, facts: Facts, ruler: Ruler) -> Iterator[str]:
    """A list of tokens that is for another language, or in another case."""
    if not _lacks_much(facts):
        return
    count = sum(facts.unknown.values())
    remedy = case_remedy(ruler.tokens, facts.unknown)
    yield (
        f"{where}: the token list spells {facts.num_chars - count:,} of its {facts.num_chars:,} "
        f"characters; it lacks {_characters(facts.unknown)}. "
        + (remedy or "Make the list from this text (stage 5), or normalise the text (--text_norm).")
    )


def _lacks_much(facts: Facts) -> bool:
    return sum(facts.unknown.values()) > MAX_UNKNOWN * facts.num_chars


def warnings(sets: Sequence[SetFacts], ruler: Ruler) -> Iterator[str]:
    """What works but is odd, a line each."""
    train = sets[0]
    for found in sets:
        if found.role != "train" and (both := sorted(set(found.usable) & set(train.usable))):
            yield f"{len(both)} utterances of {found.name} are in {train.name} too: {both[0]} ..."
        for lang, facts in found.languages.items():
            where, is_trained = f"{found.name}: {lang}", lang in train.languages
            yield from _oddities(where, found.role, facts, is_trained)
    watched = {lang for found in sets if found.role == "valid" for lang in found.languages}
    if lacking := sorted(set(train.languages) - watched):
        yield f"no validation utterance is of {' '.join(lacking)}: their error is not watched."


def _oddities(where: str, role: str, facts: Facts, is_trained: bool) -> Iterator[str]:
    if role == "test" and not is_trained:
        yield f"{where} is not trained on: expect its error to be high."
    if role == "train" and facts.num_utts < FEW:
        yield f"{where} has {facts.num_utts} utterances only."
    if facts.unalignable.count:
        left = "count against the score" if role == "test" else "are left out"
        yield (
            f"{where}: {facts.unalignable.count} utterances have too few frames for their text and "
            f"{left}{_first(facts.unalignable)}."
        )
    if facts.too_long.count:
        what = "decoded in pieces" if role == "test" else "too long and left out"
        yield f"{where}: {facts.too_long.count} utterances are {what}{_first(facts.too_long)}."
    if role != "test" and facts.too_many_labels.count:
        few = facts.too_many_labels
        yield f"{where}: {few.count} texts have too many tokens and are left out{_first(few)}."
    if facts.empty.count and role != "test":
        yield f"{where}: {facts.empty.count} texts are empty{_first(facts.empty)}."
    is_refused = role != "test" and _lacks_much(facts)
    if facts.unknown and facts.unknown != facts.unseen and not is_refused:
        yield f"{where}: the token list lacks {_characters(facts.unknown)}."
    if facts.unseen:
        yield f"{where}: the training text lacks {_characters(facts.unseen)}."


def _first(few: Few) -> str:
    return f" (first: {' '.join(few.first)})"


def _characters(counts: Mapping[str, int]) -> str:
    """``12 characters: 'q' U+0071 LATIN SMALL LETTER Q 7 times, ...``, the most frequent first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    some = ", ".join(
        f"'{char}' {code_point(char)} {name_of(char)} {count} times"
        for char, count in ranked[:EXAMPLES]
    )
    more = f" and {len(ranked) - EXAMPLES} more" if len(ranked) > EXAMPLES else ""
    return f"{len(ranked)} characters: {some}{more}"


def table(sets: Sequence[SetFacts]) -> list[str]:
    """One row a language of a set, and one of each set in all."""
    rows, rules = [HEADER], []
    for found in sets:
        rules.append(len(rows))
        rows += [_row(found.name, lang, [facts]) for lang, facts in found.languages.items()]
        if len(found.languages) > 1:
            rows.append(_row(found.name, "all", list(found.languages.values())))
    return aligned(rows, rules, num_left=2)


def _row(name: str, lang: str, parts: Sequence[Facts]) -> tuple[str, ...]:
    seconds = [length for facts in parts for length in facts.seconds]
    chars = sum(facts.num_chars for facts in parts)
    unknown, unseen = (
        sum(sum(getattr(facts, kind).values()) for facts in parts) for kind in ("unknown", "unseen")
    )
    return (
        name, lang, f"{len(seconds):,}", f"{sum(seconds) / 3600:.2f}",
        f"{chars:,}", f"{sum(facts.num_tokens for facts in parts):,}", f"{median(seconds):.1f}",
        f"{max(seconds):.1f}", f"{sum(facts.unalignable.count for facts in parts):,}",
        f"{unknown:,}", f"{unseen:,}",
    )  # fmt: skip


def conclusion(
    where: str,
    config: Mapping,
    sets: Sequence[SetFacts],
    ruler: Ruler,
    notes: Sequence[str],
    refused: Sequence[str],
) -> tuple[list[str], dict]:
    """All that was found as lines, and for programs."""
    longest = _longest_batch(config, ruler, sets[0])
    batches = batch_facts(longest, config, where) if longest else {}
    lines = [
        f"Preflight of {where}", "", *table(sets), "", CHARACTERS,
        f"frame shift: {describe_frame_shift(ruler.frames)}",
        *(f"{what}: {words}" for what, words in batches.items()),
        *(f"WARNING: {note}" for note in notes), *(f"ERROR: {line}" for line in refused),
    ]  # fmt: skip
    return lines, {
        "config": where, "frame_shift": ruler.frames.frame_shift, "tokens": len(ruler.tokens),
        "exact": ruler.frames.exact, "sets": [found.as_dict() for found in sets],
        "longest_batch": longest and asdict(longest), "warnings": list(notes),
        "errors": list(refused),
    }  # fmt: skip


def _longest_batch(config: Mapping, ruler: Ruler, train: SetFacts) -> PlannedBatches | None:
    if not train.usable:
        return None
    categories = train.data.tables["utt2category"]
    groups = GroupMap(categories[utt_id] for utt_id in train.usable)
    ids = [groups.id_of(categories[utt_id]) for utt_id in train.usable]
    samples = list(train.usable.values())
    return longest_batch(config, ruler.frames, list(train.usable), samples, ids)


def write(folder: Path, lines: Sequence[str], found: Mapping) -> None:
    """``preflight.txt`` and ``preflight.json``."""
    write_text(folder / "preflight.txt", "".join(f"{line}\n" for line in lines))
    write_json(folder / "preflight.json", found)
