"""Files that an experiment's ``config.yaml`` names and that its model cannot be built without.

In an experiment their names start where it was trained; in an unpacked model (``asr-dro unpack``,
ESPnet's model zoo) at the folder that holds ``meta.yaml``, wherever that folder has been moved to.
"""

import contextlib
import copy
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import CONFIG, META

# Of s3prl's upstreams these load a checkpoint from ``path_or_url``; it may also be a hub's name.
CHECKPOINT_ENDINGS = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
MAX_DEPTH = 6  # folders between a packed config.yaml and its meta.yaml
# Every place of a configuration that may name a file or folder of the model: (sections, key).
PLACES = (
    ((), "bpemodel"),
    ((), "non_linguistic_symbols"),
    (("normalize_conf",), "stats_file"),
    (("encoder_conf",), "w2v_url"),
    (("encoder_conf",), "w2v_dir_path"),
    (("frontend_conf", "frontend_conf"), "path_or_url"),
    (("adapter_conf",), "base"),
)


def check_named_files(config: Mapping, where: str | os.PathLike, tokenizer: bool = False) -> None:
    """Refuse a configuration one of whose files is not there.

    Args:
        config: an experiment's configuration.
        where: its file, for the message.
        tokenizer: whether the tokenizer's model is needed too.

    Raises:
        UserError: names the key, the path and the directory that a relative one starts from.
    """
    root = pack_root(Path(where).parent)
    for key, path in named_files(in_place(config, root) if root else config, tokenizer):
        if not path.exists():
            start, remedy = "", "Put it back, or correct the path"
            if not path.is_absolute():
                start = f" below {Path.cwd()}"
                remedy = "Run this where the experiment was trained, or write the absolute path"
            raise UserError(f"{where} names {key} {path}, which is not there{start}. {remedy}.")


def named_files(config: Mapping, tokenizer: bool) -> Iterator[tuple[str, Path]]:
    """(key, path) of each such file; what ESPnet or s3prl would download is none."""
    for part, sections, key in _places(config):
        path, needed = Path(part[key]), key in ("stats_file", "base")
        if key == "bpemodel":
            needed = tokenizer and config.get("token_type") == "bpe"
        elif key == "w2v_url":
            needed = config.get("encoder") == "wav2vec2"
            path = Path(part.get("w2v_dir_path", "./"), path.name)
        elif key == "path_or_url":
            is_file = path.is_absolute() or path.suffix in CHECKPOINT_ENDINGS
            needed = config.get("frontend") == "s3prl" and is_file
        if needed and "://" not in part[key]:
            yield ".".join([*sections, key]), path


def pack_root(exp: str | os.PathLike) -> Path | None:
    """The folder of the unpacked model that ``exp`` is or lies in; None for an experiment."""
    exp = Path(exp).absolute()
    return next((p for p in [exp, *exp.parents][:MAX_DEPTH] if (p / META).is_file()), None)


def in_place(config: Mapping, root: Path) -> dict:
    """A copy of a packed ``config`` whose relative files below ``root`` are named absolutely."""
    config = copy.deepcopy(dict(config))
    for part, _, key in _places(config):
        if (root / part[key]).exists():
            part[key] = str(root / part[key])
    return config


def named_places(config: Mapping) -> list[tuple[str, str]]:
    """(key, value) of every place that names a file, a folder or something to download."""
    return [(key, part[key]) for part, _, key in _places(config)]


def _places(config: Mapping) -> Iterator[tuple[Mapping, tuple[str, ...], str]]:
    """(the section, the way to it, the key) of every place that holds a name."""
    for sections, key in PLACES:
        part: object = config
        for name in sections:
            part = part.get(name) if isinstance(part, Mapping) else None
        value = part.get(key) if isinstance(part, Mapping) else None
        if value and isinstance(value, str):
            yield part, sections, key


@contextlib.contextmanager
def config_in_place(exp: str | os.PathLike) -> Iterator[Path]:
    """A ``config.yaml`` that can be built from anywhere: the experiment's own, or one made from it.

    For an unpacked model it is a temporary file with the names made absolute, gone after the block.
    """
    path, root = Path(exp) / CONFIG, pack_root(exp)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    config = yaml.load(path.read_text(encoding="utf-8"), loader) if root else {}
    placed = in_place(config, root) if root else config
    if placed == config:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="asr_dro.") as folder:
        made = Path(folder, CONFIG)
        made.write_text(yaml.safe_dump(placed, allow_unicode=True), encoding="utf-8")
        yield made
