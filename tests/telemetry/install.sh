#!/bin/sh
# Installs what the account of a run is read with, as its receivers read it: `install.sh DIR`. Needs Python 3 with venv (Debian:
# installed here if it is missing and this is root).
set -eu
dir="$1"
if ! python3 -m venv --help >/dev/null 2>&1 || ! python3 -c 'import ensurepip' 2>/dev/null; then
    apt-get update -qq && apt-get install -y -qq python3-venv
fi
python3 -m venv "$dir"
"$dir/bin/pip" install --quiet --disable-pip-version-check \
    openlineage-python==1.54.0 opentelemetry-proto==1.45.2 prometheus-client==0.26.0 'jsonschema[format]==4.26.0'
