"""The characters that a model can know are those of what it was trained on, or of its tokens."""

import pytest
import yaml

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.reporting.read.training_text import find_training_text
from asr_dro_plugin.text.normalizers import get_normalizer

TOKENS = ["<blank>", "<unk>", "[eng]", "<space>", "a", "b", "é", "<sos/eos>"]


def unseen(path, texts=("ab é ж",)):
    found = find_training_text(path, "lower_no_punct")
    return None if found is None else found.unseen(texts, get_normalizer("lower_no_punct"))


@pytest.fixture
def exp(tmp_path, monkeypatch):
    """An experiment in its recipe, trained on one line."""
    monkeypatch.chdir(tmp_path)
    folder, data = tmp_path / "exp/asr_x", tmp_path / "dump/raw/train_x"
    folder.mkdir(parents=True)
    data.mkdir(parents=True)
    (data / "text").write_text("u1 [eng] AB\n")
    configure(folder)
    return folder


def configure(folder, **more):
    data = [["dump/raw/train_x/wav.scp", "speech", "sound"],
            ["dump/raw/train_x/text", "text", "text"]]  # fmt: skip
    config = {"token_list": TOKENS, "train_data_path_and_name_and_type": data, **more}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, allow_unicode=True))


def test_of_an_experiment_it_is_its_training_text(exp):
    assert unseen(exp) == {"é", "ж"}
    assert unseen(exp.parents[1] / "dump/raw/train_x/text") == {"é", "ж"}


@pytest.mark.parametrize("more", [{"init_exp": "exp/asr_old"}, {"decoder": "hf_whisper"},
                                  {"train_data_path_and_name_and_type": None}])  # fmt: skip
def test_of_a_model_that_could_write_before_or_lies_elsewhere_it_is_its_tokens(exp, more):
    configure(exp, **more)
    assert unseen(exp) == {"ж"}


def test_whispers_tokens_write_anything(exp):
    whisper = [*TOKENS, "<|startoftranscript|>"]
    configure(exp, token_list=whisper, train_data_path_and_name_and_type=None)
    assert unseen(exp) == set()


def test_an_experiment_that_says_nothing_of_characters_leaves_it_unknown(exp):
    configure(exp, token_list=[], train_data_path_and_name_and_type=None)
    assert unseen(exp) is None


def test_what_is_neither_is_one_line(tmp_path):
    with pytest.raises(UserError, match="is neither a text nor a trained experiment"):
        find_training_text(tmp_path / "absent", "none")
