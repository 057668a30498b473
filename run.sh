#!/usr/bin/env bash
# From a bare machine to a table of scores: ./run.sh [options]; ./run.sh --help lists them.
export ASR_DRO_CALLER_DIR=$PWD # relative paths in the options start where you stand
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/egs2/asr_dro/asr1" || exit 1
exec ./run.sh "$@"
