"""A fairseq checkpoint of wav2vec 2.0 or HuBERT, read as data: no fairseq, hydra or omegaconf.

``read_fairseq`` gives the network as a Hugging Face configuration and its tensors under Hugging
Face's names, with an account of every tensor of the file.  Pretrained files and those trained for
ASR, weight-norm names of both kinds, both of PyTorch's formats and s3prl's layout are read; see
``plain_pickles`` for what is refused.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained import fairseq_names
from asr_dro_plugin.pretrained.fairseq_config import model_config, network_settings
from asr_dro_plugin.pretrained.fairseq_names import HEAD, SortedTensors, sort_tensors
from asr_dro_plugin.pretrained.plain_pickles import as_plain, load_as_data

DICTIONARY = "dict.ltr.txt"  # letters with their counts, beside a model that was trained for ASR
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")  # before the letters; <s> is CTC's blank
SETTINGS = ("cfg", "args", "task_state", "task_cfg", "model_cfg")  # read as plain containers
PROJECTION = "feature_projection.projection"


@dataclass(frozen=True)
class FairseqModel:
    """A network read from a fairseq file.

    Attributes:
        config: as in Hugging Face's ``config.json``, ``model_type`` included.
        weights: tensors by the names of Hugging Face's ``Wav2Vec2Model``, in float32.
        head: ``weight`` (V, D) and ``bias`` (V,) of CTC's layer; empty for a pretrained file.
        symbols: the V outputs of the head in order (the first is the blank); None where there is
            no head or its dictionary is not found.
        normalize: whether the network wants waveforms of zero mean and unit variance.
        account: what became of every tensor.
    """

    config: dict
    weights: dict
    head: dict
    symbols: list[str] | None
    normalize: bool
    account: SortedTensors


def read_fairseq(path: str | Path) -> FairseqModel:
    """Read a checkpoint.

    Raises:
        UserError: no such file, no whole file, no fairseq checkpoint, another architecture, a
            tensor that is missing or of another shape, or a pickle that is more than data.
    """
    path = Path(path)
    state = load_state(path)
    settings, task = network_settings(state, str(path))
    config, tensors = model_config(settings, str(path)), tensors_of(state, str(path))
    account = sort_tensors(tensors)
    weights = {ours: tensors[theirs] for theirs, ours in account.used.items()}
    made = identity_projection(config, weights)
    account = dataclasses.replace(account, made=tuple(made))
    weights = {name: value.float() for name, value in (weights | made).items()}
    _check(weights, config, account, str(path))
    head = {name.removeprefix(HEAD): tensors[name].float() for name in account.head}
    symbols = _symbols(state, path, head)
    return FairseqModel(config, weights, head, symbols, _normalizes(settings, task), account)


def read_config(path: str | Path) -> dict:
    """The network's configuration alone; see ``read_fairseq``."""
    settings, _ = network_settings(load_state(Path(path)), str(path))
    return model_config(settings, str(path))


def wants_normalized(path: str | Path) -> bool:
    """Whether the network wants waveforms of zero mean and unit variance."""
    return _normalizes(*network_settings(load_state(Path(path)), str(path)))


def _normalizes(settings: Mapping, task: Mapping) -> bool:
    return bool(task.get("normalize", settings.get("normalize", False)))


def load_state(path: Path) -> dict:
    """A fairseq (or s3prl) file: its settings as plain containers, its tensors mapped.

    Raises:
        UserError: no file, no whole one, more than data, or none of fairseq's.
    """
    if not path.is_file():
        raise UserError(f"{path} is no file. Give a fairseq checkpoint (.pt).")
    state = load_as_data(path)
    keys = set(state) if isinstance(state, dict) else set()
    is_s3prls = {"model_cfg", "model_weight"} <= keys
    if not is_s3prls and not ("model" in keys and keys & {"cfg", "args"}):
        held = ", ".join(sorted(map(str, state))[:6]) if isinstance(state, dict) else "no settings"
        raise UserError(
            f"{path} is no fairseq checkpoint: it holds {held}, not model with cfg or args. Give "
            "the file that fairseq wrote."
        )
    try:
        settings = {key: as_plain(state[key]) for key in SETTINGS if key in state}
    except RecursionError:
        raise UserError(f"{path}: its settings are nested too deep. Give another file.") from None
    return {**state, **settings}


def tensors_of(state: Mapping, where: str) -> dict:
    """The tensors of a checkpoint under the names of the file."""
    import torch

    found = state.get("model", state.get("model_weight"))
    if not isinstance(found, Mapping) or not found:
        raise UserError(f"{where} holds no tensors of a model. Fetch it again.")
    return {str(name): value for name, value in found.items() if isinstance(value, torch.Tensor)}


def identity_projection(config: Mapping, weights: Mapping) -> dict:
    """fairseq leaves the projection out between equal widths; Hugging Face always has one."""
    import torch

    width = config["hidden_size"]
    if f"{PROJECTION}.weight" in weights or config["conv_dim"][-1] != width:
        return {}
    return {f"{PROJECTION}.weight": torch.eye(width), f"{PROJECTION}.bias": torch.zeros(width)}


def _check(weights: Mapping, config: Mapping, account: SortedTensors, where: str) -> None:
    """Refuse a network that is not whole, or not what its own settings say."""
    expected = fairseq_names.expected_shapes(config)
    missing = [name for name in expected if name not in weights and name != "masked_spec_embed"]
    if missing:
        raise UserError(
            f"{where} lacks {len(missing)} tensors that its settings ask for, {missing[0]} for "
            f"one. Fetch it again, or give another file."
        )
    file_name = {ours: theirs for theirs, ours in account.used.items()}
    for name, value in weights.items():
        legal, found = expected.get(name), tuple(value.shape)
        if legal != found:
            words = f"ask for {times(legal)}" if legal else "know of none"
            raise UserError(
                f"{where}: tensor {file_name.get(name, name)} is {times(found)}, and its settings "
                f"{words}. Give the file that fairseq wrote."
            )


def times(shape: Iterable[int]) -> str:
    """A shape in words: ``512 x 3``."""
    return " x ".join(map(str, shape)) or "a number"


def _symbols(state: Mapping, path: Path, head: Mapping) -> list[str] | None:
    """What the outputs of the head stand for: the file's own dictionary, or the one beside it."""
    if "weight" not in head:
        return None
    own = (state.get("task_state") or {}).get("target_dictionary")
    if isinstance(own, dict) and isinstance(own.get("symbols"), list):
        symbols = [str(symbol) for symbol in own["symbols"]]
    elif (path.parent / DICTIONARY).is_file():
        symbols = [*SPECIALS, *read_letters(path.parent / DICTIONARY)]
    else:
        return None
    if len(symbols) != len(head["weight"]):
        raise UserError(
            f"{path} has {len(head['weight'])} outputs, and its dictionary {len(symbols)} symbols, "
            f"the {len(SPECIALS)} special ones included. Put the {DICTIONARY} beside it that it "
            "was trained with."
        )
    return symbols


def read_letters(path: Path) -> list[str]:
    """Letters of a ``dict.ltr.txt``: one a line, with a count (and perhaps a flag) behind it.

    Raises:
        UserError: a line that is none.
    """
    letters = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no UTF-8 text ({error.reason}). Fetch it again.") from None
    for number, line in enumerate(lines, 1):
        letter, _, count = line.removesuffix(" #fairseq:overwrite").rpartition(" ")
        if not letter or not count.isdecimal():
            raise UserError(f"{path}:{number} is not a letter and its count. Mend the line.")
        letters.append(letter)
    return letters
