# shellcheck shell=bash
# Makes the environment of tools/venv this shell's.  Source it from anywhere: . path.sh
# (installs the environment first where there is none).

_root=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/../../.." && pwd)
_venv=${_root}/tools/venv

# The mark is what install.sh writes last; a venv without it is half made.
if [ ! -e "${_venv}/.asr_dro_installed.json" ]; then
    "${_root}/tools/install.sh" >&2 || return 1
fi

export VIRTUAL_ENV=${_venv}
unset PYTHONHOME
case ":${PATH}:" in
    ":${_venv}/bin:"*) ;;
    *) export PATH="${_venv}/bin:${PATH}" ;;
esac

# Only where the package is not installed from this very checkout (-I: not from the directory we
# stand in either).
if ! python -I -c 'import asr_dro_plugin, sys
sys.exit(not asr_dro_plugin.__file__.startswith(sys.argv[1]))' "${_root}/asr_dro_plugin/" 2>/dev/null; then
    case ":${PYTHONPATH:-}:" in
        *":${_root}:"*) ;;
        *) export PYTHONPATH="${_root}${PYTHONPATH:+:${PYTHONPATH}}" ;;
    esac
fi

export PYTHONUNBUFFERED=1
export LC_ALL=C.UTF-8               # sorts by code point, as Kaldi's files must be; UTF-8 everywhere
# One thread, or what Slurm granted; utils/job.py raises it for a part that asks for more.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}"
unset _root _venv
