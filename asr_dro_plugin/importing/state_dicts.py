"""``--from state_dict``: tensors by name in a ``.pth``, ``.pt`` or ``.safetensors``.

The file may hold the tensors themselves, or, as training templates write it, keys such as ``arch``,
``epoch``, ``state_dict``, ``optimizer``, ``config``.  ``--config`` names the stack; names are
matched, never places.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.importing.found import HEAD, Found, Wish
from asr_dro_plugin.importing.heads import check_blank
from asr_dro_plugin.packing.content import num_values
from asr_dro_plugin.pretrained.read_weights import load_plain, load_safetensors
from asr_dro_plugin.stack.check import read_config
from asr_dro_plugin.stack.names import SLOTS
from asr_dro_plugin.stack.sizes import resolve
from asr_dro_plugin.text.tokens import read_symbols

INSIDE = ("state_dict", "model_state_dict", "model", "module")  # where a file keeps its tensors
WRAPPERS = ("module.", "_orig_mod.")  # of distributed training and of compilation
# What of a training configuration makes the model; optimizers and samplers are no part of it.
OF_MODEL = (
    *SLOTS, *(f"{slot}_conf" for slot in SLOTS), "ctc_conf", "model", "model_conf", "input_size",
    "token_type",
)  # fmt: skip
OF_TRAINING = ("groups", "objective", "objective_conf")
TEMPLATE = ("arch", "epoch", "config")
MAX_FACTS = 10_000  # values of these that are noted


def read(wish: Wish) -> Found:
    """The tensors of a file, for the stack of ``wish.config``.

    Raises:
        UserError: no ``--config`` or no tokens; a damaged file, or one that is more than data.
    """
    if wish.config is None:
        raise UserError(
            "--from state_dict needs --config, the YAML of the stack whose tensors they are "
            "(conf/train_asr_*.yaml, or one of your own)."
        )
    config = read_config(wish.config)
    tokens = tokens_of(wish, config)
    given, facts = tensors_in(wish)
    renamed = renamed_names(list(given), wish.rename)
    tensors = {ours: given[theirs] for ours, theirs in renamed.items()}
    has_head = any(name.startswith(HEAD) for name in tensors)
    if not (has_head or wish.new_vocab or wish.allow_new_head):
        raise UserError(
            f"{wish.path} has no output layer ({HEAD}weight). Tell what it is called with --rename "
            f"OLD={HEAD} , or let a new one begin: --allow_new_head."
        )
    return Found(stack_of(config), tokens, tensors, origin=renamed, facts=facts, files=(wish.path,))


def stack_of(config: Mapping[str, Any]) -> dict:
    """What of a training configuration makes the model, sizes resolved."""
    model_conf = {k: v for k, v in (config.get("model_conf") or {}).items() if k not in OF_TRAINING}
    kept = {key: config[key] for key in OF_MODEL if key in config}
    return resolve({"model": "dro", **kept, "model_conf": model_conf})


def tokens_of(wish: Wish, config: Mapping[str, Any]) -> list[str] | None:
    """The list that ``--tokens`` or the YAML names; None where the head will be replaced."""
    named = wish.tokens or config.get("token_list")
    if named is None and wish.new_vocab:
        return None
    if named is None:
        raise UserError(
            "--from state_dict needs --tokens, the list of the symbols that the outputs stand for, "
            "one a line in the order of the head's rows; or --new_vocab for a new head."
        )
    tokens = list(named) if isinstance(named, list) else read_symbols(named)
    check_blank(tokens, str(named if isinstance(named, str) else wish.tokens or wish.config))
    return tokens


def tensors_in(wish: Wish) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors of the file by its own names, and what it says beside them."""
    import torch

    if not wish.path.is_file():
        raise UserError(f"{wish.path} is no file. Give a .pth, .pt or .safetensors.")
    if wish.path.suffix == ".safetensors":
        return load_safetensors(wish.path), {}
    content = load_plain(wish.path)
    facts = {}
    if (
        isinstance(content, Mapping)
        and num_values([content.get(key) for key in TEMPLATE], MAX_FACTS) <= MAX_FACTS
    ):
        facts = {key: content[key] for key in TEMPLATE if _is_json(content.get(key))}
    for key in INSIDE:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    found = content if isinstance(content, Mapping) else {}
    tensors = {str(k): v for k, v in found.items() if isinstance(v, torch.Tensor)}
    if not tensors:
        held = ", ".join(sorted(map(str, found))[:6]) or f"a {type(content).__name__}"
        raise UserError(f"{wish.path} holds no tensors by name, but {held}. Give another file.")
    return tensors, {"file": facts} if facts else {}


def _is_json(value: object) -> bool:
    """Whether a value is numbers and texts all the way down."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    return isinstance(value, bool | int | float | str)


def renamed_names(names: Sequence[str], rules: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Our name -> the file's: wrappers off, then the first rule whose beginning fits.

    Raises:
        UserError: two tensors of one name, or a rule that fits none.
    """
    made: dict[str, str] = {}
    fitted = set()
    unwrapped = list(names)
    while wrapper := next((w for w in WRAPPERS if all(n.startswith(w) for n in unwrapped)), None):
        unwrapped = [name.removeprefix(wrapper) for name in unwrapped]
    for name, ours in zip(names, unwrapped, strict=True):
        rule = next((rule for rule in rules if ours.startswith(rule[0])), None)
        if rule is not None:
            fitted.add(rule)
            ours = rule[1] + ours.removeprefix(rule[0])
        if ours in made:
            raise UserError(
                f"{name} and {made[ours]} would both be called {ours}. Write finer --rename rules."
            )
        made[ours] = name
    for old, new in (rule for rule in rules if rule not in fitted):
        raise UserError(
            f"--rename {old}={new} fits none of the tensors ({', '.join(names[:3])} ...). "
            "Correct it, or leave it out."
        )
    return made
