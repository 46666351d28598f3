"""Random ranked lists and what ranx and qdrant-client make of them: writes fusion.jsonl.

Needs ranx 0.3.21 (`rrf`, `wsum` after min-max normalisation) and qdrant-client 1.20.0 (DBSF of its local mode). Scores are exact in 32 bits.
"""
import json
import random
from pathlib import Path

import numpy as np
from qdrant_client.hybrid.fusion import distribution_based_score_fusion
from qdrant_client.http.models import ScoredPoint
from ranx import Run, fuse

OUT = Path(__file__).parent / "fusion.jsonl"
CASES = 50


def leg(rng, scale):
    documents = rng.sample(range(200), rng.choice([1, 2, 3, 10, 20]))
    # Scores of one list all differ, as ranx and we break ties otherwise.
    scores = sorted((float(np.float32(score)) for score in rng.sample(range(1, 10**6), len(documents))), reverse=True)
    return [(document, float(np.float32(score * scale / 10**6))) for document, score in zip(documents, scores)]


def with_ranx(legs, method, **options):
    runs = [Run({"q": {str(document): score for document, score in leg}}) for leg in legs]
    fused = fuse(runs, method=method, **options)
    return {int(document): float(score) for document, score in fused.run["q"].items()}


def dbsf(legs):
    responses = [[ScoredPoint(id=document, version=0, score=score) for document, score in leg] for leg in legs]
    return {point.id: point.score for point in distribution_based_score_fusion(responses, limit=1000)}


def ordered(scores):
    return [[document, float(f"{score:.9g}")] for document, score in sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))]


def main():
    rng = random.Random(20240607)
    with OUT.open("w", encoding="ascii") as out:
        for _ in range(CASES):
            legs = [leg(rng, 30.0), leg(rng, 1.0)]
            alpha = rng.randrange(21) / 20
            line = {
                "keywords": legs[0], "vectors": legs[1], "alpha": alpha,
                "rrf": ordered(with_ranx(legs, "rrf", norm=None, params={"k": 60})),
                "convex": ordered(with_ranx(legs, "wsum", norm="min-max", params={"weights": (1 - alpha, alpha)})),
                "dbsf": ordered(dbsf(legs)),
            }
            out.write(json.dumps(line, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
