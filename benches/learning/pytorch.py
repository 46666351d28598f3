"""Trains what `main.rs` wrote out, in PyTorch, and holds loss curve and recall against tuwen's: `pytorch.py OUT LOG`.

OUT holds `batches.safetensors` and the starting model, LOG is tuwen's `train_log.jsonl` of the same run. Fails where a loss of the
first hundred steps differs by more than 1e-3 or the final recall by more than its 95 % confidence interval.
"""
import json
import math
import sys
from pathlib import Path

import torch
from cn_clip.clip.model import CLIP
from safetensors.torch import load_file

RATE, WARMUP, TOLERANCE, COMPARED = 5e-4, 20, 1e-3, 100


def build(out):
    config = json.loads((out / "config.json").read_text())
    vision, text = config["vision"], config["text"]
    model = CLIP(
        embed_dim=config["embed_dim"], image_resolution=vision["image_resolution"], vision_layers=vision["layers"],
        vision_width=vision["width"], vision_patch_size=vision["patch_size"], vision_head_width=vision["head_width"],
        vocab_size=text["vocab_size"], text_attention_probs_dropout_prob=0.0, text_hidden_act="gelu",
        text_hidden_dropout_prob=0.0, text_hidden_size=text["hidden_size"], text_initializer_range=0.02,
        text_intermediate_size=text["intermediate_size"], text_max_position_embeddings=text["max_position_embeddings"],
        text_num_attention_heads=text["heads"], text_num_hidden_layers=text["layers"], text_type_vocab_size=text["type_vocab_size"])
    model.load_state_dict(load_file(out / "model.safetensors"))
    return model.float()


def hits(scores, relevant):
    """hit@1, 5 and 10 of every query, and their standard error."""
    order = scores.argsort(dim=1, descending=True, stable=True)
    found = relevant.gather(1, order)
    return [found[:, :k].amax(dim=1) for k in (1, 5, 10)]


def main(out, log):
    torch.manual_seed(0)
    data = load_file(out / "batches.safetensors")
    lines = [json.loads(line) for line in Path(log).read_text().splitlines()]
    ours = [line["loss"] for line in lines if line["event"] == "step"]
    model = build(out).train()
    excluded = [p for n, p in model.named_parameters() if any(part in n for part in ("bn", "ln", "bias", "logit_scale"))]
    ids = {id(p) for p in excluded}
    decayed = [p for p in model.parameters() if id(p) not in ids]
    optimizer = torch.optim.AdamW(
        [{"params": excluded, "weight_decay": 0.0}, {"params": decayed, "weight_decay": 0.2}], lr=RATE, betas=(0.9, 0.98), eps=1e-6)
    total = len(data["image_rows"])
    worst, worst_after = 0.0, 0.0
    for step in range(total):
        rate = RATE * (step + 1) / WARMUP if step < WARMUP else 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (total - WARMUP))) * RATE
        for group in optimizer.param_groups:
            group["lr"] = rate
        pixels, tokens = data["train_pixels"][data["image_rows"][step].long()], data["tokens"][step].long()
        optimizer.zero_grad()
        images, texts, scale = model(pixels, tokens)
        logits = scale * images @ texts.t()
        labels = torch.arange(len(pixels))
        loss = (torch.nn.functional.cross_entropy(logits, labels) + torch.nn.functional.cross_entropy(logits.t(), labels)) / 2
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6052)
        difference = abs(loss.item() - ours[step])
        if step < COMPARED:
            worst = max(worst, difference)
        worst_after = max(worst_after, difference)
        if step % 20 == 0 or step == total - 1:
            print(f"step {step + 1:>3}  PyTorch {loss.item():.6f}  tuwen {ours[step]:.6f}  difference {difference:.1e}")
    model.eval()
    with torch.no_grad():
        images, texts, _ = model(data["valid_pixels"], data["valid_tokens"].long())
    relevant = data["valid_relevant"]
    last = next(line["validation"] for line in reversed(lines) if line.get("validation"))
    failed = worst > TOLERANCE
    print(f"largest difference of the loss: {worst:.1e} in {COMPARED} steps (at most {TOLERANCE}), {worst_after:.1e} in {total}")
    for name, scores, truth in (("text_to_image", texts @ images.t(), relevant), ("image_to_text", images @ texts.t(), relevant.t())):
        for k, found, mine in zip((1, 5, 10), hits(scores, truth), last[name]):
            mean, interval = found.mean().item(), 1.96 * found.std().item() / math.sqrt(len(found))
            failed |= abs(mean - mine) > interval
            print(f"{name} hit@{k}: PyTorch {100 * mean:.2f} ± {100 * interval:.2f}, tuwen {100 * mine:.2f}")
    sys.exit(failed)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
