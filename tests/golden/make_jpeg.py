"""Small JPEG files of every kind, and the pixels that Pillow reads from them. Needs libjpeg-turbo's `cjpeg`."""
import io
import json
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

OUT = Path(__file__).parent / "jpeg"
SOF = (0xC0, 0xC1, 0xC2)
APP0, APP14, DHT, DQT, SOS = 0xE0, 0xEE, 0xC4, 0xDB, 0xDA

# Scan scripts of cjpeg: components, first and last coefficient, high and low bit.
APART = "0;\n1;\n2;\n"
DC_ONLY = "0 1 2: 0-0, 0, 0;\n"
UNFINISHED = "0 1 2: 0-0, 0, 1;\n0: 1-5, 0, 2;\n2: 1-63, 0, 1;\n"


def picture(width, height, rng, noise=15):
    """A gradient with shapes on it and noise over it."""
    y, x = np.mgrid[0:height, 0:width]
    gradient = np.stack([255 * x / width, 255 * y / height, 255 * (1 - x / width)], axis=-1)
    image = Image.fromarray(gradient.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.ellipse((width * 0.15, height * 0.2, width * 0.5, height * 0.75), fill=(230, 40, 30), outline=(0, 0, 0))
    draw.rectangle((width * 0.55, height * 0.4, width * 0.9, height * 0.9), fill=(250, 220, 60))
    offsets = rng.integers(-noise, noise + 1, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(image).astype(int) + offsets, 0, 255).astype(np.uint8))


def pillow(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def cjpeg(image, *options, scans=None):
    source = io.BytesIO()
    image.save(source, "PPM")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as script:
        if scans:
            script.write(scans)
            script.flush()
            options += ("-scans", script.name)
        return subprocess.run(["cjpeg", *options], input=source.getvalue(), capture_output=True, check=True).stdout


def segments(data):
    """(marker, whole segment) up to the first scan, whose segment is the rest of the file"""
    at = 2
    while data[at + 1] != SOS:
        length = 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
        yield data[at + 1], data[at : at + length]
        at += length
    yield SOS, data[at:]


def edited(data, change):
    """The file with every segment as `change(marker, segment)` returns it."""
    return data[:2] + b"".join(change(marker, segment) for marker, segment in segments(data))


def without(data, *markers):
    return edited(data, lambda marker, segment: b"" if marker in markers else segment)


def with_adobe(data, transform):
    data = without(data, APP0, APP14)
    return data[:2] + b"\xff\xee\x00\x0eAdobe\x00\x64\0\0\0\0" + bytes([transform]) + data[2:]


def with_coarse_steps(data):
    """Quantisation steps of 255, which drive the transform far out of range."""
    return edited(data, lambda marker, segment: segment[:5] + b"\xff" * 64 if marker == DQT else segment)


def with_large_first_step(data):
    """A step of 255 for the mean of a block, which leaves 16 bits; all other coefficients stay."""
    return edited(data, lambda marker, segment: segment[:5] + b"\xff" + segment[6:] if marker == DQT else segment)


def with_ids(data, ids):
    """The file with other component ids."""
    def change(marker, segment):
        segment = bytearray(segment)
        first, step = (10, 3) if marker in SOF else (5, 2)
        if marker in SOF or marker == SOS:
            segment[first : first + step * len(ids) : step] = ids
        return bytes(segment)
    return edited(data, change)


def cases(rng):
    """(name, file, note) of what decodes"""
    small, odd, thin = picture(32, 32, rng), picture(29, 21, rng), picture(4, 33, rng)
    for name, image in (("aligned", small), ("odd", odd), ("thin", thin)):
        for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
            data = pillow(image, quality=85, subsampling=subsampling)
            yield f"{name}_{subsampling.replace(':', '')}", data, f"baseline {subsampling}, {image.width} x {image.height}"
    yield "one_pixel", pillow(odd.crop((5, 5, 6, 6)), quality=90), "smaller than any block"
    yield "odd_440", cjpeg(odd, "-sample", "1x2"), "chroma halved downwards only"
    yield "odd_411", cjpeg(odd, "-sample", "4x1"), "chroma repeated four times across"
    yield "odd_410", cjpeg(odd, "-sample", "4x2"), "chroma repeated four times across, twice down"
    yield "odd_large_chroma", cjpeg(odd, "-sample", "1x1,2x2,1x2"), "chroma larger than luma"
    yield "odd_apart", cjpeg(odd, "-sample", "2x2", scans=APART), "a sequential scan for each component"
    yield "restart", pillow(odd, quality=80, restart_marker_blocks=2), "a restart marker every two MCUs"
    yield "optimized", pillow(odd, quality=98, optimize=True), "Huffman tables of its own"
    yield "coarse", with_coarse_steps(pillow(odd, quality=95)), "sums that saturate or wrap at 16 bits"
    yield "wrapped", with_large_first_step(pillow(Image.new("RGB", (32, 24), (250, 3, 128)), quality=95)), "constant columns that wrap at 16 bits"
    yield "gray", pillow(odd.convert("L"), quality=85), "one component"
    yield "gray_sampled", cjpeg(odd.convert("L"), "-gray", "-sample", "2x2"), "one component with factors above 1"
    yield "progressive", pillow(odd, quality=85, progressive=True), "all refinement scans"
    yield "progressive_restart", pillow(odd, quality=85, progressive=True, restart_marker_blocks=3), "and restart markers"
    yield "progressive_gray", pillow(odd.convert("L"), quality=60, progressive=True), "one component"
    yield "unfinished_dc", cjpeg(odd, "-sample", "2x2", scans=DC_ONLY), "no AC scan: smoothed from DC alone"
    yield "unfinished", cjpeg(odd, "-sample", "2x1", scans=UNFINISHED), "some AC scans: smoothed beside them"
    yield "rgb", pillow(odd, quality=85, keep_rgb=True), "Adobe marker, no colour transform"
    yield "rgb_ids", with_ids(without(pillow(odd, quality=85), APP0), b"RGB"), "taken for RGB by its component ids"
    yield "adobe_ycc", with_adobe(pillow(odd, quality=85), 1), "Adobe marker, YCC"
    yield "cmyk", pillow(odd.convert("CMYK"), quality=85), "four components, Adobe marker"
    yield "cmyk_unmarked", without(pillow(odd.convert("CMYK"), quality=85), APP14), "four components, no marker"
    yield "ycck", with_adobe(pillow(odd.convert("CMYK"), quality=85), 2), "four components, YCCK"
    plain = pillow(odd, quality=85)
    yield "no_tables", without(plain, DHT), "Huffman tables left out, as in Motion JPEG"
    yield "stray_bytes", plain[:2] + b"\xff\xff\xff\xed\0\4ab\1\2\3" + plain[2:], "fill bytes, an APP13 and garbage"
    yield "trailing", plain + plain, "a second picture behind the first"


def failures(rng):
    """(name, file, what the error says)"""
    image = picture(29, 21, rng)
    plain, progressive = pillow(image, quality=85), pillow(image, quality=85, progressive=True)
    yield "cut", plain[: len(plain) * 2 // 3], "truncated"
    yield "cut_progressive", progressive[: len(progressive) * 2 // 3], "truncated"
    yield "no_end", plain[:-2], "truncated"
    yield "short_scan", plain[: len(plain) * 2 // 3] + plain[-2:], "corrupt"
    yield "no_quantizer", without(plain, DQT), "quantization table 0"
    yield "arithmetic", cjpeg(image, "-arithmetic"), "arithmetic coding"
    yield "huge", edited(plain, lambda m, s: s[:5] + b"\xf0\0\xf0\0" + s[9:] if m in SOF else s), "truncated"
    yield "two_components", edited(plain, lambda m, s: s[:9] + b"\2" + s[10:] if m in SOF else s), "components"
    yield "not_jpeg", b"\x89PNG\r\n\x1a\n", "not a jpeg"


def write_expected(name, data):
    """Lossless; PNG has no CMYK, so that is left as bytes."""
    image = Image.open(io.BytesIO(data))
    image.load()
    if image.mode == "CMYK":
        (OUT / f"{name}.bin").write_bytes(np.asarray(image).tobytes())
        return f"{name}.bin"
    image.save(OUT / f"{name}.png", optimize=True)
    return f"{name}.png"


def main():
    OUT.mkdir(exist_ok=True)
    rng = np.random.default_rng(20240611)
    listed = []
    for name, data, note in cases(rng):
        (OUT / f"{name}.jpg").write_bytes(data)
        listed.append({"file": f"{name}.jpg", "expected": write_expected(name, data), "note": note})
    for name, data, error in failures(rng):
        (OUT / f"{name}.jpg").write_bytes(data)
        listed.append({"file": f"{name}.jpg", "error": error})
    lines = ",\n".join("  " + json.dumps(case) for case in listed)
    (OUT / "cases.json").write_text(f"[\n{lines}\n]\n")
    print(f"{len(listed)} cases")


if __name__ == "__main__":
    main()
