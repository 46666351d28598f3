"""Small files of every kind, and what the reference's evaluation transform makes of them.

`make_preprocess.py` writes them; `make_preprocess.py --check` only lists the cases that this Pillow answers otherwise.
"""
import io
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import PIL
from cn_clip.clip import image_transform
from make_augment import picture
from PIL import Image, ImageDraw

OUT = Path(__file__).parent / "preprocess"
SIZE, WIDTH, HEIGHT = 32, 45, 37
GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
# First column, first row, step across, step down of the passes of an interlaced PNG.
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def scanlines(samples, depth):
    """Rows of [height, width, channels] samples, packed from the highest bit, each behind filter 0."""
    rows = samples.reshape(samples.shape[0], -1, 1) >> np.arange(depth - 1, -1, -1) & 1
    return b"".join(b"\0" + np.packbits(row).tobytes() for row in rows)


def png(samples, depth, color, *chunks, interlaced=False):
    """A PNG of any colour type and depth, which Pillow cannot write; `chunks` come before the pixels."""
    samples = np.atleast_3d(samples).astype(int)
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    passes = [samples[y::down, x::across] for x, y, across, down in ADAM7] if interlaced else [samples]
    pixels = zlib.compress(b"".join(scanlines(part, depth) for part in passes), 9)
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + body


def indexed(image, colors):
    """Indices of a picture quantised to `colors`, its PLTE chunk, and the commonest index."""
    quantized = image.quantize(colors, dither=Image.Dither.NONE)
    indices = np.asarray(quantized)
    palette = bytes(quantized.getpalette()[: 3 * colors])
    return indices, (b"PLTE", palette), int(np.bincount(indices.ravel()).argmax())


def save(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def blocks(channels, rng):
    """Flat 8 x 8 blocks: at quality 100 a JPEG holds them exactly, so every decoder finds the same samples."""
    values = rng.integers(20, 236, (5, 6, channels))
    return values.repeat(8, 0).repeat(8, 1).astype(np.uint8).squeeze()


def ycc_blocks(rng):
    """Flat YCbCr blocks that are whole numbers in RGB too, to 0.2, so that no rounding of a decoder shows."""
    found = []
    while len(found) < 30:
        y, cb, cr = rng.integers([40, 60, 60], [216, 196, 196])
        rgb = y + np.array([1.402 * (cr - 128), -0.344136 * (cb - 128) - 0.714136 * (cr - 128), 1.772 * (cb - 128)])
        if np.all(np.abs(rgb - rgb.round()) < 0.2) and np.all((rgb > 0) & (rgb < 255)):
            found.append((y, cb, cr))
    return np.array(found).reshape(5, 6, 3).repeat(8, 0).repeat(8, 1).astype(np.uint8)


def jpeg(samples, mode, **options):
    return save(Image.fromarray(samples, mode), "JPEG", **{"quality": 100, "subsampling": 0, **options})


def enlarge_screen(gif):
    """The same frame at (5, 3) of a larger screen, whose background is colour 2."""
    descriptor = gif.index(b"," + bytes(4) + gif[6:10])
    width, height = struct.unpack("<HH", gif[6:10])
    screen = struct.pack("<HH", width + 12, height + 9)
    return gif[:6] + screen + gif[10:11] + b"\2" + gif[12:descriptor + 1] + struct.pack("<HH", 5, 3) + gif[descriptor + 5:]


def png_sources(rng, image, alpha):
    """(name, bytes, note)"""
    rgb, gray = np.asarray(image), np.asarray(image.convert("L"))
    wide = rgb.astype(int) * 256 + rng.integers(0, 256, rgb.shape)
    wide_gray, wide_alpha = wide[:, :, 1], np.asarray(alpha).astype(int) * 256 + 255
    for depth in (8, 4, 2, 1):
        indices, palette, _ = indexed(image, min(2 ** depth, 64))
        yield f"palette{depth}.png", png(indices, depth, PALETTE, palette), "nearest neighbour on the indices"
    indices, palette, common = indexed(image, 16)
    ramp = bytes(range(0, 256, 17))
    yield ("palette_alpha.png", png(indices, 4, PALETTE, palette, (b"tRNS", ramp)),
           "an alpha for each colour; stays a palette, alpha is dropped")
    yield ("palette_transparent.png", png(indices, 8, PALETTE, palette, (b"tRNS", b"\xff" * common + b"\0")),
           "one transparent colour; stays a palette, its colour shows")
    yield "bilevel.png", png(gray > 128, 1, GRAY), "nearest neighbour, not bicubic"
    yield "gray2.png", png(gray >> 6, 2, GRAY), "samples times 85"
    yield "gray4.png", png(gray >> 4, 4, GRAY), "samples times 17"
    yield "gray_transparent.png", png(gray, 8, GRAY, (b"tRNS", struct.pack(">H", int(gray[0, 0])))), "tRNS has no effect"
    long = rng.integers(0, 4, (2, 640))
    yield ("palette_640.png", png(long, 2, PALETTE, (b"PLTE", bytes(range(0, 240, 20)))),
           "to 224 nearest neighbour sums its step up in f64; the sum falls short of 20 whole columns")
    tall = np.asarray(image.transpose(Image.Transpose.ROTATE_90))
    yield "portrait.png", png(tall, 8, RGB), "down first, as more than twice as many rows as columns go; before Pillow 13 across first"
    # Most of a 16-bit picture is brighter than 255 and so white; dark parts show how rounding and clipping go.
    dark = np.where(wide_gray > 40000, wide_gray, wide_gray // 200)
    yield ("gray16.png", png(dark, 16, GRAY),
           "mode I;16: clipped to 0..65535 after each pass, to 0..255 at the end, not divided by 256; Pillow 9: mode I, clipped at the end only")
    yield "gray16_same_size.png", png(dark[:SIZE, :SIZE], 16, GRAY), "mode I;16, in Pillow 9 I; clipped to 0..255 without a resize"
    yield "gray_alpha16.png", png(np.dstack([wide_gray, wide_alpha]), 16, GRAY_ALPHA), "high bytes, as RGBA"
    yield "rgb16.png", png(wide, 16, RGB), "high bytes"
    yield "rgba16.png", png(np.dstack([wide, wide_alpha]), 16, RGBA), "high bytes, premultiplied for the resize"
    key = struct.pack(">HHH", *(int(v) for v in rgb[0, 0]))
    yield "rgb_transparent.png", png(rgb, 8, RGB, (b"tRNS", key)), "tRNS has no effect"
    yield "interlaced.png", png(rgb, 8, RGB, interlaced=True), "the same pixels as colour_profile.png"
    yield "interlaced_palette.png", png(indices, 4, PALETTE, palette, interlaced=True), "nearest neighbour"
    profile = b"any\0\0" + zlib.compress(bytes(128))
    yield ("colour_profile.png", png(rgb, 8, RGB, (b"gAMA", struct.pack(">I", 100000)), (b"iCCP", profile)),
           "gAMA and iCCP have no effect")


def jpeg_sources(rng, image):
    cmyk = jpeg(blocks(4, rng), "CMYK")
    marker = cmyk.index(b"\xff\xee\0\x0eAdobe")
    yield "cmyk.jpg", cmyk, "Adobe marker, transform 0; samples are stored inverted"
    yield "cmyk_unmarked.jpg", cmyk[:marker] + cmyk[marker + 16:], "no Adobe marker; read as inverted all the same"
    ycck = jpeg(255 - np.dstack([ycc_blocks(rng), blocks(1, rng)]), "CMYK")
    yield "ycck.jpg", ycck[:marker + 15] + b"\2" + ycck[marker + 16:], "Adobe marker, transform 2"
    yield "gray.jpg", jpeg(blocks(1, rng), "L"), "one component"
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "rotated.jpg", jpeg(ycc_blocks(rng), "YCbCr", exif=exif), "EXIF orientation 6 has no effect"
    yield ("photo.jpg", save(image, "JPEG", quality=80),
           "4:2:0 with real frequencies: libjpeg-turbo's transform and smooth upsampling; other decoders may differ by a few steps")


def other_sources(image, alpha):
    quantized = image.quantize(16, dither=Image.Dither.NONE)
    common = int(np.bincount(np.asarray(quantized).ravel()).argmax())
    inverted = quantized.copy()
    inverted.putpalette([255 - v for v in quantized.getpalette()])
    plain = save(quantized, "GIF", optimize=False)
    transparent = save(quantized, "GIF", optimize=False, transparency=common)
    yield "palette.gif", plain, "interlaced, as Pillow writes it; nearest neighbour"
    yield "animation.gif", save(quantized, "GIF", save_all=True, append_images=[inverted, quantized]), "the first frame"
    yield "transparent.gif", transparent, "the transparent colour shows"
    yield "gray.gif", save(image.convert("L"), "GIF", optimize=False), "a palette of 256 greys in order is mode L: bicubic"
    yield "offset.gif", enlarge_screen(plain), "the frame is smaller than the screen: colour 0 around it, not the background"
    yield "offset_transparent.gif", enlarge_screen(transparent), "the transparent colour around the frame"
    yield "rgb.bmp", save(image, "BMP"), "24 bits"
    yield "palette.bmp", save(quantized, "BMP"), "8 bits; nearest neighbour"
    yield "gray.bmp", save(image.convert("L"), "BMP"), "a palette of 256 greys in order is mode L: bicubic"
    rgba = image.copy()
    rgba.putalpha(alpha)
    yield "rgba.webp", save(rgba, "WEBP", lossless=True), "lossless"


def sources():
    rng = np.random.default_rng(20240608)
    image = picture(WIDTH, HEIGHT, rng, noise=2)
    alpha = Image.linear_gradient("L").resize((WIDTH, HEIGHT))
    ImageDraw.Draw(alpha).rectangle((0, 0, 12, HEIGHT), fill=0)
    yield from png_sources(rng, image, alpha)
    yield from jpeg_sources(rng, image)
    yield from other_sources(image, alpha)


def transform(path, size):
    """The picture's mode, and the picture as the model sees it before it becomes numbers."""
    resize, to_rgb = image_transform(size).transforms[:2]
    image = Image.open(path)
    return image.mode, to_rgb(resize(image))


def check():
    for case in json.loads((OUT / "cases.json").read_text()):
        mode, found = transform(OUT / case["source"], case["size"])
        difference = np.abs(np.asarray(found, int) - np.asarray(Image.open(OUT / case["expected"]), int))
        if mode != case["mode"] or difference.any():
            print(f"{case['source']}: {case['mode']} -> {mode}, {(difference > 0).sum()} values differ by up to {difference.max()}")
    print(f"checked with Pillow {PIL.__version__}")


def main():
    OUT.mkdir(exist_ok=True)
    cases = []
    for name, data, note in sources():
        (OUT / name).write_bytes(data)
        size = 224 if name == "palette_640.png" else SIZE
        mode, result = transform(OUT / name, size)
        expected = f"{name.replace('.', '_')}_{size}.png"
        result.info.clear()  # or a colour profile and tRNS would be written along
        result.save(OUT / expected, optimize=True)
        cases.append({"source": name, "mode": mode, "size": size, "expected": expected, "note": note})
    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    (OUT / "cases.json").write_text(f"[\n{lines}\n]\n")
    print(f"{len(cases)} cases")


if __name__ == "__main__":
    check() if "--check" in sys.argv else main()
