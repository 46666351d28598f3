"""One peer over made vectors: `peers.py NAME FOLDER [KEEP]` prints one JSON object, CPU seconds and microseconds.

FOLDER is from data.py, with the true lists that `cargo bench --bench vectors` leaves there. NAME is flat, hnswlib, usearch-bf16,
usearch-i8, faiss-hnsw, faiss-ivf-flat, faiss-ivf-sq8 or faiss-ivf-pq. An index is kept in KEEP with what its build took, and reused.
Two threads; inner product; M = 16, ef_construction = 100.
"""
import json
import os
import resource
import sys
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "2"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
import numpy as np  # noqa: E402

DIMENSION, THREADS, M, EF_CONSTRUCTION, K = 512, 2, 16, 100, 10
EFS = (32, 64, 128, 256, 512, 1024, 2048)
NPROBES = (4, 8, 16, 24, 32, 48, 64, 96)
SINGLES = 200


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def read(path, kind="<f4", width=DIMENSION):
    return np.memmap(path, kind, "r").reshape(-1, width)


def blocks(base, rows=50_000):
    for first in range(0, len(base), rows):
        yield first, np.ascontiguousarray(base[first : first + rows])


def hnswlib_index(base, kept):
    import hnswlib

    index = hnswlib.Index(space="ip", dim=DIMENSION)
    if kept.exists():
        index.load_index(str(kept))
    else:
        index.init_index(len(base), M=M, ef_construction=EF_CONSTRUCTION)
        index.set_num_threads(THREADS)
        for first, block in blocks(base):
            index.add_items(block, np.arange(first, first + len(block)))
    save = lambda: index.save_index(str(kept))
    return save, EFS, index.set_ef, lambda q: index.knn_query(q, k=K, num_threads=THREADS if len(q) > 1 else 1)[0]


def usearch_index(base, kept, kind):
    from usearch.index import Index

    index = Index(ndim=DIMENSION, metric="ip", dtype=kind, connectivity=M, expansion_add=EF_CONSTRUCTION)
    if kept.exists():
        index.load(str(kept))
    else:
        for first, block in blocks(base):
            index.add(np.arange(first, first + len(block)), block, threads=THREADS)

    def effort(ef):
        index.expansion_search = ef

    save = lambda: index.save(str(kept))
    return save, EFS, effort, lambda q: index.search(q, K, threads=THREADS if len(q) > 1 else 1).keys.reshape(len(q), -1)


def faiss_index(base, kept, spec):
    import faiss

    faiss.omp_set_num_threads(THREADS)
    if kept.exists():
        index = faiss.read_index(str(kept))
    elif spec == "hnsw":
        index = faiss.IndexHNSWFlat(DIMENSION, M, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = EF_CONSTRUCTION
    elif spec == "flat":
        index = faiss.IndexFlatIP(DIMENSION)
    else:
        lists = max(64, int(4 * len(base) ** 0.5) // 64 * 64)
        index = faiss.index_factory(DIMENSION, f"IVF{lists},{spec}", faiss.METRIC_INNER_PRODUCT)
        faiss.extract_index_ivf(index).cp.niter = 10
        index.train(np.ascontiguousarray(base[:: max(1, len(base) // (40 * lists))]))
    if not kept.exists():
        for _, block in blocks(base):
            index.add(block)

    def effort(value):
        if spec == "hnsw":
            index.hnsw.efSearch = value
        elif spec != "flat":
            faiss.extract_index_ivf(index).nprobe = value

    efforts = EFS if spec == "hnsw" else (0,) if spec == "flat" else NPROBES
    return lambda: faiss.write_index(index, str(kept)), efforts, effort, lambda q: index.search(q, K)[1]


PEERS = {
    "flat": lambda base, kept: faiss_index(base, kept, "flat"),
    "hnswlib": hnswlib_index,
    "usearch-bf16": lambda base, kept: usearch_index(base, kept, "bf16"),
    "usearch-i8": lambda base, kept: usearch_index(base, kept, "i8"),
    "faiss-hnsw": lambda base, kept: faiss_index(base, kept, "hnsw"),
    "faiss-ivf-flat": lambda base, kept: faiss_index(base, kept, "Flat"),
    "faiss-ivf-sq8": lambda base, kept: faiss_index(base, kept, "SQ8"),
    "faiss-ivf-pq": lambda base, kept: faiss_index(base, kept, "PQ64x4fs,RFlat"),
}


def main(name, folder, keep):
    base = read(folder / "base.f32")
    kept = (keep or folder) / f"{name}.index"
    found = {"name": name, "rows": len(base), "search": []}
    existed = kept.exists()
    before = cpu()
    save, efforts, effort, search = PEERS[name](base, kept)
    noted = kept.with_suffix(".build")
    if not existed:
        found["build_cpu_s"] = round(cpu() - before, 1)
    elif noted.exists():
        found["build_cpu_s"] = float(noted.read_text())
    if keep and not existed:
        save()
        noted.write_text(str(found["build_cpu_s"]))
    for side in ("same", "cross"):
        queries = np.ascontiguousarray(read(folder / f"{side}.f32"))
        truth = read(folder / f"truth_{side}.u32", "<u4", K) if (folder / f"truth_{side}.u32").exists() else None
        if name != "flat" and truth is not None:
            queries, truth = queries[::3].copy(), truth[::3]
        for value in efforts:
            effort(value)
            rounds, singles = [], []
            for _ in range(3):
                before = cpu()
                lists = search(queries)
                rounds.append((cpu() - before) / len(queries) * 1e6)
                before = cpu()
                for query in queries[:: len(queries) // SINGLES][:SINGLES]:
                    search(query[None])
                singles.append((cpu() - before) / SINGLES * 1e6)
            row = {"queries": side, "effort": value, "batch_us": round(sorted(rounds)[1], 1), "single_us": round(sorted(singles)[1], 1)}
            if truth is not None:
                row["recall"] = round(float(np.mean([len(np.intersect1d(a[:K], b)) for a, b in zip(lists, truth)])) / K, 4)
            if name == "flat" and truth is not None:
                row["same_lists"] = int(sum(bool((a == b).all()) for a, b in zip(lists, truth)))
            found["search"].append(row)
            if row.get("recall", 0) > 0.992:
                break
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
