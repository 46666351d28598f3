"""Made Chinese captions from real words: `data.py CLDR FOLDER [ROWS]` writes captions.txt and queries.txt, one a line.

CLDR is the folder of npm's cldr-annotations-full 48.2.0 (`npm pack`, unpacked). The words are the names and keywords of its zh annotations and
the words of the captions in sample_data, drawn with the frequencies of Zipf's law from a seeded generator and joined by what
joins them in captions. A query is 2 to 8 words of one caption, without what joins them.
"""
import json
import random
import re
import sys
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
SEED = 20240607
QUERIES = 2_000
JOINTS = ["的", "和", "在", "与", "上的", "旁边的", "里的", "穿着", "拿着", "，", "，", " ", " ", "", "", "", ""]
OPENINGS = ["", "", "", "", "一个", "一只", "两个", "一张", "几个", "这是"]
ENDINGS = ["", "", "", "", "。", "图片", "新款", "2024款", "10cm", "XL码", "USB"]


def words(cldr):
    found = set()
    annotations = json.loads((cldr / "annotations/zh/annotations.json").read_text())["annotations"]["annotations"]
    for entry in annotations.values():
        found.update(entry.get("default", []) + entry.get("tts", []))
    for name in sorted(SAMPLES.glob("*/*_texts.jsonl")):
        for line in name.read_text().splitlines():
            found.update(json.loads(line)["text"].split())
    for line in (SAMPLES / "surfaces/captions.csv").read_text().splitlines()[1:]:
        found.add(line.split(",")[1])
    return sorted(word for word in found if re.search(r"\w", word))


def main(cldr, folder, rows):
    rng = random.Random(SEED)
    vocabulary = words(cldr)
    rng.shuffle(vocabulary)
    weights = [1 / (rank + 2.7) for rank in range(len(vocabulary))]
    captions, chosen = [], []
    for _ in range(rows):
        parts = list(dict.fromkeys(rng.choices(vocabulary, weights, k=rng.randint(3, 9))))
        text = rng.choice(OPENINGS) + parts[0]
        for part in parts[1:]:
            text += rng.choice(JOINTS) + part
        captions.append(text + rng.choice(ENDINGS))
        chosen.append(parts)
    queries = []
    while len(queries) < QUERIES:
        parts = rng.choice(chosen)
        count = rng.randint(2, 8)
        if len(parts) >= count:
            queries.append(" ".join(rng.sample(parts, count)))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "captions.txt").write_text("".join(f"{text}\n" for text in captions))
    (folder / "queries.txt").write_text("".join(f"{text}\n" for text in queries))
    print(f"{len(vocabulary)} words, {rows} captions, {sum(map(len, captions)) / rows:.1f} characters on average, {QUERIES} queries")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 250_000)
