"""Kills the program at chosen system calls: `kill_sweep.py TUWEN [TRIALS [FIRST]]`. Needs strace.

`strace -f -e inject=CALL:signal=KILL:when=K`: the K-th CALL of a thread ends the process at once. TRIALS (320) are spread over the calls, K growing from
FIRST (1) until a run gets through, then in smaller steps between. Prints a table; any difference fails. Python's standard library only.
"""
import shutil
import sys
import tempfile

from harness import Row, Scene, injecting, remove_store

CALLS = ["write", "pwrite64", "openat", "rename", "link,linkat", "unlink,unlinkat", "fsync", "fdatasync", "mkdir", "ftruncate", "mmap", "flock", "rmdir"]


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


def sweep(scene, trials, first=1):
    """A row for every call; its note is the largest K that ended a run."""
    rows, store = {calls: Row(f"killed at {calls.split(',')[0]}") for calls in CALLS}, scene.folder / "store"
    last = {}
    for calls, k in places(first, trials, through := {}):
        remove_store(store)
        killed = scene.run(store, "run", "sweep.yaml", under=injecting(f"{calls}:signal=KILL:when={k}"))
        if killed.returncode == 0:
            through[calls] = k
            continue
        last[calls] = max(last.get(calls, 0), k)
        rows[calls].add(f"the {k}th", killed.returncode, scene.judge(store, scene.first))
        if sum(row.tries for row in rows.values()) >= trials:
            break
    for calls, row in rows.items():
        row.note = f"largest k {last.get(calls, 0)}"
    return [row for row in rows.values() if row.tries]


def main(scene):
    """Part of a run of every fault: few places of each call."""
    return sweep(scene, 26)


if __name__ == "__main__":
    folder = tempfile.mkdtemp()
    try:
        found = sweep(Scene(sys.argv[1], folder), *map(int, sys.argv[2:4] or [320]))
        print("| fault | tries | survived | lost rows | mixed | |\n|---|---:|---:|---:|---:|---|", *(row.cells() for row in found), sep="\n")
        print(f"{sum(row.survived for row in found)} of {sum(row.tries for row in found)} survived")
        raise SystemExit(1 if not found or any(row.problems for row in found) else 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
