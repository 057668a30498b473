#!/usr/bin/env bash
# Stage 12 with --tune_lm true: weights of a language model, of each language, found on the dev set.
set -euo pipefail

stage=12                 # first stage
stop_stage=12            # last stage
skip_stages=             # stages to leave out
dry_run=false            # print the plan, write nothing
expdir=exp               # has the marks of stages that are done
exp=                     # trained experiment (required)
model_file=              # the model in it (required)
config=                  # decoding configuration to be tuned (required)
data_dir=                # dumped dev set (required)
lm_dir=                  # language models (required)
text_norm=lower_no_punct # what is done to texts
norm_file=               # the YAML of text_norm, where it is one
out_dir=                 # gets decode.yaml, the tuned configuration (required)
ngpu=0                   # GPUs
help_message="Usage: local/tune_lm.sh --exp exp/asr_X --model_file valid.loss.ave.pth --config YAML
--data_dir dump/raw/dev_X --lm_dir exp/lm_X --out_dir exp/asr_X/TAG"

. utils/log.sh
. utils/parse_options.sh
. utils/stages.sh
. ./path.sh
. ./cmd.sh

for name in exp model_file config data_dir lm_dir out_dir; do
    [ -n "${!name}" ] || die "--${name} is required. See local/tune_lm.sh --help."
done
tuned=${out_dir}/decode.yaml
mapfile -t lm_files < <(compgen -G "${lm_dir}/*/lm.arpa*" || echo "${lm_dir}")
tune=(python3 -m asr_dro_plugin.bin.tune_lm --exp "${exp}" --model_file "${model_file}"
    --config "${config}" --data_dir "${data_dir}" --lm_dir "${lm_dir}" --text_norm "${text_norm}"
    --out "${tuned}")
# shellcheck disable=SC2154 # decode_cmd is cmd.sh's
once 12 "$(basename "${exp}")_$(basename "${out_dir}")" \
    "weights of the language model on $(basename "${data_dir}")" \
    --option "tune=${tune[*]}" --output "${tuned}" \
    --input "${exp}/${model_file}" "${config}" "${data_dir}/text" \
    ${norm_file:+"${norm_file}"} "${lm_files[@]}" \
    --run ${decode_cmd} --title "stage 12 tune" --gpu "${ngpu}" --num_threads 1 \
    "${out_dir}/logs/tune.log" "${tune[@]}" --ngpu "${ngpu}"
