#!/usr/bin/env python3
"""Write a tiny random Whisper as a Hugging Face folder, with a tokenizer that really works.

    tools/make_tiny_whisper.py OUT_DIR [--hidden 32] [--layers 2] [--seconds 30] ...

    config.json  model.safetensors  preprocessor_config.json  generation_config.json
    tokenizer.json  vocab.json  merges.txt  added_tokens.json

The tokenizer is byte-level BPE trained on a few lines, with Whisper's special tokens behind it in
Whisper's order, for a handful of languages.
Needs torch, transformers and tokenizers.
"""

import argparse
import json
import sys
from pathlib import Path

LINES = (
    "hello how are you today", "the cat is on the mat", "guten tag wie geht es ihnen",
    "der hund und die katze", "dzień dobry jak się masz", "привет как дела", "¿cómo estás hoy?",
)  # fmt: skip


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("out_dir", type=Path)
    add("--seed", type=int, default=0)
    add("--hidden", type=int, default=32, help="width of encoder and decoder")
    add("--layers", type=int, default=2, help="layers of each")
    add("--heads", type=int, default=2)
    add("--ffn", type=int, default=64, help="inner size of the feed-forward parts")
    add("--mels", type=int, default=80)
    add("--seconds", type=int, default=30, help="what the encoder has positions for")
    add("--max_tokens", type=int, default=448, help="what the decoder has positions for")
    add("--pieces", type=int, default=320, help="pieces of the tokenizer, 256 of them bytes")
    add("--languages", default="en de es pl ru fr cs it", help="Whisper's codes")
    return parser.parse_args(argv)


def special_tokens(languages: list[str], seconds: int) -> list[str]:
    """Whisper's special tokens in its order, from the end of a text on."""
    tasks = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    names = ["endoftext", "startoftranscript", *languages, *tasks]
    times = [f"{number / 50:.2f}" for number in range(50 * seconds + 1)]
    return [f"<|{name}|>" for name in (*names, *times)]


def make_tokenizer(args: argparse.Namespace):
    """A trained ``tokenizers.Tokenizer``."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=args.pieces,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([f" {line}" for line in LINES], trainer)
    special = special_tokens(args.languages.split(), min(args.seconds, 2))
    tokenizer.add_special_tokens([AddedToken(n, special=True, normalized=False) for n in special])
    return tokenizer


def write_tokenizer(tokenizer, folder: Path) -> None:
    """As ``tokenizer.json``, and in the parts that older models have."""
    tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer.model.save(str(folder))
    pieces = tokenizer.get_vocab(with_added_tokens=False)
    everything = tokenizer.get_vocab(with_added_tokens=True)
    added = {name: number for name, number in everything.items() if name not in pieces}
    write_json(folder / "added_tokens.json", added)
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "WhisperTokenizer"})


def make_model(args: argparse.Namespace, ids: dict[str, int]):
    """The network, every parameter filled from the seed."""
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    config = WhisperConfig(
        vocab_size=max(ids.values()) + 1,
        num_mel_bins=args.mels,
        d_model=args.hidden,
        encoder_layers=args.layers,
        decoder_layers=args.layers,
        encoder_attention_heads=args.heads,
        decoder_attention_heads=args.heads,
        encoder_ffn_dim=args.ffn,
        decoder_ffn_dim=args.ffn,
        max_source_positions=50 * args.seconds,
        max_target_positions=args.max_tokens,
        pad_token_id=ids["<|endoftext|>"],
        bos_token_id=ids["<|endoftext|>"],
        eos_token_id=ids["<|endoftext|>"],
        decoder_start_token_id=ids["<|startoftranscript|>"],
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    model = WhisperForConditionalGeneration(config).eval()
    generator = torch.Generator().manual_seed(args.seed)
    for name, parameter in sorted(model.named_parameters()):
        if name.endswith("encoder.embed_positions.weight"):
            continue  # sinusoids
        noise = torch.randn(parameter.shape, generator=generator)
        norm = 1.0 if name.endswith("norm.weight") else 0.0
        scale = 0.1 if parameter.dim() == 1 else parameter[0].numel() ** -0.5
        parameter.data.copy_(scale * noise + norm)
    return model


def generation_config(args: argparse.Namespace, ids: dict[str, int], space: int) -> dict:
    """What transformers' ``generate`` needs to know of the tokens."""
    end = ids["<|endoftext|>"]
    return {
        "begin_suppress_tokens": [space, end],
        "bos_token_id": end,
        "decoder_start_token_id": ids["<|startoftranscript|>"],
        "eos_token_id": end,
        "is_multilingual": True,
        "lang_to_id": {f"<|{code}|>": ids[f"<|{code}|>"] for code in args.languages.split()},
        "max_initial_timestamp_index": 50,
        "max_length": args.max_tokens,
        "no_timestamps_token_id": ids["<|notimestamps|>"],
        "pad_token_id": end,
        "prev_sot_token_id": ids["<|startofprev|>"],
        "return_timestamps": False,
        "suppress_tokens": sorted(
            number for name, number in ids.items() if name.startswith("<|") and number != end
        ),
        "task_to_id": {task: ids[f"<|{task}|>"] for task in ("transcribe", "translate")},
    }


def write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    from transformers import WhisperFeatureExtractor

    args.out_dir.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(args)
    ids = tokenizer.get_vocab(with_added_tokens=True)
    make_model(args, ids).save_pretrained(args.out_dir)
    WhisperFeatureExtractor(feature_size=args.mels, chunk_length=args.seconds).save_pretrained(
        args.out_dir
    )
    write_tokenizer(tokenizer, args.out_dir)
    write_json(args.out_dir / "generation_config.json", generation_config(args, ids, ids["Ġ"]))
    print(f"{args.out_dir}: a Whisper of {len(ids)} tokens, {args.hidden} wide")
    return 0


if __name__ == "__main__":
    import venv_state

    venv_state.enter()
    sys.exit(main())
