"""Object stores that do not keep the promise of create-only writes: `doctor` has to say so and publishing to refuse (78) unless it is told to go on.

`rclone serve s3` ignores the condition, `s3s-fs` checks it and then writes, so that several writers at the same time succeed. SeaweedFS keeps it.
"""
import os
import signal
import subprocess

from check_store import BUCKET, free_ports
from harness import PIPELINE, SERVERS, Row, wait_for
from remote import Remote, environment

DOCTORS = 10
# Keys of the length that providers give; rclone takes no shorter ones.
KEY, SECRET = "AKIDEXAMPLE000000000", "SECRETEXAMPLE00000000000000000000000000"
# s3s-fs 0.14.1 fails at uploads in parts, so what is published has no large files.
SMALL = PIPELINE[: PIPELINE.index("  - { id: base")]


def main(scene):
    rows = [good(scene)]
    for name, command in (("rclone serve s3", rclone), ("s3s-fs", s3s)):
        row = Row(f"weak server: {name}")
        weak(scene, row, name, command)
        rows.append(row)
    return rows


def good(scene):
    row = Row("sound server: SeaweedFS")
    with Remote(scene) as remote:
        for _ in range(DOCTORS):
            done = scene.run(remote.store("doctor"), "doctor", env=remote.direct)
            row.check("doctor", done.returncode == 0, done.stderr, done.returncode)
    return row


def rclone(port, folder):
    return [SERVERS / "bin/rclone", "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}", "--vfs-cache-mode", "off", folder]


def s3s(port, folder):
    return [SERVERS / "bin/s3s-fs", "--host", "127.0.0.1", "--port", str(port), "--access-key", KEY, "--secret-key", SECRET, folder]


def weak(scene, row, name, command):
    folder, port = scene.folder / name.split()[0], free_ports(1)[0]
    (folder / BUCKET).mkdir(parents=True)
    (scene.folder / "small.yaml").write_text(SMALL.replace("ROOT", str(scene.folder / "muge")))
    line = [str(part) for part in command(port, folder)]
    if not os.path.isfile(line[0]):
        raise SystemExit(f"{line[0]} is missing; run tests/faults/install.sh {SERVERS}")
    with open(scene.folder / "server.log", "ab") as log:
        server = subprocess.Popen(line, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(port, server)
        env, store = environment(port, KEY, SECRET), f"s3://{BUCKET}/store"
        for _ in range(DOCTORS):
            done = scene.run(f"s3://{BUCKET}/doctor", "doctor", env=env)
            row.check("doctor finds it out", done.returncode == 69 and "create-only writes are" in done.stderr, done.stdout + done.stderr, done.returncode)
        refused = scene.run(store, "run", "small.yaml", env=env)
        published = scene.run(store, "releases", "list", env=env).returncode == 0
        row.check("publishing is refused", refused.returncode == 78 and not published, refused.stderr, refused.returncode)
        refused = scene.run(store, "publish", "small.yaml", env=env)
        row.check("`publish` too", refused.returncode == 78, refused.stderr, refused.returncode)
        told = scene.run(store, "run", "small.yaml", "--allow-weak-store", env=env)
        whole = scene.run(store, "verify", env=env)
        row.check("it works if it is told to", (told.returncode, whole.returncode) == (0, 0), told.stderr + whole.stderr, told.returncode)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
