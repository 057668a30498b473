"""What the marks of the stages hold stays as it is: who updates goes on, and does nothing twice.

The words are those that the recipe has written from the first on.  A change of one makes every
user's stage run again, and of stage 11 moves a training aside that was to be resumed.
"""

import json

EXP = "exp/asr_train_asr_tiny_raw_tsv_char"
STATS = "exp/asr_stats_train_asr_tiny_raw_tsv_char"
TOKENS = "data/train_tsv_token_list/char"
TAG = "decode_asr_greedy_valid.cer_ctc.ave"
PYTHON = "python3 -m asr_dro_plugin.bin"


def data(part: str, name: str) -> str:
    """The options that tell training one of its sets."""
    option = f"--{part}_data_path_and_name_and_type"
    return (
        f"{option} dump/raw/{name}/wav.scp,speech,kaldi_ark {option} dump/raw/{name}/text,text,text"
        f" {option} {STATS}/{part}/utt2group,group_ids,text_int --{part}_shape_file"
        f" {STATS}/{part}/speech_shape --{part}_shape_file {STATS}/{part}/text_shape.char"
    )


def test_the_options_in_the_marks_are_those_of_always(recipe):
    train = (
        f"{PYTHON}.train --config {recipe.config} --output_dir {EXP} --resume true --token_list "
        f"{TOKENS}/tokens.txt --token_type char --non_linguistic_symbols {TOKENS}/nlsyms.txt "
        f"--groups {STATS}/groups.txt {data('train', 'train_tsv')} {data('valid', 'dev_tsv')}"
    )
    expected = {
        "3_raw_dev_tsv": {"allow_pipes": "false", "feats_type": "raw", "max_drop": "0.05"},
        "4_raw_dev_tsv": {
            "filter": "--in_dir dump/raw/org/dev_tsv --out_dir dump/raw/dev_tsv --role valid "
            "--min_wav_duration 0.1 --max_wav_duration 20.0 --max_drop 0.05 "
            "--train_dir data/train_tsv"
        },
        "5_train_tsv_char": {
            "tokens": f"--text dump/raw/train_tsv/text --out_dir {TOKENS} --token_type char "
            "--nbpe 500 --lid true"
        },
        f"10_{EXP[4:]}": {
            "normalize": "utterance_mvn",
            "shapes": "--train_dir dump/raw/train_tsv --valid_dir dump/raw/dev_tsv --tokens "
            f"{TOKENS}/tokens.txt --token_type char --config {recipe.config} --asr_args= "
            f"--out_dir {STATS} --max_drop 0.05 --nlsyms {TOKENS}/nlsyms.txt",
        },
        f"11_{EXP[4:]}": {"train": train},
        f"11_{EXP[4:]}.begun": {"train": train},
        f"12_{EXP[4:]}_{TAG}_test_tsv": {
            "decode": f"{PYTHON}.decode --exp {EXP} --model_file valid.cer_ctc.ave.pth --config "
            "conf/decode_asr_greedy.yaml --data_dir dump/raw/test_tsv "
            f"--out_dir {EXP}/{TAG}/test_tsv --forced_too true"  # what it makes is more than before
        },
        f"13_{EXP[4:]}_{TAG}": {"sets": "dev_tsv test_tsv", "text_norm": "lower_no_punct"},
        f"14_{EXP[4:]}": {
            "pack": f"{PYTHON}.pack {EXP} --out {EXP}/{EXP[4:]}.zip --model_file "
            "valid.cer_ctc.ave.pth --inference_config conf/decode_asr_greedy.yaml --licence unknown"
            f" --inference_tag {TAG}"
        },
    }
    marks = recipe.path / "exp/.done"
    found = {name: json.loads((marks / f"{name}.json").read_text()) for name in expected}
    assert {name: mark["options"] for name, mark in found.items()} == expected


def test_training_depends_on_the_inputs_of_always(recipe):
    mark = json.loads((recipe.path / f"exp/.done/11_{EXP[4:]}.begun.json").read_text())
    assert {name for name in mark["inputs"] if not name.startswith(f"{STATS}/")} == {
        str(recipe.config), "dump/raw/train_tsv/text", "dump/raw/train_tsv/wav.scp",
        "audio of dump/raw/train_tsv/wav.scp", f"{TOKENS}/tokens.txt", f"{TOKENS}/nlsyms.txt",
    }  # fmt: skip
