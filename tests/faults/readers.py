"""Readers while runs publish and `gc` removes: each sees one whole release, or is told that what it read is gone.

A writer publishes two versions of the source in turns; `gc` with a grace of one second keeps one release. Meanwhile `search` and `verify` run in loops.
What a search answers is that of the one version or of the other; a mixture of both is what must not happen.
"""
import json
import threading
import time

from harness import Row, copy_store

SECONDS = 60
# A release that was collected while it was read: gone (66), or told to try again (73, 75).
GONE = {66, 73, 75}
SEARCH = ("search", "--text", "红心", "--k", "3", "--json")


def main(scene):
    store = scene.folder / "store"
    answers = []
    for whole in ("first", "both"):
        done = scene.run(scene.folder / whole, *SEARCH)
        answers.append(hits(done.stdout))
    assert answers[0] != answers[1], "the two versions must differ"
    copy_store(scene.folder / "first", store)
    end, rows = threading.Event(), [Row("search during publish and gc"), Row("verify during publish and gc"), Row("publish and gc beside readers")]
    readers = [threading.Thread(target=loop, args=(end, lambda: search(scene, store, rows[0], answers))),
               threading.Thread(target=loop, args=(end, lambda: verify(scene, store, rows[1])))]
    for reader in readers:
        reader.start()
    began, published = time.monotonic(), 0
    while time.monotonic() - began < SECONDS or published < 6:
        for pipeline in ("next.yaml", "sweep.yaml"):
            done = scene.run(store, "run", pipeline, "--lock", "wait", "--json")
            published += 1
            rows[2].check(f"run {pipeline}", done.returncode == 0, done.stderr, done.returncode)
            for _ in range(2):
                done = scene.run(store, "gc", "--keep-releases", "1", "--keep-runs", "1", "--grace", "1s", "--json")
                rows[2].check("gc", done.returncode == 0, done.stderr, done.returncode)
    end.set()
    for reader in readers:
        reader.join()
    removed = scene.run(store, "releases", "list", "--json")
    rows[2].note = f"{published} runs, {len(json.loads(removed.stdout.splitlines()[-1])['releases'])} release left"
    rows[2].check("at the end", scene.run(store, "verify").returncode == 0, "verify fails")
    return rows


def loop(end, read):
    while not end.is_set():
        read()


def hits(out):
    return json.loads(out.splitlines()[-1])["hits"]


def search(scene, store, row, answers):
    done = scene.run(store, *SEARCH)
    good = hits(done.stdout) in answers if done.returncode == 0 else done.returncode in GONE
    row.mixed += done.returncode == 0 and not good
    row.check("search", good, f"exit {done.returncode} {done.stdout[-300:]} {done.stderr[-300:]}", done.returncode)


def verify(scene, store, row):
    done = scene.run(store, "verify")
    row.mixed += done.returncode == 65
    row.check("verify", done.returncode == 0 or done.returncode in GONE, f"exit {done.returncode} {done.stderr[-400:]}", done.returncode)
