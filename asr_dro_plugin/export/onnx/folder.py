"""``asr-dro export --to onnx``: a trained experiment as a folder for every runtime of ONNX.

The folder is whole or absent: what a graph computes is compared with torch before it is there.
"""

import json
import logging
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from asr_dro_plugin import __version__
from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.base.files import sha256_of, share
from asr_dro_plugin.base.new_folder import new_folder
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.base.quiet_terminal import quiet_import
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment.model_files import best_model_file, find_model_file
from asr_dro_plugin.export.int8.choice import card_section
from asr_dro_plugin.export.int8.data import measuring_folder
from asr_dro_plugin.export.int8.errors import SIGNIFICANT, LossGate
from asr_dro_plugin.export.int8.measure import add_int8, setting_of
from asr_dro_plugin.export.onnx import parity, peers, trace
from asr_dro_plugin.export.onnx.forms import SpeechToLogProbs, obstacles
from asr_dro_plugin.export.pack import (
    PackOptions,
    describe_run,
    groups_of,
    language_models,
    read_training,
    scores_of,
    with_own_decoding,
)
from asr_dro_plugin.packing.weights import model_of
from asr_dro_plugin.reporting.card import facts as card_facts
from asr_dro_plugin.reporting.card.model_card import Run, write_card
from asr_dro_plugin.runtime import manifest as schema
from asr_dro_plugin.stack.adapter_settings import uses_adapter
from asr_dro_plugin.stack.combinations import loss_of
from asr_dro_plugin.stack.frames import frame_counter
from asr_dro_plugin.stack.names import SLOTS, component_of
from asr_dro_plugin.stack.receptive_field import receptive_field
from asr_dro_plugin.text.tokens import BLANK

BPE = "bpe.model"
TRACED_SECONDS = 1.7  # of the noise that the graph is traced on


@dataclass(frozen=True)
class OnnxOptions:
    """What a user chooses of an export; None takes what the experiment says.

    ``inference_config`` and ``lm_dir`` become the folder's defaults of decoding.  ``int8``: fewer
    bits are tried, measured on ``int8_data`` (None: the validation set) and held to ``int8_gate``.
    """

    model_file: str | None = None
    inference_config: str | None = None
    lm_dir: str | None = None
    licence: str = "unknown"
    opset: int = trace.OPSET
    external_data: bool | None = None
    int8: bool = False
    int8_data: str | None = None
    int8_gate: str = SIGNIFICANT


@dataclass
class Export:
    """A folder while it is made: what further precisions add to, before the manifest is written.

    Attributes:
        folder: under its temporary name.
        exp, config, run, options: of the experiment; ``run`` is what the card is written from.
        recogniser: the model by torch; None once it is traced, which uses it up.
        speech, reference: what graphs are compared on, and what torch says to it.
        manifest: the facts so far.
        sections: title -> lines in Markdown, for the card.
    """

    folder: Path
    exp: Path
    config: Mapping[str, Any]
    options: OnnxOptions
    recogniser: Any
    run: Run
    manifest: dict[str, Any]
    speech: parity.Speech
    reference: Sequence[parity.Logs]
    sections: dict[str, Sequence[str]] = field(default_factory=dict)

    @property
    def fp32(self) -> Path:
        """The graph in single precision."""
        return self.folder / schema.MODEL[schema.FP32]


def export_onnx(
    exp: str | os.PathLike, out: str | os.PathLike, options: OnnxOptions | None = None
) -> dict[str, Any]:
    """Write the folder ``out``; returns its manifest.

    Raises:
        UserError: a stack without CTC or without a form, no such model, ``out`` is there already,
            a graph that does not compute what torch does.
    """
    import onnx  # noqa: F401  both are told missing before a model is loaded
    import onnxruntime  # noqa: F401

    exp = Path(exp)
    options = with_own_decoding(exp, options or OnnxOptions())
    config = read_training(exp)
    refuse(exp, config)
    if options.opset not in trace.OPSETS:
        first, last = trace.OPSETS[0], trace.OPSETS[-1]
        raise UserError(f"--opset {options.opset} cannot be written. Legal: {first} to {last}.")
    model_file = options.model_file or best_model_file(exp)
    find_model_file(exp, model_file)
    if decoder := component_of(config, "decoder"):
        logging.warning("%s: its decoder (%s) is left out, CTC alone is exported.", exp, decoder)
    decode = read_decode_config(options.inference_config or {"mode": "greedy"})
    measuring = _measuring(exp, config, options)
    with new_folder(out) as folder:
        made = _begun(folder, exp, config, replace(options, model_file=model_file), decode)
        _write_fp32(made)
        if measuring:
            _write_int8(made, *measuring)
        _finish(made)
    return made.manifest


def refuse(exp: Path, config: Mapping) -> None:
    """Refuse an experiment whose stack cannot become a graph, with what can be done instead."""
    loss = loss_of(config)
    if loss in ("ce", "transducer"):
        what = "a transducer" if loss == "transducer" else "trained without CTC"
        raise UserError(
            f"{exp} is {what}, and only frames of CTC can be exported to onnx. Give the model away "
            "with asr-dro pack, or train it with model_conf.ctc_weight: 1.0."
        )
    if BLANK not in (config.get("token_list") or ()):
        raise UserError(f"{exp} has no {BLANK} among its tokens, and no graph without one.")
    for problem in obstacles(config):
        raise UserError(f"{exp} cannot be exported to onnx: {problem}")


def _begun(
    folder: Path, exp: Path, config: Mapping, options: OnnxOptions, decode: Mapping
) -> Export:
    """The model by torch, its facts, and what it says to the speech for comparison."""
    with quiet_import():
        from asr_dro_plugin.espnet.decode.inference import load_recogniser
        from asr_dro_plugin.espnet.start.adapters import merge_adapters

        recogniser = load_recogniser(exp, options.model_file)
    state = model_of(recogniser.model.state_dict())
    num_parameters = sum(tensor.numel() for tensor in state.values())
    packed = PackOptions(options.model_file, options.inference_config, licence=options.licence)
    scores = scores_of(exp, options.model_file, packed)
    name = Path(os.path.abspath(exp)).name
    run = describe_run(exp, config, name, options.model_file, num_parameters, scores, packed)
    facts = facts_of(config, recogniser, run, options, decode)
    speech = parity.speech_of(exp, config, facts["min_samples"], facts["longest"])
    reference = parity.reference_of(recogniser, speech)
    if uses_adapter(config) and config.get("adapter") == "lora":
        merge_adapters(recogniser.model)
    return Export(folder, exp, config, options, recogniser, run, facts, speech, reference)


def facts_of(
    config: Mapping, recogniser: Any, run: Run, options: OnnxOptions, decode: Mapping
) -> dict[str, Any]:
    """The manifest's part that the graph carries, too."""
    frames, field_of = frame_counter(config), receptive_field(config)
    shift, kind = frames.frame_shift, str(config.get("token_type") or "char")
    names = {slot: component_of(config, slot) for slot in SLOTS if slot != "specaug"}
    normalizers = {report["normalizer"] for report in run.reports}
    return {
        "format": schema.FORMAT, "schema": schema.SCHEMA, "name": run.name,
        "made_by": f"asr-dro {__version__}",
        "inputs": dict(schema.INPUTS), "outputs": dict(schema.OUTPUTS),
        "tokens": list(config["token_list"]), "blank_id": int(recogniser.model.blank_id),
        "token_type": kind, "bpe_model": BPE if bpe_of(config) else None,
        "sample_rate": SAMPLE_RATE, "frame_shift": shift,
        "frame_shift_samples": round(shift * SAMPLE_RATE),
        "min_samples": frames.min_samples, "exact_frames": frames.exact,
        "receptive_field_samples": field_of.num_samples if field_of.is_finite else None,
        "longest": None if recogniser.longest is None else float(recogniser.longest),
        "languages": list(run.langs), "groups": groups_of(config),
        "text_rule": {"normalizer": normalizers.pop() if len(normalizers) == 1 else None},
        "features": card_facts.features_of(config),
        "stack": {slot: name for slot, name in names.items() if name},
        "decode": dict(decode), "opset": options.opset, "training": dict(run.training),
        "num_parameters": run.num_parameters, "licence": run.licence, "int8": None,
    }  # fmt: skip


def _write_fp32(made: Export) -> None:
    """The graph, compared with torch, and what is read beside it."""
    steps = parity.num_comparisons(made.speech) + 1
    with Progress(steps, f"export {made.exp.name}") as bar:
        seconds = TRACED_SECONDS + made.manifest["min_samples"] / SAMPLE_RATE
        trace.write_graph(
            SpeechToLogProbs(made.recogniser.model, made.config).eval(), made.fp32, seconds,
            schema.in_graph(made.manifest), made.options.opset, made.options.external_data,
        )  # fmt: skip
        made.recogniser = None  # twice the weights are enough
        bar.advance(1, "written")
        worst = parity.compare(made.fp32, made.speech, made.reference, bar)
    made.manifest["parity"] = {"max_abs_diff": worst, "on": made.speech.what}
    names = sorted(path.name for path in made.folder.iterdir())
    made.manifest["precisions"] = {schema.FP32: {"file": made.fp32.name, "members": names}}
    made.manifest["default_precision"] = schema.FP32


def _measuring(exp: Path, config: Mapping, options: OnnxOptions) -> tuple[Path, LossGate] | None:
    """What fewer bits are measured on, and their gate; None where they are not asked for."""
    if not options.int8:
        return None
    given = Path(options.int8_data) if options.int8_data else None
    return measuring_folder(given, exp, config), LossGate.of(options.int8_gate)


def _write_int8(made: Export, data_dir: Path, gate: LossGate) -> None:
    """The graph of fewer bits that is chosen, if any, and what was measured of all."""
    setting = setting_of(made.exp, made.config, made.manifest, data_dir, gate)
    facts = add_int8(made.fp32, setting)
    made.manifest["int8"], made.sections["Fewer bits"] = facts, card_section(facts)
    if facts["chosen"] == schema.FP32:
        return
    file = made.folder / schema.MODEL[schema.INT8]
    names = sorted(path.name for path in made.folder.glob(f"{file.name}*"))
    made.manifest["precisions"][schema.INT8] = {
        "file": file.name, "members": names, "kind": facts["chosen"],
        "by_company": facts["by_company"],
    }  # fmt: skip
    made.manifest["default_precision"] = schema.INT8


def _finish(made: Export) -> None:
    """All else of the folder, the manifest last."""
    folder, facts = made.folder, made.manifest
    files = peers.files_of(facts["tokens"], facts["blank_id"], facts["frame_shift_samples"])
    for name, content in files.items():
        (folder / name).write_bytes(content)
    if facts["bpe_model"]:
        shutil.copyfile(bpe_of(made.config), folder / BPE)
    facts["lm_dir"] = _copied_lms(made)
    facts["peers"], facts["card"] = peers.peers_of(made.config), schema.CARD
    run = replace(made.run, use=how_to_use(facts), sections=made.sections)
    (folder / schema.CARD).write_text(write_card(run), "utf-8")
    facts["members"] = {
        str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    text = json.dumps(facts, ensure_ascii=False, indent=1, allow_nan=False)
    (folder / schema.MANIFEST).write_text(text + "\n", "utf-8")


def bpe_of(config: Mapping) -> Path | None:
    """The model of the pieces; None where there is none, or where it has been moved away."""
    source = config.get("bpemodel") if config.get("token_type") == "bpe" else None
    return Path(source) if source and Path(source).is_file() else None


def _copied_lms(made: Export) -> str | None:
    if made.options.lm_dir is None:
        return None
    for name, path in language_models(Path(made.options.lm_dir)).items():
        target = made.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        share(target)
    return schema.LM


def how_to_use(facts: Mapping[str, Any]) -> list[str]:
    """The card's section: by asr-dro, in Python, by others."""
    name, peer = facts["name"], facts["peers"][peers.SHERPA]
    other = "" if peer["same_text"] else f" It may write another text: {peer['why']}."
    return [
        "With asr-dro, which also verifies every file (`pip install 'asr-dro[serve]'`, no torch):",
        "",
        "```bash",
        f"asr-dro transcribe audio.wav --exp {shlex.quote(name)}  # where this folder lies",
        "```",
        "",
        "```python",
        "from asr_dro_plugin.runtime import Recogniser",
        "",
        f'print(Recogniser("{name}").transcribe("audio.wav").text)',
        "```",
        "",
        f"The graph `{schema.MODEL[schema.FP32]}` takes `{schema.INPUTS['speech']}`, float32 "
        f"(batch, samples) at {SAMPLE_RATE} Hz in -1..1 with zeros behind each utterance, and",
        f"`{schema.INPUTS['lengths']}`, int64 (batch,), which may be left out; it gives "
        f"`{schema.OUTPUTS['log_probs']}` (batch, frames, tokens) and `{schema.OUTPUTS['lengths']}`"
        " (batch,).",
        "",
        f"onnx-asr loads the folder as `{peers.MODEL_TYPE}`, sherpa-onnx as "
        f"`OfflineRecognizer.{peers.LOADER}` with `tokens.txt`.{other}",
    ]
