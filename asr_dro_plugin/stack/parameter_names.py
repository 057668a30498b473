"""Which parameters an entry of ``freeze_param`` means.

An entry is a prefix at a dot, as in ESPnet (``encoder.encoders.0``), or a pattern of the shell
(``encoder.*.layers.[0-5]``); both take what lies below the name that they match.
"""

import fnmatch
import re
from collections.abc import Iterable, Mapping

from asr_dro_plugin.errors import suggestion

# The convolutions of wav2vec 2.0, HuBERT and their like, whichever slot holds the model, and of
# Whisper.
CNN_ENTRIES = (
    "frontend.*feature_extractor", "encoder.*feature_extractor", "encoder.net.conv[12]",
    "frontend.net.model.conv[12]",
)  # fmt: skip


def is_pattern(entry: str) -> bool:
    """Whether an entry has a shell's wildcards."""
    return re.search(r"[*?\[]", entry) is not None


def matches(name: str, entry: str) -> bool:
    """Whether the parameter ``name`` is meant by an entry."""
    if is_pattern(entry):
        return fnmatch.fnmatchcase(name, entry) or fnmatch.fnmatchcase(name, f"{entry}.*")
    return name == entry or name.startswith(f"{entry}.")


def parts(names: Iterable[str]) -> list[str]:
    """Every name and every prefix of one at a dot: what an entry may be."""
    found = {
        ".".join(words[:end])
        for words in (name.split(".") for name in names)
        for end in range(1, len(words) + 1)
    }
    return sorted(found)


def nothing_matches(entry: str, names: Iterable[str]) -> str:
    """The refusal of an entry that means no parameter: it would freeze nothing in silence."""
    return f"freeze_param '{entry}' matches no parameter.{suggestion(entry, parts(names))}"


def gradient_mult(config: Mapping) -> float | None:
    """``feature_grad_mult`` of a configuration; None where the checkpoint decides."""
    mult = config.get("feature_grad_mult")
    return None if mult is None or str(mult).lower() == "none" else float(mult)


def freezes_cnn(config: Mapping) -> bool:
    """Whether a configuration keeps the convolutions of its pretrained model as they are."""
    return is_true(config.get("freeze_cnn", False)) or gradient_mult(config) == 0


def frozen_updates(config: Mapping) -> int:
    """Updates for which the pretrained model is kept still; ESPnet's own key means the same."""
    return int(config.get("freeze_finetune_updates") or espnets_frozen_updates(config))


def espnets_frozen_updates(config: Mapping) -> int:
    """``encoder_conf.freeze_finetune_updates`` of the encoder ``wav2vec2``."""
    if str(config.get("encoder")).lower() != "wav2vec2":
        return 0
    return int((config.get("encoder_conf") or {}).get("freeze_finetune_updates") or 0)


def is_true(value: object) -> bool:
    """Whether a YAML's or a command line's value is yes, as ESPnet reads it."""
    return str(value).lower() in ("true", "yes", "y", "t", "on", "1")
