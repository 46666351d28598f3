"""A store on a real object store on loopback (SeaweedFS), through a proxy that may spoil what passes."""
import json
import shutil

from check_store import BUCKET, KEY, SECRET, Server
from harness import WEED
from proxy import Proxy


class Remote:
    """`with Remote(scene) as remote`: server and proxy run; `remote.env` leads a program through the proxy."""

    def __init__(self, scene):
        if not WEED.is_file():
            raise SystemExit(f"{WEED} is missing; run tests/object_store/install.sh {WEED.parents[1]}")
        self.scene, self.folder = scene, scene.folder / "weed"

    def __enter__(self):
        self.folder.mkdir()
        self.server = Server(str(WEED), self.folder)
        self.server.start()
        self.server.request("PUT", f"/{BUCKET}")
        self.proxy = Proxy(self.server.s3)
        self.env, self.direct = environment(self.proxy.port), environment(self.server.s3)
        return self

    def __exit__(self, *_):
        self.proxy.stop()
        self.server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def store(self, name):
        """The URL of a store that nobody used yet."""
        return f"s3://{BUCKET}/{name}"

    def view(self, store):
        return RemoteView(self, store)


class RemoteView:
    """Reads a store in the object store, past the proxy."""

    def __init__(self, remote, store):
        self.remote, self.store = remote, store

    def read(self, key):
        status, body = self.remote.server.request("GET", f"/{self.store.split('://')[1]}/{key}")
        if status != 200:
            raise FileNotFoundError(f"{key}: {status}")
        return body

    def releases(self):
        listed = self.remote.scene.run(self.store, "releases", "list", "--json", env=self.remote.direct)
        if listed.returncode == 66:
            return []
        if listed.returncode:
            raise SystemExit(f"releases list ended with {listed.returncode}: {listed.stderr}")
        return [f"{release['number']:020}.json" for release in json.loads(listed.stdout.splitlines()[-1])["releases"]]


def environment(port, key=KEY, secret=SECRET):
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": "us-east-1", "AWS_ENDPOINT": f"http://127.0.0.1:{port}", "AWS_ALLOW_HTTP": "true"}
