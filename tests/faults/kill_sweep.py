"""Kills an unmodified program at chosen system calls: `kill_sweep.py TUWEN [TRIALS [FIRST]]`. Needs strace.

A small pipeline of every kind of stage runs under `strace -f -e inject=CALL:signal=KILL:when=K`: the K-th CALL of a thread ends the process at
once. Then what is published must be nothing or whole (`tuwen verify`), and the plain command again must end with the digests of an undisturbed run
and one release. TRIALS (320) are spread over the calls, K growing from FIRST (1) until a run gets through, then in smaller steps between. Prints a table; any difference fails. Python's standard
library only.
"""
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CALLS = ["write", "pwrite64", "openat", "rename", "link,linkat", "unlink,unlinkat", "fsync", "fdatasync", "mkdir", "ftruncate", "mmap", "flock", "rmdir"]
PIPELINE = """kind: Pipeline
version: 1
name: sweep
seed: 7
stages:
  - { id: muge, kind: ingest, source: { format: chinese-clip, root: muge, splits: [train, valid] } }
  - { id: audit, kind: audit, needs: { data: [muge] } }
  - { id: base, kind: model, preset: ViT-tiny-16 }
  - { id: tuned, kind: finetune, needs: { model: base, data: muge }, epochs: 2, batch_size: 8, learning_rate: 1e-3, warmup_steps: 1, save_every_steps: 1 }
  - { id: vectors, kind: embed, needs: { models: [base, tuned], data: [muge] } }
  - { id: index, kind: index, needs: { embeddings: vectors, model: tuned } }
  - { id: scores, kind: evaluate, needs: { embeddings: vectors, audit: audit, index: index } }
  - { id: report, kind: report, needs: { scores: scores, index: index }, queries: [红心] }
"""


def make_data(folder):
    """The first rows of the sample: six images for training, four for validation, one caption each."""
    source = REPOSITORY / "sample_data/flickr30k-cn"
    (folder / "muge").mkdir()
    for split, count in (("train", 6), ("valid", 4)):
        images = (source / f"{split}_imgs.tsv").read_text().splitlines()[:count]
        ids = {int(line.split("\t")[0]) for line in images}
        texts = [line for line in (source / f"{split}_texts.jsonl").read_text().splitlines() if json.loads(line)["image_ids"][0] in ids]
        (folder / f"muge/{split}_imgs.tsv").write_text("\n".join(images) + "\n")
        (folder / f"muge/{split}_texts.jsonl").write_text("\n".join(texts[: 2 * count]) + "\n")
    (folder / "sweep.yaml").write_text(PIPELINE)


def digests(store):
    """Digest by stage and file of every sealed artifact. tantivy draws the names of its files at random."""
    found = {}
    for path in store.glob("artifacts/*/*/manifest.json"):
        manifest = json.loads(path.read_text())
        for file in manifest["files"]:
            if not file["path"].startswith("keywords/") or file["path"].endswith(".bounds"):
                found[(manifest["stage"], file["path"])] = file["digest"]
    return found


class Sweep:
    def __init__(self, tuwen, folder):
        self.tuwen, self.folder = tuwen, folder

    def run(self, store, *arguments, under=()):
        command = [*under, self.tuwen, *arguments, "--store", str(store), "--cache", str(store) + "-cache", "--quiet"]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder)

    def pair(self, store, arguments, under):
        """Two processes of the same arguments at once, the first of them under `under`."""
        command = [self.tuwen, *arguments, "--store", str(store), "--cache", str(store) + "-cache", "--quiet"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": self.folder}
        children = [subprocess.Popen([*before, *command], **pipes) for before in (under, [])]
        outputs = [child.communicate() for child in children]
        return [subprocess.CompletedProcess(command, child.returncode, *output) for child, output in zip(children, outputs)]

    def releases(self, store):
        return sorted(path.name for path in store.glob("releases/sweep/*.json"))

    def trial(self, expected, calls, k):
        """None if the run got through, else what was wrong, or an empty text."""
        store = self.folder / "store"
        for path in (store, Path(str(store) + "-cache")):
            shutil.rmtree(path, ignore_errors=True)
        under = ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:signal=KILL:when={k}"]
        killed = self.run(store, "run", "sweep.yaml", under=under)
        if killed.returncode == 0:
            return None
        wrong = []
        if self.releases(store) and self.run(store, "verify").returncode:
            wrong.append("a release that is not whole")
        again = self.run(store, "run", "sweep.yaml")
        if again.returncode:
            wrong.append(f"the same command ends with {again.returncode}: {again.stderr.strip()[-200:]}")
        if digests(store) != expected:
            wrong.append("other digests")
        if self.releases(store) != ["00000000000000000001.json"]:
            wrong.append(f"releases {self.releases(store)}")
        if self.run(store, "verify").returncode:
            wrong.append("verify fails at the end")
        return "; ".join(wrong)


def places(first, trials, through):
    """Calls with growing counts, until every call is known to happen less often; then again in smaller steps between those."""
    tried = set()
    for part in range(4, 4 + trials):
        k = first
        while any(k < through.get(calls, 1 << 30) for calls in CALLS):
            for calls in CALLS:
                if k < through.get(calls, 1 << 30) and (calls, k) not in tried:
                    tried.add((calls, k))
                    yield calls, k
            k += max(1, k // part)


def main(tuwen, trials=320, first=1):
    folder = Path(tempfile.mkdtemp())
    try:
        make_data(folder)
        sweep = Sweep(tuwen, folder)
        whole = sweep.run(folder / "whole", "run", "sweep.yaml")
        if whole.returncode:
            raise SystemExit(f"the undisturbed run ended with {whole.returncode}: {whole.stderr}")
        expected = digests(folder / "whole")
        rows, bad = {calls: [0, 0, 0] for calls in CALLS}, 0
        for calls, k in places(first, trials, through := {}):
            verdict = sweep.trial(expected, calls, k)
            if verdict is None:
                through[calls] = k
                continue
            rows[calls][0] += 1
            rows[calls][1] += verdict == ""
            rows[calls][2] = max(rows[calls][2], k)
            if verdict:
                bad += 1
                print(f"BAD {calls} {k}: {verdict}", flush=True)
            if sum(tries for tries, _, _ in rows.values()) == trials:
                break
        print(f"\n{len(expected)} files of every kind of stage\n\n| killed at | tries | survived | last k |\n|---|---:|---:|---:|")
        for calls, (tries, survived, last) in rows.items():
            print(f"| {calls.split(',')[0]} | {tries} | {survived} | {last} |")
        done = sum(tries for tries, _, _ in rows.values())
        print(f"| all | {done} | {done - bad} | |")
        raise SystemExit(1 if bad or done == 0 else 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:4]))
