"""``--ngpu 1`` on a machine without a GPU ended in torch's traceback, after ten seconds of imports.

"AssertionError: Torch not compiled with CUDA enabled" in transcribe, decode and train.
"""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from asr_dro_plugin.bin import decode, train, transcribe
from asr_dro_plugin.errors import UserError
config, audio = sys.argv[1:]
exp = audio.rpartition("/")[0]
decoding = ["--exp", exp, "--config", config, "--data_dir", exp, "--out_dir", "o", "--ngpu", "1"]
for main, words in (
    (transcribe.main, ["--exp", exp, audio, "--ngpu", "1"]),
    (decode.main, decoding),
    (train.main, ["--config", config, "--ngpu", "1"]),
    (train.main, ["--config", config]),
):
    try:
        main(words)
    except UserError as error:
        print(error)
assert not {"espnet2", "transformers"} & set(sys.modules)
"""


def test_every_command_says_in_one_line_that_there_is_none(tmp_path):
    for name in ("config.yaml", "x.wav"):
        (tmp_path / name).write_text("ngpu: 2")
    (tmp_path / "utt2num_samples").write_text("x 16000\n")
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        str(tmp_path / "config.yaml"),
        str(tmp_path / "x.wav"),
    ]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["1", "1", "1", "2"]
    for line in lines:
        assert "sees none on this machine. Give --ngpu 0 to compute on the CPU." in line


@pytest.mark.parametrize(
    ("words", "ngpu"),
    [
        (["--ngpu", "3"], 3),
        (["--ngpu=3", "--max_epoch", "1"], 3),
        (["--max_epoch", "1"], 0),
        (["--ngpu", "many"], 0),  # ESPnet's parser has the word
    ],
)
def test_training_reads_the_number_as_espnet_does(words, ngpu):
    from asr_dro_plugin.bin.train import ngpu_of

    assert ngpu_of(words) == ngpu
