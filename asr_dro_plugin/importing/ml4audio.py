"""``--from ml4audio``: the model directory that ml4audio's service was given.

::

    AM_MODELS/<any>/{dataclass.json, model/…}     a Hugging Face folder
    LM_MODELS/<any>/{dataclass.json, lm.arpa.gz, unigrams.txt.gz}
    ASR_INFERENCE/<any>/dataclass.json            which of them, and how is decoded

Names of folders and classes decide nothing: a model is what has weights, a language model what has
an ARPA file or KenLM's binary, and what says how to decode is a card with a ``logits_inferencer``.
Cards are data (``cards``).  The result is an experiment with ``lm/`` and ``decode.yaml`` in it.
"""

import gzip
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from asr_dro_plugin.base.files import write_json, write_text
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import DECODE, LM
from asr_dro_plugin.importing import hf
from asr_dro_plugin.importing.cards import NAME, Suffix, entries, facts_of, read_card
from asr_dro_plugin.importing.found import Found, Wish
from asr_dro_plugin.lm.files import (
    ARPAS,
    JOINT,
    SPECIAL,
    arpa_words,
    characters_of,
    read_arpa_header,
    read_unigrams,
)
from asr_dro_plugin.packing.content import KENLM
from asr_dro_plugin.pretrained.hf_folders import weight_files

INFERENCE = "logits_inferencer"  # what a card of inference has and no other
MAX_DEPTH = 4  # folders between the one that is given and a file
MAX_FILES = 20_000
MAX_NAMED = 8
MAX_UNIGRAMS = 2**30  # bytes, unpacked
UNIGRAMS = ("unigrams.txt.gz", "unigrams.txt")
# pyctcdecode's own values, which the service does not change and its cards need not say.
ALPHA, BETA, BEAM_SIZE, PRUNED, UNKNOWN = 0.5, 1.5, 100, 10.0, -10.0


@dataclass(frozen=True)
class Directory:
    """What lies in a model directory.

    Attributes:
        root: the folder.
        models: folders with weights.
        lms: files with a language model, one a folder.
        cards: folders whose card says how to decode.
    """

    root: Path
    models: list[Path]
    lms: list[Path]
    cards: list[Path]


def read(wish: Wish) -> Found:
    """The acoustic model of a directory, its language model and how it is decoded.

    Raises:
        UserError: several models and no card that chooses, several ways to decode, a card that
            names an unknown type, or what ``hf.read`` refuses.
    """
    place = _directory(wish.path)
    card = read_card(card_file / NAME) if (card_file := _card(place, wish.path)) else {}
    model = _chosen(place.models, card, place.root, "models")
    found = hf.read(replace(wish, path=model))
    own = [read_card(each / NAME) for each in (model, model.parent) if (each / NAME).is_file()]
    facts = facts_of([tree for tree in (card, *own) if tree])
    lm = None
    if place.lms and (not card or _has_lm(facts)):
        lm = _chosen(place.lms, card, place.root, "language models")
    extra, notes = dict(found.extra), []
    if lm is not None:
        extra, notes = _language_model(lm, wish.work, _letters(found.tokens or ()))
    if lm is None and _has_lm(facts):
        notes.append("Its card speaks of a language model, which is not there: it is left out")
    elif lm is None and place.lms:
        notes.append("Its card decodes without a language model: the one that is there is left out")
    decoding = _decoding(facts, lm is not None)
    write_text(wish.work / DECODE, _as_yaml(decoding))
    extra[DECODE] = wish.work / DECODE
    return replace(
        found, extra=extra,
        facts={**found.facts, "card": facts, "notes": [*found.facts.get("notes", ()), *notes]},
    )  # fmt: skip


def weights(path: Path) -> list[Path]:
    """The files of weights of the model that would be read, for ``--sha256``."""
    place = _directory(path)
    card_file = _card(place, path)
    card = read_card(card_file / NAME) if card_file else {}
    return weight_files(_chosen(place.models, card, place.root, "models"))


def _directory(path: Path) -> Directory:
    """What lies below a folder; for a card of inference, what lies below the directory around."""
    if not path.is_dir():
        raise UserError(f"{path} is a file. Give the folder with AM_MODELS and ASR_INFERENCE.")
    path = path.absolute()
    is_card = (path / NAME).is_file() and INFERENCE in read_card(path / NAME)
    for root in (path, *(path.parents[:2] if is_card else ())):
        files = list(_files_below(root, MAX_DEPTH))
        folders = sorted({file.parent for file in files})
        models = [each for each in folders if hf.has_weights(each)]
        if models:
            lms = {f.parent: f for f in sorted(files, reverse=True) if _is_lm(f)}
            cards = [each.parent for each in files if each.name == NAME and each.parent != root]
            cards = [each for each in sorted(cards) if INFERENCE in read_card(each / NAME)]
            return Directory(root, models, [lms[key] for key in sorted(lms)], cards)
    raise UserError(
        f"{path} holds no model (model.safetensors or pytorch_model.bin). Give the folder with "
        "AM_MODELS and ASR_INFERENCE."
    )


def _files_below(root: Path, depth: int) -> Iterator[Path]:
    """Files of a folder and those in it, without following links to folders."""
    folders, number = [(root, 0)], 0
    while folders:
        folder, level = folders.pop()
        for each in sorted(folder.iterdir()):
            number += 1
            if number > MAX_FILES:
                raise UserError(f"{root} has more than {MAX_FILES} files. Give the model's folder.")
            if each.is_dir() and not each.is_symlink() and level < depth:
                folders.append((each, level + 1))
            elif each.is_file():
                yield each


def _is_lm(path: Path) -> bool:
    if path.name.endswith(ARPAS):
        return True
    with open(path, "rb") as stream:
        return stream.read(len(KENLM)) == KENLM


def _card(place: Directory, given: Path) -> Path | None:
    """The folder of the card that says how to decode: the one given, or the only one."""
    if given.absolute() in place.cards:
        return given.absolute()
    if (given / NAME).is_file() and INFERENCE in read_card(given / NAME):
        return given.absolute()
    if len(place.cards) > 1:
        raise UserError(
            f"{place.root} can decode in {len(place.cards)} ways "
            f"({_names(place.cards, place.root)}). Give the folder of one instead: asr-dro import "
            f"--from ml4audio {place.cards[0]}"
        )
    return place.cards[0] if place.cards else None


def _chosen(found: Sequence[Path], card: Mapping, root: Path, what: str) -> Path:
    """The only one there is, else the one whose path or name the card says."""
    if len(found) == 1:
        return found[0]
    places = [value.strip("/") for _, value in entries(card) if isinstance(value, Suffix)]
    named = [each for each in found if any(_ends(each, place) for place in places)]
    if not named:
        names = {v for key, v in entries(card) if key == "name" and isinstance(v, str) and v}
        named = [f for f in found if any(f"-{name}-" in str(f.relative_to(root)) for name in names)]
    if len(named) == 1:
        return named[0]
    raise UserError(
        f"{root} holds {len(found)} {what} ({_names(found, root)}), and no card says which one is "
        "meant. Take the others away, or give its folder."
    )


def _ends(path: Path, place: str) -> bool:
    """Whether a path of a card leads to a folder, or to one around or in it."""
    parts = tuple(part for part in place.split("/") if part)
    own = path.parts
    return bool(parts) and any(
        own[at : at + len(parts)] == parts for at in range(len(own) - len(parts) + 1)
    )


def _names(found: Sequence[Path], root: Path) -> str:
    names = [str(each.relative_to(root)) for each in found[:MAX_NAMED]]
    return ", ".join([*names, *(["..."] if len(found) > MAX_NAMED else [])])


def _has_lm(facts: Mapping[str, Any]) -> bool:
    return "lm_weight" in facts or "alpha" in facts


def _language_model(
    model: Path, work: Path, letters: set[str]
) -> tuple[dict[str, Path], list[str]]:
    """Name in the experiment -> file of the language model, and what is to be said of it.

    ``letters`` are those of the acoustic model's tokens; empty where it has none of its own.
    """
    words, notes = _listed(model.parent, work), []
    made = {"lm.bin": model}
    if model.name.endswith(ARPAS):
        words, notes = _known(model, words)
        about = {
            "name": JOINT, "order": len(read_arpa_header(model)), "unit": "word",
            "text_norm": "none", "characters": characters_of(set(words)),
        }  # fmt: skip
        write_json(work / "lm.json", about)
        name = "lm.arpa.gz" if model.suffix == ".gz" else "lm.arpa"
        made = {name: model, "lm.json": work / "lm.json"}
    elif words is None:
        raise UserError(f"{model} is binary, and beside it is no {UNIGRAMS[0]}. Put it there.")
    if letters and not letters.intersection(characters_of(set(words))):
        raise UserError(
            f"{model} has no letter of the acoustic model's tokens (upper, lower case?). Give the "
            f"one that belongs to them, or take {model.parent} away to import without."
        )
    write_text(work / "unigrams.txt", "".join(f"{word}\n" for word in words))
    made["unigrams.txt"] = work / "unigrams.txt"
    return {f"{LM}/{JOINT}/{name}": file for name, file in made.items()}, notes


def _letters(tokens: Sequence[str]) -> set[str]:
    """Characters of tokens, without those of the names of special ones, ``<unk>``."""
    return set("".join(token for token in tokens if not (token[:1] == "<" and token[1:])))


def _known(model: Path, listed: list[str] | None) -> tuple[list[str], list[str]]:
    """The words that an ARPA file has and the list beside it, as pyctcdecode takes them; notes."""
    scored = set(arpa_words(model)) - set(SPECIAL)
    known = sorted(scored) if listed is None else [word for word in listed if word in scored]
    if not known:
        raise UserError(
            f"{model} scores none of the words that are listed beside it (case?). Put the list "
            f"there that belongs to it, or take {model.parent} away to import without."
        )
    left = len(listed or known) - len(known)
    return known, [f"{left} of {len(listed)} listed words are not in {model.name}"] if left else []


def _listed(folder: Path, work: Path) -> list[str] | None:
    """The words that lie beside a language model, each once; None where there is no list."""
    path = next((folder / name for name in UNIGRAMS if (folder / name).is_file()), None)
    if path is None:
        return None
    plain = path
    if path.suffix == ".gz":
        plain = work / "listed.txt"
        _unpack(path, plain)
    return list(dict.fromkeys(read_unigrams(plain)))


def _unpack(path: Path, plain: Path) -> None:
    """Unpack a list of words, which ends in an error where it holds more than any."""
    try:
        with gzip.open(path) as packed, open(plain, "wb") as stream:
            while piece := packed.read(2**20):
                if stream.write(piece) and stream.tell() > MAX_UNIGRAMS:
                    raise UserError(f"{path} unpacks to over {MAX_UNIGRAMS} bytes. Copy it again.")
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is no whole gzip file ({error}). Copy it again.") from None


def _decoding(facts: Mapping[str, Any], has_lm: bool) -> dict[str, Any]:
    """The settings of ``decode.yaml`` that a card's are.

    pyctcdecode multiplies base-10 logarithms by ln 10, and an unknown word's offset by alpha too.

    Raises:
        UserError: settings that no decoding has.
    """
    made: dict[str, Any] = {"mode": "lm" if has_lm else "greedy"}
    if has_lm:
        alpha = facts.get("lm_weight", facts.get("alpha", ALPHA))
        made |= {
            "lm_weight": alpha, "word_score": facts.get("beta", BETA),
            "beam_size": facts.get("beam_size", facts.get("beam_width", BEAM_SIZE)),
            "beam_threshold": PRUNED, "nbest": facts.get("num_best", 1), "lexicon": False,
        }  # fmt: skip
        if isinstance(alpha, int | float):
            made["unk_score"] = round(alpha * UNKNOWN * math.log(10), 4)
    if facts.get("chunk_length_s") is not None:
        made["chunk_length"] = facts["chunk_length_s"]
        if facts.get("stride_length_s") is not None:
            made["stride"] = facts["stride_length_s"]
    read_decode_config(made, f"the settings of {NAME}")
    return made


def _as_yaml(decoding: Mapping[str, Any]) -> str:
    head = "# As ml4audio's service decoded: pyctcdecode's search in our terms.\n"
    return head + yaml.safe_dump(dict(decoding), sort_keys=False)
