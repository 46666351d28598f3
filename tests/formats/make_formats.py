"""Writes the fixtures of this folder: one small data set in every source format, by the format's own tools.

`make_formats.py` writes them beside itself; `--check` writes them elsewhere and compares. Needs what `install.sh` installs.
"""
import argparse
import filecmp
import json
import shutil
import sys
import tempfile
from pathlib import Path

import datasets

from table_formats import make_parquet, make_reference_lmdb
from tar_formats import make_hostile_tars, make_tar_names, make_webdataset
from text_formats import make_chinese_clip, make_flickr, make_folder, make_muge_2021

HERE = Path(__file__).resolve().parent
CODE = {".py", ".pyc", ".rs", ".sh", ".md"}


class Expected:
    """What a reader must find, variant by variant."""

    def __init__(self):
        self.variants, self.refused = {}, []

    def add(self, name, images, texts, **more):
        self.variants[name] = {**more, "images": list(images), "texts": list(texts)}

    def refuse(self, path, why):
        self.refused.append({"path": path, "why": why})

    def write(self, path):
        def listed(rows, indent):
            return ",\n".join(" " * indent + json.dumps(row, ensure_ascii=False) for row in rows)

        variants = []
        for name, found in self.variants.items():
            more = "".join(f'      "{key}": {json.dumps(value)},\n' for key, value in found.items() if key not in ("images", "texts"))
            rows = ",\n".join(f'      "{key}": [\n{listed(found[key], 8)}\n      ]' for key in ("images", "texts"))
            variants.append(f'    "{name}": {{\n{more}{rows}\n    }}')
        refused = listed(self.refused, 4)
        path.write_text('{\n  "variants": {\n' + ",\n".join(variants) + '\n  },\n  "refused": [\n' + refused + "\n  ]\n}\n")


def make(out):
    datasets.disable_progress_bars()
    expected = Expected()
    for step in (make_chinese_clip, make_muge_2021, make_reference_lmdb, make_flickr, make_folder, make_parquet,
                 make_webdataset, make_tar_names, make_hostile_tars):
        step(out, expected)
    expected.write(out / "expected.json")


def files(root):
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {path for path in found if path.suffix not in CODE}


def check(made):
    """Names of files that differ."""
    names = files(made) | files(HERE)
    return sorted(str(n) for n in names if not ((HERE / n).is_file() and (made / n).is_file() and filecmp.cmp(HERE / n, made / n, False)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write into a temporary folder and compare; 1 if anything differs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made"
        made.mkdir()
        make(made)
        if options.check:
            different = check(made)
            print("\n".join(different) or f"{len(files(made))} files are the same")
            sys.exit(bool(different))
        for entry in sorted(made.iterdir()):
            target = HERE / entry.name
            if target.is_dir():
                shutil.rmtree(target)
            shutil.move(entry, target)
    sizes = [(HERE / name).stat().st_size for name in files(HERE)]
    print(f"{len(sizes)} files, {sum(sizes)} bytes")


if __name__ == "__main__":
    main()
