#!/bin/sh
# Installs what tuwen is measured beside into a Python environment: sh benches/install_peers.sh DIR
set -eu
dir=${1:?usage: install_peers.sh DIR}

python3 -m venv "$dir"
"$dir/bin/pip" install --quiet torch==2.15.0 torchvision==0.29.2 transformers==5.23.0 cn-clip==1.6.0 numpy==2.4.6 timm==1.0.31 pillow==13.0.0
# Image pipelines, and the formats of data sets.
"$dir/bin/pip" install --quiet opencv-python-headless==5.0.0.93 albumentations==2.0.8 nvidia-dali-cuda120==2.4.0 \
    lmdb==1.3.0 webdataset==1.0.2 pyarrow==26.0.1
# Vector indexes, and the photographs of benches/images/corpus.py.
"$dir/bin/pip" install --quiet faiss-cpu==1.15.1 hnswlib==0.8.0 usearch==2.26.6 scikit-image==0.26.0 scikit-learn==1.9.1
# Keyword search.
"$dir/bin/pip" install --quiet bm25s==0.3.16 numba jieba==0.42.1 tantivy==0.27.0
