"""Experiments as the recipe leaves them, made of invented figures: files in every format we read.

Figures belong together: the score is counted from the utterances' rows, so a test can add up.
"""

import json
import random
from pathlib import Path

import numpy as np
import yaml

from asr_dro_plugin.experiment.metrics import Record
from asr_dro_plugin.reporting.read.utterances import COLUMNS
from asr_dro_plugin.text.normalizers import add_tag
from tests.sounds import write_flac

LETTERS = "aeinorst lmd"
RATE = 16000


def text_of(rng, length):
    """Words of invented letters."""
    return " ".join("".join(rng.choices(LETTERS, k=length)).split()) or "a"


def spoilt(rng, ref, share):
    """(hypothesis, substitutions, deletions, insertions) of a reference."""
    out, counts = [], [0, 0, 0]
    for char in ref:
        draw = rng.random() / share if share else 2.0
        if draw >= 1:
            out.append(char)
        elif draw < 0.5:
            out.append("x")
            counts[0] += 1
        elif draw < 0.8:
            counts[1] += 1
        else:
            out += [char, "y"]
            counts[2] += 1
    return "".join(out), *counts


def utterance_rows(rng, langs, each, errors, set_name="test_x"):
    """Rows of utts.tsv as dictionaries; ``errors`` is the share of spoilt letters by language.

    Ids and references depend on the set alone, so two experiments have the same.
    """
    rows = []
    for lang in langs:
        same = random.Random(f"{set_name} {lang}")
        for number in range(each):
            ref = text_of(same, same.randint(8, 60))
            hyp, sub, dele, ins = spoilt(rng, ref, errors[lang])
            named = rng.choice(langs) if rng.random() < errors[lang] / 4 else lang
            cer = dict(zip(COLUMNS[3:8], (sub + dele + ins, sub, dele, ins, len(ref))))
            words = (min(sub + dele + ins, len(ref.split())), len(ref.split()))
            wer = dict(zip(COLUMNS[8:13], (words[0], words[0], 0, 0, words[1])))
            rows.append({"utt_id": f"{lang}_{number:04d}", "group": lang,
                         "unit": f"{lang}_{number:04d}", **cer, **wer, "lid": named, "ref": ref,
                         "hyp": hyp})  # fmt: skip
    return rows


def counts_of(rows, metric, ci=True):
    """What a score holds of some rows."""
    names = ("errors", "sub", "del", "ins", "ref")
    errors, sub, dele, ins, ref = (sum(row[f"{metric}_{name}"] for row in rows) for name in names)
    rate = errors / ref
    counts = {"errors": errors, "substitutions": sub, "deletions": dele, "insertions": ins,
              "ref": ref, "rate": rate}  # fmt: skip
    if ci:
        counts |= {"ci": [max(0, rate - 0.03), rate + 0.03], "utterance_mean": rate * 1.02}
    return counts


def score_of(rows, set_name, ci=True):
    """score.json of some rows."""
    langs = sorted({row["group"] for row in rows})
    by_lang = {lang: [row for row in rows if row["group"] == lang] for lang in langs}

    def group(part):
        correct = sum(row["lid"] == row["group"] for row in part)
        lid = {"correct": correct, "total": len(part), "rate": correct / len(part)}
        counts = {metric: counts_of(part, metric, ci) for metric in ("cer", "wer")}
        return {"num_utts": len(part), "duration": 2.0 * len(part), **counts, "lid": lid}

    groups = {lang: group(part) for lang, part in by_lang.items()}
    rates = {m: {lang: groups[lang][m]["rate"] for lang in langs} for m in ("cer", "wer", "lid")}
    macro = {m: sum(rates[m].values()) / len(langs) for m in rates}
    worst = {m: max(langs, key=rates[m].get) for m in ("cer", "wer")}
    report = {
        "set": set_name, "normalizer": "lower_no_punct",
        "run": {"asr_config": "conf/train_x.yaml", "inference_config": "conf/decode_x.yaml",
                "model_file": "valid.ave.pth", "git_commit": "abc123"},
        "groups": groups, "total": group(rows), "macro": macro,
        "worst_group": {"lid": {"group": langs[0], "rate": rates["lid"][langs[0]]}}
        | {m: {"group": worst[m], "rate": rates[m][worst[m]]} for m in worst},
        "missing": {"count": 0, "utt_ids": []}, "extra": {"count": 0, "utt_ids": []},
    }  # fmt: skip
    if ci:
        confusion = {lang: {} for lang in langs}
        for row in rows:
            confusion[row["group"]][row["lid"]] = confusion[row["group"]].get(row["lid"], 0) + 1
        add_invented_causes(report)
        report |= {
            "lid_confusion": confusion,
            "summary": {m: summary_of(rates[m], rows, m) for m in ("cer", "wer")},
            "confusions": {"chars": [["a", "x", 9], [" ", "", 4]], "words": [["an", "a", 3]]},
            "bootstrap": {"unit": "utterance", "samples": 1000, "seed": 0, "by_utterance": [],
                          "units": {lang: len(part) for lang, part in by_lang.items()}},
        }  # fmt: skip
    return report


def add_invented_causes(report, lid=0.3, unseen=0.1, text=0.1):
    """Causes of these shares of each language's errors; what they leave is the rest."""
    shares = {"lid": lid, "unseen": unseen, "text": text, "rest": 1 - lid - unseen - text}
    for group in (*report["groups"].values(), report["total"]):
        cer = group["cer"]
        group["causes"] = {
            cause: {"errors": round(share * cer["errors"]), "rate": share * cer["rate"]}
            for cause, share in shares.items()
        }
    macro = {cause: share * report["macro"]["cer"] for cause, share in shares.items()}
    langs = list(report["groups"])
    report["causes"] = {
        "macro": macro, "has_lid": True, "unseen": {langs[0]: {"é": 3}},
        "broken": {langs[0]: [["u1", "41 characters/s", 9]]},
    }  # fmt: skip


def summary_of(rates, rows, metric):
    """The summary of one metric; ``rates`` by language."""
    ranked, macro = sorted(rates.values()), sum(rates.values()) / len(rates)
    num = min(15, len(ranked))
    mean = sum(row[f"{metric}_errors"] / row[f"{metric}_ref"] for row in rows) / len(rows)
    return {
        "macro": macro, "macro_ci": [macro - 0.01, macro + 0.01], "worst": ranked[-1],
        "worst_15": sum(ranked[-num:]) / num, "num_worst": num,
        "best_k": sum(ranked[:num]) / num, "k": num, "std": float(np.std(ranked)),
        "utterance_mean": mean, "macro_utterance_mean": mean,
    }  # fmt: skip


def write_decoding(folder, rows, set_name, ci=True):
    """score.json, utts.tsv and run.sh of one decoded set."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "score.json").write_text(json.dumps(score_of(rows, set_name, ci)), "utf-8")
    lines = ["\t".join(COLUMNS)]
    lines += ["\t".join(str(row[column]) for column in COLUMNS) for row in rows]
    (folder / "utts.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    write_command(folder, f"python3 -m asr_dro_plugin.bin.decode --data_dir dump/raw/{set_name}")


def write_command(folder, command):
    """run.sh as utils/write_command.sh makes it."""
    text = f'#!/usr/bin/env bash\n# …\nset -euo pipefail\n. ./path.sh\nexec {command} "$@"\n'
    (folder / "run.sh").write_text(text, "utf-8")


def write_metrics(folder, rng, langs, epochs, errors):
    """metrics.jsonl with the curves of each language."""
    lines = []
    for epoch in range(1, epochs + 1):
        falling = 1 + 3 * np.exp(-epoch / 8)
        noisy = {lang: falling * (1 + 0.05 * rng.random()) for lang in langs}
        train = {"loss": 30 * falling} | {f"loss_{lang}": 40 * noisy[lang] for lang in langs}
        train |= {f"q_{lang}": noisy[lang] / sum(noisy.values()) for lang in langs}
        valid = {"loss": 33 * falling, "macro_cer": 0.2 * falling, "worst_group_cer": 0.4 * falling}
        valid |= {f"cer_{lang}": min(1, errors[lang] * noisy[lang]) for lang in langs}
        for phase, values in (("train", train), ("valid", valid)):
            record = Record(phase, epoch, 60 * epoch, 240 * epoch, True, 1.7e9 + epoch, values)
            lines.append(record.to_json())
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


def make_experiment(recipe, name, langs, *, each=20, epochs=12, seed=0, factor=1.0, ci=True,
                    tag="decode_greedy", sets=("test_x",), dump=True):  # fmt: skip
    """A whole experiment below ``recipe/exp``; ``factor`` multiplies every error."""
    rng = random.Random(seed)
    folder = Path(recipe) / "exp" / name
    folder.mkdir(parents=True, exist_ok=True)
    difficulty = random.Random(1)
    errors = {lang: min(0.9, factor * (0.1 + 0.5 * difficulty.random())) for lang in langs}
    data = [["dump/raw/train_x/wav.scp", "speech", "kaldi_ark"]]
    config = {
        "config": "conf/train_x.yaml", "objective": "ctc_dro", "optim": "adamw",
        "optim_conf": {"lr": 0.002}, "max_epoch": epochs, "groups": list(langs),
        "train_data_path_and_name_and_type": data, "version": "202611",
    }  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(config), "utf-8")
    write_command(folder, f"python3 -m asr_dro_plugin.bin.train --output_dir exp/{name}")
    versions = [{"asr-dro": "0.1.0", "python": "3.12.1", "espnet": "202611", "torch": "2.13.0",
                 "git": 40 * "a", "from_update": 0}]  # fmt: skip
    (folder / "versions.json").write_text(json.dumps(versions), "utf-8")
    seen = [{"group": lang, "corpus": "-", "utterances": 9, "seconds": 720.0, "labels": 99}
            for lang in langs]  # fmt: skip
    (folder / "seen.json").write_text(json.dumps(seen), "utf-8")
    write_metrics(folder, rng, langs, epochs, errors)
    for set_name in sets:
        rows = utterance_rows(rng, langs, each, errors, set_name)
        write_decoding(folder / tag / set_name, rows, set_name, ci)
        if dump:
            write_data(Path(recipe) / "dump/raw" / set_name, rows)
    if dump:
        write_data(Path(recipe) / "dump/raw/train_x", utterance_rows(rng, langs, 5, errors, "tr"))
    return folder


def write_data(folder, rows):
    """A data directory without sound; ``add_sound`` brings it."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "text": {row["utt_id"]: add_tag(row["group"], row["ref"]) for row in rows},
        "utt2lang": {row["utt_id"]: row["group"] for row in rows},
        "utt2num_samples": {row["utt_id"]: 8000 + 1000 * len(row["ref"]) for row in rows},
        "wav.scp": {row["utt_id"]: f"{folder}/{row['utt_id']}.flac" for row in rows},
    }
    for name, table in tables.items():
        lines = [f"{key} {value}\n" for key, value in table.items()]
        (folder / name).write_text("".join(lines), "utf-8")


def add_sound(folder, seconds=0.5):
    """A tone for each utterance of a data directory."""
    for line in (folder / "wav.scp").read_text("utf-8").splitlines():
        path = line.split(" ", 1)[1]
        time = np.arange(int(seconds * RATE)) / RATE
        write_flac(Path(path), 0.3 * np.sin(2 * np.pi * 440 * time).astype(np.float32), RATE)
