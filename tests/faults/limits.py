"""Limits of a process that are too tight: size of a file, open files, address space, processes. A run ends in order or gets through; without the limit
the same command ends well. An allocation that fails may end the process; nothing may be half there afterwards.
"""
from harness import Row, remove_store, spread


def main(scene):
    largest = max(path.stat().st_size for path in (scene.folder / "first").rglob("*") if path.is_file())
    return [
        limit(scene, Row("file size limit (RLIMIT_FSIZE)"), "fsize", spread(8, largest, 1000), {0, 74}),
        limit(scene, Row("open files limit (RLIMIT_NOFILE)"), "nofile", [4, 6, 8, 10, 12, 14, 16, 20, 24, 32, 64], {0, 74, 127}),
        # -6 is how a process ends whose memory ran out in Rust. Below 256 MiB the program cannot be loaded.
        limit(scene, Row("address space limit (RLIMIT_AS)"), "as", [(64 << 20) * step for step in (4, 5, 6, 8, 10, 12, 16, 24, 32)], {0, 74, 75, -6}),
    ]


def limit(scene, row, name, values, accepted):
    store = scene.folder / "store"
    for value in values:
        remove_store(store)
        done = scene.run(store, "run", "sweep.yaml", under=["prlimit", f"--{name}={value}:{value}"])
        verdict = scene.judge(store, scene.first)
        if done.returncode not in accepted:
            verdict.wrong.append(f"ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        row.add(f"{name}={value}", done.returncode, verdict)
    return row
