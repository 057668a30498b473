"""An experiment of a few kB that packs, and archives made by hand, for the tests of packing."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import torch
import yaml

from asr_dro_plugin.base.kaldi_io import write_table

MODEL = "valid.worst_group_cer.ave.pth"
TOKENS = ["<blank>", "<unk>", "[deu]", "[eng]", "<space>", "a", "b", "<sos/eos>"]
TAG = f"decode_asr_greedy_{Path(MODEL).stem}"
CONFIG = {
    "config": "/home/someone/conf/train.yaml", "output_dir": "exp/asr_toy", "version": "202611",
    "token_type": "char", "token_list": TOKENS, "model": "dro",
    "model_conf": {"ctc_weight": 1.0, "groups": ["deu", "eng"]},
    "frontend": "default", "frontend_conf": {"fs": "16k", "n_fft": 512, "hop_length": 160},
    "normalize": "utterance_mvn", "normalize_conf": {},
    "encoder": "conv_ctc", "encoder_conf": {"strides": [2, 2]}, "decoder": None,
    "objective": "ctc_dro", "objective_conf": {"smoothing_rel": 0.6}, "seed": 3,
    "best_model_criterion": [["valid", "worst_group_cer", "min"]],
    "train_data_path_and_name_and_type": [["dump/train/wav.scp", "speech", "sound"]],
    "train_shape_file": ["dump/train/speech_shape"],
    "bpemodel": None, "non_linguistic_symbols": "dump/nlsyms.txt",
}  # fmt: skip
SEEN = [
    {"group": "deu", "corpus": "mls", "utterances": 40, "seconds": 120.5, "labels": 400},
    {"group": "eng", "corpus": "librispeech", "utterances": 20, "seconds": 60.25, "labels": 200},
]
SAMPLES = {"deu_a-1": 32000, "deu_a-2": 16000, "eng_b-1": 48000, "eng_c-1": 8000, "eng_c-2": 8000}


def weights() -> dict[str, torch.Tensor]:
    """Tensors under a model's names; the running mean of its objective is not known yet."""
    generator = torch.Generator().manual_seed(0)
    return {
        "encoder.net.weight": torch.randn(4, 4, generator=generator),
        "ctc.ctc_lo.weight": torch.randn(len(TOKENS), 4, generator=generator),
        "objective.mean_loss": torch.tensor(float("nan")),
    }


def write_experiment(root: Path, scored: bool = True, **changes) -> Path:
    """``root/exp/asr_toy`` with its data below ``root/dump``; paths start at ``root``."""
    exp = root / "exp" / "asr_toy"
    exp.mkdir(parents=True)
    (exp / "config.yaml").write_text(yaml.safe_dump({**CONFIG, **changes}, sort_keys=False))
    torch.save(weights(), exp / "4epoch.pth")
    torch.save(weights(), exp / "valid.worst_group_cer.ave_2best.pth")
    (exp / MODEL).symlink_to("valid.worst_group_cer.ave_2best.pth")
    (exp / "latest.pth").symlink_to("4epoch.pth")
    (exp / "seen.json").write_text(json.dumps(SEEN))
    train = root / "dump" / "train"
    tables = {
        "wav.scp": dict.fromkeys(SAMPLES, "x.wav"),
        "speech_shape": {utt: str(n) for utt, n in SAMPLES.items()},
        "utt2lang": {utt: utt[:3] for utt in SAMPLES},
        "utt2spk": {utt: utt.split("-")[0] for utt in SAMPLES},
        "utt2corpus": {u: "mls" if u[:3] == "deu" else "librispeech" for u in SAMPLES},
    }
    for name, table in tables.items():
        write_table(train / name, table)
    (root / "dump" / "nlsyms.txt").write_text("[deu]\n[eng]\n")
    if scored:
        write_score(exp / TAG / "test_toy" / "score.json", {"deu": 5, "eng": 30})
    return exp


def counts(errors: int, ref: int = 100, **more) -> dict:
    """A rate as a score holds it."""
    parts = {"substitutions": errors, "deletions": 0, "insertions": 0}
    return {"errors": errors, **parts, "ref": ref, "rate": errors / ref, **more}


def write_score(path: Path, errors: dict[str, int], **changes) -> Path:
    """A score with so many errors in 100 characters of each language; no intervals."""
    groups = {
        lang: {
            "num_utts": 10, "duration": 60.0, "cer": counts(wrong), "wer": counts(wrong, 50),
            "lid": {"correct": 9, "total": 10, "rate": 0.9},
        }
        for lang, wrong in errors.items()
    }  # fmt: skip
    worst = max(errors, key=errors.__getitem__)
    mean = float(np.mean(list(errors.values()))) / 100
    score = {
        "set": path.parent.name, "normalizer": "lower_no_punct", "run": {}, "groups": groups,
        "total": {"num_utts": 10 * len(errors), "duration": 60.0 * len(errors),
                  "cer": counts(sum(errors.values()), 100 * len(errors)),
                  "wer": counts(sum(errors.values()), 50 * len(errors)),
                  "lid": {"correct": 18, "total": 20, "rate": 0.9}},
        "macro": {"cer": mean, "wer": 2 * mean, "lid": 0.9},
        "worst_group": {metric: {"group": worst, "rate": errors[worst] / ref}
                        for metric, ref in (("cer", 100), ("wer", 50))},
        "missing": {"count": 0, "utt_ids": []}, "extra": {"count": 0, "utt_ids": []},
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**score, **changes}))
    path.with_suffix(".txt").write_text("a table\n")
    return path


def contents(archive: Path) -> dict[str, bytes]:
    """Content of every file of an archive by name."""
    with zipfile.ZipFile(archive) as opened:
        return {i.filename: opened.read(i) for i in opened.infolist() if not i.is_dir()}


def write_archive(path: Path, members: dict[str, bytes]) -> Path:
    """A zip of these members, as another program might write it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def with_member(archive: Path, out: Path, info: zipfile.ZipInfo | str, content: bytes) -> Path:
    """A copy of an archive with one member more."""
    shutil.copyfile(archive, out)
    with zipfile.ZipFile(out, "a") as opened:
        opened.writestr(info, content)
    return out


def everything_below(folder: Path) -> list[str]:
    """Every path below a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
