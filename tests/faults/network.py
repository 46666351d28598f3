"""An object store behind a bad network: every kind of spoiled request that `proxy` knows, at random places of a run.

A run ends well or with 75; once the network behaves, the same command ends with the digests of an undisturbed local run.
"""
import random

from harness import Row
from proxy import KINDS
from remote import Remote

# Share of the requests that are spoiled. A silent one costs the client's time-out, half a minute.
SHARES = [0.05, 0.2]


def main(scene):
    rows = []
    with Remote(scene) as remote:
        for at, kind in enumerate(KINDS):
            row = Row(f"network: {kind}")
            rules = [at_random(kind, share, seed) for seed, share in enumerate(SHARES)] if kind != "silent" else [every_time(kind, {40, 41})]
            for number, rule in enumerate(rules):
                store = remote.store(f"network-{at}-{number}")
                remote.proxy.rule, remote.proxy.seen, remote.proxy.spoiled = rule, 0, 0
                done = scene.run(store, "run", "sweep.yaml", env=remote.env)
                remote.proxy.rule = None
                spoiled = remote.proxy.spoiled
                verdict = scene.judge(store, scene.first, view=remote.view(store), env=remote.env)
                if done.returncode not in (0, 75) or spoiled == 0:
                    verdict.wrong.append(f"{spoiled} requests spoiled, ended with {done.returncode}: {done.stderr.strip()[-300:]}")
                row.add(f"case {number}", done.returncode, verdict)
                row.note = f"{row.note} {spoiled}".strip()
            row.note += " requests spoiled"
            print(f"{row.fault}: {row.survived} of {row.tries}, {row.note}", flush=True)
            rows.append(row)
    return rows


def at_random(kind, share, seed):
    draw = random.Random(f"{kind} {seed}")
    return lambda method, path, number: kind if draw.random() < share else None


def every_time(kind, numbers):
    return lambda method, path, number: kind if number in numbers else None
