"""What every provider's store is asked: `ask(cloud, scene, check)`, for check_azure.py and check_gcs.py, which each start an emulator of theirs.

The small pipeline of tests/faults runs with its artifacts in the store, and every file's digest is held against those of a local run; a second run reuses
everything, another machine's `verify` reads every byte, sources in it make the same tables, of two runs at once one is refused.
Prints a line for each and fails if one is not as it should be. Python's standard library only.
"""
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults"))
import harness  # noqa: E402

# Above this a file goes up in parts (src/store/transfer.rs).
PIECE_BYTES = 8 << 20
SURFACES = harness.REPOSITORY / "sample_data/surfaces"
# The stages that come from a source alone: files that are named, a folder that is listed, weights.
SOURCES = harness.PIPELINE[: harness.PIPELINE.index("  - { id: audit")] + """\
  - { id: surfaces, kind: ingest, source: { format: folder, root: SURFACES, captions: captions.csv }, split: { valid: 0.15, test: 0.2 } }
  - { id: start, kind: model, preset: ViT-tiny-16, weights: WEIGHTS }
"""


@dataclass
class Cloud:
    """A provider's store that is there for the check alone. `read`, `write`, `in_parts` go past the program."""
    # scheme://bucket, and the same with a bucket that nobody made
    root: str
    missing: str
    env: dict
    # variables with credentials that are not good, and what of them nobody may read
    wrong_env: dict
    secret: str
    # bytes of a key
    read: Callable
    write: Callable
    # whether the object of a key came in parts
    in_parts: Callable


class Checks:
    """`check(what, holds, found)` prints a line; `end` fails if one did not hold."""

    def __init__(self):
        self.good = []

    def __call__(self, name, holds, found=""):
        self.good.append(bool(holds))
        print(f"{'ok ' if holds else 'BAD'} {name}  {found}", flush=True)

    def end(self):
        print(f"\n{len(self.good)} checks, {self.good.count(False)} not as they should be")
        raise SystemExit(0 if all(self.good) else 1)


class View:
    """Reads a store in the cloud."""

    def __init__(self, cloud, store="store", newest=1):
        self.cloud, self.store, self.newest = cloud, store, newest

    def read(self, key):
        return self.cloud.read(f"{self.store}/{key}")

    def releases(self):
        """The names up to the release that has to be the newest; reading it fails if it is not there."""
        return [f"{number:020}.json" for number in range(1, self.newest + 1)]

    def files(self):
        """Key and length of every file of the newest release."""
        release = json.loads(self.read(f"releases/sweep/{self.releases()[-1]}"))
        for key in release["artifacts"].values():
            folder = f"artifacts/{key['kind']}/{key['fingerprint']}"
            for file in json.loads(self.read(f"{folder}/manifest.json"))["files"]:
                yield f"{self.store}/{folder}/{file['digest']}/{file['path']}", file["bytes"]


def with_scene(tuwen, work):
    """Calls `work(scene, check)` in a folder that goes afterwards."""
    check = Checks()
    with tempfile.TemporaryDirectory(prefix="tuwen-cloud-") as folder:
        work(harness.Scene(tuwen, Path(folder)), check)
    check.end()


def ask(cloud, scene, check):
    def run(*arguments, root=cloud.root, store="store", cache=None, **more):
        return scene.run(f"{root}/{store}", *arguments, env={**cloud.env, **more}, cache=cache)

    found = run("doctor")
    check("`doctor` finds the bucket good", found.returncode == 0 and "create-only writes are atomic" in found.stdout, (found.stdout + found.stderr)[-300:] if found.returncode else "")
    there = run("run", "sweep.yaml")
    check("the pipeline to its release", there.returncode == 0, there.stderr[-300:])
    if there.returncode:
        return
    view, expected = View(cloud), scene.first.digests
    digests = scene.found(view).digests
    same = sum(digests.get(key) == digest for key, digest in expected.items())
    check("every file has the digest of the local run", same == len(expected) > 20, f"{same} of {len(expected)}")
    large = [(key, size) for key, size in view.files() if size > PIECE_BYTES]
    whole = [key for key, size in large if cloud.in_parts(key) and len(cloud.read(key)) == size]
    check("files above 8 MiB went up in parts", len(whole) == len(large) > 0, f"{len(whole)} of {len(large)}, {max(size for _, size in large) / 1e6:.1f} MB")
    again = run("run", "sweep.yaml", "--json")
    steps = json.loads(again.stdout.splitlines()[-1])["steps"]
    check("a second run reuses everything", again.returncode == 0 and all(step["reused"] for step in steps))
    verified = run("verify", cache=scene.folder / "another")
    check("another machine's `verify` reads every byte", verified.returncode == 0, (verified.stdout + verified.stderr).strip()[-120:])
    searched = run("search", "--text", "红心", "--k", "3", "--json", cache=scene.folder / "searching")
    hits = json.loads(searched.stdout.splitlines()[-1])["hits"] if searched.returncode == 0 else []
    check("another machine searches its own copy of the release", len(hits) == 3, searched.stderr.strip()[-200:])
    missing = run("verify", root=cloud.missing)
    check("a missing bucket", missing.returncode == 66, f"exit {missing.returncode} {missing.stderr.strip()[-200:] if missing.returncode != 66 else ''}")
    wrong = run("verify", **cloud.wrong_env)
    told = cloud.secret not in wrong.stdout + wrong.stderr
    check("a wrong key, which is shown nowhere", wrong.returncode == 77 and told, f"exit {wrong.returncode} {wrong.stderr.strip()[-200:] if wrong.returncode != 77 else ''}")
    ask_sources(cloud, scene, check, run)
    # Two machines with a newer version of the source: one release more, and who comes second is told.
    racers = [scene.start(f"{cloud.root}/store", "run", "next.yaml", env=cloud.env, cache=scene.folder / f"racer-{number}") for number in range(2)]
    said = [racer.communicate() for racer in racers]
    codes = sorted(racer.returncode for racer in racers)
    check("two runs at once", codes == [0, 73], f"exit {codes} {[error.strip()[-200:] for _, error in said] if codes != [0, 73] else ''}")
    same = codes == [0, 73] and scene.found(View(cloud, newest=2)).digests == scene.next.digests
    check("the newer release has the digests of a local run", same and run("verify").returncode == 0)


def ask_sources(cloud, scene, check, run):
    """The data sets and weights to begin with lie in the bucket too; then a file of them is another one."""
    weights = next((scene.folder / "first").glob("artifacts/checkpoint/*/model.safetensors"))

    def local(muge):
        text = SOURCES.replace("ROOT", str(scene.folder / muge)).replace("SURFACES", str(SURFACES)).replace("WEIGHTS", str(weights))
        (scene.folder / "local.yaml").write_text(text)
        return scene.undisturbed("local.yaml", scene.folder / "local").digests

    def send(folder, name):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            cloud.write(f"data/{name}/{path.relative_to(folder)}", path.read_bytes())

    def told(done):
        return done.stderr.strip()[-300:] if done.returncode else ""

    send(scene.folder / "muge", "muge")
    send(SURFACES, "surfaces")
    cloud.write("data/start.safetensors", weights.read_bytes())
    places = {"ROOT": "muge", "SURFACES": "surfaces", "WEIGHTS": "start.safetensors"}
    text = SOURCES
    for word, place in places.items():
        text = text.replace(word, f"{cloud.root}/data/{place}")
    (scene.folder / "source.yaml").write_text(text)
    made = run("run", "source.yaml", store="from-source")
    digests, expected = scene.found(View(cloud, "from-source")).digests if made.returncode == 0 else {}, local("muge")
    check("sources and weights in the bucket make what local ones make", digests == expected, f"{len(digests)} of {len(expected)} files {told(made)}")
    short = scene.run(scene.folder / "here", "run", "source.yaml", "--request-budget", "3", env=cloud.env)
    check("a store on this machine, and more requests for its sources than it may make", short.returncode == 75 and "budget of 3" in short.stderr, told(short))
    again = run("run", "source.yaml", "--json", store="from-source")
    reused = again.returncode == 0 and all(step["reused"] for step in json.loads(again.stdout.splitlines()[-1])["steps"])
    check("while they stay as they are they are not read again", reused, told(again))
    send(scene.folder / "muge-next", "muge")
    changed = run("run", "source.yaml", store="from-source")
    digests, expected = scene.found(View(cloud, "from-source", newest=2)).digests if changed.returncode == 0 else {}, local("muge-next")
    check("a source that changed in the bucket is read again", digests == expected, f"{len(digests)} of {len(expected)} files {told(changed)}")
