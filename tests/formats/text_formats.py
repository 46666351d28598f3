"""The formats made of lines: the reference's TSV and JSONL, MUGE of 2021, Flickr30k-CN, a folder with captions."""
import base64
import csv
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

import sample
from sample import SPLITS, TEXTS, image_row, of, of_split, paired, pairs, text_row, whole

FOLDERS = {"train": "flickr30kzhbbosontrain", "valid": "flickr30kzhbbosonval", "test": "flickr30kzhmbosontest"}


def json_line(row, ascii_only=False):
    return json.dumps(row, ensure_ascii=ascii_only) + "\n"


def images_tsv(pictures, encode):
    return "".join(f"{picture.id}\t{encode(picture.bytes).decode()}\n" for picture in pictures)


def texts_jsonl(texts, ids, ascii_only=False):
    return "".join(json_line({"text_id": t.id, "text": t.text, "image_ids": [ids(i) for i in t.images]}, ascii_only) for t in texts)


def chinese_clip_files(pictures):
    """`valid` has string ids and the URL-safe alphabet, `test` escapes what is not ASCII."""
    for split in SPLITS:
        encode = base64.urlsafe_b64encode if split == "valid" else base64.b64encode
        yield f"{split}_imgs.tsv", images_tsv(of(pictures, split), encode)
        yield f"{split}_texts.jsonl", texts_jsonl(of(TEXTS, split), str if split == "valid" else int, split == "test")


def gzip_members(data):
    """Two members one after the other, as parallel compressors write them."""
    half = len(data) // 2
    return gzip.compress(data[:half], mtime=0) + gzip.compress(data[half:], mtime=0)


def zstd_frames(data):
    """A frame that names its length and has a checksum, then one that does neither."""
    half = len(data) // 2
    plain = zstandard.ZstdCompressor(write_checksum=False).compressobj()
    sized = zstandard.ZstdCompressor(level=19, write_checksum=True)
    return sized.compress(data[:half]) + plain.compress(data[half:]) + plain.flush()


def make_chinese_clip(out, expected):
    pictures = sample.pictures()
    images, texts = whole(pictures)
    kinds = (("chinese-clip", "", bytes), ("chinese-clip-gz", ".gz", gzip_members), ("chinese-clip-zst", ".zst", zstd_frames))
    for folder, ending, compress in kinds:
        (out / folder).mkdir()
        for name, content in chinese_clip_files(pictures):
            (out / folder / (name + ending)).write_bytes(compress(content.encode()))
        expected.add(folder, images, texts)
    folder = out / "chinese-clip-unlabelled"
    folder.mkdir()
    test = of(TEXTS, "test")
    (folder / "test_imgs.tsv").write_text(images_tsv(of(pictures, "test"), base64.b64encode))
    (folder / "test_texts.jsonl").write_text("".join(json_line({"text_id": t.id, "text": t.text, "image_ids": []}) for t in test))
    expected.add(folder.name, of_split(images, "test"), [text_row(t.id, t.text, t.split, ()) for t in test], splits=["test"])


def make_muge_2021(out, expected):
    """Names as the archive of 2021 has them, and without their prefix."""
    pictures = sample.pictures()
    images, _ = whole(pictures)
    texts = [text_row(t.id, t.text, t.split, () if t.split == "test" else t.images) for t in TEXTS]
    for folder, prefix in (("muge-2021", "MR_"), ("muge-2021-bare", "")):
        (out / folder).mkdir()
        for split in SPLITS:
            (out / folder / f"{prefix}{split}_imgs.tsv").write_text(images_tsv(of(pictures, split), base64.urlsafe_b64encode))
            rows = [{"query_id": t.id, "query_text": t.text, "item_ids": list(t.images)} for t in of(TEXTS, split)]
            if split == "test":
                rows = [{"query_id": row["query_id"], "query_text": row["query_text"]} for row in rows]
            (out / folder / f"{prefix}{split}_queries.jsonl").write_text("".join(map(json_line, rows)))
        expected.add(folder, images, texts)


def spread(make_line):
    """(split, lines) with the number of a caption among those of its image"""
    for split in SPLITS:
        seen, lines = {}, []
        for text, image in pairs(split):
            number = seen.setdefault(image, 0)
            seen[image] += 1
            lines.append(make_line(split, text, image, number))
        yield split, lines


def without_commas(text):
    return text.text.replace(",", "").replace("，", "")


def make_flickr(out, expected):
    root = out / "flickr30k-cn"
    (root / "images").mkdir(parents=True)
    pictures = sample.pictures("jpg")
    for picture in pictures:
        (root / "images" / picture.name).write_bytes(picture.bytes)
    images = [image_row(picture) for picture in pictures]

    def segmented(split, text, image, number):
        human = split == "test"
        name = f"{image}#{'zhm' if human else 'zhb'}#{number}"
        return f"{name} {text.tagged if human else text.segmented}", name, text.text if human else without_commas(text), image

    def cna(split, text, image, number):
        human = split == "test"
        name = f"{image}#zhm#{number}" if human else str(image)
        return f"{name}\t{text.text}", name if human else None, text.text, image

    def plain(split, text, image, number):
        name = {"train": f"{image}#{number}", "valid": f"{image}.jpg#{number}", "test": f"{image}#enc2zhm#{number}"}[split]
        line = {"train": f"{name} {text.text}", "valid": f"{name}\t{text.text}", "test": f"{name} {text.tagged}"}[split]
        return line, name, text.text, image

    files = {
        "boson": (segmented, {split: f"{name}/TextData/seg.{name}.caption.txt" for split, name in FOLDERS.items()}),
        "cna": (cna, {"train": "train/flickr30k_cna_train.txt", "valid": "val/flickr30k_cna_val.txt", "test": "test/flickr30k_cn_test.txt"}),
        "plain": (plain, {"train": "train.txt", "valid": "val.txt", "test": "test.txt"}),
    }
    for folder, (make_line, paths) in files.items():
        texts = []
        for split, lines in spread(make_line):
            path = root / folder / paths[split]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{line}\n" for line, *_ in lines))
            texts += [text_row(name, text, split, [image]) for _, name, text, image in lines]
        captions = {split: f"{folder}/{path}" for split, path in paths.items()}
        expected.add(f"flickr30k-cn/{folder}", images, texts, root="flickr30k-cn", captions=captions, images_folder="images")
    for split, name in FOLDERS.items():
        listed = root / "boson" / name / "ImageSets" / f"{name}.txt"
        listed.parent.mkdir()
        listed.write_text("".join(f"{picture.id}\n" for picture in of(pictures, split)))


def make_folder(out, expected):
    root = out / "folder"
    (root / "images").mkdir(parents=True)
    pictures = sample.pictures()
    families = {picture.id: picture.family for picture in pictures}
    named = [(picture, f"images/{picture.name}") for picture in pictures]
    paths = {picture.id: path for picture, path in named}
    for picture, path in named:
        (root / path).write_bytes(picture.bytes)
    rows = [
        {"image": paths[image], "text": text.text, "split": split, "family": families[image]}
        for split in SPLITS for text, image in pairs(split)
    ]
    with open(root / "captions.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (root / "captions.csv.gz").write_bytes(gzip_members((root / "captions.csv").read_bytes()))
    (root / "captions.jsonl").write_text("".join(map(json_line, rows)))
    pq.write_table(pa.Table.from_pylist(rows), root / "captions.parquet")
    captions = ["captions.csv", "captions.csv.gz", "captions.jsonl", "captions.parquet"]
    expected.add("folder", [image_row(picture, path) for picture, path in named], paired(named), captions=captions)
