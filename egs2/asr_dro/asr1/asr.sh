#!/usr/bin/env bash
# The stages, numbered as in ESPnet: 1 data, 2 speed perturbation, 3 format, 4 filter, 5 tokens,
# 6-9 language model, 10 statistics, 11 training, 12 decoding, 13 scoring, 14 packing.
# A stage whose inputs and options are unchanged is skipped; one that was interrupted is done again.
set -euo pipefail
export ASR_DRO_CALLER_DIR=${ASR_DRO_CALLER_DIR:-$PWD} # relative paths given by a user start there too
cd "$(dirname "${BASH_SOURCE[0]}")"

# What to do
stage=1                  # first stage
stop_stage=13            # last stage (14 packs the model)
skip_stages=             # stages to leave out, for example "2 6"
dry_run=false            # print the plan and the stack, write nothing
# Data
corpus=prompts           # prompts, tsv, ml_superb, librispeech: one script each in local/
langs=                   # ISO 639-3 codes, for example "eng fra" (default: all)
lid=true                 # put the language tag [iso] first in every text
text_norm=lower_no_punct # text normaliser: none, nfc, lower_no_punct, upper_no_punct, or a YAML (NAME: conf/text_norm_NAME.yaml)
data_source=             # folder or table of the corpus (default: db.sh)
local_data_opts=         # more options for local/data.sh
data_tag=                # names the sets (default: the corpus and what is not default in its options)
train_set=               # default: train_TAG
valid_set=               # default: dev_TAG
test_sets=               # default: test_TAG; several are separated by spaces
speed_perturb_factors=   # for example "0.9 1.0 1.1"
feats_type=raw           # raw: 16 kHz mono FLAC archives; raw_copy: audio stays where it is
allow_pipes=false        # run commands given in wav.scp
min_wav_duration=0.1     # seconds; train and dev
max_wav_duration=20.0    # seconds; train and dev
max_drop=0.05            # share of a language that may be dropped before it is an error
# Tokens
token_type=              # char, bpe, word, hugging_face (default: char, or what the model brings: Whisper's own)
nbpe=500                 # sentencepiece vocabulary
token_list=              # a given tokens.txt instead of one from the training text
# Model
asr_config=conf/train_asr_ctc_dro_mini.yaml    # training configuration
asr_tag=                 # names the experiment (default: from the configuration and the data)
asr_exp=                 # directory of the experiment (default: exp/asr_TAG)
asr_args=                # more options for training, for example "--max_epoch 5"
onebatchtest=false       # stage 11 learns a few utterances by heart instead, and says whether it could
ssl_checkpoint=          # pretrained model of the stack: a name, a path, or org/name of the hub (default: the YAML's)
init_exp=                # experiment to continue from
extend_groups=false      # let the continued model meet new languages and characters
# Language model: n-grams of the training text, where the decoding configuration asks for them
use_lm=                  # true or false (default: whether the decoding configuration has mode lm)
lm_order=                # longest n-grams (default: 3 words or 6 characters, as the decoding configuration's lm_unit)
lm_dir=                  # language models made before, as by asr-dro lm build (default: exp/lm_TAG)
tune_lm=false            # find the weight and the word score on the dev set, before decoding
# Decoding
inference_config=conf/decode_asr_greedy.yaml   # decoding configuration
inference_asr_model=     # model file in the experiment (default: the average by the YAML's best_model_criterion)
inference_tag=           # names the results (default: from the configuration and the model)
# Packing
model_licence=unknown    # of the packed model, for example cc-by-4.0
# Machine
ngpu=0                   # GPUs for training and decoding
nj=2                     # parallel parts of the data stages and of decoding
num_threads=2            # threads of training on a CPU

# shellcheck disable=SC2034 # parse_options.sh prints it
help_message="Usage: $0 [--option value]...  ESPnet's stage numbers: 1 data, 2 speed perturbation, 3 format,
4 filter, 5 tokens, 6-9 language model, 10 statistics, 11 training, 12 decoding, 13 scoring, 14 packing."

. utils/log.sh
. utils/parse_options.sh
[ $# -eq 0 ] || die "'$1' is no option. See $0 --help."
. ./path.sh
# shellcheck source=egs2/asr_dro/asr1/cmd.sh
. ./cmd.sh
. ./db.sh

{ # bash reads a braced block whole before it runs it: editing this file harms no run that is under way

# ---- names that follow from the options ----
for name in data_source text_norm asr_config inference_config token_list ssl_checkpoint init_exp lm_dir; do
    if [ -n "${!name}" ] && [ ! -e "${!name}" ] && [ -e "${ASR_DRO_CALLER_DIR}/${!name}" ]; then
        printf -v "${name}" '%s' "${ASR_DRO_CALLER_DIR}/${!name}"
    fi
done
words_of() { # words_of TEXT: its words, one a line; quotes keep words together, nothing is evaluated
    xargs -r -n 1 printf '%s\n' <<<"$1"
}
local_data_words=$(words_of "${local_data_opts}") || die "--local_data_opts has an unmatched quote: ${local_data_opts}"
asr_arg_words=$(words_of "${asr_args}") || die "--asr_args has an unmatched quote: ${asr_args}"
mapfile -t local_data_words < <([ -z "${local_data_words}" ] || echo "${local_data_words}")
mapfile -t asr_arg_words < <([ -z "${asr_arg_words}" ] || echo "${asr_arg_words}")

facts=$(python3 -m asr_dro_plugin.bin.recipe_facts "${asr_config}" "${inference_config}" "--asr_args=${asr_args}" \
    --text_norm "${text_norm}") || exit 1 # its one line stands above
declare -A fact # what follows from the two configurations
while read -r key value; do fact[${key}]=${value}; done <<<"${facts}"
token_type=${token_type:-${fact[token_type]}}

if [ -z "${data_tag}" ]; then # other data, another name: runs side by side do not meet
    norm_name=$(basename "${text_norm}" .yaml)
    more="${langs} $([ "${lid}" = true ] || echo nolid) $([ "${text_norm}" = lower_no_punct ] || echo "${norm_name#text_norm_}")"
    more="${more} $(sed -E 's/--[a-z_-]+//g' <<<"${local_data_opts}")"
    more=$(tr -cs 'A-Za-z0-9.\n' '_' <<<"${more}" | sed 's/^_*//; s/_*$//')
    [ ${#more} -le 40 ] || more=$(cksum <<<"${more}" | cut -d' ' -f1)
    data_tag=${corpus}${more:+_${more}}
fi
train_set=${train_set:-train_${data_tag}}
valid_set=${valid_set:-dev_${data_tag}}
test_sets=${test_sets:-test_${data_tag}}
org_train_set=${train_set}
[ -z "${speed_perturb_factors}" ] || train_set=${train_set}_sp
continued=${init_exp:+_from_$(basename "${init_exp}" | sed 's/^asr_//')}
token_name=${token_type}
[ "${token_type}" != bpe ] || token_name=bpe${nbpe}
[ "${token_type}" != hugging_face ] || token_name=$(basename "${ssl_checkpoint:-${fact[ssl_checkpoint]}}")
token_dir=data/${train_set}_token_list/${token_name}${continued}
[ -z "${token_list}" ] || token_dir=$(dirname "${token_list}") # nlsyms.txt and bpe.model lie beside it
tokens=${token_list:-${token_dir}/tokens.txt}
asr_tag=${asr_tag:-$(basename "${asr_config}" .yaml)_${feats_type}_${data_tag}_${token_name}${speed_perturb_factors:+_sp}${continued}}
asr_exp=${asr_exp:-exp/asr_${asr_tag}}
exp_name=$(basename "${asr_exp}")
asr_stats_dir=exp/asr_stats_${exp_name#asr_}
inference_asr_model=${inference_asr_model:-${fact[model_file]}}
tuned=
! ${tune_lm} || tuned=_tuned
inference_tag=${inference_tag:-$(basename "${inference_config}" .yaml)${tuned}_$(basename "${inference_asr_model}" .pth)}
lm_wanted=${fact[lm_wanted]} lm_unit=${fact[lm_unit]} # a language model (true or false), and of which unit
use_lm=${use_lm:-${lm_wanted}}
lm_order=${lm_order:-$([ "${lm_unit}" = char ] && echo 6 || echo 3)}
lm_given=${lm_dir}
lm_dir=${lm_dir:-exp/lm_${org_train_set}_${lm_unit}_${lm_order}gram}
norm_inputs=() # the rule's file, where it has one
for file in "${text_norm}" "conf/text_norm_${text_norm}.yaml"; do
    [ ! -f "${file}" ] || norm_inputs+=(--input "${file}")
done
lm_args=() lm_inputs=()
! ${lm_wanted} || lm_args=(--lm_dir "${lm_dir}")
dumpdir=dump/${feats_type}
audio_type=kaldi_ark
[ "${feats_type}" = raw ] || audio_type=sound
ssl_args=()
[ -z "${ssl_checkpoint}" ] || ssl_args=(--ssl_checkpoint "${ssl_checkpoint}")

# ---- checks that cost nothing ----
case ${feats_type} in raw | raw_copy) ;; *) die "--feats_type is raw or raw_copy, not '${feats_type}'." ;; esac
case ${token_type} in char | bpe | word | hugging_face) ;; *) die "--token_type is char, bpe, word or hugging_face, not '${token_type}'." ;; esac
[ "${fact[token_type]}" != hugging_face ] || [ "${token_type}" = hugging_face ] ||
    die "--token_type ${token_type} does not go with ${asr_config}, whose decoder has tokens of its own. Leave it out."
[[ ${onebatchtest} =~ ^(true|false)$ ]] || die "--onebatchtest is true or false, not '${onebatchtest}'."
[ "${feats_type}" = raw ] || [ -z "${speed_perturb_factors}" ] ||
    die "--speed_perturb_factors changes the audio and needs --feats_type raw."
[[ ${use_lm} =~ ^(true|false)$ ]] || die "--use_lm is true or false, not '${use_lm}'."
[ -z "${lm_given}" ] || [ -e "${lm_given}" ] || die "--lm_dir ${lm_given} does not exist. Leave it out, or see asr-dro lm build."
! ${tune_lm} || ${lm_wanted} ||
    die "--tune_lm true has nothing to tune: ${inference_config} has no mode lm. Give conf/decode_asr_lm_word.yaml."
[ -z "${lm_given}" ] || ${lm_wanted} ||
    die "--lm_dir ${lm_given} would be ignored: ${inference_config} has no mode lm. Give conf/decode_asr_lm_word.yaml."
[[ ${skip_stages} =~ ^[0-9\ ]*$ ]] || die "--skip_stages takes numbers and spaces, not '${skip_stages}'."
if [ -n "${init_exp}" ]; then
    [ -e "${init_exp}/config.yaml" ] || die "--init_exp ${init_exp} is no trained experiment: it has no config.yaml."
    [ "$(realpath -m "${init_exp}")" != "$(realpath -m "${asr_exp}")" ] ||
        die "--init_exp and --asr_exp are both ${asr_exp}. Give the continued model a directory of its own."
fi
if [ "${ngpu}" -gt 0 ] && [ "${cmd_backend}" = local ] && [ "${stop_stage}" -ge 11 ] && ! ${dry_run}; then
    python3 -c 'import sys
from asr_dro_plugin.base.devices import device_of
from asr_dro_plugin.errors import run_main
run_main(lambda: device_of(int(sys.argv[1])) and 0)' "${ngpu}" # the line that training itself would end in
fi
[ -e "local/data_${corpus}.py" ] ||
    die "--corpus ${corpus} is unknown. Known: $(find local/ -name 'data_*.py' | sed 's/.*data_//;s/\.py$//' | sort | xargs)."
check=(python3 -m asr_dro_plugin.bin.check_config "${asr_config}" --inference_config "${inference_config}"
    --model_file "${inference_asr_model}" "--asr_args=${asr_args}" "${ssl_args[@]}")
${dry_run} || check+=(--build) # the plan of a dry run builds every module anyway
"${check[@]}"

# ---- stages ----
wanted() { # wanted N: whether stage N is to be run
    [ "${stage}" -le "$1" ] && [ "${stop_stage}" -ge "$1" ] && [[ " ${skip_stages} " != *" $1 "* ]]
}

begin() { # begin N NAME WHAT [arguments of stage.py]...: whether there is something to do
    local number=$1 name=$2 what=$3
    shift 3
    mark=exp/.done/${number}_${name}.json
    mark_args=("$@")
    if current; then
        log "Stage ${number}: ${what}: nothing to do."
        return 1
    elif ${dry_run}; then
        log "Stage ${number}: ${what}: would run (${why})."
        planned "$@"
        return 1
    fi
    mkdir -p exp/.done
    exec {lock}>"${mark}.lock"
    if ! flock --nonblock "${lock}"; then # two runs side by side do a common stage once
        log "Stage ${number}: ${what}: another run is at it; waiting."
        flock "${lock}"
        if current; then
            exec {lock}>&-
            return 1
        fi
    fi
    log "Stage ${number}: ${what} (${why})"
    # Callers ask `if begin`, where the shell lets errors pass.
    utils/stage.py begin "${mark}" "$@" || die "Stage ${number} cannot begin: see the line above."
}

current() { # whether the stage of ${mark} is finished and unchanged; ${why} says why not
    local code=0
    why=$(utils/stage.py check "${mark}" "${mark_args[@]}") || code=$?
    [ "${code}" -le 1 ] || die "${mark} cannot be checked: see the line above."
    return "${code}"
}

planned() { # planned [arguments of stage.py]...: the inputs and outputs of a stage, for a dry run
    local from=() to=()
    while [ $# -gt 0 ]; do
        case $1 in --input) from+=("$2") ;; --output) to+=("$2") ;; esac
        shift 2
    done
    printf '    from %s\n    to   %s\n' "${from[*]}" "${to[*]}"
}

end() { # end: what begin began is finished
    utils/stage.py "done" "${mark}" "${mark_args[@]}"
    exec {lock}>&-
}

listed() { # listed COMMAND: code 3 says that some items were left out, which the command has listed
    local code=0
    "$@" || code=$?
    [ "${code}" = 0 ] || [ "${code}" = 3 ] || exit "${code}"
}

if wanted 1; then
    [ "${org_train_set}" = "train_${data_tag}" ] ||
        die "Stage 1 makes train_${data_tag}; for sets of your own begin with --stage 2."
    data_opts=(--corpus "${corpus}" --name "${data_tag}" --langs "${langs}" --lid "${lid}"
        --text_norm "${text_norm}" --max_drop "${max_drop}" --source "${data_source}" "${local_data_words[@]}")
    corpus_root=$(tr '[:lower:]-' '[:upper:]_' <<<"${corpus}") # its variable in db.sh
    corpus_root=${data_source:-${!corpus_root:-}}
    inputs=("${norm_inputs[@]}")
    for file in local/data.sh "local/data_${corpus}.py" local/*.tsv ../../../asr_dro_plugin/text/{normalizers,rules,rule_words,steps}.py; do
        case ${file} in local/ssl_checkpoints.tsv | local/corpora.tsv) continue ;; esac # no data is made of them
        inputs+=(--input "${file}")
    done
    if [ -f "${corpus_root}" ]; then
        inputs+=(--input "${corpus_root}")
    elif [ -d "${corpus_root}" ]; then # its texts; hashing a corpus of audio would take hours
        while IFS= read -r file; do
            inputs+=(--input "${file}")
        done < <(find -L "${corpus_root}" \( -name '*.txt' -o -name '*.tsv' -o -name '*.gz' \) | sort)
    fi
    if begin 1 "${data_tag}" "corpus ${corpus} -> data/{train,dev,test}_${data_tag}" \
        --option "opts=${data_opts[*]}" --option "root=${corpus_root}" "${inputs[@]}" \
        --output "data/train_${data_tag}" --output "data/dev_${data_tag}" --output "data/test_${data_tag}"; then
        local/data.sh "${data_opts[@]}"
        for dset in train dev test; do
            utils/validate_data_dir.sh --allow_pipes "${allow_pipes}" "data/${dset}_${data_tag}"
        done
        end
    fi
fi

if wanted 2 && [ -n "${speed_perturb_factors}" ]; then
    if begin 2 "${train_set}" "data/${org_train_set} at speeds ${speed_perturb_factors} -> data/${train_set}" \
        --option "factors=${speed_perturb_factors}" --input "data/${org_train_set}" --output "data/${train_set}"; then
        python3 -m asr_dro_plugin.bin.perturb_speed --data_dir "data/${org_train_set}" \
            --out_dir "data/${train_set}" --factors "${speed_perturb_factors}"
        end
    fi
fi

for dset in ${train_set} ${valid_set} ${test_sets}; do
    wanted 3 || break
    out=${dumpdir}/org/${dset}
    if begin 3 "${feats_type}_${dset}" "data/${dset} -> ${out} (16 kHz mono)" \
        --option "feats_type=${feats_type}" --option "allow_pipes=${allow_pipes}" --option "max_drop=${max_drop}" \
        --input "data/${dset}" --output "${out}"; then
        dump=(python3 -m asr_dro_plugin.bin.dump_audio --data_dir "data/${dset}" --out_dir "${out}"
            --feats_type "${feats_type}" --allow_pipes "${allow_pipes}" --max_drop "${max_drop}" --num_parts "${nj}")
        # shellcheck disable=SC2086 # train_cmd is a command with its options
        ${train_cmd} --title "stage 3 ${dset}" --num_threads 1 "JOB=1:${nj}" "${dumpdir}/org/logs/${dset}/dump.JOB.log" "${dump[@]}" --part JOB
        "${dump[@]}" --merge true
        end
    fi
done

for dset in ${train_set} ${valid_set} ${test_sets}; do
    wanted 4 || break
    role="test"
    [ "${dset}" != "${valid_set}" ] || role=valid
    [ "${dset}" != "${train_set}" ] || role=train
    filter=(--in_dir "${dumpdir}/org/${dset}" --out_dir "${dumpdir}/${dset}" --role "${role}"
        --min_wav_duration "${min_wav_duration}" --max_wav_duration "${max_wav_duration}" --max_drop "${max_drop}")
    [ "${role}" = train ] || filter+=(--train_dir "data/${org_train_set}") # whose letters are known
    [ -z "${token_list}" ] || filter+=(--token_list "${token_list}")
    inputs=(--input "${dumpdir}/org/${dset}")
    [ "${role}" = train ] || inputs+=(--input "data/${org_train_set}/text")
    if begin 4 "${feats_type}_${dset}" "${dumpdir}/org/${dset} -> ${dumpdir}/${dset}" \
        --option "filter=${filter[*]}" "${inputs[@]}" --output "${dumpdir}/${dset}"; then
        python3 -m asr_dro_plugin.bin.filter_data "${filter[@]}"
        end
    fi
done

if wanted 5 && [ -z "${token_list}" ]; then
    make_tokens=(--text "${dumpdir}/${train_set}/text" --out_dir "${token_dir}" --token_type "${token_type}"
        --nbpe "${nbpe}" --lid "${lid}")
    [ "${token_type}" != hugging_face ] ||
        make_tokens+=(--ssl_checkpoint "${ssl_checkpoint:-${fact[ssl_checkpoint]}}")
    inputs=(--input "${dumpdir}/${train_set}/text")
    if [ -n "${init_exp}" ]; then
        make_tokens+=(--init_tokens "${init_exp}/tokens.txt")
        inputs+=(--input "${init_exp}/tokens.txt")
    fi
    if begin 5 "${train_set}_${token_name}${continued}" "${dumpdir}/${train_set}/text -> ${token_dir}" \
        --option "tokens=${make_tokens[*]}" "${inputs[@]}" --output "${token_dir}"; then
        python3 -m asr_dro_plugin.bin.make_tokens "${make_tokens[@]}"
        end
    fi
fi

lm=(python3 -m asr_dro_plugin.bin.lm)
lm_text=data/${org_train_set}.lm_text
lm_name=$(basename "${lm_dir}")
if [ -n "${lm_given}" ] || ! ${use_lm}; then
    why="decoding uses the acoustic model alone"
    [ -z "${lm_given}" ] || why="decoding uses ${lm_given}"
    if wanted 6 || wanted 7 || wanted 8 || wanted 9; then log "Stages 6-9: no language model to build: ${why}."; fi
else
    if wanted 6; then
        if begin 6 "${org_train_set}" "text of the language models -> ${lm_text}" --option "text_norm=${text_norm}" "${norm_inputs[@]}" \
            --input "data/${org_train_set}/text" --input "data/${org_train_set}/utt2lang" --output "${lm_text}"; then
            listed "${lm[@]}" collect --out "${lm_text}" --per both --text_norm "${text_norm}" \
                --groups "data/${org_train_set}/utt2lang" "data/${org_train_set}/text"
            end
        fi
    fi
    if wanted 7; then
        estimate=("${lm[@]}" estimate "${lm_text}" --out "${lm_dir}" --order "${lm_order}" --unit "${lm_unit}")
        if begin 7 "${lm_name}" "${lm_order}-grams of ${lm_unit}s -> ${lm_dir}" --option "estimate=${estimate[*]}" \
            --input "${lm_text}" --output "${lm_dir}/joint/lm.json"; then
            listed "${estimate[@]}"
            end
        fi
    fi
    if wanted 8; then
        if begin 8 "${lm_name}" "perplexity of data/${valid_set} -> ${lm_dir}/perplexity.json" \
            --input "${lm_dir}/joint/lm.json" --input "data/${valid_set}/text" --output "${lm_dir}/perplexity.json"; then
            listed "${lm[@]}" perplexity "${lm_dir}" "data/${valid_set}/text" \
                --groups "data/${valid_set}/utt2lang" --json "${lm_dir}/perplexity.json"
            end
        fi
    fi
    if wanted 9; then
        "${lm[@]}" binary "${lm_dir}" # seconds, and only where KenLM's build_binary is there
    fi
fi

data_args=()
for part in train valid; do
    dset=${train_set}
    [ "${part}" = train ] || dset=${valid_set}
    data_args+=(
        "--${part}_data_path_and_name_and_type" "${dumpdir}/${dset}/wav.scp,speech,${audio_type}"
        "--${part}_data_path_and_name_and_type" "${dumpdir}/${dset}/text,text,text"
        "--${part}_data_path_and_name_and_type" "${asr_stats_dir}/${part}/utt2group,group_ids,text_int"
        "--${part}_shape_file" "${asr_stats_dir}/${part}/speech_shape"
        "--${part}_shape_file" "${asr_stats_dir}/${part}/text_shape.${token_type}")
done
token_args=(--token_list "${tokens}" --token_type "${token_type}")
token_inputs=(--input "${tokens}")
if [ -e "${token_dir}/nlsyms.txt" ] || [ -z "${token_list}" ]; then
    token_args+=(--non_linguistic_symbols "${token_dir}/nlsyms.txt")
    token_inputs+=(--input "${token_dir}/nlsyms.txt")
fi
spelling= # the file of a tokenizer that needs one
case ${token_type} in bpe) spelling=${token_dir}/bpe.model ;; hugging_face) spelling=${token_dir}/tokenizer.json ;; esac
if [ -n "${spelling}" ]; then
    token_args+=(--bpemodel "${spelling}")
    token_inputs+=(--input "${spelling}")
fi
mvn_args=()
if [ "${fact[normalize]}" = global_mvn ]; then # an absolute path: the model is used from other directories too
    mvn_args=(--normalize global_mvn --normalize_conf "stats_file=${PWD}/${asr_stats_dir}/train/feats_stats.npz")
fi

if wanted 10; then
    shapes=(--train_dir "${dumpdir}/${train_set}" --valid_dir "${dumpdir}/${valid_set}" --tokens "${tokens}"
        --token_type "${token_type}" --config "${asr_config}" "--asr_args=${asr_args}"
        --out_dir "${asr_stats_dir}" --max_drop "${max_drop}")
    [ ! -e "${token_dir}/nlsyms.txt" ] || shapes+=(--nlsyms "${token_dir}/nlsyms.txt")
    [ -z "${spelling}" ] || shapes+=(--bpemodel "${spelling}")
    [ -z "${ssl_checkpoint}" ] || shapes+=(--override "ssl_checkpoint=${ssl_checkpoint}")
    inputs=(--input "${dumpdir}/${train_set}" --input "${dumpdir}/${valid_set}" "${token_inputs[@]}" --input "${asr_config}")
    if [ -n "${init_exp}" ] && [ -e "${init_exp}/groups.txt" ]; then # an imported model has none
        shapes+=(--init_groups "${init_exp}/groups.txt" --extend_groups "${extend_groups}")
        inputs+=(--input "${init_exp}/groups.txt")
    fi
    if begin 10 "${exp_name}" "lengths and groups -> ${asr_stats_dir}" \
        --option "shapes=${shapes[*]}" --option "normalize=${fact[normalize]}" "${inputs[@]}" \
        --output "${asr_stats_dir}/groups.txt" --output "${asr_stats_dir}/train" --output "${asr_stats_dir}/valid"; then
        look=("${shapes[@]}" --test_dirs)
        for dset in ${test_sets}; do look+=("${dumpdir}/${dset}"); done
        [ -z "${init_exp}" ] || look+=(--init_exp "${init_exp}" --extend_groups "${extend_groups}")
        python3 -m asr_dro_plugin.bin.preflight "${look[@]}"
        # shellcheck disable=SC2086 # train_cmd is a command with its options
        ${train_cmd} --title "stage 10 lengths" --num_threads 1 "${asr_stats_dir}.log/make_shapes.log" \
            python3 -m asr_dro_plugin.bin.make_shapes "${shapes[@]}"
        if [ ${#mvn_args[@]} -gt 0 ]; then
            # shellcheck disable=SC2086
            ${train_cmd} --title "stage 10 mean and variance" --num_threads 1 "${asr_stats_dir}.log/collect_stats.log" \
                python3 -m asr_dro_plugin.bin.train --collect_stats true --config "${asr_config}" \
                "${data_args[@]}" "${token_args[@]}" "${ssl_args[@]}" "${asr_arg_words[@]}" --normalize none \
                --output_dir "${asr_stats_dir}.log/collected" --groups "${asr_stats_dir}/groups.txt" --ngpu 0
            mv "${asr_stats_dir}.log/collected/train/feats_stats.npz" "${asr_stats_dir}/train/"
        fi
        end
    fi
fi

if wanted 11; then
    train=(python3 -m asr_dro_plugin.bin.train --config "${asr_config}" --output_dir "${asr_exp}" --resume true
        "${token_args[@]}" --groups "${asr_stats_dir}/groups.txt" "${data_args[@]}" "${mvn_args[@]}" "${ssl_args[@]}")
    inputs=(--input "${asr_config}" "${token_inputs[@]}" --input "${asr_stats_dir}/groups.txt" --input "${asr_stats_dir}/train"
        --input "${asr_stats_dir}/valid" --input "${dumpdir}/${train_set}/text" --input "${dumpdir}/${train_set}/wav.scp")
    [ ! -e "${ssl_checkpoint:-/}" ] || [ -z "${ssl_checkpoint}" ] || inputs+=(--input "${ssl_checkpoint}")
    if [ -n "${init_exp}" ]; then
        train+=(--init_exp "${init_exp}" --extend_groups "${extend_groups}")
        inputs+=(--input "${init_exp}/config.yaml")
    fi
    train+=("${asr_arg_words[@]}")
    # GPUs and threads say where it runs, not what is made: a run goes on when they change.
    where=(--ngpu "${ngpu}")
    [ "${ngpu}" -le 1 ] || where+=(--multiprocessing_distributed true)
    ${dry_run} || require_files "Run stages 5 and 10 first: --stage 5." "${tokens}" "${asr_stats_dir}/groups.txt"
    if ${onebatchtest}; then
        out=${asr_exp}_onebatchtest
        log "Stage 11: a batch to be learnt by heart -> ${out}"
        if ! ${dry_run}; then
            # shellcheck disable=SC2086
            ${cuda_cmd} --title "stage 11 one batch" --gpu "${ngpu}" --num_threads "${num_threads}" "${out}/onebatchtest.log" \
                python3 -m asr_dro_plugin.bin.onebatchtest "${train[@]:3}" "${where[@]}" --output_dir "${out}"
            sed -n '/^One batch test/,$p' "${out}/onebatchtest.log" | grep -v '^#'
            log "Done."
        fi
        exit 0
    fi
    if begin 11 "${exp_name}" "training -> ${asr_exp}" --option "train=${train[*]}" "${inputs[@]}" \
        --output "${asr_exp}/${inference_asr_model}" --output "${asr_exp}/config.yaml"; then
        utils/prepare_exp.sh "${asr_exp}" "${mark%.json}.begun.json" "${mark_args[@]}"
        cp "${tokens}" "${asr_stats_dir}/groups.txt" "${asr_exp}"
        utils/write_command.sh "${asr_exp}/run.sh" "${train[@]}" "${where[@]}"
        # shellcheck disable=SC2086
        ${cuda_cmd} --title "stage 11 train" --grace 600 --gpu "${ngpu}" --num_threads "${num_threads}" "${asr_exp}/train.log" \
            bash "${asr_exp}/run.sh"
        end
    elif ${dry_run} && [ -n "${why}" ]; then
        utils/prepare_exp.sh --plan "${asr_exp}" "${mark%.json}.begun.json" "${mark_args[@]}"
    fi
fi

if ${lm_wanted} && { wanted 12 || wanted 14; }; then
    ${dry_run} || [ -e "${lm_dir}" ] || die "${lm_dir} does not exist. Run stages 6 to 9, or give --lm_dir."
    for file in "${lm_dir}"/*/lm.arpa*; do
        [ ! -e "${file}" ] || lm_inputs+=(--input "${file}")
    done
    [ ${#lm_inputs[@]} -gt 0 ] || lm_inputs=(--input "${lm_dir}")
fi

if ${tune_lm}; then
    tuned=${asr_exp}/${inference_tag}/decode.yaml
    tune=(python3 -m asr_dro_plugin.bin.tune_lm --exp "${asr_exp}" --model_file "${inference_asr_model}"
        --config "${inference_config}" --data_dir "${dumpdir}/${valid_set}" --lm_dir "${lm_dir}" --text_norm "${text_norm}" --out "${tuned}")
    if wanted 12 && begin 12 "${exp_name}_${inference_tag}" "weight of the language model on ${valid_set} -> ${tuned}" \
        --option "tune=${tune[*]}" --input "${asr_exp}/${inference_asr_model}" --input "${inference_config}" \
        --input "${dumpdir}/${valid_set}/text" "${norm_inputs[@]}" "${lm_inputs[@]}" --output "${tuned}"; then
        # shellcheck disable=SC2086
        ${decode_cmd} --title "stage 12 tune" --gpu "$((ngpu > 0))" --num_threads 1 \
            "${asr_exp}/${inference_tag}/logs/tune.log" "${tune[@]}" --ngpu "$((ngpu > 0))"
        end
    fi
    inference_config=${tuned}
fi

for dset in ${valid_set} ${test_sets}; do
    wanted 12 || break
    out=${asr_exp}/${inference_tag}/${dset}
    decode=(python3 -m asr_dro_plugin.bin.decode --exp "${asr_exp}" --model_file "${inference_asr_model}"
        --config "${inference_config}" --data_dir "${dumpdir}/${dset}" --out_dir "${out}" "${lm_args[@]}")
    where=(--num_parts "${nj}" --ngpu "$((ngpu > 0))")
    ${dry_run} || require_files "Run stages 4 and 11 first." "${asr_exp}/config.yaml" "${dumpdir}/${dset}/wav.scp"
    if begin 12 "${exp_name}_${inference_tag}_${dset}" "decoding ${dset} -> ${out}" \
        --option "decode=${decode[*]}" --input "${asr_exp}/${inference_asr_model}" --input "${asr_exp}/config.yaml" \
        --input "${inference_config}" --input "${dumpdir}/${dset}/wav.scp" "${lm_inputs[@]}" --output "${out}/text"; then
        utils/write_command.sh "${out}/run.sh" "${decode[@]}"
        # shellcheck disable=SC2086
        ${decode_cmd} --title "stage 12 ${dset}" --gpu "$((ngpu > 0))" --num_threads 1 "JOB=1:${nj}" \
            "${out}/logs/decode.JOB.log" "${decode[@]}" "${where[@]}" --part JOB
        listed "${decode[@]}" "${where[@]}" --merge true
        end
    fi
done

if wanted 13; then
    inputs=("${norm_inputs[@]}") outputs=(--output "${asr_exp}/RESULTS.md" --output "${asr_exp}/report.html") tables=()
    for dset in ${valid_set} ${test_sets}; do
        for file in score.json score.txt utts.tsv; do
            outputs+=(--output "${asr_exp}/${inference_tag}/${dset}/${file}")
        done
        inputs+=(--input "${asr_exp}/${inference_tag}/${dset}/text" --input "${dumpdir}/${dset}/text")
        tables+=("${asr_exp}/${inference_tag}/${dset}/score.txt")
    done
    if begin 13 "${exp_name}_${inference_tag}" "scores -> ${asr_exp}/RESULTS.md and report.html" \
        --option "sets=${valid_set} ${test_sets}" --option "text_norm=${text_norm}" "${inputs[@]}" "${outputs[@]}"; then
        listed local/score.sh --strict false --exp "${asr_exp}" --inference_tag "${inference_tag}" --sets "${valid_set} ${test_sets}" \
            --dump "${dumpdir}" --text_norm "${text_norm}" --asr_config "${asr_config}" \
            --inference_config "${inference_config}" --model_file "${asr_exp}/${inference_asr_model}" \
            --git_commit "$(git rev-parse --short HEAD 2>/dev/null || true)"
        listed python3 -m asr_dro_plugin.bin.report "${asr_exp}" --dump "${dumpdir}"
        end
    elif ! ${dry_run}; then
        for file in "${tables[@]}"; do
            echo
            cat "${file}"
        done
    fi
fi

if wanted 14; then
    packed=${asr_exp}/${exp_name}.zip
    pack=(python3 -m asr_dro_plugin.bin.pack "${asr_exp}" --out "${packed}" --model_file "${inference_asr_model}"
        --inference_config "${inference_config}" --licence "${model_licence}" "${lm_args[@]}")
    inputs=("${lm_inputs[@]}")
    for file in "${asr_exp}/${inference_tag}"/*/score.json; do # for the card
        [ ! -e "${file}" ] || inputs+=(--input "${file}")
    done
    [ "${#inputs[@]}" = "${#lm_inputs[@]}" ] || pack+=(--inference_tag "${inference_tag}")
    if begin 14 "${exp_name}" "${asr_exp} -> ${packed}" --option "pack=${pack[*]}" --input "${asr_exp}/${inference_asr_model}" \
        --input "${asr_exp}/config.yaml" --input "${asr_exp}/groups.txt" --input "${inference_config}" "${inputs[@]}" --output "${packed}"; then
        "${pack[@]}"
        end
    fi
fi

if ${dry_run}; then
    python3 -m asr_dro_plugin.bin.plan --config "${asr_config}" "--asr_args=${asr_args}" "${ssl_args[@]}" \
        --token_list "${tokens}" --stats_dir "${asr_stats_dir}"
fi
log "Done."
exit 0
}
