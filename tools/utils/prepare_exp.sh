#!/usr/bin/env bash
# Make an experiment directory ready for training: a run that was interrupted goes on, and one that
# was made with other options or inputs is moved aside first, so that nothing of it is lost; one that
# was moved aside and was made with these is taken up again.  A directory that a run of the recipe
# is using (utils/stages.sh, uses) is never moved.
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

# earlier: the newest directory moved aside whose run had these options and inputs.
earlier() {
    local folder found=''
    for folder in "${exp}".before_*; do
        [ ! -e "${folder}/.made_of.json" ] ||
            ! "${here}/stage.py" check "${folder}/.made_of.json" "${inputs[@]}" >/dev/null ||
            found=${folder}
    done
    echo "${found}"
}

if [ -e "${exp}/checkpoint.pth" ]; then
    if why=$("${here}/stage.py" check "${mark}" "${inputs[@]}"); then
        log "Going on from ${exp}/checkpoint.pth."
    elif ${plan}; then
        log "The run that is in ${exp} would be moved aside (${why})."
        kept=$(earlier)
        [ -z "${kept}" ] || log "The run of ${kept} would go on: it was made like this."
    else
        kept=$(earlier)
        exec {used}>>"$(dirname "${mark}")/${exp##*/}.used"
        flock --nonblock "${used}" || die "${exp} is used by another run of the recipe, and was made" \
            "otherwise (${why}). Wait for its end, or name this experiment: --asr_tag NAME."
        now=$(date +%Y%m%d_%H%M%S) count=2
        aside=${exp}.before_${now}
        while [ -e "${aside}" ]; do # mv would put this one inside the one of the same second
            aside=${exp}.before_${now}_$((count++))
        done
        log "${why}: the earlier run is kept in ${aside}."
        [ ! -e "${mark}" ] || cp "${mark}" "${exp}/.made_of.json"
        mv "${exp}" "${aside}"
        if [ -n "${kept}" ]; then
            log "${kept} was made like this: it goes on as ${exp}."
            mv "${kept}" "${exp}"
        fi
    fi
fi
${plan} && exit 0
mkdir -p "${exp}"
"${here}/stage.py" "done" "${mark}" "${inputs[@]}"
