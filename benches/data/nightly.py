"""A night on which one row in a hundred changed, beside the night that made everything: `nightly.py PYTHON TUWEN WORK [IMAGES]` prints a Markdown table.

PYTHON has numpy and Pillow, for make_tsv.py. Pictures and texts as MUGE has them go through the stages of a nightly job that costs no training: ingest, embed with
ViT-B-16 (random weights) and index. Every hundredth picture and text is another one in the second night. CPU seconds of the whole process; each night in a
fresh process.
"""
import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PIPELINE = """kind: Pipeline
version: 1
name: nightly
seed: 1
stages:
  - {{ id: data, kind: ingest, source: {{ format: chinese-clip, root: {root}, splits: [train] }} }}
  - {{ id: base, kind: model, preset: ViT-B-16 }}
  - {{ id: vectors, kind: embed, needs: {{ models: [base], data: [data] }} }}
  - {{ id: index, kind: index, needs: {{ embeddings: vectors, model: base }} }}
"""


def change(source):
    """Another comment in every hundredth JPEG, another word in every hundredth text."""
    images = (source / "train_imgs.tsv").read_bytes().splitlines()
    for row in range(7, len(images), 100):
        name, image = images[row].split(b"\t")
        data = bytearray(base64.b64decode(image))
        data[23] = ord("~")
        images[row] = name + b"\t" + base64.b64encode(data)
    (source / "train_imgs.tsv").write_bytes(b"".join(image + b"\n" for image in images))
    texts = [json.loads(line) for line in (source / "train_texts.jsonl").read_text().splitlines()]
    for text in texts[7::100]:
        text["text"] += "新"
    (source / "train_texts.jsonl").write_text("".join(json.dumps(text, ensure_ascii=False) + "\n" for text in texts))


def night(tuwen, work):
    """CPU and wall seconds of the run, wall seconds by stage."""
    began = time.monotonic()
    command = [tuwen, "run", work / "pipeline.yaml", "--store", work / "store", "--cache", work / "cache", "--quiet", "--json"]
    child = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    printed = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"exit {os.waitstatus_to_exitcode(status)}")
    steps = {step["stage"]: step["seconds"] for step in json.loads(printed.splitlines()[-1])["steps"]}
    return usage.ru_utime + usage.ru_stime, time.monotonic() - began, steps


def main(python, tuwen, work, images="4000"):
    work = Path(work)
    subprocess.run([python, HERE / "make_tsv.py", work / "source", "--images", images], check=True, stdout=subprocess.DEVNULL)
    (work / "pipeline.yaml").write_text(PIPELINE.format(root=work / "source"))
    first = night(tuwen, work)
    change(work / "source")
    second = night(tuwen, work)
    print(f"{images} pictures, every hundredth of them and of their texts another one in the second night\n")
    print("| | everything | 1 % changed | share |\n|---|---:|---:|---:|")
    print(f"| CPU s | {first[0]:.1f} | {second[0]:.1f} | {100 * second[0] / first[0]:.1f} % |")
    for name, seconds in [("wall s", first[1]), *first[2].items()]:
        again = second[1] if name == "wall s" else second[2][name]
        print(f"| {name} | {seconds:.1f} | {again:.2f} | {100 * again / max(seconds, 1e-9):.1f} % |")


if __name__ == "__main__":
    main(*sys.argv[1:])
