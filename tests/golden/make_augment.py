"""Small pictures, and what Pillow and torchvision (PIL backend) make of them with each image operation."""
import json
from pathlib import Path

import numpy as np
from cn_clip.clip import image_transform
from PIL import Image, ImageDraw
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

OUT = Path(__file__).parent / "augment"
FILTERS = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}
CROP = {"x": 7, "y": 5, "width": 31, "height": 27, "size": 32}


def picture(width, height, rng, noise=20):
    """A gradient with shapes on it and noise over it."""
    y, x = np.mgrid[0:height, 0:width]
    gradient = np.stack([255 * x / width, 255 * y / height, 255 * (1 - x / width)], axis=-1)
    image = Image.fromarray(gradient.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.ellipse((width * 0.15, height * 0.2, width * 0.5, height * 0.75), fill=(230, 40, 30), outline=(0, 0, 0))
    draw.rectangle((width * 0.55, height * 0.4, width * 0.9, height * 0.9), fill=(250, 220, 60))
    draw.line((0, height - 1, width - 1, 0), fill=(20, 120, 40), width=2)
    draw.rectangle((0, 0, width * 0.2, height * 0.15), fill=(255, 255, 255))
    offsets = rng.integers(-noise, noise + 1, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(image).astype(int) + offsets, 0, 255).astype(np.uint8))


def sources(rng):
    square = picture(40, 40, rng)
    alpha = Image.fromarray(rng.integers(0, 256, (40, 40), dtype=np.uint8))
    ImageDraw.Draw(alpha).rectangle((0, 0, 15, 39), fill=0)
    ImageDraw.Draw(alpha).rectangle((24, 0, 39, 19), fill=255)
    rgba = square.copy()
    rgba.putalpha(alpha)
    gray_alpha = square.convert("L")
    gray_alpha.putalpha(alpha)
    return {
        "rgb.png": picture(60, 45, rng),
        "rgba.png": rgba,
        "palette.png": square.quantize(16),
        "gray.png": square.convert("L"),
        "gray_alpha.png": gray_alpha,
    }


def apply(image, op, params):
    if op == "squash":
        resize, to_rgb = image_transform(params["size"]).transforms[:2]
        return to_rgb(resize(image))
    if op == "crop_resize":
        p = params
        return F.resized_crop(image, p["y"], p["x"], p["height"], p["width"], [p["size"]] * 2, FILTERS[p["filter"]])
    if op == "flip":
        return F.hflip(image)
    if op == "brightness":
        return F.adjust_brightness(image, params["factor"])
    if op == "contrast":
        return F.adjust_contrast(image, params["factor"])
    if op == "saturation":
        return F.adjust_saturation(image, params["factor"])
    if op == "hue":
        return F.adjust_hue(image, params["shift"])
    assert op == "sequence", op
    for step in params["steps"]:
        image = apply(image, step["op"], step["params"])
    return image


def cases():
    """(source, operation, parameters, name of the expected picture)"""
    yield "rgb.png", "squash", {"size": 32}, "squash_32"
    yield "rgb.png", "squash", {"size": 16}, "squash_16"
    yield "rgb.png", "squash", {"size": 72}, "squash_72"
    for source in ("rgba", "palette", "gray", "gray_alpha"):
        yield f"{source}.png", "squash", {"size": 32}, f"{source}_squash_32"
    # Pillow leaves a picture that already has the size alone, so transparent pixels keep their colour here.
    yield "rgba.png", "squash", {"size": 40}, "rgba_squash_40"
    for name in FILTERS:
        yield "rgb.png", "crop_resize", {**CROP, "filter": name}, f"crop_{name}"
    yield "rgb.png", "crop_resize", {**CROP, "size": 12, "filter": "bicubic"}, "crop_bicubic_12"
    yield "rgb.png", "flip", {}, "flip"
    for factor in (1.17, 0.7):
        yield "rgb.png", "brightness", {"factor": factor}, f"brightness_{factor}"
    for factor in (0.83, 1.4):
        yield "rgb.png", "contrast", {"factor": factor}, f"contrast_{factor}"
    for factor in (1.2, 0.4):
        yield "rgb.png", "saturation", {"factor": factor}, f"saturation_{factor}"
    for shift in (0.1, -0.05):
        yield "rgb.png", "hue", {"shift": shift}, f"hue_{shift}"
    steps = [
        ("crop_resize", {**CROP, "filter": "bicubic"}), ("flip", {}), ("brightness", {"factor": 1.17}),
        ("contrast", {"factor": 0.83}), ("saturation", {"factor": 1.2}), ("hue", {"shift": 0.1}),
    ]
    yield "rgb.png", "sequence", {"steps": [{"op": op, "params": params} for op, params in steps]}, "sequence"


def main():
    OUT.mkdir(exist_ok=True)
    for name, image in sources(np.random.default_rng(20240607)).items():
        image.save(OUT / name)
    listed = []
    for source, op, params, name in cases():
        result = apply(Image.open(OUT / source), op, params)
        assert result.mode == "RGB"
        expected = f"{name}.png"
        result.save(OUT / expected)
        listed.append({"source": source, "op": op, "params": params, "expected": expected})
    lines = ",\n".join("  " + json.dumps(case) for case in listed)
    (OUT / "cases.json").write_text(f"[\n{lines}\n]\n")
    print(f"{len(listed)} cases")


if __name__ == "__main__":
    main()
