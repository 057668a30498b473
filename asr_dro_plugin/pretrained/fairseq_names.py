"""Names and shapes of a wav2vec 2.0's tensors: fairseq's, Hugging Face's, and an account of each.

Hugging Face's are those of transformers 5 (weight norm as a parametrization).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

# Where fairseq keeps the network inside a model that was trained for ASR, and its output layer.
WRAPPERS = ("w2v_encoder.w2v_model.", "encoder.w2v_model.")
HEAD = "w2v_encoder.proj."
# Parts that only pretraining or a decoder uses: the network's output does not depend on them.
NOT_USED = (
    "quantizer.", "project_q.", "final_proj.", "target_glu.", "label_embs_concat", "_ema",
    "decoder.", "encoder.proj.",
)  # fmt: skip

_NORM = "encoder.pos_conv_embed.conv.parametrizations.weight.original"
_PATTERNS = {
    r"feature_extractor\.conv_layers\.(\d+)\.0\.": r"feature_extractor.conv_layers.\1.conv.",
    r"feature_extractor\.conv_layers\.(\d+)\.2\.(?:1\.)?(?=weight$|bias$)":
        r"feature_extractor.conv_layers.\1.layer_norm.",
    r"layer_norm\.": "feature_projection.layer_norm.",
    r"post_extract_proj\.": "feature_projection.projection.",
    r"mask_emb$": "masked_spec_embed",
    r"encoder\.pos_conv\.0\.(?:weight_g|parametrizations\.weight\.original0)$": f"{_NORM}0",
    r"encoder\.pos_conv\.0\.(?:weight_v|parametrizations\.weight\.original1)$": f"{_NORM}1",
    r"encoder\.pos_conv\.0\.(?=bias$)": "encoder.pos_conv_embed.conv.",
    r"encoder\.layers\.(\d+)\.self_attn\.([kvq]|out)_proj\.":
        r"encoder.layers.\1.attention.\2_proj.",
    r"encoder\.layers\.(\d+)\.self_attn_layer_norm\.": r"encoder.layers.\1.layer_norm.",
    r"encoder\.layers\.(\d+)\.fc1\.": r"encoder.layers.\1.feed_forward.intermediate_dense.",
    r"encoder\.layers\.(\d+)\.fc2\.": r"encoder.layers.\1.feed_forward.output_dense.",
    r"encoder\.layers\.(\d+)\.final_layer_norm\.": r"encoder.layers.\1.final_layer_norm.",
    r"encoder\.layer_norm\.": "encoder.layer_norm.",
}  # fmt: skip
PATTERNS = [(re.compile(pattern), name) for pattern, name in _PATTERNS.items()]

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class SortedTensors:
    """Every tensor of a file and of the network, once.

    Attributes:
        used: name in the file -> name in the network.
        head: of the file, the output layer for ASR: the network itself has none.
        not_used: of the file, parts that the network does without (heads of pretraining).
        unexpected: of the file, known to nobody.
        made: of the network, made without the file (an identity where the file has no layer).
    """

    used: dict[str, str] = field(default_factory=dict)
    head: tuple[str, ...] = ()
    not_used: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    made: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = [f"{len(self.used)} tensors used"]
        for kind in ("head", "not_used", "unexpected", "made"):
            if names := getattr(self, kind):
                parts = sorted({name.split(".")[0] for name in names})
                words.append(f"{len(names)} {kind.replace('_', ' ')} ({', '.join(parts)})")
        return ", ".join(words)


def sort_tensors(names: Iterable[str]) -> SortedTensors:
    """What each tensor of a fairseq file is for."""
    names = list(names)
    wrapper = next((w for w in WRAPPERS if any(name.startswith(w) for name in names)), "")
    ours = {n: network_name(n.removeprefix(wrapper)) for n in names if n.startswith(wrapper)}
    used = {name: inner for name, inner in ours.items() if inner}
    others = [name for name in names if name not in used]
    head = [name for name in others if name.startswith(HEAD)]
    rest = [name for name in others if not name.startswith(HEAD)]
    not_used = [name for name in rest if name.removeprefix(wrapper).startswith(NOT_USED)]
    unexpected = [name for name in rest if name not in not_used]
    return SortedTensors(used, tuple(head), tuple(not_used), tuple(unexpected))


def network_name(name: str) -> str | None:
    """Hugging Face's name of a tensor of fairseq's network; None for what is none of it."""
    for pattern, ours in PATTERNS:
        if match := pattern.match(name):
            return match.expand(ours) + name[match.end() :]
    return None


def expected_shapes(config: Mapping) -> Shapes:
    """Names and shapes of the network's tensors, from its Hugging Face configuration."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    channels = config["conv_dim"][-1]
    taps, groups = config["num_conv_pos_embeddings"], config["num_conv_pos_embedding_groups"]
    shapes = {
        **_convolutions(config),
        **_norm("feature_projection.layer_norm", channels),
        **_linear("feature_projection.projection", channels, width),
        "masked_spec_embed": (width,),
        f"{_NORM}0": (1, 1, taps),
        f"{_NORM}1": (width, width // groups, taps),
        "encoder.pos_conv_embed.conv.bias": (width,),
        **_norm("encoder.layer_norm", width),
    }
    for layer in (f"encoder.layers.{index}" for index in range(config["num_hidden_layers"])):
        for name in ("k", "v", "q", "out"):
            shapes |= _linear(f"{layer}.attention.{name}_proj", width, width)
        shapes |= _norm(f"{layer}.layer_norm", width) | _norm(f"{layer}.final_layer_norm", width)
        shapes |= _linear(f"{layer}.feed_forward.intermediate_dense", width, inner)
        shapes |= _linear(f"{layer}.feed_forward.output_dense", inner, width)
    return shapes


def _convolutions(config: Mapping) -> Shapes:
    shapes, before = {}, 1
    layers = zip(config["conv_dim"], config["conv_kernel"], strict=True)
    for index, (channels, kernel) in enumerate(layers):
        name = f"feature_extractor.conv_layers.{index}"
        shapes[f"{name}.conv.weight"] = (channels, before, kernel)
        if config["conv_bias"]:
            shapes[f"{name}.conv.bias"] = (channels,)
        if config["feat_extract_norm"] == "layer" or index == 0:
            shapes |= _norm(f"{name}.layer_norm", channels)
        before = channels
    return shapes


def _linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, size: int) -> Shapes:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}
