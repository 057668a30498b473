"""Exported models as a service: transcripts over HTTP, for OpenAI's clients too, and a page."""

import os
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.base.settings import check_key, check_kind, kinds_of
from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.errors import UserError, run_main
from asr_dro_plugin.runtime.manifest import MANIFEST
from asr_dro_plugin.serving.settings import LOG_LEVELS, ServiceSettings

API_KEY = "ASR_DRO_API_KEY"
ML4AUDIO = ("AM_MODELS", "ASR_INFERENCE")  # folders of a model directory of ml4audio
OPTIONS = (
    "host", "port", "workers", "threads", "max_queue", "max_upload_mb", "max_seconds",
    "body_timeout", "live_sessions", "live_seconds", "live_idle", "drain_seconds", "vad",
    "root_path", "log_level",
)  # fmt: skip
DEFAULT = ServiceSettings()
EPILOG = f"""Uses:
  asr-dro serve for_others --port 8000
        one model; POST /transcribe, POST /v1/audio/transcriptions, a page at /
  asr-dro serve polish=models/pol english=models/eng.zip --workers 4
        two models, chosen by their names

Every option but MODEL can stand in a YAML, --config serve.yaml, as option: value; models as
name: path below models.  A key that each request must carry is read from {API_KEY}, or with
--api_key_file.  SIGTERM drains.  Exit code: 0 stopped, 1 bad input, 2 a wrong option.
"""


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro serve", description=__doc__, epilog=EPILOG)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="exported folders or packed "
        "zips, or NAME=PATH; the name is the folder's where none is given")  # fmt: skip
    parser.add_argument("--model_root", "--model-root", metavar="DIR", help="serve every exported "
        "model in this folder, too")  # fmt: skip
    parser.add_argument("--config", metavar="YAML", help="settings; options here go before it")
    where = parser.add_argument_group("where it listens")
    where.add_argument("--host", help=f"address (default: {DEFAULT.host}, this machine alone)")
    where.add_argument("--port", type=int, help="0 takes a free one and prints it (default: "
        f"{DEFAULT.port})")  # fmt: skip
    where.add_argument("--root_path", help="path below which a reverse proxy shows the service")
    where.add_argument("--origins", nargs="+", metavar="URL", help="web origins whose pages may "
        "call it, https://example.org (default: none but its own)")  # fmt: skip
    where.add_argument("--api_key_file", metavar="FILE", help="file with the key that requests "
        f"must carry (default: {API_KEY}, if it is set)")  # fmt: skip
    work = parser.add_argument_group("how it works")
    work.add_argument("--workers", type=int, help="processes that transcribe (default: 0, one for "
        "each processor and --threads)")  # fmt: skip
    work.add_argument("--threads", type=int, help=f"of each worker (default: {DEFAULT.threads})")
    work.add_switch("--vad", "leave silence out where a request does not say (default: false)",
                    default=None)  # fmt: skip
    work.add_argument("--log_level", choices=LOG_LEVELS, help="(default: info)")
    limits = parser.add_argument_group("limits")
    for name, kind, words in (
        ("max_queue", int, "recordings in the service at once; more are answered 503"),
        ("max_upload_mb", float, "largest upload, 10^6 bytes"),
        ("max_seconds", float, "longest recording"),
        ("body_timeout", float, "seconds that a body, or a reader, may stand still"),
        ("live_sessions", int, "people who may speak at once (/v1/realtime); 0 for none"),
        ("live_seconds", float, "sound in one such session"),
        ("live_idle", float, "seconds without a message that end such a session"),
        ("drain_seconds", float, "seconds for open recordings after SIGTERM"),
    ):
        words = f"{words} (default: {getattr(DEFAULT, name):g})"
        limits.add_argument(f"--{name}", type=kind, help=words)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Serve until a signal."""
    args = get_parser().parse_args(argv)
    chosen = _of_yaml(args.config) if args.config else {}
    for name in OPTIONS:
        if getattr(args, name) is not None:
            chosen[name] = getattr(args, name)
    if args.origins:
        chosen["origins"] = args.origins
    chosen["origins"] = tuple(chosen.get("origins") or ())
    models = _with_names(args.models, chosen.pop("models", None) or {}, args.model_root)
    settings = ServiceSettings(models=models, api_key=_api_key(args.api_key_file), **chosen)
    from asr_dro_plugin.serving.server import run
    from asr_dro_plugin.serving.uploads import check_room

    check_room()
    return run(settings, lambda line: print(line, flush=True))


def _of_yaml(path: str) -> dict:
    """Settings of a YAML, each of the kind that it must be."""
    config = load_config(path)
    kinds = {each.name: kinds_of(each.type) for each in fields(ServiceSettings)}
    kinds = {name: kind for name, kind in kinds.items() if name != "api_key"}
    for name, value in config.items():
        check_key(path, name, kinds)
        check_kind(f"{path}: {name}", value, kinds[name])
    return config


def _api_key(path: str | None) -> str:
    """The key, from a file or the environment; empty for none."""
    if path is None:
        return os.environ.get(API_KEY, "").strip()
    try:
        key = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--api_key_file {path} cannot be read: {error}.") from None
    if not key:
        raise UserError(f"--api_key_file {path} is empty. Write the key into it.")
    return key


def _with_names(words: Sequence[str], named: Mapping[str, str], root: str | None) -> dict[str, str]:
    """Name -> path of every model that is to be served.

    Raises:
        UserError: none, two of one name, or a path where no exported model is.
    """
    pairs = [(str(name), str(path)) for name, path in named.items()]
    pairs += [_pair(word) for word in words]
    pairs += [(_name_of(path), str(path)) for path in _below(root)] if root else []
    models: dict[str, str] = {}
    for name, path in pairs:
        if name in models and models[name] != path:
            raise UserError(f"Two models are called '{name}': {models[name]} and {path}. "
                            "Give one another name: NAME=PATH.")  # fmt: skip
        check_model(path)
        models[name] = path
    if not models:
        raise UserError("Which model? asr-dro serve DIR, with a folder that asr-dro export --to "
                        "onnx wrote.")  # fmt: skip
    return models


def _pair(word: str) -> tuple[str, str]:
    name, sign, path = word.partition("=")
    if not sign or os.path.exists(word):
        return _name_of(Path(word)), word
    if not name or not path:
        raise UserError(f"'{word}' is no model. Write NAME=PATH, or a path alone.")
    return name, path


def _name_of(path: Path) -> str:
    """A folder's name; a packed file's without its ending."""
    path = path.resolve()
    return path.stem if path.suffix == ".zip" else path.name


def _below(root: str) -> list[Path]:
    """The exported models in a folder, by name.

    Raises:
        UserError: no folder, or none in it.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise UserError(f"--model_root {root} is no folder.")
    found = sorted(path for path in folder.iterdir()
                   if (path / MANIFEST).is_file() or path.suffix == ".zip")  # fmt: skip
    if found:
        return found
    if any((folder / name).is_dir() for name in ML4AUDIO):
        raise UserError(
            f"{root} is a model directory of ml4audio. Convert it: asr-dro import --from ml4audio "
            f"{shlex.quote(root)} --out EXP && asr-dro export EXP --to onnx --out DIR"
        )
    raise UserError(f"--model_root {root} has no exported model in it: no folder with a "
                    f"{MANIFEST}, no zip.")  # fmt: skip


def check_model(path: str) -> None:
    """Refuse what is no exported model at the first look; a worker checks every byte."""
    if not os.path.exists(path):
        raise UserError(f"There is no model {path}. Give a folder or zip that asr-dro export made.")
    if os.path.isdir(path):
        is_one = os.path.isfile(os.path.join(path, MANIFEST))
    else:
        is_one = zipfile.is_zipfile(path)
    if not is_one:
        raise UserError(f"{path} is no exported model: it has no {MANIFEST}. Make one: asr-dro "
                        f"export {shlex.quote(path)} --to onnx --out DIR")  # fmt: skip


if __name__ == "__main__":
    run_main(main)
