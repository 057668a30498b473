"""What OpenAI's published Whispers are built of, for plans made before one is fetched.

Source: Radford et al. 2022, arXiv:2212.04356, table 1, and the models' own ``config.json``.
"""

import re

# Layers, width and attention heads; encoder and decoder alike, but for turbo's decoder.
PUBLISHED = {
    "tiny": (4, 384, 6), "base": (6, 512, 8), "small": (12, 768, 12), "medium": (24, 1024, 16),
    "large": (32, 1280, 20),
}  # fmt: skip
NAME = re.compile(r"openai/whisper-(tiny|base|small|medium|large)(\.en|-v2|-v3|-v3-turbo)?(@.+)?")


def published_width(name: str) -> int | None:
    """Features of a frame of one of OpenAI's names: ``small``, ``large-v3``, ``turbo``."""
    size = name.split(".")[0].split("-")[0]
    found = PUBLISHED.get("large" if size == "turbo" else size)
    return found and found[1]


def published_config(name: str) -> dict | None:
    """Hugging Face's ``config.json`` of a hub's ``openai/whisper-...``, as far as sizes go."""
    found = NAME.fullmatch(name)
    if found is None:
        return None
    size, variant = found[1], found[2] or ""
    layers, width, heads = PUBLISHED[size]
    third = variant.startswith("-v3")  # 128 mels and one language more
    config = {
        "model_type": "whisper", "d_model": width, "num_mel_bins": 128 if third else 80,
        "vocab_size": 51864 if variant == ".en" else 51866 if third else 51865,
        "max_source_positions": 1500, "max_target_positions": 448,
    }  # fmt: skip
    for side in ("encoder", "decoder"):
        config[f"{side}_layers"] = 4 if (side, variant) == ("decoder", "-v3-turbo") else layers
        config[f"{side}_attention_heads"] = heads
        config[f"{side}_ffn_dim"] = 4 * width
    return config
