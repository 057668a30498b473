"""Training throughput of ``hf_wav2vec2`` + CTC beside Hugging Face's Trainer and Wav2Vec2ForCTC.

Both train the same random model (its weights are copied) on the same corpus, in turn some steps of
an epoch that are spread evenly over the lengths of each side's own plan: ours with the task's own
model, sampler, loader, stepper and updater; theirs with ``Trainer``,
``train_sampling_strategy="group_by_length"`` and its default optimizer, fused AdamW, which ours is
set to.  Batches hold the same audio on average; convolutions frozen (as fine-tuning does) or
trained; float32, one thread, one process.  Theirs has its waveforms in memory, ours reads and
decodes files.  The first step of a turn is not measured.

    benchmarks/bench_hf_training.py [--size tiny|base] [--norm layer|group] [--rounds 3] ...

Printed: audio seconds per second of processor time (medians over the rounds; wall time beside it),
the ratio, the share of padding and where the time goes.  Ends with 1 where ours is slower.
"""

import argparse
import contextlib
import logging
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from pathlib import Path

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
RATE, LETTERS = 16000, 36
TOKENS = ["<blank>", "<unk>", *(chr(0x61 + n) for n in range(26)), *"0123456789", "<sos/eos>"]
# Of a fine-tuning corpus: median 6.2 s, mean 7, from 1.2 to 20 s.
MEDIAN, SPREAD, SHORTEST, LONGEST = 6.2, 0.55, 1.2, 20.0
SIZES = {
    "tiny": {
        "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 128, "conv_dim": [32] * 7, "num_conv_pos_embeddings": 32,
        "num_conv_pos_embedding_groups": 4,
    },
    "base": {},
}  # fmt: skip


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--norm", choices=("layer", "group"), default="layer")
    parser.add_argument("--trained_cnn", action="store_true", help="train the convolutions too")
    parser.add_argument("--dropout", type=float, default=0.1, help="all of the transformer's")
    parser.add_argument("--utterances", type=int, help="1600")
    parser.add_argument("--batch_size", type=int, help="theirs; 8")
    parser.add_argument("--steps", type=int, help="of a turn: 20 for tiny, 2 for base")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args(argv)
    tiny = args.size == "tiny"
    args.utterances = args.utterances or 1600
    args.batch_size = args.batch_size or 8
    args.steps = args.steps or (20 if tiny else 2)
    return args


def model_config(args: argparse.Namespace) -> dict:
    """What both sides build; no layer is dropped, so that both compute all."""
    layer = args.norm == "layer"
    dropouts = ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout")
    return {
        **SIZES[args.size], **dict.fromkeys(dropouts, args.dropout), "final_dropout": 0.0,
        "layerdrop": 0.0, "mask_time_prob": 0.05, "feat_extract_norm": args.norm,
        "do_stable_layer_norm": layer, "conv_bias": layer, "vocab_size": len(TOKENS),
        "pad_token_id": 0, "ctc_zero_infinity": True, "ctc_loss_reduction": "mean",
    }  # fmt: skip


def make_corpus(num: int):
    """``num`` utterances: (waveform, label ids), lengths as in a corpus."""
    import numpy as np

    rng = np.random.default_rng(0)
    seconds = np.exp(rng.normal(np.log(MEDIAN), SPREAD, num)).clip(SHORTEST, LONGEST)
    noise = 0.1 * rng.standard_normal(int((LONGEST + 40) * RATE)).astype(np.float32)
    starts = rng.integers(0, 40 * RATE, num)
    return [
        (noise[start : start + int(duration * RATE)], rng.integers(2, LETTERS, int(duration * 13)))
        for start, duration in zip(starts, seconds, strict=True)
    ]


class Clock:
    """Seconds of processor and of wall time by phase, from ``start`` on, and what was trained."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.cpu: dict[str, float] = defaultdict(float)
        self.wall: dict[str, float] = defaultdict(float)
        self.padded = self.real = self.batches = 0
        self.began = time.process_time(), time.perf_counter()

    def stop(self) -> None:
        self.cpu["whole"] = time.process_time() - self.began[0]
        self.wall["whole"] = time.perf_counter() - self.began[1]

    def count(self, shape, lengths) -> None:
        """Note a batch of (B, N) and the samples of each utterance."""
        self.padded += shape[0] * shape[1]
        self.real += int(sum(lengths))
        self.batches += 1

    @property
    def seconds(self) -> float:
        return self.real / RATE

    @contextlib.contextmanager
    def __call__(self, phase: str):
        began = time.process_time(), time.perf_counter()
        try:
            yield
        finally:
            self.cpu[phase] += time.process_time() - began[0]
            self.wall[phase] += time.perf_counter() - began[1]

    def around(self, phase: str, work):
        """``work`` under the clock."""

        def timed(*args, **kwargs):
            with self(phase):
                return work(*args, **kwargs)

        return timed


def spread(batches: list, lengths, steps: int, seed: int) -> list:
    """``steps`` of a plan's batches, evenly over their lengths, in random order; before them its
    shortest."""
    import numpy as np

    ordered = sorted(batches, key=lambda batch: max(lengths[index] for index in batch))
    rng = np.random.default_rng(seed)
    places = (np.arange(steps) + rng.random()) * len(ordered) / steps
    chosen = [ordered[int(place)] for place in places]
    rng.shuffle(chosen)
    return [ordered[0], *chosen]


class Theirs:
    """Hugging Face's own training."""

    def __init__(self, args: argparse.Namespace, corpus, folder: Path) -> None:
        import torch
        from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

        torch.manual_seed(0)
        self.model = Wav2Vec2ForCTC(Wav2Vec2Config(**model_config(args)))
        self.folder, self.args = folder, args
        if not args.trained_cnn:
            self.model.freeze_feature_encoder()
        masked = args.norm == "layer"
        self.extractor = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=masked)
        self.turns: list[Clock] = []
        self.data = [{"input_values": speech, "labels": labels} for speech, labels in corpus]

    def collate(self, items: list[dict]) -> dict:
        import torch

        speech = [item["input_values"] for item in items]
        batch = self.extractor(speech, sampling_rate=RATE, padding=True, return_tensors="pt")
        labels = [torch.as_tensor(item["labels"]) for item in items]
        padded = torch.nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=-100)
        self.loaded.append((batch["input_values"].shape, list(map(len, speech))))
        return {**batch, "labels": padded}

    def turn(self) -> Clock:
        from transformers import Trainer, TrainerCallback, TrainingArguments

        clock, self.loaded = Clock(), []
        arguments = TrainingArguments(
            output_dir=str(self.folder / "theirs"), max_steps=self.args.steps + 1, use_cpu=True,
            per_device_train_batch_size=self.args.batch_size, learning_rate=1e-5,
            train_sampling_strategy="group_by_length", dataloader_num_workers=0,
            save_strategy="no", report_to="none", logging_steps=50, remove_unused_columns=False,
            disable_tqdm=True, max_grad_norm=1.0, seed=len(self.turns),
        )  # fmt: skip
        self.turns.append(clock)

        class Watch(TrainerCallback):
            """From after the first step, its successor not yet loaded, to after the last."""

            def on_step_end(self, _args, state, _control, **_kwargs):
                if state.global_step == 1:
                    clock.start()
                elif state.global_step == state.max_steps:
                    clock.stop()

        class Spread(Trainer):
            """Runs some batches of its own plan."""

            def _get_train_sampler(self, train_dataset=None):
                size = self.args.train_batch_size
                order = list(super()._get_train_sampler(train_dataset))
                batches = [order[at : at + size] for at in range(0, len(order) - size + 1, size)]
                steps = self.args.max_steps - 1
                return sum(spread(batches, lengths, steps, self.args.seed), [])

        lengths = [len(item["input_values"]) for item in self.data]
        trainer = Spread(
            self.model, arguments, data_collator=clock.around("load", self.collate),
            train_dataset=self.data, callbacks=[Watch()], processing_class=self.extractor,
        )  # fmt: skip
        trainer.create_optimizer()
        trainer.optimizer.step = clock.around("optimizer", trainer.optimizer.step)
        forward = clock.around("forward", trainer.compute_loss)

        def counted(*args, **kwargs):
            clock.count(*self.loaded.pop(0))  # one batch is loaded ahead
            return forward(*args, **kwargs)

        trainer.compute_loss = counted
        accelerator = trainer.accelerator
        accelerator.backward = clock.around("backward", accelerator.backward)
        trainer.train()
        return clock


class Ours:
    """The task's model, sampler, loader, stepper and updater, as its trainer uses them."""

    def __init__(self, args: argparse.Namespace, corpus, folder: Path, theirs: Theirs) -> None:
        import torch

        from asr_dro_plugin.espnet.process.distributed import Ranks
        from asr_dro_plugin.espnet.run.steps import Stepper
        from asr_dro_plugin.espnet.run.updates import SkippedSteps, Updater
        from asr_dro_plugin.espnet.start.checks import model_conf_of
        from asr_dro_plugin.espnet.task import DROASRTask

        self.task, self.corpus = DROASRTask, corpus
        total = sum(len(speech) for speech, _ in corpus) / RATE
        self.duration = total / len(corpus) * args.batch_size  # of a batch, as theirs on average
        self.args = DROASRTask.get_parser().parse_args(self.words(args, folder))
        self.args.groups, self.args.ngpu = ["all"], 0
        self.args.model_conf = model_conf_of(self.args)
        torch.manual_seed(0)
        self.model = DROASRTask.build_model(self.args)
        self.take_weights(theirs.model)
        optimizer = DROASRTask.build_optimizers(self.args, self.model)[0]
        ranks = Ranks()
        self.updater = Updater(
            self.model, [optimizer], [None], None, self.args, ranks, SkippedSteps(0)
        )
        self.stepper = Stepper(self.model, None, 1, ranks, on_gpu=False)
        self.number, self.steps = 0, args.steps

    def words(self, args: argparse.Namespace, folder: Path) -> list[str]:
        """The command line, with data and configuration written beside it."""
        import soundfile
        import yaml

        config = {
            "frontend": "none", "specaug": "none", "normalize": "none", "preencoder": "none",
            "encoder": "hf_wav2vec2", "decoder": "none", "model": "dro", "objective": "ctc",
            "encoder_conf": {"model_config": {**model_config(args), "model_type": "wav2vec2"}},
            "model_conf": {"ctc_weight": 1.0}, "freeze_cnn": not args.trained_cnn,
            "optim": "adamw", "optim_conf": {"lr": 1.0e-5, "weight_decay": 0.0, "fused": True},
            "iterator_type": "task", "sampler": "group_duration", "num_workers": 0,
            "sampler_conf": {"duration": self.duration}, "grad_clip": 1.0, "seed": 0,
            "token_type": "char",
        }  # fmt: skip
        (folder / "train.yaml").write_text(yaml.safe_dump(config))
        (folder / "tokens.txt").write_text("\n".join(TOKENS) + "\n")
        columns = {name: [] for name in ("wav.scp", "text", "utt2group", "speech_shape")}
        for number, (speech, labels) in enumerate(self.corpus):
            utt_id, path = f"utt{number:04d}", folder / f"utt{number:04d}.wav"
            soundfile.write(path, speech, RATE)
            columns["wav.scp"].append(f"{utt_id} {path}")
            columns["text"].append(f"{utt_id} {''.join(TOKENS[label] for label in labels)}")
            columns["utt2group"].append(f"{utt_id} 0")
            columns["speech_shape"].append(f"{utt_id} {len(speech)}")
        for name, lines in columns.items():
            (folder / name).write_text("\n".join(lines) + "\n")
        words = ["--config", str(folder / "train.yaml"), "--output_dir", str(folder / "ours")]
        words += ["--token_list", str(folder / "tokens.txt")]
        words += ["--train_shape_file", str(folder / "speech_shape")]
        for name in ("wav.scp,speech,sound", "text,text,text", "utt2group,group_ids,text_int"):
            words += ["--train_data_path_and_name_and_type", f"{folder}/{name}"]
        return words

    def take_weights(self, theirs) -> None:
        """The other side's weights, so that both compute the same."""
        import torch

        self.model.encoder.net.model.load_state_dict(theirs.wav2vec2.state_dict())
        with torch.no_grad():
            self.model.ctc.ctc_lo.weight.copy_(theirs.lm_head.weight)
            self.model.ctc.ctc_lo.bias.copy_(theirs.lm_head.bias)

    def turn(self) -> Clock:
        from espnet2.train.distributed_utils import DistributedOption

        clock = Clock()
        factory = self.task.build_iter_factory(
            args=self.args, distributed_option=DistributedOption(), mode="train"
        )
        self.number += 1
        self.model.train()
        self.model.freezing.at_update(0)
        batches = [list(batch) for batch in factory.plan()]
        chosen = spread(batches, factory.durations, self.steps, self.number)
        for step, indices in enumerate(chosen):
            with clock("load"):
                item = factory.load([factory.utt_ids[index] for index in indices])
                clock.count(item[1]["speech"].shape, item[1]["speech_lengths"].tolist())
            self.stepper.backward(*item, timer=clock)
            self.updater.update(step, clock)
            if step == 0:
                clock.start()
        clock.stop()
        return clock


def same_losses(ours: Ours, theirs: Theirs) -> float:
    """Largest relative difference of an utterance's loss between the two, in evaluation."""
    import torch

    model, worst = theirs.model.eval(), 0.0
    ours.model.eval()
    for speech, labels in ours.corpus[:2]:
        lengths = torch.tensor([len(speech)])
        labels = torch.as_tensor(labels)[None]
        with torch.no_grad():
            given = theirs.extractor(speech, sampling_rate=RATE, return_tensors="pt")
            their = model(**given, labels=labels).loss.item() * labels.shape[1]  # by labels
            parts = ours.model.utterance_losses(
                torch.as_tensor(speech)[None], lengths, labels,
                torch.tensor([labels.shape[1]]), group_ids=torch.zeros(1, 1, dtype=torch.long),
            )  # fmt: skip
        worst = max(worst, abs(parts.losses_B.item() - their) / their)
    return worst


def phases(clocks: list[Clock]) -> str:
    """Where the time goes: shares of the whole, medians over the rounds."""
    names = {
        "load": "load", "forward_time": "forward", "forward": "forward",
        "backward_time": "backward", "backward": "backward", "optim_step_time": "optimizer",
        "optimizer": "optimizer",
    }  # fmt: skip
    spent = defaultdict(list)
    for clock in clocks:
        for phase, seconds in clock.cpu.items():
            if phase in names:
                spent[names[phase]].append(seconds)
    whole = statistics.median(clock.cpu["whole"] for clock in clocks)
    found = {name: statistics.median(values) for name, values in spent.items()}
    found["rest"] = whole - sum(found.values())
    return ", ".join(f"{name} {value:.2f} s ({value / whole:.0%})" for name, value in found.items())


def main(argv: list[str] | None = None) -> int:
    """Print both throughputs and their ratio."""
    args = parse_args(argv)
    warnings.simplefilter("ignore")
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    import asr_dro_plugin.espnet  # noqa: F401

    logging.disable(logging.WARNING)
    corpus = make_corpus(args.utterances)
    with tempfile.TemporaryDirectory() as name:
        theirs = Theirs(args, corpus, Path(name))
        ours = Ours(args, corpus, Path(name), theirs)
        difference = same_losses(ours, theirs)
        sides, runs = {"theirs": theirs, "ours": ours}, {"theirs": [], "ours": []}
        for number in range(args.rounds):
            for side in sorted(sides, reverse=number % 2 == 0):
                runs[side].append(sides[side].turn())
    return report(args, difference, runs)


def report(args: argparse.Namespace, difference: float, runs: dict[str, list[Clock]]) -> int:
    """Both sides, one under the other; 1 where ours is slower."""
    cnn = "trained" if args.trained_cnn else "frozen"
    print(
        f"{args.size}, {args.norm} norm, convolutions {cnn}, dropout {args.dropout:g}: "
        f"{args.rounds} turns of {args.steps} steps each, 1 thread, float32; losses of the two "
        f"agree to {difference:.0e}"
    )
    speeds = {}
    for side, clocks in runs.items():
        cpu = sorted(clock.seconds / clock.cpu["whole"] for clock in clocks)
        wall = statistics.median(clock.seconds / clock.wall["whole"] for clock in clocks)
        speeds[side] = statistics.median(cpu)
        padding = 1 - sum(c.real for c in clocks) / sum(c.padded for c in clocks)
        mean = sum(c.seconds for c in clocks) / sum(c.batches for c in clocks)
        print(
            f"{side:7} {speeds[side]:8.2f} s/s ({cpu[0]:.2f} .. {cpu[-1]:.2f}; wall {wall:.2f}); "
            f"batches of {mean:.1f} s, {padding:.1%} padding; {phases(clocks)}"
        )
    print(f"ratio {speeds['ours'] / speeds['theirs']:.2f}")
    return int(speeds["ours"] < speeds["theirs"])


if __name__ == "__main__":
    sys.exit(main())
