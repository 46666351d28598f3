"""The reference's own way from TSV to LMDB, timed: `store_peer.py DATA` with the `train` split of make_tsv.py. Prints one line of JSON.

Beside it, how fast this disk takes as many bytes as one plain file, written and synced: nothing can be faster than that.
"""
import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

BLOCK = 1 << 20


def warm(path):
    """Brings a file into the page cache, so that all read from memory."""
    with open(path, "rb", buffering=0) as file:
        while file.read(BLOCK):
            pass


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime, used.ru_stime


def build(data, out):
    """(wall, user, system) seconds of build_lmdb_dataset.py"""
    script = Path(find_spec("cn_clip").origin).parent / "preprocess" / "build_lmdb_dataset.py"
    command = [sys.executable, script, "--data_dir", data, "--splits", "train", "--lmdb_dir", out]
    before, began = children_cpu(), time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wall = time.perf_counter() - began
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return wall, *(after - first for after, first in zip(children_cpu(), before))


def plain_write_s(path, size):
    block = os.urandom(BLOCK)
    began = time.perf_counter()
    with open(path, "wb", buffering=0) as file:
        for start in range(0, size, BLOCK):
            file.write(block[: min(BLOCK, size - start)])
        os.fsync(file.fileno())
    return time.perf_counter() - began


def counts(folder):
    import lmdb
    found = []
    for name, key in (("imgs", b"num_images"), ("pairs", b"num_samples")):
        with lmdb.open(str(folder / name), readonly=True, lock=False) as env, env.begin() as transaction:
            found.append(int(transaction.get(key)))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, help="keeps the LMDB in this folder; without it, beside DATA for the time of the run")
    parser.add_argument("--rounds", type=int, default=2, help="the fastest counts")
    options = parser.parse_args()
    tsv, texts = options.data / "train_imgs.tsv", options.data / "train_texts.jsonl"
    tsv_bytes, text_bytes = tsv.stat().st_size, texts.stat().st_size
    scratch = Path(tempfile.mkdtemp(dir=options.data.resolve().parent))
    out = options.out or scratch / "lmdb"
    try:
        warm(tsv), warm(texts)
        builds, writes = [], []
        for _ in range(options.rounds):
            shutil.rmtree(out, ignore_errors=True)
            os.sync()
            builds.append(build(options.data, out))
            size = sum(path.stat().st_blocks * 512 for path in out.rglob("data.mdb"))
            writes.append(plain_write_s(scratch / "plain", size))
            (scratch / "plain").unlink()
        images, pairs = counts(out / "train")
    finally:
        shutil.rmtree(scratch)
    wall, user, system = min(builds)
    print(json.dumps({
        "peer": "cn_clip build_lmdb_dataset.py", "images": images, "pairs": pairs, "tsv_bytes": tsv_bytes, "text_bytes": text_bytes,
        "lmdb_bytes": size, "wall_s": round(wall, 2), "cpu_s": round(user + system, 2), "user_s": round(user, 2), "system_s": round(system, 2),
        "images_per_s": round(images / wall), "mb_per_s": round((tsv_bytes + text_bytes) / wall / 1e6, 1),
        "all_wall_s": [round(row[0], 2) for row in builds],
        "plain_write_mb_per_s": round(size / min(writes) / 1e6, 1), "all_plain_write_s": [round(write, 2) for write in writes],
    }))


if __name__ == "__main__":
    main()
