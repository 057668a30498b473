"""``dataclass.json``: the card that ml4audio's service keeps beside a model, read as data.

A card is a tree of Python's dataclasses in one of two dialects: ``_target_`` (or ``_cls_``) with an
``_id_``, whose classes the system that wrote it imports and calls, and ``_python_dataclass_``, for
readers alone.  Here both are text: nothing is imported, and no ``_id_`` is followed.  A card that
names what no such card names is refused, for it was written to be run.
"""

import json
import math
import re
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any, NoReturn

from asr_dro_plugin.errors import UserError, in_one_line

NAME = "dataclass.json"
TYPES = ("_target_", "_python_dataclass_", "_cls_")
IDENTITY = "_id_"
# Packages whose dataclasses such cards hold; the service was split into some over the years.
PACKAGES = (
    "ml4audio", "ml4audio_v2", "misc_utils", "misc_python_utils", "buildable_dataclasses",
    "nested_dataclass_serialization", "huggingface_wav2vec2_finetuning", "ctc_decoding",
    "ctc_asr_chunked_inference", "nemo_vad",
)  # fmt: skip
# A class by its full name.  A function is none: misc_utils has one that runs a line of shell.
CLASS = re.compile(rf"({'|'.join(PACKAGES)})(\.[A-Za-z_][A-Za-z0-9_]*)*\._?[A-Z][A-Za-z0-9_]*")
UNSET = "_UNDEFINED"
MAX_BYTES = 2**24
MAX_DEPTH = 200  # of a tree; those of the service are some 20 deep
MAX_WORDS = 200  # characters of a value that is kept
# What is worth keeping of a card, by its keys; the outermost value of each.
KEPT = (
    "name", "text_normalizer", "casing", "do_normalize_audio", "new_vocab", "learning_rate",
    "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps", "chunk_length_s",
    "stride_length_s", "input_sample_rate", "resample_type", "lm_weight", "alpha", "beta",
    "beam_width", "beam_size", "num_best",
)  # fmt: skip
# A part of a mix of corpora has these; corpora under a key that begins so are for evaluation.
OF_A_PART = {"data", "factor", "min_hours"}
EVALUATION = ("eval", "edp")
STATISTICS = "audio_lens_stats"  # of all that training was given, repeats included


def read_cards(folder: Path) -> dict:
    """What the cards beside a model say: its own folder's and that of the folder above it.

    Raises:
        UserError: a card that names an unknown type, or is no JSON.
    """
    places = (folder, *folder.absolute().parents[:1])
    return facts_of([read_card(each / NAME) for each in places if (each / NAME).is_file()])


def read_card(path: Path) -> dict:
    """The tree of one card: an enum is its value, what is unset None, a path ``Suffix``."""
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path} is too large for a card. Take it away: the model needs none.")
    try:
        card = json.loads(
            path.read_text("utf-8-sig"), parse_constant=_no_number, object_pairs_hook=_once
        )
        _check_types(card, path)
        tree = _plain(card)
    except (ValueError, RecursionError) as error:
        fact = f"{path} is no JSON ({in_one_line(error, 100)})"
        raise UserError(f"{fact}. Take it away: the model needs none.") from None
    return tree if isinstance(tree, dict) else {}


class Suffix(str):
    """A path of a card without what it began with on the machine that wrote it."""


def facts_of(trees: list[dict]) -> dict[str, Any]:
    """What is worth keeping of cards, the first of which says more than the others.

    ``corpora`` has a row for each part of the mix that was trained on: name, hours there were,
    hours of it in the mix, factor and least hours that made them; ``hours_seen`` is what training
    was given in all.  A card may have neither.
    """
    facts: dict[str, Any] = {}
    for tree in trees:
        for key, value in entries(tree):
            if key in KEPT and _is_plain(value):
                said = in_one_line(value, MAX_WORDS) if isinstance(value, str) else value
                facts.setdefault(key, said)
    corpora = [row for tree in trees for row in _corpora(tree)]
    if corpora:
        facts["corpora"] = _without_repeats(corpora)
    if hours := [found for tree in trees if (found := _hours_seen(tree))]:
        facts["hours_seen"] = hours[0]
    return facts


def entries(node: object) -> Iterator[tuple[str, Any]]:
    """Every key and value of a tree, outer ones first."""
    nodes = deque([node])
    while nodes:
        node = nodes.popleft()
        if isinstance(node, Mapping):
            yield from node.items()
            nodes += node.values()
        elif isinstance(node, list):
            nodes += node


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"it has {word}, which is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it says {twice[:40]!r} twice in one place")
    return made


def _check_types(card: object, path: Path) -> None:
    for key, value in entries(card):
        if key in TYPES and not (isinstance(value, str) and CLASS.fullmatch(value)):
            raise UserError(
                f"{path} names the unknown type {str(value)[:80]!r}. Nothing was imported or run. "
                "Take the card away if you trust the model: it needs none."
            )


def _plain(node: Any, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        raise RecursionError("it is nested too deeply")
    if isinstance(node, list):
        return [_plain(each, depth + 1) for each in node]
    if not isinstance(node, Mapping):
        return node
    if any(str(node.get(key, "")).endswith(f".{UNSET}") for key in TYPES):
        return None
    inner = {
        key: _plain(value, depth + 1)
        for key, value in node.items()
        if key not in TYPES and key != IDENTITY
    }
    if isinstance(inner.get("suffix"), str) and "prefix_key" in inner:
        above = f"{inner['prefix']}/" if isinstance(inner.get("prefix"), Suffix) else ""
        return Suffix(above + inner["suffix"])
    return inner["value"] if inner.keys() == {"value"} else inner


def _is_plain(value: object) -> bool:
    """Whether a value is a word, a number, or a pair of numbers as a stride may be."""
    if isinstance(value, list):
        return len(value) == 2 and all(_number(each) is not None for each in value)
    return isinstance(value, str | int | float) and not isinstance(value, Suffix)


def _corpora(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, list):
        for each in node:
            yield from _corpora(each)
    if not isinstance(node, dict):
        return
    if node.keys() >= OF_A_PART:
        yield {
            "name": _name_of(node["data"]), "hours": _first(node["data"], "duration_in_hours"),
            "hours_in_mix": _number(node.get("proportion")), "factor": _number(node["factor"]),
            "min_hours": _number(node["min_hours"]),
        }  # fmt: skip
        return
    for key, value in node.items():
        if not key.startswith(EVALUATION):
            yield from _corpora(value)


def _name_of(data: Any) -> str:
    """What a corpus is called: by its own name, else by the file it was read from."""
    for wanted in ("name", "hf_dataset_name"):
        if name := next((v for k, v in entries(data) if k == wanted and isinstance(v, str)), ""):
            return in_one_line(name, MAX_WORDS)
    files = [v for k, v in entries(data) if k == "targz_file" and isinstance(v, str)]
    split = [v for k, v in entries(data) if k in ("split", "split_name") and isinstance(v, str)]
    # The file's name alone: where it lay is no business of the card's readers.
    names = [PureWindowsPath(file).name.removesuffix(".tar.gz") for file in files[:1]]
    return in_one_line(" ".join([*names, *split[:1]]) or "unnamed", MAX_WORDS)


def _first(node: Any, key: str) -> float | None:
    return next((_number(value) for name, value in entries(node) if name == key), None)


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and abs(value) < math.inf else None


def _without_repeats(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a name, the one that says most: a card holds the same mix before and after."""
    best: dict[str, dict[str, Any]] = {}
    for row in rows:
        said = sum(value is not None for value in row.values())
        before = best.get(row["name"])
        if before is None or said > sum(value is not None for value in before.values()):
            best[row["name"]] = row
    return list(best.values())


def _hours_seen(tree: dict) -> float | None:
    """Utterances times their mean length, of the statistics that training's data producer left."""
    for key, value in entries(tree):
        rows = value.values() if key == STATISTICS and isinstance(value, dict) else ()
        for row in rows:
            count, mean = (_first(row, name) for name in ("count", "mean"))
            if count and mean and math.isfinite(count * mean):
                return round(count * mean / 3600, 3)
    return None
