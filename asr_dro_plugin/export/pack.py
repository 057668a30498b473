"""Stage 14: a trained experiment as one file, for ESPnet's model zoo and for ``asr-dro unpack``.

The archive holds the weights, the training configuration with names that start at its own root,
tokens, groups, decoding settings, perhaps a language model, the scores, a card (``README.md``),
ESPnet's ``meta.yaml``, and ``asr_dro.json`` with a checksum of every other member.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from asr_dro_plugin import __version__
from asr_dro_plugin.base.overwrite import refuse_earlier
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.base.recipe_files import recipe_file
from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.data.corpora import read_corpora
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import CONFIG, DECODE, IMPORTED, LM, META, PACKED
from asr_dro_plugin.experiment.adapter_files import base_numel
from asr_dro_plugin.experiment.config_paths import in_place, pack_root
from asr_dro_plugin.experiment.model_files import best_model_file, default_model_file, model_files
from asr_dro_plugin.export.merging import merged
from asr_dro_plugin.packing import archive as pack_zip
from asr_dro_plugin.packing import config as pack_config
from asr_dro_plugin.packing import manifest as pack_manifest
from asr_dro_plugin.packing import weights as pack_weights
from asr_dro_plugin.packing.archive import Content
from asr_dro_plugin.pretrained.catalogue import read_checkpoint_table
from asr_dro_plugin.pretrained.hf_folders import SOURCE
from asr_dro_plugin.reporting.card import facts as card_facts
from asr_dro_plugin.reporting.card import model_card as card
from asr_dro_plugin.reporting.read.data_sets import recipe_of, training_folder
from asr_dro_plugin.reporting.read.facts import read_config, versions_of
from asr_dro_plugin.reporting.read.score_files import read_score, score_paths
from asr_dro_plugin.stack.ssl_checkpoint import holder_of
from asr_dro_plugin.text.languages import TABLE, read_languages

CARD, TOKENS, GROUPS = "README.md", "tokens.txt", "groups.txt"
LM_FILES = ("lm.json", "lm.arpa", "lm.arpa.gz", "lm.bin", "unigrams.txt")
LEGAL_NAME = re.compile(r"[\w.+=-]+")
EPOCH_SECONDS = 315532800.0  # 1980, as the members: ESPnet's meta.yaml has a date


@dataclass(frozen=True)
class PackOptions:
    """What a user chooses of a pack; None takes what the experiment says.

    ``inference_tag`` is the folder whose scores the card speaks of; by default that of
    ``inference_config`` with the model, else every one of the model.
    ``merge_adapters`` packs a model that needs no adapters instead of one with them.
    """

    model_file: str | None = None
    inference_config: str | None = None
    inference_tag: str | None = None
    lm_dir: str | None = None
    licence: str = "unknown"
    merge_adapters: bool = False
    overwrite: bool = False  # a file that holds another model


def pack(exp: str | os.PathLike, out: str | os.PathLike, options: PackOptions) -> list[str]:
    """Write the archive ``out``; returns warnings.

    Raises:
        UserError: a file is not there (yet), or they do not fit together.
    """
    exp = Path(exp)
    options = with_own_decoding(exp, options)
    config = read_training(exp)
    model_file = _model_file(exp, config, options)
    weights = pack_weights.find_weights(exp, model_file)
    if options.merge_adapters:
        with merged(exp, model_file, config) as (weights, config):
            return _pack(exp, Path(out), options, config, weights)
    return _pack(exp, Path(out), options, config, weights)


def _pack(exp: Path, out: Path, options: PackOptions, config: Mapping, weights: Path) -> list[str]:
    """Pack an experiment as ``config`` and ``weights``."""
    name, model_file = Path(os.path.abspath(exp)).name, _model_file(exp, config, options)
    if not LEGAL_NAME.fullmatch(name):
        raise UserError(
            f"The experiment's name '{name}' cannot name a model: it may have letters, digits and "
            "_ . + = - only. Rename the folder."
        )
    state = pack_weights.read_model(weights, config)
    num_trained = pack_weights.pretrained_numel(state)
    num_parameters = pack_weights.num_parameters(state) + base_numel(config)
    packed, members, warnings = pack_config.packed_config(config, num_trained, exp / CONFIG)
    members[Path(model_file).name] = pack_weights.resolved(weights)
    members |= _tables(config) | {CONFIG: pack_config.to_bytes(packed)}
    members |= _decoding(options)
    scores = scores_of(exp, model_file, options)
    members |= {f"scores/{p.parent.parent.name}/{p.parent.name}/{p.name}": p for p in scores}
    run = describe_run(exp, config, name, Path(model_file).name, num_parameters, scores, options)
    members[CARD] = card.write_card(run).encode()
    members[META] = _meta(Path(model_file).name, run.versions[-1])
    _write(out, members, _manifest(run, members, options), options.overwrite)
    return warnings


def with_own_decoding[Options](exp: Path, options: Options) -> Options:
    """How an imported or unpacked model is decoded goes along, unless another way is given."""
    if options.inference_config or options.lm_dir or not (exp / DECODE).is_file():
        return options
    lm_dir = str(exp / LM) if (exp / LM).is_dir() else None
    return replace(options, inference_config=str(exp / DECODE), lm_dir=lm_dir)


def _model_file(exp: Path, config: Mapping, options: PackOptions) -> str:
    """The file that was asked for; else what training ends with, or the one of an import."""
    if options.model_file:
        return options.model_file
    return best_model_file(exp) if (exp / IMPORTED).is_file() else default_model_file(config)


def read_training(exp: Path) -> dict:
    """The configuration of a trained experiment, its names as they are from here.

    Raises:
        UserError: there is none, or no list of tokens in it.
    """
    config = read_config(exp)
    if not config:
        raise UserError(f"{exp} holds no {CONFIG}. Give a trained experiment (stage 11).")
    if not isinstance(config.get("token_list"), list):
        raise UserError(f"{exp}/{CONFIG} has no list of tokens. Give a trained experiment.")
    root = pack_root(exp)  # of a model that was imported or unpacked: its names start there
    return in_place(config, root) if root else config


def _tables(config: Mapping) -> dict[str, Content]:
    """tokens.txt and groups.txt, as the configuration has them."""
    tokens = "".join(f"{token}\n" for token in config["token_list"])
    made: dict[str, Content] = {TOKENS: tokens.encode()}
    if groups := groups_of(config):
        made[GROUPS] = "".join(f"{group}\n" for group in groups).encode()
    return made


def groups_of(config: Mapping) -> list[str]:
    """Names of the groups that were trained on; none of a model without."""
    return list((config.get("model_conf") or {}).get("groups") or config.get("groups") or [])


def _decoding(options: PackOptions) -> dict[str, Content]:
    """decode.yaml and the files of the language models."""
    made: dict[str, Content] = {}
    if options.inference_config:
        load_config(options.inference_config)
        made[DECODE] = Path(options.inference_config).resolve()
    if options.lm_dir:
        made |= language_models(Path(options.lm_dir))
    return made


def language_models(folder: Path) -> dict[str, Path]:
    """Name in an archive -> file, of all language models in a folder.

    Raises:
        UserError: it holds none.
    """
    found = sorted(p for p in folder.glob("*/*") if p.name in LM_FILES and p.is_file())
    if not any(p.name.startswith(("lm.arpa", "lm.bin")) for p in found):
        raise UserError(
            f"--lm_dir {folder} holds no <name>/lm.arpa.gz. Make one: asr-dro lm build."
        )
    return {f"{LM}/{p.parent.name}/{p.name}": p.resolve() for p in found}


def scores_of(exp: Path, model_file: str, options: PackOptions) -> list[Path]:
    """``score.json`` and ``score.txt`` of the decodings with this model, test sets first."""
    stem = Path(model_file).stem
    tags = {path.parent.parent.name for path in score_paths(exp)}
    if options.inference_tag and options.inference_tag not in tags:
        raise UserError(
            f"{exp} has no scores under --inference_tag {options.inference_tag}. There are: "
            f"{' '.join(sorted(tags)) or 'none (run stages 12 and 13)'}."
        )
    chosen = {tag for tag in tags if tag.endswith(f"_{stem}")}
    if options.inference_tag:
        chosen = {options.inference_tag}
    elif options.inference_config:
        own = f"{Path(options.inference_config).stem}_{stem}"
        chosen = {own} & tags or chosen
    json_files = [path for path in score_paths(exp) if path.parent.parent.name in chosen]
    files = [file for path in json_files for file in (path, path.with_suffix(".txt"))]
    return [file for file in files if file.is_file()]


def describe_run(
    exp: Path, config: Mapping, name: str, model_file: str, num_parameters: int,
    scores: Sequence[Path], options: PackOptions,
) -> card.Run:  # fmt: skip
    """What the card of a model is written from; ``scores`` as of ``scores_of``."""
    groups, recipe = groups_of(config), recipe_of(exp)
    json_files = [path for path in scores if path.suffix == ".json"]
    return card.Run(
        name, config, model_file, num_parameters,
        langs=card_facts.languages_of(config, groups),
        training=card_facts.training_facts(exp, config),
        cells=card_facts.training_data(config, recipe, training_folder(config, recipe)),
        reports=[read_score(path) for path in json_files],
        decodings=[path.parent.parent.name for path in json_files],
        versions=versions_of(exp, config),
        licence=options.licence,
        corpora=read_corpora(),
        languages=read_languages(table) if (table := recipe_file(TABLE)) else {},
        pretrained=_pretrained(config),
        decode_options=_decode_options(config, name, model_file, options),
    )  # fmt: skip


def _pretrained(config: Mapping) -> tuple[str, str] | None:
    """Name and licence of the pretrained checkpoint, if it is one of the recipe's."""
    inner = (config.get("frontend_conf") or {}).get("frontend_conf") or {}
    encoder = config.get("encoder_conf") or {}
    holder = config.get(f"{holder_of(config)[0]}_conf") or {}
    own = (holder.get("model_config") or {}).get(SOURCE)  # its ssl_checkpoint
    path = str(inner.get("path_or_url") or encoder.get("w2v_dir_path") or own or "")
    if not path:
        return (str(inner["upstream"]), "unknown") if inner.get("upstream") else None
    try:
        rows = read_checkpoint_table()
    except OSError:
        rows = []
    for row in rows:
        if row["name"] in Path(path).parts:
            return row["name"], row.get("licence") or "unknown"
    return "a pretrained checkpoint", "licence unknown"


def _decode_options(config: Mapping, name: str, model_file: str, options: PackOptions) -> str:
    words = []
    if model_file not in [*model_files(config), "latest.pth"]:
        words.append(f" --model_file {model_file}")
    if options.inference_config:
        words.append(f" --config {name}/{DECODE}")
    if options.lm_dir:
        words.append(f" --lm_dir {name}/{LM}")
    return "".join(words)


def _meta(model_file: str, versions: Mapping[str, str]) -> bytes:
    """ESPnet's list, as its own packer writes it, of the programs that trained it last."""
    meta = {
        "files": {"asr_model_file": model_file},
        "yaml_files": {"asr_train_config": CONFIG},
        "timestamp": EPOCH_SECONDS,
        **{key: versions[key] for key in ("espnet", "python", "torch") if key in versions},
    }
    return yaml.safe_dump(meta).encode()


def _manifest(run: card.Run, members: Mapping[str, Content], options: PackOptions) -> dict:
    """``asr_dro.json`` without the members' checksums."""
    return {
        "format": pack_manifest.FORMAT, "schema": pack_manifest.SCHEMA, "name": run.name,
        "config": CONFIG, "model_file": run.model_file, "tokens": TOKENS,
        "groups": GROUPS if GROUPS in members else None,
        "inference_config": DECODE if DECODE in members else None,
        "lm_dir": LM if options.lm_dir else None,
        "token_type": str(run.config.get("token_type")),
        "num_tokens": len(run.config["token_list"]),
        "num_parameters": run.num_parameters, "languages": list(run.langs),
        "licence": run.licence, "features": card_facts.features_of(run.config),
        "training": dict(run.training), "versions": list(run.versions),
        "packed_by": f"asr-dro {__version__}",
    }  # fmt: skip


def _write(out: Path, members: dict[str, Content], manifest: dict, overwrite: bool) -> None:
    steps = 2 * pack_zip.num_chunks(members.values()) + 1
    with Progress(steps, f"pack {out.name} (MiB)") as bar:
        described = {name: pack_zip.describe(source, bar) for name, source in members.items()}
        manifest = {**manifest, "members": described}
        if out.exists() and not pack_manifest.same_model(out, manifest):
            refuse_earlier([out], overwrite)
        members[PACKED] = pack_manifest.to_bytes(manifest)
        pack_zip.write_zip(out, members, described, bar)
