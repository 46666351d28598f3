"""Images and texts per second of the reference in PyTorch, ViT-B-16 + RoBERTa-wwm-ext-base-chinese with random weights.

`pytorch.py f32|bf16-autocast|bf16`: prints one JSON object in the form of `main.rs`. Texts are padded to 52 tokens, as the reference
pads them; bf16 runs under autocast or with weights cast once.
"""
import json
import statistics
import sys
import time
from pathlib import Path

import torch
from cn_clip.clip import tokenize
from cn_clip.clip.model import LayerNorm
from cn_clip.clip.utils import create_model
from cn_clip.eval.data import _preprocess_text

BATCHES = (1, 8, 32)
SECONDS = 6.0


def measure(call):
    rates = {}
    for batch in BATCHES:
        call(0, batch)
        seconds = []
        while sum(seconds) < SECONDS or len(seconds) < 3:
            started = time.perf_counter()
            call(len(seconds), batch)
            seconds.append(time.perf_counter() - started)
        rates[str(batch)] = batch / statistics.median(seconds)
    return rates


def main(precision):
    torch.set_num_threads(2)
    model = create_model("ViT-B-16@RoBERTa-wwm-ext-base-chinese").float().eval()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    model = model.to(dtype)
    for module in model.modules():
        if isinstance(module, LayerNorm):  # the reference keeps these in 32 bits
            module.float()
    lines = (Path(__file__).parent / "texts.jsonl").read_text().splitlines()
    texts = tokenize([_preprocess_text(json.loads(line)["text"]) for line in lines], 52)
    pixels = torch.randn(max(BATCHES), 3, 224, 224, dtype=dtype)

    def unit(features):
        return features / features.norm(dim=-1, keepdim=True)

    def texts_of(call, batch):
        return texts[torch.arange(call * batch, call * batch + batch) % len(texts)]

    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-autocast"):
        images = measure(lambda _, batch: unit(model.encode_image(pixels[:batch])))
        encoded = measure(lambda call, batch: unit(model.encode_text(texts_of(call, batch))))
    print(json.dumps({"images_per_second": images, "texts_per_second": encoded}))


if __name__ == "__main__":
    main(sys.argv[1])
