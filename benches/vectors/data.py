"""Made vectors of two modalities: `data.py FOLDER ROWS [QUERIES]` writes base.f32, same.f32, cross.f32 and pairs.i32.

Images lie in clusters of clusters around a mean of their own, with a latent space of 96 dimensions inside 512; a text is a blurred
image around another mean, as the two towers of CLIP leave a gap between their sides. `same` are images that are not in the base,
`cross` are texts of images that are (their rows in `pairs`). Unit vectors, little-endian f32, the same bytes for the same arguments.
"""
import sys
from pathlib import Path

import numpy as np

DIMENSION, LATENT, SUPER = 512, 96, 120
BLOCK = 50_000


def unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype("<f4")


def main(folder, rows, queries):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    clusters = max(3000, rows // 100)
    spectrum = (np.arange(1, LATENT + 1) ** -0.35).astype("f4")
    spectrum /= np.sqrt((spectrum**2).sum())
    draw = lambda n: rng.standard_normal((n, LATENT), dtype="f4") * spectrum
    supers = draw(SUPER)
    centres = 0.8 * supers[rng.integers(0, SUPER, clusters)] + 0.6 * draw(clusters)
    weight = 1 / np.arange(1, clusters + 1) ** 0.7
    weight /= weight.sum()
    basis = np.linalg.qr(rng.standard_normal((DIMENSION, LATENT)))[0].T.astype("f4")
    means = unit(rng.standard_normal((2, DIMENSION)))

    def seen(latent, side):
        noise = rng.standard_normal((len(latent), DIMENSION), dtype="f4") * np.float32(0.35 / np.sqrt(DIMENSION))
        return unit(latent @ basis + noise + np.float32(0.8) * means[side])

    def image_latents(n):
        return centres[rng.choice(clusters, size=n, p=weight)] + 0.75 * draw(n)

    chosen = np.sort(rng.choice(rows, queries, replace=False))
    kept = []
    with open(folder / "base.f32", "wb") as file:
        for first in range(0, rows, BLOCK):
            latent = image_latents(min(BLOCK, rows - first))
            kept.append(latent[chosen[(chosen >= first) & (chosen < first + BLOCK)] - first])
            file.write(seen(latent, 0).tobytes())
    seen(image_latents(queries), 0).tofile(folder / "same.f32")
    seen(0.8 * np.concatenate(kept) + 0.55 * draw(queries), 1).tofile(folder / "cross.f32")
    chosen.astype("<i4").tofile(folder / "pairs.i32")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 5000)
