"""A store in Azure's own protocol: `check_azure.py TUWEN AZURITE`, where AZURITE is the program `azurite-blob` of the npm package azurite.

Starts Microsoft's emulator on loopback with its published account, runs the small pipeline of tests/faults with its artifacts in az://, and holds every
file's digest against those of a local run; a second run reuses everything, another machine's `verify` reads every byte. Prints a table and fails if a
line of it is not as it should be. Python's standard library only.
"""
import base64
import hashlib
import hmac
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults"))
import harness  # noqa: E402

ACCOUNT, CONTAINER, PORT = "devstoreaccount1", "tuwen-check", 10000
# The emulator's key, the same on every machine; it opens nothing else.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
VERSION = "2020-10-02"


def request(method, path, resource):
    now = datetime.now(timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    text = f"{method}\n" + "\n" * 11 + f"x-ms-date:{now}\nx-ms-version:{VERSION}\n/{ACCOUNT}/{ACCOUNT}{resource}"
    signature = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
    headers = {"x-ms-date": now, "x-ms-version": VERSION, "Authorization": f"SharedKey {ACCOUNT}:{signature}", "Content-Length": "0"}
    return urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{PORT}/{ACCOUNT}{path}", method=method, headers=headers)).read()


def wait_for_port():
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", PORT)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("the emulator did not start")


class AzureView:
    """Reads the store in the emulator."""

    def read(self, key):
        blob = f"/{CONTAINER}/store/{key}"
        return request("GET", blob, blob)

    def releases(self):
        return ["00000000000000000001.json"]


def main(tuwen, azurite):
    good = []

    def check(name, holds, found=""):
        good.append(holds)
        print(f"{'ok ' if holds else 'BAD'} {name}  {found}", flush=True)

    with tempfile.TemporaryDirectory(prefix="tuwen-azure-") as folder:
        folder = Path(folder)
        scene = harness.Scene(tuwen, folder)
        server = subprocess.Popen([azurite, "--silent", "--skipApiVersionCheck", "--inMemoryPersistence", "--blobPort", str(PORT)], cwd=folder)
        try:
            wait_for_port()
            request("PUT", f"/{CONTAINER}?restype=container", f"/{CONTAINER}\nrestype:container")

            def run(*arguments, cache=None):
                return scene.run(f"az://{CONTAINER}/store", *arguments, env={"AZURE_STORAGE_USE_EMULATOR": "true"}, cache=cache)

            found = run("doctor")
            check("`doctor` finds the container good", found.returncode == 0 and "create-only writes are atomic" in found.stdout, found.stderr[-200:])
            there = run("run", "sweep.yaml")
            check("the pipeline to its release", there.returncode == 0, there.stderr[-300:])
            digests, expected = scene.found(AzureView()).digests, scene.first.digests
            same = sum(digests.get(key) == digest for key, digest in expected.items())
            check("every file has the digest of the local run", same == len(expected) > 20, f"{same} of {len(expected)}")
            again = run("run", "sweep.yaml", "--json")
            steps = json.loads(again.stdout.splitlines()[-1])["steps"]
            check("a second run reuses everything", again.returncode == 0 and all(step["reused"] for step in steps))
            verified = run("verify", cache=folder / "another")
            check("another machine's `verify` reads every byte", verified.returncode == 0, (verified.stdout + verified.stderr).strip()[-120:])
        finally:
            server.terminate()
            server.wait()
    if not all(good):
        raise SystemExit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
