"""Sixteen processes at once: runs, publishers, tags, rollbacks of one pipeline, in a folder and in an object store.

Exactly one wins each number; the others end with 73, or with 0 and nothing to do.
"""
import json

from harness import LocalView, Row, copy_store, remove_store
from remote import Remote

RACERS = 16


def main(scene):
    rows = []
    store = scene.folder / "store"
    for lock in ("none", "fail"):
        remove_store(store)
        rows.append(runs(scene, f"{RACERS} runs at once, --lock {lock}", store, lock, LocalView(store)))
    rows.append(publishers(scene, f"{RACERS} publishers at once", store, LocalView(store)))
    copy_store(scene.folder / "both", store)
    rows.append(tags(scene, f"{RACERS} tags at once", store, store / "tags/sweep"))
    rows.append(rollbacks(scene, f"{RACERS} rollbacks at once", store, LocalView(store)))
    with Remote(scene) as remote:
        for lock in ("none", "fail"):
            url = remote.store(f"race-{lock}")
            rows.append(runs(scene, f"{RACERS} runs at once in S3, --lock {lock}", url, lock, remote.view(url), remote.direct))
        url = remote.store("race-publish")
        rows.append(publishers(scene, f"{RACERS} publishers at once in S3", url, remote.view(url), remote.direct))
        rows.append(tags(scene, f"{RACERS} tags at once in S3", url, None, remote.direct))
    return rows


def race(scene, store, *commands, env=None):
    """Commands in turns, sixteen at once, each as on a machine of its own; exit codes and what those say that end well."""
    caches = [scene.folder / f"racer-{number}" for number in range(RACERS)]
    children = [scene.start(store, *commands[at % len(commands)], env=env, cache=cache) for at, cache in enumerate(caches)]
    ended = [(child.communicate(), child.returncode) for child in children]
    for cache in caches:
        remove_store(cache)
    return [code for _, code in ended], [json.loads(out.splitlines()[-1]) for (out, _), code in ended if code == 0], "".join(err for (_, err), _ in ended)


def settle(row, what, codes, verdict, expected, errors):
    """Every racer is counted with its exit code; what is wrong belongs to the race."""
    if not set(codes) <= {0, 73} or not expected:
        verdict.wrong.append(f"exit codes {sorted(codes)}: {errors[-400:]}")
    row.add(what, None, verdict)
    for code in codes:
        row.endings[code] = row.endings.get(code, 0) + 1


def runs(scene, title, store, lock, view, env=None):
    row = Row(title)
    codes, said, errors = race(scene, store, ("run", "sweep.yaml", "--lock", lock, "--json"), env=env)
    verdict = scene.judge(store, scene.first, view=view, env=env)
    settle(row, "first release", codes, verdict, sum(one["published"] for one in said) == 1, errors)
    codes, said, errors = race(scene, store, ("run", "next.yaml", "--lock", lock, "--json"), env=env)
    verdict = scene.judge(store, scene.next, "next.yaml", [scene.first.artifacts], view=view, env=env)
    settle(row, "next release", codes, verdict, sum(one["published"] for one in said) == 1, errors)
    return row


def publishers(scene, title, store, view, env=None):
    row = Row(title)
    remove_store(store) if env is None else None
    made = scene.run(store, "run", "sweep.yaml", "--until", "report", env=env)
    row.check("made without publishing", made.returncode == 0 and not view.releases(), made.stderr)
    codes, said, errors = race(scene, store, ("publish", "sweep.yaml", "--json"), env=env)
    verdict = scene.judge(store, scene.first, view=view, env=env)
    settle(row, "published", codes, verdict, sum(one["published"] for one in said) == 1, errors)
    return row


def tags(scene, title, store, folder=None, env=None):
    """Half of them name one release, half the other, if there are two: the tag ends as one that was told it succeeded gave it."""
    row = Row(title)
    releases = ("1", "2") if folder else ("1",)
    for tag in ("night", "day"):
        codes, said, errors = race(scene, store, *(("releases", "tag", number, tag, "--json") for number in releases), env=env)
        named = scene.run(store, "releases", "show", tag, "--json", env=env)
        good = set(codes) <= {0, 73} and named.returncode == 0
        good = good and json.loads(named.stdout.splitlines()[-1])["number"] in {one["release"] for one in said}
        if folder:
            # No number is left out, and none was given to two that differ: then more releases would succeed than there are numbers.
            numbers = {int(path.stem): json.loads(path.read_text())["release"] for path in (folder / tag).glob("*.json")}
            good = good and sorted(numbers) == list(range(1, len(numbers) + 1)) and {one["release"] for one in said} == set(numbers.values())
        row.check(f"tag {tag}", good, f"{codes} {errors[-300:]} {named.stderr}")
        for code in codes:
            row.endings[code] = row.endings.get(code, 0) + 1
    return row


def rollbacks(scene, title, store, view):
    row = Row(title)
    copy_store(scene.folder / "both", store)
    codes, said, errors = race(scene, store, ("releases", "rollback", "1", "--json"))
    numbers = view.releases()
    good = set(codes) <= {0, 73} and sum(one["published"] for one in said) == 1 and len(numbers) == 3
    row.check("back to release 1", good and scene.run(store, "verify").returncode == 0, f"{codes} {numbers} {errors[-300:]}")
    for code in codes:
        row.endings[code] = row.endings.get(code, 0) + 1
    return row
