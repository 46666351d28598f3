"""Injects every fault into the release program: `run.py TUWEN [NAME…] [--json FILE]`. Ends with one table.

NAMEs are files of this folder: kill_sweep, kill_shards, power_loss, failing_calls, sync_order, full_disk, limits, pause, clock, races, network, weak_servers, readers.
Needs root (mounts), strace, faketime, SeaweedFS (`tests/object_store/install.sh`) and the weak servers (`tests/faults/install.sh`); what is missing is an
error, not left out. Python's standard library only.
"""
import argparse
import importlib
import json
import shutil
import tempfile
import time
from dataclasses import asdict

from harness import Scene

FAULTS = ["kill_sweep", "kill_shards", "power_loss", "failing_calls", "sync_order", "full_disk", "limits", "pause", "clock", "races", "network", "weak_servers", "readers"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("tuwen")
    arguments.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FAULTS))
    arguments.add_argument("--json", help="write the rows here too")
    chosen = arguments.parse_args()
    for name in chosen.names:
        if name not in FAULTS:
            arguments.error(f"no fault `{name}`; there are {', '.join(FAULTS)}")
    rows, folder = [], tempfile.mkdtemp(prefix="tuwen-faults-")
    try:
        scene = Scene(chosen.tuwen, folder)
        for name in chosen.names or FAULTS:
            began = time.monotonic()
            found = importlib.import_module(name).main(scene)
            rows.extend(found)
            print(f"{name}: {sum(row.survived for row in found)} of {sum(row.tries for row in found)} survived, {time.monotonic() - began:.0f} s", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n| fault | tries | survived | lost rows | mixed | exit codes of the disturbed command, notes |\n|---|---:|---:|---:|---:|---|")
    print(*(row.cells() for row in rows), sep="\n")
    tries, survived = sum(row.tries for row in rows), sum(row.survived for row in rows)
    print(f"| all | {tries} | {survived} | {sum(row.lost for row in rows)} | {sum(row.mixed for row in rows)} | |")
    if chosen.json:
        with open(chosen.json, "w") as file:
            json.dump([asdict(row) for row in rows], file, ensure_ascii=False, indent=1)
    raise SystemExit(1 if tries != survived or not all(row.tries for row in rows) else 0)


if __name__ == "__main__":
    main()
