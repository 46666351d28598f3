"""A data set of millions of small rows, and its next version: python3 benches/data/incremental.py TUWEN WORK [--rows N].

Runs `tuwen run` on a fresh store, again on the same source, and on a source of which 1 % of the rows changed. Prints a table of wall time, CPU
time, peak memory and bytes written. Needs no package; writes about 3 GB below WORK for 3.3 million rows."""
import argparse
import base64
import json
import os
import resource
import struct
import time
import zlib
from pathlib import Path

PIPELINE = """kind: Pipeline
version: 1
name: nightly
stages:
  - {{ id: data, kind: ingest, source: {{ format: chinese-clip, root: {root}, splits: [train] }} }}
"""


def png(number, changed):
    """A picture of 8 x 8 pixels that no other row has."""
    pixels = struct.pack("<QQ", number * 2654435761 % (1 << 64), changed) * 12
    rows = b"".join(b"\0" + pixels[at * 24:at * 24 + 24] for at in range(8))

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def write(root, rows, version):
    """One in a hundred rows differs from version to version."""
    root.mkdir(parents=True, exist_ok=True)
    with open(root / "train_imgs.tsv", "wb", 1 << 20) as images, open(root / "train_texts.jsonl", "w", 1 << 20) as texts:
        for number in range(rows):
            changed = version if number % 100 == 7 else 0
            images.write(b"%d\t%s\n" % (number, base64.b64encode(png(number, changed))))
            text = {"text_id": number, "text": f"第{number}号商品，版本{changed}", "image_ids": [number]}
            texts.write(json.dumps(text, ensure_ascii=False) + "\n")


def run(tuwen, work, name):
    before = written(work)
    began = time.monotonic()
    child = os.spawnv(os.P_NOWAIT, tuwen, [tuwen, "run", str(work / "pipeline.yaml"), "--store", str(work / "store"), "--cache",
                                            str(work / "cache"), "--quiet"])
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{name}: exit {os.waitstatus_to_exitcode(status)}")
    row = {
        "run": name, "wall_s": round(time.monotonic() - began, 1), "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mib": usage.ru_maxrss // 1024, "new_mb": round((written(work) - before) / 1e6, 1),
    }
    print(json.dumps(row), flush=True)
    return row


def written(work):
    return sum(file.stat().st_size for file in (work / "store").rglob("*") if file.is_file())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tuwen")
    parser.add_argument("work", type=Path)
    parser.add_argument("--rows", type=int, default=3_300_000)
    parser.add_argument("--memory-limit", type=int, default=0, help="MiB of address space for the child; 0: none")
    arguments = parser.parse_args()
    work = arguments.work
    write(work / "source", arguments.rows, 0)
    (work / "pipeline.yaml").write_text(PIPELINE.format(root=work / "source"))
    if arguments.memory_limit:
        resource.setrlimit(resource.RLIMIT_AS, (arguments.memory_limit << 20,) * 2)
    table = [run(arguments.tuwen, work, "fresh"), run(arguments.tuwen, work, "first re-run")]
    time.sleep(3)
    table.append(run(arguments.tuwen, work, "unchanged"))
    write(work / "source", arguments.rows, 1)
    table.append(run(arguments.tuwen, work, "1 % changed"))
    print("| run | wall s | CPU s | peak MiB | new MB |\n|---|---:|---:|---:|---:|")
    for row in table:
        print("| {run} | {wall_s} | {cpu_s} | {peak_mib} | {new_mb} |".format(**row))


if __name__ == "__main__":
    main()
