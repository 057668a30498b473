"""One import of ESPnet and one tiny trained experiment for the whole folder."""

import logging
from pathlib import Path

import pytest
import yaml

from tests import toy

CONFIG = {
    "frontend": "default",
    "frontend_conf": {"fs": "16k", "n_fft": 512, "hop_length": 160, "n_mels": 20},
    "normalize": "utterance_mvn",
    "model_conf": {"ctc_weight": 1.0},
    "encoder": "conv_ctc",
    "encoder_conf": {"hidden_size": 16, "num_blocks": 1, "kernel_size": 3, "strides": [2, 2]},
    "decoder": "none",
    "batch_type": "sorted",
    "batch_size": 4,
    "num_workers": 0,
    "seed": 3,
    "max_epoch": 1,
    "optim": "adam",
    "optim_conf": {"lr": 0.002},
    "num_att_plot": 0,
    "use_tensorboard": False,
    "best_model_criterion": [["valid", "cer_ctc", "min"]],
    "keep_nbest_models": 2,
}


def write_config(path: Path, **changes) -> Path:
    """``CONFIG`` with changes as a YAML; a sampler of ours has no use for ESPnet's batches."""
    config = {**CONFIG, **changes}
    if config.get("iterator_type") == "task":
        for key in {"batch_type", "batch_size"} - changes.keys():
            del config[key]
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def arguments(root: Path, out: Path, config: Path, groups: bool = True) -> list[str]:
    """The command line that stage 11 gives, on the toy dump below ``root``."""
    words = ["--config", str(config), "--output_dir", str(out), "--ngpu", "0"]
    words += ["--token_type", "char", "--token_list", str(root / "tokens.txt")]
    words += ["--non_linguistic_symbols", str(root / "nlsyms.txt")]
    for phase, split in (("train", "train"), ("valid", "dev")):
        directory = root / split
        words += [f"--{phase}_shape_file", str(directory / "speech_shape")]
        names = ["wav.scp,speech,sound", "text,text,text"]
        names += ["utt2group,group_ids,text_int"] if groups else []
        for name in names:
            words += [f"--{phase}_data_path_and_name_and_type", f"{directory}/{name}"]
    if groups:
        words += ["--groups", str(root / "groups.txt")]
    return words


def aux_arguments(root: Path) -> list[str]:
    """What stage 11 gives beside, where the YAML learns ``text_aux``."""
    words = ["--aux_token_list", str(root / "tokens_aux.txt")]
    for phase, split in (("train", "train"), ("valid", "dev")):
        value = f"{root / split}/text_aux,text_aux,text_int"
        words += [f"--{phase}_data_path_and_name_and_type", value]
    return words


def make_dump(root: Path, langs=("eng", "deu"), num: int = 8) -> Path:
    """Toy train, dev and test sets with tokens, groups and auxiliary units."""
    for split in ("train", "dev", "test"):
        toy.write_dump(root, split, langs=langs, num=num)
    (root / "tokens.txt").write_text("\n".join(toy.tokens(langs)) + "\n")
    (root / "tokens_aux.txt").write_text("\n".join(toy.UNITS) + "\n")
    (root / "nlsyms.txt").write_text("".join(f"[{lang}]\n" for lang in sorted(langs)))
    (root / "groups.txt").write_text("".join(f"{lang}\n" for lang in sorted(langs)))
    return root


@pytest.fixture(scope="session")
def dump(tmp_path_factory) -> Path:
    return make_dump(tmp_path_factory.mktemp("dump"))


@pytest.fixture(scope="session")
def task():
    import asr_dro_plugin.espnet  # noqa: F401
    from asr_dro_plugin.espnet.task import DROASRTask

    yield DROASRTask
    logging.getLogger().setLevel(logging.WARNING)


@pytest.fixture(scope="session")
def trained(task, dump, tmp_path_factory) -> Path:
    """An experiment of one epoch."""
    root = tmp_path_factory.mktemp("exp")
    config = write_config(root / "train.yaml", model="dro")
    exp = root / "asr_toy"
    task.main(cmd=arguments(dump, exp, config))
    return exp


@pytest.fixture(scope="module")
def one_thread():
    """Torch on one thread: two test processes share the cores, and sums have one order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
