"""Encoding beside PyTorch, in one run: `run.py PYTHON [ROUNDS]` prints a Markdown table.

PYTHON is an interpreter with torch and cn_clip (benches/install_peers.sh). Both sides use two threads; the rounds take turns, and
the best round of each side counts.
"""
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PRECISIONS = ("f32", "bf16-autocast", "bf16")


def last_json(command, **environment):
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}).stdout
    return json.loads(printed.splitlines()[-1])


def best(old, new):
    return {batch: max(rate, old.get(batch, 0)) for batch, rate in new.items()}


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), [])
    wide = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return f"{names[0] if names else platform.processor()}, {len(names)} logical cores, {' '.join(wide)}"


def main(python, rounds):
    ours = {"images": {}, "texts": {}}
    theirs = {"images": {}, "texts": {}}
    for _ in range(rounds):
        found = last_json(["cargo", "bench", "--quiet", "--bench", "encode"], RAYON_NUM_THREADS="2")
        for kind in ours:
            for precision, rates in found[f"{kind}_per_second"].items():
                ours[kind][precision] = best(ours[kind].get(precision, {}), rates)
        for precision in PRECISIONS:
            found = last_json([python, HERE / "pytorch.py", precision])
            for kind in theirs:
                theirs[kind][precision] = best(theirs[kind].get(precision, {}), found[f"{kind}_per_second"])
    print(f"{processor()}\n")
    print("| per second | batch | tuwen f32 | PyTorch f32 | ratio | tuwen bf16 | PyTorch bf16 | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for kind in ("images", "texts"):
        for batch in ours[kind]["f32"]:
            f32, narrow = ours[kind]["f32"][batch], ours[kind]["bf16"][batch]
            peer = theirs[kind]["f32"][batch]
            peer_narrow = max(theirs[kind][precision][batch] for precision in PRECISIONS[1:])
            print(f"| {kind} | {batch} | {f32:.1f} | {peer:.1f} | {f32 / peer:.2f} | {narrow:.1f} | {peer_narrow:.1f} | {narrow / peer_narrow:.2f} |")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2)
