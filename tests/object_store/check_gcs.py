"""A store and a source in Google's own protocol: `check_gcs.py TUWEN FAKE_GCS`, where FAKE_GCS is the program fake-gcs-server (`install.sh DIR gcs`).

Starts the emulator on loopback with its objects in memory, before it what it lacks of the XML API (gcs_xml.py), and asks what cloud.py asks of every provider.
The emulator refuses no credentials: gcs_xml.py does, which reads the signature that the client made with the account's key. Then a server that takes no notice
of conditions (the emulator, by its plain inserts) has to be found out. Python's standard library and openssl only.
"""
import json
import subprocess
import sys
from urllib.parse import quote

import cloud
import harness
from check_store import free_ports
from gcs_xml import Account, XmlApi

BUCKET = "tuwen-check"


class FakeGcs:
    """The emulator and the server before it, running until `stop`."""

    def __init__(self, program, account):
        port = free_ports(1)[0]
        here = f"127.0.0.1:{port}"
        command = [program, "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-public-host", here, "-external-url", f"http://{here}"]
        self.process = subprocess.Popen([*command, "-log-level", "error"])
        harness.wait_for(port, self.process)
        self.api = XmlApi(port, account)
        self.json("POST", "/storage/v1/b?project=check", json.dumps({"name": BUCKET}).encode(), {"Content-Type": "application/json"})

    def stop(self):
        self.api.stop()
        self.process.terminate()
        self.process.wait()

    def json(self, method, path, body=b"", headers=None):
        """The body of an answer of the emulator's JSON API."""
        status, _, found = self.api.ask(method, path, body, headers)
        if status != 200:
            raise FileNotFoundError(f"{method} {path}: {status} {found[:200]}")
        return found

    def read(self, key):
        return self.json("GET", f"/storage/v1/b/{BUCKET}/o/{quote(key, safe='')}?alt=media")

    def write(self, key, body):
        self.json("POST", f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={quote(key, safe='')}", body, {"Content-Type": "application/octet-stream"})


def main(tuwen, program):
    def work(scene, check):
        account, other = Account(), Account()
        server = FakeGcs(program, account)
        port = server.api.server_address[1]
        env = {"GOOGLE_SERVICE_ACCOUNT": account.write(scene.folder / "account.json", port)}
        try:
            cloud.ask(cloud.Cloud(
                root=f"gs://{BUCKET}",
                missing="gs://nobody-made-this",
                env=env,
                wrong_env={"GOOGLE_SERVICE_ACCOUNT": other.write(scene.folder / "other.json", port)},
                secret=other.pem.splitlines()[1],
                read=server.read,
                write=server.write,
                in_parts=lambda key: key in server.api.joined,
            ), scene, check)
            check("no upload in parts is left", not server.api.uploads, f"{len(server.api.joined)} objects came in parts, {server.api.refused} requests were refused")
            server.api.plain = True
            weak = scene.run(f"gs://{BUCKET}/weak", "doctor", env=env)
            told = weak.returncode == 69 and "create-only writes are ignored" in weak.stderr
            check("`doctor` finds out a server that takes no notice of conditions", told, f"exit {weak.returncode} {'' if told else weak.stderr.strip()[-200:]}")
        finally:
            server.stop()

    cloud.with_scene(tuwen, work)


if __name__ == "__main__":
    main(*sys.argv[1:])
