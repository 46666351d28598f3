"""What is durable when a manifest or a release appears: the order of writes, syncs and renames of a run, as strace saw them.

A file system may forget whatever was not synced; ext4 forgets less than it may. So this asks for more than a power loss on ext4 shows: at the link of a
manifest every file of its artifact is synced after its last write, and every folder above it after the entry below it came; at the link of a
release the same holds for all its manifests, and at the end for the release.
"""
import re

from harness import LocalView, Row, remove_store

CALLS = "openat,write,pwrite64,writev,pwritev,ftruncate,copy_file_range,sendfile,fsync,fdatasync,rename,renameat2,link,linkat,mkdir,unlink,unlinkat,rmdir"
LINE = re.compile(r"^(\d+)\s+(?:<\.\.\. )?(\w+)(?: resumed>|\()(.*)$")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
OPEN = re.compile(r"^\d+<([^>]*)>")


class Disk:
    """Which contents and which entries of folders reached the disk."""

    def __init__(self, root):
        self.root, self.dirty, self.entries = str(root), set(), {}

    def create(self, path):
        if path.startswith(self.root):
            self.entries[path] = False

    def sync(self, path):
        self.dirty.discard(path)
        for entry in self.entries:
            if entry.rsplit("/", 1)[0] == path:
                self.entries[entry] = True

    def move(self, source, target):
        """A file or a folder with all that is below it; only its own entry is new."""
        inside = lambda path: path == source or path.startswith(source + "/")
        self.dirty = {target + path[len(source):] if inside(path) else path for path in self.dirty}
        self.entries = {target + path[len(source):] if inside(path) else path: synced for path, synced in self.entries.items()}
        self.create(target)

    def forget(self, path):
        self.dirty.discard(path)
        self.entries.pop(path, None)

    def problems(self, paths, source=None):
        """What is missing of these entries, and of the content about to be linked."""
        found = {f"content of {self.short(source)}"} if source in self.dirty else set()
        for path in paths:
            if path in self.dirty:
                found.add(f"content of {self.short(path)}")
            while path != self.root:
                # What was never created here was there before.
                if not self.entries.get(path, True):
                    found.add(f"entry of {self.short(path)}")
                path = path.rsplit("/", 1)[0]
        return sorted(found)

    def short(self, path):
        return re.sub(r"[0-9a-f]{64}", "…", path[len(self.root) + 1:])


def main(scene):
    rows = []
    for later in (False, True):
        row = Row(f"synced before it counts, {'next' if later else 'first'} release")
        store, log = scene.folder / "store", scene.folder / "calls"
        if not later:
            remove_store(store)
            store.mkdir()
        under = ["strace", "-f", "-y", "-qqq", "-s", "512", "-o", str(log), "-e", f"trace={CALLS}"]
        done = scene.run(store, "run", "next.yaml" if later else "sweep.yaml", under=under)
        row.check("the run under strace", done.returncode == 0, done.stderr)
        watch(row, Disk(store), log.read_text(errors="replace"), LocalView(store))
        rows.append(row)
    return rows


def watch(row, disk, log, view):
    started, manifests = {}, set()
    for line in log.splitlines():
        match = LINE.match(line)
        if not match:
            continue
        process, call, rest = match.groups()
        if rest.endswith("<unfinished ...>"):
            started[process] = rest
            continue
        if " resumed>" in line:
            rest = started.pop(process, "") + rest
        if re.search(r"= -1 E", rest):
            continue
        texts, opened = TEXT.findall(rest), OPEN.match(rest)
        path = opened.group(1) if opened else ""
        if call in ("fsync", "fdatasync"):
            disk.sync(path)
        elif call == "openat" and "O_CREAT" in rest and texts and texts[0] not in disk.entries:
            disk.create(texts[0])
        elif call == "mkdir":
            disk.create(texts[0])
        elif call in ("rename", "renameat2"):
            disk.move(texts[0], texts[-1])
        elif call in ("unlink", "unlinkat", "rmdir") and texts:
            disk.forget(texts[0])
        elif call in ("link", "linkat"):
            source, target = texts[0], texts[-1]
            if source in disk.dirty:
                disk.dirty.add(target)
            if target.endswith("/manifest.json"):
                manifests.add(target)
                folder = target.rsplit("/", 1)[0] + "/"
                expect(row, f"manifest {disk.short(target)}", disk.problems([path for path in disk.entries if path.startswith(folder) and path != source], source))
            elif "/releases/" in target:
                expect(row, f"release {disk.short(target)}", disk.problems(manifests, source))
            disk.create(target)
        elif path.startswith(disk.root):
            disk.dirty.add(path)
    expect(row, "the end", disk.problems([f"{disk.root}/releases/sweep/{view.releases()[-1]}"]))


def expect(row, what, problems):
    row.check(what, not problems, f"not on the disk: {', '.join(problems[:6])}")
