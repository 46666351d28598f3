"""Scoring features beside the reference: `run.py PYTHON TUWEN WORK [CASE...]` prints one Markdown table.

PYTHON is an interpreter with cn_clip, torch and numpy. Makes random clustered unit vectors below WORK in the reference's own file format, then runs the
reference's make_topk_predictions.py and evaluation.py (or their image-to-text twins and transform_ir_annotation_to_tr.py) as they stand, with `.cuda()` made to do nothing, and
`tuwen score --format features`. Wall seconds of whole processes; ours the best of three turns, the reference once. Where prediction files differ,
the documents that differ are scored in f64: a list is a near tie if the scores of what changed places lie within 1e-6.
CASE is IMAGESxTEXTS and `:t2i`, `:i2t` or `:both`: the last is one command of ours beside all scripts of the reference, one direction after the other.
"""
import json
import os
import subprocess
import sys
import time
from pathlib import Path

TURNS = 3
DIMENSION = 512
CASES = ("1000x5000:t2i", "1000x5000:i2t", "1000x5000:both", "30000x5000:t2i")
WITHOUT_CUDA = "import sys, runpy, torch; torch.Tensor.cuda = lambda self, *a, **k: self; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"


def make(folder, images, texts, seed=7):
    """Images around themes, one in a hundred the double of another, and texts around images, with so much noise that not all are found."""
    import numpy as np

    random = np.random.default_rng(seed)

    def unit(values):
        return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)

    themes = random.standard_normal((max(images // 20, 1), DIMENSION))
    centres = unit(themes[random.integers(len(themes), size=images)] + random.standard_normal((images, DIMENSION)))
    centres[::100] = centres[1::100][: len(centres[::100])]
    owner = np.arange(texts) % images
    side = random.standard_normal(DIMENSION) * 0.03
    text_vectors = unit(centres[owner] + side + 0.25 * random.standard_normal((texts, DIMENSION)))
    folder.mkdir(parents=True, exist_ok=True)
    for name, key, first, vectors in (("imgs.img_feat", "image_id", 1_000_000, centres), ("texts.txt_feat", "text_id", 1, text_vectors)):
        with open(folder / f"{name}.jsonl", "w") as out:
            for number, vector in enumerate(vectors):
                out.write("{}\n".format(json.dumps({key: first + number, "feature": vector.tolist()})))
    with open(folder / "texts.jsonl", "w") as out:
        for text, image in enumerate(owner.tolist()):
            out.write(json.dumps({"text_id": 1 + text, "text": "", "image_ids": [1_000_000 + image]}) + "\n")


def timed(command):
    """Wall and CPU seconds of a process."""
    command = [str(part) for part in command]
    began = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command}: exit {child.returncode}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def differing(folder, found, expected, direction):
    """Lists that differ, and how many of them beyond near ties."""
    import numpy as np

    ask, answer = ("text_id", "image_ids") if direction == "t2i" else ("image_id", "text_ids")
    pairs = list(zip(lines(found), lines(expected), strict=True))
    odd = [(a, b) for a, b in pairs if a != b]
    if not odd:
        return len(pairs), 0, 0
    vectors = {}
    for name, key in (("imgs.img_feat", "image_id"), ("texts.txt_feat", "text_id")):
        vectors[key] = {row[key]: np.array(row["feature"]) for row in lines(folder / f"{name}.jsonl")}
    document = "image_id" if direction == "t2i" else "text_id"
    far = 0
    for a, b in odd:
        query = vectors[ask][a[ask]]
        changed = [(x, y) for x, y in zip(a[answer], b[answer]) if x != y]
        gaps = [abs(query @ vectors[document][x] - query @ vectors[document][y]) for x, y in changed]
        far += int(a[ask] != b[ask] or max(gaps) > 1e-6)
    return len(pairs), len(odd), far


def paths(folder, who, direction, both):
    """Predictions and score of a direction; of both, `tuwen` adds `.tr` to those of image to text."""
    if both:
        mark = "" if direction == "t2i" else ".tr"
        return [folder / f"{who}.both{mark}.jsonl", folder / f"{who}.both{mark}.json"]
    return [folder / f"{who}.{direction}.jsonl", folder / f"{who}.{direction}.json"]


def reference(python, folder, direction, out):
    """Seconds, wall and CPU, of its search and of its score."""
    scripts = Path(subprocess.run([python, "-c", "import cn_clip.eval as e; print(e.__path__[0])"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
    suffix, truth, turned = "", folder / "texts.jsonl", (0, 0)
    if direction == "i2t":
        suffix, truth = "_tr", folder / "texts.tr.jsonl"
        turned = timed([python, scripts / "transform_ir_annotation_to_tr.py", "--input", folder / "texts.jsonl"])
    search = timed([python, "-c", WITHOUT_CUDA, scripts / f"make_topk_predictions{suffix}.py", "--image-feats", folder / "imgs.img_feat.jsonl",
                   "--text-feats", folder / "texts.txt_feat.jsonl", "--top-k", 10, "--output", out[0]])
    score = timed([python, scripts / f"evaluation{suffix}.py", truth, *out])
    return search, (score[0] + turned[0], score[1] + turned[1])


def measure(python, tuwen, work, case):
    size, asked = case.split(":")
    images, texts = map(int, size.split("x"))
    folder = work / size
    if not (folder / "texts.jsonl").exists():
        subprocess.run([python, __file__, "--make", folder, str(images), str(texts)], check=True)
    both = asked == "both"
    directions = ["t2i", "i2t"] if both else [asked]
    name = {"t2i": "text-to-image", "i2t": "image-to-text", "both": "both"}[asked]
    ours, theirs = ([paths(folder, who, direction, both) for direction in directions] for who in ("tuwen", "reference"))
    command = [tuwen, "score", "--format", "features", "--image-features", folder / "imgs.img_feat.jsonl", "--text-features",
               folder / "texts.txt_feat.jsonl", "--truth", folder / "texts.jsonl", "--direction", name,
               "--predictions-out", ours[0][0], "--output", ours[0][1]]
    took, cpu = min(timed(command) for _ in range(TURNS))
    parts = [reference(python, folder, direction, out) for direction, out in zip(directions, theirs)]
    search, score = ([sum(part[which][kind] for part in parts) for kind in (0, 1)] for which in (0, 1))
    lists, same = [0, 0, 0], []
    for direction, found, expected in zip(directions, ours, theirs):
        compared = subprocess.run([python, __file__, "--compare", folder, found[0], expected[0], direction], check=True, stdout=subprocess.PIPE, text=True)
        lists = [a + b for a, b in zip(lists, json.loads(compared.stdout))]
        recall = json.loads(expected[1].read_text())["score"]
        equal = found[1].read_bytes() == expected[1].read_bytes()
        same.append(f"same, MR {recall:.2f}" if equal else f"{found[1].read_text()} / {expected[1].read_text()}")
    print(f"| {images:,} × {texts:,} {asked} | {search[0]:.1f} | {score[0]:.2f} | {took:.3f} | {(search[0] + score[0]) / took:.0f} | {(search[1] + score[1]) / cpu:.0f} | "
          f"{lists[1]} of {lists[0]:,}, {lists[2]} beyond near ties | {'; '.join(same)} |", flush=True)


def main(python, tuwen, work, *cases):
    os.environ["RAYON_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "2"
    print("| images × texts | reference search s | reference score s | tuwen s | ratio | ratio of CPU s | lists that differ | score JSON |\n|---|---:|---:|---:|---:|---:|---|---|")
    for case in cases or CASES:
        measure(python, tuwen, Path(work), case)


if __name__ == "__main__":
    if sys.argv[1] == "--make":
        make(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    elif sys.argv[1] == "--compare":
        print(json.dumps(differing(Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), sys.argv[5])))
    else:
        main(*sys.argv[1:])
