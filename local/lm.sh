#!/usr/bin/env bash
# Stages 6 to 9: n-gram language models of a training text, one for all languages and one for each.
set -euo pipefail

stage=6                  # first stage
stop_stage=9             # last stage
skip_stages=             # stages to leave out
dry_run=false            # print the plan, write nothing
expdir=exp               # has the marks of stages that are done
train_dir=               # its text and utt2lang are learnt from (required)
valid_dir=               # the perplexity is that of its text (required)
text_norm=lower_no_punct # what is done to texts
norm_file=               # the YAML of text_norm, where it is one
lm_dir=                  # where the models go (required)
lm_order=3               # longest n-grams
lm_unit=word             # word or char
# shellcheck disable=SC2034 # parse_options.sh prints it
help_message="Usage: local/lm.sh --train_dir data/train_X --valid_dir data/dev_X --lm_dir exp/lm_X"

. utils/log.sh
. utils/parse_options.sh
. utils/stages.sh
. ./path.sh

for name in train_dir valid_dir lm_dir; do
    [ -n "${!name}" ] || die "--${name} is required. See local/lm.sh --help."
done
lm=(python3 -m asr_dro_plugin.bin.lm)
train_set=$(basename "${train_dir}")
lm_name=$(basename "${lm_dir}")
lm_text=${train_dir}.lm_text

collect=(--text_norm "${text_norm}")
if begin 6 "${train_set}" "text of the language models -> ${lm_text}" --output "${lm_text}" \
    --input "${train_dir}"/{text,utt2lang} ${norm_file:+"${norm_file}"} -- "${collect[@]}"; then
    listed "${lm[@]}" collect --out "${lm_text}" --per both "${collect[@]}" \
        --groups "${train_dir}/utt2lang" "${train_dir}/text"
    end
fi

estimate=("${lm[@]}" estimate "${lm_text}" --out "${lm_dir}" --order "${lm_order}"
    --unit "${lm_unit}")
if begin 7 "${lm_name}" "${lm_order}-grams of ${lm_unit}s -> ${lm_dir}" \
    --option "estimate=${estimate[*]}" --input "${lm_text}" --output "${lm_dir}/joint/lm.json"; then
    listed "${estimate[@]}" --overwrite true # the mark says that they are to be made
    end
fi

if begin 8 "${lm_name}" "perplexity of ${valid_dir} -> ${lm_dir}/perplexity.json" \
    --input "${lm_dir}/joint/lm.json" "${valid_dir}/text" --output "${lm_dir}/perplexity.json"; then
    listed "${lm[@]}" perplexity "${lm_dir}" "${valid_dir}/text" \
        --groups "${valid_dir}/utt2lang" --json "${lm_dir}/perplexity.json" --overwrite true
    end
fi

if wanted 9 && ! ${dry_run}; then
    "${lm[@]}" binary "${lm_dir}" # seconds, and only where KenLM's build_binary is there
fi
