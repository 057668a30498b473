# shellcheck shell=bash
# Options of a recipe script.  Source it after the defaults are set as plain variables:
#
#     # Data                        (a comment line right above an option: a heading of --help)
#     nj=4                          # Number of parallel parts.
#     lid=true                      # Whether the text carries language tags.
#     help_message="Usage: ..."     # optional, printed first by --help
#     option_hints=utils/FILE.tsv   # optional: what to say of unknown options, NAME <tab> words
#     . utils/parse_options.sh
#
# Legal options are the lower-case variables that the script assigns, at the start of a line, above
# the sourcing line.  `--name value`, `--na-me value` and `--name=value` set them; values are stored
# as they are given, never evaluated.  What follows the first word that is no option stays in "$@".
# A default that is true or false takes only these; a default that is an integer (4) only integers,
# one with a decimal point (4.0) any number.  The array option_names holds their names afterwards.
# Wrong use prints one line and exits with 2.

_po_die() {
    echo "ERROR: ${_po_script##*/}: $1" >&2
    exit 2
}

# Where the calling script lies, also when it has changed directory since it was started.
_po_find_script() {
    local _po_candidate
    for _po_candidate in "$1" "${OLDPWD:-.}/$1" "./${1##*/}" "$(readlink "/proc/$$/fd/255" || true)"; do
        if [[ -r ${_po_candidate} && ${_po_candidate##*/} == "${1##*/}" ]]; then
            _po_script=${_po_candidate}
            return
        fi
    done
    _po_script=$1
    _po_die "the script cannot be read to list its options. Start it by its absolute path."
}

# Fill _po_names (in order), _po_comments and _po_headings from the lines above the sourcing line.
_po_read_options() {
    local _po_line _po_name="" _po_number=0 _po_heading=""
    local _po_quoted='^([a-z][a-z0-9_]*)=(("[^"]*"|'"'[^']*'"'|[^[:space:]"#(])*)([[:space:]]+#[[:space:]]*(.*))?$'
    local _po_other='^([a-z][a-z0-9_]*)=([^(].*[[:space:]]#[[:space:]](.*)|[^(].*)$'
    while IFS= read -r _po_line && ((++_po_number < _po_last_line)); do
        if [[ ${_po_line} =~ ${_po_quoted} ]]; then
            _po_add_option "${BASH_REMATCH[1]}" "${BASH_REMATCH[5]:-}"
        elif [[ ${_po_line} =~ ${_po_other} ]]; then
            _po_add_option "${BASH_REMATCH[1]}" "${BASH_REMATCH[3]:-}"
        elif [[ ${_po_line} =~ ^[[:space:]]+#[[:space:]]*(.*)$ && -n ${_po_name} ]]; then
            _po_comments[${_po_name}]+=" ${BASH_REMATCH[1]}"
        else
            _po_name="" _po_heading=""
            if [[ ${_po_line} =~ ^#+[[:space:]](.*)$ && ${_po_line} != "# shellcheck"* ]]; then
                _po_heading=${BASH_REMATCH[1]}
            fi
        fi
    done <"${_po_script}"
}

_po_add_option() {
    _po_name=$1
    if [[ $1 == help_message || $1 == option_hints || ! -v $1 ]]; then
        _po_name=""
        return
    fi
    if [[ ! -v _po_comments[$1] ]]; then _po_names+=("$1"); fi
    _po_comments[$1]=$2
    if [[ -n ${_po_heading} ]]; then
        _po_headings[$1]=${_po_heading}
        _po_heading=""
    fi
}

_po_help() {
    local _po_name _po_value
    printf '%s\n\n' "${help_message:-"Usage: $0 [--option value]..."}"
    echo "Options, with the values that hold now:"
    for _po_name in "${_po_names[@]}"; do
        if [[ -v _po_headings[${_po_name}] ]]; then printf '\n%s\n' "${_po_headings[${_po_name}]}"; fi
        _po_value=${!_po_name}
        if [[ -z ${_po_value} || ${_po_value} == *[[:space:]]* ]]; then _po_value="\"${_po_value}\""; fi
        printf '  --%-24s %-20s %s\n' "${_po_name}" "${_po_value}" "${_po_comments[${_po_name}]}"
    done
}

# Number of single-letter edits from $1 to $2, in _po_distance.
_po_edit_distance() {
    local _po_row=() _po_i _po_j _po_left _po_diagonal _po_cost
    for ((_po_j = 0; _po_j <= ${#2}; _po_j++)); do _po_row[_po_j]=${_po_j}; done
    for ((_po_i = 1; _po_i <= ${#1}; _po_i++)); do
        _po_diagonal=${_po_row[0]} _po_row[0]=${_po_i}
        for ((_po_j = 1; _po_j <= ${#2}; _po_j++)); do
            _po_cost=1
            if [[ ${1:_po_i-1:1} == "${2:_po_j-1:1}" ]]; then _po_cost=0; fi
            _po_left=$((_po_row[_po_j - 1] + 1))
            _po_cost=$((_po_diagonal + _po_cost)) _po_diagonal=${_po_row[_po_j]}
            if ((_po_left < _po_cost)); then _po_cost=${_po_left}; fi
            if ((_po_diagonal + 1 < _po_cost)); then _po_cost=$((_po_diagonal + 1)); fi
            _po_row[_po_j]=${_po_cost}
        done
    done
    _po_distance=${_po_row[${#2}]}
}

# Refuse $1 (given as $2) with the words of the table of hints, where it has some.
_po_look_up() {
    local _po_name _po_words
    [[ -n ${option_hints:-} ]] || return 0
    while IFS=$'\t' read -r _po_name _po_words; do
        if [[ ${_po_name} == "$1" ]]; then _po_die "there is no option $2. ${_po_words}"; fi
    done <"${option_hints}"
}

_po_unknown() {
    local _po_name _po_best="" _po_distance=0 _po_least _po_hint="See --help."
    _po_look_up "$1" "$2"
    _po_least=$((${#1} / 3 + 2))
    if ((${#1} <= 40)); then # longer is no typo
        for _po_name in "${_po_names[@]}"; do
            _po_edit_distance "$1" "${_po_name}"
            if ((_po_distance < _po_least)); then _po_best=${_po_name} _po_least=${_po_distance}; fi
        done
    fi
    if [[ -n ${_po_best} ]]; then _po_hint="Did you mean --${_po_best}? ${_po_hint}"; fi
    _po_die "unknown option $2. ${_po_hint}"
}

_po_set() {
    local _po_old=${!1}
    if [[ ${_po_old} =~ ^(true|false)$ && ! $2 =~ ^(true|false)$ ]]; then
        _po_die "--$1 takes true or false, not '$2'."
    elif [[ ${_po_old} =~ ^-?[0-9]+$ && ! $2 =~ ^-?[0-9]+$ ]]; then
        _po_die "--$1 takes an integer, not '$2'."
    elif [[ ${_po_old} =~ ^-?[0-9]*\.[0-9]+$ && ! $2 =~ ^-?([0-9]+\.?[0-9]*|\.[0-9]+)(e-?[0-9]+)?$ ]]; then
        _po_die "--$1 takes a number, not '$2'."
    fi
    printf -v "$1" '%s' "$2"
}

_po_main() {
    local _po_script="" _po_last_line=$2 _po_argument _po_key _po_names=()
    local -A _po_comments=() _po_headings=()
    _po_find_script "$1"
    shift 2
    _po_read_options
    # shellcheck disable=SC2034 # for the script
    option_names=("${_po_names[@]}")
    while (($#)) && [[ $1 == -?* ]]; do
        _po_argument=$1
        shift
        _po_used=$((_po_used + 1))
        case ${_po_argument} in
            --) return ;;
            -h | --help) _po_help && exit 0 ;;
        esac
        _po_key=${_po_argument%%=*}
        _po_key=${_po_key#-} _po_key=${_po_key#-} _po_key=${_po_key//-/_}
        if [[ ${_po_argument} != --* || ! ${_po_key} =~ ^[a-z0-9_]+$ || ! -v _po_comments[${_po_key}] ]]; then
            _po_unknown "${_po_key}" "${_po_argument%%=*}"
        elif [[ ${_po_argument} == *=* ]]; then
            _po_set "${_po_key}" "${_po_argument#*=}"
        else
            if (($# == 0)); then _po_die "--${_po_key} needs a value. See --help."; fi
            if [[ $1 =~ ^--([a-z0-9_-]+)$ && -v _po_comments[${BASH_REMATCH[1]//-/_}] ]]; then
                _po_die "--${_po_key} needs a value, but $1 follows. If that is the value, write --${_po_key}=$1."
            fi
            _po_set "${_po_key}" "$1"
            shift
            _po_used=$((_po_used + 1))
        fi
    done
}

if [[ -z ${BASH_SOURCE[1]:-} ]]; then
    echo "ERROR: parse_options.sh is to be sourced by a script: . utils/parse_options.sh" >&2
    exit 2
fi
_po_used=0
_po_main "${BASH_SOURCE[1]}" "${BASH_LINENO[0]}" "$@"
shift "${_po_used}"
unset _po_used
unset -f _po_die _po_find_script _po_read_options _po_add_option _po_help _po_edit_distance \
    _po_look_up _po_unknown _po_set _po_main
