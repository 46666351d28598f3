"""Makes JPEG photos of 500x375 pixels, quality 85 to 95, 4:2:0: `corpus.py OUT [COUNT]`.

They are cut from the sample photos that scikit-image and scikit-learn come with, and get the grain of a camera, so that a
file has about as many bytes as a photo of that size on the web: 61 KB on average. The same versions of the packages give
the same files.
"""
import importlib.util
import random
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

WIDTH, HEIGHT = 500, 375
PHOTOS = {
    "skimage": ["astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "motorcycle_right.png", "rocket.jpg"],
    "sklearn": ["china.jpg", "flower.jpg"],
}


def photos():
    for package, names in PHOTOS.items():
        root = Path(importlib.util.find_spec(package).origin).parent
        for name in names:
            photo = Image.open(next(root.rglob(name))).convert("RGB")
            scale = max(1.0, 1.1 * WIDTH / photo.width, 1.1 * HEIGHT / photo.height)
            yield photo.resize((round(scale * photo.width), round(scale * photo.height)), Image.Resampling.LANCZOS)


def main(out, count=128):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    draw, grain = random.Random(7), np.random.default_rng(7)
    sources = list(photos())
    total = 0
    for number in range(count):
        photo = sources[number % len(sources)]
        left, top = draw.randint(0, photo.width - WIDTH), draw.randint(0, photo.height - HEIGHT)
        cut = photo.crop((left, top, left + WIDTH, top + HEIGHT))
        cut = cut.filter(ImageFilter.UnsharpMask(radius=0.8, percent=60, threshold=1))
        noise = grain.normal(0, 2.0, (HEIGHT, WIDTH, 1)) + grain.normal(0, 0.7, (HEIGHT, WIDTH, 3))
        cut = Image.fromarray(np.clip(np.asarray(cut) + noise + 0.5, 0, 255).astype(np.uint8))
        if draw.random() < 0.5:
            cut = ImageOps.mirror(cut)
        file = out / f"{number:04}.jpg"
        cut.save(file, quality=draw.randint(85, 95), subsampling="4:2:0")
        total += file.stat().st_size
    print(f"{count} files, {total / count / 1024:.1f} KiB on average")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
