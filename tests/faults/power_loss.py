"""Power loss: copies of a mounted ext4 image while a run is at work, which is what a machine finds that lost its power then. Needs root and strace.

The run is stopped at a system call (SIGSTOP), the file under the loop device is copied without unmounting, and the copy counts once source and copy are
found equal afterwards: then it is the state of one moment, with whatever the kernel had not written yet missing. The copy is mounted, which
replays the journal, judged, and the run goes on.
"""
import filecmp
import os
import signal
import subprocess
import time

from harness import Row, injecting, stopped_child

MODES = ["data=ordered", "data=writeback"]
IMAGE_BYTES = 256 << 20
# Calls at which the power fails, and the step from one such moment to the next in one thread.
STOPS = [("fsync,fdatasync", 41), ("link,linkat,rename", 13), ("unlink,unlinkat,mkdir", 37), ("write,pwrite64", 120)]


def main(scene):
    if os.geteuid() != 0:
        raise SystemExit("power_loss needs root: it mounts images")
    rows = []
    for mode in MODES:
        row = Row(f"power loss, ext4 {mode}")
        for at, (calls, step) in enumerate(STOPS):
            lose_power(scene, row, mode, calls, step, later=at % 2 == 1)
        rows.append(row)
    return rows


def lose_power(scene, row, mode, calls, step, later):
    """One run with a copy at every `step`th of its calls, up to four; `later`: it is to replace an older release."""
    image, mount = scene.folder / "disk.img", scene.folder / "disk"
    pipeline, whole, before = ("next.yaml", scene.next, [scene.first.artifacts]) if later else ("sweep.yaml", scene.first, [])
    format_image(image)
    copies = []
    with Mounted(image, mount, mode):
        if later:
            for end in ("", "-cache"):
                subprocess.run(["cp", "-a", f"{scene.folder}/first{end}", f"{mount}/store{end}"], check=True)
            os.sync()
        rule = f"{calls}:signal=STOP:when={step}+{step}"
        child = scene.start(mount / "store", "run", pipeline, under=injecting(rule))
        while child.poll() is None:
            stopped = stopped_child(child.pid)
            if stopped is None:
                time.sleep(0.002)
                continue
            if len(copies) < 4:
                copies.append(copy_of_a_moment(image, scene.folder / f"moment-{len(copies)}.img"))
            os.kill(stopped, signal.SIGCONT)
            time.sleep(0.002)
        child.communicate()
    for at, copy in enumerate(copies):
        with Mounted(copy, mount, mode):
            store = mount / "store"
            state = "nothing" if not store.exists() else f"{sum(1 for _ in store.rglob('manifest.json'))} artifacts"
            row.add(f"{calls} at {step} × {at + 1} ({state})", None, scene.judge(store, whole, pipeline, before))
        copy.unlink()
    image.unlink()


def format_image(image):
    with open(image, "wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)


def copy_of_a_moment(image, target):
    """A copy that is known to be of one moment: nothing changed while it was made."""
    for _ in range(50):
        subprocess.run(["cp", "--sparse=always", image, target], check=True)
        if filecmp.cmp(image, target, shallow=False):
            return target
    raise SystemExit("the image never stood still long enough to be copied")


class Mounted:
    def __init__(self, image, mount, mode):
        self.image, self.mount, self.mode = image, mount, mode

    def __enter__(self):
        self.mount.mkdir(exist_ok=True)
        subprocess.run(["mount", "-o", f"loop,{self.mode}", self.image, self.mount], check=True)

    def __exit__(self, *_):
        for _ in range(50):
            if subprocess.run(["umount", self.mount], stderr=subprocess.DEVNULL).returncode == 0:
                return
            time.sleep(0.1)
        raise SystemExit(f"{self.mount} could not be unmounted")
