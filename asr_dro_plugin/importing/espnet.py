"""``--from espnet``: a packed recogniser (``.zip``) or an experiment folder, ESPnet's or ours.

What its configuration names (sentencepiece model, statistics, a pretrained checkpoint) goes along,
so that the result stands alone wherever it is moved to.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import CONFIG, OBJECTIVE_STATE
from asr_dro_plugin.experiment.adapter_files import without_adapters
from asr_dro_plugin.experiment.config_paths import in_place, pack_root
from asr_dro_plugin.experiment.model_files import best_model_file, find_model_file
from asr_dro_plugin.importing.found import Found, Wish
from asr_dro_plugin.packing import unpack
from asr_dro_plugin.packing.config import packed_config
from asr_dro_plugin.packing.content import read_yaml
from asr_dro_plugin.packing.weights import pretrained_numel, read_model
from asr_dro_plugin.stack.combinations import loss_of
from asr_dro_plugin.stack.names import component_of

OF_ADAPTERS = ("use_adapter", "adapter", "adapter_conf", "save_strategy")


def read(wish: Wish) -> Found:
    """The recogniser of an archive or an experiment.

    Raises:
        UserError: a hostile or damaged archive, no experiment, or a model without CTC.
    """
    exp, model_file = _experiment(wish)
    config = read_yaml(exp / CONFIG, f"{exp / CONFIG}")
    if root := pack_root(exp):
        config = in_place(config, root)
    tokens = config.get("token_list")
    if not isinstance(tokens, list):
        raise UserError(f"{exp / CONFIG} has no list of tokens. Give a trained experiment.")
    _check_ctc(config, wish)
    state = without_adapters(read_model(model_file, config), config, model_file)
    config = {key: value for key, value in config.items() if key not in OF_ADAPTERS}
    packed, members, warnings = packed_config(config, pretrained_numel(state), exp / CONFIG)
    del packed["token_list"]
    tensors, not_used = dict(state), {}
    if not (packed.get("model_conf") or {}).get("objective"):
        not_used = {
            name: ("weights of groups, of training alone", tuple(tensors.pop(name).shape))
            for name in state
            if name.startswith(OBJECTIVE_STATE)
        }
    return Found(
        packed, [str(token) for token in tokens], tensors, not_used=not_used,
        facts={"notes": warnings} if warnings else {}, files=(model_file,),
        extra={name: source for name, source in members.items() if isinstance(source, Path)},
    )  # fmt: skip


def model_file_of(path: Path) -> Path:
    """The file of weights that is read: the archive, the file given, or an experiment's best."""
    return path if path.is_file() else find_model_file(path, best_model_file(path))


def _experiment(wish: Wish) -> tuple[Path, Path]:
    """The folder with the configuration, and the model's file."""
    if wish.path.is_dir():
        return wish.path, model_file_of(wish.path)
    if wish.path.suffix == ".pth" and (wish.path.parent / CONFIG).is_file():
        return wish.path.parent, wish.path
    made = unpack.unpack(wish.path, wish.work / "unpacked", wish.max_gib)
    return made.exp, made.exp / made.model_file


def _check_ctc(config: Mapping[str, Any], wish: Wish) -> None:
    loss = loss_of(config)
    if loss not in ("ctc", "hybrid"):
        raise UserError(
            f"{wish.path} was trained with {loss}, without CTC, which all decoding here needs. "
            "Give a CTC model, or one with ctc_weight above 0."
        )
    if wish.new_vocab and loss == "hybrid":
        raise UserError(
            f"{wish.path} has a decoder {component_of(config, 'decoder')} beside CTC, whose tables "
            "of tokens --new_vocab cannot replace. Continue from it with --init_exp instead."
        )
