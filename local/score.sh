#!/usr/bin/env bash
# Score the decoded sets of an experiment and collect all its scores in RESULTS.md.
set -euo pipefail

exp=              # Trained experiment, e.g. exp/asr_mini (required).
inference_tag=    # Folder of the decoding below it (required).
sets=             # Data sets to score, separated by spaces; the last one is printed last (required).
dump=dump/raw     # Folder of the sets' references.
text_norm=lower_no_punct  # What is done to references and hypotheses before they are compared.
strict=true       # Fail where ids do not match, a hypothesis is cut or a reference is empty; false: go on,
                  # the exit code is 3 at the end.
partial=false     # Only print tables of what a decoding has written so far; writes nothing.
asr_config=       # Noted in the results: the training configuration.
inference_config= # Noted in the results: the decoding configuration.
model_file=       # Noted in the results: the model file that was decoded.
git_commit=       # Noted in the results.
# shellcheck disable=SC2034 # parse_options.sh prints it
help_message="Usage: local/score.sh --exp DIR --inference_tag TAG --sets \"dev_X test_X\" [options]

Reads DUMP/SET/{text,utt2lang} and, where they are there, utt2spk (for the intervals) and utt2dur;
EXP/TAG/SET/text and, for what language identification costs, forced_too/text beside it; of EXP what
it was trained on. Writes EXP/TAG/SET/{score.json,score.txt,utts.tsv} and EXP/RESULTS.md; prints the
tables. With --partial true reads EXP/TAG/SET/parts too and only prints."

. utils/parse_options.sh
. utils/log.sh
. ./path.sh

if (($# > 0)); then die "'$1' is no option. See local/score.sh --help."; fi
for name in exp inference_tag sets; do
    [[ -n ${!name} ]] || die "--${name} is required. See local/score.sh --help."
done

left_out=0  # 3: scored, but what score.txt lists
for set in ${sets}; do
    folder=${exp}/${inference_tag}/${set}
    require_files "Run stages 3 and 4." "${dump}/${set}/text" "${dump}/${set}/utt2lang"
    if [[ ${partial} = true ]]; then
        python -m asr_dro_plugin.bin.score --ref "${dump}/${set}/text" --hyp "${folder}/text" \
            --name "${set}" --text_norm "${text_norm}" --partial true
        echo
        continue
    fi
    [[ -e ${folder}/text ]] || die "${folder}/text does not exist. Run stage 12."
    why=()
    [[ ! -e ${exp}/config.yaml ]] || why+=(--train_text "${exp}")
    [[ ! -e ${folder}/forced_too/text ]] || why+=(--forced "${folder}/forced_too/text")
    python -m asr_dro_plugin.bin.score --ref "${dump}/${set}/text" --hyp "${folder}/text" \
        --name "${set}" --text_norm "${text_norm}" --strict "${strict}" \
        --asr_config "${asr_config}" --inference_config "${inference_config}" \
        --model_file "${model_file}" --git_commit "${git_commit}" "${why[@]}" \
        --json "${folder}/score.json" --utts "${folder}/utts.tsv" --overwrite true \
        >"${folder}/score.txt" ||
        left_out=$?
    ((left_out == 0 || left_out == 3)) || exit "${left_out}"
done
if [[ ${partial} = true ]]; then exit 0; fi
python -m asr_dro_plugin.bin.score --results "${exp}"
tables=()
for set in ${sets}; do tables+=("${exp}/${inference_tag}/${set}/score.txt"); done
show_tables "${tables[@]}"
exit "${left_out}"
