"""System calls that fail: fsync, rename, link, write and the like answer EIO, ENOSPC, EMFILE or EINTR at chosen places. Needs strace.

A run that meets such an error ends with 74, or gets through where the call was about something that can be done without.
"""
from harness import Row, copy_store, injecting, remove_store, spread

# Call, error, and the largest number of such calls that one thread makes in a run.
FAILURES = [
    ("fsync", "EIO", 220), ("fdatasync", "EIO", 19), ("msync", "EIO", 4), ("rename", "EIO", 52), ("rename", "ENOSPC", 52),
    ("link,linkat", "EIO", 9), ("link,linkat", "ENOSPC", 9), ("write", "EIO", 540), ("write", "ENOSPC", 540), ("pwrite64", "ENOSPC", 12),
    ("pwrite64", "EIO", 12), ("mkdir", "ENOSPC", 126), ("openat", "EMFILE", 700), ("unlink,unlinkat", "EIO", 70), ("read", "EIO", 500),
    ("ftruncate", "ENOSPC", 8),
]
STORMS = ["write", "read", "fsync", "openat", "pwrite64", "fdatasync", "write,read,openat,fsync,pwrite64,fdatasync,ftruncate"]
LOADER_CALLS = 16
TRIES = 3


def main(scene, tries=TRIES):
    store, rows = scene.folder / "store", []
    for calls, error, count in FAILURES:
        row = Row(f"{calls.split(',')[0]} answers {error}")
        for at, k in enumerate(spread(tries, count)):
            # Every other time the disk stays broken from there on, and the run is to replace an older release.
            once, later = at % 2 == 0, at % 2 == 1
            attempt(scene, row, store, f"{calls}:error={error}:when={k}{'' if once else '+'}", later)
        if row.tries:
            rows.append(row)
            print(f"{row.fault}: {row.survived} of {row.tries}", flush=True)
    row = Row("EINTR at every 3rd call")
    for calls in STORMS:
        # The loader, whose calls come first, does not try again.
        attempt(scene, row, store, f"{calls}:error=EINTR:when={LOADER_CALLS}+3", False)
    return [*rows, row]


def attempt(scene, row, store, rule, later):
    if later:
        copy_store(scene.folder / "first", store)
    else:
        remove_store(store)
    pipeline, whole, before = ("next.yaml", scene.next, [scene.first.artifacts]) if later else ("sweep.yaml", scene.first, [])
    log = scene.folder / "calls"
    done = scene.run(store, "run", pipeline, under=injecting(rule, log))
    if done.returncode == 0 and "INJECTED" not in log.read_text(errors="replace"):
        return
    if done.returncode == 127 and "loading shared libraries" in done.stderr:
        # The call was the loader's: the program never began.
        return
    verdict = scene.judge(store, whole, pipeline, before)
    if done.returncode not in (0, 74):
        verdict.wrong.append(f"ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    row.add(rule, done.returncode, verdict)
