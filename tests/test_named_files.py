"""What a config.yaml names and must be there, and what only looks like a file."""

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.named_files import check_named_files


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
