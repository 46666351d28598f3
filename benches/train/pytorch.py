"""Seconds for a training step of the reference in PyTorch on the CPU, the same work as `main.rs`; prints one JSON object."""
import json
import resource
import statistics
import time

import torch
from cn_clip.clip.utils import create_model

BATCHES, STEPS, LENGTH = (8, 16), 4, 52


def main():
    torch.set_num_threads(2)
    model = create_model("ViT-B-16@RoBERTa-wwm-ext-base-chinese").float().train()
    excluded = [p for n, p in model.named_parameters() if any(part in n for part in ("bn", "ln", "bias", "logit_scale"))]
    ids = {id(p) for p in excluded}
    decayed = [p for p in model.parameters() if id(p) not in ids]
    optimizer = torch.optim.AdamW(
        [{"params": excluded, "weight_decay": 0.0}, {"params": decayed, "weight_decay": 0.2}], lr=1e-5, betas=(0.9, 0.98), eps=1e-6)
    medians = {}
    for batch in BATCHES:
        pixels = torch.arange(batch * 3 * 224 * 224).remainder(97).float().div(48).sub(1).reshape(batch, 3, 224, 224)
        tokens = torch.arange(batch * LENGTH)
        tokens = torch.where(tokens % LENGTH < 16, 101 + tokens * 7919 % 20000, 0).reshape(batch, LENGTH)
        labels = torch.arange(batch)
        seconds = []
        for number in range(STEPS + 1):
            started = time.perf_counter()
            optimizer.zero_grad()
            images, texts, scale = model(pixels, tokens)
            logits = scale * images @ texts.t()
            loss = (torch.nn.functional.cross_entropy(logits, labels) + torch.nn.functional.cross_entropy(logits.t(), labels)) / 2
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                model.logit_scale.clamp_(0, 4.6052)
            if number:
                seconds.append(time.perf_counter() - started)
        medians[str(batch)] = statistics.median(seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"seconds_per_step": medians, "peak_mib": peak}))


if __name__ == "__main__":
    main()
