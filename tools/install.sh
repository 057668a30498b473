#!/usr/bin/env bash
# Makes tools/venv: one environment with exact versions (tools/constraints.txt, setup.py).
#
# Safe to run twice (the second run takes a second) and to interrupt at any moment: the mark that
# says "finished" is written last, and the next run finishes what it finds or makes it anew.
set -euo pipefail

help_message="Usage: tools/install.sh [options]       makes or repairs the Python environment

  --torch auto|cpu|cuda  which build of PyTorch. auto (default): without an NVIDIA driver the CPU
                         wheels, where PyTorch's own CPU index answers; else the package index's.
  --python PROGRAM       the Python 3.12 or 3.13 to build on (default: \$PYTHON, else it looks)
  --extras \"NAMES\"       more extras of setup.py, beside train, ssl, fairseq, lm, vad, export, serve and
                         dev: docs; phonemes and romanised come with dev
  --venv DIR             where the environment goes (default: tools/venv)
  --installer pip|uv     what installs (default: pip, which reads your pip configuration; uv is
                         about twice as fast and reads its own, UV_INDEX_URL and so on)
  --help                 this text

Environment: TORCH_CPU_INDEX (another CPU wheel index), ASR_DRO_FAIRSEQ_SPEC (another fairseq)."

tools=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname -- "$tools")
torch=auto
python=
extras=
venv=$tools/venv
installer=pip
torch_cpu_index=${TORCH_CPU_INDEX:-https://download.pytorch.org/whl/cpu}
uv_version=0.13.8
work=$tools/.install # lock and logs; git ignores it
child=

say() { echo "install.sh: $*"; }
die() { echo "ERROR: install.sh: $*" >&2 && exit 1; }

parse_options() {
    while [ $# -gt 0 ]; do
        case $1 in
            --help | -h) echo "$help_message" && exit 0 ;;
            --torch | --python | --extras | --venv | --installer)
                [ $# -ge 2 ] || die "$1 needs a value; see tools/install.sh --help"
                printf -v "${1#--}" %s "$2" && shift 2
                ;;
            *) die "unknown option '$1'; see tools/install.sh --help" ;;
        esac
    done
    [[ $torch =~ ^(auto|cpu|cuda)$ ]] || die "--torch is auto, cpu or cuda, not '$torch'"
    [[ $installer =~ ^(pip|uv)$ ]] || die "--installer is pip or uv, not '$installer'"
    for name in $extras; do
        [[ $name =~ ^(train|ssl|fairseq|lm|vad|media|phonemes|romanised|export|serve|docs|dev)$ ]] ||
            die "setup.py has no extra '$name'; it has train ssl fairseq lm vad media phonemes romanised export serve docs dev"
    done
}

# A program that is there may still fail (a dead pyenv shim) or lack venv (Debian without
# python3-venv), so each candidate is tried.
works() {
    local limit=()
    if command -v timeout >/dev/null; then limit=(timeout 30); fi
    "${limit[@]}" "$1" -c 'import sys, venv, ensurepip
sys.exit(not (3, 12) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1 </dev/null
}

# Every program that might be the Python we want, best first, one a line.
python_candidates() {
    local version directory
    local -a path
    IFS=: read -ra path <<<"$PATH"
    for version in 3.12 3.13; do
        for directory in "${path[@]}"; do echo "$directory/python$version"; done
        printf '%s\n' "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/$version"*/bin/python
        if command -v uv >/dev/null; then
            uv python find --no-python-downloads "$version" 2>/dev/null || true
        fi
    done
    for directory in "${path[@]}"; do echo "$directory/python3"; done
}

find_python() {
    local candidate
    if [ -n "$python" ]; then
        works "$python" || die "--python $python is not a Python 3.12 or 3.13 with venv"
        return
    fi
    while read -r candidate; do
        if [ -x "$(command -v "$candidate")" ] && works "$candidate"; then
            python=$candidate && return
        fi
    done < <(echo "${PYTHON:-}" && python_candidates)
    if command -v uv >/dev/null && uv python install --quiet 3.12 2>/dev/null; then
        python=$(uv python find 3.12) && works "$python" && return
    fi
    die "found no working Python 3.12 or 3.13. Install one (Debian: apt install python3.12-venv;" \
        "pyenv install 3.12; or get uv, which brings it) and run tools/install.sh --python PROGRAM"
}

# Stop what is running with us; the lock goes with the last process that holds it.
interrupted() {
    trap - INT TERM HUP
    [ -z "$child" ] || kill -TERM -- "-$child" 2>/dev/null || true
    die "interrupted; run tools/install.sh again to finish"
}

packages_laid() {
    find "$venv"/lib/python3*/site-packages -maxdepth 1 -name '*.dist-info' 2>/dev/null |
        wc -l
}

# run LOG command...: on a terminal the command shows its own progress; otherwise its output goes
# to the log and a line every 20 s tells that it lives.
run() {
    local log=$1 status=0 since=$SECONDS next=20
    shift
    set -m # a process group of its own, so that Ctrl-C reaches all of it
    if [ -t 1 ]; then
        "$@" </dev/null &
    else
        "$@" >"$log" 2>&1 </dev/null &
    fi
    child=$!
    set +m
    while ! [ -t 1 ] && sleep 0.3 && kill -0 "$child" 2>/dev/null; do
        if ((SECONDS - since >= next)); then
            next=$((next + 20))
            say "  ... $((SECONDS - since)) s, $(packages_laid) packages there:" \
                "$(grep -v WARNING "$log" | tail -n 1 | cut -c 1-80)"
        fi
    done
    wait "$child" || status=$?
    child=
    return $status
}

pip_install() {
    if [ "$installer" = uv ]; then
        # Without bytecode the first import of ESPnet would take a minute.
        "${uv[@]}" pip install --python "$venv/bin/python" --compile-bytecode \
            -c "$tools/constraints.txt" "$@"
    else
        local -a bar=()
        if ! [ -t 1 ]; then bar=(--progress-bar off); fi
        "$venv/bin/python" -m pip install --disable-pip-version-check --no-input "${bar[@]}" \
            -c "$tools/constraints.txt" "$@"
    fi
}

# need STEP-LOG what args...: an installation without which nothing works.
need() {
    local log=$work/$1.log what=$2
    shift 2
    run "$log" pip_install "$@" && return
    [ -t 1 ] || tail -n 20 "$log" >&2
    die "could not install $what (log: $log). Check the network and the space on this disk, then" \
        "run tools/install.sh again; it goes on where it stopped"
}

is_our_venv() {
    works "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1 &&
        grep -qF -- "$venv" "$venv/bin/activate" && { [ -z "$python" ] || same_version; }
}

same_version() {
    local ask='import sys; print(sys.version_info[:2])'
    [ "$("$python" -c "$ask")" = "$("$venv/bin/python" -c "$ask")" ]
}

make_venv() {
    if is_our_venv; then
        say "[1/5] finishing the environment that is there: $venv"
        return
    fi
    if [ -n "$(ls -A "$venv" 2>/dev/null)" ] && ! [ -e "$venv/.unfinished" ] &&
        ! [ -e "$venv/pyvenv.cfg" ]; then
        die "$venv holds something else than a Python environment; name another place with --venv"
    fi
    find_python
    say "[1/5] $venv on $("$python" --version) ($python)"
    mkdir -p "$venv" && touch "$venv/.unfinished" # so that the next run knows it may clear this
    find "$venv" -mindepth 1 ! -name .unfinished -delete
    "$python" -m venv "$venv" || die "$python -m venv $venv failed (see above)"
}

choose_installer() {
    uv=(uv)
    [ "$installer" = uv ] || return 0
    local settings
    settings=$("$venv/bin/python" -m pip config list 2>/dev/null | grep -E 'index-url|find-links|proxy' |
        cut -d= -f1 | tr '\n' ' ') || true
    [ -z "$settings" ] || say "note: uv does not read pip's $settings; set uv's own or use --installer pip"
    if ! command -v uv >/dev/null; then
        "$venv/bin/python" -m pip install -q --disable-pip-version-check "uv==$uv_version" ||
            die "could not get uv; use --installer pip"
        uv=("$venv/bin/python" -m uv)
    fi
}

has_nvidia_driver() { [ -e /proc/driver/nvidia/version ] || nvidia-smi >/dev/null 2>&1; }

# Whether PyTorch's CPU wheel index answers within 5 s (name lookup included: hence the alarm).
cpu_index_answers() {
    "$venv/bin/python" - "$torch_cpu_index/torch/" >/dev/null 2>&1 <<'PYTHON'
import signal, sys, urllib.request
signal.alarm(5)
urllib.request.urlopen(sys.argv[1], timeout=5).read(1)
PYTHON
}

installed_torch() {
    "$venv/bin/python" -c 'from importlib.metadata import version; print(version("torch"))' 2>/dev/null || true
}

torch_pins() { grep -E '^(torch|torchaudio)==' "$tools/constraints.txt"; }

# torch and torchaudio alone come from the CPU index (--no-deps); what they need comes with the rest.
# Their versions read 2.13.0+cpu, which satisfies ==2.13.0, so the next step leaves them in place.
install_torch() {
    local -a wheels
    mapfile -t wheels < <(torch_pins)
    local have
    have=$(installed_torch)
    if [ "$torch" = cuda ] && [[ $have == *+cpu ]]; then
        say "[2/5] torch: the CUDA build in place of $have"
        need torch "torch" --no-deps --force-reinstall "${wheels[@]}"
    elif [ "$torch" = cpu ] && [[ $have != *+cpu ]] || { [ "$torch" = auto ] && [ -z "$have" ] &&
        [ "$(uname -s)" = Linux ] && ! has_nvidia_driver && cpu_index_answers; }; then
        say "[2/5] torch: CPU wheels from $torch_cpu_index"
        cpu_torch "${wheels[@]}"
    else
        say "[2/5] torch: ${have:-no CPU wheels wanted or had; it comes with the rest}"
    fi
}

cpu_torch() {
    local -a again=()
    if [ "$torch" = cpu ]; then again=(--force-reinstall); fi
    if run "$work/torch.log" pip_install --no-deps "${again[@]}" --index-url "$torch_cpu_index" "$@"; then
        return
    fi
    [ "$torch" = auto ] || die "no $* at $torch_cpu_index (log: $work/torch.log); use --torch auto"
    say "  these versions are not there; taking the package index's build with the rest"
}

install_packages() {
    say "[3/5] packages (some 6 GB with CUDA, 2 GB without; minutes)"
    local -a list
    mapfile -t list < <("$venv/bin/python" "$tools/venv_state.py" requirements --extras "$wanted")
    need packages "the packages" "${list[@]}"
    # The rest needs no network: the build uses the pinned setuptools just laid.
    need editable "asr-dro itself" --no-deps --no-build-isolation -e "$root"
}

# These alone may be missing: without a wheel for this Python they must be compiled.
compiled_extras="fairseq lm"

specs_of() { # specs_of EXTRA: its packages, one a line
    case $1 in
        fairseq) echo "${ASR_DRO_FAIRSEQ_SPEC:-$(grep ^fairseq-fixed== "$tools/constraints.txt")}" ;;
        lm) grep -E '^(flashlight-text|kenlm)==' "$tools/constraints.txt" ;;
    esac
}

needed_by() { # needed_by EXTRA: what does not work without it
    case $1 in
        fairseq) echo "conf/train_asr_wav2vec2.yaml needs it" ;;
        lm) echo "decoding with a language model (conf/decode_asr_lm_*.yaml) needs it" ;;
    esac
}

install_compiled() {
    local name
    local -a specs
    for name in $compiled_extras; do
        mapfile -t specs < <(specs_of "$name")
        say "[4/5] ${specs[*]} (compiles for some minutes where no wheel is for this Python)"
        if ! run "$work/$name.log" pip_install "${specs[@]}"; then missing="${missing:+$missing }$name"; fi
    done
}

last_line() {
    local name
    say "ready: $venv"
    for name in $1; do
        say "but $name is missing (no wheel for this Python and no compiler, or no network; log:" \
            "$work/$name.log): $(needed_by "$name"). To try again: tools/install.sh --extras $name"
    done
}

# ready: nothing to do.  $state holds the reason when there is something.
state="not there yet"
ready() {
    [ -x "$venv/bin/python" ] || return 1
    local -a how=(--extras "$wanted" --torch "$torch")
    if [ -n "$linked" ]; then how+=(--linked); fi
    state=$("$venv/bin/python" "$tools/venv_state.py" ready "${how[@]}" 2>/dev/null) || return 1
    missing=$("$venv/bin/python" "$tools/venv_state.py" missing)
    local name
    for name in $missing; do # asked for by name, it is tried again
        [[ " $extras " != *" $name "* ]] || return 1
    done
}

# An environment that is a link belongs to another checkout.  It is used as it is: to install into
# it would take it from its owner.
linked=
use_linked() {
    linked=$(realpath -m -- "$venv")
    local link=$venv
    venv=$linked
    if ready; then last_line "$missing" && return; fi
    die "$link is a link to $linked, an environment of another checkout that does not fit here" \
        "(${state:-lacks $missing}). Run that checkout's tools/install.sh, or remove the link to get" \
        "an environment of this checkout's own"
}

# The extras among the words, each once, without those that have a step of their own.
words_of() { tr -s ' ' '\n' <<<"$1" | grep -vx -e fairseq -e lm -e '' | sort -u | paste -sd ' ' -; }

take_lock() {
    mkdir -p "$work"
    exec 9>"$work/lock"
    command -v flock >/dev/null || return 0 # macOS: no lock, as rarely needed there
    flock -n 9 || { say "another install.sh is at work here; waiting for it" && flock 9; }
}

main() {
    parse_options "$@"
    venv=$(realpath -ms -- "$venv")
    # An environment must not listen to the one around it.
    unset PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX
    export PIP_USER=0 PYTHONNOUSERSITE=1
    missing=
    wanted=$(words_of "train ssl vad export serve dev $extras")
    if [ -L "$venv" ]; then use_linked && return; fi
    if ready; then last_line "$missing" && return; fi
    take_lock
    trap interrupted INT TERM HUP
    if ready; then last_line "$missing" && return; fi
    say "$venv: ${state:-lacks $missing}"
    make_venv
    wanted=$(words_of "$wanted $("$venv/bin/python" "$tools/venv_state.py" extras)") # keep what is there
    missing=
    "$venv/bin/python" "$tools/venv_state.py" begin
    "$venv/bin/python" "$tools/venv_state.py" heal
    choose_installer
    install_torch
    install_packages
    install_compiled
    say "[5/5] trying what was installed"
    "$venv/bin/python" "$tools/check_install.py" --quick || die "the environment does not work (see the table above)"
    rm -f "$venv/.unfinished"
    "$venv/bin/python" "$tools/venv_state.py" mark --extras "$wanted" --missing "$missing"
    last_line "$missing"
}

# Sourced (by the tests), it only defines its functions.
if [ "${BASH_SOURCE[0]}" = "$0" ]; then main "$@"; fi
