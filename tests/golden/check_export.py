"""Does the reference compute the given features from an exported model?

`--hf DIR` is loaded by transformers, which must use every weight and miss none; `--pt FILE` by cn_clip, as strictly.
Both see what the reference's own preprocessing and tokenizer make of `--images` (`<image_id>.<any ending>`) and
`--texts`; where DIR describes its own processor, that must agree with them. Prints one line for each comparison, and
exits with 1 if a cosine is off by more than the tolerance or a value by more than the tolerance times the largest.
"""
import argparse
import json
import sys
from pathlib import Path

import torch
from cn_clip import clip
from cn_clip.clip.model import CLIP
from cn_clip.clip.utils import image_transform, tokenize
from cn_clip.eval.data import _preprocess_text
from make_full import encode_images, encode_texts
from PIL import Image
from transformers import ChineseCLIPModel, ChineseCLIPProcessor


def read_lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def named_config(vision_model, text_model):
    """Arguments of CLIP from the configurations that cn_clip holds."""
    folder = Path(clip.__file__).parent / "model_configs"
    config = {}
    for name in (vision_model, text_model):
        config.update(json.loads((folder / f"{name}.json").read_text()))
    if isinstance(config["vision_layers"], str):
        config["vision_layers"] = json.loads(config["vision_layers"])
    return config


def our_config(config):
    """Arguments of CLIP from a configuration as tuwen writes it; a residual network has no patches."""
    vision, text = config["vision"], config["text"]
    return {
        "embed_dim": config["embed_dim"],
        "image_resolution": vision["image_resolution"],
        "vision_layers": vision["layers"],
        "vision_width": vision["width"],
        "vision_patch_size": vision.get("patch_size"),
        "vision_head_width": vision.get("head_width", 64),
        "vocab_size": text["vocab_size"],
        "text_attention_probs_dropout_prob": text["attention_dropout"],
        "text_hidden_act": "gelu",
        "text_hidden_dropout_prob": text["hidden_dropout"],
        "text_hidden_size": text["hidden_size"],
        "text_initializer_range": 0.02,
        "text_intermediate_size": text["intermediate_size"],
        "text_max_position_embeddings": text["max_position_embeddings"],
        "text_num_attention_heads": text["heads"],
        "text_num_hidden_layers": text["layers"],
        "text_type_vocab_size": text["type_vocab_size"],
    }


def load_cn_clip(path, config):
    """As extract_features.py loads a checkpoint; the functions that encode, and the resolution."""
    model = CLIP(**config).float().eval()
    state = torch.load(path, map_location="cpu")["state_dict"]
    if next(iter(state)).startswith("module."):
        state = {name[len("module."):]: tensor for name, tensor in state.items() if "bert.pooler" not in name}
    model.load_state_dict(state)
    return model.encode_image, model.encode_text, config["image_resolution"]


def load_transformers(folder):
    """The functions that encode, and the resolution."""
    model, info = ChineseCLIPModel.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    model.eval()

    def encode_text(tokens):
        return model.get_text_features(tokens, attention_mask=tokens.ne(0).long())

    return model.get_image_features, encode_text, model.config.vision_config.image_size


def processor_differences(folder, images, texts, resolution, context_length):
    """Of the folder's own processor from the reference's: largest difference of a pixel, number of other token ids."""
    processor = ChineseCLIPProcessor.from_pretrained(folder)
    pictures = [Image.open(path).convert("RGB") for path in images]
    found = processor(text=[_preprocess_text(text) for text in texts], images=pictures, return_tensors="pt",
                      padding="max_length", truncation=True, max_length=context_length)
    pixels = torch.stack([image_transform(resolution)(picture) for picture in pictures])
    tokens = tokenize([_preprocess_text(text) for text in texts], context_length)
    return (found["pixel_values"] - pixels).abs().max().item(), (found["input_ids"] != tokens).sum().item()


class Report:
    def __init__(self, tolerance):
        self.tolerance, self.failed = tolerance, False

    def compare(self, name, found, rows):
        expected = torch.tensor([row["feature"] for row in rows])
        cosine = (found * expected).sum(-1).min().item()
        difference = ((found - expected).abs().max() / expected.abs().max()).item()
        self.line(name, f"lowest cosine {cosine:.7f}, largest difference {difference:.1e}",
                  abs(1 - cosine) <= self.tolerance and difference <= self.tolerance)

    def line(self, name, text, passed):
        self.failed |= not passed
        print(f"{name:24} {text} {'ok' if passed else 'DIFFERS'}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hf", help="folder for ChineseCLIPModel.from_pretrained")
    parser.add_argument("--pt", help="checkpoint of cn_clip")
    for name in ("images", "texts", "img-feats", "txt-feats"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--config", help="configuration as tuwen writes it, for shapes that cn_clip has no name for")
    parser.add_argument("--vision-model", default="ViT-B-16")
    parser.add_argument("--text-model", default="RoBERTa-wwm-ext-base-chinese")
    parser.add_argument("--context-length", type=int, default=52, help="of --config where that is given")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    return parser.parse_args()


def main():
    args = arguments()
    ours = json.loads(Path(args.config).read_text()) if args.config else None
    context_length = ours["context_length"] if ours else args.context_length
    image_rows, text_rows = read_lines(args.img_feats), read_lines(args.txt_feats)
    by_id = {path.stem: path for path in Path(args.images).iterdir()}
    images = [by_id[str(row["image_id"])] for row in image_rows]
    by_id = {row["text_id"]: row["text"] for row in read_lines(args.texts)}
    texts = [by_id[row["text_id"]] for row in text_rows]

    models = {}
    if args.hf:
        models["transformers"] = load_transformers(args.hf)
    if args.pt:
        config = our_config(ours) if ours else named_config(args.vision_model, args.text_model)
        models["cn_clip"] = load_cn_clip(args.pt, config)
    assert models, "nothing to check: give --hf or --pt"

    report = Report(args.tolerance)
    for name, (encode_image, encode_text, resolution) in models.items():
        report.compare(f"{name} images", encode_images(encode_image, images, resolution), image_rows)
        report.compare(f"{name} texts", encode_texts(encode_text, texts, context_length), text_rows)
    if args.hf and (Path(args.hf) / "preprocessor_config.json").exists():
        pixel, ids = processor_differences(args.hf, images, texts, models["transformers"][2], context_length)
        report.line("transformers processor", f"largest pixel difference {pixel:.1e}, other ids {ids}", pixel < 1e-5 and not ids)
    sys.exit(report.failed)


if __name__ == "__main__":
    main()
