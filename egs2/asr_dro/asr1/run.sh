#!/usr/bin/env bash
# The recipe as most people run it: names the corpus, its sets and the configurations, and calls
# asr.sh. Every option of asr.sh can follow and wins: ./run.sh --corpus tsv --stage 5 --ngpu 1
set -euo pipefail
export ASR_DRO_CALLER_DIR=${ASR_DRO_CALLER_DIR:-$PWD}
cd "$(dirname "${BASH_SOURCE[0]}")"

exec ./asr.sh \
    --corpus prompts \
    --lid true \
    --asr_config conf/train_asr_ctc_dro_mini.yaml \
    --inference_config conf/decode_asr_greedy.yaml \
    "$@"
