"""What a stack needs that may not be here: packages beside ours, and models on the network."""

import importlib.util
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.chosen import chosen
from asr_dro_plugin.stack.combinations import ctc_weight_of
from asr_dro_plugin.stack.names import SLOTS, component_of

# Package -> how it is installed, in the environment of tools/install.sh.
HOW = {
    "whisper": "pip install openai-whisper",
    "gtn": "pip install gtn",
    "k2": "installers/install_k2.sh of ESPnet's tools",
    "longformer": "installers/install_longformer.sh of ESPnet's tools",
    "warprnnt_pytorch": "installers/install_warp-transducer.sh of ESPnet's tools",
}
OF_CTC = {"brctc": "k2", "gtnctc": "gtn"}  # ctc_type -> package
# Arguments that name a pretrained model, of components without ``names_model``.
MODEL_KEYS = ("model_name_or_path", "whisper_model", "hubert_url", "avhubert_url")


def check_needs(config: Mapping, where: str) -> None:
    """Refuse a stack whose packages are not installed; name what it takes from the network.

    Raises:
        UserError: the component, its package, and how that is installed.
    """
    for what, package in _packages(config):
        if importlib.util.find_spec(package) is None:
            raise UserError(
                f"{where}: {what} needs the package {package}, which is not here. Install it "
                f"({HOW[package]}), or take another."
            )
    for what, model in _fetched(config):
        logging.warning(
            "%s: %s takes %s from the network or its cache when training begins; without them "
            "stage 11 ends there.", where, what, model,
        )  # fmt: skip


def _packages(config: Mapping) -> Iterator[tuple[str, str]]:
    for part in filter(None, (chosen(config, slot) for slot in SLOTS)):
        if part.facts.package:
            yield part.label, part.facts.package
    model_conf = config.get("model_conf") or {}
    multi_blank = model_conf.get("transducer_multi_blank_durations")
    if component_of(config, "decoder") == "transducer" and not multi_blank:
        yield "decoder transducer", "warprnnt_pytorch"
    ctc_type = (config.get("ctc_conf") or {}).get("ctc_type")
    if ctc_type in OF_CTC and ctc_weight_of(config) > 0:
        yield f"ctc_conf.ctc_type {ctc_type}", OF_CTC[ctc_type]


def _fetched(config: Mapping) -> Iterator[tuple[str, str]]:
    """Components that load weights themselves, with the model's name if it is no file here."""
    if config.get("ssl_checkpoint"):  # which is fetched and checked by the recipe
        return
    for part in filter(None, (chosen(config, slot) for slot in SLOTS)):
        if not part.facts.loads_weights:
            continue
        named = part.facts.names_model(part) if part.facts.names_model else []
        named = named or [part[key] for key in MODEL_KEYS if part[key]]
        if named and not Path(named[0]).exists():
            yield part.label, str(named[0])
