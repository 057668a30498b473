"""What a config.yaml names and must be there, and what only looks like a file."""

import pytest
import yaml

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment.config_paths import check_named_files, config_in_place, pack_root


def s3prl(upstream, path):
    conf = {"upstream": upstream, "path_or_url": path}
    return {"frontend": "s3prl", "frontend_conf": {"frontend_conf": conf}}


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"normalize_conf": {"stats_file": "x.npz"}}, "normalize_conf.stats_file x.npz"),
        (s3prl("wav2vec2_custom", "a/b.pt"), "frontend_conf.frontend_conf.path_or_url a/b.pt"),
        (s3prl("hf_wav2vec2_custom", "/nowhere/hf"), "path_or_url /nowhere/hf"),
        (
            {"encoder": "wav2vec2", "encoder_conf": {"w2v_url": "x.pt", "w2v_dir_path": "/no"}},
            "encoder_conf.w2v_url /no/x.pt",
        ),
        ({"token_type": "bpe", "bpemodel": "bpe.model"}, "bpemodel bpe.model"),
    ],
)
def test_a_missing_file_is_refused_with_its_key(config, key):
    with pytest.raises(UserError, match=f"exp/config.yaml names .*{key}, which is not there"):
        check_named_files(config, "exp/config.yaml", tokenizer=True)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"normalize_conf": None, "frontend_conf": None, "encoder_conf": None},
        {"normalize_conf": {"stats_file": __file__}},
        s3prl("hf_wav2vec2_custom", "facebook/wav2vec2-base"),
        s3prl("wav2vec2_url", "https://nowhere.invalid/x.pt"),
        {"frontend": "s3prl", "frontend_conf": {"frontend_conf": {"upstream": "hubert"}}},
        {"encoder": "wav2vec2", "encoder_conf": {"w2v_url": "https://nowhere.invalid/x.pt"}},
        {"encoder": "wav2vec2", "encoder_conf": {}},
        {"token_type": "char", "bpemodel": "bpe.model"},
        {"token_type": "char", "bpemodel": None},
    ],
)
def test_what_is_there_or_is_no_file_passes(config):
    check_named_files(config, "exp/config.yaml", tokenizer=True)


def test_the_tokenizer_is_looked_for_only_where_it_is_used():
    config = {"token_type": "bpe", "bpemodel": "nowhere"}
    check_named_files(config, "exp/config.yaml")


@pytest.fixture
def unpacked(tmp_path):
    """A model as ESPnet unpacks one: its names start two folders above its config.yaml."""
    exp = tmp_path / "model" / "exp" / "asr_x"
    (exp / "data").mkdir(parents=True)
    (tmp_path / "model" / "meta.yaml").write_text("files: {}\n")
    (exp / "data" / "stats.npz").write_text("")
    conf = {"normalize_conf": {"stats_file": "exp/asr_x/data/stats.npz"}, "bpemodel": None}
    (exp / "config.yaml").write_text(yaml.safe_dump({**conf, "token_list": ["exp", "a"]}))
    return exp


def test_the_names_of_an_unpacked_model_start_at_its_own_folder(unpacked, tmp_path):
    config = yaml.safe_load((unpacked / "config.yaml").read_text())
    check_named_files(config, unpacked / "config.yaml", tokenizer=True)
    with config_in_place(unpacked) as path:
        made = yaml.safe_load(path.read_text())
    assert made["normalize_conf"]["stats_file"] == str(unpacked / "data" / "stats.npz")
    assert made["token_list"] == ["exp", "a"] and not path.exists()
    (unpacked / "data" / "stats.npz").unlink()
    with pytest.raises(UserError, match="stats_file exp/asr_x/data/stats.npz, which is not there"):
        check_named_files(config, unpacked / "config.yaml")


def test_an_experiment_is_built_from_its_own_file(unpacked, tmp_path):
    (tmp_path / "model" / "meta.yaml").unlink()
    assert pack_root(unpacked) is None
    with config_in_place(unpacked) as path:
        assert path == unpacked / "config.yaml"
