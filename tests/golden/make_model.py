"""A tiny Chinese-CLIP with random weights: features, loss, gradients and AdamW steps of the reference code."""
import json
from pathlib import Path
from types import SimpleNamespace

import torch
from cn_clip.clip.model import CLIP
from cn_clip.training.scheduler import cosine_lr
from cn_clip.training.train import get_loss
from safetensors.torch import save_file
from transformers import ChineseCLIPConfig, ChineseCLIPModel

OUT = Path(__file__).parent
CONTEXT_LENGTH, CLS, SEP = 16, 101, 102
# Every width differs from the others, so that a swapped axis cannot pass.
CONFIG = {
    "embed_dim": 24,
    "image_resolution": 32,
    "vision_layers": 2,
    "vision_width": 40,
    "vision_head_width": 8,
    "vision_patch_size": 8,
    "vocab_size": 200,
    "text_attention_probs_dropout_prob": 0.0,
    "text_hidden_act": "gelu",
    "text_hidden_dropout_prob": 0.0,
    "text_hidden_size": 32,
    "text_initializer_range": 0.02,
    "text_intermediate_size": 96,
    "text_max_position_embeddings": 36,
    "text_num_attention_heads": 4,
    "text_num_hidden_layers": 2,
    "text_type_vocab_size": 2,
}
OPTIMIZER = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.98, "eps": 1e-6, "weight_decay": 0.2}
SCHEDULE = {"warmup": 2, "total": 10}


def randomize(model, generator):
    """Weights large enough for every layer, norm and bias to show in the features."""
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if name == "logit_scale":
            continue
        if "ln_" in name or "LayerNorm" in name:
            p.data = 0.2 * noise + (1.0 if name.endswith("weight") else 0.0)
        elif "embedding" in name:
            p.data = 0.5 * noise
        elif p.ndim == 1:
            p.data = 0.1 * noise
        else:
            # x @ p for the projections, x @ p.T for everything else
            fan_in = p.shape[0] if name in ("visual.proj", "text_projection") else p[0].numel()
            p.data = 1.2 * fan_in ** -0.5 * noise


def random_tokens(generator):
    """A full row, two padded rows (ids repeat inside a row), and the empty text."""
    tokens = torch.zeros(4, CONTEXT_LENGTH, dtype=torch.long)
    for row, words in zip(tokens, (CONTEXT_LENGTH - 2, 9, 4, 0)):
        ids = torch.randint(103, CONFIG["vocab_size"], (words,), generator=generator)
        if words > 3:
            ids[3] = ids[0]
        row[: words + 2] = torch.cat([torch.tensor([CLS]), ids, torch.tensor([SEP])])
    return tokens


def reference_loss(model, images, tokens):
    torch.Tensor.cuda = lambda self, *_, **__: self  # get_loss moves its labels to a GPU
    args = SimpleNamespace(accum_freq=1, mask_ratio=0, distillation=False, aggregate=False,
                           local_device_rank=0, report_training_batch_acc=False)
    criterion = torch.nn.CrossEntropyLoss()
    return get_loss(model, images, tokens, criterion, criterion, args)[0]


def adamw(model):
    def excluded(name):
        return any(part in name for part in ("bn", "ln", "bias", "logit_scale"))

    named = list(model.named_parameters())
    groups = [
        {"params": [p for n, p in named if excluded(n)], "weight_decay": 0.0},
        {"params": [p for n, p in named if not excluded(n)], "weight_decay": OPTIMIZER["weight_decay"]},
    ]
    return torch.optim.AdamW(groups, lr=OPTIMIZER["lr"], eps=OPTIMIZER["eps"],
                             betas=(OPTIMIZER["beta1"], OPTIMIZER["beta2"]))


def train(weights, images, tokens, steps, scheduled):
    """The model after `steps` steps on one batch, and the loss and the learning rate of each step."""
    model = CLIP(**CONFIG).train()
    model.load_state_dict(weights)
    optimizer = adamw(model)
    schedule = cosine_lr(optimizer, OPTIMIZER["lr"], SCHEDULE["warmup"], SCHEDULE["total"])
    losses, rates = [], []
    for step in range(steps):
        if scheduled:
            schedule(step)
        optimizer.zero_grad()
        loss = reference_loss(model, images, tokens)
        loss.backward()
        optimizer.step()
        model.logit_scale.data = torch.clamp(model.logit_scale.data, 0, 4.6052)
        losses.append(loss.item())
        rates.append(optimizer.param_groups[0]["lr"])
    return model.state_dict(), losses, rates


def to_transformers(tensors):
    """Renames the reference's tensors (weights or gradients) to those of ChineseCLIPModel."""
    out = {}
    for key, t in tensors.items():
        if key == "logit_scale":
            out[key] = t
        elif key == "text_projection":
            out["text_projection.weight"] = t.T
        elif key == "visual.proj":
            out["visual_projection.weight"] = t.T
        elif key.startswith("bert."):
            out["text_model." + key[len("bert."):]] = t
        elif ".attn.in_proj_" in key:
            prefix, kind = key.split(".attn.in_proj_")
            for name, part in zip("qkv", t.chunk(3)):
                out[f"{visual_key(prefix)}.self_attn.{name}_proj.{kind}"] = part
        else:
            out[visual_key(key)] = t
    return out


def visual_key(key):
    for old, new in (
        ("visual.", "vision_model."), ("conv1.weight", "embeddings.patch_embedding.weight"),
        ("positional_embedding", "embeddings.position_embedding.weight"),
        ("class_embedding", "embeddings.class_embedding"), ("transformer.resblocks", "encoder.layers"),
        ("ln_pre", "pre_layrnorm"), ("ln_post", "post_layernorm"), ("attn.out_proj", "self_attn.out_proj"),
        ("ln_1", "layer_norm1"), ("ln_2", "layer_norm2"), ("c_fc", "fc1"), ("c_proj", "fc2"),
    ):
        key = key.replace(old, new)
    return key


def transformers_model(weights):
    c = CONFIG
    model = ChineseCLIPModel(ChineseCLIPConfig(
        projection_dim=c["embed_dim"],
        vision_config={
            "hidden_size": c["vision_width"], "intermediate_size": 4 * c["vision_width"],
            "num_hidden_layers": c["vision_layers"],
            "num_attention_heads": c["vision_width"] // c["vision_head_width"],
            "image_size": c["image_resolution"], "patch_size": c["vision_patch_size"],
        },
        text_config={
            "vocab_size": c["vocab_size"], "hidden_size": c["text_hidden_size"],
            "intermediate_size": c["text_intermediate_size"], "num_hidden_layers": c["text_num_hidden_layers"],
            "num_attention_heads": c["text_num_attention_heads"],
            "max_position_embeddings": c["text_max_position_embeddings"],
            "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
        },
    ))
    missing, unexpected = model.load_state_dict(to_transformers(weights), strict=False)
    assert not missing and not unexpected, (missing, unexpected)
    return model


def difference(a, b):
    return (a - b).abs().max().item()


def cross_check(weights, images, tokens, image_features, text_features, grads):
    """Features in f32, gradients in f64 (which shows the rounding of the reference's f32 too)."""
    model = transformers_model(weights).eval()
    mask = tokens.ne(0).long()
    with torch.no_grad():
        image_diff = difference(model.get_image_features(images), image_features)
        text_diff = difference(model.get_text_features(tokens, attention_mask=mask), text_features)
    model.double()
    logits = model(input_ids=tokens, pixel_values=images.double(), attention_mask=mask).logits_per_image
    target = torch.arange(len(images))
    loss = (torch.nn.functional.cross_entropy(logits, target) + torch.nn.functional.cross_entropy(logits.T, target)) / 2
    loss.backward()
    expected = to_transformers(grads)
    grad_diff = max(difference(p.grad, expected[n]) for n, p in model.named_parameters())
    print(f"transformers: image features {image_diff:.2e}, text features {text_diff:.2e}, gradients {grad_diff:.2e}")
    assert max(image_diff, text_diff, grad_diff) < 1e-5


def main():
    torch.manual_seed(20240607)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(1)
    model = CLIP(**CONFIG).train()
    randomize(model, generator)
    weights = {k: v.clone().contiguous() for k, v in model.state_dict().items()}
    images = torch.randn(4, 3, CONFIG["image_resolution"], CONFIG["image_resolution"], generator=generator)
    tokens = random_tokens(generator)

    with torch.no_grad():
        image_features, text_features = model.encode_image(images), model.encode_text(tokens)
        logits_per_image = model.get_similarity(images, tokens)[0]
    loss = reference_loss(model, images, tokens)
    loss.backward()
    grads = {n: p.grad for n, p in model.named_parameters()}
    cross_check(weights, images, tokens, image_features, text_features, grads)

    step1, _, _ = train(weights, images, tokens, 1, scheduled=False)
    step3, losses, rates = train(weights, images, tokens, 3, scheduled=True)
    print("loss", loss.item(), "losses", losses, "logits", logits_per_image.tolist())

    expected = {
        "images": images, "tokens": tokens, "image_features": image_features, "text_features": text_features,
        "logits_per_image": logits_per_image, "loss": loss.detach(), "losses": torch.tensor(losses),
        **{f"grad.{k}": v for k, v in grads.items()},
        **{f"step1.{k}": v for k, v in step1.items()},
        **{f"step3.{k}": v for k, v in step3.items()},
    }
    save_file(weights, OUT / "tiny_clip.safetensors")
    # As the reference's trainer saves a checkpoint: keys behind `module.`, next to counters and a name.
    state = {f"module.{name}": tensor for name, tensor in weights.items()}
    torch.save({"epoch": 1, "step": 0, "name": "golden", "state_dict": state}, OUT / "tiny_clip.pt")
    save_file({k: v.contiguous() for k, v in expected.items()}, OUT / "tiny_clip_expected.safetensors")
    config = {
        "model": CONFIG,
        "context_length": CONTEXT_LENGTH,
        "tokens": {"pad": 0, "cls": CLS, "sep": SEP},
        "optimizer": {**OPTIMIZER, "no_decay_if_name_contains": ["bn", "ln", "bias", "logit_scale"]},
        "logit_scale_clamp": [0.0, 4.6052],
        "step1": {"lr": [OPTIMIZER["lr"]]},
        "step3": {**SCHEDULE, "lr": rates},
    }
    (OUT / "tiny_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")


if __name__ == "__main__":
    main()
