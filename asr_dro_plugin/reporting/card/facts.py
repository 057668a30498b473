"""What a run says of itself, as plain data: for the manifest and the card of a packed model.

Files that are not there leave their facts out; nothing is guessed.
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.experiment import IMPORTED, METRICS, PACKED
from asr_dro_plugin.experiment import metrics as metrics_file
from asr_dro_plugin.reporting.read.data_sets import table_of
from asr_dro_plugin.reporting.read.facts import read_seen
from asr_dro_plugin.stack.adapter_settings import uses_adapter
from asr_dro_plugin.stack.adapters import NETWORKS
from asr_dro_plugin.stack.frames import frame_counter
from asr_dro_plugin.stack.names import component_of

NOT_NAMED = "-"  # what seen.json calls a group or corpus that no file names
UNKNOWN = "unknown"
TAG = re.compile(r"\[([a-z]{3})\]")
SLOTS = ("frontend", "preencoder", "encoder", "postencoder")
WORDS = {"default": "log-mel"}  # ESPnet's names that say nothing to others


@dataclass(frozen=True)
class Cell:
    """The training data of a language in a corpus: what there is of it.

    ``speakers`` is None where the data name none (every utterance its own, or no ``utt2spk``).
    """

    lang: str
    corpus: str
    utterances: int
    seconds: float
    longest: float
    speakers: int | None


def languages_of(config: Mapping, groups: Sequence[str] | None) -> list[str]:
    """ISO 639-3 codes: of the tags among the tokens, else of groups that are such codes."""
    tags = [match[1] for token in config.get("token_list") or [] if (match := TAG.fullmatch(token))]
    return sorted(tags) or [name for name in groups or [] if TAG.fullmatch(f"[{name}]")]


def features_of(config: Mapping) -> dict:
    """What turns speech into the network's input and how often it answers."""
    kept = {key: config.get(key) for key in ("frontend", "normalize")}
    confs = {f"{key}_conf": config.get(f"{key}_conf") or {} for key in kept}
    return {
        "sample_rate": SAMPLE_RATE, "frame_shift": frame_counter(config).frame_shift,
        **kept, **confs, "input_size": config.get("input_size"),
    }  # fmt: skip


def training_facts(exp: Path, config: Mapping) -> dict:
    """What was trained on and how long, repeats included; of an unpacked model as its pack says."""
    if (exp / PACKED).is_file():
        return json.loads((exp / PACKED).read_text("utf-8")).get("training", {})
    seen = read_seen(exp)
    return {
        "items_seen": sum(row["utterances"] for row in seen),
        "seconds_seen": round(sum(row["seconds"] for row in seen), 2),
        "seen": seen,
        "epochs": _number_in(exp / "latest.pth", r"(\d+)epoch\.pth"),
        "updates": _updates(exp, int(config.get("accum_grad") or 1)),
        **_of_an_import(exp),
    }


def _of_an_import(exp: Path) -> dict:
    """Corpora and settings of an imported model, as the card of the system says that it is from."""
    if not (exp / IMPORTED).is_file():
        return {}
    return {"imported": json.loads((exp / IMPORTED).read_text("utf-8")).get("card", {})}


def _updates(exp: Path, accum_grad: int) -> int | None:
    """Optimizer steps, as recorded; an older run's from its batches, which name its checkpoint."""
    path = exp / METRICS
    if path.is_file() and (steps := [each.step for each in metrics_file.read_records(path)]):
        return steps[-1]
    batches = _number_in(exp / "checkpoint.pth", r"checkpoint\.(\d+)\.pth")
    return None if batches is None else batches // accum_grad


def _number_in(link: Path, pattern: str) -> int | None:
    """The number in the name of the file that a link leads to."""
    match = re.fullmatch(pattern, link.resolve().name) if link.is_symlink() else None
    return int(match[1]) if match else None


def training_data(config: Mapping, recipe: Path, folder: Path | None) -> list[Cell]:
    """The training set by language and corpus; empty where its folder is not there any more.

    The shape file of ``config``, whose paths start in ``recipe``, says which utterances of the data
    directory ``folder`` were trained on.
    """
    if folder is None:
        return []
    samples = _lengths(config, recipe, folder)
    tables = {name: table_of(folder / name) for name in ("utt2spk", "utt2corpus", "utt2speed")}
    langs = table_of(folder / "utt2lang") or table_of(folder / "utt2category")
    as_recorded = {u for u in samples if float(tables["utt2speed"].get(u, 1)) == 1} or set(samples)
    cells = defaultdict(list)
    for utt_id in sorted(as_recorded):
        key = langs.get(utt_id, NOT_NAMED), tables["utt2corpus"].get(utt_id, UNKNOWN)
        cells[key].append(utt_id)
    return [
        Cell(
            lang, corpus, len(utts), sum(samples[u] for u in utts) / SAMPLE_RATE,
            max(samples[u] for u in utts) / SAMPLE_RATE, _speakers(utts, tables["utt2spk"]),
        )
        for (lang, corpus), utts in sorted(cells.items())
    ]  # fmt: skip


def _lengths(config: Mapping, recipe: Path, folder: Path) -> dict[str, int]:
    """Samples of each utterance that was trained on."""
    shapes = config.get("train_shape_file") or []
    given = table_of(recipe / shapes[0]) if shapes else {}
    given = given or table_of(folder / "utt2num_samples")
    return {utt_id: int(value.split(",")[0]) for utt_id, value in given.items()}


def _speakers(utts: Sequence[str], utt2spk: Mapping[str, str]) -> int | None:
    speakers = {utt2spk.get(utt_id) for utt_id in utts}
    return None if None in speakers or len(speakers) == len(utts) > 1 else len(speakers)


def stack_of(config: Mapping) -> str:
    """The parts of a network in signal order: ``log-mel -> conv_ctc -> CTC``."""
    names = {slot: component_of(dict(config), slot) for slot in SLOTS}
    adapters = f" with adapters ({config.get('adapter')})" if uses_adapter(config) else ""
    words = [
        f"{WORDS.get(name, name)}{adapters if item in NETWORKS else ''}"
        for item in names.items()
        if (name := item[1])
    ]
    return " -> ".join([*words, "CTC"])
