"""The data path beside the reference: `run.py PYTHON TUWEN WORK [IMAGES]` prints two Markdown tables.

PYTHON is an interpreter with cn_clip, torch and lmdb. Makes IMAGES pictures as MUGE has them below WORK, then in turns: the reference's
build_lmdb_dataset.py, a plain file write of as many bytes, and `tuwen run` of one ingest stage with `decode: header` and `decode: full`; then a
shuffled epoch with the reference's loader and with ours. Best of three turns for the store, since a disk only ever adds time.
"""
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TURNS = 3
PIPELINE = """kind: Pipeline
version: 1
name: data
stages:
  - {{ id: data, kind: ingest, decode: {decode}, source: {{ format: chinese-clip, root: {root}, splits: [train] }} }}
"""


def last_json(command):
    printed = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(printed.splitlines()[-1])


def tuwen(program, work, decode):
    """Wall and CPU seconds of a fresh run."""
    store = work / f"store-{decode}"
    shutil.rmtree(store, ignore_errors=True)
    pipeline = work / f"{decode}.yaml"
    pipeline.write_text(PIPELINE.format(decode=decode, root=work / "source"))
    began = time.monotonic()
    child = os.spawnv(os.P_NOWAIT, program, [program, "run", str(pipeline), "--store", str(store), "--cache", str(work / "cache"), "--quiet"])
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"tuwen: exit {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime


def plain_write(work, size):
    """Seconds to write and sync as many bytes as the image store has."""
    block = os.urandom(1 << 20)
    began = time.monotonic()
    with open(work / "plain.bin", "wb", 0) as out:
        for _ in range(size >> 20):
            out.write(block)
        os.fsync(out.fileno())
    took = time.monotonic() - began
    (work / "plain.bin").unlink()
    return took


def main(python, program, work, images=20_000):
    work = Path(work)
    source = work / "source"
    subprocess.run([python, HERE / "make_tsv.py", source, "--images", str(images)], check=True, stdout=subprocess.DEVNULL)
    text_bytes = (source / "train_imgs.tsv").stat().st_size
    raw_bytes = text_bytes * 3 // 4
    best = {}
    for _ in range(TURNS):
        shutil.rmtree(work / "lmdb", ignore_errors=True)
        peer = last_json([python, HERE / "store_peer.py", source, "--out", work / "lmdb"])
        rows = {
            "cn_clip build_lmdb_dataset.py": (peer["wall_s"], peer["cpu_s"]),
            "tuwen, decode: header": tuwen(program, work, "header"),
            "tuwen, decode: full": tuwen(program, work, "full"),
            "a plain file, written and synced": (plain_write(work, raw_bytes), 0.0),
        }
        for name, (wall, cpu) in rows.items():
            known = best.get(name, (wall, cpu))
            best[name] = (min(known[0], wall), min(known[1], cpu))
    print(f"\n{images} images, {text_bytes / 1e6:.0f} MB of TSV\n")
    print("| TSV to image store | wall s | CPU s | images/s | raw MB/s |\n|---|---:|---:|---:|---:|")
    for name, (wall, cpu) in best.items():
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {images / wall:.0f} | {raw_bytes / wall / 1e6:.0f} |")
    print("\n| a shuffled epoch | workers | images/s | CPU us per image |\n|---|---:|---:|---:|")
    pairs = 8000
    ours = lambda mode: last_json(["cargo", "bench", "--quiet", "--bench", "data", "--", work / "store-full", pairs, mode])
    peer = last_json([python, HERE / "epoch_peer.py", work / "lmdb" / "train", "--pairs", str(pairs), "--modes", "full", "raw"])
    for row in peer["runs"]:
        print(f"| cn_clip, {row['mode']} | {row['workers']} | {row['images_per_s']:.0f} | {row['cpu_us_per_image']:.0f} |")
    for mode in ("full", "raw"):
        row = ours(mode)
        print(f"| tuwen, {mode} | - | {row['images_per_s']:.0f} | {row['cpu_us_per_image']:.1f} |")


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:]))
