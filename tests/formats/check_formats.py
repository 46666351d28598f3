"""Reads every fixture back with the format's own tool and compares with expected.json."""
import base64
import csv
import gzip
import hashlib
import io
import json
import pickle
import pickletools
import re
import tarfile
import tempfile
from pathlib import Path

import datasets
import lmdb
import pyarrow.parquet as pq
import webdataset
import zstandard
from PIL import Image

HERE = Path(__file__).resolve().parent
SPLITS = ("train", "valid", "test")


def opened(path):
    """Text of a file that may be compressed."""
    for ending, reader in (("", Path.read_bytes), (".gz", lambda p: gzip.decompress(p.read_bytes())), (".zst", unzstd)):
        found = path.with_name(path.name + ending)
        if found.exists():
            return reader(found).decode()
    raise FileNotFoundError(path)


def unzstd(path):
    with zstandard.open(path, "rb") as file:
        assert file.read()
    return zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True).read()


def tsv(path):
    for line in opened(path).splitlines():
        name, encoded = line.split("\t")
        yield name, base64.urlsafe_b64decode(encoded)


def chinese_clip(root, splits, prefix="", texts="texts", fields=("text_id", "text", "image_ids")):
    for split in splits:
        yield from (("image", split, *row) for row in tsv(root / f"{prefix}{split}_imgs.tsv"))
        for line in opened(root / f"{prefix}{split}_{texts}.jsonl").splitlines():
            row = json.loads(line)
            yield "text", split, row[fields[0]], row[fields[1]], row.get(fields[2], [])


def lmdb_records(folder):
    with lmdb.open(str(folder), readonly=True, lock=False) as env, env.begin() as transaction:
        yield from transaction.cursor()


def reference_lmdb(root, splits):
    for split in splits:
        pairs = dict(lmdb_records(root / split / "pairs"))
        for index in range(int(pairs[b"num_samples"])):
            image, text_id, text = pickle.loads(pairs[str(index).encode()])
            yield "pair", split, text_id, text, image
        if (root / split / "imgs").exists():
            images = dict(lmdb_records(root / split / "imgs"))
            assert int(images.pop(b"num_images")) == len(images)
            yield from (("image", split, key.decode(), base64.urlsafe_b64decode(value)) for key, value in images.items())


def flickr(root, captions, images_folder):
    for split, path in captions.items():
        seen = set()
        for line in (root / path).read_text().splitlines():
            name, raw = re.split(r"[ \t]", line, maxsplit=1)
            image = name.split("#")[0].removesuffix(".jpg")
            tokens = [token.rsplit(":", 1) for token in raw.split()]
            if all(len(token) == 2 and token[1].isalpha() for token in tokens):
                raw = " ".join(word for word, _ in tokens)
            text = re.sub(r"(?<![A-Za-z0-9]) | (?![A-Za-z0-9])", "", re.sub(" +", " ", raw))
            yield "pair", split, name if "#" in name else None, text, image
            if image not in seen:
                seen.add(image)
                yield "image", split, image, (root / images_folder / f"{image}.jpg").read_bytes()


def folder(root, captions):
    readers = {
        ".csv": lambda path: csv.DictReader(io.StringIO(path.read_text())),
        ".gz": lambda path: csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode())),
        ".jsonl": lambda path: map(json.loads, path.read_text().splitlines()),
        ".parquet": lambda path: pq.read_table(path).to_pylist(),
    }
    for row in readers[Path(captions).suffix](root / captions):
        yield "pair", row["split"], None, row["text"], row["image"]
        yield "image", row["split"], row["image"], (root / row["image"]).read_bytes()


def parquet(root, columns, cache):
    for path in sorted(root.rglob("*.parquet")):
        split = re.split(r"[-.]", path.name)[0].replace("validation", "valid")
        rows = datasets.Dataset.from_parquet(str(path), cache_dir=cache)
        if isinstance(rows.features["image"], datasets.Image):
            rows = rows.cast_column("image", datasets.Image(decode=False))
        for row in rows:
            image, captions = row["image"], row[columns["text"]]
            if isinstance(image, dict):
                name, content = image["path"], image["bytes"]
            elif isinstance(image, str):
                name, content = image, (root / image).read_bytes()
            else:
                name, content = row["image_id"], image
            yield "image", split, name, content
            for caption in [captions] if isinstance(captions, str) else captions:
                yield "pair", split, None, caption, name


def wds(paths):
    for path in paths:
        split = path.name.split("-")[0].removesuffix(".tar")
        for row in webdataset.WebDataset(str(path), shardshuffle=False):
            ending = next(name for name in ("jpg", "png", "webp") if name in row)
            key = row["__key__"]
            yield "image", split if split in SPLITS else "train", key, row[ending]
            meta = json.loads(row.get("json", "{}"))
            texts, ids = meta.get("caption"), meta.get("text_id")
            texts = [texts] if isinstance(texts, str) else texts
            lines = row["txt"].decode().splitlines() if "txt" in row else texts
            assert texts in (None, lines), (texts, lines)
            ids = [ids] * len(lines) if not isinstance(ids, list) else ids
            for text_id, text in zip(ids, lines, strict=True):
                yield "pair", split if split in SPLITS else "train", text_id, text, key


def rows_of(name, expected, cache):
    root = HERE / expected.get("root", name)
    splits = expected.get("splits", SPLITS)
    if name.startswith("chinese-clip"):
        yield chinese_clip(root, splits)
    elif name.startswith("muge-2021"):
        prefix = "" if name.endswith("bare") else "MR_"
        yield chinese_clip(root, splits, prefix, "queries", ("query_id", "query_text", "item_ids"))
    elif name.startswith("reference-lmdb"):
        yield reference_lmdb(root, splits)
    elif name.startswith("flickr"):
        yield flickr(root, expected["captions"], expected["images_folder"])
    elif name == "folder":
        yield from (folder(root, captions) for captions in expected["captions"])
    elif name.startswith("parquet"):
        yield parquet(root, expected["columns"], cache)
    else:
        yield wds(sorted(root.glob("*.tar*")) if root.is_dir() else [root])


def collected(rows):
    """({(id, split, digest, width, height)}, {(text id, text, split, image)}); a text without images has None."""
    images, pairs = set(), set()
    for kind, split, name, *rest in rows:
        if kind == "image":
            images.add((str(name), split, hashlib.sha256(rest[0]).hexdigest(), *Image.open(io.BytesIO(rest[0])).size))
            continue
        text, found = rest
        name = None if name is None else str(name)
        pairs |= {(name, text, split, image if image is None else str(image))
                  for image in (found if kind == "text" else [found]) or [None]}
    return images, pairs


def wanted(expected):
    images = {(row["id"], row["split"], row["sha256"], row["width"], row["height"]) for row in expected["images"]}
    return images, {(row["id"], row["text"], row["split"], image) for row in expected["texts"] for image in row["images"] or [None]}


def opcodes():
    """Every pickle opcode of the folders of pairs."""
    for path in sorted(HERE.glob("reference-lmdb*/*/pairs")):
        found = {}
        for key, value in lmdb_records(path):
            if key != b"num_samples":
                try:
                    names = [op.name for op, _, _ in pickletools.genops(value)]
                    for name in names:
                        found.setdefault(name, 0)
                        found[name] += 1
                except ValueError:
                    found["(cut)"] = 1
        print(path.relative_to(HERE), " ".join(sorted(found)))


def main():
    expected = json.loads((HERE / "expected.json").read_text())
    datasets.disable_progress_bars()
    count = 0
    with tempfile.TemporaryDirectory() as cache:
        for name, variant in expected["variants"].items():
            for rows in rows_of(name, variant, cache):
                for mine, theirs, kind in zip(collected(rows), wanted(variant), ("images", "texts")):
                    assert mine == theirs, f"{name}: {kind}\n  only read: {mine - theirs}\n  only expected: {theirs - mine}"
                count += 1
    for case in expected["refused"]:
        path = HERE / case["path"]
        if path.suffix == ".tar":
            try:
                found = [row["__key__"] for row in webdataset.WebDataset(str(path), shardshuffle=False)]
            except (ValueError, tarfile.TarError, EOFError) as error:
                found = f"{type(error).__name__}: {str(error)[:60]}"
            print(f"{case['path']}: webdataset gives {found}")
    opcodes()
    print(f"{count} readings agree")


if __name__ == "__main__":
    main()
