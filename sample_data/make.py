"""Rebuilds everything in sample_data/ that is data: muge/, flickr30k-cn/, surfaces/, SHA256SUMS and the README tables.

Python 3.11 with three packages, and four npm packages that are only unpacked, never run:

    python3.11 -m pip install pillow==13.0.0 numpy==2.4.6 resvg_py==0.5.0
    packages=$(mktemp -d) && (cd "$packages" && npm pack \\
        @lobehub/fluent-emoji-3d@1.1.0 @iconify-json/fluent-emoji-flat@1.2.6 \\
        cldr-annotations-full@48.2.0 cldr-annotations-derived-full@48.2.0)
    python3.11 sample_data/make.py "$packages"

No clock and no unseeded randomness: the same package versions give the same bytes.
"""

import base64
import collections
import hashlib
import io
import itertools
import json
import pathlib
import re
import shutil
import sys
import tarfile

import numpy as np
import resvg_py
from PIL import Image

sys.dont_write_bytecode = True
import make_surfaces  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
SPLITS = ("train", "valid", "test")
SIDE = 128
QUALITY = {"muge": 75, "flickr30k-cn": 72, "surfaces": 80}
MUGE_IMAGES = {"train": 620, "valid": 80, "test": 80}
MUGE_TEXTS = {"train": 1200, "valid": 160, "test": 160}
MUGE_MAX_IMAGES = 8
FLICKR_IMAGES = {"train": 300, "valid": 60, "test": 60}
SALT = "tuwen-sample-v2"

# SHA-256 of the files `npm pack` fetches.
PACKAGES = {
    "lobehub-fluent-emoji-3d-1.1.0.tgz": "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
    "iconify-json-fluent-emoji-flat-1.2.6.tgz": "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
    "cldr-annotations-full-48.2.0.tgz": "28576e51225deb51e3ddd734b0f824a0079682cb5d8c27faa9f68149317a14d1",
    "cldr-annotations-derived-full-48.2.0.tgz": "4be946ff5815f806ec78b50363d577a769f2fbfb90c6380a44e161a92436996e",
}

THINGS = {"Smileys & Emotion", "Animals & Nature", "Food & Drink", "Objects", "Travel & Places", "Activities"}
SHAPES = set("⚫⚪🔴🟠🟡🟢🔵🟣🟤⬛⬜🟥🟧🟨🟩🟦🟪🟫🔶🔷🔺🔻♻⚠⛔🚫✅❌❓❗➕➖☯⚛")
LEFT_OUT = set("🖕💩🔫🚬💉🩸🗾🍆🍑💋👙🩲🔞⚰⚱🪦")
HANDS = "👋✋👌✌🤞🤟🤘🤙👈👉👆👇☝👍👎✊👊👏🙌👐🤲🤝🙏✍💅💪👂👃🦵🦶🤏🫶🫰"
ROLES = "👮🕵💂👷👸🤵👰🧙🧚🧛🧜🧝🧞🧟🦸🦹🏃🏊🏄🚴🤸🤹🧘🏋⛹🤽🤾💆💇🙋🤷🤦"
JOBS = "⚕🎓🏫⚖🌾🍳🔧🏭💼🔬💻🎤🎨✈🚀🚒🍼"
TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
FLICKR_VARIANTS = 10
CHINESE = re.compile(r"[\u4e00-\u9fff]{2,}")
UNKIND = re.compile(
    "死|尸|屍|屎|便便|放屁|妓|裸|性恋|跨性|屌|妈的|贱|賤|婊|赌|賭|咒骂|罵|白痴|傻瓜|屙|撚|仆街|冚家|戇|呕吐|嘔吐|血拼"
)
LOCALES = ("zh", "zh-Hant", "zh-Hant-HK", "yue")


def digest(*parts):
    return int.from_bytes(hashlib.sha256("/".join((SALT, *parts)).encode()).digest()[:8], "big")


# ---------------------------------------------------------------- sources


def read_packages(folder):
    """{package file name: {member: bytes}}, each checked against its digest."""
    contents = {}
    for name, expected in PACKAGES.items():
        data = (folder / name).read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if found != expected:
            sys.exit(f"{name}: expected sha256 {expected}, found {found}; fetch it with npm pack")
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            contents[name] = {
                member.name.removeprefix("package/"): tar.extractfile(member).read()
                for member in tar
                if member.isfile() and (not member.name.endswith(".json") or wanted_json(member.name))
            }
    return contents


def wanted_json(name):
    locale = re.search(r"/annotations(?:Derived)?/([^/]+)/", name)
    return locale is None or locale[1] in (*LOCALES, "en")


def annotations(packages):
    """{locale: {emoji without U+FE0F: (name or None, [keyword])}} of CLDR."""
    table = {locale: {} for locale in (*LOCALES, "en")}
    for package, folder in (
        ("cldr-annotations-derived-full-48.2.0.tgz", "annotationsDerived"),
        ("cldr-annotations-full-48.2.0.tgz", "annotations"),
    ):
        for locale, entries in table.items():
            page = json.loads(packages[package][f"{folder}/{locale}/annotations.json"])
            for emoji, entry in page[folder]["annotations"].items():
                name = (entry.get("tts") or [None])[0]
                keys = emoji.replace("\ufe0f", "")
                entries[keys] = (name and name.replace(": ", " ").replace("：", " "), entry.get("default", []))
    return table


def unescape(codepoints):
    points = [int(point, 16) for point in re.split("[-_]", codepoints)]
    return "".join(map(chr, points)).replace("\ufe0f", "")


def sources(packages):
    """3-D pictures and flat drawings by emoji, and the category of each emoji."""
    solid = {
        unescape(path[7:-5]): data
        for path, data in packages["lobehub-fluent-emoji-3d-1.1.0.tgz"].items()
        if path.startswith("assets/") and path.endswith(".webp")
    }
    package = packages["iconify-json-fluent-emoji-flat-1.2.6.tgz"]
    icons = json.loads(package["icons.json"])
    names = {unescape(points): name for points, name in json.loads(package["chars.json"]).items()}
    categories = {
        name: category
        for category, members in json.loads(package["metadata.json"])["categories"].items()
        for name in members
    }
    flat = {emoji: (icons["icons"][name], icons) for emoji, name in names.items() if name in icons["icons"]}
    return solid, flat, {emoji: categories.get(name) for emoji, name in names.items()}


def picture_3d(data):
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    side = max(image.size)
    paper = Image.new("RGBA", (side, side), "white")
    paper.alpha_composite(image, ((side - image.width) // 2, (side - image.height) // 2))
    return paper.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def picture_flat(icon):
    body, defaults = icon
    width, height = (body.get(key, defaults.get(key, 16)) for key in ("width", "height"))
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{body.get("left", 0)} {body.get("top", 0)} {width} {height}">{body["body"]}</svg>'
    )
    png = resvg_py.svg_to_bytes(
        svg_string=svg, background="#ffffff", width=SIDE, height=SIDE, skip_system_fonts=True
    )
    image = Image.open(io.BytesIO(bytes(png))).convert("RGB")
    paper = Image.new("RGB", (SIDE, SIDE), "white")
    paper.paste(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
    return paper


def jpeg(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=2, optimize=True)
    return buffer.getvalue()


# ---------------------------------------------------------------- families


def base_form(emoji):
    """The emoji without skin tone, gender and hair; man and woman become person."""
    text = re.sub("[\U0001f3fb-\U0001f3ff]", "", emoji)
    text = re.sub("\u200d[♀♂\U0001f9b0-\U0001f9b3]", "", text)
    return re.sub("[👨👩👴👵👦👧👱🧔🧓🧒]", "🧑", text)


def english_stem(name):
    """The English name without direction, twin, gender and numeral words."""
    name = re.sub(r"o’clock|-thirty|:.*", " clock", name.lower())
    name = re.sub(r"\b(un)?locked\b.*", "lock", re.sub(r"(globe showing).*", r"\1", name))
    drop = (
        "left right up down upper lower first last quarter waxing waning oncoming face with head crescent gibbous small medium "
        "large big open closed man woman men women person people boy girl boys girls male female old older low high slash "
        "see hear speak backhand index st nd rd without snow japanese departure arrival front facing baby hatching lowered "
        "raised done not at the viewer rain drops on ground"
    )
    numbers = "one two three four five six seven eight nine ten eleven twelve"
    if "clock" in name:
        drop += " " + numbers
    words = [word for word in re.findall(r"[^\W\d]+", name) if word not in drop.split()]
    return " ".join(words) or name


def variants(emoji, solid):
    """The emojis that stand for this one in muge/, at most two of a family."""
    if emoji in HANDS:
        tones = [emoji + tone for tone in TONES[::2] if emoji + tone in solid]
        return [emoji] + (tones and [tones[digest("tone", emoji) % len(tones)]])
    if emoji in ROLES:
        pair = [emoji + "\u200d" + sign for sign in "♀♂"]
        return pair if all(one in solid for one in pair) else [emoji]
    if emoji.startswith("🧑\u200d") and emoji[2:] in JOBS:
        return [who + emoji[1:] for who in "👩👨"]
    return [emoji]


def people_of(emoji, available):
    """The forms of a hand (skin tones) or a person (genders and skin tones) in flickr30k-cn/."""
    if emoji in HANDS:
        forms = [emoji] + [emoji + tone for tone in TONES]
    elif emoji in ROLES:
        forms = [emoji + tone + "\u200d" + sign for sign in "♀♂" for tone in ("", *TONES)]
    else:
        forms = [who + tone + emoji[1:] for who in "👩👨" for tone in ("", *TONES)]
    forms = [form for form in forms if form in available]
    return sorted(forms, key=lambda form: digest("variant", form))[:FLICKR_VARIANTS]


def person(emoji):
    return emoji in HANDS or emoji in ROLES or (emoji.startswith("🧑\u200d") and emoji[2:] in JOBS)


def clock(emoji):
    return "\U0001f550" <= emoji <= "\U0001f567"


def chosen(emoji, category):
    if emoji in LEFT_OUT or (clock(emoji) and emoji not in "🕐🕓🕗🕥"):
        return False
    jobs = emoji.startswith("🧑\u200d") and emoji[2:] in JOBS
    return category in THINGS or emoji in SHAPES or emoji in HANDS or emoji in ROLES or jobs


class Union:
    def __init__(self):
        self.parent = {}

    def find(self, item):
        self.parent.setdefault(item, item)
        while self.parent[item] != item:
            self.parent[item] = self.parent[self.parent[item]]
            item = self.parent[item]
        return item

    def join(self, a, b):
        a, b = sorted((self.find(a), self.find(b)))
        self.parent[b] = a


def difference_hash(image):
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), int)
    return (grey[:, 1:] > grey[:, :-1]).ravel()


def near_pairs(images, bits, mean):
    """Pairs of keys whose dHash-64 differs in at most `bits` and whose pixels differ by at most `mean` of 255."""
    keys = sorted(images)
    hashes = np.array([difference_hash(images[key]) for key in keys], np.int16)
    small = np.array([np.asarray(images[key].resize((32, 32), Image.Resampling.BOX), np.int16).ravel() for key in keys])
    for i, key in enumerate(keys):
        distance = np.abs(hashes[i + 1 :] - hashes[i]).sum(axis=1)
        for j in np.nonzero(distance <= bits)[0] + i + 1:
            if np.abs(small[i] - small[j]).mean() <= mean:
                yield key, keys[j]


def normal(text):
    return re.sub(r"[\W_]+", "", text).lower()


def group(emojis, cldr, galleries):
    """{emoji: representative of its family}: same base form, English stem, any shared name, or near-identical picture."""
    union = Union()
    for emoji in emojis:
        union.join(emoji, base_form(emoji))
        union.join(emoji, "en:" + english_stem(cldr["en"][emoji][0]))
        for locale in LOCALES:
            name = cldr[locale].get(emoji, (None, []))[0]
            if name:
                union.join(emoji, "name:" + normal(name))
    for gallery in galleries:
        for a, b in near_pairs(gallery, 6, 5.0):
            union.join(a, b)
    members = collections.defaultdict(list)
    for emoji in emojis:
        members[union.find(emoji)].append(emoji)
    return {emoji: min(group) for group in members.values() for emoji in group}


def split_of(family):
    share = digest("split", " ".join(f"{ord(c):x}" for c in family)) / 2**64
    return "train" if share < 0.8 else "valid" if share < 0.9 else "test"


def take(emojis, families, limits, salt):
    """Emojis of each split in family-hash order, whole families until the limit is reached."""
    order = sorted(emojis, key=lambda e: (digest(salt, families[e]), digest(salt, e)))
    picked = {split: [] for split in SPLITS}
    for emoji in order:
        split = split_of(families[emoji])
        if len(picked[split]) < limits[split]:
            picked[split].append(emoji)
    return picked


# ---------------------------------------------------------------- texts


def clean(keywords):
    return [word for word in keywords if CHINESE.fullmatch(word) and len(word) <= 8 and not UNKIND.search(word)]


def extra(name, keywords, count):
    """Keywords that neither contain the name or one another nor are contained."""
    kept = []
    for word in keywords:
        if not any(word in other or other in word for other in (name, *kept)):
            kept.append(word)
    return kept[:count]


def five_captions(emoji, cldr):
    """Five distinct forms (zh, zh + keywords, zh-Hant, zh-Hant-HK, yue), or None."""
    zh, hant, hong_kong, yue = (cldr[locale].get(emoji, (None, [])) for locale in LOCALES)
    if not (zh[0] and hant[0] and yue[0]):
        return None
    hong_kong = (hong_kong[0] or hant[0], hong_kong[1] or [])
    captions = []

    def add(name, keywords, plain_first):
        words = extra(name, clean(keywords), 3)
        forms = [name] if plain_first else []
        forms += [name + "，" + "、".join(words[start : start + 2]) for start in range(max(1, len(words) - 1)) if words]
        forms += [] if plain_first else [name]
        for form in forms:
            if normal(form) not in map(normal, captions) and not UNKIND.search(form):
                captions.append(form)
                return

    add(*zh, True)
    add(*zh, False)
    add(*hant, True)
    add(*hong_kong, hong_kong[0] not in captions)
    add(*yue, True)
    return captions if len(captions) == 5 else None


def tokens(emoji, cldr):
    """(name, all words that describe the picture); a variant also answers to its base form."""
    name, keywords = cldr["zh"][emoji]
    words = [name, *clean(keywords)]
    base = base_form(emoji)
    if base != emoji and base in cldr["zh"]:
        words += [cldr["zh"][base][0], *clean(cldr["zh"][base][1])]
    return name, list(dict.fromkeys(words))


def queries(picked, cldr, taken):
    """{split: [(text, [emoji])]}: every text answers to all pictures that carry its words, and they are of one split.

    `taken` maps the normal form of a caption of the other data set to its split.
    """
    words, names, home = {}, {}, {}
    carriers = collections.defaultdict(set)
    for split, emojis in picked.items():
        for emoji in emojis:
            names[emoji], words[emoji] = tokens(emoji, cldr)
            home[emoji] = split
            for word in words[emoji]:
                carriers[word].add(emoji)
    table = {split: {} for split in SPLITS}
    seen = {}

    def offer(split, parts):
        text = " ".join(parts)
        answers = set.intersection(*(carriers[part] for part in parts))
        free = seen.get(normal(text), text) == text and taken.get(normal(text), split) == split
        if {home[e] for e in answers} == {split} and len(answers) <= MUGE_MAX_IMAGES and free:
            seen[normal(text)] = text
            table[split][text] = sorted(answers, key=lambda e: digest("answer", text, e))
            return True
        return False

    for split, emojis in picked.items():
        limit = MUGE_TEXTS[split]
        for emoji in emojis:  # the name, or the name with the first keyword that makes it unique
            name = names[emoji]
            shared = [cldr["zh"][base_form(emoji)][0]] if base_form(emoji) in cldr["zh"] else []
            for head in dict.fromkeys([*shared, name]):
                pairs = [(head, word) for word in extra(head, words[emoji][1:], 8)]
                any(offer(split, parts) for parts in [(head,), *pairs])
        several, single = [], []
        for emoji in emojis:
            loose = words[emoji][1:]
            for parts in [(word,) for word in loose] + [p for p in itertools.combinations(loose, 2) if not overlap(*p)]:
                count = len(set.intersection(*(carriers[part] for part in parts)))
                if 2 <= count <= MUGE_MAX_IMAGES:
                    several.append(parts)
            more = extra(names[emoji], loose, 8)
            if more:
                single.append((names[emoji], more[digest("more", emoji) % len(more)]))
            single += [(word,) for word in loose if len(carriers[word]) == 1]
        several = sorted(set(several), key=lambda parts: (len(parts), digest("several", *parts)))
        answers_seen = collections.Counter(tuple(sorted(answers)) for answers in table[split].values())
        room = len(table[split]) + (limit - len(table[split])) // 2
        for parts in several:
            key = tuple(sorted(set.intersection(*(carriers[part] for part in parts))))
            if len(table[split]) < room and answers_seen[key] < 2 and offer(split, parts):
                answers_seen[key] += 1
        for parts in sorted(set(single), key=lambda parts: digest("single", *parts)):
            if len(table[split]) < limit:
                offer(split, parts)
    return table


def overlap(a, b):
    return a in b or b in a


# ---------------------------------------------------------------- writing


def numbers(keys, salt, low, high):
    """A distinct number in low..high for each key."""
    used, result = set(), {}
    for key in sorted(keys):
        number = low + digest(salt, key) % (high - low)
        while number in used:
            number += 1
        used.add(number)
        result[key] = number
    return result


def write_split(folder, split, images, texts):
    folder.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{number}\t{base64.b64encode(data).decode()}\n" for number, data in sorted(images.items()))
    (folder / f"{split}_imgs.tsv").write_text(rows, encoding="ascii", newline="")
    lines = (json.dumps(line, ensure_ascii=False) + "\n" for line in texts)
    (folder / f"{split}_texts.jsonl").write_text("".join(lines), encoding="utf-8", newline="")


def write_muge(table, picked, gallery):
    ids = numbers(itertools.chain(*picked.values()), "muge-image", 100_000, 1_200_000)
    text_id = 0
    for split in SPLITS:
        lines = []
        for text in sorted(table[split], key=lambda t: digest("muge-text", t)):
            labels = [] if split == "test" else [ids[emoji] for emoji in table[split][text]]
            lines.append({"text_id": text_id, "text": text, "image_ids": labels})
            text_id += 1
        write_split(HERE / "muge", split, {ids[e]: gallery[e] for e in picked[split]}, lines)


def write_flickr(captions, picked, gallery):
    ids = numbers(itertools.chain(*picked.values()), "flickr-image", 10_000_000, 7_900_000_000)
    start = 0
    for split in SPLITS:
        emojis = sorted(picked[split], key=lambda e: ids[e])
        lines = [
            {"text_id": start + form * len(emojis) + place, "text": captions[emoji][form], "image_ids": [ids[emoji]]}
            for form in range(5)
            for place, emoji in enumerate(emojis)
        ]
        start += len(lines)
        write_split(HERE / "flickr30k-cn", split, {ids[e]: gallery[e] for e in emojis}, lines)


# ---------------------------------------------------------------- checks


def read_back(folder):
    """{split: (images by id, texts)} as a stranger would read them."""
    result = {}
    for split in SPLITS:
        rows = (line.split("\t") for line in (folder / f"{split}_imgs.tsv").read_text().splitlines())
        images = {int(number): base64.b64decode(data) for number, data in rows}
        texts = [json.loads(line) for line in (folder / f"{split}_texts.jsonl").read_text("utf-8").splitlines()]
        result[split] = images, texts
    return result


def check(muge, flickr, families, picked, solid):
    captions = {}
    for data in (muge, flickr):
        pictures, homes, digests = {}, {}, {}
        text_ids = [text["text_id"] for split in SPLITS for text in data[split][1]]
        assert len(set(text_ids)) == len(text_ids)
        for split in SPLITS:
            images, texts = data[split]
            for number, image in images.items():
                assert number not in homes, "image id in two splits"
                homes[number] = split
                assert digests.setdefault(hashlib.sha256(image).hexdigest(), split) == split, "picture in two splits"
                pictures[number] = Image.open(io.BytesIO(image)).convert("RGB")
                assert pictures[number].size == (SIDE, SIDE)
            for text in texts:
                assert captions.setdefault(normal(text["text"]), split) == split, f"{text['text']} crosses splits"
                assert set(text["image_ids"]) <= set(images), "label outside the split"
        for a, b in near_pairs(pictures, 4, 4.0):
            assert homes[a] == homes[b], f"near-identical pictures {a} and {b} cross splits"
    home = {}
    for selection in picked:
        for split, emojis in selection.items():
            for emoji in emojis:
                for key in (families[emoji], base_form(emoji)):
                    assert home.setdefault(key, split) == split, f"family {key} crosses splits"
    for split in SPLITS:
        images, texts = muge[split]
        assert len({text["text"] for text in texts}) == len(texts), "repeated query"
        labelled = {number for text in texts for number in text["image_ids"]}
        assert labelled == (set() if split == "test" else set(images)), "picture without a query"
        images, texts = flickr[split]
        count = collections.Counter(text["image_ids"][0] for text in texts)
        assert all(len(text["image_ids"]) == 1 for text in texts)
        assert set(count) == set(images) and set(count.values()) == {5}
        first = texts[0]["text_id"]
        assert [text["text_id"] for text in texts] == list(range(first, first + len(texts)))
        for place, text in enumerate(texts):
            assert text["image_ids"] == texts[place % len(images)]["image_ids"], "captions are not caption-major"


def report(muge, flickr, surfaces):
    lines = ["| data set | split | images | texts | text-image pairs |", "|---|---|---:|---:|---:|"]
    for name, data in (("muge", muge), ("flickr30k-cn", flickr)):
        for split in SPLITS:
            images, texts = data[split]
            pairs = sum(len(text["image_ids"]) for text in texts)
            lines.append(f"| `{name}/` | {split} | {len(images)} | {len(texts)} | {pairs or 'no labels'} |")
    lines.append(f"| `surfaces/` | none | {surfaces[0]} | {surfaces[0]} | {surfaces[0]} ({surfaces[1]} families) |")
    return lines


def checksums():
    """Write SHA256SUMS over the data and the licences; return the README's digest table."""
    files = sorted(
        path.relative_to(HERE).as_posix()
        for folder in ("LICENSES", "flickr30k-cn", "muge", "surfaces")
        for path in (HERE / folder).rglob("*")
        if path.is_file()
    )
    lines = {name: f"{hashlib.sha256((HERE / name).read_bytes()).hexdigest()}  {name}\n" for name in files}
    (HERE / "SHA256SUMS").write_text("".join(lines.values()), newline="")
    table = ["| file | bytes | SHA-256 |", "|---|---:|---|"]
    for name in files:
        if not name.startswith(("surfaces/images/", "LICENSES/")):
            table.append(f"| `{name}` | {(HERE / name).stat().st_size} | `{lines[name][:64]}` |")
    images = [name for name in files if name.startswith("surfaces/images/")]
    folder = hashlib.sha256("".join(lines[name] for name in images).encode()).hexdigest()
    size = sum((HERE / name).stat().st_size for name in images)
    table.append(f"| `surfaces/images/` (its lines of SHA256SUMS) | {size} | `{folder}` |")
    return table


def fill(readme, marker, lines):
    begin, end = f"<!-- {marker}:begin -->", f"<!-- {marker}:end -->"
    head, rest = readme.split(begin)
    return head + begin + "\n" + "\n".join(lines) + "\n" + end + rest.split(end)[1]


def main():
    packages = read_packages(pathlib.Path(sys.argv[1]))
    cldr = annotations(packages)
    solid, flat, category = sources(packages)
    concepts = sorted(e for e in category if e in solid and e in flat and e in cldr["zh"] and chosen(e, category[e]))
    shown = sorted({one for e in concepts for one in variants(e, solid) if one in cldr["zh"] and one in solid})
    people = sorted(
        {one for e in concepts if person(e) for one in people_of(e, flat.keys() & cldr["zh"].keys())}
    )
    pictures = {e: picture_3d(solid[e]) for e in shown}
    drawings = {e: picture_flat(flat[e]) for e in people}
    families = group(sorted({*shown, *people}), cldr, (pictures, drawings))

    forms = {e: five_captions(e, cldr) for e in people}
    unique, once = [], set()
    for emoji in sorted(people, key=lambda e: digest("forms", e)):
        if forms[emoji] and not once & set(map(normal, forms[emoji])):
            unique.append(emoji)
            once |= set(map(normal, forms[emoji]))
    flickr_picked = take(unique, families, FLICKR_IMAGES, "flickr")
    taken = {
        normal(form): split for split, emojis in flickr_picked.items() for emoji in emojis for form in forms[emoji]
    }
    candidates = {e for e in shown if not UNKIND.search(cldr["zh"][e][0])}
    while True:  # a picture whose every word crosses a split has no query and makes room for the next
        muge_picked = take(candidates, families, MUGE_IMAGES, "muge")
        table = queries(muge_picked, cldr, taken)
        asked = {emoji for answers in table.values() for emojis in answers.values() for emoji in emojis}
        if asked == set(itertools.chain(*muge_picked.values())):
            break
        candidates -= set(itertools.chain(*muge_picked.values())) - asked

    for folder in ("muge", "flickr30k-cn", "surfaces"):
        shutil.rmtree(HERE / folder, ignore_errors=True)
    write_muge(table, muge_picked, {e: jpeg(pictures[e], QUALITY["muge"]) for e in shown})
    write_flickr(forms, flickr_picked, {e: jpeg(drawings[e], QUALITY["flickr30k-cn"]) for e in people})
    surfaces = make_surfaces.write(HERE / "surfaces", QUALITY["surfaces"])
    licence = packages["cldr-annotations-full-48.2.0.tgz"]["LICENSE"]
    (HERE / "LICENSES").mkdir(exist_ok=True)
    (HERE / "LICENSES" / "Unicode-3.0.txt").write_bytes(licence)

    muge, flickr = read_back(HERE / "muge"), read_back(HERE / "flickr30k-cn")
    check(muge, flickr, families, (muge_picked, flickr_picked), solid)
    counts = report(muge, flickr, surfaces)
    readme = HERE / "README.md"
    if readme.exists():
        text = fill(fill(readme.read_text("utf-8"), "counts", counts), "digests", checksums())
        readme.write_text(text, encoding="utf-8", newline="")
    sizes = [path.stat().st_size for path in HERE.rglob("*") if path.is_file()]
    print("\n".join(counts))
    print(f"{len(concepts)} concepts, {len(set(families.values()))} families, {len(unique)} with five captions")
    print(f"{len(sizes)} files, {sum(sizes)} bytes, the largest {max(sizes)}")
    assert sum(sizes) <= 4_700_000 and max(sizes) <= 2_000_000


if __name__ == "__main__":
    main()
