"""A store in Azure's own protocol: `check_azure.py TUWEN AZURITE`, where AZURITE is the program `azurite-blob` of the npm package azurite.

Starts Microsoft's emulator on loopback with its published account and asks what cloud.py asks of every provider. Python's standard library only.
"""
import base64
import hashlib
import hmac
import subprocess
import sys
import urllib.request
from datetime import datetime, timezone
from urllib.parse import quote

import cloud
import harness
from check_store import free_ports

ACCOUNT, CONTAINER = "devstoreaccount1", "tuwen-check"
# The emulator's key, the same on every machine; it opens nothing else.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
WRONG = base64.b64encode(b"not the key of the emulator").decode()
VERSION = "2020-10-02"


class Azurite:
    """The emulator, running until `stop`."""

    def __init__(self, program, folder):
        # Azurite's own place is port 10000, where another one may be at work.
        self.port = free_ports(1)[0]
        command = [program, "--silent", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence", "--blobPort", str(self.port)]
        self.process = subprocess.Popen(command, cwd=folder)
        harness.wait_for(self.port, self.process)
        self.request("PUT", "", {"restype": "container"})

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def request(self, method, key, query=None, body=b""):
        """A request signed with the shared key; its answer."""
        path, query = f"/{CONTAINER}{'/' * bool(key)}{quote(key)}", query or {}
        now = datetime.now(timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = {"x-ms-blob-type": "BlockBlob", "x-ms-date": now, "x-ms-version": VERSION}
        length, kind = str(len(body) or ""), "application/octet-stream"
        signed = "".join(f"{name}:{value}\n" for name, value in headers.items())
        resource = f"/{ACCOUNT}/{ACCOUNT}{path}" + "".join(f"\n{name}:{value}" for name, value in sorted(query.items()))
        text = f"{method}\n\n\n{length}\n\n{kind}\n\n\n\n\n\n\n{signed}{resource}"
        signature = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
        headers.update({"Authorization": f"SharedKey {ACCOUNT}:{signature}", "Content-Length": str(len(body)), "Content-Type": kind})
        url = f"http://127.0.0.1:{self.port}/{ACCOUNT}{path}?" + "&".join(f"{name}={value}" for name, value in query.items())
        return urllib.request.urlopen(urllib.request.Request(url.rstrip("?"), data=body or None, method=method, headers=headers)).read()

    def in_parts(self, key):
        return self.request("GET", key, {"comp": "blocklist", "blocklisttype": "committed"}).count(b"<Block>") > 1


def main(tuwen, program):
    def work(scene, check):
        server = Azurite(program, scene.folder)
        try:
            cloud.ask(cloud.Cloud(
                root=f"az://{CONTAINER}",
                missing="az://nobody-made-this",
                env={"AZURE_STORAGE_USE_EMULATOR": "true", "AZURITE_BLOB_STORAGE_URL": f"http://127.0.0.1:{server.port}"},
                wrong_env={"AZURE_STORAGE_ACCOUNT_KEY": WRONG},
                secret=WRONG,
                read=lambda key: server.request("GET", key),
                write=lambda key, body: server.request("PUT", key, body=body),
                in_parts=server.in_parts,
            ), scene, check)
        finally:
            server.stop()

    cloud.with_scene(tuwen, work)


if __name__ == "__main__":
    main(*sys.argv[1:])
