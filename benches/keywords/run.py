"""Keyword search beside its peers, in one run: `run.py PYTHON FOLDER` prints Markdown tables.

PYTHON is an interpreter with jieba 0.42.1, bm25s 0.3.16 (with numba) and tantivy 0.27.0; FOLDER is from data.py. Two threads for the build, one for queries.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = ("tantivy", "bm25s")


def objects(command):
    environment = {**os.environ, "RAYON_NUM_THREADS": "2"}
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


def main(python, folder):
    bench = ["cargo", "bench", "--quiet", "--bench", "keywords", "--", folder]
    terms, grams = objects([*bench, "terms", "grams"])
    peers = [objects([python, HERE / "peers.py", name, folder])[0] for name in PEERS]
    print(f"{terms['rows']:,} captions, {peers[0]['queries']:,} queries, top 10\n")
    print("| | cut + index, wall s | CPU s | of it cut, CPU s | query, CPU us |\n|---|---:|---:|---:|---:|")
    for name, row in (("tuwen, words", terms), ("tuwen, words and second field", grams)):
        print(f"| {name} | {row['build_s']:.1f} | {row['build_cpu_s']:.1f} | {row['cut_cpu_s']:.1f} | {row['query_us']:.0f} |")
    for row in peers:
        wall, cpu = row["cut_s"] + row["build_s"], row["cut_cpu_s"] + row["build_cpu_s"]
        print(f"| jieba + {row['name']}, words | {wall:.1f} | {cpu:.1f} | {row['cut_cpu_s']:.1f} | {row['query_us']:.0f} |")
    print("\n| peer / tuwen, words | wall | CPU | query | lists with our scores | with our documents |\n|---|---:|---:|---:|---:|---:|")
    for row in peers:
        wall = (row["cut_s"] + row["build_s"]) / terms["build_s"]
        cpu = (row["cut_cpu_s"] + row["build_cpu_s"]) / terms["build_cpu_s"]
        query = row["query_us"] / terms["query_us"]
        lists = f"{row['same_scores']} | {row['same_documents']}"
        print(f"| {row['name']} | {wall:.1f} | {cpu:.1f} | {query:.2f} | {lists} |")


if __name__ == "__main__":
    main(sys.argv[1], str(Path(sys.argv[2]).resolve()))
