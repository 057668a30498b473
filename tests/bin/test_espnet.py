"""``asr-dro espnet`` and ``groups``: a recipe of ESPnet's, its own asr.sh, our task."""

import argparse
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from asr_dro_plugin.base.kaldi_io import read_table, write_table
from asr_dro_plugin.bin import groups
from asr_dro_plugin.errors import UserError
from tests import toy

TEMPLATE = "egs2/TEMPLATE/asr1"
CONFIG = {
    "frontend": "default", "frontend_conf": {"n_fft": 512, "hop_length": 160, "n_mels": 20},
    "model": "dro", "model_conf": {"ctc_weight": 1.0}, "decoder": "none",
    "encoder": "conv_ctc", "encoder_conf": {"hidden_size": 16, "num_blocks": 1, "kernel_size": 3},
    "objective": "ctc_dro", "iterator_type": "task", "sampler": "group_duration",
    "sampler_conf": {"duration": 5.0}, "max_epoch": 1, "num_workers": 0, "num_att_plot": 0,
    "best_model_criterion": [["valid", "worst_group_cer", "min"]],
}  # fmt: skip


def data_dir(root: Path, split: str) -> Path:
    """A directory as ESPnet's local/data.sh leaves it: no groups, the language in utt2lang."""
    folder = toy.write_dump(root, split, lid=False)
    utts = list(read_table(folder / "text"))
    speakers = {utt: utt.split("-")[0] for utt in utts}
    write_table(folder / "utt2spk", speakers)
    spk2utt = {spk: " ".join(u for u in utts if speakers[u] == spk) for spk in speakers.values()}
    write_table(folder / "spk2utt", spk2utt)
    write_table(folder / "utt2lang", {utt: utt[:3] for utt in utts})
    for name in ("utt2group", "utt2category", "utt2num_samples", "speech_shape"):
        (folder / name).unlink()
    return folder


def test_groups_come_from_utt2lang_and_are_those_of_training(tmp_path, capsys):
    train, dev = data_dir(tmp_path, "train"), data_dir(tmp_path, "dev")
    assert groups.main([str(train), str(dev)]) == 0
    assert capsys.readouterr().out == f"{train}/groups.txt: 2 groups: deu eng\n"
    assert (train / "groups.txt").read_text() == "deu\neng\n"
    for folder in (train, dev):
        expected = {utt: str(int(utt.startswith("eng"))) for utt in read_table(folder / "text")}
        assert read_table(folder / "utt2group") == expected


def test_utt2category_comes_before_utt2lang(tmp_path):
    train = data_dir(tmp_path, "train")
    write_table(train / "utt2category", dict.fromkeys(read_table(train / "text"), "eng_tel"))
    groups.main([str(train)])
    assert (train / "groups.txt").read_text() == "eng_tel\n"


def test_what_is_missing_is_made_by_the_command_that_the_refusal_prints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train = data_dir(Path("data"), "train")
    (train / "utt2lang").unlink()
    with pytest.raises(UserError, match="neither utt2category nor utt2lang") as error:
        groups.main([str(train)])
    subprocess.run(str(error.value).partition("For one language: ")[2], shell=True, check=True)
    assert groups.main([str(train)]) == 0 and (train / "groups.txt").read_text() == "eng\n"


@pytest.mark.parametrize(
    ("name", "content", "fact"),
    [
        ("utt2lang", {"engspkdev-000": "eng"}, "lacks 15 utterances of .*text, for example deu"),
        ("utt2category", "fra", "the category 'fra', which the training data lacks"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, name, content, fact):
    train, dev = data_dir(tmp_path, "train"), data_dir(tmp_path, "dev")
    utts = read_table(dev / "text")
    write_table(dev / name, dict.fromkeys(utts, content) if name == "utt2category" else content)
    with pytest.raises(UserError, match=fact):
        groups.main([str(train), str(dev)])


def given(root: Path, **changes) -> argparse.Namespace:
    """What of asr.sh's options matters."""
    data = {f"{part}_data_path_and_name_and_type": [(f"dump/raw/{name}/wav.scp", "speech", "sound")]
            for part, name in (("train", "train"), ("valid", "dev"))}  # fmt: skip
    options = {**CONFIG, **data, "fold_length": [80000, 150], "groups": None,
               "collect_stats": False, **changes}  # fmt: skip
    return argparse.Namespace(**options)


def test_what_asr_sh_always_sends_is_left_out_with_a_warning(task, tmp_path, monkeypatch, caplog):
    from asr_dro_plugin.espnet.start.asr_sh import adapt

    monkeypatch.chdir(tmp_path)
    train, dev = data_dir(Path("data"), "train"), data_dir(Path("data"), "dev")
    groups.main([str(train), str(dev)])
    args = given(tmp_path, frontend=None, frontend_conf={"fs": "16k"})
    with caplog.at_level(logging.WARNING):
        adapt(args)
    assert (args.fold_length, args.frontend_conf) == ([], {})
    assert [record.getMessage().split(" is")[0] for record in caplog.records] == [
        "--fold_length", "--frontend_conf",
    ]  # fmt: skip
    assert args.groups == "data/train/groups.txt"
    assert args.train_data_path_and_name_and_type[1:] == [
        ("data/train/utt2group", "group_ids", "text_int")
    ]
    assert args.valid_data_path_and_name_and_type[1:] == [
        ("data/dev/utt2group", "group_ids", "text_int")
    ]


def test_groups_that_are_not_made_are_asked_for_where_they_are_needed(task, tmp_path, monkeypatch):
    from asr_dro_plugin.espnet.start.asr_sh import adapt

    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="Make them: asr-dro groups dump/raw/train dump/raw/dev"):
        adapt(given(tmp_path))
    for changes in ({"collect_stats": True}, {"model": "espnet"},
                    {"objective": "ctc", "iterator_type": "sequence"}):  # fmt: skip
        args = given(tmp_path, **changes)
        adapt(args)
        assert args.groups is None


def test_python_is_python():
    words = [sys.executable, "-m", "asr_dro_plugin.bin.espnet", "-c", "import sys; print(sys.argv)"]
    done = subprocess.run([*words, "a", "b c"], capture_output=True, text=True, check=True)
    assert done.stdout == "['-c', 'a', 'b c']\n"


@pytest.mark.slow
def test_espnets_own_asr_sh_trains_and_decodes_through_our_task(tmp_path):
    root = os.environ.get("ESPNET_ROOT", "")
    if not Path(root, TEMPLATE, "asr.sh").is_file():
        pytest.skip(f"no {TEMPLATE}/asr.sh: set ESPNET_ROOT to a checkout of ESPnet")
    recipe = tmp_path / "egs2" / "toy" / "asr1"
    for name in ("local", "conf"):
        (recipe / name).mkdir(parents=True)
    for name in ("asr.sh", "cmd.sh", "scripts", "pyscripts", "utils", "steps"):
        (recipe / name).symlink_to(Path(root, TEMPLATE, name))
    (recipe / "path.sh").write_text(
        f"export PATH={Path(sys.executable).parent}:$PWD/utils:$PATH LC_ALL=C\n"
        "export PYTHONIOENCODING=UTF-8 OMP_NUM_THREADS=1\n"
    )
    (recipe / "conf" / "train.yaml").write_text(yaml.safe_dump(CONFIG))
    folders = [str(data_dir(recipe / "data", split)) for split in ("train", "dev", "test")]
    groups.main(folders[:2])
    sets = "--train_set train --valid_set dev --test_sets test --lm_train_text data/train/text"
    options = "--ngpu 0 --nj 1 --inference_nj 1 --audio_format wav --use_lm false --asr_tag toy"
    model = "--token_type char --inference_asr_model valid.worst_group_cer.ave.pth"
    words = f"{sets} {options} {model} --asr_config conf/train.yaml --stage 2 --stop_stage 12"
    own = ["--python", "asr-dro espnet", "--inference_args", "--beam_size 5"]  # of 9 tokens
    done = subprocess.run(["bash", "asr.sh", *words.split(), *own], cwd=recipe, text=True,
                          capture_output=True)  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    config = yaml.safe_load((recipe / "exp" / "asr_toy" / "config.yaml").read_text())
    assert (config["model"], config["model_conf"]["objective"]) == ("dro", "ctc_dro")
    assert config["model_conf"]["groups"] == ["deu", "eng"]
    assert config["normalize"] == "global_mvn"
    (text,) = (recipe / "exp" / "asr_toy").glob("*/test/text")
    assert read_table(text).keys() == read_table(recipe / "data" / "test" / "text").keys()
