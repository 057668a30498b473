#!/usr/bin/env bash
# Make an experiment directory ready for training: a run that was interrupted goes on, and one that
# was made with other options or inputs is moved aside first, so that nothing of it is lost.
# Usage: prepare_exp.sh [--plan] EXP MARK [arguments of stage.py]...    --plan: only say what would be
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
. "${here}/log.sh"
plan=false
[ "$1" != --plan ] || { plan=true && shift; }
exp=$1
mark=$2
shift 2
inputs=() kind=''
for word in "$@"; do # the outputs do not exist yet: only options and inputs tell the runs apart
    case ${word} in --option | --input | --output) kind=${word} ;; esac
    [ "${kind}" = --output ] || inputs+=("${word}")
done
if [ -e "${exp}/checkpoint.pth" ]; then
    if why=$("${here}/stage.py" check "${mark}" "${inputs[@]}"); then
        log "Going on from ${exp}/checkpoint.pth."
    elif ${plan}; then
        log "The run that is in ${exp} would be moved aside (${why})."
    else
        aside=${exp}.before_$(date +%Y%m%d_%H%M%S)
        log "${why}: the earlier run is kept in ${aside}."
        mv "${exp}" "${aside}"
    fi
fi
${plan} && exit 0
mkdir -p "${exp}"
"${here}/stage.py" "done" "${mark}" "${inputs[@]}"
