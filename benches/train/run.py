"""A training step beside PyTorch on the CPU, in one run: `run.py PYTHON` prints a Markdown table.

PYTHON is an interpreter with torch and cn_clip (benches/install_peers.sh). Both sides use two threads.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def last_json(command, **environment):
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}).stdout
    return json.loads(printed.splitlines()[-1])


def main(python):
    ours = last_json(["cargo", "bench", "--quiet", "--bench", "train"], RAYON_NUM_THREADS="2")
    theirs = last_json([python, HERE / "pytorch.py"])
    print("| ViT-B-16 + RoBERTa-base, f32, AdamW | tuwen s | PyTorch s | PyTorch / tuwen |")
    print("|---|---:|---:|---:|")
    for batch, seconds in ours["seconds_per_step"].items():
        peer = theirs["seconds_per_step"][batch]
        print(f"| a step of {batch} pairs | {seconds:.2f} | {peer:.2f} | {peer / seconds:.2f} |")
    print(f"\nPeak memory {ours['peak_mib']} MiB, PyTorch {theirs['peak_mib']} MiB.")


if __name__ == "__main__":
    main(sys.argv[1])
