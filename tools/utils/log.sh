# shellcheck shell=bash
# What scripts say.  Source it: . utils/log.sh

# log MESSAGE...: one dated line that names the script and its line.
log() {
    printf '%s (%s:%s) %s\n' "$(date '+%Y-%m-%dT%H:%M:%S')" "${BASH_SOURCE[1]##*/}" \
        "${BASH_LINENO[0]}" "$*"
}

# warn MESSAGE...: the same on stderr, marked.
warn() {
    printf '%s (%s:%s) WARNING: %s\n' "$(date '+%Y-%m-%dT%H:%M:%S')" "${BASH_SOURCE[1]##*/}" \
        "${BASH_LINENO[0]}" "$*" >&2
}

# die MESSAGE...: fact, where, remedy on one line of stderr; ends the script with 1.
die() {
    printf 'ERROR: %s\n' "$*" >&2
    exit 1
}

# show_tables FILE...: score tables, each after an empty line; the legend once, below the last.
show_tables() {
    local file
    for file in "${@:1:$#-1}"; do
        echo
        sed '/^CER = sub/,$d' "${file}"
    done
    echo
    cat "${!#}"
}

# require_files REMEDY FILE...: die when a file is missing or empty, naming it and the remedy.
require_files() {
    local remedy=$1 file
    shift
    for file in "$@"; do
        [[ -s ${file} ]] || die "${file} is missing or empty. ${remedy}"
    done
}
