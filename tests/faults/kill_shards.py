"""Kills shard workers at chosen system calls: `kill_shards.py TUWEN [TRIALS]`. Needs strace.

The K-th CALL of a thread ends a process at once: a worker alone, a worker with a second one of the same index beside it, or the run that joins the shards. Then the
same worker again must end well, and the plain run must end with the digests of an undisturbed run and leave nothing of the shards. TRIALS (120) are spread over
calls and cases, K growing until a process gets through. Prints a table; any difference fails.
"""
import shutil
import sys
import tempfile
from pathlib import Path

from kill_sweep import Sweep, digests, make_data

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


def trial(sweep, case, expected, calls, k):
    """None if what was to be killed got through, else what was wrong, or an empty text."""
    store, folder = sweep.folder / "store", sweep.folder
    for path in (store, Path(str(store) + "-cache")):
        shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(folder / "inputs", store)
    under = ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:signal=KILL:when={k}"]
    joins, wrong = case == "joining run", []
    if joins:
        # The run that joins what a worker made is the one that is killed.
        sweep.run(store, *WORKER)
        killed = sweep.run(store, "run", "sweep.yaml", under=under)
    elif case == "worker beside another":
        killed, other = sweep.pair(store, WORKER, under)
        if other.returncode:
            wrong.append(f"a worker beside it ends with {other.returncode}: {other.stderr.strip()[-200:]}")
    else:
        killed = sweep.run(store, *WORKER, under=under)
    if killed.returncode == 0:
        return None
    again = sweep.run(store, *WORKER)
    if again.returncode:
        wrong.append(f"the worker again ends with {again.returncode}: {again.stderr.strip()[-200:]}")
    joined = sweep.run(store, "run", "sweep.yaml")
    if joined.returncode:
        wrong.append(f"the run ends with {joined.returncode}: {joined.stderr.strip()[-200:]}")
    if digests(store) != expected:
        wrong.append("other digests")
    if not joins and (left := [path for path in (store / "work").rglob("*") if path.is_file()]):
        wrong.append(f"left of the shards: {left[:3]}")
    if sweep.releases(store) != ["00000000000000000001.json"] or sweep.run(store, "verify").returncode:
        wrong.append("the release is not whole")
    return "; ".join(wrong)


def main(tuwen, trials=120):
    folder = Path(tempfile.mkdtemp())
    try:
        make_data(folder)
        (folder / "sweep.yaml").write_text(PIPELINE)
        sweep = Sweep(tuwen, folder)
        for stage in ("muge", "base"):
            sweep.run(folder / "inputs", "run", "sweep.yaml", "--until", stage)
        whole = sweep.run(folder / "whole", "run", "sweep.yaml")
        if whole.returncode:
            raise SystemExit(f"the undisturbed run ended with {whole.returncode}: {whole.stderr}")
        expected = digests(folder / "whole")
        places = [(case, calls) for calls in CALLS for case in CASES]
        rows, through, bad, done, k = {place: [0, 0, 0] for place in places}, set(), 0, 0, 1
        while done < trials and len(through) < len(places):
            for place in places:
                if place in through or done == trials:
                    continue
                verdict = trial(sweep, place[0], expected, place[1], k)
                if verdict is None:
                    through.add(place)
                    continue
                done += 1
                rows[place] = [rows[place][0] + 1, rows[place][1] + (verdict == ""), k]
                if verdict:
                    bad += 1
                    print(f"BAD {place} {k}: {verdict}", flush=True)
            k += max(1, k // 4)
        print("\n| killed | at | tries | survived | largest k |\n|---|---|---:|---:|---:|")
        for (case, calls), (tries, survived, last) in rows.items():
            print(f"| {case} | {calls.split(',')[0]} | {tries} | {survived} | {last} |")
        print(f"| all | | {done} | {done - bad} | |")
        raise SystemExit(1 if bad or done == 0 else 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
