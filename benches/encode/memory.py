"""Peak memory of `tuwen encode` over the number of rows: `memory.py TUWEN MODEL [ROWS ...]` writes texts and images and prints a line for each.

Rows repeat the sample's; MODEL should be a small one, such as a checkpoint artifact of the quickstart.
"""
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def child_peak(command):
    """Peak resident MiB and seconds of a command; every call forks anew, so that the figure is its own."""
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
    started = time.perf_counter()
    printed = subprocess.run([sys.executable, "-c", code, *command], check=True, stdout=subprocess.PIPE, text=True).stdout
    return int(printed), time.perf_counter() - started


def main(tuwen, model, counts):
    pictures = [line.split("\t")[1] for line in (ROOT / "sample_data/muge/valid_imgs.tsv").read_text().splitlines()]
    captions = [json.loads(line)["text"] for line in (ROOT / "sample_data/muge/train_texts.jsonl").read_text().splitlines()]
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            with open(folder / "a_imgs.tsv", "w") as images, open(folder / "a_texts.jsonl", "w") as texts:
                for row in range(count):
                    images.write(f"{row}\t{pictures[row % len(pictures)]}\n")
                    texts.write(json.dumps({"text_id": row, "text": captions[row % len(captions)]}, ensure_ascii=False) + "\n")
            for kind, source in (("images", "a_imgs.tsv"), ("texts", "a_texts.jsonl")):
                for form in ("chinese-clip", "parquet"):
                    peak, seconds = child_peak([tuwen, "encode", "--model", model, f"--{kind}", str(folder / source), "--format", form,
                                                "--output", str(folder / "out"), "--quiet"])
                    print(f"{count:>9} {kind:<6} {form:<12} peak {peak} MiB, {count / seconds:.0f} {kind}/s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], [int(count) for count in sys.argv[3:]] or [10_000, 100_000])
