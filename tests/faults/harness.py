"""What every fault needs: a small pipeline of every kind of stage, two versions of its source, and the judgement of a store after a fault.

A fault is a file of this folder with `main(scene)`, which yields one `Row` for each way in which it broke something. Whatever happened, three things
are asked of a store: what is published is whole and is the release of before or the new one; the plain command again ends well; then every file has
the digest, and every stage the rows, of an undisturbed run.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests/object_store"))

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tuwen"
WEED = Path(os.environ.get("TUWEN_OBJECT_STORE", CACHE / "object-store")) / "bin/weed"
SERVERS = Path(os.environ.get("TUWEN_FAULT_SERVERS", CACHE / "fault-servers"))
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
TIMEOUT = 300

PIPELINE = """kind: Pipeline
version: 1
name: sweep
seed: 7
stages:
  - { id: muge, kind: ingest, source: { format: chinese-clip, root: ROOT, splits: [train, valid] } }
  - { id: audit, kind: audit, needs: { data: [muge] } }
  - { id: base, kind: model, preset: ViT-tiny-16 }
  - { id: tuned, kind: finetune, needs: { model: base, data: muge }, epochs: 2, batch_size: 8, learning_rate: 1e-3, warmup_steps: 1, save_every_steps: 1 }
  - { id: vectors, kind: embed, needs: { models: [base, tuned], data: [muge] } }
  - { id: index, kind: index, needs: { embeddings: vectors, model: tuned } }
  - { id: scores, kind: evaluate, needs: { embeddings: vectors, audit: audit, index: index } }
  - { id: report, kind: report, needs: { scores: scores, index: index }, queries: [红心] }
"""


@dataclass
class Row:
    """What came of one kind of fault."""
    fault: str
    tries: int = 0
    survived: int = 0
    lost: int = 0
    mixed: int = 0
    endings: dict = field(default_factory=dict)
    problems: list = field(default_factory=list)
    note: str = ""

    def add(self, what, code, verdict):
        """One try: how the disturbed command ended and what was wrong afterwards."""
        self.tries += 1
        self.survived += not verdict.wrong
        self.lost += verdict.lost
        self.mixed += verdict.mixed
        if code is not None:
            self.endings[code] = self.endings.get(code, 0) + 1
        if verdict.wrong:
            self.problems.append(f"{what}: {'; '.join(verdict.wrong)}")
            print(f"BAD {self.fault}, {self.problems[-1]}", flush=True)

    def check(self, what, good, found="", code=None):
        """One try that is judged by a single condition."""
        self.add(what, code, Verdict(wrong=[] if good else [str(found)[-300:] or "not as it should be"]))

    def cells(self):
        ends = ", ".join(f"{code} × {count}" for code, count in sorted(self.endings.items()))
        return f"| {self.fault} | {self.tries} | {self.survived} | {self.lost} | {self.mixed} | {'; '.join(filter(None, [ends, self.note]))} |"


@dataclass
class Verdict:
    """What is wrong with a store after a fault: rows that are missing, releases of parts that do not belong together, anything else."""
    wrong: list = field(default_factory=list)
    lost: int = 0
    mixed: int = 0


@dataclass
class Whole:
    """What an undisturbed run makes."""
    digests: dict
    rows: dict
    artifacts: dict


def make_data(folder):
    """The first rows of the sample, and a second version of them with one image more in every split."""
    source = REPOSITORY / "sample_data/flickr30k-cn"
    for name, more in (("muge", 0), ("muge-next", 1)):
        (folder / name).mkdir()
        for split, count in (("train", 6 + more), ("valid", 4 + more)):
            images = (source / f"{split}_imgs.tsv").read_text().splitlines()[:count]
            ids = {int(line.split("\t")[0]) for line in images}
            texts = [line for line in (source / f"{split}_texts.jsonl").read_text().splitlines() if json.loads(line)["image_ids"][0] in ids]
            (folder / name / f"{split}_imgs.tsv").write_text("\n".join(images) + "\n")
            (folder / name / f"{split}_texts.jsonl").write_text("\n".join(texts[: 2 * count]) + "\n")
    (folder / "sweep.yaml").write_text(PIPELINE.replace("ROOT", str(folder / "muge")))
    (folder / "next.yaml").write_text(PIPELINE.replace("ROOT", str(folder / "muge-next")))
    (folder / "other.yaml").write_text(PIPELINE.replace("ROOT", str(folder / "muge")).replace("红心", "风景"))


def named(path):
    """tantivy draws the names of its files at random."""
    return "keywords/" not in path or path.endswith((".bounds", "/order"))


class LocalView:
    """Reads a store in a folder."""

    def __init__(self, root):
        self.root = Path(root)

    def read(self, key):
        return (self.root / key).read_bytes()

    def releases(self):
        return sorted(path.name for path in self.root.glob("releases/sweep/*.json"))


class Scene:
    """The program, its data, and what undisturbed runs make of them."""

    def __init__(self, tuwen, folder):
        self.tuwen, self.folder = str(Path(tuwen).resolve()), Path(folder)
        make_data(self.folder)
        began = time.monotonic()
        self.first = self.undisturbed("sweep.yaml", self.folder / "first")
        self.seconds = time.monotonic() - began
        copy_store(self.folder / "first", self.folder / "both")
        self.next = self.undisturbed("next.yaml", self.folder / "both")
        copy_store(self.folder / "first", self.folder / "third")
        self.other = self.undisturbed("other.yaml", self.folder / "third")

    def undisturbed(self, pipeline, store):
        done = self.run(store, "run", pipeline)
        if done.returncode:
            raise SystemExit(f"the undisturbed run of {pipeline} ended with {done.returncode}: {done.stderr}")
        return self.found(LocalView(store))

    def command(self, store, *arguments, cache=None):
        beside = f"{store}-cache" if "://" not in str(store) else self.folder / ("cache-" + str(store).rsplit("/", 1)[-1])
        return [self.tuwen, *arguments, "--store", str(store), "--cache", str(cache or beside), "--quiet"]

    def start(self, store, *arguments, under=(), env=None, cache=None, **options):
        return subprocess.Popen([*under, *self.command(store, *arguments, cache=cache)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                cwd=self.folder, env={**os.environ, **(env or {})}, **options)

    def run(self, store, *arguments, under=(), env=None, cache=None, timeout=TIMEOUT):
        child = self.start(store, *arguments, under=under, env=env, cache=cache, start_new_session=True)
        try:
            out, err = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            out, err = child.communicate()
            err += f"\n(ended after {timeout} s)"
        return subprocess.CompletedProcess(child.args, child.returncode, out, err)

    def found(self, view):
        """The newest release of a store as the digests, rows and artifacts of its stages."""
        release = json.loads(view.read(f"releases/sweep/{view.releases()[-1]}"))
        digests, rows = {}, {}
        for stage, key in release["artifacts"].items():
            manifest = json.loads(view.read(f"artifacts/{key['kind']}/{key['fingerprint']}/manifest.json"))
            stats = manifest["stats"]
            counts = [stats.get(name, 0) for name in ("rows_in", "rows_out", "rows_quarantined", "rows_left_out")]
            rows[stage] = counts
            digests.update({(stage, file["path"]): file["digest"] for file in manifest["files"] if named(file["path"])})
        return Whole(digests, rows, release["artifacts"])

    def judge(self, store, whole, pipeline="sweep.yaml", before=(), view=None, env=None, options=(), again=True):
        """What is wrong with a store whose run of `pipeline` was disturbed. `before`: artifacts of the release that was there, if one was."""
        verdict, view = Verdict(), view or LocalView(store)
        self.published(store, view, [whole.artifacts, *before], verdict, env)
        if again:
            done = self.run(store, "run", pipeline, *options, env=env)
            if done.returncode:
                verdict.wrong.append(f"the same command ends with {done.returncode}: {done.stderr.strip()[-300:]}")
        self.published(store, view, [whole.artifacts], verdict, env, needed=True)
        if view.releases():
            compare(self.found(view), whole, verdict)
        if len(view.releases()) != len(before) + 1:
            verdict.wrong.append(f"releases {view.releases()}")
        return verdict

    def published(self, store, view, allowed, verdict, env=None, needed=False):
        """The newest release, if there is one, is one of those allowed and is whole."""
        numbers = view.releases()
        if not numbers:
            if needed:
                verdict.wrong.append("nothing is published")
            return
        if json.loads(view.read(f"releases/sweep/{numbers[-1]}"))["artifacts"] not in allowed:
            verdict.mixed += 1
            verdict.wrong.append(f"release {numbers[-1]} is none of those it may be")
        checked = self.run(store, "verify", env=env)
        if checked.returncode:
            verdict.mixed += 1
            verdict.wrong.append(f"release {numbers[-1]} is not whole: {checked.stderr.strip()[-300:]}")


def compare(found, whole, verdict):
    """Rows in are rows out, as many as in the undisturbed run; every file has its digest."""
    for stage, (rows_in, *accounted) in found.rows.items():
        lost = max(0, rows_in - sum(accounted)) + sum(max(0, a - b) for a, b in zip(whole.rows.get(stage, []), found.rows[stage]))
        if lost:
            verdict.lost += lost
            verdict.wrong.append(f"{stage}: {lost} rows lost")
    other = sorted(name for name in found.digests.keys() | whole.digests.keys() if found.digests.get(name) != whole.digests.get(name))
    if other:
        verdict.wrong.append(f"other digests: {other[:3]}")


def copy_store(source, target):
    remove_store(target)
    for end in ("", "-cache"):
        if Path(f"{source}{end}").is_dir():
            shutil.copytree(f"{source}{end}", f"{target}{end}")


def remove_store(store):
    for end in ("", "-cache"):
        shutil.rmtree(f"{store}{end}", ignore_errors=True)


def injecting(rule, log="/dev/null"):
    """The command before a command whose system calls are interfered with."""
    calls = rule.split(":")[0]
    return ["strace", "-f", "-qqq", "-o", str(log), "-e", f"trace={calls}", "-e", f"inject={rule}"]


def stopped_child(tracer):
    """The process under strace, if all of it stands still, and not only for a moment between two calls."""
    try:
        for child in Path(f"/proc/{tracer}/task/{tracer}/children").read_text().split():
            for _ in range(3):
                if not set(states(child)) <= set("Tt"):
                    break
                time.sleep(0.004)
            else:
                return int(child)
    except OSError:
        pass
    return None


def states(process):
    """State of every thread, a letter each."""
    return [Path(f"/proc/{process}/task/{task}/stat").read_text().rsplit(")", 1)[1].split()[0] for task in os.listdir(f"/proc/{process}/task")]


def wait_for(port, server, seconds=60):
    """Until the server listens on a port of this machine."""
    for _ in range(10 * seconds):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"the server on port {port} did not start")


def spread(count, last, first=1):
    """`count` numbers from `first` to `last`, closer together at the start."""
    if last <= first or count < 2:
        return [first]
    found = [round(first * (last / first) ** (at / (count - 1))) for at in range(count)]
    return sorted(set(found))
