#!/usr/bin/env bash
# Stage 1: one corpus -> data/{train,dev,test}_<corpus>, Kaldi directories with utt2lang and
# utt2category.  local/data_<corpus>.py does the work and has the options: a new corpus is a new
# file, no edit here.
# Usage: local/data.sh --corpus NAME [options of that corpus]      (--corpus NAME --help lists them)
#        local/data.sh --corpus NAME --list_inputs [SOURCE]        what it reads, one path a line
# shellcheck disable=SC1091 # other scripts are sourced
set -euo pipefail
. ./path.sh
. ./db.sh
. utils/log.sh

corpus=prompts
options=()
while [ $# -gt 0 ]; do
    if [ "$1" = --corpus ]; then corpus=${2:-} && shift; else options+=("$1"); fi
    shift
done
known=$(cd local && printf '%s\n' data_*.py | sed 's/^data_//; s/\.py$//' | xargs)
[ -f "local/data_${corpus}.py" ] || die "--corpus ${corpus} is not known. Known: ${known}."
root_name=$(tr '[:lower:]-' '[:upper:]_' <<<"${corpus}") # in db.sh: ML_SUPERB for ml_superb
root=${!root_name:-}

if [ "${options[0]:-}" = --list_inputs ]; then
    root=${options[1]:-${root}}
    # Tables of models, licences and voices decide nothing of a corpus.
    for file in local/data.sh "local/data_${corpus}.py" local/*.tsv "${root}"; do
        case ${file} in
            local/ssl_checkpoints.tsv | local/corpora.tsv | local/espeak_voices.tsv) continue ;;
        esac
        [ ! -f "${file}" ] || echo "${file}"
    done
    # Of a folder its texts: hashing a corpus of audio would take hours.
    [ ! -d "${root}" ] || find -L "${root}" -name '*.txt' -o -name '*.tsv' -o -name '*.gz' \
        -o -name '*.lua' -o -name text -o -name segments -o -name 'utt2*' -o -name wav.scp | sort
    exit
fi
exec python3 "local/data_${corpus}.py" ${root:+--source "${root}"} ${options[@]+"${options[@]}"}
