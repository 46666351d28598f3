"""Seeded renderer of the material surfaces in `surfaces/`; `make.py` calls it.

Each material is a function (texture coordinates, colours, random generator) -> albedo, height, gloss. One light, one
gradient and one tint per picture turn that into a thumbnail. The results are synthetic renderings, not photographs.
"""

import hashlib
import io

import numpy as np
from PIL import Image, ImageDraw

SIDE = 128  # pixels of a finished picture
GRID = 2 * SIDE  # pixels while rendering

# Linear-light colours shared by every material, so that a colour word looks the same across materials.
COLOURS = {
    "black": ("黑色", (0.022, 0.023, 0.026)),
    "white": ("白色", (0.80, 0.79, 0.76)),
    "grey": ("灰色", (0.27, 0.27, 0.27)),
    "dark_grey": ("深灰色", (0.085, 0.088, 0.092)),
    "red": ("红色", (0.46, 0.035, 0.03)),
    "red_brown": ("红棕色", (0.24, 0.062, 0.032)),
    "blue": ("蓝色", (0.03, 0.105, 0.40)),
    "green": ("绿色", (0.035, 0.21, 0.075)),
    "yellow": ("黄色", (0.66, 0.40, 0.04)),
    "orange": ("橙色", (0.55, 0.17, 0.03)),
    "brown": ("棕色", (0.17, 0.075, 0.032)),
    "beige": ("米色", (0.58, 0.45, 0.29)),
    "pink": ("粉色", (0.72, 0.31, 0.34)),
    "silver": ("银色", (0.52, 0.53, 0.55)),
    "gold": ("金色", (0.62, 0.40, 0.11)),
    "copper": ("铜色", (0.56, 0.20, 0.09)),
}

# material slug -> (Chinese noun, colours); 73 families in all.
FAMILIES = {
    "carbon_fibre": ("碳纤维材料", ["black", "blue", "red", "silver"]),
    "glass_fibre_mat": ("玻璃纤维毡", ["white", "green", "yellow"]),
    "unidirectional_prepreg": ("单向带预浸料", ["black", "grey", "yellow"]),
    "brushed_aluminium": ("拉丝铝合金", ["silver", "black", "gold", "blue", "red"]),
    "sandblasted_aluminium": ("喷砂铝合金", ["silver", "dark_grey", "gold"]),
    "hammered_metal": ("锤纹金属", ["copper", "gold", "silver", "black"]),
    "rusted_steel": ("锈蚀钢板", ["brown", "orange", "grey"]),
    "wood": ("木材", ["brown", "beige", "red_brown", "grey"]),
    "concrete": ("混凝土", ["grey", "white", "dark_grey", "beige"]),
    "terrazzo": ("水磨石", ["white", "black", "green", "pink"]),
    "marble": ("大理石", ["white", "black", "green", "beige", "grey"]),
    "leather": ("皮革", ["black", "brown", "red", "white", "blue"]),
    "brick": ("砖墙", ["red", "grey", "white", "yellow"]),
    "denim": ("牛仔布", ["blue", "black", "grey"]),
    "knit": ("针织物", ["red", "white", "green", "grey"]),
    "honeycomb_core": ("蜂窝芯材", ["silver", "yellow", "black"]),
    "rubber": ("橡胶垫", ["black", "blue", "red", "green"]),
    "cork": ("软木板", ["brown", "beige"]),
    "glazed_tile": ("釉面瓷砖", ["white", "blue", "green", "pink"]),
    "tread_plate": ("花纹钢板", ["silver", "dark_grey"]),
}

# How the second picture of a family differs; the words say what was rendered.
VIEWS = ["侧光下的", "近看的", "斜放的", ""]


def generator(name):
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))


# ---------------------------------------------------------------- noise


class Noise:
    """Gradient, streak and cell noise on a permuted integer lattice."""

    def __init__(self, rng):
        self.perm = rng.permutation(512)
        self.values = rng.random(512)
        angles = rng.random(512) * 2 * np.pi
        self.gx, self.gy = np.cos(angles), np.sin(angles)

    def _hash(self, i, j):
        return self.perm[(self.perm[i % 512] + j) % 512]

    def value(self, i, j, salt=0):
        return self.values[(self._hash(i, j) + salt * 37) % 512]

    def perlin(self, x, y):
        i, j = np.floor(x).astype(int), np.floor(y).astype(int)
        fx, fy = x - i, y - j
        sx, sy = (f * f * f * (f * (f * 6 - 15) + 10) for f in (fx, fy))

        def corner(di, dj):
            h = self._hash(i + di, j + dj)
            return self.gx[h] * (fx - di) + self.gy[h] * (fy - dj)

        low = corner(0, 0) * (1 - sx) + corner(1, 0) * sx
        high = corner(0, 1) * (1 - sx) + corner(1, 1) * sx
        return (low * (1 - sy) + high * sy) * 1.5

    def fbm(self, x, y, octaves=5, gain=0.5):
        total, amplitude = 0.0, 1.0
        for octave in range(octaves):
            total = total + amplitude * self.perlin(x * 2**octave + 17.3 * octave, y * 2**octave - 9.1 * octave)
            amplitude *= gain
        return total

    def cells(self, x, y, jitter=0.9):
        """Distance to the nearest and second nearest random point, and a random value of the nearest."""
        i, j = np.floor(x).astype(int), np.floor(y).astype(int)
        first = np.full(x.shape, 9.0)
        second = np.full(x.shape, 9.0)
        ident = np.zeros(x.shape)
        for di in (-1, 0, 1):
            for dj in (-1, 0, 1):
                a, b = i + di, j + dj
                px = a + 0.5 + jitter * (self.value(a, b, 1) - 0.5)
                py = b + 0.5 + jitter * (self.value(a, b, 2) - 0.5)
                d = np.hypot(px - x, py - y)
                nearer = d < first
                second = np.where(nearer, first, np.minimum(second, d))
                ident = np.where(nearer, self.value(a, b, 3), ident)
                first = np.where(nearer, d, first)
        return first, second, ident


def smooth(a, b, x):
    t = np.clip((x - a) / (b - a), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a, b, t):
    t = np.asarray(t)[..., None]
    return np.asarray(a) * (1 - t) + np.asarray(b) * t


def paint(colour, factor):
    return np.asarray(colour) * np.asarray(factor)[..., None]


def lift(colour, amount):
    """A neighbouring shade: amount > 0 towards white, < 0 towards black."""
    colour = np.asarray(colour)
    return colour + (1 - colour) * amount if amount > 0 else colour * (1 + amount)


# ---------------------------------------------------------------- materials
# Each takes u, v (about one unit per picture width), the colour, Noise n, rng and the light azimuth in texture space;
# each returns albedo [h, w, 3], height [h, w] in picture widths / 100, specular strength and gloss exponent.


def carbon_fibre(u, v, c, n, rng, az):
    x, y = u * 11, v * 11
    i, j = np.floor(x).astype(int), np.floor(y).astype(int)
    warp = (i - j) % 4 < 2
    fx, fy = x - i - 0.5, y - j - 0.5
    across = np.where(warp, fx, fy)
    step = np.where(warp, (j - i) % 4, (i - j) % 4)
    along = np.where(warp, fy + 0.5 + (step == 0), fx + 0.5 + (step == 3))
    bulge = np.sqrt(np.clip(1 - (across * 1.9) ** 2, 0, 1))
    fibre = n.perlin(np.where(warp, x * 9, y * 9) + 40 * warp, np.where(warp, y, x) * 0.6)
    facing = np.where(warp, np.abs(np.cos(az)), np.abs(np.sin(az)))
    sheen = 0.35 + 2.1 * facing**2 if max(c) < 0.1 else 0.55 + 0.75 * facing**2
    slope = 1 - 0.55 * np.abs(along - 1.0)
    albedo = paint(lift(c, 0.05), sheen * slope * (0.62 + 0.5 * bulge) * (1 + 0.35 * fibre))
    return albedo, 0.7 * bulge * slope, 0.35, 22


def glass_fibre_mat(u, v, c, n, rng, az):
    image = Image.new("L", (GRID, GRID), 70)
    draw = ImageDraw.Draw(image)
    zoom = GRID / (u.max() - u.min())
    for _ in range(int(520 * (GRID / zoom) ** 2) + 150):
        px, py, angle = rng.random() * GRID * 1.2 - 25, rng.random() * GRID * 1.2 - 25, rng.random() * np.pi
        length = zoom * rng.uniform(0.16, 0.3)
        dx, dy = np.cos(angle) * length, np.sin(angle) * length
        tone = int(np.clip(rng.normal(165, 45), 60, 255))
        draw.line([px, py, px + dx, py + dy], fill=tone, width=max(2, int(zoom * rng.uniform(0.008, 0.02))))
    tone = np.asarray(image, float) / 255
    albedo = paint(lift(c, 0.10), 0.25 + 1.05 * tone)
    return albedo, 1.1 * tone, 0.25, 30


def unidirectional_prepreg(u, v, c, n, rng, az):
    wander = 0.003 * n.perlin(u * 1.3, v * 2.0)
    w = v + wander
    fine = n.perlin(u * 2.2, w * 95) + 0.6 * n.perlin(u * 5, w * 48)
    tow = w * 5.5
    band = np.abs(tow - np.floor(tow) - 0.5) * 2
    gap = smooth(0.90, 0.97, band)
    tone = n.value(np.floor(tow).astype(int), 3, 5)
    resin = smooth(0.28, 0.55, n.fbm(u * 5, w * 16, 3))
    albedo = paint(lift(c, 0.03), (0.7 + 0.6 * tone) * (1 + 0.36 * fine) * (1 - 0.75 * gap))
    albedo = albedo + 0.03 * resin[..., None]
    return albedo, 0.22 * fine - 0.5 * gap, 0.35, 18


def brushed_aluminium(u, v, c, n, rng, az):
    streak = n.perlin(u * 1.6, v * 120) + 0.8 * n.perlin(u * 3.5 + 9, v * 64) + 0.5 * n.perlin(u * 0.8, v * 26)
    band = np.exp(-(((u - np.mean(u) + 0.15 * n.perlin(u * 0.7, v * 0.7)) * 2.3) ** 2))
    albedo = paint(lift(c, 0.04), (0.42 + 0.95 * band) * (1 + 0.26 * streak))
    albedo = albedo + 0.04 * (band * (1 + 0.5 * streak))[..., None]
    return albedo, 0.10 * streak, 0.06, 12


def sandblasted_aluminium(u, v, c, n, rng, az):
    grain = n.perlin(u * 62, v * 62) + 0.7 * n.perlin(u * 38 + 5, v * 38)
    cloud = n.fbm(u * 2, v * 2, 3)
    return paint(c, 0.85 + 0.10 * cloud + 0.26 * grain), 0.55 * grain, 0.3, 8


def hammered_metal(u, v, c, n, rng, az):
    x, y = u * 7.5, v * 7.5
    first, second, ident = n.cells(x + 0.12 * n.perlin(x, y), y, 0.75)
    dish = np.clip(first, 0, 0.8) ** 2
    rim = smooth(0.16, 0.0, second - first)
    albedo = paint(lift(c, 0.03), 0.75 + 0.35 * ident + 0.06 * n.perlin(x * 9, y * 9) - 0.12 * rim)
    return albedo, 5.5 * dish, 0.75, 16


def rusted_steel(u, v, c, n, rng, az):
    big = n.fbm(u * 2.6 + 0.5 * n.perlin(u * 3, v * 3), v * 2.6, 6, 0.58)
    fine = n.fbm(u * 16, v * 16, 4, 0.6)
    steel = np.array([0.13, 0.135, 0.145])
    grey = c[0] < 0.3 and abs(c[0] - c[2]) < 0.05
    rust = np.array([0.30, 0.10, 0.035]) if grey else np.asarray(c)
    cover = smooth(0.12, 0.42, big) if grey else smooth(-0.55, -0.15, big)
    body = mix(rust * 0.45, rust * 1.45, smooth(-0.8, 0.8, fine + 0.5 * big))
    base = paint(steel * (1.7 if grey else 1.0), 1 + 0.22 * n.perlin(u * 3, v * 55))
    albedo = mix(base, body, cover)
    pits = smooth(0.45, 0.7, n.perlin(u * 24 + 3, v * 24)) * cover
    return albedo * (1 - 0.55 * pits)[..., None], 1.1 * fine * cover - 1.2 * pits, 0.12, 8


def wood(u, v, c, n, rng, az):
    bend = 0.07 * n.perlin(u * 0.9, v * 1.3) + 0.008 * n.perlin(u * 2.5, v * 9)
    w = v + bend
    ku, kv = rng.uniform(-0.35, 0.35), rng.uniform(-0.35, 0.35)
    d2 = ((u - u.mean() - ku) / 0.20) ** 2 + ((w - v.mean() - kv) / 0.085) ** 2
    knot = rng.random() < 0.6
    w = w + (0.07 * np.exp(-d2) * np.sign(w - v.mean() - kv) if knot else 0)
    ring = w * 17 + 0.9 * n.perlin(u * 0.8, w * 5)
    saw = ring - np.floor(ring)
    late = smooth(0.35, 0.95, saw) * smooth(1.0, 0.96, saw)
    pore = smooth(0.30, 0.75, n.perlin(u * 7, w * 85))
    fibre = n.perlin(u * 3, w * 60)
    tone = 1.22 - 0.42 * late - 0.50 * pore + 0.20 * fibre + 0.22 * n.perlin(u * 0.9, w * 3)
    if knot:
        tone = tone * (1 - 0.72 * np.exp(-d2 * 2.2))
    return paint(lift(c, 0.01), np.clip(tone, 0.08, 2)), -0.22 * pore, 0.04, 14


def concrete(u, v, c, n, rng, az):
    cloud = n.fbm(u * 1.7, v * 1.7, 5, 0.55)
    sand = n.perlin(u * 44, v * 44) + 0.8 * n.perlin(u * 75, v * 75)
    first, _, ident = n.cells(u * 9, v * 9, 1.0)
    hole = smooth(0.16, 0.10, first / (0.35 + 1.1 * ident)) * (ident > 0.55)
    small, _, pick = n.cells(u * 26 + 3, v * 26, 1.0)
    dot = smooth(0.28, 0.18, small) * (pick > 0.72)
    crack = smooth(0.016, 0.0, np.abs(n.fbm(u * 1.5 + 8, v * 1.5, 4))) * smooth(0.1, 0.4, n.perlin(u * 1.1, v * 1.1))
    tone = 1 + 0.22 * cloud + 0.10 * sand - 0.30 * dot
    tone = tone * (1 - 0.68 * hole) * (1 - 0.5 * crack)
    return paint(c, tone), 0.25 * sand - 1.8 * hole - crack, 0.02, 6


def terrazzo(u, v, c, n, rng, az):
    albedo = paint(c, 1 + 0.08 * n.fbm(u * 4, v * 4, 4))
    light = max(c) > 0.5
    chips = [lift(c, -0.62), lift(c, 0.55), np.array([0.30, 0.22, 0.15]), np.array([0.16, 0.17, 0.18]), np.array([0.72, 0.68, 0.60])]
    if light:
        chips[1] = np.array([0.45, 0.36, 0.27])
    for frequency, keep, shrink in ((24, 0.45, 0.10), (12, 0.55, 0.12), (6.2, 0.52, 0.16)):
        x, y = u * frequency + frequency, v * frequency
        first, second, ident = n.cells(x + 0.25 * n.perlin(x * 1.3, y * 1.3), y + 0.25 * n.perlin(y * 1.3, x * 1.3))
        chip = smooth(shrink - 0.04, shrink + 0.04, second - first) * (ident < keep)
        choice = (ident * 997).astype(int) % len(chips)
        colour = np.asarray(chips)[choice] * (0.85 + 0.3 * n.perlin(x * 4, y * 4))[..., None]
        albedo = mix(albedo, colour, chip)
    return albedo, np.zeros_like(u), 0.25, 60


def marble(u, v, c, n, rng, az):
    wx, wy = n.fbm(u * 1.7 + 3, v * 1.7, 4), n.fbm(u * 1.7, v * 1.7 + 7, 4)
    x, y = u + 0.55 * wx, v * 1.6 + 0.55 * wy
    cloud = n.fbm(x * 1.5, y * 1.5, 5)
    vein = np.exp(-np.abs(n.fbm(x * 1.15 + 5, y * 0.85, 3)) * 20)
    thin = np.exp(-np.abs(n.fbm(x * 2.4 + 11, y * 2.0 + 4, 4)) * 34)
    strength = np.clip(0.85 * vein * smooth(-0.5, 0.3, cloud) + 0.55 * thin, 0, 1)
    light = max(c) > 0.45
    line = lift(c, -0.72) * np.array([0.96, 1.0, 1.06]) if light else lift(c, 0.62)
    if light and c[2] < 0.5:
        line = np.array([0.27, 0.13, 0.06])
    return mix(paint(c, 1 + (0.13 if light else 0.4) * cloud), line, strength), np.zeros_like(u), 0.35, 70


def leather(u, v, c, n, rng, az):
    x, y = u * 21, v * 21
    x, y = x + 0.35 * n.perlin(x * 0.5, y * 0.5), y + 0.35 * n.perlin(y * 0.5 + 7, x * 0.5)
    first, second, ident = n.cells(x, y, 0.95)
    crease = smooth(0.26, 0.02, second - first)
    fold = smooth(0.10, 0.0, np.abs(n.fbm(u * 2.2, v * 2.2, 2))) * 0.5
    tone = 1 + 0.18 * ident - 0.42 * crease - 0.18 * fold + 0.12 * n.fbm(u * 2, v * 2, 3)
    height = 1.0 * (1 - crease) + 0.25 * ident - 0.5 * fold + 0.3 * n.perlin(x * 3, y * 3)
    return paint(lift(c, 0.01), tone), height, 0.14, 16


def brick(u, v, c, n, rng, az):
    x, y = u * 2.6, v * 6.2
    x, y = x + 0.02 * n.perlin(u * 9, v * 9), y + 0.05 * n.perlin(u * 9 + 4, v * 9)
    row = np.floor(y).astype(int)
    x = x + 0.5 * (row % 2)
    column = np.floor(x).astype(int)
    fx, fy = x - column, y - row
    edge = np.minimum(np.minimum(fx, 1 - fx) * 2.4, np.minimum(fy, 1 - fy))
    body = smooth(0.07, 0.14, edge)
    tone = 0.72 + 0.6 * n.value(column, row, 6)
    grit = n.fbm(u * 22, v * 22, 4, 0.6)
    mortar = np.array([0.42, 0.40, 0.36]) if max(c) < 0.6 or c[2] < 0.1 else np.array([0.26, 0.25, 0.24])
    albedo = mix(paint(mortar, 1 + 0.2 * grit), paint(c, tone * (1 + 0.22 * grit)), body)
    return albedo, 2.4 * body + 0.45 * grit, 0.02, 6


def denim(u, v, c, n, rng, az):
    x, y = u * 34, v * 34
    twill = 0.5 + 0.5 * np.cos(2 * np.pi * (x * 0.75 + y))
    thread = n.perlin(x * 0.25, y * 2.6) + 0.8 * n.perlin(x * 2.6, y * 0.2 + 5)
    wear = n.fbm(u * 2, v * 2, 4)
    pale = np.clip(smooth(0.52, 0.95, 1 - twill) * (0.62 + 0.4 * thread) + 0.12 * wear, 0, 1)
    yarn = paint(lift(c, -0.45), 0.95 + 0.35 * thread)
    return mix(yarn, np.asarray(c) * 0.35 + np.array([0.40, 0.41, 0.43]) * (0.4 if max(c) < 0.1 else 0.8), pale), 0.9 * twill + 0.4 * thread, 0.0, 4


def knit(u, v, c, n, rng, az):
    x, y = u * 9, v * 10
    x = x + 0.06 * n.perlin(u * 5, v * 5)
    column = np.floor(x)
    fx = x - column - 0.5
    side = np.sign(fx)
    yy = y + 0.85 * np.abs(fx) * 1.25
    row = np.floor(yy)
    fy = yy - row - 0.5
    leg = 1 - ((np.abs(fx) - 0.25) / 0.27) ** 2 - (fy / 0.52) ** 2
    body = np.sqrt(np.clip(leg, 0, 1))
    ply = n.perlin((fx * 6 + side * fy * 5) * 2 + column * 3, row * 2.3 + fy * 2)
    fuzz = n.perlin(u * 80, v * 80)
    return paint(c, (0.22 + 0.95 * body) * (1 + 0.22 * ply + 0.10 * fuzz)), 2.6 * body + 0.3 * ply, 0.0, 4


def honeycomb_core(u, v, c, n, rng, az):
    x, y = u * 7.0, v * 7.0
    x, y = x + 0.05 * n.perlin(u * 4, v * 4), y + 0.05 * n.perlin(u * 4 + 9, v * 4)
    s = np.array([1.0, np.sqrt(3.0)])
    ax, ay = (x + 0.5) % s[0] - 0.5, (y + s[1] / 2) % s[1] - s[1] / 2
    bx, by = x % s[0] - 0.5, y % s[1] - s[1] / 2
    nearer = ax**2 + ay**2 < bx**2 + by**2
    hx, hy = np.where(nearer, ax, bx), np.where(nearer, ay, by)
    edge = 0.5 - np.maximum(np.abs(hx), np.abs(hx) * 0.5 + np.abs(hy) * np.sqrt(3) / 2)
    wall = smooth(0.075, 0.035, edge)
    lit = np.clip(-(hx * np.cos(az) + hy * np.sin(az)) * 1.5, -0.6, 0.8)
    inner = smooth(0.30, 0.04, edge)
    depth = (0.10 + 0.38 * inner * (0.55 + lit)) * (1 + 0.15 * n.perlin(x * 5, y * 5))
    top = lift(c, 0.35 if max(c) > 0.1 else 0.16)
    albedo = mix(paint(c, np.clip(depth, 0.03, 1)), paint(top, 0.95 + 0.1 * n.perlin(x * 3, y * 3)), wall)
    return albedo, 0.8 * wall, 0.15, 20


def rubber(u, v, c, n, rng, az):
    x, y = u * 6.5, v * 6.5
    row = np.floor(y)
    fx, fy = (x + 0.5 * (row % 2)) % 1 - 0.5, y - row - 0.5
    r = np.hypot(fx, fy)
    stud = smooth(0.34, 0.27, r)
    grain = n.perlin(u * 70, v * 70)
    tone = 0.78 + 0.30 * stud + 0.10 * grain + 0.08 * n.fbm(u * 2, v * 2, 3)
    return paint(c, tone), 3.2 * stud + 0.15 * grain, 0.08, 9


def cork(u, v, c, n, rng, az):
    x, y = u * 20, v * 20
    x, y = x + 0.3 * n.perlin(x, y), y + 0.3 * n.perlin(y + 5, x)
    first, second, ident = n.cells(x, y)
    _, _, small = n.cells(x * 2.4, y * 2.4)
    seam = smooth(0.10, 0.0, second - first)
    tone = 0.60 + 0.85 * ident + 0.30 * small - 0.25 * seam + 0.14 * n.perlin(x * 4, y * 4)
    dark = (ident > 0.86) * 1.15 + (small > 0.92) * 0.5
    warm = np.asarray(c) * np.array([1.12, 0.98, 0.80])
    return paint(warm, np.clip(tone - dark, 0.12, 2)), 0.8 * ident - 0.8 * seam, 0.02, 6


def glazed_tile(u, v, c, n, rng, az):
    x, y = u * 3.4, v * 3.4
    i, j = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = x - i, y - j
    edge = np.minimum(np.minimum(fx, 1 - fx), np.minimum(fy, 1 - fy))
    body = smooth(0.028, 0.045, edge)
    pillow = smooth(0.03, 0.20, edge)
    tone = (0.86 + 0.26 * n.value(i, j, 7)) * (1 + 0.07 * n.fbm(u * 4, v * 4, 3))
    grout = np.array([0.60, 0.58, 0.54]) if max(c) < 0.75 else np.array([0.30, 0.30, 0.30])
    albedo = mix(paint(grout, 1 + 0.2 * n.perlin(u * 40, v * 40)), paint(c, tone), body)
    wave = 0.35 * n.perlin(u * 5, v * 5)
    tilt = (n.value(i, j, 8) - 0.5) * fx + (n.value(i, j, 9) - 0.5) * fy
    return albedo, 1.9 * pillow + wave + 1.4 * tilt, 1.5, 40


def tread_plate(u, v, c, n, rng, az):
    x, y = u * 5.2, v * 5.2
    height = np.zeros_like(u)
    for parity in (0, 1):
        a = x + 0.5 * parity
        b = y + 0.5 * parity
        fx, fy = a % 1 - 0.5, b % 1 - 0.5
        turn = np.pi / 4 if parity == 0 else -np.pi / 4
        p, q = fx * np.cos(turn) + fy * np.sin(turn), -fx * np.sin(turn) + fy * np.cos(turn)
        lug = 1 - np.abs(p / 0.40) ** 2 - np.abs(q / 0.115) ** 2
        height = np.maximum(height, smooth(0.0, 0.45, lug))
    scratch = n.perlin(u * 6, v * 60) + n.perlin(u * 50, v * 7)
    tone = 0.68 + 0.5 * height + 0.08 * scratch + 0.10 * n.fbm(u * 3, v * 3, 4)
    return paint(c, tone), 3.0 * height + 0.12 * scratch, 0.45, 16


# ---------------------------------------------------------------- light


def shade(albedo, height, specular, gloss, azimuth, elevation, pixel, relief, tint):
    """Lambert plus Blinn-Phong under one light; `pixel` is the width of a pixel in texture units."""
    gy, gx = np.gradient(height * 0.01 * relief, pixel)
    length = np.sqrt(1 + gx**2 + gy**2)
    nx, ny, nz = -gx / length, -gy / length, 1 / length
    light = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    half = light + np.array([0.0, 0.0, 1.0])
    half = half / np.linalg.norm(half)
    diffuse = np.clip(nx * light[0] + ny * light[1] + nz * light[2], 0, 1) / light[2]
    shine = np.clip(nx * half[0] + ny * half[1] + nz * half[2], 0, 1) ** gloss
    axis = (np.arange(GRID) + 0.5) / GRID - 0.5
    px, py = np.meshgrid(axis, axis)
    along = px * np.cos(azimuth) + py * np.sin(azimuth)
    reach = (1.0 - elevation) * 0.75
    falloff = np.clip(1 + reach * along - 0.25 * (px**2 + py**2), 0.35, 1.7)
    lobe = np.exp(-((along - 0.25) ** 2) * 9)
    metal = 0.55 * albedo + 0.45 * albedo.max(axis=2, keepdims=True)
    colour = albedo * (0.30 + 0.70 * diffuse)[..., None]
    colour = colour + specular * (shine * (0.25 + 0.75 * lobe))[..., None] * (0.12 + 0.55 * metal)
    return colour * falloff[..., None] * np.asarray(tint)


def encode(linear):
    linear = np.clip(linear, 0, 1)
    linear = linear.reshape(SIDE, 2, SIDE, 2, 3).mean(axis=(1, 3))
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return Image.fromarray((srgb * 255 + 0.5).astype(np.uint8), "RGB")


def render(material, colour, number, view):
    rng = generator(f"tuwen-surfaces-v1/{material}/{colour}/{number}")
    turn = rng.uniform(-0.10, 0.10)
    zoom = rng.uniform(0.92, 1.12)
    azimuth = rng.uniform(-np.pi, np.pi)
    elevation = rng.uniform(0.85, 1.1)
    if view == "侧光下的":
        elevation = rng.uniform(0.36, 0.44)
    elif view == "近看的":
        zoom = rng.uniform(0.52, 0.60)
    elif view == "斜放的":
        turn = rng.choice([-1, 1]) * rng.uniform(0.45, 0.75)
    tint = np.array([1, 1, 1]) + np.array([1, 0.1, -1]) * rng.uniform(-0.06, 0.06)
    exposure = rng.uniform(0.92, 1.14)
    axis = ((np.arange(GRID) + 0.5) / GRID - 0.5) * zoom
    px, py = np.meshgrid(axis, axis)
    ox, oy = rng.uniform(5, 60, 2)
    u = px * np.cos(turn) - py * np.sin(turn) + ox
    v = px * np.sin(turn) + py * np.cos(turn) + oy
    base = np.asarray(COLOURS[colour][1]) * (1 + rng.uniform(-0.05, 0.05, 3))
    albedo, height, specular, gloss = globals()[material](u, v, base, Noise(rng), rng, azimuth + turn)
    linear = shade(albedo, height, specular, gloss, azimuth, elevation, zoom / GRID, 0.85, tint * exposure)
    return encode(linear)


def families():
    """(material, colour, noun, view of the second picture), in a fixed order."""
    index = 0
    for material, (noun, colours) in FAMILIES.items():
        for colour in colours:
            yield material, colour, noun, VIEWS[index % len(VIEWS)]
            index += 1


def write(folder, quality):
    """Write images/ and captions.csv under `folder`; returns the number of pictures and families."""
    images = folder / "images"
    images.mkdir(parents=True)
    rows, count = [], 0
    for material, colour, noun, second in families():
        count += 1
        for number, view in ((1, ""), (2, second)):
            name = f"images/{material}_{colour}_{number}.jpg"
            buffer = io.BytesIO()
            render(material, colour, number, view).save(buffer, "JPEG", quality=quality, subsampling=2, optimize=True)
            (folder / name).write_bytes(buffer.getvalue())
            rows.append(f"{name},{view}{COLOURS[colour][0]}{noun}表面,{material}_{colour}\n")
    (folder / "captions.csv").write_text("image,text,family\n" + "".join(rows), encoding="utf-8", newline="")
    return len(rows), count
