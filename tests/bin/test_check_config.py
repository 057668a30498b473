"""``check_config`` says nothing about a good configuration and one line about a bad one."""

import subprocess
import sys
from pathlib import Path

import pytest

from asr_dro_plugin.bin import check_config
from asr_dro_plugin.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
GOOD = "encoder: conv_ctc\ndecoder: none\nmodel_conf: {ctc_weight: 1.0}\n"


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "asr_dro_plugin.bin.check_config", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture
def config(tmp_path):
    def write(text: str = GOOD, name: str = "train.yaml") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def test_good_configurations_pass_in_silence(config):
    inference = config("mode: greedy\nbatch_duration: 60.0\n", "decode.yaml")
    done = run(config(), "--inference_config", inference, "--asr_args", "--max_epoch 2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "text, words",
    [
        (GOOD.replace("conv_ctc", "conv_ct"), "Did you mean 'conv_ctc'?"),
        (GOOD.replace("model_conf", "model_cnf"), "Did you mean 'model_conf'?"),
        (GOOD + "preencoder: linear\npreencoder_conf: {input_size: 512, output_size: 8}\n",
         "preencoder_conf.input_size is 512, but frontend default gives 80. Legal: 80."),
        (GOOD.replace("1.0", "0.0"), "which needs a decoder, but decoder is none. Legal:"),
    ],
)  # fmt: skip
def test_a_bad_one_is_one_line_in_words(config, text, words):
    done = run(config(text))
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and words in done.stderr, done.stderr


def test_the_decoding_configuration_and_the_checkpoint_are_checked_too(config):
    decode = config("beam: 3\n", "decode.yaml")
    with pytest.raises(UserError, match="decode.yaml: 'beam' is no option.*beam_size"):
        check_config.main([config(), "--inference_config", decode])
    with pytest.raises(UserError, match="ssl_checkpoint is mms_300m, but neither"):
        check_config.main([config(), "--ssl_checkpoint", "mms_300m"])


@pytest.mark.parametrize("arguments", ["--max_epochs=3", "--max_epochs 3", ""])
def test_espnets_arguments_are_checked_however_they_are_written(config, arguments):
    command = [config(), "--asr_args", arguments]
    if not arguments:
        assert check_config.main(command) == 0
    else:
        with pytest.raises(UserError, match="Did you mean 'max_epoch'"):
            check_config.main(command)


def test_a_model_file_that_training_will_not_make_is_refused(config):
    command = [config(), "--asr_args", "--best_model_criterion valid,loss,min", "--model_file"]
    assert check_config.main([*command, "valid.loss.ave.pth"]) == 0
    with pytest.raises(
        UserError, match=r"train.yaml.*or add \[valid, cer_ctc, min\] to best_model"
    ):
        check_config.main([*command, "valid.cer_ctc.ave.pth"])


def test_build_finds_values_that_only_the_module_refuses(config):
    bad = config(GOOD + "encoder_conf: {kernel_size: 4}\n")
    assert check_config.main([bad]) == 0
    with pytest.raises(UserError, match="train.yaml: encoder_conf .* kernel_size must be odd"):
        check_config.main([bad, "--build"])
