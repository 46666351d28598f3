"""A store in Azure's own protocol: `check_azure.py TUWEN AZURITE`, where AZURITE is the program `azurite-blob` of the npm package azurite.

Starts Microsoft's emulator on loopback with its published account, runs the small pipeline of tests/faults with its artifacts in az://, and holds every
file's digest against those of a local run; a second run reuses everything, another machine's `verify` reads every byte, of two runs at once one is refused.
Prints a line for each and fails if one is not as it should be. Python's standard library only.
"""
import base64
import hashlib
import hmac
import json
import subprocess
import sys
import tempfile
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults"))
import harness  # noqa: E402
from check_store import free_ports  # noqa: E402

ACCOUNT, CONTAINER = "devstoreaccount1", "tuwen-check"
# The emulator's key, the same on every machine; it opens nothing else.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
WRONG = base64.b64encode(b"not the key of the emulator").decode()
VERSION = "2020-10-02"


def request(port, method, path, resource):
    """A request signed with the shared key."""
    now = datetime.now(timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    text = f"{method}\n" + "\n" * 11 + f"x-ms-date:{now}\nx-ms-version:{VERSION}\n/{ACCOUNT}/{ACCOUNT}{resource}"
    signature = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
    headers = {"x-ms-date": now, "x-ms-version": VERSION, "Authorization": f"SharedKey {ACCOUNT}:{signature}", "Content-Length": "0"}
    return urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/{ACCOUNT}{path}", method=method, headers=headers)).read()


class AzureView:
    """Reads the store in the emulator."""

    def __init__(self, port, newest=1):
        self.port, self.newest = port, newest

    def read(self, key):
        blob = f"/{CONTAINER}/store/{key}"
        return request(self.port, "GET", blob, blob)

    def releases(self):
        """The names up to the release that has to be the newest; reading it fails if it is not there."""
        return [f"{number:020}.json" for number in range(1, self.newest + 1)]


def main(tuwen, azurite):
    good = []

    def check(name, holds, found=""):
        good.append(holds)
        print(f"{'ok ' if holds else 'BAD'} {name}  {found}", flush=True)

    with tempfile.TemporaryDirectory(prefix="tuwen-azure-") as folder:
        folder = Path(folder)
        scene = harness.Scene(tuwen, folder)
        port = free_ports(1)[0]
        # Azurite's own place is port 10000, where another one may be at work.
        env = {"AZURE_STORAGE_USE_EMULATOR": "true", "AZURITE_BLOB_STORAGE_URL": f"http://127.0.0.1:{port}"}
        command = [azurite, "--silent", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence", "--blobPort", str(port)]
        server = subprocess.Popen(command, cwd=folder)
        try:
            harness.wait_for(port, server)
            request(port, "PUT", f"/{CONTAINER}?restype=container", f"/{CONTAINER}\nrestype:container")

            def run(*arguments, cache=None, container=CONTAINER, **more):
                return scene.run(f"az://{container}/store", *arguments, env={**env, **more}, cache=cache)

            found = run("doctor")
            check("`doctor` finds the container good", found.returncode == 0 and "create-only writes are atomic" in found.stdout, found.stderr[-200:])
            there = run("run", "sweep.yaml")
            check("the pipeline to its release", there.returncode == 0, there.stderr[-300:])
            digests, expected = scene.found(AzureView(port)).digests, scene.first.digests
            same = sum(digests.get(key) == digest for key, digest in expected.items())
            check("every file has the digest of the local run", same == len(expected) > 20, f"{same} of {len(expected)}")
            again = run("run", "sweep.yaml", "--json")
            steps = json.loads(again.stdout.splitlines()[-1])["steps"]
            check("a second run reuses everything", again.returncode == 0 and all(step["reused"] for step in steps))
            verified = run("verify", cache=folder / "another")
            check("another machine's `verify` reads every byte", verified.returncode == 0, (verified.stdout + verified.stderr).strip()[-120:])
            missing = run("verify", container="nobody-made-this")
            check("a missing container", missing.returncode == 66, f"exit {missing.returncode} {missing.stderr.strip()[-200:] if missing.returncode != 66 else ''}")
            wrong = run("verify", AZURE_STORAGE_ACCOUNT_KEY=WRONG)
            told = WRONG not in wrong.stdout + wrong.stderr
            check("a wrong key, which is shown nowhere", wrong.returncode == 77 and told, f"exit {wrong.returncode}")
            # Two machines with a newer version of the source: one release more, and who comes second is told.
            racers = [scene.start(f"az://{CONTAINER}/store", "run", "next.yaml", env=env, cache=folder / f"racer-{number}") for number in range(2)]
            said = [racer.communicate() for racer in racers]
            codes = sorted(racer.returncode for racer in racers)
            check("two runs at once", codes == [0, 73], f"exit {codes} {[error.strip()[-200:] for _, error in said] if codes != [0, 73] else ''}")
            same = scene.found(AzureView(port, 2)).digests == scene.next.digests
            check("the newer release has the digests of a local run", same and run("verify").returncode == 0)
        finally:
            server.terminate()
            server.wait()
    if not all(good):
        raise SystemExit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
