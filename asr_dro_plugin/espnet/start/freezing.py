"""What of the model does not learn: for good, more slowly, or until later.

``freeze_param`` (prefixes and patterns), ``freeze_cnn`` and ``feature_grad_mult`` hold for the
whole training.  ``freeze_finetune_updates`` holds for the first updates of the optimizer: the
trainer says how many are done before every step, so validation does not count and a resumed run
goes on right.  (ESPnet's encoder counts forward passes, validation and accumulation included.)
"""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.parameter_names import (
    freezes_cnn,
    frozen_updates,
    gradient_mult,
    matches,
    nothing_matches,
)

logger = logging.getLogger(__name__)


@dataclass
class Freezing:
    """The parameters that begin to learn after ``num_updates`` optimizer updates."""

    ssl: torch.nn.Module | None = None
    num_updates: int = 0
    waiting: list[torch.nn.Parameter] = field(default_factory=list)
    _learning: bool | None = None

    def at_update(self, num_done: int) -> None:
        """Set ``requires_grad`` for the step that follows ``num_done`` optimizer updates."""
        learning = num_done >= self.num_updates
        if learning == self._learning or not self.waiting:
            return
        for parameter in self.waiting:
            parameter.requires_grad = learning
        keep_no_needless_graph(self.ssl)
        if learning:
            logger.info("The pretrained model learns from update %d on.", self.num_updates)
        self._learning = learning


def apply_freezing(model: torch.nn.Module, args: argparse.Namespace) -> Freezing:
    """Freeze what ``args`` says, as for the first update.

    Args:
        model: as built, pretrained weights loaded.
        args: ``freeze_param``, ``freeze_cnn``, ``feature_grad_mult``, ``freeze_finetune_updates``
            and ``encoder_conf.freeze_finetune_updates``; a missing one is off.

    Raises:
        UserError: an entry that matches no parameter, no pretrained model where one is meant.
    """
    config = vars(args)
    freeze_parameters(model, config.get("freeze_param") or [])
    num_updates, mult = frozen_updates(config), gradient_mult(config)
    if not (num_updates or mult is not None or freezes_cnn(config)):
        return Freezing()
    ssl = ssl_model(model)
    if freezes_cnn(config):
        freeze_cnn(ssl)
    elif mult is not None:
        scale_cnn_gradient(ssl, mult)
    waiting = [parameter for parameter in ssl.parameters() if parameter.requires_grad]
    freezing = Freezing(ssl, num_updates, waiting if num_updates else [])
    freezing.at_update(0)
    return freezing


def freeze_parameters(model: torch.nn.Module, entries: Sequence[str]) -> None:
    """Freeze for good every parameter that an entry means."""
    parameters = dict(model.named_parameters())
    for entry in entries:
        meant = [parameter for name, parameter in parameters.items() if matches(name, entry)]
        if not meant:
            raise UserError(nothing_matches(entry, parameters))
        for parameter in meant:
            parameter.requires_grad = False


def ssl_model(model: torch.nn.Module) -> torch.nn.Module:
    """The pretrained speech model, in whichever slot: what holds a ``feature_extractor``."""
    for slot in ("frontend", "encoder"):
        holder = getattr(model, slot, None)
        for module in holder.modules() if holder is not None else ():
            cnn = getattr(module, "feature_extractor", None)
            if isinstance(cnn, torch.nn.Module) and next(cnn.parameters(), None) is not None:
                return module
    raise UserError(
        "freeze_cnn, feature_grad_mult and freeze_finetune_updates are about a pretrained speech "
        "model with a feature_extractor, but neither frontend nor encoder holds one. Leave them "
        "out, or use frontend s3prl or hf_whisper, encoder wav2vec2 or hf_wav2vec2."
    )


def freeze_cnn(ssl: torch.nn.Module) -> None:
    """Freeze the convolutions."""
    ssl.feature_extractor.requires_grad_(False)
    keep_no_needless_graph(ssl)
    if hasattr(ssl, "feature_grad_mult"):  # fairseq and s3prl: 0 is torch.no_grad
        ssl.feature_grad_mult = 0.0


def keep_no_needless_graph(ssl: torch.nn.Module) -> None:
    """transformers asks for the gradient of the speech too, as long as it thinks the CNN learns."""
    cnn = ssl.feature_extractor
    if hasattr(cnn, "_requires_grad"):
        cnn._requires_grad = any(parameter.requires_grad for parameter in cnn.parameters())


def scale_cnn_gradient(ssl: torch.nn.Module, mult: float) -> None:
    """Multiply the gradient that reaches the convolutions by ``mult``."""
    if hasattr(ssl, "feature_grad_mult"):  # fairseq and s3prl scale it themselves
        ssl.feature_grad_mult = mult
        return
    for parameter in ssl.feature_extractor.parameters():
        if parameter.requires_grad:  # freeze_param may have frozen it for good
            parameter.register_hook(lambda gradient: gradient * mult)
