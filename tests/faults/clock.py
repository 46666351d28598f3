"""Clocks that are wrong: a run, a publisher and `gc` years off, a clock that jumps while a run is at work, two machines of an object store far apart.

libfaketime moves the clock of the program; the kernel's, and with it the times of files, stays, as on a machine whose clock was just set.
"""
import os
import random
import signal
import threading

from harness import FAKETIME, LocalView, Row, copy_store, injecting, remove_store
from pause import clock, wait_until_stopped
from remote import Remote

OFFSETS = ["-4000d", "-1d", "-1h", "+1h", "+1d", "+4000d"]


def main(scene):
    if not os.path.isfile(FAKETIME):
        raise SystemExit(f"{FAKETIME} is missing; run tests/faults/install.sh")
    rows = [offsets(scene), jumps(scene), collected(scene)]
    with Remote(scene) as remote:
        rows.append(apart(scene, remote))
    return rows


def offsets(scene):
    """The first release by a clock that is off one way, the next by one that is off the other way, judged by the right one."""
    row, store = Row("clock off by up to 11 years"), scene.folder / "store"
    for offset, back in zip(OFFSETS, reversed(OFFSETS)):
        remove_store(store)
        done = scene.run(store, "run", "sweep.yaml", env=clock(offset))
        verdict = scene.judge(store, scene.first)
        later = scene.run(store, "run", "next.yaml", env=clock(back))
        after = scene.judge(store, scene.next, "next.yaml", [scene.first.artifacts])
        verdict.wrong += after.wrong
        if (done.returncode, later.returncode) != (0, 0):
            verdict.wrong.append(f"ended with {done.returncode} and {later.returncode}: {done.stderr}{later.stderr}")
        row.add(f"{offset}, then {back}", later.returncode, verdict)
    return row


def jumps(scene):
    row, store, file = Row("clock jumps while a run is at work"), scene.folder / "store", scene.folder / "clock"
    for seed in range(4):
        remove_store(store)
        file.write_text("+0\n")
        draw = random.Random(seed)
        env = {**clock("+0"), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}
        del env["FAKETIME"]
        child, end = scene.start(store, "run", "sweep.yaml", env=env), threading.Event()

        def move():
            while not end.wait(0.05):
                file.write_text(draw.choice(["-30d", "-1h", "-2s", "+2s", "+1h", "+30d"]) + "\n")

        mover = threading.Thread(target=move)
        mover.start()
        _, errors = child.communicate()
        end.set()
        mover.join()
        verdict = scene.judge(store, scene.first)
        if child.returncode:
            verdict.wrong.append(f"ended with {child.returncode}: {errors[-300:]}")
        row.add(f"jumps {seed}", child.returncode, verdict)
    return row


def collected(scene):
    """`gc` by clocks that are off, also beside a run that is at work without a lock: nothing that is named goes."""
    row, store = Row("gc by a wrong clock"), scene.folder / "store"
    for offset in OFFSETS:
        copy_store(scene.folder / "both", store)
        for _ in range(2):
            done = scene.run(store, "gc", "--keep-releases", "1", "--keep-runs", "1", env=clock(offset))
            row.check(f"gc at {offset}", done.returncode == 0, done.stderr, done.returncode)
        view = LocalView(store)
        row.check(f"after gc at {offset}", scene.run(store, "verify").returncode == 0 and len(view.releases()) == 1, view.releases())
    copy_store(scene.folder / "first", store)
    paused = scene.start(store, "run", "next.yaml", "--lock", "none", under=injecting("link,linkat:signal=STOP:when=6"))
    child = wait_until_stopped(paused)
    for _ in range(2):
        scene.run(store, "gc", "--keep-releases", "1", "--keep-runs", "1", env=clock("+4000d"))
    os.kill(child, signal.SIGCONT)
    _, errors = paused.communicate(timeout=120)
    verdict = scene.judge(store, scene.next, "next.yaml", [scene.first.artifacts])
    if paused.returncode not in (0, 66, 75):
        verdict.wrong.append(f"ended with {paused.returncode}: {errors[-300:]}")
    row.add("gc beside a run, 11 years ahead", paused.returncode, verdict)
    return row


def apart(scene, remote):
    """A machine whose clock is behind seems silent to the other at once; one whose clock is ahead seems at work after its death."""
    row = Row("clocks of two machines apart, S3")
    for number, offset in enumerate(("-10m", "+10m")):
        url = remote.store(f"apart-{number}")
        reached = threading.Event()
        remote.proxy.rule = lambda method, path, _: reached.set() if method == "PUT" and "/artifacts/scores/" in path else None
        # Another name of the machine: the process of another machine cannot be looked up here.
        far = ["unshare", "--uts", "sh", "-c", 'hostname far && exec "$@"', "sh"]
        child = scene.start(url, "run", "sweep.yaml", under=far, env={**remote.env, **clock(offset)})
        row.check(f"{offset}: at work", reached.wait(120), "no request")
        child.kill()
        child.communicate()
        remote.proxy.rule = None
        other = scene.folder / "other-cache"
        first = scene.run(url, "run", "sweep.yaml", env=remote.direct, cache=other)
        row.check(f"{offset}: the other machine", first.returncode == (0 if offset[0] == "-" else 73), first.stderr, first.returncode)
        # Once its own clock is past the lease, or without asking for it.
        verdict = scene.judge(url, scene.first, view=remote.view(url), env=remote.direct, options=["--lock", "none"])
        row.add(f"{offset}: without the lease", None, verdict)
    return row
