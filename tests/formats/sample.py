"""The one small data set that every folder here holds: six pictures and nine texts."""
import hashlib
import io
import re
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Picture:
    id: int
    split: str
    family: str
    ending: str
    size: tuple
    bytes: bytes

    @property
    def name(self):
        return f"{self.id}.{self.ending}"


@dataclass(frozen=True)
class Text:
    id: object
    split: str
    images: tuple
    words: tuple

    @property
    def text(self):
        return join(word for word, _ in self.words)

    @property
    def segmented(self):
        """As a machine-translated line has it: spaces between words, two where a comma was."""
        return " ".join("" if word in ",，" else word for word, _ in self.words)

    @property
    def tagged(self):
        return " ".join(f"{word}:{tag}" for word, tag in self.words)


def join(words):
    """A sentence from its words: a space only between two ASCII letters or digits."""
    return re.sub(r"(?<![A-Za-z0-9]) | (?![A-Za-z0-9])", "", re.sub(" +", " ", " ".join(words)))


def text(number, split, images, tagged):
    return Text(number, split, tuple(images), tuple(tuple(word.rsplit(":", 1)) for word in tagged.split()))


LONG = " ".join(f"第{number}层:m 是:vshi {colour}:a 的:ude 砖:n ，:wd" for number, colour in zip(
    "一二三四五六七八九", ("深红", "浅灰", "米白", "土黄", "墨绿", "天蓝", "淡紫", "棕褐", "纯黑")))

# The ids of texts take every width a pickled integer has; those of `valid` are strings.
TEXTS = (
    text(7, "train", [1001, 1002], "高级感:a 托特包:n 斜挎:v"),
    text(300, "train", [1001], "红色:a 圆形:n 图案:n 的:ude \":wyz 方巾:n \":wyy ,:wd 百搭:v"),
    text(70000, "train", [1002], "“:wyz 夏季:t ”:wyy 新款:a T恤:n iPhone:nx 17:m Pro:nx 手机壳:n"),
    text(248816, "train", [1003], "儿童:n 绘本:n 😀:x 适合:v 3-6:m 岁:q"),
    text(3000000000, "train", [1003], "碳纤维:n"),
    text(6, "train", [1004], LONG + " 高:a 两:m 米:q 多:m 一点:m"),
    text("v-7", "valid", [1005], "湖边:s 两:m 个:q 人:n 在:p 钓鱼:vi"),
    text("v-8", "valid", [1005], "一只:m 白色:a 的:ude 狗:n"),
    text(9, "test", [1006], "比分:n ：:wm 3:2:m ，:wd 上午:t 10:30:t 开赛:vi 。:wj"),
)

KINDS = (
    (1001, "train", "包", "jpg", (48, 32)),
    (1002, "train", "包", "png", (32, 24)),
    (1003, "train", "书", "webp", (40, 40)),
    (1004, "train", "墙", "jpg", (24, 16)),
    (1005, "valid", "湖", "jpg", (32, 48)),
    (1006, "test", "赛", "png", (36, 24)),
)


def drawn(number, size):
    """Two shapes on a gradient, every picture in its own colours."""
    rng = np.random.default_rng(number)
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    gradient = np.stack([255 * x / width, 255 * y / height, 255 * (1 - x / width)], axis=-1)
    image = Image.fromarray(gradient.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    first, second = (tuple(int(value) for value in rng.integers(0, 256, 3)) for _ in range(2))
    draw.ellipse((width * 0.1, height * 0.2, width * 0.5, height * 0.8), fill=first)
    draw.rectangle((width * 0.6, height * 0.3, width * 0.9, height * 0.9), fill=second)
    return image


def encoded(image, ending):
    file = io.BytesIO()
    options = {"jpg": {"quality": 80}, "png": {"optimize": True}, "webp": {"lossless": True}}[ending]
    image.save(file, {"jpg": "JPEG"}.get(ending, ending.upper()), **options)
    return file.getvalue()


def pictures(ending=None):
    """The six pictures, all of one kind if `ending` says so."""
    return [
        Picture(number, split, family, ending or own, size, encoded(drawn(number, size), ending or own))
        for number, split, family, own, size in KINDS
    ]


def of(rows, split):
    return [row for row in rows if row.split == split]


def of_split(rows, split):
    return [row for row in rows if row["split"] == split]


def pairs(split):
    """(text, image id) in the order of the texts"""
    return [(text, image) for text in of(TEXTS, split) for image in text.images]


def image_row(picture, name=None):
    """A picture as expected.json lists it; `name` is what the source calls it."""
    digest = hashlib.sha256(picture.bytes).hexdigest()
    width, height = picture.size
    return {"id": str(name or picture.id), "split": picture.split, "sha256": digest, "width": width, "height": height}


def text_row(name, text, split, images):
    name = None if name is None else str(name)
    return {"id": name, "text": text, "split": split, "images": [str(image) for image in images]}


def whole(pictures):
    """Images and texts as the sources with ids of their own give them."""
    return [image_row(picture) for picture in pictures], [text_row(t.id, t.text, t.split, t.images) for t in TEXTS]


def paired(images):
    """One row of text for each image that it belongs to, without an id."""
    names = {picture.id: name for picture, name in images}
    return [text_row(None, text.text, split, [names[image]]) for split in SPLITS for text, image in pairs(split)]
