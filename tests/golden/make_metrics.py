"""Runs, judgements and what trec_eval makes of them; tests and intervals by scipy.

Needs pytrec_eval-terrier 0.5.11, ir_measures 0.4.3 and scipy 1.17.1.
"""
import json
from pathlib import Path

import ir_measures
import numpy as np
import pytrec_eval
from ir_measures import AP, P, R, RR, Success, nDCG
from scipy import stats

OUT = Path(__file__).parent / "metrics.json"
DEPTHS = (1, 2, 5, 10, 100)
TREC = {"hit": "success", "recall": "recall", "precision": "P", "ndcg": "ndcg_cut", "map": "map_cut"}
IR = {"hit": Success, "recall": R, "precision": P, "ndcg": nDCG, "map": AP}
WHOLE = {"mrr": ("recip_rank", RR), "ndcg": ("ndcg", nDCG), "map": ("map", AP)}


def trec_eval(qrels, run):
    """{metric: {query: value}}, zero for queries that were not answered"""
    depths = ",".join(map(str, DEPTHS))
    measures = {f"{name}.{depths}" for name in TREC.values()} | {trec for trec, _ in WHOLE.values()}
    rows = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)

    def values(trec):
        return {query: rows.get(query, {}).get(trec, 0.0) for query in qrels}

    found = {f"{name}@{k}": values(f"{trec}_{k}") for name, trec in TREC.items() for k in DEPTHS}
    found |= {name: values(trec) for name, (trec, _) in WHOLE.items()}
    hits = [found[f"hit@{k}"] for k in (1, 5, 10)]
    found["mean_recall"] = {query: sum(hit[query] for hit in hits) / 3 for query in qrels}
    found["median_rank"] = {query: 1 / rr if rr else float("inf") for query, rr in found["mrr"].items()}
    return found


def aggregates(qrels, run, per_query, ties):
    """ir_measures' means over all judged queries; `RR@k` breaks ties in another way than trec_eval"""
    measures = {f"{name}@{k}": measure @ k for name, measure in IR.items() for k in DEPTHS}
    measures |= {name: measure for name, (_, measure) in WHOLE.items()}
    if not ties:
        measures |= {f"mrr@{k}": RR @ k for k in DEPTHS}
    found = ir_measures.calc_aggregate(list(measures.values()), qrels, run)
    found = {name: found[measure] for name, measure in measures.items()}
    for name in ("hit@1", "ndcg@5", "map"):
        assert abs(found[name] - np.mean(list(per_query[name].values()))) < 1e-12, name
    found["mean_recall"] = np.mean([found["hit@1"], found["hit@5"], found["hit@10"]])
    found["median_rank"] = np.median(list(per_query["median_rank"].values()))
    return found


def case(name, qrels, run, ties=True):
    per_query = trec_eval(qrels, run)
    queries = list(qrels)
    return {
        "name": name,
        "queries": queries,
        "qrels": [qrels[query] for query in queries],
        "run": [list(run.get(query, {}).items()) for query in queries],
        "per_query": {metric: [tidy(values[query]) for query in queries] for metric, values in per_query.items()},
        "aggregate": {metric: tidy(value) for metric, value in aggregates(qrels, run, per_query, ties).items()},
    }


def tidy(value):
    """ten digits; null for infinity"""
    return float(f"{value:.10g}") if np.isfinite(value) else None


def random_case(name, rng, queries, documents, relevance, judged, answered, scores):
    ids = [f"d{number}" for number in range(documents)]
    qrels, run = {}, {}
    for query in (f"q{number}" for number in range(queries)):
        qrels[query] = {str(doc): int(rng.choice(relevance)) for doc in rng.choice(ids, rng.integers(1, judged), False)}
        found = rng.choice(ids, rng.integers(0, answered + 1), False)
        run[query] = {str(doc): float(score) for doc, score in zip(found, scores(len(found)))}
    return case(name, qrels, run, ties=name != "distinct scores")


def hostile_case():
    """ties that only f32 sees, ids whose order depends on how they are compared, and queries that lack something"""
    tied = {"doc9": 1, "doc10": 0, "doc1": 2, "Doc9": 1, "图像": 3, "é": 0, "z": 1, "~": 0, "": 1}
    near = [0.1, 0.10000000001, 0.1 + 1e-9, float(np.nextafter(np.float32(0.1), np.float32(1)))]
    qrels = {
        "all equal": tied,
        "zero and minus zero": tied,
        "below f32": {"a": 1, "b": 0, "c": 2, "d": 0},
        "only zeros": {"a": 0, "b": 0},
        "only negative": {"a": -1, "b": -2},
        "negative among others": {"a": -1, "b": 1, "c": 2},
        "nothing found": {"a": 1},
        "not answered": {"a": 1, "b": 2},
        "answered with nothing": {"a": 1},
        "more relevant than ranked": {f"d{number}": number % 4 for number in range(40)},
        "huge and tiny": {"a": 1, "b": 2, "c": 3, "d": 1},
    }
    run = {
        "all equal": dict.fromkeys(reversed(tied), 0.25),
        "zero and minus zero": {doc: -0.0 if number % 2 else 0.0 for number, doc in enumerate(tied)},
        "below f32": dict(zip("abcd", near)),
        "only zeros": {"a": 1.0, "b": 0.5},
        "only negative": {"a": 1.0, "b": 0.5},
        "negative among others": {"a": 3.0, "b": 2.0, "c": 1.0},
        "nothing found": {"x": 1.0, "y": 1.0},
        "answered with nothing": {},
        "more relevant than ranked": {f"d{number}": -float(number * 7 % 11) for number in range(12)},
        "huge and tiny": {"a": 3e38, "b": 1e-45, "c": -3e38, "d": 0.0},
        "not judged": {"a": 1.0},
    }
    return case("hostile", qrels, run)


def holm(p):
    order, greatest, corrected = np.argsort(p), 0.0, np.zeros(len(p))
    for place, at in enumerate(order):
        greatest = max(greatest, min(1.0, (len(p) - place) * p[at]))
        corrected[at] = greatest
    return corrected.tolist()


def by_cluster(values, clusters):
    return np.bincount(clusters, weights=values)


def significance(rng, queries, clusters, spread):
    """two-sided p by every exchange of whole clusters"""
    of = np.sort(rng.permutation(np.arange(queries) % clusters))
    before = rng.integers(1, 15, queries)
    after = np.maximum(1, before + rng.integers(-spread, 2, queries))
    expected = {}
    for metric, value in (("mrr", lambda r: 1 / r), ("hit@5", lambda r: (r <= 5).astype(float))):
        sums = [by_cluster(value(ranks), of) for ranks in (before, after)]
        test = stats.permutation_test(
            sums, lambda x, y, axis: (y - x).sum(axis=axis), permutation_type="samples", vectorized=True,
            n_resamples=np.inf, alternative="two-sided",
        )
        expected[metric] = tidy(test.pvalue)
    if clusters == queries:
        test = stats.permutation_test(
            (before, after), lambda x, y, axis: np.median(y, axis=axis) - np.median(x, axis=axis), vectorized=True,
            permutation_type="samples", n_resamples=np.inf, alternative="two-sided",
        )
        expected["median_rank"] = tidy(test.pvalue)
    return {"clusters": of.tolist(), "before": before.tolist(), "after": after.tolist(), "p": expected}


def interval(rng, queries, clusters):
    """scipy's percentile bootstrap of a ratio of sums over clusters, and of the difference of two"""
    of = np.sort(rng.permutation(np.arange(queries) % clusters))
    effect = rng.integers(0, 8, clusters)
    before = effect[of] + rng.integers(1, 10, queries)
    after = np.maximum(1, before + rng.integers(-5, 4, queries))
    sizes = np.bincount(of)
    members = [np.flatnonzero(of == cluster) for cluster in range(clusters)]

    def ends(data, statistic, vectorized=True):
        found = stats.bootstrap(
            data, statistic, paired=True, vectorized=vectorized, method="percentile", confidence_level=0.95,
            n_resamples=100_000 if vectorized else 20_000, rng=np.random.default_rng(1),
        )
        return [tidy(found.confidence_interval.low), tidy(found.confidence_interval.high)]

    ratio = lambda x, n, axis: x.sum(axis=axis) / n.sum(axis=axis)
    median = lambda chosen: np.median(before[np.concatenate([members[int(cluster)] for cluster in chosen])])
    return {
        "clusters": of.tolist(),
        "before": before.tolist(),
        "after": after.tolist(),
        "mrr": ends((by_cluster(1 / before, of), sizes), ratio),
        "mrr_difference": ends((by_cluster(1 / after - 1 / before, of), sizes), ratio),
        "median_rank": ends((np.arange(clusters),), median, vectorized=False),
    }


def main():
    rng = np.random.default_rng(20)
    coarse = lambda count: rng.integers(-2, 4, count) / 4
    near = lambda count: 0.7 + rng.integers(0, 6, count) * 2e-8
    runs = [
        random_case("distinct scores", rng, 30, 60, [0, 1], 8, 40, lambda count: rng.permutation(200)[:count] / 256),
        random_case("graded, many ties", rng, 30, 40, [-1, 0, 1, 2, 3], 20, 40, coarse),
        random_case("graded, ties of f32", rng, 20, 130, [0, 1, 5], 30, 120, near),
        hostile_case(),
    ]
    p = [rng.random(6).tolist(), [0.01, 0.04, 0.03, 0.005, 0.03], [0.5, 0.6], [0.0, 1.0, 0.0]]
    shapes = ((12, 12, 4), (16, 16, 5), (40, 12, 3), (9, 2, 4), (14, 14, 1))  # queries, clusters, spread
    fixture = {
        "runs": runs,
        "significance": [significance(rng, *shape) for shape in shapes],
        "holm": [{"p": values, "corrected": holm(values)} for values in p],
        "intervals": [interval(rng, 200, 80), interval(rng, 60, 60)],
    }
    OUT.write_text(json.dumps(fixture, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
