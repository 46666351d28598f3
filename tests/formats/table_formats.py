"""The formats that are files of records: the reference's LMDB, and Parquet."""
import pickle
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import datasets
import lmdb
import pyarrow as pa
import pyarrow.parquet as pq

import sample
from sample import SPLITS, TEXTS, image_row, of, of_split, paired, pairs, text_row, whole

SMALL_MAP = 1 << 20
HOSTILE_COMMAND = "touch /tmp/tuwen-was-here"


def write_lmdb(folder, records):
    """Without its lock file."""
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=SMALL_MAP) as env, env.begin(write=True) as transaction:
        for key, value in records:
            transaction.put(str(key).encode(), value)
    (folder / "lock.mdb").unlink()


def numbered(values, count=None):
    yield from enumerate(values)
    yield "num_samples", str(len(values) if count is None else count).encode()


class Hostile:
    def __reduce__(self):
        import os
        return os.system, (HOSTILE_COMMAND,)


def make_reference_lmdb(out, expected):
    build = Path(find_spec("cn_clip").origin).parent / "preprocess" / "build_lmdb_dataset.py"
    folder = out / "reference-lmdb"
    command = [sys.executable, build, "--data_dir", out / "chinese-clip", "--splits", ",".join(SPLITS), "--lmdb_dir", folder]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for lock in folder.glob("*/*/lock.mdb"):
        lock.unlink()
    images, texts = whole(sample.pictures())
    expected.add(folder.name, images, texts)

    # The same pairs by other writers: pairs only, no pictures.
    train = [(image, text.id, text.text) for text, image in pairs("train")]
    texts = of_split(texts, "train")
    for protocol in (2, 3, 5):
        name = f"reference-lmdb-p{protocol}"
        write_lmdb(out / name / "train" / "pairs", numbered([pickle.dumps(pair, protocol) for pair in train]))
        expected.add(name, [], texts, splits=["train"])

    make_memo(out, expected)
    sound = pickle.dumps(train[0])
    hostile = [sound, *(pickle.dumps((Hostile(), *train[1][1:]), protocol) for protocol in (2, 4))]
    write_lmdb(out / "reference-lmdb-hostile" / "train" / "pairs", numbered(hostile))
    expected.refuse("reference-lmdb-hostile/train/pairs", "records 1 and 2 would call os.system when unpickled")
    damaged = [sound, sound[:-9], *map(pickle.dumps, (train[0][:2], list(train[0]), (1.5, None, b"text"), (1001, 7, "\ud83d")))]
    write_lmdb(out / "reference-lmdb-damaged" / "train" / "pairs", numbered(damaged, count=len(damaged) + 1))
    expected.refuse("reference-lmdb-damaged/train/pairs", "1 is cut, 2 has two fields, 3 is a list, 4 has wrong types, 5 half a surrogate pair, 6 is missing")


def make_memo(out, expected):
    """One string object three times, which comes from the memo, and integers and strings of every size, in four protocols."""
    name, shared = "reference-lmdb-memo", "同一个字符串"
    rows = [(shared, shared, shared), (1001, 1 << 31, "“" * 200), (-1, 1 << 62, ""), (255, 256, "😀")]
    values = [pickle.dumps(row, protocol) for row in rows for protocol in (2, 3, 4, 5)]
    write_lmdb(out / name / "train" / "pairs", numbered(values))
    texts = [text_row(text_id, text, "train", [image]) for image, text_id, text in rows for _ in range(4)]
    expected.add(name, [], texts, splits=["train"])


def make_parquet(out, expected):
    pictures = sample.pictures()
    by_id = {picture.id: picture for picture in pictures}
    named = [(picture, picture.name) for picture in pictures]
    images = [image_row(*pair) for pair in named]

    def content(picture):
        return {"bytes": picture.bytes, "path": picture.name}

    def write(path, rows, **features):
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = {name: [row[name] for row in rows] for name in features}
        datasets.Dataset.from_dict(columns, features=datasets.Features(features)).to_parquet(path)

    string = datasets.Value("string")
    for split in SPLITS:
        rows = [{"image": content(by_id[image]), "text": text.text} for text, image in pairs(split)]
        write(out / "parquet" / f"{split}-00000-of-00001.parquet", rows, image=datasets.Image(), text=string)
    expected.add("parquet", images, paired(named), columns={"image": "image", "text": "text"})

    def lists(chosen):
        captions = {picture.id: [text.text for text in TEXTS if picture.id in text.images] for picture in chosen}
        return [{"image": content(picture), "captions": captions[picture.id]} for picture in chosen]

    data = out / "parquet-lists" / "data"
    shards = {"train-00000-of-00002": pictures[:2], "train-00001-of-00002": pictures[2:4],
              "validation-00000-of-00001": of(pictures, "valid"), "test-00000-of-00001": of(pictures, "test")}
    for name, chosen in shards.items():
        write(data / f"{name}.parquet", lists(chosen), image=datasets.Image(), captions=datasets.List(string))
    expected.add("parquet-lists", images, paired(named), columns={"image": "image", "text": "captions"})

    make_plain_parquet(out, expected, pictures, by_id)


def make_plain_parquet(out, expected, pictures, by_id):
    """By pyarrow alone: paths to files, and plain bytes with ids."""
    root = out / "parquet-paths"
    (root / "images").mkdir(parents=True)
    named = [(picture, f"images/{picture.name}") for picture in pictures]
    paths = {picture.id: path for picture, path in named}
    for picture, path in named:
        (root / path).write_bytes(picture.bytes)
    for split in SPLITS:
        rows = [{"image": paths[image], "text": text.text} for text, image in pairs(split)]
        pq.write_table(pa.Table.from_pylist(rows), root / f"{split}.parquet", use_dictionary=True, compression="gzip")
    expected.add(root.name, [image_row(*pair) for pair in named], paired(named), columns={"image": "image", "text": "text"})

    root = out / "parquet-binary"
    root.mkdir()
    schema = pa.schema([("image_id", pa.int64()), ("image", pa.binary()), ("text", pa.large_string())])
    for split in SPLITS:
        rows = [{"image_id": image, "image": by_id[image].bytes, "text": text.text} for text, image in pairs(split)]
        table = pa.Table.from_pylist(rows, schema)
        pq.write_table(table, root / f"{split}.parquet", compression="zstd", row_group_size=2, data_page_version="2.0")
    named = [(picture, picture.id) for picture in pictures]
    columns = {"image": "image", "image_id": "image_id", "text": "text"}
    expected.add(root.name, [image_row(picture) for picture in pictures], paired(named), columns=columns)
