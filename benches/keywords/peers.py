"""A peer of the keyword search: `peers.py PEER FOLDER` prints one JSON object; PEER is `tantivy` (the wheel) or `bm25s`.

FOLDER is from data.py, with the tokens and lists that our side left there. Both peers get our tokens, so that lists can be compared; what
jieba itself takes to cut the captions in Python is measured on the first 25,000 and scaled. CPU and wall seconds; queries one by one on one thread.
"""
import json
import logging
import shutil
import sys
import time
from pathlib import Path

K = 10
ROUNDS = 5
CUT = 25_000


def clocks():
    return time.perf_counter(), time.process_time()


def since(start):
    now = clocks()
    return now[0] - start[0], now[1] - start[1]


def cut(folder):
    import jieba

    jieba.setLogLevel(logging.ERROR)
    jieba.initialize()
    captions = (folder / "captions.txt").read_text().splitlines()
    start = clocks()
    for caption in captions[:CUT]:
        list(jieba.cut_for_search(caption.lower()))
    return [seconds * len(captions) / CUT for seconds in since(start)]


def build_tantivy(folder, documents):
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", tokenizer_name="whitespace", index_option="freq")
    builder.add_integer_field("row", stored=True, indexed=False)
    schema = builder.build()
    path = folder / "wheel"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    start = clocks()
    index = tantivy.Index(schema, path=str(path))
    # Two threads would make several segments, which are slower to search.
    writer = index.writer(heap_size=512 << 20, num_threads=1)
    for row, text in enumerate(documents):
        writer.add_document(tantivy.Document(text=text, row=row))
    writer.commit()
    writer.wait_merging_threads()
    build = since(start)
    index.reload()
    searcher = index.searcher()

    def query(tokens):
        terms = [(tantivy.Occur.Should, tantivy.Query.term_query(schema, "text", token, "freq")) for token in tokens]
        return searcher.search(tantivy.Query.boolean_query(terms), K, count=False).hits

    def named(hits):
        return [(searcher.doc(address)["row"][0], score) for score, address in hits]

    return build, query, named


def build_bm25s(_, documents):
    import bm25s

    tokens = [text.split() for text in documents]
    start = clocks()
    index = bm25s.BM25(method="lucene", k1=1.2, b=0.75, backend="numba")
    index.index(tokens, show_progress=False)
    build = since(start)
    index.activate_numba_scorer()

    def query(tokens):
        return index.retrieve([tokens], k=K, show_progress=False, n_threads=0)

    def named(found):
        # Its scores lack the factor k1 + 1.
        return [(int(row), float(score) * 2.2) for row, score in zip(found.documents[0], found.scores[0]) if score > 0]

    return build, query, named


def same(ours, theirs):
    """Whether the scores agree place by place to five digits; documents may differ among equal scores."""
    return len(ours) == len(theirs) and all(abs(a - b) <= 1e-5 * b for (_, a), (_, b) in zip(ours, theirs))


def main(name, folder):
    documents = (folder / "tokens.txt").read_text().splitlines()
    queries = [line.split() for line in (folder / "query_tokens.txt").read_text().splitlines()]
    lists = [[pair.split(":") for pair in line.split()] for line in (folder / "lists.txt").read_text().splitlines()]
    ours = [[(int(row), float(score)) for row, score in found] for found in lists]
    cut_s, cut_cpu_s = cut(folder)
    (build_s, build_cpu_s), query, named = {"tantivy": build_tantivy, "bm25s": build_bm25s}[name](folder, documents)
    found = [named(query(tokens)) for tokens in queries]
    microseconds = []
    for _ in range(ROUNDS):
        start = clocks()
        for tokens in queries:
            query(tokens)
        microseconds.append(since(start)[1] * 1e6 / len(queries))
    print(json.dumps({
        "name": name, "cut_s": cut_s, "cut_cpu_s": cut_cpu_s, "build_s": build_s, "build_cpu_s": build_cpu_s,
        "query_us": sorted(microseconds)[ROUNDS // 2], "queries": len(queries),
        "same_scores": sum(map(same, ours, found)),
        "same_documents": sum([row for row, _ in a] == [row for row, _ in b] for a, b in zip(ours, found)),
    }))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
