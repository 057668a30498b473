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
    if current; then
        log "Stage ${number}: ${what}: nothing to do."
        return 1
    elif ${dry_run}; then
        log "Stage ${number}: ${what}: would run (${why})."
        planned "${mark_args[@]}"
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

# planned [arguments of stage.py]...: the inputs and outputs of a stage, for a dry run.
planned() {
    local word kind='' from=() to=()
    for word in "$@"; do
        case ${kind}${word} in
            *--input | *--output | *--option) kind=${word} ;;
            --input*) from+=("${word}") ;;
            --output*) to+=("${word}") ;;
        esac
    done
    printf '    from %s\n    to   %s\n' "${from[*]}" "${to[*]}"
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
