"""Writes a data set of MUGE's kind and any size: `make_tsv.py OUT --images N`. Prints one line of JSON.

OUT/train_imgs.tsv has N pictures of 224 x 224, JPEG of about 10 to 20 KB, OUT/train_texts.jsonl 1.92 texts for each picture, of which a
few have two pictures. A few hundred pictures are drawn (noise with the spectrum of photographs, edges, grain of a sensor); each row is one
of them with a comment of its own, so that no two files are equal.
"""
import argparse
import base64
import io
import json
import struct
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 224
SMALLEST, LARGEST = 10 << 10, 20 << 10
TEXTS_PER_IMAGE = 1.92
TWO_IMAGES = 0.008
# With SOI and the segment's head 24 bytes, so that the base64 of what follows is the same in every row.
COMMENT_BYTES = 18
WORDS = (
    "新款", "夏季", "冬季", "复古", "高级感", "ins风", "宽松", "显瘦", "儿童", "男士", "女士", "红色", "黑色", "米白", "碎花", "纯棉", "真皮", "北欧", "轻奢", "韩版",
    "连衣裙", "托特包", "斜挎", "运动鞋", "手机壳", "餐桌", "台灯", "绘本", "毛衣", "T恤", "耳机", "保温杯", "项链", "地毯", "窗帘", "帽子", "围巾", "行李箱", "钢笔", "面膜",
)


def noise(rng, exponent):
    """[SIDE, SIDE] with mean 0 and deviation 1; the amplitude falls with that power of the frequency"""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE), indexing="ij"))
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(rng.standard_normal((SIDE, SIDE))) / frequency**exponent
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, (SIDE, SIDE))
    return field / field.std()


def picture(rng):
    light = noise(rng, rng.uniform(1.0, 1.5)) * rng.uniform(30, 55)
    colours = [noise(rng, 1.6) * rng.uniform(5, 20) for _ in range(3)]
    pixels = np.stack([rng.uniform(70, 190) + light + colour for colour in colours], axis=-1)
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(2, 9)):
        x, y = rng.integers(-20, SIDE - 20, 2)
        width, height = rng.integers(20, 120, 2)
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((int(x), int(y), int(x + width), int(y + height)), fill=tuple(int(value) for value in rng.integers(0, 256, 3)))
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(0.6))).astype(float)
    grain = rng.normal(0, rng.uniform(1, 4), (SIDE, SIDE, 1)) + rng.normal(0, 1, (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))


def jpeg(rng):
    """A file of the size that is wanted."""
    image, quality = picture(rng), int(rng.integers(75, 93))
    while True:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality, subsampling=2)
        data = file.getvalue()
        if len(data) < SMALLEST and quality < 98:
            quality += 2
        elif len(data) > LARGEST and quality > 30:
            quality -= 3
        else:
            return data


def write_images(path, ids, pool):
    tails = [base64.b64encode(data[2:]) for data in pool]
    total = 0
    with open(path, "wb", buffering=1 << 20) as file:
        for row, name in enumerate(ids):
            comment = str(name).encode().ljust(COMMENT_BYTES)
            head = base64.b64encode(b"\xff\xd8\xff\xfe" + struct.pack(">H", 2 + COMMENT_BYTES) + comment)
            total += file.write(b"%d\t%b%b\n" % (name, head, tails[row % len(tails)]))
    return total


def write_texts(path, ids, rng):
    count = round(len(ids) * TEXTS_PER_IMAGE)
    chosen = rng.permutation(np.resize(np.arange(len(ids)), count))
    second = np.where(rng.random(count) < TWO_IMAGES, rng.integers(0, len(ids), count), -1)
    words = rng.integers(0, len(WORDS), (count, 5))
    lengths = rng.integers(2, 6, count)
    pairs = 0
    with open(path, "w", encoding="utf-8") as file:
        for index in range(count):
            images = [ids[chosen[index]]]
            if second[index] >= 0 and second[index] != chosen[index]:
                images.append(ids[second[index]])
            pairs += len(images)
            text = "".join(WORDS[word] for word in words[index, : lengths[index]])
            file.write(json.dumps({"text_id": index, "text": text, "image_ids": images}, ensure_ascii=False) + "\n")
    return count, pairs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--images", type=int, default=20000)
    parser.add_argument("--pool", type=int, default=300, help="pictures that are drawn")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.perf_counter()
    rng = np.random.default_rng(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    pool = [jpeg(rng) for _ in range(min(options.pool, options.images))]
    drawn_s = time.perf_counter() - began
    # Not in order, as MUGE's are not.
    ids = (1000000 + 7 * rng.permutation(options.images)).tolist()
    tsv_bytes = write_images(options.out / "train_imgs.tsv", ids, pool)
    texts, pairs = write_texts(options.out / "train_texts.jsonl", ids, rng)
    mean = sum(map(len, pool)) / len(pool) + COMMENT_BYTES + 4
    print(json.dumps({
        "images": options.images, "texts": texts, "pairs": pairs, "tsv_bytes": tsv_bytes, "mean_jpeg_bytes": round(mean),
        "drawn_s": round(drawn_s, 2), "written_s": round(time.perf_counter() - began - drawn_s, 2),
    }))


if __name__ == "__main__":
    main()
