"""Dropouts and masks of pretrained networks: which settings there are, and what they may be."""

from collections.abc import Iterable, Iterator, Mapping

# Settings of wav2vec 2.0 and its like that are shares, and of Whisper.
WAV2VEC2_SHARES = (
    "mask_time_prob", "mask_feature_prob", "layerdrop", "hidden_dropout", "attention_dropout",
    "activation_dropout", "feat_proj_dropout",
)  # fmt: skip
WHISPER_SHARES = (
    "dropout", "attention_dropout", "activation_dropout", "encoder_layerdrop", "decoder_layerdrop",
    "mask_time_prob", "mask_feature_prob",
)  # fmt: skip
MASK_LENGTHS = ("mask_time_length", "mask_feature_length")  # in frames


def regularisation_problems(
    settings: Mapping, shares: Iterable[str], lengths: Iterable[str] = MASK_LENGTHS
) -> Iterator[str]:
    """Shares outside of 0..1 and lengths below 1, which a first batch would refuse.

    Args:
        settings: by name; what is None or not there is not looked at.
    """
    for name in shares:
        value = settings.get(name)
        if value is not None and not 0 <= value <= 1:
            yield f"{name} is {value}. Legal: 0 to 1."
    for name in lengths:
        value = settings.get(name)
        if value is not None and value < 1:
            yield f"{name} is {value}. It must be at least 1."
