"""A wrong --model_file or --lang was refused after twenty seconds of imports, though the folder
of the experiment alone tells that it is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = (
    "token_list: [<blank>, <unk>, '[deu]', '[eng]', a, <space>, <sos/eos>]\ntoken_type: char\n"
    "model_conf: {ctc_weight: 1.0}\n"
)
PROGRAM = """
import importlib, json, sys, traceback
found = []
for name, words in json.loads(sys.argv[1]):
    main = importlib.import_module(f"asr_dro_plugin.bin.{name}").main
    try:
        main(words)
        said = "nothing was refused"
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    loaded = sorted({"torch", "espnet2", "transformers"} & set(sys.modules))
    found.append([said, loaded])
print(json.dumps(found))
"""


@pytest.fixture
def place(tmp_path):
    """Experiments whose models are no models, a set, a recording."""
    stacks = {
        "exp": CONFIG,
        "attention": CONFIG.replace("1.0", "0.0"),
        "uncounted": CONFIG + "frontend: melspec_torch\n",
    }
    for name, config in stacks.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(config)
        (tmp_path / name / "valid.loss.ave.pth").touch()
    data = tmp_path / "data"
    data.mkdir()
    (data / "wav.scp").write_text("a a.wav\n")
    (data / "text").write_text("a [eng] a\n")
    (data / "utt2num_samples").write_text("a 16000\n")
    (data / "utt2lang").write_text("a fra\n")
    (tmp_path / "greedy.yaml").write_text("mode: greedy\n")
    (tmp_path / "lm.yaml").write_text("mode: lm\n")
    (tmp_path / "espnet.yaml").write_text("mode: espnet\n")
    (tmp_path / "audio.wav").touch()
    (tmp_path / "text.txt").write_text("a\n")
    (tmp_path / "manifest.jsonl").write_text('{"audio_filepath": "audio.wav", "lang": "fra"}\n')
    return tmp_path


CASES = [
    ("transcribe", "audio.wav --exp exp --model_file 3epoch.pth", "3epoch.pth does not exist"),
    ("transcribe", "audio.wav --exp exp --lang fra", "knows no language 'fra'"),
    ("transcribe", "manifest.jsonl --exp exp --lang forced", "knows no language 'fra'"),
    ("transcribe", "audio.wav --exp uncounted --chunk_length 9", "frames are known by rule"),
    ("transcribe", "audio.wav --exp attention --format srt", "needs times of words"),
    ("transcribe", "audio.wav --exp attention --nbest 2", "searches the frames of CTC"),
    ("transcribe", "audio.wav --exp attention --lang fra", "knows no language 'fra'"),
    ("decode", "{decode} --config greedy.yaml --model_file 3epoch.pth", "does not exist"),
    ("decode", "{decode} --config greedy.yaml --lang fra", "knows no language 'fra'"),
    ("decode", "{decode} --config greedy.yaml --lang forced", "knows no language 'fra'"),
    ("decode", "{decode} --config lm.yaml --lm_dir data", "data"),
    ("decode", "{decode} --config espnet.yaml --lm_dir data", "does not use --lm_dir"),
    ("align", "audio.wav text.txt --exp exp --model_file 3epoch.pth", "does not exist"),
    ("align", "audio.wav text.txt --exp attention", "trained without CTC"),
    ("segment", "audio.wav --out out --exp exp --model_file 3epoch.pth", "does not exist"),
    ("tune_lm", "{tune} --model_file 3epoch.pth", "does not exist"),
    ("tune_lm", "{tune}", "data"),
]


def test_what_the_experiments_folder_tells_is_told_without_torch(place):
    more = {
        "decode": "--exp exp --data_dir data --out_dir out",
        "tune": "--exp exp --config lm.yaml --data_dir data --lm_dir data --out tuned.yaml",
    }
    calls = [(name, words.format(**more).split()) for name, words, _ in CASES]
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(calls)],
        cwd=place, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    for case, (said, loaded) in zip(CASES, json.loads(run.stdout), strict=True):
        assert said.startswith("UserError: ") and case[2] in said, (case, said)
        assert not loaded, case
    assert not (place / "out").exists()
