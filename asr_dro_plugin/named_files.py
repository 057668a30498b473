"""Files that an experiment's ``config.yaml`` names and that its model cannot be built without."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from asr_dro_plugin.errors import UserError

# Of s3prl's upstreams these load a checkpoint from ``path_or_url``; it may also be a hub's name.
CHECKPOINT_ENDINGS = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")


def check_named_files(config: Mapping, where: str | os.PathLike, tokenizer: bool = False) -> None:
    """Refuse a configuration one of whose files is not there.

    Args:
        config: an experiment's configuration.
        where: its file, for the message.
        tokenizer: whether the tokenizer's model is needed too.

    Raises:
        UserError: names the key, the path and the directory that a relative one starts from.
    """
    for key, path in named_files(config, tokenizer):
        if not path.exists():
            start = "" if path.is_absolute() else f" below {Path.cwd()}"
            remedy = (
                "Put it back, or correct the path"
                if path.is_absolute()
                else "Run this where the experiment was trained, or write the absolute path"
            )
            raise UserError(f"{where} names {key} {path}, which is not there{start}. {remedy}.")


def named_files(config: Mapping, tokenizer: bool) -> Iterator[tuple[str, Path]]:
    """(key, path) of each such file; what ESPnet or s3prl would download is none."""
    yield from _of(config, "normalize_conf", "stats_file")
    if tokenizer and config.get("token_type") == "bpe" and config.get("bpemodel"):
        yield "bpemodel", Path(config["bpemodel"])
    encoder = config.get("encoder_conf") or {}
    if config.get("encoder") == "wav2vec2" and "://" not in encoder.get("w2v_url", "://"):
        folder = Path(encoder.get("w2v_dir_path", "./"))
        yield "encoder_conf.w2v_url", folder / Path(encoder["w2v_url"]).name
    if config.get("frontend") == "s3prl":
        for key, path in _of(config.get("frontend_conf") or {}, "frontend_conf", "path_or_url"):
            if path.is_absolute() or path.suffix in CHECKPOINT_ENDINGS:
                yield f"frontend_conf.{key}", path


def _of(config: Mapping, section: str, key: str) -> Iterator[tuple[str, Path]]:
    value = (config.get(section) or {}).get(key)
    if value and "://" not in str(value):
        yield f"{section}.{key}", Path(value)
