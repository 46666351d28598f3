#!/bin/sh
# Installs the tools that make and read these formats into a Python 3.11 environment: sh tests/formats/install.sh DIR
set -eu
dir=${1:?usage: install.sh DIR}

python3 -m venv "$dir"
"$dir/bin/pip" install --quiet numpy==2.4.6 pillow==13.0.0 pyarrow==26.0.1 datasets==5.2.0 webdataset==1.0.2 \
    lmdb==3.0.0 zstandard==0.25.0 tqdm==4.70.1
# --no-deps: torch is not needed to make its files (to read them as it trains, see check_export.py).
"$dir/bin/pip" install --quiet --no-deps cn-clip==1.6.0
