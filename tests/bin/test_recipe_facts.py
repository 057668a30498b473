"""All names of the recipe follow from its options and two configurations; the rest is refused."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from asr_dro_plugin.bin import recipe_facts
from asr_dro_plugin.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "egs2" / "asr_dro" / "asr1"
TRAINING = "encoder: conv_ctc\ndecoder: none\nmodel: dro\nmodel_conf: {ctc_weight: 1.0}\n"
TRAINING += "best_model_criterion: [[valid, cer_ctc, min]]\n"


def defaults() -> dict[str, str]:
    """The options that asr.sh has, with their values."""
    script = (RECIPE / "asr.sh").read_text().partition("\nhelp_message=")[0]
    found = re.findall(r"^([a-z]\w*)=([^#\n]*?)\s*(?:#.*)?$", script, re.MULTILINE)
    return dict(found) | {"cmd_backend": "local"}


def read(lines: str) -> dict[str, str | list[str]]:
    """The names and lists that bash would have."""
    found: dict[str, str | list[str]] = {}
    for line in lines.splitlines():
        name, _, value = line.partition("=")
        is_list = value.startswith("(")
        found[name] = shlex.split(value[1:-1]) if is_list else "".join(shlex.split(value))
    return found


@pytest.fixture
def facts(capsys, tmp_path, monkeypatch):
    """``facts(option=value, ...)``: the names, of a recipe folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    for name in ("conf", "local"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.setenv("PWD", str(tmp_path))

    def run(training: str = TRAINING, decoding: str = "mode: greedy\n", **options: str) -> dict:
        (tmp_path / "train.yaml").write_text(training, encoding="utf-8")
        (tmp_path / "decode.yaml").write_text(decoding, encoding="utf-8")
        files = {"asr_config": "train.yaml", "inference_config": "decode.yaml"}
        words = {**defaults(), **files, "dry_run": "true", **options}
        assert recipe_facts.main([f"{key}={value}" for key, value in words.items()]) == 0
        return read(capsys.readouterr().out)

    return run


AUXILIARY = (
    TRAINING.replace(
        "{ctc_weight: 1.0}", "{ctc_weight: 1.0, interctc_weight: 0.3, aux_ctc: {'3': text_aux}}"
    )
    + "encoder_conf: {interctc_layer_idx: [3]}\n"
)


def test_auxiliary_targets_have_a_folder_an_experiment_and_data_of_their_own(facts):
    found = facts(training=AUXILIARY, aux_text="romanised", skip_stages="5")
    folder, plain = "data/train_prompts_token_list/romanised", facts()
    assert found["aux_dir"] == folder and not plain["aux_dir"] and not plain["aux_tokens"]
    assert found["asr_exp"] == plain["asr_exp"] + "_romanised"
    texts = [f"{folder}/{name}/text_aux" for name in ("train_prompts", "dev_prompts")]
    assert found["token_files"][-3:] == [f"{folder}/tokens_aux.txt", *texts]
    assert f"{found['asr_stats_dir']}/train/text_aux,text_aux,text_int" in found["data_args"]
    assert found["aux_tool"] == ""  # which only stage 5 asks for


@pytest.mark.parametrize(
    "training, kind, said",
    [
        (AUXILIARY, "", "learns text_aux after layer 3, .* Give --aux_text phonemes or --aux_text"),
        (TRAINING, "phonemes", "--aux_text phonemes would be ignored: .* names no text_aux. Give"),
        (AUXILIARY, "ipa", "--aux_text is phonemes or romanised, not 'ipa'"),
    ],
)
def test_auxiliary_targets_are_for_yamls_that_learn_them(facts, training, kind, said):
    with pytest.raises(UserError, match=said):
        facts(training=training, aux_text=kind)


def test_what_is_left_out_has_its_default(facts):
    found = facts()
    expected = {
        "data_tag": "prompts", "train_set": "train_prompts", "valid_set": "dev_prompts",
        "test_sets": "test_prompts", "data_feats": "dump/raw", "audio_type": "kaldi_ark",
        "token_type": "char", "token_dir": "data/train_prompts_token_list/char",
        "tokens": "data/train_prompts_token_list/char/tokens.txt",
        "nlsyms": "data/train_prompts_token_list/char/nlsyms.txt", "bpemodel": "",
        "asr_exp": "exp/asr_train_raw_prompts_char", "normalize": "utterance_mvn",
        "asr_stats_dir": "exp/asr_stats_train_raw_prompts_char", "stats_file": "",
        "inference_tag": "decode_valid.cer_ctc.ave", "lm_wanted": "false", "use_lm": "false",
        "lm_dir": "exp/lm_train_prompts_word_3gram", "inference_nj": "2", "inference_ngpu": "0",
        "skip_stages": "", "data_sets": "train_prompts dev_prompts test_prompts",
    }  # fmt: skip
    assert {key: found[key] for key in expected} == expected


def test_what_is_not_default_is_in_the_names(facts):
    words = {"langs": "eng fra", "lid": "false", "text_norm": "conf/text_norm_rus.yaml"}
    words |= {"token_type": "bpe", "nbpe": "30", "speed_perturb_factors": "0.9 1.1"}
    found = facts(**words, expdir="/big/exp", dumpdir="/big/dump", feats_type="raw")
    assert found["data_tag"] == "prompts_eng_fra_nolid_rus"
    assert found["train_set"] == "train_prompts_eng_fra_nolid_rus_sp"
    assert found["asr_exp"] == "/big/exp/asr_train_raw_prompts_eng_fra_nolid_rus_bpe30_sp"
    assert found["data_feats"] == "/big/dump/raw"
    assert found["bpemodel"].endswith("_token_list/bpe30/bpe.model")


def test_a_long_tag_is_the_checksum_that_the_shell_gave_it(facts):
    langs = " ".join(f"l{number:02d}" for number in range(30))
    line = langs.replace(" ", "_") + "\n"
    shell = subprocess.run(["cksum"], input=line, capture_output=True, text=True, check=True)
    assert facts(langs=langs)["data_tag"] == "prompts_" + shell.stdout.split()[0]


def test_a_whisper_brings_its_tokens(facts):
    whisper = (RECIPE / "conf/train_asr_whisper_small_ce.yaml").read_text()
    found = facts(whisper)
    assert found["token_type"] == "hugging_face" and found["token_source"]
    with pytest.raises(UserError, match="--token_type char does not go with train.yaml"):
        facts(whisper, token_type="char")


def test_statistics_that_are_given_are_not_collected(facts, tmp_path):
    mvn = TRAINING + "normalize: global_mvn\n"
    (tmp_path / "my.npz").touch()
    given = facts(mvn + "normalize_conf: {stats_file: my.npz}\n")
    assert (given["normalize"], given["stats_file"]) == ("given", "")
    found = facts(mvn)
    assert found["stats_file"] == f"{tmp_path}/{found['asr_stats_dir']}/train/feats_stats.npz"


WHISPER = """
frontend: hf_whisper
frontend_conf: {pool: 2, model_config: {model_type: whisper, d_model: 16, encoder_layers: 2,
    encoder_attention_heads: 2}}
freeze_param: [frontend.net.model]
"""


def test_training_reads_features_that_stage_4_computes_of_the_audio_of_raw(facts):
    found = facts(WHISPER + TRAINING, feats_type="extracted")
    folder = found["features_dir"]
    assert found["data_feats"] == "dump/raw" and found["dump_type"] == "raw"
    assert re.fullmatch(r"dump/extracted/hf_whisper_\d+", folder)
    assert f"{folder}/train_prompts/feats.scp,speech,float16_ark" in found["data_args"]
    samples = "dump/raw/dev_prompts/utt2num_samples,num_samples,text_int"
    assert samples in found["data_args"] and "wav.scp" not in " ".join(found["data_args"])
    assert found["feature_records"][1] == f"{folder}/dev_prompts/extracted.json"
    assert found["asr_exp"] == "exp/asr_train_extracted_prompts_char"
    other = facts(WHISPER.replace("pool: 2", "pool: 3") + TRAINING, feats_type="extracted")
    assert other["features_dir"] != folder
    assert facts(WHISPER + TRAINING)["feature_records"] == []
    assert (
        facts(WHISPER + TRAINING, feats_type="extracted", skip_train="true")["features_dir"] == ""
    )


def test_features_and_auxiliary_targets_go_together(facts):
    both = {"feats_type": "extracted", "aux_text": "romanised", "skip_stages": "5"}
    found = facts(WHISPER + AUXILIARY, **both)
    aux, features = found["aux_dir"], found["features_dir"]
    assert found["asr_exp"] == "exp/asr_train_extracted_prompts_char_romanised"
    assert aux == "data/train_prompts_token_list/romanised"
    assert features == facts(WHISPER + TRAINING, feats_type="extracted")["features_dir"]
    assert f"{features}/train_prompts/feats.scp,speech,float16_ark" in found["data_args"]
    assert f"{found['asr_stats_dir']}/valid/text_aux,text_aux,text_int" in found["data_args"]
    assert found["feature_records"][0] == f"{features}/train_prompts/extracted.json"
    assert f"{aux}/tokens_aux.txt" in found["token_files"]


def test_a_model_that_learns_gives_no_features(facts):
    with pytest.raises(UserError, match="extracted with train.yaml: the pretrained model is not"):
        facts(WHISPER + TRAINING, feats_type="extracted", asr_args="--freeze_param ctc")


def test_asr_args_come_on_top(facts):
    found = facts(asr_args="--normalize none --best_model_criterion valid,loss,min")
    assert found["normalize"] == "none"
    assert found["inference_asr_model"] == "valid.loss.ave.pth"


def test_a_language_model_is_wanted_where_the_decoding_mode_is_lm(facts):
    found = facts(decoding="mode: lm\nlm_unit: char\n", tune_lm="true")
    assert (found["lm_wanted"], found["use_lm"]) == ("true", "true")
    assert found["lm_dir"] == "exp/lm_train_prompts_char_6gram"
    assert found["inference_tag"] == "decode_tuned_valid.cer_ctc.ave"


def test_inference_args_make_a_configuration_of_their_own(facts, tmp_path):
    lm = {"decoding": "mode: lm\nlm_weight: 0.5\n", "inference_args": "--lm_weight 0.25"}
    found = facts(**lm)
    path = tmp_path / found["inference_config"]
    assert found["inference_config"] == "exp/decode_lm_weight_0.25.yaml" and not path.exists()
    assert found["inference_tag"] == "decode_lm_weight_0.25_valid.cer_ctc.ave"
    facts(**lm, dry_run="false")
    assert path.read_text() == "mode: lm\nlm_weight: 0.25\n"
    with pytest.raises(UserError, match="decode.yaml: 'lm_wait' is no option.*lm_weight"):
        facts(inference_args="--lm_wait 0.1")


def test_espnets_three_skips_leave_out_their_stages(facts):
    found = facts(skip_train="true", skip_stages="3")
    assert found["skip_stages"] == "3 2 5 6 7 8 9 10 11"
    assert found["data_sets"] == "dev_prompts test_prompts"
    assert facts(skip_eval="true")["skip_stages"] == "12 13"
    assert facts(skip_data_prep="true")["skip_stages"] == "1 2 3 4 5"


def test_a_path_from_where_the_user_stands_is_found(facts, tmp_path, monkeypatch):
    (tmp_path / "away").mkdir()
    (tmp_path / "away/mine.tsv").touch()
    monkeypatch.setenv("ASR_DRO_CALLER_DIR", str(tmp_path / "away"))
    assert facts(data_source="mine.tsv")["data_source"] == str(tmp_path / "away/mine.tsv")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"text_norm": "lower_no_punkt"}, "lower_no_punkt is not known"),
        (
            {"corpus": "tvs"},
            "--corpus tvs is unknown. Known: debian kaldi librispeech ml_superb prompts tsv",
        ),
        ({"feats_type": "fbank"}, "--feats_type is raw or raw_copy or extracted, not 'fbank'"),
        ({"audio_format": "wav"}, "not 'wav'.*--feats_type raw_copy"),
        ({"token_type": "chr"}, "--token_type is char or bpe"),
        ({"use_lm": "yes"}, "--use_lm is true or false, not 'yes'"),
        ({"gpu_inference": "1"}, "--gpu_inference is true or false"),
        ({"inference_nj": "0"}, "--inference_nj takes an integer from 1"),
        ({"skip_stages": "2,6"}, "--skip_stages takes numbers and spaces"),
        ({"tune_lm": "true"}, "nothing to tune: decode.yaml has no mode lm"),
        ({"lm_dir": "local"}, "mode greedy does not use --lm_dir local"),
        ({"lm_dir": "nowhere", "inference_config": "conf/decode_asr_lm_word.yaml"}, "not exist"),
        ({"feats_type": "raw_copy", "speed_perturb_factors": "0.9"}, "needs --feats_type raw"),
        ({"train_set": "mine"}, "Stage 1 makes train_prompts; for sets of your own"),
        ({"init_exp": "local"}, "is no trained experiment: it has no config.yaml"),
        ({"bpe_train_text": "train.yaml"}, "would be ignored: give --token_type bpe"),
        ({"bpe_train_text": "no.txt", "token_type": "bpe"}, "--bpe_train_text no.txt does not exi"),
        ({"inference_asr_model": "valid.acc.ave.pth"}, "valid.acc.ave.pth will not be made with"),
        ({"ngpu": "64", "dry_run": "false"}, "--ngpu 64 asks for 64 GPUs"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(facts, options, words):
    with pytest.raises(UserError, match=words):
        facts(**options)


def test_a_stack_that_cannot_be_built_is_refused_until_it_is_trained(facts):
    even = TRAINING + "encoder_conf: {kernel_size: 4}\n"
    with pytest.raises(UserError, match="train.yaml: .*kernel_size must be odd"):
        facts(even, dry_run="false")
    assert facts(even, dry_run="false", stage="12")["exp_name"] == "asr_train_raw_prompts_char"


def test_a_model_cannot_be_continued_into_its_own_directory(facts, tmp_path):
    (tmp_path / "exp/asr_old").mkdir(parents=True)
    (tmp_path / "exp/asr_old/config.yaml").touch()
    with pytest.raises(UserError, match="directory of its own"):
        facts(init_exp="exp/asr_old", asr_exp="exp/asr_old")
    found = facts(init_exp="exp/asr_old")
    assert found["asr_exp"] == "exp/asr_train_raw_prompts_char_from_old"
    assert found["init_groups"] == ""  # an imported model has none
    (tmp_path / "exp/asr_old/groups.txt").touch()
    assert facts(init_exp="exp/asr_old")["init_groups"] == "exp/asr_old/groups.txt"


def test_lists_keep_their_words_whole_and_evaluate_nothing(facts):
    found = facts(local_data_opts="--a 'b c' $(touch_x) \"d\"", asr_args="--optim_conf lr=0.1")
    assert found["local_data_words"] == ["--a", "b c", "$(touch_x)", "d"]
    assert found["asr_arg_words"] == ["--optim_conf", "lr=0.1"]
    assert found["test_dirs"] == [f"dump/raw/{found['test_sets']}"]
    assert found["init_args"] == found["lm_args"] == []
    with pytest.raises(UserError, match="'--a 'b': No closing quotation"):
        facts(local_data_opts="--a 'b")


def test_what_training_is_given_follows_from_the_options(facts, tmp_path):
    (tmp_path / "old").mkdir()
    for name in ("config.yaml", "groups.txt"):
        (tmp_path / "old" / name).touch()
    words = {"init_exp": "old", "token_type": "bpe", "nbpe": "30", "extend_groups": "true"}
    found = facts(**words)
    data = " ".join(found["data_args"])
    assert data.startswith(f"--token_list {found['tokens']} --token_type bpe --non_ling")
    assert f"--bpemodel {found['bpemodel']} --groups {found['asr_stats_dir']}/groups.txt" in data
    assert "--valid_data_path_and_name_and_type dump/raw/dev_prompts/text,text,text" in data
    assert data.endswith(f"--valid_shape_file {found['asr_stats_dir']}/valid/text_shape.bpe")
    assert found["init_args"] == ["--init_exp", "old", "--extend_groups", "true"]
    assert found["stats_args"][-4:] == ["--init_groups", "old/groups.txt", *found["init_args"][2:]]
    assert found["token_files"] == [found["tokens"], found["nlsyms"], found["bpemodel"]]


def test_the_experiments_name_tells_its_changes_and_its_pretrained_model(facts):
    assert facts(asr_args="--max_epoch 5")["exp_name"] == "asr_train_raw_prompts_char_max_epoch5"
    ssl = TRAINING.replace("conv_ctc", "hf_wav2vec2") + "input_size: 1\n"
    two = facts(ssl, asr_args="--max_epoch 5 --optim_conf lr=0.1", ssl_checkpoint="a/xlsr.pt")
    assert two["exp_name"] == "asr_train_raw_prompts_char_xlsr.pt_max_epoch5_optim_conflr0.1"
    assert two["asr_stats_dir"] == f"exp/{two['exp_name'].replace('asr_', 'asr_stats_', 1)}"
    long = facts(asr_args="--max_epoch 5 " * 9)["exp_name"]
    assert re.fullmatch(r"asr_train_raw_prompts_char_\d+", long)
    assert facts(asr_args="--max_epoch 5", asr_tag="mine")["exp_name"] == "asr_mine"


def test_a_second_table_does_not_rewrite_the_sets_of_the_first(facts, tmp_path):
    for name in ("a.tsv", "b.tsv"):
        (tmp_path / name).write_text("")
    (tmp_path / "exp" / ".done").mkdir(parents=True)
    mark = {"options": {"opts": f"--corpus tsv --name tsv --langs  --source {tmp_path}/a.tsv"}}
    (tmp_path / "exp" / ".done" / "1_tsv.json").write_text(json.dumps(mark))
    assert facts(corpus="tsv", data_source="a.tsv")["data_tag"] == "tsv"
    with pytest.raises(UserError, match=r"was made from .*a\.tsv, .* --data_tag tsv_b\."):
        facts(corpus="tsv", data_source="b.tsv")
    assert facts(corpus="tsv", data_source="b.tsv", data_tag="tsv_b")["data_tag"] == "tsv_b"
    assert facts(corpus="tsv", data_source="b.tsv", stage="2")["data_tag"] == "tsv"
    (tmp_path / "a.tsv").unlink()  # nobody can make those sets again
    assert facts(corpus="tsv", data_source="b.tsv")["data_tag"] == "tsv"
