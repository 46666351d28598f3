"""Reads an exported data set with the readers it is meant for: `check_export.py DIR --format chinese-clip|lmdb|webdataset`. Prints one line of JSON.

The environment is that of benches/install_peers.sh. `chinese-clip` goes through cn_clip's build_lmdb_dataset.py first and is then read as `lmdb`, by cn_clip's own
data sets for training and evaluation, every item of them. Of each split the JSON has `images` (id, sha256 of the bytes), `texts` (id, text, ids of
images), all sorted, and `samples`, how many items training sees. Formats that hold the same give the same, but for texts without images, which LMDB
and WebDataset cannot hold. `--same-as FILE` compares with an output of before, leaving those texts out.
"""
import argparse
import base64
import hashlib
import io
import json
import pickle
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import webdataset
from cn_clip.eval.data import EvalImgDataset, EvalTxtDataset
from cn_clip.training.data import LMDBDataset
from PIL import Image

SPLITS = ("train", "valid", "test")
ENDINGS = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff")
CONTEXT_LENGTH = 52


class Found:
    """What one split holds."""

    def __init__(self):
        self.images, self.texts, self.samples = {}, {}, 0

    def image(self, name, data):
        Image.open(io.BytesIO(data)).load()
        digest = hashlib.sha256(data).hexdigest()
        assert self.images.setdefault(str(name), digest) == digest, f"image {name} has two contents"

    def text(self, name, text, images):
        known, ids = self.texts.setdefault(str(name), (text, []))
        assert known == text, f"text {name} has two texts: {known!r} and {text!r}"
        ids += [str(image) for image in images if str(image) not in ids]

    def json(self):
        texts = sorted([name, text, sorted(images)] for name, (text, images) in self.texts.items())
        return {"images": sorted(map(list, self.images.items())), "texts": texts, "samples": self.samples}


def build_lmdb(root, splits, out):
    script = Path(find_spec("cn_clip").origin).parent / "preprocess" / "build_lmdb_dataset.py"
    command = [sys.executable, script, "--data_dir", root, "--splits", ",".join(splits), "--lmdb_dir", out]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"build_lmdb_dataset.py: {done.stderr[-2000:]}")


def read_lmdb(folder):
    found = Found()
    dataset = LMDBDataset(str(folder), split="val", max_txt_length=CONTEXT_LENGTH)
    for index in range(len(dataset)):
        image, tokens, end = dataset[index]
        assert tuple(image.shape) == (3, 224, 224) and len(tokens) == CONTEXT_LENGTH and 0 < end < CONTEXT_LENGTH
        found.samples += 1
        image_id, text_id, text = pickle.loads(dataset.txn_pairs.get(str(index).encode()).tobytes())
        found.text(text_id, text, [image_id])
    entries = {key.tobytes().decode(): value.tobytes() for key, value in dataset.txn_imgs.cursor()}
    assert int(entries.pop("num_images")) == len(entries), "num_images is not the number of images"
    assert dataset.txn_pairs.stat()["entries"] == len(dataset) + 1, "records beyond num_samples"
    for name, value in entries.items():
        found.image(name, base64.urlsafe_b64decode(value))
    if all(name.isdecimal() for name in entries):
        evaluated = EvalImgDataset(str(folder / "imgs"))
        names = sorted(str(evaluated[index][0]) for index in range(len(evaluated)))
        assert names == sorted(entries), "evaluation sees other images"
    return found


def read_chinese_clip(root, split, built):
    found = read_lmdb(built / split)
    path = root / f"{split}_texts.jsonl"
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    assert [(row["text_id"], row["text"]) for row in rows] == EvalTxtDataset(str(path)).texts
    for row in rows:
        found.text(row["text_id"], row["text"], row["image_ids"])
    return found


def listed(value):
    return value if isinstance(value, list) else [value]


def field(meta, *names):
    return next((listed(meta[name]) for name in names if name in meta), None)


def read_webdataset(shards):
    """`.json` may say image_id, text_id and caption (one or a list); without it the key and the lines of `.txt` stand for them."""
    found = Found()
    for row in webdataset.WebDataset([str(shard) for shard in shards], shardshuffle=False):
        ending = [name for name in ENDINGS if name in row]
        assert len(ending) == 1, f"{row['__key__']}: {sorted(row)}"
        meta = json.loads(row.get("json", b"{}"))
        name = meta.get("image_id", row["__key__"])
        lines = row["txt"].decode().split("\n") if "txt" in row else None
        captions = field(meta, "caption", "captions") or lines or []
        assert lines in (None, captions), f"{row['__key__']}: .txt and .json differ"
        ids = field(meta, "text_id", "text_ids") or [f"{row['__key__']}#{number}" for number in range(len(captions))]
        found.image(name, row[ending[0]])
        for text_id, caption in zip(ids, captions, strict=True):
            found.text(text_id, caption, [name])
            found.samples += 1
    return found


def read(root, format):
    if format == "webdataset":
        by_split = {split: sorted(root.glob(f"{split}*.tar*")) for split in SPLITS}
        return {split: read_webdataset(shards) for split, shards in by_split.items() if shards}
    if format == "lmdb":
        return {split: read_lmdb(root / split) for split in SPLITS if (root / split).is_dir()}
    splits = [split for split in SPLITS if (root / f"{split}_texts.jsonl").exists()]
    with tempfile.TemporaryDirectory() as built:
        build_lmdb(root, splits, built)
        return {split: read_chinese_clip(root, split, Path(built)) for split in splits}


def labelled(splits):
    return {split: {**found, "texts": [text for text in found["texts"] if text[2]]} for split, found in splits.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--format", required=True, choices=("chinese-clip", "lmdb", "webdataset"))
    parser.add_argument("--same-as", type=Path, help="1 if the data set in this output differs")
    options = parser.parse_args()
    splits = {split: found.json() for split, found in read(options.root, options.format).items()}
    assert splits, f"no split of {options.format} in {options.root}"
    print(json.dumps({"splits": splits}, ensure_ascii=False))
    if options.same_as:
        before, after = labelled(json.loads(options.same_as.read_text())["splits"]), labelled(splits)
        for split in sorted({*before, *after}):
            for part in ("images", "texts", "samples"):
                mine, theirs = (side.get(split, {}).get(part) for side in (after, before))
                if mine != theirs:
                    sys.exit(f"{split}: {part} differ")


if __name__ == "__main__":
    main()
