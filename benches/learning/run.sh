#!/bin/sh
# Proof of learning: the same run in tuwen and in PyTorch. sh benches/learning/run.sh PYTHON
# PYTHON is an interpreter with torch and cn_clip (benches/install_peers.sh).
set -eu
python=${1:?usage: run.sh PYTHON}
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo run --release --quiet -- run benches/learning/pipeline.yaml --quiet --store "$work/store"
cargo bench --quiet --bench learning -- "$work/store" "$work/out"
"$python" benches/learning/pytorch.py "$work/out" "$(ls "$work"/store/artifacts/checkpoint/*/train_log.jsonl)"
