#!/bin/sh
# Installs what tuwen is measured beside into a Python environment: sh benches/install_peers.sh DIR
set -eu
dir=${1:?usage: install_peers.sh DIR}

python3 -m venv "$dir"
"$dir/bin/pip" install --quiet torch==2.15.0 torchvision transformers==5.23.0 cn-clip==1.6.0 numpy timm
