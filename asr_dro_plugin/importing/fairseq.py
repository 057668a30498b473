"""``--from fairseq``: a wav2vec 2.0 or HuBERT that fairseq wrote (``.pt``), fine-tuned or not.

The network becomes ours under Hugging Face's names; see ``fairseq_files`` for how it is read.
"""

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.importing.found import HEAD, Found, Wish
from asr_dro_plugin.importing.hf import BODY, MASK, ctc_stack
from asr_dro_plugin.pretrained import fairseq_files
from asr_dro_plugin.text.tokens import BLANK, SPACE, UNK

# fairseq's symbols that have names of their own here; its CTC takes the first, <s>, for the blank.
SPELLED = {"<s>": BLANK, "<unk>": UNK, "|": SPACE}
FILE_HEAD = "w2v_encoder.proj."


def read(wish: Wish) -> Found:
    """The model in a file.

    Raises:
        UserError: as ``read_fairseq``; a head whose dictionary is not there.
    """
    model = fairseq_files.read_fairseq(wish.path)
    given = fairseq_files.tensors_of(fairseq_files.load_state(wish.path), str(wish.path))
    account = model.account
    origin = {f"{BODY}{ours}": theirs for theirs, ours in account.used.items()}
    origin |= {f"{HEAD}{name}": f"{FILE_HEAD}{name}" for name in model.head}
    tensors = {f"{BODY}{name}": value for name, value in model.weights.items()}
    tensors |= {f"{HEAD}{name}": value for name, value in model.head.items()}
    tensors |= {name: given[name] for name in account.unexpected}
    config = {"model_type": "wav2vec2", **model.config}
    if f"{BODY}{MASK}" not in tensors:
        config |= {"mask_time_prob": 0.0, "mask_feature_prob": 0.0}
    return Found(
        ctc_stack(config, model.normalize, attention_mask=True),
        _tokens(model, wish) if model.head else None,
        tensors,
        origin=origin,
        not_used={n: ("of pretraining", tuple(given[n].shape)) for n in account.not_used},
        made={f"{BODY}{name}": "an identity: fairseq has no layer" for name in account.made},
        facts={"architecture": config["model_type"]},
        files=(wish.path,),
    )


def _tokens(model: fairseq_files.FairseqModel, wish: Wish) -> list[str] | None:
    """What the outputs of a fine-tuned model stand for."""
    if model.symbols is not None:
        return [SPELLED.get(symbol, symbol) for symbol in model.symbols]
    if wish.new_vocab:
        return None
    raise UserError(
        f"{wish.path} was fine-tuned for speech recognition, but {fairseq_files.DICTIONARY} is not "
        "beside it, so nobody knows what its outputs stand for. Put it there, or give --new_vocab "
        "tokens.txt."
    )
