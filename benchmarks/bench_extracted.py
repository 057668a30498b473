"""A training epoch from features that were computed once, beside one with the encoder in the loop.

Frozen Whisper base (random weights: they change no times) under a small head, three residual
convolutions of width 160 on its last and two middle layers in frames of 40 ms, and under the stacks
of ``--configs``, on noise of the lengths that a corpus of short utterances has, float32, one
thread, one process.  What is left from features is the head's own work, so the ratio is the head's
as much as the encoder's.  Both sides train the same batches with the task's own model, loader,
stepper and updater; one reads float16 matrices, the other FLAC.  Then the extraction (reading, mel,
encoder, float16, writing) beside transformers' encoder with ``output_hidden_states`` on mel
features that it is given, the same utterances in the same batches, at their own length:
transformers insists on 30 s, so its positions are cut for it.

    benchmarks/bench_extracted.py [--seconds 120] [--rounds 3] [--configs conf/X.yaml ...]

Printed: processor milliseconds for each second of speech, medians over the rounds, and the ratios.
Ends with 1 where an epoch of the small head is less than ten times as fast, or the extraction
slower.
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = "conf/train_asr_whisper_ctc.yaml"
TEN_MINUTES = "conf/train_asr_whisper_ctc_10min.yaml"
SMALL = {
    "frontend_conf": {"layers": [3, 4, -1], "pool": 2}, "preencoder": None, "preencoder_conf": {},
    "normalize": None, "encoder": "conv_ctc",
    "encoder_conf": {"hidden_size": 160, "num_blocks": 3, "kernel_size": 7, "strides": [1]},
}  # fmt: skip
WHISPER, RATE, EPOCH, EXTRACTION = "openai/whisper-base", 16000, 10.0, 1.0
TOKENS = ["<blank>", "<unk>", "<space>", *map(chr, range(97, 123)), "<sos/eos>"]
# Of Debian's thirteen languages: median 1.9 s, up to 20 s.
MEDIAN, SPREAD, SHORTEST, LONGEST = 1.9, 0.6, 0.5, 20.0


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0, help="of speech")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--configs", nargs="*", default=[TEN_MINUTES, PUBLISHED])
    return parser.parse_args(argv)


def write_corpus(folder: Path, seconds: float) -> Path:
    """A set as stage 4 leaves it: FLAC in an archive, texts of 12 letters a second."""
    import kaldiio
    import numpy as np

    rng = np.random.default_rng(0)
    tables = {name: [] for name in ("wav.scp", "text", "utt2num_samples", "utt2group")}
    folder.mkdir()
    with open(folder / "wav.ark", "wb") as ark:
        while seconds > 0:
            utt_id = f"utt{len(tables['text']):05d}"
            length = float(np.exp(rng.normal(np.log(MEDIAN), SPREAD)).clip(SHORTEST, LONGEST))
            seconds -= length
            samples = (3000 * rng.standard_normal(int(length * RATE))).clip(-32768, 32767)
            start = ark.tell() + len(utt_id) + 1
            kaldiio.save_ark(
                ark, {utt_id: (RATE, samples.astype(np.int16))}, write_function="soundfile",
                write_kwargs={"format": "FLAC", "subtype": "PCM_16"},
            )  # fmt: skip
            text = "".join(rng.choice(list("abcdefghij "), int(length * 12) + 1)).strip() or "a"
            values = f"{folder}/wav.ark:{start}", " ".join(text.split()), len(samples), 0
            for name, value in zip(tables, values, strict=True):
                tables[name].append(f"{utt_id} {value}")
    for name, lines in tables.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def config_of(path: str, **changes) -> dict:
    """A stack on Whisper base with random weights, without a checkpoint."""
    from asr_dro_plugin.base.yaml_files import load_config
    from asr_dro_plugin.pretrained.whisper_sizes import published_config

    config = {**load_config(ROOT / path), **changes}
    del config["ssl_checkpoint"]
    conf = {**config.get("frontend_conf", {}), "model_config": published_config(WHISPER)}
    own = {"num_workers": 0, "max_epoch": 1, "num_iters_per_epoch": None, "token_type": "char"}
    return {**config, **own, "frontend_conf": conf, "scheduler": None, "scheduler_conf": {}}


class Side:
    """The task's model, sampler, loader, stepper and updater, on speech or on features."""

    def __init__(self, config: dict, data: Path, features: Path | None, folder: Path) -> None:
        import torch
        import yaml

        from asr_dro_plugin.espnet.process.distributed import Ranks
        from asr_dro_plugin.espnet.run.steps import Stepper
        from asr_dro_plugin.espnet.run.updates import SkippedSteps, Updater
        from asr_dro_plugin.espnet.start.checks import model_conf_of
        from asr_dro_plugin.espnet.task import DROASRTask

        (folder / "train.yaml").write_text(yaml.safe_dump(config))
        (folder / "tokens.txt").write_text("\n".join(TOKENS) + "\n")
        words = ["--config", str(folder / "train.yaml"), "--output_dir", str(folder / "exp")]
        words += ["--token_list", str(folder / "tokens.txt")]
        words += ["--train_shape_file", str(data / "utt2num_samples")]
        speech = f"{data}/wav.scp,speech,kaldi_ark"
        if features:
            speech = f"{features}/feats.scp,speech,float16_ark"
        more = "text,text,text", "utt2group,group_ids,text_int"
        more += ("utt2num_samples,num_samples,text_int",) * bool(features)
        for value in (speech, *(f"{data}/{each}" for each in more)):
            words += ["--train_data_path_and_name_and_type", value]
        self.task, self.args = DROASRTask, DROASRTask.get_parser().parse_args(words)
        self.args.groups, self.args.ngpu = ["all"], 0
        self.args.model_conf = model_conf_of(self.args)
        torch.manual_seed(0)
        self.model = DROASRTask.build_model(self.args)
        optimizer = DROASRTask.build_optimizers(self.args, self.model)[0]
        ranks = Ranks()
        self.updater = Updater(
            self.model, [optimizer], [None], None, self.args, ranks, SkippedSteps(0)
        )
        self.stepper = Stepper(self.model, None, 1, ranks, on_gpu=False)

    def epoch(self) -> float:
        """Processor seconds of an epoch; its first batch is trained before the clock runs."""
        from espnet2.train.distributed_utils import DistributedOption

        factory = self.task.build_iter_factory(
            args=self.args, distributed_option=DistributedOption(), mode="train"
        )
        self.model.train()
        batches = [[factory.utt_ids[index] for index in batch] for batch in factory.plan()]
        self._step(0, factory.load(batches[0]))
        began = time.process_time()
        for step, names in enumerate(batches, 1):
            self._step(step, factory.load(names))
        return time.process_time() - began

    def _step(self, step: int, item: tuple) -> None:
        self.stepper.backward(*item, timer=untimed)
        self.updater.update(step, untimed)


def untimed(_name):
    """No timer."""
    return contextlib.nullcontext()


def extracted(config: dict, data: Path, out: Path) -> float:
    """Processor seconds in which the features of a set are made."""
    from asr_dro_plugin.data.feature_sets import FeatureSet
    from asr_dro_plugin.espnet.extract.extraction import build_frontend, extract

    frontend, features = build_frontend(config, "cpu"), FeatureSet(str(data), str(out), 1, {})
    began = time.process_time()
    extract(features, 1, frontend)
    features.merge()
    return time.process_time() - began


def transformers_seconds(data: Path) -> float:
    """Processor seconds of transformers' encoder on the batches that the extraction makes."""
    import torch
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    from asr_dro_plugin.audio.read_ahead import batches_of
    from asr_dro_plugin.data.feature_sets import FeatureSet
    from asr_dro_plugin.espnet.extract.extraction import BATCH_SECONDS
    from asr_dro_plugin.pretrained.whisper_sizes import published_config

    encoder = WhisperEncoder(WhisperConfig(**published_config(WHISPER))).eval()
    positions = encoder.embed_positions.weight.detach()
    features = FeatureSet(str(data), "", 1, {})
    batches = batches_of(features.utt_ids_of(1), features.durations, BATCH_SECONDS["cpu"])
    spent = 0.0
    for batch in [batches[0], *batches]:
        frames = (int(100 * features.durations[batch[0]]) + 1) // 2
        encoder.config.max_source_positions = frames
        encoder.embed_positions = torch.nn.Embedding.from_pretrained(positions[:frames])
        mel = torch.randn(len(batch), encoder.config.num_mel_bins, 2 * frames)
        began = time.process_time()
        with torch.inference_mode():
            encoder(mel, output_hidden_states=True)
        spent += time.process_time() - began
        if batch is batches[0] and spent and not hasattr(encoder, "is_warm"):
            encoder.is_warm, spent = True, 0.0
    return spent


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    import asr_dro_plugin.espnet  # noqa: F401

    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = write_corpus(folder / "data", args.seconds)
        lines = (data / "utt2num_samples").read_text().splitlines()
        seconds = sum(int(line.split()[1]) for line in lines) / RATE
        print(f"{seconds:.0f} s of speech, one thread; processor ms for a second of speech")
        stacks = {"small head": config_of(PUBLISHED, **SMALL)}
        stacks |= {path: config_of(path) for path in args.configs}
        for number, (what, config) in enumerate(stacks.items()):
            feats = folder / f"feats{number}"
            extracted(config, data, feats)
            loop, once = (Side(config, data, each, folder) for each in (None, feats))
            times = [(loop.epoch(), once.epoch()) for _ in range(args.rounds)]
            slow, fast = (
                1000 / seconds * statistics.median(column) for column in zip(*times, strict=True)
            )
            ratio = statistics.median(one / two for one, two in times)
            print(
                f"{what}: in the loop {slow:.1f}, from features {fast:.1f}, {ratio:.1f} times",
                flush=True,
            )
            failed |= number == 0 and ratio < EPOCH
        rounds = range(args.rounds)
        pairs = [
            (transformers_seconds(data), extracted(config_of(PUBLISHED), data, folder / f"e{n}"))
            for n in rounds
        ]
        theirs, ours = (
            1000 / seconds * statistics.median(column) for column in zip(*pairs, strict=True)
        )
        ratio = statistics.median(one / two for one, two in pairs)
        print(f"all layers: transformers {theirs:.1f}, extraction {ours:.1f}, {ratio:.2f} times")
        failed |= ratio < EXTRACTION
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
