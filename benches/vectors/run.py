"""Vector search beside its peers, in one run: `run.py PYTHON FOLDER [PEER...]` prints Markdown tables.

PYTHON is an interpreter with numpy, faiss-cpu, hnswlib and usearch; FOLDER is from data.py. Without PEERs all of peers.py. Of every approximate
side the smallest effort counts whose recall@10 for texts among images is at least 0.99, else the largest. The flat index is measured
right before and right after ours. Two threads, CPU time.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = ("hnswlib", "usearch-bf16", "usearch-i8", "faiss-hnsw", "faiss-ivf-flat", "faiss-ivf-sq8", "faiss-ivf-pq")
RECALL = 0.99


def objects(command):
    environment = {**os.environ, "RAYON_NUM_THREADS": "2"}
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    found = [line for line in printed.splitlines() if line.startswith("{")]
    print(*found, sep="\n", file=sys.stderr, flush=True)
    return [json.loads(line) for line in found]


def ours(folder, *what):
    return objects(["cargo", "bench", "--quiet", "--bench", "vectors", "--", folder, *what])


def peer(python, name, folder, keep):
    return objects([python, HERE / "peers.py", name, folder, keep])[0]


def side(found, queries):
    rows = [row for row in found["search"] if row["queries"] == queries]
    good = [row for row in rows if row.get("recall", 1) >= RECALL]
    return min(good, key=lambda row: row["batch_us"]) if good else rows[-1]


def main(python, folder, peers):
    folder = Path(folder).resolve()
    keep = folder / "peers"
    keep.mkdir(exist_ok=True)
    exact, ranks = ours(folder, "exact", "ranks")
    before = peer(python, "flat", folder, keep)
    exact = ours(folder, "exact")[0]
    after = peer(python, "flat", folder, keep)
    print(f"{exact['rows']:,} rows x 512; microseconds of CPU per query\n")
    print("| exact, top 10 | tuwen | faiss Flat | ratio | lists that differ |\n|---|---:|---:|---:|---:|")
    for queries in ("same", "cross"):
        mine, flat = side(exact, queries), [side(found, queries) for found in (before, after)]
        theirs = sum(row["batch_us"] for row in flat) / 2
        total = 5000 - flat[0]["same_lists"]
        print(f"| {queries} | {mine['batch_us']:.0f} | {theirs:.0f} | {mine['batch_us'] / theirs:.3f} | {total} |")
    print(f"\nRanks of {ranks['queries']:,} queries over {ranks['documents']:,} documents: {ranks['cpu_s']:.2f} s of CPU.\n")
    rows = ours(folder, "partitioned", "graph") + [peer(python, name, folder, keep) for name in peers]
    print("| index | build CPU s | recall, texts | batch | single | recall, images | batch | single |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for found in rows:
        cells = []
        for queries in ("cross", "same"):
            row = side(found, queries)
            cells += [f"{row['recall']:.4f}", f"{row['batch_us']:.0f}", f"{row['single_us']:.0f}"]
        name = f"tuwen {found['name']}" if "about" in found else found["name"]
        build = found.get("build_cpu_s")
        print(f"| {name} | {'' if build is None else round(build, 1)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:] or PEERS)
