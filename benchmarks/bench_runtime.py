"""The runtime beside sherpa-onnx, onnx-asr and the torch path: one model, one number of threads.

    benchmarks/bench_runtime.py                     the recipe's default stack, random weights
    benchmarks/bench_runtime.py EXP [--threads 2]   a trained experiment

Samples in memory in, text out, an utterance at a time: real recordings of five languages, or made
signals where they are not here (``ASR_DRO_SHARED``).  Rounds are interleaved, so that what else the
machine does meets all alike; told are medians, and the ratio of each to the runtime in one round.
All but the torch path read the same ``model.onnx``.  A program that is not installed is left out.
The demand: not slower than sherpa-onnx, faster than torch; ends with 1 where it is missed.
"""

import argparse
import importlib.util
import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
RATE, ROUNDS, SECONDS = 16000, 9, 60.0
SAME = 0.95  # a ratio that a busy machine makes up
OURS, WITH_TIMES, SHERPA, ONNX_ASR, TORCH = (
    "runtime", "runtime, word times", "sherpa-onnx", "onnx-asr", "torch",
)  # fmt: skip
Engine = Callable[[np.ndarray], str]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("exp", type=Path, nargs="?", help="a trained experiment")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and say whether the demand is met."""
    args = parse_args(argv)
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    from asr_dro_plugin.export.onnx.folder import export_onnx

    with tempfile.TemporaryDirectory() as folder:
        exp = args.exp or random_experiment(Path(folder, "exp"))
        out = Path(folder, "onnx")
        export_onnx(exp, out)
        speech = real_speech() or made_speech()
        engines = {
            OURS: ours(out, args.threads, False), WITH_TIMES: ours(out, args.threads, True),
            SHERPA: sherpa(out, args.threads), ONNX_ASR: onnx_asr(out, args.threads),
            TORCH: torch_path(exp, args.threads),
        }  # fmt: skip
        there = {name: engine for name, engine in engines.items() if engine}
        size = (out / "model.onnx").stat().st_size
        return told(measured(there, speech, args.rounds), speech, size, args.threads)


def ours(folder: Path, threads: int, times: bool) -> Engine:
    """The runtime's text."""
    from asr_dro_plugin.runtime import Recogniser

    recogniser = Recogniser(folder, threads=threads)
    return lambda samples: recogniser.transcribe(samples, times=times).text


def sherpa(folder: Path, threads: int) -> Engine | None:
    """sherpa-onnx's text."""
    if not importlib.util.find_spec("sherpa_onnx"):
        return None
    import sherpa_onnx

    from asr_dro_plugin.export.onnx.peers import LOADER

    load = getattr(sherpa_onnx.OfflineRecognizer, LOADER)
    recogniser = load(
        str(folder / "model.onnx"), tokens=str(folder / "tokens.txt"), num_threads=threads
    )

    def text(samples: np.ndarray) -> str:
        stream = recogniser.create_stream()
        stream.accept_waveform(RATE, samples)
        recogniser.decode_stream(stream)
        return stream.result.text

    return text


def onnx_asr(folder: Path, threads: int) -> Engine | None:
    """onnx-asr's text; the model type is not in its release 0.12, so that it is put in."""
    if not importlib.util.find_spec("onnx_asr"):
        return None
    import onnx_asr.loader

    from asr_dro_plugin.export.int8.sessions import opened
    from tests.export.onnx.test_peers import Wav2Vec2Ctc

    model = Wav2Vec2Ctc(folder)
    model.session = opened(folder / "model.onnx", threads)
    adapter = onnx_asr.loader.Manager()._create_asr_adapter(model)
    return lambda samples: adapter.recognize(samples)


def torch_path(exp: Path, threads: int) -> Engine:
    """The text of the experiment by torch, as ``asr-dro transcribe`` makes it."""
    import torch

    from asr_dro_plugin.audio.read_ahead import SpeechItem
    from asr_dro_plugin.decoding.options import read_decode_config
    from asr_dro_plugin.espnet.decode.transcribers import load_transcriber
    from asr_dro_plugin.experiment.model_files import best_model_file

    torch.set_num_threads(threads)
    config = read_decode_config({"mode": "greedy"})
    transcribe = load_transcriber(exp, best_model_file(exp), "cpu", config)
    return lambda samples: transcribe([SpeechItem("utt", samples)])[0].text


def random_experiment(folder: Path) -> Path:
    """The recipe's default stack as training leaves it, with random weights."""
    from asr_dro_plugin.base.yaml_files import load_config
    from tests.export.onnx.exps import write_exp

    recipe = Path(__file__).resolve().parents[1]
    config = load_config(recipe / "conf/train_asr_ctc_dro_mini.yaml")
    keys = ("frontend", "frontend_conf", "normalize", "encoder", "encoder_conf", "decoder")
    return write_exp(folder, {key: config[key] for key in keys})


def real_speech() -> list[np.ndarray]:
    """Some recordings of each language, a minute in all; none where they are not here."""
    import soundfile

    from tests.shared_files import NotHere, recordings

    try:
        rows = sorted(recordings(), key=lambda row: row["utt_id"])
    except NotHere:
        return []
    by_language: dict[str, list[dict]] = {}
    for row in rows:
        by_language.setdefault(row["lang"], []).append(row)
    found, heard = [], 0.0
    for group in zip(*by_language.values()):
        for row in group:
            samples, _ = soundfile.read(row["audio"], dtype="float32")
            found.append(samples)
            heard += len(samples) / RATE
        if heard > SECONDS:
            break
    return found


def made_speech() -> list[np.ndarray]:
    """Signals like speech, of 1 to 12 seconds."""
    from asr_dro_plugin.export.onnx.parity import like_speech

    rng = np.random.default_rng(0)
    return [like_speech(rng, seconds) for seconds in (1, 2, 3, 4, 5, 6, 8, 9, 10, 12)]


def measured(
    engines: Mapping[str, Engine], speech: Sequence[np.ndarray], rounds: int
) -> dict[str, tuple[list[float], list[str]]]:
    """Seconds of each round, and the texts, by engine."""
    texts = {name: [engine(each) for each in speech] for name, engine in engines.items()}
    names, seconds = list(engines), {name: [] for name in engines}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            begin = time.perf_counter()
            for samples in speech:
                engines[name](samples)
            seconds[name].append(time.perf_counter() - begin)
    return {name: (seconds[name], texts[name]) for name in names}


def told(found: Mapping, speech: Sequence[np.ndarray], size: int, threads: int) -> int:
    """Print the table; 0 where the demand is met."""
    heard = sum(map(len, speech)) / RATE
    base, texts = found[OURS]
    print(f"model.onnx {size / 1e6:.1f} MB, {len(speech)} utterances, {heard:.0f} s of speech, "
          f"{threads} thread{'s' if threads > 1 else ''}")  # fmt: skip
    ratios = {}
    for name, (seconds, theirs) in found.items():
        ratios[name] = median(other / one for one, other in zip(base, seconds, strict=True))
        same = sum(one == other for one, other in zip(texts, theirs, strict=True))
        print(
            f"  {name:20} {heard / median(seconds):7.0f} s of speech a second   "
            f"the runtime is {ratios[name]:5.2f} times as fast   {same} of {len(texts)} texts equal"
        )
    missed = [
        name for name, least in ((SHERPA, SAME), (TORCH, 1.0)) if ratios.get(name, least) < least
    ]
    if missed:
        print(f"MISSED: slower than {' and '.join(missed)}.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
