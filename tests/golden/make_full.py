"""`make_full.py OUT`: a full-size random model as the reference's trainer saves it, six pictures and texts, and their features.

Too large to commit (0.75 GB). The features are those that `cn_clip/eval/extract_features.py` would write.
"""
import json
import sys
from pathlib import Path

import numpy as np
import torch
from cn_clip.clip import image_transform, tokenize
from cn_clip.clip.utils import create_model
from cn_clip.eval.data import _preprocess_text
from make_augment import picture
from make_model import randomize
from PIL import Image

MODEL = "ViT-B-16@RoBERTa-wwm-ext-base-chinese"
TEXTS = [
    "高级感托特包斜挎", "黑色碳纤维材料表面", "一只猫在红色沙发上睡觉。", "USB-C 65W 快充头 ×2", "他说：“今天天气真好！”",
    "春季新款韩版宽松显瘦长袖连衣裙女中长款气质收腰百褶裙子碎花复古法式小众设计感轻熟风连衣裙送妈妈送女友包邮",
]


def encode_images(encode, paths, resolution):
    """Unit features of picture files; `encode` takes a batch of pixels."""
    transform = image_transform(resolution)
    with torch.no_grad():
        features = encode(torch.stack([transform(Image.open(path)) for path in paths]))
    return features / features.norm(dim=-1, keepdim=True)


def encode_texts(encode, texts, context_length=52):
    """Unit features of texts; `encode` takes a batch of token ids."""
    tokens = tokenize([_preprocess_text(text) for text in texts], context_length)
    with torch.no_grad():
        features = encode(tokens)
    return features / features.norm(dim=-1, keepdim=True)


def pictures(rng):
    """Wide, tall, square, small, transparent and grey."""
    flipped = picture(230, 230, rng).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    gradient = np.linspace(0, 255, 224, dtype=np.uint8)
    transparent = picture(150, 180, rng, noise=60)
    transparent.putalpha(Image.fromarray(np.tile(gradient[:150], (180, 1))))
    gray = Image.fromarray(np.tile(gradient, (224, 1))).rotate(90)
    return [picture(320, 200, rng), picture(90, 260, rng, noise=90), flipped, picture(48, 40, rng), transparent, gray]


def sharpen_attention(model):
    """Twelve layers of even attention would make all items alike."""
    for name, p in model.named_parameters():
        if name.endswith("attn.in_proj_weight"):
            p.data[: 2 * p.shape[1]] *= 2
        elif name.endswith(("query.weight", "key.weight")):
            p.data *= 2


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def spread(features):
    """The largest cosine between two different items."""
    return (features @ features.T - 2 * torch.eye(len(features))).max().item()


def main(out):
    (out / "images").mkdir(parents=True, exist_ok=True)
    model = create_model(MODEL).float().eval()
    randomize(model, torch.Generator().manual_seed(1))
    sharpen_attention(model)
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"epoch": 1, "step": 0, "name": "golden", "state_dict": state}, out / "clip_cn_vit-b-16.pt")

    paths = []
    for number, image in enumerate(pictures(np.random.default_rng(20240609)), 1):
        paths.append(out / "images" / f"{number}.png")
        image.save(paths[-1])
    write_lines(out / "texts.jsonl", [{"text_id": i, "text": text} for i, text in enumerate(TEXTS, 1)])

    images = encode_images(model.encode_image, paths, 224)
    texts = encode_texts(model.encode_text, TEXTS)
    for kind, short, features in (("image", "img", images), ("text", "txt", texts)):
        rows = [{f"{kind}_id": i, "feature": feature} for i, feature in enumerate(features.tolist(), 1)]
        write_lines(out / f"expected.{short}_feat.jsonl", rows)
    print(f"largest cosine between two pictures {spread(images):.3f}, two texts {spread(texts):.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
