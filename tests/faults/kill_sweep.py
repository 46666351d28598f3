"""Kills the program at chosen system calls: `kill_sweep.py TUWEN [TRIALS [FIRST]]`. Needs strace.

`strace -f -e inject=CALL:signal=KILL:when=K`: the K-th CALL of a thread ends the process at once. TRIALS (320) are spread over the calls, K growing from
FIRST (1) until a run gets through, then in smaller steps between. Prints a table; any difference fails. Python's standard library only.
"""
import shutil
import signal
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor, wait

from harness import Row, Scene, injecting, remove_store

CALLS = ["write", "pwrite64", "openat", "rename", "link,linkat", "unlink,unlinkat", "fsync", "fdatasync", "mkdir", "ftruncate", "mmap", "flock", "rmdir"]
# Runs at the same time, each with a store of its own.
JOBS = 2


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
    """A row for every call; its note is the largest K that ended a run. Stopped by SIGINT it answers with what it has."""
    rows, last, through, lock = {calls: Row(f"killed at {calls.split(',')[0]}") for calls in CALLS}, {}, {}, threading.Lock()
    waiting, tries, running, stopped = places(first, trials, through), 0, 0, threading.Event()

    def work(store):
        nonlocal tries, running
        while not stopped.is_set():
            with lock:
                place = next(waiting, None) if tries + running < trials else None
                if place is None:
                    return
                running += 1
            calls, k = place
            remove_store(store)
            killed = scene.run(store, "run", "sweep.yaml", under=injecting(f"{calls}:signal=KILL:when={k}"))
            verdict = scene.judge(store, scene.first) if killed.returncode else None
            with lock:
                running -= 1
                if verdict is None:
                    through[calls] = min(k, through.get(calls, k))
                    continue
                if killed.returncode != -signal.SIGKILL:
                    verdict.wrong.append(f"was not killed but ended with {killed.returncode}: {killed.stderr.strip()[-300:]}")
                tries, last[calls] = tries + 1, max(last.get(calls, 0), k)
                rows[calls].add(f"the {k}th", killed.returncode, verdict)
                if tries % 20 == 0:
                    print(f"killed {tries} times, survived {sum(row.survived for row in rows.values())}; now at the {k}th {calls}", flush=True)

    with ThreadPoolExecutor(JOBS) as pool:
        workers = [pool.submit(work, scene.folder / f"store-{number}") for number in range(JOBS)]
        try:
            wait(workers)
        except KeyboardInterrupt:
            stopped.set()
        for worker in workers:
            worker.result()
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
