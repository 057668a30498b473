#!/usr/bin/env bash
# Stage 11 with --onebatchtest true: a few utterances learnt by heart, and whether it could.
# Usage: local/onebatchtest.sh DRY_RUN OUT NGPU NUM_THREADS [options of asr-dro onebatchtest]...
set -euo pipefail
. ./path.sh
. ./cmd.sh
. utils/log.sh
dry_run=$1 out=$2 ngpu=$3 num_threads=$4
shift 4
log "Stage 11: a batch to be learnt by heart -> ${out}"
if ${dry_run}; then log "Done." && exit; fi
# shellcheck disable=SC2154 # cuda_cmd is cmd.sh's
${cuda_cmd} --title "stage 11 one batch" --gpu "${ngpu}" --num_threads "${num_threads}" \
    "${out}/onebatchtest.log" python3 -m asr_dro_plugin.bin.onebatchtest "$@" --output_dir "${out}"
sed -n '/^One batch test/,$p' "${out}/onebatchtest.log" | grep -v '^#'
log "Done."
