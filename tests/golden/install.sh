#!/bin/sh
# Installs the reference implementations into a folder. Debian 12 (bookworm), as root:
#   sh tests/golden/install.sh DIR
#   PYTHONPATH=DIR /usr/bin/python3 tests/golden/make_model.py
set -eu
dir=${1:?usage: install.sh DIR}

apt-get update
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    python3-torch python3-torchvision python3-numpy python3-pil python3-pip libopenblas0-pthread libjpeg-turbo-progs

# --no-deps keeps pip from bringing a second torch.
/usr/bin/python3 -m pip install --target "$dir" --no-deps \
    cn_clip==1.6.0 transformers==4.46.3 tokenizers==0.20.3 huggingface_hub==0.26.5 safetensors==0.5.3 \
    timm==0.6.13 lmdb==3.0.0 six==1.17.0 pillow==13.0.0 \
    certifi charset-normalizer filelock fsspec idna packaging pyyaml regex requests tqdm typing_extensions urllib3
