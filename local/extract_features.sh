#!/usr/bin/env bash
# Stage 4 with --feats_type extracted: room on the disk, parts side by side, tables.
# Usage: local/extract_features.sh NUM_PARTS NGPU OUT_DIR [options of extract_features]...
set -euo pipefail
. ./path.sh
. ./cmd.sh
nj=$1 ngpu=$2 out=$3
shift 3
extract=(python3 -m asr_dro_plugin.bin.stages.extract_features "$@" --num_parts "${nj}")
"${extract[@]}" --plan true
# shellcheck disable=SC2154 # train_cmd is cmd.sh's
${train_cmd} --title "stage 4 features" --gpu "${ngpu}" --num_threads 1 "JOB=1:${nj}" \
    "${out}/logs/extract.JOB.log" "${extract[@]}" --ngpu "${ngpu}" --part JOB
"${extract[@]}" --merge true
