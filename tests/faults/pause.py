"""A run that is paused (SIGSTOP) and wakes after another one published: it must end with 73 and the newer release must stand.

In a folder with `--lock none` (with a lock the other run is refused), paused at manifests and between the last look and the link of the release; in an
object store paused while its probe or its release is on the wire, its lease run out by the clock of the other machine.
"""
import json
import os
import re
import signal
import threading
import time

from harness import FAKETIME, LocalView, Row, copy_store, injecting, stopped_child
from remote import Remote


def main(scene):
    rows = [Row("paused publisher, folder, --lock none"), Row("paused publisher, folder, locked"), Row("paused publisher, S3")]
    store = scene.folder / "store"
    for rule in [*(f"link,linkat:signal=STOP:when={k}" for k in (2, 5, 7)), f"fsync:signal=STOP:when={fsyncs_before_release(scene)}"]:
        local(scene, rows[0], store, rule, "none")
    local(scene, rows[1], store, "link,linkat:signal=STOP:when=4", "fail")
    with Remote(scene) as remote:
        for number, part in enumerate(("/probe/", "/releases/sweep/", "/artifacts/report/")):
            in_s3(scene, rows[2], remote, remote.store(f"pause-{number}"), part)
    return rows


def fsyncs_before_release(scene):
    """How many times the publishing thread called fsync when it is about to link the second release."""
    store, log = scene.folder / "store", scene.folder / "calls"
    copy_store(scene.folder / "first", store)
    done = scene.run(store, "run", "next.yaml", under=["strace", "-f", "-qqq", "-s", "300", "-o", str(log), "-e", "trace=fsync,link,linkat"])
    assert done.returncode == 0, done.stderr
    counts = {}
    for line in log.read_text(errors="replace").splitlines():
        process, call = re.match(r"(\d+)\s+(\w+|<)", line).groups()
        if call == "fsync":
            counts[process] = counts.get(process, 0) + 1
        elif call.startswith("link") and "/releases/sweep/" in line:
            return counts[process]
    raise SystemExit("the run linked no release")


def local(scene, row, store, rule, lock):
    copy_store(scene.folder / "first", store)
    paused = scene.start(store, "run", "next.yaml", "--lock", lock, under=injecting(rule))
    child = wait_until_stopped(paused)
    other = scene.run(store, "run", "other.yaml", "--lock", lock, cache=scene.folder / "other-cache")
    os.kill(child, signal.SIGCONT)
    _, errors = paused.communicate(timeout=120)
    expected = (0, 73) if lock == "none" else (73, 0)
    stands = scene.other if lock == "none" else scene.next
    judge(row, scene, store, rule, (other.returncode, paused.returncode), expected, stands, LocalView(store), other.stderr + errors)


def judge(row, scene, store, what, codes, expected, stands, view, errors, env=None):
    """The release that has to stand does, whole; the paused run's work is not lost: once repeated it is release 3."""
    row.check(f"{what}: the other and the paused run", codes == expected, f"ended with {codes}: {errors}", codes[1])
    newest = json.loads(view.read(f"releases/sweep/{view.releases()[-1]}"))
    whole = scene.run(store, "verify", env=env)
    good = newest["artifacts"] == stands.artifacts and newest["number"] == 2 and whole.returncode == 0
    row.mixed += not good
    row.check(f"{what}: the newest release", good, f"number {newest['number']} {whole.stderr}")
    if codes[1] == 73:
        again = scene.run(store, "run", "next.yaml", env=env)
        newest = json.loads(view.read(f"releases/sweep/{view.releases()[-1]}"))
        row.check(f"{what}: repeated", (again.returncode, newest["number"]) == (0, 3) and newest["artifacts"] == scene.next.artifacts, again.stderr)


def wait_until_stopped(tracer):
    for _ in range(6000):
        child = stopped_child(tracer.pid)
        if child:
            return child
        if tracer.poll() is not None:
            raise SystemExit(f"the run was not stopped: {tracer.communicate()[1]}")
        time.sleep(0.01)
    raise SystemExit("the run was not stopped")


def in_s3(scene, row, remote, store, part):
    """Stops the run while its request for `part` is held on the wire; the other machine's clock is three minutes ahead, past the lease."""
    done = scene.run(store, "run", "sweep.yaml", env=remote.direct)
    row.check("first release", done.returncode == 0, done.stderr)
    held, stopped = threading.Event(), threading.Event()

    def rule(method, path, _):
        if method == "PUT" and part in path and not stopped.is_set():
            os.kill(paused.pid, signal.SIGSTOP)
            stopped.set()
            return held
        return None

    remote.proxy.rule = rule
    paused = scene.start(store, "run", "next.yaml", env=remote.env)
    if not stopped.wait(120):
        raise SystemExit(f"no request for {part}: {paused.communicate()[1]}")
    other = scene.folder / "other-cache"
    early = scene.run(store, "run", "other.yaml", env=remote.direct, cache=other)
    row.check("while the lease holds", early.returncode == 73, early.stderr, early.returncode)
    late = scene.run(store, "run", "other.yaml", env={**remote.direct, **clock("+3m")}, cache=other)
    held.set()
    os.kill(paused.pid, signal.SIGCONT)
    _, errors = paused.communicate(timeout=180)
    remote.proxy.rule = None
    judge(row, scene, store, f"at {part}", (late.returncode, paused.returncode), (0, 73), scene.other, remote.view(store), late.stderr + errors, remote.direct)


def clock(offset):
    """A program's clock moved by libfaketime; the kernel's, and with it the times of files, stays."""
    return {"LD_PRELOAD": FAKETIME, "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
