"""What the reference and trec_eval make of feature, prediction, truth, run and qrels files: writes `files/` beside this script.

Needs cn_clip 1.6.0, torch, numpy and pytrec_eval (pytrec_eval-terrier). The reference's scripts run as they stand, with `.cuda()` made to do nothing.
"""
import contextlib
import io
import json
import random
import runpy
import sys
import tempfile
from pathlib import Path

import cn_clip.eval
import numpy as np
import pytrec_eval
import torch

SCRIPTS = Path(cn_clip.eval.__path__[0])
HERE = Path(__file__).resolve().parent / "files"
ODD = ['1', '"1"', '1.0', 'true', 'null', '[1]', '{"a": "b\'c"}', '-0', '1e3', 'NaN', '123456789012345678901234567890', '"图“"', '"\\ud83d\\ude00"', '1e-7', '[]']
BROKEN = ['', '{', '{"text_id": 1', '{"text_id": 1,}', '[1, 2', '"text_id"', '5', 'nul', '{"a" 1}', '{"a": "\\x"}', '{"a": "\t"}', '{"a": "\\u12"}', '{} {}', '\ufeff{}', '01']


def script(name, *arguments):
    before = sys.argv
    sys.argv = [name, *map(str, arguments)]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
    sys.argv = before


def features():
    """30 images, two of them doubles of others, and 24 texts, through search and evaluation in both directions."""
    maker = np.random.default_rng(5)
    images = maker.standard_normal((30, 24))
    images[7], images[20] = images[3], images[3]
    texts = images[np.arange(24) % 30] + 1.4 * maker.standard_normal((24, 24))
    for name, key, first, values in (("imgs.img_feat", "image_id", 100, images), ("texts.txt_feat", "text_id", 1, texts)):
        unit = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
        unit[0, 0] = np.float32(1e-5)
        lines = [json.dumps({key: first + row, "feature": vector.tolist()}) for row, vector in enumerate(unit)]
        (HERE / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    truth = [{"text_id": 1 + row, "text": f"第{row}条", "image_ids": [100 + row % 30] + ([100 + row // 2] if row % 5 == 0 else [])} for row in range(24)]
    (HERE / "texts.jsonl").write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in truth) + "\n")
    script("transform_ir_annotation_to_tr", "--input", HERE / "texts.jsonl")
    for suffix, kept in (("", "texts.jsonl"), ("_tr", "texts.tr.jsonl")):
        script(f"make_topk_predictions{suffix}", "--image-feats", HERE / "imgs.img_feat.jsonl", "--text-feats", HERE / "texts.txt_feat.jsonl", "--output", HERE / f"predictions{suffix}.jsonl")
        script(f"evaluation{suffix}", HERE / kept, HERE / f"predictions{suffix}.jsonl", HERE / f"score{suffix}.json")


def lines_of(turned, draw):
    """A truth and predictions for it, most of them with one fault."""
    query, documents = ("image_id", "text_ids") if turned else ("text_id", "image_ids")
    truth, predictions = [], []
    for number in range(1, 4):
        relevant = ", ".join([str(draw.randrange(25)) for _ in range(draw.randrange(3))])
        truth.append('{"%s": %d, "%s": [%s]}' % (query, number, documents, relevant))
        predictions.append((str(number), [str(id) for id in draw.sample(range(25), 10)]))
    fault = draw.randrange(9)
    at = draw.randrange(3)
    number, ids = predictions[at]
    if fault == 0:
        ids[draw.randrange(10)] = draw.choice(ODD)
    elif fault == 1:
        ids[1] = ids[0]
    elif fault == 2:
        del ids[draw.randrange(10) :]
    made = ['{"%s": %s, "%s": [%s]}' % (query, number, documents, ", ".join(ids)) for number, ids in predictions]
    if fault == 3:
        made[at] = draw.choice(BROKEN)
    elif fault == 4:
        del made[at]
    elif fault == 5:
        truth[at] = draw.choice(BROKEN)
    elif fault == 6:
        made[at] = '{"%s": %s, "%s": %s}' % (query, number, documents, draw.choice(ODD))
    elif fault == 7:
        truth[at] = '{"%s": %s, "%s": %s}' % (query, draw.choice(ODD), documents, draw.choice(ODD))
    end = draw.choice(["\n", "\n", "\r\n", "\r"])
    return end.join(truth) + end, end.join(made) + draw.choice(["", end])


def scores(cases=160):
    """What evaluation.py and evaluation_tr.py write, refusals included."""
    draw = random.Random(11)
    found = [("", "", False), ('{"text_id": 1, "image_ids": []}\n', "", False)]
    found += [(*lines_of(turned, draw), turned) for turned in [False, True] * (cases // 2)]
    kept = []
    with tempfile.TemporaryDirectory() as folder:
        truth, predictions, score = (Path(folder) / name for name in ("truth", "predictions", "score"))
        for given, answered, turned in found:
            truth.write_bytes(given.encode())
            predictions.write_bytes(answered.encode())
            script("evaluation_tr" if turned else "evaluation", truth, predictions, score)
            written = score.read_text()
            # Several missing ids come in the order of a hash table.
            missing = json.loads(written).get("errorDetail", "").rpartition("check again: ")[2]
            # What the text-to-image script says of a text_id that is no integer is a bug: the id of the line before, or of no line.
            if (not missing.count(", ") or "no prediction" not in written) and not (not turned and ("'qid'" in written or "invalid text_id" in written)):
                kept.append({"turned": turned, "truth": given, "predictions": answered, "score": written})
    (HERE / "scores.json").write_text(json.dumps(kept, indent=0) + "\n")


def trec():
    """A run with equal scores, scores that are equal as f32 alone, and ids of several alphabets, per query by trec_eval."""
    draw = random.Random(3)
    names = [f"d{number}" for number in range(12)] + ["图1", "é", "Z", "a-1", "10", "9"]
    qrels, run, lines = {}, {}, []
    for query in ("q2", "q1", "图", "q3"):
        qrels[query] = {name: draw.choice([-1, 0, 1, 1, 2, 3]) for name in draw.sample(names, 9)}
        run[query] = {}
        for rank, name in enumerate(draw.sample(names, 14)):
            score = draw.choice([1.0, 0.5, 0.5, 0.25, 0.1, 0.1 + 1e-10, 7e-3])
            run[query][name] = score
            lines.append(f"{query} Q0 {name} {rank} {score!r} tag")
    del run["q3"]
    qrels["q4"] = {"d1": 0}
    draw.shuffle(lines)
    (HERE / "run.txt").write_text("\n".join(line for line in lines if not line.startswith("q3")) + "\n")
    (HERE / "qrels.txt").write_text("".join(f"{query} 0 {name}\t{gain}\n" for query, gains in qrels.items() for name, gain in gains.items()))
    measures = {"map", "recip_rank", "ndcg", "num_rel", "num_rel_ret", "success_1", "P_5"}
    (HERE / "trec_eval.json").write_text(json.dumps(pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run), indent=1, sort_keys=True) + "\n")


def zero_shot(classes=7, dimension=20, images=40):
    """The reference's classifier and its pass over images, with a model that gives random vectors."""
    from cn_clip.eval import zeroshot_evaluation as reference

    maker = torch.Generator().manual_seed(9)
    prompts, drawn = [], []

    class Model:
        def __call__(self, image, text):
            if image is not None:
                return image.clone()
            drawn.append(torch.randn(text.shape[0], dimension, generator=maker) * 3 + 0.5)
            return drawn[-1].clone()

    def accuracy(output, target, topk=(1,)):
        """The reference's own, but for a conversion that numpy no longer makes."""
        best = output.topk(max(topk), 1, True, True)[1].t()
        correct = best.eq(target.view(1, -1).expand_as(best))
        return [correct[:k].reshape(-1).float().sum().item() for k in topk]

    reference.accuracy = accuracy
    names = [f"类{number}" for number in range(classes)]
    templates = reference.country211_templates
    prompts = [[template(name) for template in templates] for name in names]
    args = type("Args", (), {"gpu": "cpu", "context_length": 52, "index": ""})
    with contextlib.redirect_stderr(io.StringIO()):
        classifier = reference.zero_shot_classifier(Model(), names, templates, args)
        vectors = torch.randn(images, dimension, generator=maker) + 2 * classifier.T[torch.arange(images) % classes]
        targets = torch.arange(images) % classes
        loader = [(vectors[at : at + 16], targets[at : at + 16]) for at in range(0, images, 16)]
        top1, probabilities = reference.run(Model(), classifier, loader, args)
    logits = 100.0 * (vectors / vectors.norm(dim=-1, keepdim=True)) @ classifier
    written = {"model_name": "CN-CLIP-ViT-B-16", "dataset_name": "country211", "num_trainable_params": 0, "num_params": 188262913, "num_visual_params": 86192640,
               "num_backbone_params": 188262913, "n_shot": 0, "rnd_seeds": [123], "predictions": [probabilities.numpy().tolist()]}
    (HERE / "elevater.json").write_text(json.dumps(json.loads(json.dumps(written), parse_float=lambda text: round(float(text), 6))))
    kept = {"classes": names, "prompts": prompts, "text_vectors": torch.cat(drawn).tolist(), "image_vectors": vectors.tolist(), "targets": targets.tolist(),
            "logits": logits.tolist(), "probabilities": probabilities.tolist(), "top1": top1}
    (HERE / "zero_shot.json").write_text(json.dumps(kept, ensure_ascii=False))


if __name__ == "__main__":
    torch.Tensor.cuda = lambda self, *_, **__: self
    HERE.mkdir(exist_ok=True)
    features()
    scores()
    trec()
    zero_shot()
