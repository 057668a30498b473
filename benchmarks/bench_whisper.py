"""The real Whisper base, zero-shot, on real recordings of five languages; one thread.

    benchmarks/bench_whisper.py [--num 20] [--engines "ours transformers"] [--peers DIR]

Each engine decides on the language and writes the text greedily, without time stamps, from samples
to letters.  Ours: an imported experiment in batches, as stage 12 decodes.  The others one utterance
at a time: transformers' ``generate``, and CTranslate2 (what faster-whisper runs on), which is
installed into ``--peers`` or for the moment.  All have their features from the same classes as
their users have them; those of CTranslate2 are transformers'.

Printed: processor time, per utterance the median, error rates by language, and which texts differ
from transformers'.  Ends with 1 where a text of ours differs, or ours takes more than half of
transformers' processor time.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
ENGINES = "ours transformers float32 int8"
PEER = "ctranslate2==4.6.0"
MOST = 440  # tokens of a text
SHARE = 0.5  # of transformers' processor time


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num", type=int, default=20, help="utterances a language; 0: all")
    parser.add_argument("--engines", default=ENGINES)
    parser.add_argument("--peers", type=Path, help="folder that CTranslate2 is installed in")
    return parser.parse_args(argv)


def chosen(num: int) -> list[dict]:
    """Rows of the test set, so many of each language, evenly spread, with their samples."""
    import soundfile

    from tests.shared_files import recordings

    rows = recordings()
    found = []
    for lang in sorted({row["lang"] for row in rows}):
        own = [row for row in rows if row["lang"] == lang]
        count = min(num or len(own), len(own))
        found += [own[place * len(own) // count] for place in range(count)]
    for row in found:
        row["samples"] = soundfile.read(row["audio"], dtype="float32")[0]
    return found


class Clock:
    """Processor time of pieces of work, in seconds an utterance."""

    def __init__(self) -> None:
        self.total, self.each = 0.0, []

    def __call__(self, work: Callable, *args, num: int = 1):
        began = time.process_time()
        found = work(*args)
        spent = time.process_time() - began
        self.total += spent
        self.each += [spent / num] * num
        return found


def ours(folder: Path, work: Path, rows: Sequence[dict], clock: Clock) -> Iterator[str]:
    """Texts, each behind its tag; batches as stage 12 plans them."""
    from asr_dro_plugin.audio.read_ahead import SpeechItem, batches_of
    from asr_dro_plugin.decoding.options import read_decode_config
    from asr_dro_plugin.espnet.decode.transcribers import load_transcriber
    from asr_dro_plugin.importing.sources import ImportOptions, import_model

    import_model("hf", folder, work / "exp", ImportOptions())
    config = read_decode_config({"mode": "greedy"})
    decode = load_transcriber(work / "exp", "model.pth", "cpu", config)
    items = {row["utt_id"]: SpeechItem(row["utt_id"], row["samples"]) for row in rows}
    order = sorted(items, key=lambda name: -items[name].duration)
    durations = {name: item.duration for name, item in items.items()}
    decode([items[order[-1]]])  # what is computed once
    texts = {}
    for batch in batches_of(order, durations, config["batch_duration"]):
        for found in clock(decode, [items[name] for name in batch], num=len(batch)):
            texts[found.utt_id] = found.text
    return (texts[row["utt_id"]] for row in rows)


def transformers(folder: Path, _work: Path, rows: Sequence[dict], clock: Clock) -> Iterator[str]:
    """Texts as ours have them: the likeliest language's tag first."""
    import torch
    from transformers import WhisperForConditionalGeneration, WhisperTokenizer

    model = WhisperForConditionalGeneration.from_pretrained(folder).eval()
    tokenizer, features = WhisperTokenizer.from_pretrained(folder), extractor(folder)
    names = {number: name for name, number in model.generation_config.lang_to_id.items()}

    @torch.inference_mode()
    def said(samples) -> Sequence[int]:
        given = torch.from_numpy(features(samples))
        return model.generate(
            given, task="transcribe", num_beams=1, do_sample=False, return_timestamps=False,
            return_dict_in_generate=True,
        ).sequences[0].tolist()  # fmt: skip

    heard, detect = [], model.detect_language

    def detected(*args, **kwargs):  # generate finds the language, and does not tell
        heard.append(detect(*args, **kwargs))
        return heard[-1]

    model.detect_language = detected
    for row in rows:
        ids = clock(said, row["samples"])
        text = tokenizer.decode(ids, skip_special_tokens=True, errors="ignore")
        yield tagged(names[int(heard[-1][0])], text)


def ctranslate2(folder: Path, work: Path, rows: Sequence[dict], clock: Clock, kind: str):
    """The same by CTranslate2, its weights of ``kind``."""
    import ctranslate2
    from transformers import WhisperTokenizer

    converted = work / "ctranslate2"
    if not converted.is_dir():
        ctranslate2.converters.TransformersConverter(str(folder)).convert(str(converted))
    model = ctranslate2.models.Whisper(
        str(converted), device="cpu", compute_type=kind, intra_threads=1, inter_threads=1
    )
    tokenizer, features = WhisperTokenizer.from_pretrained(folder), extractor(folder)
    prompt = tokenizer.convert_tokens_to_ids(["<|transcribe|>", "<|notimestamps|>"])
    start = tokenizer.convert_tokens_to_ids("<|startoftranscript|>")

    def said(samples) -> tuple[str, Sequence[int]]:
        hidden = model.encode(ctranslate2.StorageView.from_array(features(samples)))
        name = model.detect_language(hidden)[0][0][0]
        begun = [start, tokenizer.convert_tokens_to_ids(name), *prompt]
        found = model.generate(hidden, [begun], beam_size=1, max_length=MOST + len(begun))
        return name, found[0].sequences_ids[0]

    for row in rows:
        name, ids = clock(said, row["samples"])
        yield tagged(name, tokenizer.decode(ids, skip_special_tokens=True, errors="ignore"))


def extractor(folder: Path) -> Callable:
    """Samples (N,) to log-mel features (1, 80, 3000)."""
    from transformers import WhisperFeatureExtractor

    made = WhisperFeatureExtractor.from_pretrained(folder)
    return lambda samples: made(samples, sampling_rate=16000, return_tensors="np").input_features


def tagged(name: str, text: str) -> str:
    """``<|de|>``, `` Guten Tag.`` -> ``[deu] Guten Tag.``"""
    from asr_dro_plugin.text.whisper_languages import WHISPER_LANGUAGES

    words = " ".join(text.replace("\ufffd", "").split())
    return f"[{WHISPER_LANGUAGES[name[2:-2]][0]}] {words}".strip()


def install(peers: Path) -> str:
    """Put CTranslate2 on the path; why it cannot be had, or nothing."""
    if not (peers / "ctranslate2").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--target", str(peers), PEER]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["no word"])[-1]
    sys.path.append(str(peers))
    return ""


def report(name: str, texts: dict[str, str], rows: Sequence[dict], clock: Clock) -> None:
    """One engine's time and error rates."""
    from asr_dro_plugin.scoring.error_rates import score

    references = {row["utt_id"]: row["transcript"] for row in rows}
    langs = {row["utt_id"]: row["lang"] for row in rows}
    found = score(references, texts, langs)
    rates = {lang: 100 * found.rate(lang, "cer") for lang in found.groups}
    by_lang = " ".join(f"{lang} {rate:.1f}" for lang, rate in rates.items())
    macro, lid = statistics.mean(rates.values()), found.total.lid
    print(f"{name:13} {clock.total:7.1f} s, median {statistics.median(clock.each):.2f} s; "
          f"CER macro {macro:.1f} ({by_lang}), WER {100 * found.total.wer.rate:.1f}, "
          f"LID {100 * lid:.0f} %", flush=True)  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    from tests.shared_files import Broken, NotHere, whisper_base

    try:
        folder, rows = whisper_base(), chosen(args.num)
    except (NotHere, Broken) as reason:
        print(f"not measured: {reason}")
        return int(isinstance(reason, Broken))
    import torch

    import asr_dro_plugin.espnet  # noqa: F401  registers our classes

    torch.set_num_threads(1)
    seconds = sum(float(row["duration"]) for row in rows)
    print(f"{len(rows)} utterances, {seconds:.0f} s of speech, one thread", flush=True)
    engines = args.engines.split()
    run: dict[str, dict[str, str]] = {}
    times: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        peers = {"float32", "int8"}.intersection(engines)
        if peers and (fault := install(args.peers or work / "peers")):
            print(f"CTranslate2 is not compared: {fault}")
            engines = [engine for engine in engines if engine not in peers]
        for engine in engines:
            clock = Clock()
            work_of = {"ours": ours, "transformers": transformers}.get(engine)
            given = folder, work, rows, clock
            texts = work_of(*given) if work_of else ctranslate2(*given, engine)
            run[engine] = dict(zip([row["utt_id"] for row in rows], texts, strict=True))
            times[engine] = clock.total
            report(engine, run[engine], rows, clock)
    return judge(run, times)


def judge(run: dict[str, dict[str, str]], times: dict[str, float]) -> int:
    """Ratios and differences against transformers; 1 where ours does not hold."""
    if "transformers" not in run:
        return 0
    theirs = run.pop("transformers")
    for name, texts in run.items():
        differ = [utt_id for utt_id in theirs if texts[utt_id] != theirs[utt_id]]
        ratio = times[name] / times["transformers"]
        equal = f"{len(theirs) - len(differ)} of {len(theirs)} texts equal"
        print(f"{name}: {ratio:.2f} of transformers' processor time, {equal}")
        for utt_id in differ[:5] if name != "ours" else differ:
            print(f"  {utt_id}: {texts[utt_id]!r}, transformers {theirs[utt_id]!r}")
    if "ours" not in run:
        return 0
    return int(run["ours"] != theirs or times["ours"] > SHARE * times["transformers"])


if __name__ == "__main__":
    sys.exit(main())
