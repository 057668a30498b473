#!/usr/bin/env bash
# Mend data directories: utils/fix_data_dir.sh [--option true|false]... DIR...; see --help.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." && pwd)
python=${root}/tools/venv/bin/python
if [[ ! -x ${python} ]]; then python=python3; fi
PYTHONPATH=${root}${PYTHONPATH:+:${PYTHONPATH}} exec "${python}" -m asr_dro_plugin.bin.fix_data_dir "$@"
