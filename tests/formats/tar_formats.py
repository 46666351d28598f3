"""WebDataset, and archives that are sound, long-named or hostile."""
import tarfile
from io import BytesIO

import webdataset

import sample
from sample import SPLITS, TEXTS, image_row, of, text_row


def wds_sample(picture, key, with_text=True, with_json=True):
    texts = [text for text in TEXTS if picture.id in text.images]
    row = {"__key__": key, picture.ending: picture.bytes}
    if with_text:
        row["txt"] = "\n".join(text.text for text in texts)
    if with_json:
        one = len(texts) == 1
        row["json"] = {"caption": texts[0].text, "text_id": texts[0].id} if one else {
            "caption": [text.text for text in texts], "text_id": [text.id for text in texts]}
    return row


def wds_expected(named, with_ids):
    def texts(picture, key):
        for text in TEXTS:
            if picture.id in text.images:
                yield text_row(text.id if with_ids(picture) else None, text.text, text.split, [key])
    return [image_row(*pair) for pair in named], [row for pair in named for row in texts(*pair)]


def make_webdataset(out, expected):
    root = out / "webdataset"
    root.mkdir()
    pictures = sample.pictures()
    keys = {1003: "part.one/1003", 1004: "part.one/1004"}
    named = [(picture, keys.get(picture.id, str(picture.id))) for picture in pictures]
    by_split = {split: [pair for pair in named if pair[0].split == split] for split in SPLITS}
    with webdataset.ShardWriter(f"{root}/train-%06d.tar", maxcount=2, verbose=0, mtime=0) as writer:
        for picture, key in by_split["train"]:
            row = wds_sample(picture, key)
            if picture.id == 1004:
                row["JPG"] = row.pop("jpg")
            writer.write(row)
    with webdataset.TarWriter(f"{root}/valid-000000.tar", mtime=0) as writer:
        for picture, key in by_split["valid"]:
            writer.write(wds_sample(picture, key, with_text=False))
    with webdataset.TarWriter(f"{root}/test-000000.tar.gz", mtime=0) as writer:
        for picture, key in by_split["test"]:
            writer.write(wds_sample(picture, key, with_json=False) | {"cls": "5"})
    without_clock(root / "test-000000.tar.gz")
    images, texts = wds_expected(named, lambda picture: picture.split != "test")
    expected.add("webdataset", images, texts)


def without_clock(path):
    """Python's stream of tar.gz writes the time into the header."""
    data = bytearray(path.read_bytes())
    data[4:8] = bytes(4)
    path.write_bytes(data)


def entry(name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def write_tar(path, entries, format=tarfile.USTAR_FORMAT):
    """Without the zeros that fill the last record."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format, encoding="utf-8") as tar:
        for info, data in entries:
            tar.addfile(info, BytesIO(data))
        end = tar.offset
    path.write_bytes(buffer.getvalue()[: end + 1024])


def make_tar_names(out, expected):
    """Names of more than 100 bytes in the three ways there are."""
    root = out / "webdataset-names"
    root.mkdir()
    formats = {"train": tarfile.GNU_FORMAT, "valid": tarfile.PAX_FORMAT, "test": tarfile.USTAR_FORMAT}
    long = {"train": "图" * 40 + "/", "valid": "文" * 60 + "/", "test": "d" * 90 + "/" + "f" * 40}
    named = []
    for split, format in formats.items():
        entries = []
        for picture in of(sample.pictures(), split)[:2]:
            key = f"{long[split]}{picture.id}"
            caption = "\n".join(text.text for text in TEXTS if picture.id in text.images)
            entries += [entry(f"{key}.{picture.ending}", picture.bytes), entry(f"{key}.txt", caption.encode())]
            named.append((picture, key))
        write_tar(root / f"{split}-000000.tar", entries, format)
    images, texts = wds_expected(named, lambda picture: False)
    expected.add(root.name, images, texts)


def make_hostile_tars(out, expected):
    root = out / "webdataset-hostile"
    root.mkdir()
    picture = sample.pictures()[3]
    sound = [entry("1004.jpg", picture.bytes), entry("1004.txt", "墙".encode())]
    link = {"linkname": "/etc/passwd"}
    cases = {
        "traversal": ([entry("../../evil.jpg", picture.bytes), entry("../../evil.txt", b"x")], "a name leads out of the archive"),
        "inner_traversal": ([entry("a/../../evil.jpg", picture.bytes), entry("a/../../evil.txt", b"x")], "a name leads out of the archive"),
        "absolute": ([entry("/tmp/evil.jpg", picture.bytes), entry("/tmp/evil.txt", b"x")], "an absolute name"),
        "symlink": ([entry("1004.jpg", type=tarfile.SYMTYPE, **link), entry("1004.txt", b"x")], "an image is a symbolic link"),
        "hardlink": ([entry("1004.jpg", type=tarfile.LNKTYPE, **link), entry("1004.txt", b"x")], "an image is a hard link"),
        "fifo": ([entry("1004.jpg", type=tarfile.FIFOTYPE), entry("1004.txt", b"x")], "an image is a named pipe"),
        "twice": (sound + sound, "two members of one name: the library raises ValueError"),
    }
    for name, (entries, why) in cases.items():
        write_tar(root / f"{name}.tar", entries)
        expected.refuse(f"webdataset-hostile/{name}.tar", why)
    write_tar(root / "truncated.tar", sound)
    data = (root / "truncated.tar").read_bytes()
    (root / "truncated.tar").write_bytes(data[:900])
    (root / "bad_checksum.tar").write_bytes(data[:148] + b"000000" + data[154:])
    (root / "no_end.tar").write_bytes(data[:-1024])
    expected.refuse("webdataset-hostile/truncated.tar", "ends within the picture")
    expected.refuse("webdataset-hostile/bad_checksum.tar", "header checksum is wrong")
    images, texts = [image_row(picture)], [text_row(None, "墙", "train", [1004])]
    expected.add("webdataset-hostile/no_end.tar", images, texts, note="no zero blocks at the end: Python reads it as whole")
