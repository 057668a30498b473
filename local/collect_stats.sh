#!/usr/bin/env bash
# Stage 10 with normalize: global_mvn: mean and variance of the training set's features.
# Usage: local/collect_stats.sh STATS_DIR [options of asr-dro train]...
set -euo pipefail
. ./path.sh
. ./cmd.sh
stats_dir=$1
shift
# shellcheck disable=SC2154 # train_cmd is cmd.sh's
${train_cmd} --title "stage 10 mean and variance" --num_threads 1 \
    "${stats_dir}.log/collect_stats.log" \
    python3 -m asr_dro_plugin.bin.train --collect_stats true "$@" --ngpu 0 --normalize none \
    --output_dir "${stats_dir}.log/collected"
mv "${stats_dir}.log/collected/train/feats_stats.npz" "${stats_dir}/train/"
