"""What encoding in bf16 costs in recall: `recall.py TUWEN MODEL IMAGES.tsv TEXTS.jsonl` encodes both ways and prints hit@1, 5, 10.

MODEL is a folder of tuwen, for example a checkpoint artifact of the quickstart. Needs Python's standard library only.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path


def rows(path, key):
    return {row[key]: row["feature"] for row in map(json.loads, path.read_text().splitlines())}


def hits(queries, gallery, relevant):
    counts = [0, 0, 0]
    asked = [query for query in queries if relevant.get(query)]
    for query in asked:
        scores = [(-sum(a * b for a, b in zip(queries[query], vector)), at, key) for at, (key, vector) in enumerate(gallery.items())]
        order = [key for _, _, key in sorted(scores)]
        best = min(order.index(key) for key in relevant[query] if key in gallery)
        for at, k in enumerate((1, 5, 10)):
            counts[at] += best < k
    return [100 * count / len(asked) for count in counts]


def main(tuwen, model, images, texts):
    images_of, texts_of = {}, {}
    for row in map(json.loads, Path(texts).read_text().splitlines()):
        images_of[row["text_id"]] = row["image_ids"]
        for image in row["image_ids"]:
            texts_of.setdefault(image, []).append(row["text_id"])
    found = {}
    for precision in ("fp32", "bf16"):
        with tempfile.TemporaryDirectory() as out:
            subprocess.run([tuwen, "encode", "--model", model, "--images", images, "--texts", texts, "--precision", precision,
                            "--output", out, "--quiet"], check=True, stdout=subprocess.DEVNULL)
            folder = Path(out)
            found[precision] = (rows(next(folder.glob("*.img_feat.jsonl")), "image_id"), rows(next(folder.glob("*.txt_feat.jsonl")), "text_id"))
    cosines = [sum(a * b for a, b in zip(found["fp32"][side][key], found["bf16"][side][key])) for side in (0, 1) for key in found["fp32"][side]]
    print(f"{len(found['fp32'][0])} images, {len(found['fp32'][1])} texts; lowest cosine of a vector between the two {min(cosines):.6f}")
    for precision, (image_rows, text_rows) in found.items():
        forth, back = hits(text_rows, image_rows, images_of), hits(image_rows, text_rows, texts_of)
        shown = [" / ".join(f"{value:.2f}" for value in values) for values in (forth, back)]
        print(f"{precision}: text to image {shown[0]}, image to text {shown[1]}")


if __name__ == "__main__":
    main(*sys.argv[1:5])
