"""``dataclass.json``: the card that ml4audio's service keeps beside a model, read as data.

A card names Python classes (``_target_``, ``_python_dataclass_``), and the system that wrote it
imports and calls them.  Here they are text: nothing is imported.  A card that names what no such
card names is refused, for it was written to be run.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from asr_dro_plugin.errors import UserError, in_one_line

NAME = "dataclass.json"
TYPES = ("_target_", "_python_dataclass_", "_cls_")
PACKAGES = ("ml4audio", "ml4audio_v2", "misc_utils", "huggingface_wav2vec2_finetuning")
MAX_BYTES = 2**24
# What is worth keeping of a card, by its keys; the first value of each.
KEPT = (
    "name", "text_normalizer", "casing", "do_normalize_audio", "new_vocab", "learning_rate",
    "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps", "chunk_length_s",
    "stride_length_s", "input_sample_rate", "resample_type", "lm_weight", "alpha", "beta",
    "beam_width",
)  # fmt: skip


def read_cards(folder: Path) -> dict:
    """What the cards beside a model say: its own folder's and those of the folders above it.

    Raises:
        UserError: a card that names an unknown type, or is no JSON.
    """
    facts: dict = {}
    for place in (folder, *folder.absolute().parents[:1]):
        if (place / NAME).is_file():
            facts = {**read_card(place / NAME), **facts}
    return facts


def read_card(path: Path) -> dict:
    """The kept values of one card."""
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path} is too large for a card. Take it away: the model needs none.")
    try:
        card = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        reason = in_one_line(error, 100)
        fact = f"{path} is no JSON ({reason})"
        raise UserError(f"{fact}. Take it away: the model needs none.") from None
    facts: dict = {}
    for key, value in _entries(card):
        if key in TYPES and str(value).split(".")[0] not in PACKAGES:
            raise UserError(
                f"{path} names the unknown type {str(value)[:80]!r}. Nothing was imported or run. "
                "Take the card away if you trust the model: it needs none."
            )
        if isinstance(value, Mapping):  # an enum is an object with its value
            value = value.get("value")
        if key in KEPT and not isinstance(value, Mapping | list | None):
            facts.setdefault(key, value)
    return facts


def _entries(node: object) -> Iterator[tuple[str, object]]:
    """Every key and value of a tree, outer ones first."""
    nodes = [node]
    while nodes:
        node = nodes.pop(0)
        if isinstance(node, Mapping):
            yield from node.items()
            nodes += node.values()
        elif isinstance(node, list):
            nodes += node
