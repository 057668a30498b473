#!/usr/bin/env bash
# The stages, numbered as in ESPnet: see help_message, and local/ for what the larger ones do.
# A stage whose inputs and options are unchanged is skipped; one that was interrupted is done again.
# shellcheck disable=SC2154 # names that recipe_facts prints, and what cmd.sh and utils/ define
set -euo pipefail
export ASR_DRO_CALLER_DIR=${ASR_DRO_CALLER_DIR:-$PWD} # a user's relative paths start there
cd "$(dirname "${BASH_SOURCE[0]}")"
# A stop of this process is passed on to the job that it waits for, which saves itself first.
[ "${ASR_DRO_SUPERVISOR:-}" = "${PPID}" ] || [ ! -d /proc/self ] ||
    exec utils/supervise.py ./asr.sh "$@"

# What to do
stage=1                  # first stage
stop_stage=13            # last stage (14 packs the model)
skip_stages=             # stages to leave out, for example "2 6"
skip_data_prep=false     # leave out stages 1 to 5
skip_train=false         # leave out training: stages 2 and 5 to 11, and the training set in 3 and 4
skip_eval=false          # leave out stages 12 and 13
dry_run=false            # print the plan and the stack, write nothing
expdir=exp               # where experiments, statistics and language models go
dumpdir=dump             # where the audio goes
# Data
corpus=prompts           # prompts, debian, tsv, kaldi, ml_superb, librispeech: see local/
langs=                   # ISO 639-3 codes, for example "eng fra" (default: all)
lid=true                 # put the language tag [iso] first in every text
text_norm=lower_no_punct # none, nfc, upper_no_punct ..., a YAML, or NAME: conf/text_norm_NAME.yaml
data_source=             # folder or table of the corpus (default: db.sh)
local_data_opts=         # more options for local/data.sh (see local/data.sh --corpus NAME --help)
data_tag=                # names the sets (default: the corpus and its options that are no default)
train_set=               # default: train_TAG
valid_set=               # default: dev_TAG
test_sets=               # default: test_TAG; several are separated by spaces
speed_perturb_factors=   # for example "0.9 1.0 1.1"
feats_type=raw           # raw: 16 kHz mono FLAC archives; raw_copy: audio stays where it is;
                         # extracted: raw, and training reads hidden states of the YAML's frozen
                         # frontend, which stage 4 computes once
audio_format=flac.ark    # of raw: nothing else
allow_pipes=false        # run commands given in wav.scp
min_wav_duration=0.1     # seconds; train and dev
max_wav_duration=20.0    # seconds; train and dev
max_drop=0.05            # share of a language that may be dropped before it is an error
# Tokens
token_type=              # char, bpe, word, hugging_face (default: char, or the model's own)
nbpe=500                 # sentencepiece vocabulary
bpe_train_text=          # text of the pieces, tags and all (default: the training text)
aux_text=                # phonemes or romanised: a second target, where the YAML learns text_aux
token_list=              # a given tokens.txt instead of one from the training text
# Model
asr_config=conf/train_asr_ctc_dro_mini.yaml    # training configuration
asr_tag=                 # names the experiment (default: from the configuration and the data)
asr_exp=                 # directory of the experiment (default: EXPDIR/asr_TAG)
asr_stats_dir=           # directory of lengths and statistics (default: EXPDIR/asr_stats_TAG)
asr_args=                # more options for training, for example "--max_epoch 5"
onebatchtest=false       # stage 11 only learns a few utterances by heart, and says whether it could
ssl_checkpoint=          # pretrained model: name, path, or org/name of the hub (default: the YAML)
init_exp=                # experiment to continue from
extend_groups=false      # let the continued model meet new languages and characters
# Language model: n-grams of the training text, where the decoding configuration asks for them
use_lm=                  # true or false (default: whether the decoding configuration has mode lm)
lm_order=                # longest n-grams (default: 3 words or 6 characters, by lm_unit)
lm_dir=                  # language models made before, or by asr-dro lm (default: EXPDIR/lm_TAG)
tune_lm=false            # find the weights, of each language, on the dev set, before decoding
# Decoding
inference_config=conf/decode_asr_greedy.yaml   # decoding configuration
inference_args=          # changes of that configuration, for example "--lm_weight 0.3"
forced_too=true          # decode again, its language given, what is taken for another: its cost
inference_asr_model=     # model file in the experiment (default: the average of the best)
inference_tag=           # names the results (default: from the configuration and the model)
# Packing
model_licence=unknown    # of the packed model, for example cc-by-4.0
# Machine
ngpu=0                   # GPUs for training and decoding
gpu_inference=           # true or false: decode on a GPU (default: whether ngpu is above 0)
nj=2                     # parallel parts of the data stages and of decoding
inference_nj=            # parallel parts of decoding (default: nj)
num_threads=${SLURM_CPUS_PER_TASK:-1} # threads of training on a CPU

help_message="Usage: $0 [--option value]...  ESPnet's stage numbers: 1 data, 2 speed perturbation,
3 format, 4 filter, 5 tokens, 6-9 language model, 10 statistics, 11 training, 12 decoding,
13 scoring, 14 packing."
option_hints=utils/espnet_options.tsv # ESPnet's options that have another name here
. utils/log.sh
. utils/parse_options.sh
[ $# -eq 0 ] || die "'$1' is no option. See $0 --help."
. ./path.sh
. ./cmd.sh
. utils/stages.sh

{ # bash reads a braced block whole: editing this file harms no run that is under way

# ---- all names that follow from the options, and their refusal: experiment/recipe_names.py ----
options=("cmd_backend=${cmd_backend}")
for name in "${option_names[@]}"; do options+=("${name}=${!name}"); done
facts=$(python3 -m asr_dro_plugin.bin.recipe_facts "${options[@]}") || exit 1 # it says why
eval "${facts}" # lines such as asr_exp=exp/asr_mini and data_args=(--token_list ...), all quoted

# ---- 1: the corpus -> Kaldi directories ----
corpus_args=(--corpus "${corpus}" --name "${data_tag}" --langs "${langs}" --lid "${lid}"
    --text_norm "${text_norm}" --max_drop "${max_drop}"
    ${data_source:+--source "${data_source}"} "${local_data_words[@]}")
if wanted 1; then
    files=$(local/data.sh --corpus "${corpus}" --list_inputs "${data_source}")
    mapfile -t corpus_files <<<"${files}"
fi
if begin 1 "${data_tag}" "corpus ${corpus} -> data/{train,dev,test}_${data_tag}" \
    --option "opts=${corpus_args[*]}" --input ${norm_file:+"${norm_file}"} "${corpus_files[@]}" \
    --output "${corpus_sets[@]}"; then
    local/data.sh "${corpus_args[@]}"
    utils/validate_data_dir.sh --allow_pipes "${allow_pipes}" "${corpus_sets[@]}"
    end
fi

# ---- 2: the training set at several speeds ----
if [ -n "${speed_perturb_factors}" ]; then
    once 2 "${train_set}" "data/${org_train_set} at other speeds -> data/${train_set}" \
        --option "factors=${speed_perturb_factors}" \
        --input "data/${org_train_set}" --output "data/${train_set}" \
        --run python3 -m asr_dro_plugin.bin.perturb_speed --factors "${speed_perturb_factors}" \
        --data_dir "data/${org_train_set}" --out_dir "data/${train_set}"
fi

# ---- 3: audio -> 16 kHz mono ----
format=(--feats_type "${dump_type}" --allow_pipes "${allow_pipes}" --max_drop "${max_drop}")
for dset in ${data_sets}; do
    out=${data_feats}/org/${dset}
    dump=(python3 -m asr_dro_plugin.bin.dump_audio --data_dir "data/${dset}" --out_dir "${out}"
        "${format[@]}" --num_parts "${nj}")
    if begin 3 "${dump_type}_${dset}" "data/${dset} -> ${out} (16 kHz mono)" \
        --input "data/${dset}" --output "${out}" -- "${format[@]}"; then
        ${train_cmd} --title "stage 3 ${dset}" --num_threads 1 "JOB=1:${nj}" \
            "${data_feats}/org/logs/${dset}/dump.JOB.log" "${dump[@]}" --part JOB
        "${dump[@]}" --merge true
        end
    fi
done

# ---- 4: without what is too short, too long or empty ----
for dset in ${data_sets}; do
    in=${data_feats}/org/${dset} out=${data_feats}/${dset}
    role=test known_by=data/${org_train_set} # whose letters are known
    [ "${dset}" != "${valid_set}" ] || role=valid
    [ "${dset}" != "${train_set}" ] || role=train known_by=
    filter=(--in_dir "${in}" --out_dir "${out}" --role "${role}"
        --min_wav_duration "${min_wav_duration}" --max_wav_duration "${max_wav_duration}"
        --max_drop "${max_drop}" ${known_by:+--train_dir "${known_by}"}
        ${token_list:+--token_list "${token_list}"})
    once 4 "${dump_type}_${dset}" "${in} -> ${out}" --option "filter=${filter[*]}" \
        --input "${in}" ${known_by:+"${known_by}/text"} --output "${out}" \
        --run python3 -m asr_dro_plugin.bin.filter_data "${filter[@]}"
done

if [ -n "${features_dir}" ] && begin 4 "extracted_${features_dir##*/}_${train_set}_${valid_set}" \
    "hidden states of the frozen frontend -> ${features_dir}" --option "of=${frontend_facts}" \
    --input "${data_feats}"/{"${train_set}","${valid_set}"}/{wav.scp,utt2num_samples} \
    ${features_model:+"${features_model}"} --output "${feature_records[@]}"; then
    local/extract_features.sh "${nj}" "$((ngpu > 0))" "${features_dir}" "${extract_args[@]}"
    end
fi

# ---- 5: the token list ----
token_text=${bpe_train_text:-${data_feats}/${train_set}/text}
make_tokens=(--text "${token_text}" --out_dir "${token_dir}" --token_type "${token_type}"
    --nbpe "${nbpe}" --lid "${lid}" ${token_source:+--ssl_checkpoint "${token_source}"}
    ${init_exp:+--init_tokens "${init_exp}/tokens.txt"})
if [ -z "${token_list}" ]; then
    once 5 "${train_set}_${token_name}${continued}" "${token_text} -> ${token_dir}" \
        --option "tokens=${make_tokens[*]}" --output "${token_dir}" \
        --input "${token_text}" ${init_exp:+"${init_exp}/tokens.txt"} \
        --run python3 -m asr_dro_plugin.bin.make_tokens "${make_tokens[@]}"
fi

if [ -n "${aux_text}" ]; then # the same texts as phonemes or in Latin letters
    aux=(--aux_text "${aux_text}" --train_dir "${data_feats}/${train_set}"
        --valid_dir "${data_feats}/${valid_set}" --out_dir "${aux_dir}")
    once 5 "${train_set}_${valid_set}_${aux_text}" "texts as ${aux_text} -> ${aux_dir}" \
        --option "aux=${aux[*]}" --option "tool=${aux_tool}" --input local/espeak_voices.tsv \
        "${data_feats}"/{"${train_set}","${valid_set}"}/{text,utt2lang} --output "${aux_tokens}" \
        "${aux_dir}"/{"${train_set}","${valid_set}"}/text_aux \
        --run python3 -m asr_dro_plugin.bin.stages.aux_text "${aux[@]}"
fi

# ---- 6-9: n-gram language models of the training text ----
which=(--stage "${stage}" --stop_stage "${stop_stage}" --skip_stages "${skip_stages}"
    --dry_run "${dry_run}" --expdir "${expdir}")
norm=(--text_norm "${text_norm}" --norm_file "${norm_file}")
if [ -z "${lm_given}" ] && ${use_lm}; then
    local/lm.sh "${which[@]}" "${norm[@]}" --lm_dir "${lm_dir}" --lm_order "${lm_order}" \
        --lm_unit "${lm_unit}" --train_dir "data/${org_train_set}" --valid_dir "data/${valid_set}"
elif wanted 6 || wanted 7 || wanted 8 || wanted 9; then
    log "Stages 6-9: nothing to build: decoding uses ${lm_given:-the acoustic model alone}."
fi

# ---- 10: what the stack makes of the data: lengths, groups, mean and variance ----
if begin 10 "${exp_name}" "lengths and groups -> ${asr_stats_dir}" \
    --option "shapes=${stats_args[*]}" "normalize=${normalize}" \
    --input "${data_feats}"/{"${train_set}","${valid_set}"} "${asr_config}" "${token_files[@]}" \
    "${feature_records[@]}" ${init_groups:+"${init_groups}"} \
    --output "${asr_stats_dir}"/{groups.txt,train,valid}; then
    python3 -m asr_dro_plugin.bin.preflight "${stats_args[@]}" --write_shapes true \
        "${init_args[@]}" --test_dirs "${test_dirs[@]}"
    [ -z "${stats_file}" ] || local/collect_stats.sh "${asr_stats_dir}" --config "${asr_config}" \
        "${data_args[@]}" "${ssl_args[@]}" "${asr_arg_words[@]}"
    end
fi

# ---- 11: training ----
train=(--config "${asr_config}" --output_dir "${asr_exp}" --resume true "${data_args[@]}"
    ${stats_file:+--normalize global_mvn --normalize_conf "stats_file=${stats_file}"}
    "${ssl_args[@]}" "${init_args[@]}" "${asr_arg_words[@]}")
where=(--ngpu "${ngpu}") # says where it runs, not what is made: a run goes on when it changes
[ "${ngpu}" -le 1 ] || where+=(--multiprocessing_distributed true)
needs 11 "Run stages 4 to 10 first: --stage 4." "${tokens}" "${asr_stats_dir}/groups.txt" \
    "${feature_records[@]}"
if ${onebatchtest} && wanted 11; then # instead of training and all that comes after it
    exec local/onebatchtest.sh "${dry_run}" "${asr_exp}_onebatchtest" "${ngpu}" "${num_threads}" \
        "${train[@]}" "${where[@]}"
fi
if begin 11 "${exp_name}" "training -> ${asr_exp}" \
    --option "train=python3 -m asr_dro_plugin.bin.train ${train[*]}" \
    --input "${asr_config}" "${token_files[@]}" "${asr_stats_dir}"/{groups.txt,train,valid} \
    "${data_feats}/${train_set}"/{text,wav.scp} ${init_exp:+"${init_exp}/config.yaml"} \
    "${feature_records[@]}" ${ssl_files:+"${ssl_files}"} \
    --output "${asr_exp}"/{"${inference_asr_model}",config.yaml}; then
    utils/prepare_exp.sh "${asr_exp}" "${mark%.json}.begun.json" "${mark_args[@]}"
    uses "${asr_exp}"
    cp "${tokens}" ${aux_tokens:+"${aux_tokens}"} "${asr_stats_dir}/groups.txt" "${asr_exp}"
    utils/write_command.sh "${asr_exp}/run.sh" \
        python3 -m asr_dro_plugin.bin.train "${train[@]}" "${where[@]}"
    ${cuda_cmd} --title "stage 11 train" --grace 600 --gpu "${ngpu}" \
        --num_threads "${num_threads}" "${asr_exp}/train.log" bash "${asr_exp}/run.sh"
    end
elif wanted 11 && ${dry_run} && [ -n "${why}" ]; then
    utils/prepare_exp.sh --plan "${asr_exp}" "${mark%.json}.begun.json" "${mark_args[@]}"
fi

# ---- 12: decoding, with weights of the language model found on the dev set if wanted ----
lm_files=() texts=() scores=()
${dry_run} || uses "${asr_exp}" # no other run may move it aside now
if ${lm_wanted}; then
    mapfile -t lm_files < <(compgen -G "${lm_dir}/*/lm.arpa*" || echo "${lm_dir}")
    needs 12 "Run stages 6 to 9, or give --lm_dir." "${lm_files[0]}"
fi
if ${tune_lm}; then
    local/tune_lm.sh "${which[@]}" "${norm[@]}" --exp "${asr_exp}" --lm_dir "${lm_dir}" \
        --model_file "${inference_asr_model}" --config "${inference_config}" --ngpu \
        "${inference_ngpu}" --data_dir "${data_feats}/${valid_set}" --out_dir "${decode_dir}"
    inference_config=${decode_dir}/decode.yaml
fi
for dset in ${valid_set} ${test_sets}; do
    data=${data_feats}/${dset} out=${decode_dir}/${dset}
    texts+=("${out}"/{text,forced_too/text} "${data}/text")
    scores+=("${out}"/{score.json,score.txt,utts.tsv})
    decode=(python3 -m asr_dro_plugin.bin.decode --exp "${asr_exp}"
        --model_file "${inference_asr_model}" --config "${inference_config}"
        --data_dir "${data}" --out_dir "${out}" --forced_too "${forced_too}" "${lm_args[@]}")
    where=(--num_parts "${inference_nj}" --ngpu "${inference_ngpu}" --overwrite true)
    needs 12 "Run stages 4 and 11 first." "${asr_exp}/config.yaml" "${data}/wav.scp"
    if begin 12 "${exp_name}_${inference_tag}_${dset}" "decoding ${dset} -> ${out}" \
        --option "decode=${decode[*]}" --output "${out}/text" \
        --input "${asr_exp}"/{"${inference_asr_model}",config.yaml} "${inference_config}" \
        "${data}/wav.scp" "${lm_files[@]}"; then
        utils/write_command.sh "${out}/run.sh" "${decode[@]}"
        ${decode_cmd} --title "stage 12 ${dset}" --gpu "${inference_ngpu}" --num_threads 1 \
            "JOB=1:${inference_nj}" "${out}/logs/decode.JOB.log" \
            "${decode[@]}" "${where[@]}" --part JOB
        listed "${decode[@]}" "${where[@]}" --merge true
        end
    fi
done

# ---- 13: error rates, the report ----
score=(--sets "${valid_set} ${test_sets}" --text_norm "${text_norm}")
if begin 13 "${exp_name}_${inference_tag}" "scores -> ${asr_exp}/RESULTS.md and report.html" \
    --input ${norm_file:+"${norm_file}"} "${texts[@]}" \
    --output "${asr_exp}"/{RESULTS.md,report.html} "${scores[@]}" -- "${score[@]}"; then
    listed local/score.sh "${score[@]}" --strict false --exp "${asr_exp}" --dump "${data_feats}" \
        --inference_tag "${inference_tag}" --asr_config "${asr_config}" \
        --inference_config "${inference_config}" --model_file "${asr_exp}/${inference_asr_model}" \
        --git_commit "$(git rev-parse --short HEAD 2>/dev/null || true)"
    listed python3 -m asr_dro_plugin.bin.report "${asr_exp}" --dump "${data_feats}"
    end
elif wanted 13 && ! ${dry_run}; then
    tables=()
    for dset in ${valid_set} ${test_sets}; do tables+=("${decode_dir}/${dset}/score.txt"); done
    show_tables "${tables[@]}"
fi

# ---- 14: the model as one file ----
packed=${asr_exp}/${exp_name}.zip
pack=(python3 -m asr_dro_plugin.bin.pack "${asr_exp}" --out "${packed}"
    --model_file "${inference_asr_model}" --inference_config "${inference_config}"
    --licence "${model_licence}" "${lm_args[@]}")
mapfile -t scores < <(compgen -G "${decode_dir}/*/score.json" || true) # for the card
[ ${#scores[@]} = 0 ] || pack+=(--inference_tag "${inference_tag}")
once 14 "${exp_name}" "${asr_exp} -> ${packed}" --option "pack=${pack[*]}" \
    --output "${packed}" --input "${asr_exp}"/{"${inference_asr_model}",config.yaml,groups.txt} \
    "${inference_config}" "${lm_files[@]}" "${scores[@]}" --run "${pack[@]}" --overwrite true

if ${dry_run}; then
    [ ! -e "${tokens}" ] || ssl_args+=(--token_list "${tokens}")
    python3 -m asr_dro_plugin.bin.info "${asr_config}" "--asr_args=${asr_args}" "${ssl_args[@]}" \
        --stats_dir "${asr_stats_dir}"
fi
log "Done."
exit 0
}
