"""A real object store under the program: `check_store.py TUWEN WEED PIPELINE LOCAL_STORE`.

Starts SeaweedFS on loopback, runs PIPELINE with its artifacts in S3, and holds every file's digest against those of LOCAL_STORE, where the same
pipeline ran before. Then breaks things: wrong key, missing bucket, a killed client, a killed server, two runs at once, shards made by workers of which one is killed. Prints a table and fails if
a line of it is not as it should be. Python's standard library only.
"""
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

KEY, SECRET, BUCKET = "AK", "SK", "tuwen-check"
ROWS = []


def check(name, good, found=""):
    ROWS.append((name, good, found))
    print(f"{'ok ' if good else 'BAD'} {name}  {found}", flush=True)


def free_ports(count):
    """Ports that are free together with the ones 10,000 above, where the server puts its other protocol."""
    ports, port = [], 20000 + os.getpid() % 5000
    while len(ports) < count:
        port += 1
        try:
            for number in (port, port + 10000):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
            ports.append(port)
        except OSError:
            continue
    return ports


class Server:
    def __init__(self, weed, folder):
        self.weed, self.folder = weed, folder
        (folder / "data").mkdir()
        identities = [{"name": "t", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]
        (folder / "s3.json").write_text(json.dumps({"identities": identities}))
        self.master, self.volume, self.filer, self.s3, iceberg, lance = free_ports(6)
        self.command = [weed, "server", f"-dir={folder}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-master.port={self.master}",
                        f"-volume.port={self.volume}", f"-filer.port={self.filer}", "-s3", f"-s3.port={self.s3}", f"-s3.port.iceberg={iceberg}",
                        f"-s3.port.lance={lance}", f"-s3.config={folder}/s3.json", "-volume.max=20", "-master.volumeSizeLimitMB=256"]

    def start(self):
        self.log = open(self.folder / "weed.log", "ab")
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log, cwd=self.folder, start_new_session=True)
        for _ in range(300):
            try:
                if self.request("GET", "/")[0] == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.2)
        raise SystemExit("the object store did not start:\n" + (self.folder / "weed.log").read_text()[-2000:])

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def request(self, method, path, query=""):
        """A request signed as AWS signs them (version 4)."""
        host, now = f"127.0.0.1:{self.s3}", datetime.now(timezone.utc)
        stamp, day, empty = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d"), hashlib.sha256(b"").hexdigest()
        headers = {"host": host, "x-amz-content-sha256": empty, "x-amz-date": stamp}
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        scope = f"{day}/us-east-1/s3/aws4_request"
        canonical = hashlib.sha256(f"{method}\n{path}\n{query}\n{lines}\n{names}\n{empty}".encode()).hexdigest()
        key = ("AWS4" + SECRET).encode()
        for part in (day, "us-east-1", "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{canonical}".encode(), hashlib.sha256).hexdigest()
        headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request(method, f"{path}?{query}" if query else path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


class Program:
    def __init__(self, tuwen, server, folder):
        self.tuwen, self.folder = tuwen, folder
        self.environment = dict(os.environ, AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET, AWS_REGION="us-east-1",
                                AWS_ENDPOINT=f"http://127.0.0.1:{server.s3}", AWS_ALLOW_HTTP="true")

    def start(self, *arguments, store="store", cache="cache", **environment):
        url = store if "://" in store else f"s3://{BUCKET}/{store}"
        command = [self.tuwen, *arguments, "--store", url, "--cache", str(self.folder / cache), "--quiet"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**self.environment, **environment})

    def run(self, *arguments, **where):
        child = self.start(*arguments, **where)
        out, err = child.communicate()
        return child.returncode, out, err


def digests_of(read_manifest, release):
    """Digest by file of every artifact."""
    found = {}
    for stage, key in release["artifacts"].items():
        manifest = json.loads(read_manifest(f"artifacts/{key['kind']}/{key['fingerprint']}/manifest.json"))
        found.update({(stage, file["path"]): file["digest"] for file in manifest["files"]})
    return found


def main(tuwen, weed, pipeline, local):
    folder = Path(tempfile.mkdtemp())
    server = Server(weed, folder)
    server.start()
    try:
        server.request("PUT", f"/{BUCKET}")
        faults(Program(tuwen, server, folder), server, pipeline, Path(local))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    bad = [name for name, good, _ in ROWS if not good]
    print(f"\n{len(ROWS)} checks, {len(bad)} not as they should be")
    raise SystemExit(1 if bad else 0)


def faults(program, server, pipeline, local):
    code, out, err = program.run("doctor")
    check("doctor: writes, create-only writes, clock", code == 0, err.strip()[:200])
    began = time.monotonic()
    code, out, err = program.run("run", pipeline, "--json")
    check("the pipeline runs to its release", code == 0, f"{time.monotonic() - began:.0f} s {err.strip()[:300]}")
    _, out, _ = program.run("releases", "show", "--json")
    here = subprocess.run([program.tuwen, "releases", "show", "--json", "--store", local], stdout=subprocess.PIPE, text=True, check=True)
    remote_release, local_release = (json.loads(text.splitlines()[-1]) for text in (out, here.stdout))
    remote = digests_of(lambda key: server.request("GET", f"/{BUCKET}/store/{key}")[1], remote_release)
    expected = digests_of(lambda key: (local / key).read_text(), local_release)
    # tantivy draws the names of its files at random.
    named = [name for name in expected.keys() | remote.keys() if "keywords/" not in name[1] or name[1].endswith((".bounds", "/order"))]
    differing = sorted(name for name in named if expected.get(name) != remote.get(name))
    check("every file has the digest of the local run", not differing, f"{len(named)} files {differing[:3]}")
    began = time.monotonic()
    code, out, _ = program.run("run", pipeline, "--json")
    second = json.loads(out.splitlines()[-1])
    check("a second run reuses everything", code == 0 and not second["published"], f"{time.monotonic() - began:.1f} s")
    code, out, err = program.run("verify", cache="fresh")
    check("verify reads every byte in the store", code == 0, (out + err).strip()[:200])
    code, out, err = program.run("search", "--text", "红心", "--k", "3", "--json", cache="fresh")
    check("another machine searches the release", code == 0 and len(json.loads(out.splitlines()[-1])["hits"]) == 3, err.strip()[:200])
    code, _, err = program.run("gc", "--dry-run")
    check("gc finds nothing to remove", code == 0, err.strip()[:200])
    code, _, err = program.run("run", pipeline, AWS_SECRET_ACCESS_KEY="wrong-secret-canary")
    check("a wrong key ends with 77 and is not shown", code == 77 and "canary" not in err, f"exit {code}")
    code, _, err = program.run("status", store="s3://no-such-bucket-here/x")
    check("a missing bucket ends with 66", code == 66, f"exit {code} {err.strip()[:120]}")
    code, _, err = program.run("run", pipeline, "--request-budget", "5", store="budget")
    check("a request budget ends with 75", code == 75 and "request budget" in err, f"exit {code}")
    killed(program, server, pipeline, local_release)
    shards(program, server, pipeline)
    both = [program.start("run", pipeline, "--until", "muge", store="two", cache=f"two-{number}") for number in (1, 2)]
    codes = sorted(child.wait() for child in both)
    check("of two at once one works and one ends with 73", codes == [0, 73], str(codes))
    server.stop()
    began = time.monotonic()
    code, _, err = program.run("run", pipeline, "--until", "surfaces", store="down", cache="down")
    check("a server that goes away ends with 75", code == 75, f"exit {code} after {time.monotonic() - began:.0f} s")
    server.start()
    code, _, err = program.run("run", pipeline, "--until", "surfaces", store="down", cache="down")
    check("the same command ends well once it is back", code == 0, err.strip()[:200])


SHARDED = """kind: Pipeline
version: 1
name: sharded
seed: 7
stages:
  - {{ id: muge, kind: ingest, source: {{ format: chinese-clip, root: {root} }} }}
  - {{ id: base, kind: model, preset: ViT-tiny-16 }}
  - {{ id: vectors, kind: embed, needs: {{ models: [base], data: [muge] }} }}
"""


def shards(program, server, pipeline):
    """Workers as on several machines, each with a cache of its own: one is killed, one works twice. Then one run joins the shards."""
    path = str(program.folder / "sharded.yaml")
    Path(path).write_text(SHARDED.format(root=Path(pipeline).resolve().parents[1] / "sample_data/muge"))
    whole = program.run("run", path, store="whole", cache="whole")
    for stage in ("muge", "base"):
        program.run("run", path, "--until", stage, store="parts", cache="planner")
    code, out, err = program.run("shard", "list", path, "--stage", "vectors", "--json", store="parts", cache="planner")
    listed = json.loads(out.splitlines()[-1])
    worker = ["shard", "run", path, "--stage", "vectors", "--artifact", listed.get("artifact", ""), "--of", "3", "--json"]
    child = program.start(*worker, "--index", "0", store="parts", cache="killed-worker")
    while child.poll() is None and not list((program.folder / "killed-worker").rglob("attempts/*/*/out")):
        time.sleep(0.01)
    child.kill()
    child.communicate()
    # Two machines with the same index: neither knows of the other, and the receipt that comes first counts.
    workers = [program.start(*worker, "--index", index, store="parts", cache=f"worker-{at}") for at, index in enumerate("0112")]
    codes = [(child.communicate(), child.returncode)[1] for child in workers]
    again = program.run("shard", "list", path, "--stage", "vectors", "--json", store="parts", cache="planner")
    finished = json.loads(again[1].splitlines()[-1])["finished"]
    check("workers make the shards of a stage, one of them twice, one killed before", codes == [0] * 4 and finished == listed["count"] > 3,
          f"exit {codes}, {finished} of {listed['count']} shards {err.strip()[:200]}")
    joined = program.run("run", path, "--json", store="parts", cache="planner")
    left = list_keys(server, "parts/" + "work/")
    read = lambda store: json.loads(server.request("GET", f"/{BUCKET}/{store}/artifacts/{listed['artifact']}/manifest.json")[1])
    same = whole[0] == joined[0] == 0 and all(read("whole")[field] == read("parts")[field] for field in ("files", "stats"))
    check("a run joins them to the digests of a run without shards", same, joined[2].strip()[:300])
    check("no object is left of the shards", not left, str(left[:3]))
    late = program.run(*worker, "--index", "0", store="parts", cache="worker-late")
    check("a worker that comes late has nothing to do", late[0] == 0 and json.loads(late[1].splitlines()[-1])["sealed"], f"exit {late[0]}")


def list_keys(server, prefix):
    """Keys below a prefix, by the store's own listing."""
    answer = server.request("GET", f"/{BUCKET}", f"list-type=2&prefix={quote(prefix, safe='')}")
    return re.findall(r"<Key>(.*?)</Key>", answer[1].decode())


def killed(program, server, pipeline, release):
    """Kills a run at growing times until one ends; the artifacts must be those of an undisturbed run."""
    tries, delay = 0, 0.05
    while True:
        tries += 1
        child = program.start("run", pipeline, "--until", "surfaces", store="killed", cache="killed")
        try:
            child.wait(timeout=delay)
            break
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            delay *= 1.5
    key = release["artifacts"]["surfaces"]
    path = f"artifacts/{key['kind']}/{key['fingerprint']}/manifest.json"
    same = [json.loads(server.request("GET", f"/{BUCKET}/{store}/{path}")[1])["files"] for store in ("killed", "store")]
    check("kill -9 in growing intervals, then the same digests", child.returncode == 0 and same[0] == same[1], f"{tries} tries")


if __name__ == "__main__":
    main(*sys.argv[1:])
