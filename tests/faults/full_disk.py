"""A disk that is full: a small tmpfs that a run fills. Needs root. The run ends with 74; with more room the same command ends well."""
import os
import subprocess

from harness import Row, copy_store, spread


def main(scene):
    if os.geteuid() != 0:
        raise SystemExit("full_disk needs root: it mounts a tmpfs")
    return [fill(scene, Row("disk full, first release"), later=False), fill(scene, Row("disk full, next release"), later=True)]


def size_of(store):
    """Bytes that a store and its cache take on a tmpfs, in its pages of 4 KiB."""
    out = subprocess.run(["du", "-sbc", "--apparent-size", *(path for path in (f"{store}", f"{store}-cache") if os.path.isdir(path))],
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    return int(out.splitlines()[-1].split()[0])


def fill(scene, row, later, tries=8):
    pipeline, whole, before = ("next.yaml", scene.next, [scene.first.artifacts]) if later else ("sweep.yaml", scene.first, [])
    used = size_of(scene.folder / "first") if later else 0
    needed = size_of(scene.folder / ("both" if later else "first")) - used
    for room in spread(tries, int(needed * 1.02), max(16384, needed // 200)):
        mount = scene.folder / "small"
        mount.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", mount], check=True)
        try:
            store = mount / "store"
            if later:
                copy_store(scene.folder / "first", store)
            stat = os.statvfs(mount)
            taken = (stat.f_blocks - stat.f_bfree) * stat.f_frsize
            subprocess.run(["mount", "-o", f"remount,size={taken + room}", mount], check=True)
            done = scene.run(store, "run", pipeline)
            subprocess.run(["mount", "-o", "remount,size=2g", mount], check=True)
            verdict = scene.judge(store, whole, pipeline, before)
            if done.returncode not in (0, 74):
                verdict.wrong.append(f"ended with {done.returncode}: {done.stderr.strip()[-300:]}")
            row.add(f"{room} bytes of room", done.returncode, verdict)
        finally:
            subprocess.run(["umount", "-l", mount], check=True)
    return row
