# shellcheck shell=bash
# Which stages are run, and which have been.  Source it after utils/log.sh, in a script that has the
# options stage, stop_stage, skip_stages, dry_run and expdir:
#
#     if begin 5 NAME "text -> tokens" --input dump/text --output data/tokens -- --nbpe 500; then
#         a command that makes data/tokens of dump/text
#         end
#     fi
#     once 5 NAME "text -> tokens" --input ... --output ... --run COMMAND    # the same, one command
#
# The body is run where the stage is wanted and was not finished yet with these options, inputs and
# outputs, which is noted in ${expdir}/.done (utils/stage.py).  A dry run only says what would be.
# shellcheck disable=SC2154 # the options are the script's

if ${dry_run} && [ ! -e "${ASR_DRO_PLAN:-}" ]; then
    ASR_DRO_PLAN=$(mktemp)
    export ASR_DRO_PLAN
    trap 'rm -f "${ASR_DRO_PLAN}"' EXIT
fi

# wanted N: whether stage N is to be run.
wanted() {
    [ "${stage}" -le "$1" ] && [ "${stop_stage}" -ge "$1" ] && [[ " ${skip_stages} " != *" $1 "* ]]
}

# needs N REMEDY FILE...: stage N, where it is to be run, cannot do without these files.
needs() {
    local number=$1
    shift
    if wanted "${number}" && ! ${dry_run}; then require_files "$@"; fi
}

# begin N NAME WHAT [--option KEY=VALUE] [--input PATH...] [--output PATH...] [-- --KEY VALUE...]:
# whether there is something to do.  Pairs after -- are options of the stage's command.
begin() {
    local number=$1 name=$2 what=$3
    wanted "${number}" || return 1
    shift 3
    mark=${expdir}/.done/${number}_${name}.json mark_args=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do mark_args+=("$1") && shift; done
    while [ $# -gt 1 ]; do mark_args+=(--option "${2#--}=$3") && shift 2; done
    if ${dry_run}; then
        plan
        return 1
    elif current; then
        log "Stage ${number}: ${what}: nothing to do."
        return 1
    fi
    mkdir -p "${expdir}/.done"
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
    utils/stage.py begin "${mark}" "${mark_args[@]}" ||
        die "Stage ${number} cannot begin: see the line above."
}

# current: whether the stage of ${mark} is finished and unchanged; ${why} says why not.
current() {
    local code=0
    if [ ! -e "${mark}" ] && [ ! -e "${mark%/*}/.${mark##*/}.begun" ]; then
        why="never finished" # as stage.py would say; asking it for every stage takes a second
        return 1
    fi
    why=$(utils/stage.py check "${mark}" "${mark_args[@]}") || code=$?
    [ "${code}" -le 1 ] || die "${mark} cannot be checked: see the line above."
    return "${code}"
}

# plan: says what begin's stage would do.  A stage that is up to date is run nevertheless where one
# before it gives it another input; what earlier stages would make is in the file ${ASR_DRO_PLAN},
# which scripts that call each other share.
plan() {
    local word kind='' from=() to=() path
    for word in "${mark_args[@]}"; do
        case ${kind}${word} in
            *--input | *--output | *--option) kind=${word} ;;
            --input*) from+=("${word}") ;;
            --output*) to+=("${word}") ;;
        esac
    done
    if current; then
        why=
    fi
    if [[ -z ${why} || ${why} == input* ]] && path=$(made_anew "${from[@]}"); then
        why="if input ${path} changes"
        log "Stage ${number}: ${what}: would run if ${path} is not made anew as it was."
    elif [ -n "${why}" ]; then
        log "Stage ${number}: ${what}: would run (${why})."
    else
        log "Stage ${number}: ${what}: nothing to do."
        return
    fi
    printf '    from %s\n    to   %s\n' "${from[*]}" "${to[*]}"
    printf '%s\n' "${to[@]}" >>"${ASR_DRO_PLAN}"
}

# made_anew PATH...: the first path that is, holds or lies in what the plan makes; fails without one.
made_anew() {
    local path made
    for path in "$@"; do
        while IFS= read -r made; do
            case ${path}/ in "${made%/}"/*) echo "${path}" && return ;; esac
            case ${made}/ in "${path%/}"/*) echo "${path}" && return ;; esac
        done <"${ASR_DRO_PLAN}"
    done
    return 1
}

# end: what begin began is finished.
end() {
    utils/stage.py "done" "${mark}" "${mark_args[@]}"
    exec {lock}>&-
}

# once N NAME WHAT [as of begin]... --run COMMAND...: a stage that is one command, from begin to end.
once() {
    local stage_args=()
    while [ "$1" != --run ]; do stage_args+=("$1") && shift; done
    shift
    if begin "${stage_args[@]}"; then
        "$@"
        end
    fi
}

# uses EXP: keeps an experiment from being moved aside until this script has ended
# (utils/prepare_exp.sh).
uses() {
    local held
    mkdir -p "${expdir}/.done"
    exec {held}>>"${expdir}/.done/${1##*/}.used"
    flock --shared "${held}"
}

# listed COMMAND: code 3 says that some items were left out, which the command has listed.
listed() {
    local code=0
    "$@" || code=$?
    [ "${code}" = 0 ] || [ "${code}" = 3 ] || exit "${code}"
}
