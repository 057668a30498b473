"""Greedy decoding beside ESPnet's asr_inference and transformers' batched pipeline; its memory.

One process, models on one thread, loading left out and audio files read on every side:

- 1,000 utterances with a tiny convolutional encoder: our stage 12 (read, decode, write, merge)
  against ESPnet's ``Speech2Text`` with beam 1 and CTC alone, which takes one utterance at a time
  (100 of them, evenly spread over the lengths, scaled up).  Every text must be the collapsed argmax
  of ESPnet's own ``ctc.argmax`` of the utterance alone.
- 200 utterances with a tiny random wav2vec 2.0 and a CTC head in s3prl's frontend, against the same
  weights in transformers' ``pipeline(..., batch_size=...)`` at its best batch size of several, no
  file written on either side.
- the peak memory of decoding 3,000 utterances, against 300.

The sides alternate; the medians of their times are compared.
"""

import dataclasses
import itertools
import logging
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

NUM, SUBSET, REPEATS = 1000, 100, 5
NUM_SSL, REPEATS_SSL = 200, 9
TIMES_ESPNET, TIMES_TRANSFORMERS, MEMORY = 20.0, 1.0, 50.0
HF_BATCHES = (1, 8, 16, 32)
OUR_BATCHES = (60.0, 120.0)  # padded seconds
MODEL = "model.pth"


def main() -> int:
    """Print every ratio; 1 if one is missed or a text differs."""
    import torch

    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data = write_data(root / "data", NUM)
        failed = [
            against_espnet(root, data),
            against_transformers(root, write_data(root / "data_ssl", NUM_SSL)),
            memory(root),
        ]
    return int(any(failed))


def write_data(folder: Path, number: int) -> Path:
    """Utterances of 2 to 9 s of the toy language, as a dumped directory."""
    import numpy as np
    import soundfile

    from asr_dro_plugin.base.kaldi_io import write_table
    from tests import toy

    rng = np.random.default_rng(1)
    folder.mkdir()
    scp, lengths = {}, {}
    tones = {letter: toy.tone(letter, "eng") for letter in toy.LETTERS}
    for utt in range(number):
        words = rng.choice(toy.WORDS["eng"], size=rng.integers(4, 18))
        samples = np.concatenate([tones[letter] for letter in " ".join(words)])
        samples = samples + 0.001 * rng.standard_normal(len(samples))
        path = folder / f"utt{utt:04d}.flac"
        soundfile.write(path, samples, toy.RATE)
        scp[path.stem], lengths[path.stem] = str(path), str(len(samples))
    write_table(folder / "wav.scp", scp)
    write_table(folder / "utt2num_samples", lengths)
    return folder


def trained(root: Path) -> Path:
    """A tiny experiment of some epochs, which says something."""
    from asr_dro_plugin.espnet.task import DROASRTask
    from tests.espnet.conftest import arguments, make_dump, write_config

    config = write_config(root / "train.yaml", max_epoch=10, optim_conf={"lr": 0.02})
    exp = root / "exp"
    DROASRTask.main(cmd=arguments(make_dump(root / "dump", num=24), exp, config))
    (exp / "valid.cer_ctc.best.pth").rename(exp / MODEL)
    return exp


def transcriber_of(exp: Path):
    """Our greedy decoding of an experiment."""
    from asr_dro_plugin.decoding.options import read_decode_config
    from asr_dro_plugin.espnet.decode.transcribers import load_transcriber

    return load_transcriber(exp, MODEL, "cpu", read_decode_config({"mode": "greedy"}))


class Ours:
    """Stage 12 on a data directory: every call decodes it anew, and times its parts."""

    def __init__(self, exp: Path, data: Path, out: Path) -> None:
        from asr_dro_plugin.decoding import parts as decode_parts

        self.data, self.out = data, out
        self.transcriber = transcriber_of(exp)
        self.durations = decode_parts.read_durations(data)
        self.spent: dict[str, float] = {}
        self.recogniser = self.transcriber.recogniser
        model = self.recogniser.model
        model.encode = self._timed("encoder", model.encode)
        self.transcriber.decoder = self._timed("best path", self.transcriber.decoder)

    def _timed(self, name, function):
        def call(*args, **kwargs):
            begin = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.spent[name] = self.spent.get(name, 0) + time.perf_counter() - begin

        return call

    def __call__(self) -> float:
        """Seconds."""
        from asr_dro_plugin.decoding import parts as decode_parts
        from asr_dro_plugin.decoding.command_line import Request
        from asr_dro_plugin.espnet.decode.transcribers import decode_rest
        from asr_dro_plugin.transcripts.partial import GrowingHypotheses

        begin = time.perf_counter()
        utt_ids = decode_parts.part_of(self.durations, 1, 1)
        growing = GrowingHypotheses(decode_parts.part_file(self.out, 1, 1), {}, utt_ids)
        places = decode_parts.Locations(self.data, {})
        config = {"batch_duration": self.transcriber.settings.batch_duration}
        request = Request(None, config, None, None, strict=True)
        decode_rest(self.transcriber, request, growing, utt_ids, self.durations, places)
        merged = time.perf_counter()
        decode_parts.merge(self.data, self.out, 1, ("text", "jsonl"))
        self.spent["merge"] = self.spent.get("merge", 0) + time.perf_counter() - merged
        return time.perf_counter() - begin

    def said(self) -> dict[str, str]:
        """Texts without any file written, as transformers' pipeline gives them."""
        from asr_dro_plugin.audio.read_ahead import batches_of, read_ahead
        from asr_dro_plugin.decoding import parts as decode_parts

        utt_ids = decode_parts.part_of(self.durations, 1, 1)
        places = decode_parts.Locations(self.data, {})
        batches = batches_of(utt_ids, self.durations, self.transcriber.settings.batch_duration)
        batches = ([places[utt_id] for utt_id in batch] for batch in batches)
        return {
            each.utt_id: each.text
            for batch in read_ahead(batches)
            for each in self.transcriber(batch)
        }

    def texts(self) -> dict[str, str]:
        """What the last call wrote."""
        from asr_dro_plugin.base.kaldi_io import read_table

        return read_table(self.out / "text")


def against_espnet(root: Path, data: Path) -> bool:
    """Throughput and texts beside ``Speech2Text``; whether something is missed."""
    from espnet2.bin.asr_inference import Speech2Text

    import asr_dro_plugin.espnet  # noqa: F401
    from asr_dro_plugin.base.kaldi_io import read_table

    exp = trained(root)
    ours = Ours(exp, data, root / "out")
    espnet = Speech2Text(str(exp / "config.yaml"), str(exp / MODEL), beam_size=1, ctc_weight=1.0)
    scp = read_table(data / "wav.scp")
    by_length = sorted(scp, key=ours.durations.get)
    subset = by_length[:: len(scp) // SUBSET]
    theirs: dict[str, str] = {}
    seconds: tuple[list[float], list[float]] = ([], [])
    ours(), espnet(read(scp[subset[0]]))  # warm
    ours.spent.clear()
    for turn in range(REPEATS):
        seconds[0].append(ours())
        begin = time.perf_counter()
        for utt_id in subset[turn::REPEATS]:
            theirs[utt_id] = espnet(read(scp[utt_id]))[0][0] or ""
        share = len(subset[turn::REPEATS]) / len(scp)
        seconds[1].append((time.perf_counter() - begin) / share)
    texts, parts = ours.texts(), shares(ours.spent, sum(seconds[0]))
    wrong = sum(texts[utt_id] != collapsed(ours, scp[utt_id]) for utt_id in scp)
    differing = sum(texts[utt_id].split() != theirs[utt_id].split() for utt_id in subset)
    mine, other = map(statistics.median, seconds)
    audio = sum(ours.durations.values())
    print(f"{len(scp)} utterances, {audio / 60:.0f} minutes, {len(set(texts.values()))} texts")
    print(f"  ours {mine:.2f} s ({audio / mine:.0f} times real time); asr_inference with beam 1 "
          f"{other:.1f} s (from {SUBSET}): {other / mine:.0f} times, "
          f"at least {TIMES_ESPNET:.0f} wanted")  # fmt: skip
    print(f"  texts other than the collapsed ctc.argmax: {wrong}; other than beam 1: "
          f"{100 * differing / len(subset):.0f} %")  # fmt: skip
    print(f"  where our time goes: {parts}")
    return wrong > 0 or other / mine < TIMES_ESPNET


def shares(spent: dict[str, float], total: float) -> str:
    """Parts of a time in percent; the rest is waiting for audio, times, text and writing."""
    rest = total - sum(spent.values())
    return ", ".join(f"{k} {100 * v / total:.0f} %" for k, v in {**spent, "rest": rest}.items())


def read(path: str):
    """Samples of a file."""
    import soundfile

    return soundfile.read(path, dtype="float32")[0]


def collapsed(ours: Ours, path: str) -> str:
    """Text of the collapsed argmax of ESPnet's own CTC, the utterance alone."""
    import torch

    from asr_dro_plugin.decoding.greedy import tokens_to_text

    samples = torch.from_numpy(read(path))[None]
    model = ours.recogniser.model
    with torch.no_grad():
        encoded, _ = model.encode(samples, torch.tensor([samples.shape[1]]))
        best = model.ctc.argmax(encoded)[0].tolist()
    ids = [token for token, _ in itertools.groupby(best) if token != model.blank_id]
    return tokens_to_text(ids, ours.recogniser.tokens, ours.recogniser.token_type)


def against_transformers(root: Path, data: Path) -> bool:
    """The same wav2vec 2.0 in both; whether ours is slower or says something else."""
    from asr_dro_plugin.base.kaldi_io import read_table

    exp, pipe = wav2vec2_twins(root)
    ours = Ours(exp, data, root / "out_ssl")
    scp = read_table(data / "wav.scp")
    paths = [scp[utt_id] for utt_id in sorted(scp, key=ours.durations.get, reverse=True)]
    mine: dict[float, list[float]] = {size: [] for size in OUR_BATCHES}
    others: dict[int, list[float]] = {size: [] for size in HF_BATCHES}
    theirs: dict[str, str] = {}
    ours.said()  # warm
    for _turn in range(REPEATS_SSL):
        for size in OUR_BATCHES:
            settings = dataclasses.replace(ours.transcriber.settings, batch_duration=size)
            ours.transcriber.settings = settings
            begin = time.perf_counter()
            texts = ours.said()
            mine[size].append(time.perf_counter() - begin)
        for size in HF_BATCHES:
            begin = time.perf_counter()
            items = ({"raw": read(path), "sampling_rate": 16000} for path in paths)
            said = [each["text"] for each in pipe(items, batch_size=size)]
            others[size].append(time.perf_counter() - begin)
            if size == 1:  # a batch's padding is decoded too: noise behind the shorter texts
                theirs = dict(zip(paths, said, strict=True))
            noisy = sum(theirs[path] != text for path, text in zip(paths, said, strict=True))
    same = sum(letters(texts[utt_id]) == letters(theirs[path]) for utt_id, path in scp.items())
    ratio = min(medians(others)) / min(medians(mine))
    print(f"{len(scp)} utterances with a tiny wav2vec 2.0: ours {listed(mine, 'seconds a batch')}; "
          f"transformers' pipeline {listed(others, 'utterances a batch')}; "
          f"{ratio:.2f} times, each at its best, at least 1 wanted")  # fmt: skip
    print(f"  texts equal to transformers' alone: {same} of {len(scp)} ({len(set(texts.values()))} "
          f"texts; {noisy} of its own differ in a batch)")  # fmt: skip
    return ratio < TIMES_TRANSFORMERS or same < 0.99 * len(scp)


def medians(times: dict) -> list[float]:
    """Seconds of each way."""
    return [statistics.median(each) for each in times.values()]


def listed(times: dict, unit: str) -> str:
    """Ways with their seconds."""
    words = [f"{t:.2f} s ({size:g})" for size, t in zip(times, medians(times), strict=True)]
    return f"{', '.join(words)} [{unit}]"


def letters(text: str) -> str:
    """The symbols alone: transformers sets no space around a tag, and writes ``<sos/eos>``."""
    return "".join(text.replace("<sos/eos>", "").split())


def wav2vec2_twins(root: Path):
    """One random model as an experiment of ours, and as transformers' pipeline."""
    import json

    import torch
    from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC
    from transformers import pipeline as build_pipeline

    from asr_dro_plugin.espnet.task import DROASRTask
    from tests.espnet.conftest import arguments, write_config
    from tests.tool_modules import load_tool

    load_tool("make_tiny_ssl").main([str(root / "ssl")])
    config = write_config(
        root / "ssl.yaml", frontend="s3prl", frontend_conf={"multilayer_feature": False},
        normalize="none", encoder="identity", encoder_conf={}, ssl_checkpoint=str(root / "ssl/hf"),
    )  # fmt: skip
    exp = root / "exp_ssl"
    DROASRTask.main(cmd=[*arguments(root / "dump", exp, config), "--dry_run", "true"])
    model, args = DROASRTask.build_model_from_file(exp / "config.yaml")
    vocab = {token: number for number, token in enumerate(args.token_list)}
    (root / "vocab.json").write_text(json.dumps(vocab))
    head = Wav2Vec2ForCTC.from_pretrained(
        root / "ssl/hf", vocab_size=len(vocab), pad_token_id=model.blank_id
    ).eval()
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(1, 80000, generator=generator)
    weight = torch.randn(head.lm_head.weight.shape, generator=generator)
    with torch.no_grad():
        mean = head.wav2vec2(noise).last_hidden_state.mean(dim=(0, 1))
        for layer in (model.ctc.ctc_lo, head.lm_head):
            layer.weight.copy_(weight)
            layer.bias.copy_(-weight @ mean)  # so that the likeliest symbol changes
    torch.save(model.state_dict(), exp / MODEL)
    tokenizer = Wav2Vec2CTCTokenizer(
        root / "vocab.json", pad_token="<blank>", unk_token="<unk>", word_delimiter_token="<space>",
        bos_token="<sos/eos>", eos_token="<sos/eos>",
    )  # fmt: skip
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(root / "ssl/hf")
    return exp, build_pipeline(
        "automatic-speech-recognition", model=head, tokenizer=tokenizer,
        feature_extractor=extractor, device="cpu",
    )  # fmt: skip


def memory(root: Path) -> bool:
    """Peak of a process that decodes 3,000 utterances over one with 300; whether it is too much."""
    from tests.espnet import decoding
    from tests.espnet.decode.test_decoding_memory import SECONDS, data_of, peak

    peaks = {}
    for number in (300, 3000):
        data = data_of(root / "dump", root / f"data{number}", number)
        words = decoding.words(root / "exp", data, root / f"out{number}", seconds=4.0 * SECONDS)
        peaks[number] = peak([*words, "--model_file", MODEL])
    more = peaks[3000] - peaks[300]
    print(f"peak memory: 300 utterances {peaks[300]:.0f} MB, 3,000 {peaks[3000]:.0f} MB: "
          f"{more:.0f} MB more, less than {MEMORY:.0f} wanted")  # fmt: skip
    return more >= MEMORY


if __name__ == "__main__":
    sys.exit(main())
