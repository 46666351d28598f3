"""Kills shard workers at chosen system calls: `kill_shards.py TUWEN [TRIALS]`. Needs strace.

The K-th CALL of a thread ends a process at once: a worker alone, a worker with a second one of the same index beside it, or the run that joins the shards. Then the
same worker again must end well, and the plain run must end with the digests of an undisturbed run and leave nothing of the shards. TRIALS (120) are spread over
calls and cases, K growing until a process gets through. Prints a table; any difference fails.
"""
import shutil
import sys
import tempfile
from pathlib import Path

from harness import LocalView, Row, Scene, Verdict, compare, copy_store, injecting, make_data, remove_store

CALLS = ["write", "openat", "rename", "link,linkat", "unlink,unlinkat", "fsync", "mkdir", "flock"]
PIPELINE = """kind: Pipeline
version: 1
name: sweep
seed: 7
stages:
  - { id: muge, kind: ingest, source: { format: chinese-clip, root: muge, splits: [train, valid] } }
  - { id: base, kind: model, preset: ViT-tiny-16 }
  - { id: vectors, kind: embed, needs: { models: [base], data: [muge] } }
"""
CASES = ["worker", "worker beside another", "joining run"]
WORKER = ["shard", "run", "sweep.yaml", "--stage", "vectors", "--index", "0", "--of", "2"]


class Workers(Scene):
    """A pipeline whose last stage divides, with everything before it made."""

    def __init__(self, tuwen, folder):
        self.tuwen, self.folder = str(Path(tuwen).resolve()), Path(folder)
        make_data(self.folder)
        (self.folder / "sweep.yaml").write_text(PIPELINE)
        for stage in ("muge", "base"):
            self.run(self.folder / "inputs", "run", "sweep.yaml", "--until", stage)
        self.whole = self.undisturbed("sweep.yaml", self.folder / "whole")

    def trial(self, case, calls, k):
        """None if what was to be killed got through, else its exit code and what was wrong."""
        store, wrong = self.folder / "store", []
        copy_store(self.folder / "inputs", store)
        under = injecting(f"{calls}:signal=KILL:when={k}")
        if case == "joining run":
            # The run that joins what a worker made is the one that is killed.
            self.run(store, *WORKER)
            killed = self.run(store, "run", "sweep.yaml", under=under)
        elif case == "worker beside another":
            other = self.start(store, *WORKER)
            killed = self.run(store, *WORKER, under=under)
            _, said = other.communicate()
            if other.returncode:
                wrong.append(f"a worker beside it ends with {other.returncode}: {said.strip()[-200:]}")
        else:
            killed = self.run(store, *WORKER, under=under)
        if killed.returncode == 0:
            return None
        for what, arguments in (("worker", WORKER), ("run", ["run", "sweep.yaml"])):
            again = self.run(store, *arguments)
            if again.returncode:
                wrong.append(f"the {what} again ends with {again.returncode}: {again.stderr.strip()[-200:]}")
        verdict = Verdict(wrong)
        view = LocalView(store)
        self.published(store, view, [self.whole.artifacts], verdict, needed=True)
        if view.releases():
            compare(self.found(view), self.whole, verdict)
        left = [path for path in (store / "work").rglob("*") if path.is_file()]
        if case != "joining run" and left:
            verdict.wrong.append(f"left of the shards: {left[:3]}")
        return killed.returncode, verdict


def sweep(workers, trials):
    """A row for every case; its note is the largest K of all calls. Stopped by SIGINT it answers with what it has."""
    places = [(case, calls) for calls in CALLS for case in CASES]
    rows, through, k, done, last = {case: Row(f"shards: {case} killed") for case in CASES}, set(), 1, 0, {}
    try:
        while done < trials and len(through) < len(places):
            for case, calls in places:
                if (case, calls) in through or done == trials:
                    continue
                found = workers.trial(case, calls, k)
                if found is None:
                    # Beside another the worker may find nothing left to do where it is killed alone: that says nothing of larger counts.
                    if case != "worker beside another" or ("worker", calls) in through:
                        through.add((case, calls))
                    continue
                done, last[case] = done + 1, k
                rows[case].add(f"the {k}th {calls}", *found)
                if done % 20 == 0:
                    print(f"killed {done} times, survived {sum(row.survived for row in rows.values())}; now at the {k}th {calls}", flush=True)
            k += max(1, k // 4)
    except KeyboardInterrupt:
        print(f"stopped after {done} tries", flush=True)
    remove_store(workers.folder / "store")
    for case, row in rows.items():
        row.note = f"largest k {last.get(case, 0)}"
    return [row for row in rows.values() if row.tries]


def main(scene):
    """Part of a run of every fault."""
    folder = tempfile.mkdtemp(dir=scene.folder)
    return sweep(Workers(scene.tuwen, folder), 24)


if __name__ == "__main__":
    folder = tempfile.mkdtemp()
    try:
        found = sweep(Workers(sys.argv[1], folder), *map(int, sys.argv[2:3] or [120]))
        print("| fault | tries | survived | lost rows | mixed | |\n|---|---:|---:|---:|---:|---|", *(row.cells() for row in found), sep="\n")
        raise SystemExit(1 if not found or any(row.problems for row in found) else 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
