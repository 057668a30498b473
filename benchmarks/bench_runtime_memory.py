"""Memory of one process that serves a model: by stack, by the length of the pieces it decodes.

    benchmarks/bench_runtime_memory.py [--stacks "conv_ctc quartznet"] [--chunks "10 30 60"]

Each stack is that of a YAML of the recipe with random weights (memory does not ask what they are),
exported to ONNX; a fresh process then loads the folder without torch, and transcribes three minutes
of made speech in pieces of so many seconds (``chunk_length`` of the decoding configuration), with
one thread.  Told are MB of resident memory: with nothing but the program, with the model loaded,
and the highest while it decodes; beside them how fast.  The table is that of docs/serving.md.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
SECONDS, CHUNKS = 180, "10 30 60"
# Name -> the YAML, and keys that are changed (the checkpoints of some are not here).
STACKS = {
    "conv_ctc": ("train_asr_ctc_dro_mini", {}),
    "conformer": ("train_asr_conformer", {}),
    "quartznet": ("train_asr_quartznet15x5", {}),
    "deepspeech2": ("train_asr_deepspeech2", {}),
    "hf_wav2vec2": ("train_asr_hf_xlsr300m", {}),  # of base size: 12 layers of 768
}
KEYS = (
    "frontend", "frontend_conf", "normalize", "normalize_conf", "preencoder", "preencoder_conf",
    "encoder", "encoder_conf", "decoder",
)  # fmt: skip
WORKER = """
import json, sys, time
def resident(key):  # getrusage's figure begins with that of the process that started this one
    with open("/proc/self/status") as stream:
        return next(int(line.split()[1]) / 1024 for line in stream if line.startswith(key))
import numpy, onnxruntime
import soundfile
from asr_dro_plugin.runtime import Recogniser
empty = resident("VmRSS")
folder, audio, chunk = sys.argv[1:]
recogniser = Recogniser(folder, decode={"mode": "greedy", "chunk_length": float(chunk)}, threads=1)
loaded, began = resident("VmRSS"), time.process_time()
try:
    with open("/proc/self/clear_refs", "w") as stream:
        stream.write("5")  # the highest so far, which was while loading, is forgotten
except OSError:
    pass
for piece in recogniser.stream(audio):
    pass
spent = time.process_time() - began
print(json.dumps({"empty": empty, "loaded": loaded, "high": resident("VmHWM"), "spent": spent,
                  "torch": "torch" in sys.modules}))
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stacks", default=" ".join(STACKS))
    parser.add_argument("--chunks", default=CHUNKS, help="seconds")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print the table in Markdown."""
    args = parse_args(argv)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    chunks = args.chunks.split()
    print("| stack | parameters | model.onnx | loaded | "
          + " | ".join(f"pieces of {chunk} s" for chunk in chunks) + " |")  # fmt: skip
    print("|---" * (4 + len(chunks)) + "|")
    for name in args.stacks.split():
        with tempfile.TemporaryDirectory() as folder:
            print(row(name, Path(folder), chunks), flush=True)
    return 0


def row(name: str, folder: Path, chunks: Sequence[str]) -> str:
    """One line of the table."""
    facts = exported(name, folder)
    audio = made_speech(folder / "audio.wav")
    cells, loaded = [], 0.0
    for found in measured(folder / "onnx", audio, chunks):
        loaded = found["loaded"]
        speed = SECONDS / found["spent"]
        cells.append(f"{found['high']:.0f} MB, {speed:.0f} x real time")
    size = (folder / "onnx" / "model.onnx").stat().st_size
    cells = [name, f"{facts['num_parameters'] / 1e6:.1f} M", f"{size / 1e6:.0f} MB",
             f"{loaded:.0f} MB", *cells]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def exported(name: str, folder: Path) -> dict:
    """The stack as a folder for the runtime; its manifest."""
    from asr_dro_plugin.base.yaml_files import load_config
    from asr_dro_plugin.export.onnx.folder import export_onnx
    from tests.export.onnx.exps import write_exp

    yaml, changes = STACKS[name]
    config = load_config(ROOT / f"conf/{yaml}.yaml")
    keys = {key: config[key] for key in KEYS if key in config} | changes
    checkpoint = base_checkpoint(folder / "checkpoint") if "hf" in name else None
    exp = write_exp(folder / "exp", keys, checkpoint)
    return export_onnx(exp, folder / "onnx")


def base_checkpoint(folder: Path) -> Path:
    """wav2vec2 of base size with random weights, as Hugging Face's hub has it."""
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    Wav2Vec2Model(Wav2Vec2Config()).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(folder)
    return folder


def made_speech(path: Path) -> Path:
    """Three minutes of signals like speech, as a file."""
    import numpy as np
    import soundfile

    from asr_dro_plugin.export.onnx.parity import like_speech

    rng = np.random.default_rng(0)
    parts = [like_speech(rng, 10.0) for _ in range(SECONDS // 10)]
    soundfile.write(path, np.concatenate(parts), 16000)
    return path


def measured(folder: Path, audio: Path, chunks: Sequence[str]) -> Iterator[dict]:
    """What a fresh process tells of each length of pieces."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for chunk in chunks:
        command = [sys.executable, "-c", WORKER, str(folder), str(audio), chunk]
        out = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
        found = json.loads(out.splitlines()[-1])
        assert not found["torch"], "the runtime has imported torch"
        yield found


if __name__ == "__main__":
    sys.exit(main())
