"""The work of `tuwen device bench` in PyTorch: Chinese-CLIP of transformers with random weights; prints one JSON object.

Training runs under autocast with fused attention and fused AdamW, once as it is and once compiled (0 where that fails).
"""
import argparse
import contextlib
import json
import statistics
import time

import torch
from transformers import ChineseCLIPConfig, ChineseCLIPModel

WARM_UP = 3
SHAPES = {
    "ViT-B-16": {
        "projection_dim": 512,
        "text_config": {"vocab_size": 21128},
        "vision_config": {"patch_size": 16},
    },
    "ViT-tiny-16": {
        "projection_dim": 128,
        "text_config": {"vocab_size": 21128, "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
                        "intermediate_size": 256, "max_position_embeddings": 64},
        "vision_config": {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 512,
                          "image_size": 64, "patch_size": 16},
    },
}
DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def features(output):
    return getattr(output, "pooler_output", output)


def median(device, calls, call):
    seconds = []
    for number in range(WARM_UP + calls):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        started = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number >= WARM_UP:
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def training(device, config, args, dtype, compiled):
    model = ChineseCLIPModel(config).to(device).train()
    run = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.2, fused=device.type == "cuda")
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    side, length = config.vision_config.image_size, 52 if args.preset == "ViT-B-16" else 20
    pixels = torch.randn(args.batch, 3, side, side, device=device)
    tokens = torch.randint(101, 20000, (args.batch, length), device=device)
    mask = torch.ones_like(tokens)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with autocast(device, dtype):
            loss = run(input_ids=tokens, attention_mask=mask, pixel_values=pixels, return_loss=True).loss
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return median(device, args.calls, step)


def autocast(device, dtype):
    return torch.autocast(device.type, dtype) if dtype else contextlib.nullcontext()


def encoding(device, config, args, dtype):
    model = ChineseCLIPModel(config).to(device).eval()
    side, length = config.vision_config.image_size, 52 if args.preset == "ViT-B-16" else 20
    pixels = torch.randn(args.batch, 3, side, side, device=device)
    tokens = torch.randint(101, 20000, (args.batch, length), device=device)
    mask = torch.ones_like(tokens)
    with torch.no_grad(), autocast(device, dtype):
        images = median(device, args.calls, lambda: features(model.get_image_features(pixel_values=pixels)).cpu())
        texts = median(device, args.calls, lambda: features(model.get_text_features(input_ids=tokens, attention_mask=mask)).cpu())
    return images, texts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", required=True)
    parser.add_argument("--preset", choices=SHAPES, required=True)
    parser.add_argument("--precision", choices=DTYPES, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--calls", type=int, required=True)
    args = parser.parse_args()
    device, dtype = torch.device(args.device), DTYPES[args.precision]
    config = ChineseCLIPConfig(**SHAPES[args.preset])
    plain = training(device, config, args, dtype, compiled=False)
    compiled = 0.0
    if device.type == "cuda":
        with contextlib.suppress(Exception):
            compiled = training(device, config, args, dtype, compiled=True)
    images, texts = encoding(device, config, args, dtype)
    print(json.dumps({
        "step_seconds": plain, "compiled_step_seconds": compiled, "images_per_second": args.batch / images,
        "texts_per_second": args.batch / texts, "torch": torch.__version__,
    }, separators=(",", ":")))


if __name__ == "__main__":
    main()
