#!/usr/bin/env bash
# Stage 11 with --onebatchtest true: a few utterances learnt by heart, and whether it could.
# Usage: local/onebatchtest.sh OUT NGPU NUM_THREADS [options of asr-dro onebatchtest]...
set -euo pipefail
. ./path.sh
# shellcheck source=egs2/asr_dro/asr1/cmd.sh
. ./cmd.sh
out=$1 ngpu=$2 num_threads=$3
shift 3
# shellcheck disable=SC2154 # cuda_cmd is cmd.sh's
${cuda_cmd} --title "stage 11 one batch" --gpu "${ngpu}" --num_threads "${num_threads}" \
    "${out}/onebatchtest.log" python3 -m asr_dro_plugin.bin.onebatchtest "$@" --output_dir "${out}"
sed -n '/^One batch test/,$p' "${out}/onebatchtest.log" | grep -v '^#'
