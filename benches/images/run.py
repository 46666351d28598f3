"""Images beside Pillow, torchvision, OpenCV and DALI, one thread each, in turns: `run.py PYTHON [TURNS]` prints a Markdown
table.

PYTHON is an interpreter with torch, torchvision, opencv-python-headless, albumentations, nvidia-dali-cuda120, scikit-image
and scikit-learn. Figures are medians over the turns, each of which runs every program once, so that a machine that gets
slower gets slower for all.
"""
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = {
    "pillow": "Pillow 13 + torchvision v1",
    "torchvision": "torchvision v2 + decode_jpeg",
    "opencv": "OpenCV + albumentations, no antialias",
    "dali": "DALI, CPU",
}
PIPELINES = {"training": "training", "evaluation": "evaluation", "evaluation_lean": "evaluation, OpenCV alone"}
ROUNDS = 4


def medians(command):
    printed = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(printed.splitlines()[-1])["us_per_image"]


def main(python, turns=5):
    measured = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, HERE / "corpus.py", folder], check=True)
        programs = {"tuwen": ["cargo", "bench", "--quiet", "--bench", "images", "--", folder, ROUNDS]}
        programs |= {peer: [python, HERE / "peers.py", peer, folder, ROUNDS] for peer in PEERS}
        for _ in range(turns):
            for program, command in programs.items():
                for pipeline, microseconds in medians(command).items():
                    measured[program][pipeline].append(microseconds)
    ours = {pipeline: statistics.median(values) for pipeline, values in measured.pop("tuwen").items()}
    print("\n| pipeline | tuwen us | peer | peer us | peer / tuwen |")
    print("|---|---:|---|---:|---:|")
    for pipeline, name in PIPELINES.items():
        mine = ours[pipeline.removesuffix("_lean")]
        for peer, values in measured.items():
            if pipeline in values:
                theirs = statistics.median(values[pipeline])
                print(f"| {name} | {mine:.0f} | {PEERS[peer]} | {theirs:.0f} | {theirs / mine:.2f} |")
    print(f"\nDecoding alone takes {ours['decode']:.0f} us.")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
