"""Tiny Hugging Face CTC models with random weights, as folders, for tests."""

import json
from pathlib import Path

import torch

# Blank last, as a tokenizer that was trained on letters has it; <s> and </s> lie beyond the head.
LETTERS = {"|": 0, "?": 1, "a": 2, "b": 3, "c": 4, "[UNK]": 5, "[PAD]": 6}
# Blank first, as fairseq's converted models have it.
FAIRSEQ = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, "E": 5, "T": 6}
SPECIAL = {"[PAD]": ("[PAD]", "[UNK]"), "<pad>": ("<pad>", "<unk>")}
SIZES = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "conv_dim": [8] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
SAMPLES = 8000


def build(kind: str = "wav2vec2", vocab=LETTERS, **changes):
    """A model for CTC in evaluation mode."""
    from transformers import AutoConfig, AutoModelForCTC

    pad = vocab.get("[PAD]", vocab.get("<pad>"))
    sizes = {**SIZES, "vocab_size": len(vocab), "pad_token_id": pad, **changes}
    torch.manual_seed(0)
    model = AutoModelForCTC.from_config(AutoConfig.for_model(kind, **sizes)).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(20)  # so that the text is not all one symbol
    return model


def write_tokenizer(folder: Path, vocab=LETTERS, **changes) -> None:
    """vocab.json, tokenizer_config.json, special_tokens_map.json, preprocessor_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    pad, unk = SPECIAL["[PAD]" if "[PAD]" in vocab else "<pad>"]
    files = {
        "vocab.json": vocab,
        "tokenizer_config.json": {
            "pad_token": pad, "unk_token": {"content": unk}, "word_delimiter_token": "|", **changes
        },
        "special_tokens_map.json": {"pad_token": pad, "unk_token": unk},
        "preprocessor_config.json": {
            "do_normalize": True, "return_attention_mask": False, "sampling_rate": 16000,
            "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        },
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))


def write_model(folder: Path, model, layout: str = "safetensors") -> Path:
    """config.json and weights: ``safetensors``, ``bin`` or ``sharded``."""
    shards = {"max_shard_size": "12KB"} if layout == "sharded" else {}
    model.save_pretrained(folder, **shards)
    if layout == "bin":
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


def write_folder(folder: Path, kind="wav2vec2", vocab=LETTERS, layout="safetensors", **changes):
    """A whole folder; returns the model."""
    model = build(kind, vocab, **changes)
    write_tokenizer(folder, vocab)
    write_model(folder, model, layout)
    return model


def speech(seconds: float = SAMPLES / 16000, seed: int = 0) -> torch.Tensor:
    """(1, N) noise with a constant added, which normalisation takes away."""
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(1, int(16000 * seconds), generator=generator) + 0.05


@torch.no_grad()
def log_probs(model, samples: torch.Tensor) -> torch.Tensor:
    """What transformers computes, its preprocessor's normalisation included."""
    centred = samples - samples.mean(1, keepdim=True)
    values = centred / (centred.square().mean(1, keepdim=True) + 1e-7).sqrt()
    return model(values).logits.log_softmax(-1)
