"""Tiny models of every architecture, and tiny_clip in every layout a checkpoint comes in."""
import json
import os
import pickle
from collections import OrderedDict
from types import SimpleNamespace

import torch
from cn_clip.clip.model import CLIP, convert_state_dict, resize_pos_embed
from safetensors.torch import load_file, save_file

import make_model
from make_model import CONTEXT_LENGTH, OUT, adamw, difference, randomize, reference_loss, transformers_model

ZOO = OUT / "zoo"
CLS, SEP, VOCABULARY = 2, 3, 64


def config(name, embed_dim, vision, hidden, layers):
    """The shape of a model, in the form in which tuwen keeps it."""
    text = {
        "vocab_size": VOCABULARY, "hidden_size": hidden, "layers": layers, "heads": 2, "intermediate_size": 2 * hidden,
        "max_position_embeddings": 24, "type_vocab_size": 2, "hidden_dropout": 0.0, "attention_dropout": 0.0,
    }
    return {"name": name, "embed_dim": embed_dim, "context_length": CONTEXT_LENGTH, "vision": vision, "text": text}


def transformer(resolution, patch, width, heads):
    """A vision transformer of two layers."""
    return {"image_resolution": resolution, "layers": 2, "width": width, "patch_size": patch,
            "head_width": width // heads}


# Widths are as small as the structure allows. RN50 has heads of 64: with width 4 its attention pooling has two.
CONFIGS = [
    config("vit_h", 32, transformer(28, 14, 12, heads=2), hidden=8, layers=3),
    config("vit_l", 24, transformer(42, 14, 6, heads=1), hidden=8, layers=2),
    config("vit_b32", 12, transformer(64, 32, 6, heads=1), hidden=8, layers=2),
    config("rn50", 20, {"image_resolution": 64, "layers": [1, 2, 1, 1], "width": 4}, hidden=8, layers=3),
]


def build(config):
    """The reference's model of a shape."""
    vision, text = config["vision"], config["text"]
    return CLIP(
        embed_dim=config["embed_dim"], image_resolution=vision["image_resolution"], vision_layers=vision["layers"],
        vision_width=vision["width"], vision_patch_size=vision.get("patch_size"),
        vision_head_width=vision.get("head_width", 64), vocab_size=text["vocab_size"],
        text_attention_probs_dropout_prob=text["attention_dropout"], text_hidden_act="gelu",
        text_hidden_dropout_prob=text["hidden_dropout"], text_hidden_size=text["hidden_size"],
        text_initializer_range=0.02, text_intermediate_size=text["intermediate_size"],
        text_max_position_embeddings=text["max_position_embeddings"], text_num_attention_heads=text["heads"],
        text_num_hidden_layers=text["layers"], text_type_vocab_size=text["type_vocab_size"])


def randomize_batch_norms(model, generator):
    """Scales and statistics that differ from those of an untrained layer, which are ones and zeros."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            scale, shift, mean, log_var = torch.randn(4, module.num_features, generator=generator)
            module.weight.data, module.bias.data = 1.0 + 0.2 * scale, 0.2 * shift
            module.running_mean.copy_(0.3 * mean)
            module.running_var.copy_(torch.exp(0.4 * log_var))


def settle_statistics(model, side, generator):
    """Draws the statistics towards those of pictures, without which the layers lose what tells pictures apart."""
    model.train()
    with torch.no_grad():
        for _ in range(20):
            model.encode_image(random_images(8, side, generator))


def snapshot(model):
    """A copy of the weights and buffers, without the counts of batches."""
    kept = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    return {k: v.detach().clone().contiguous() for k, v in kept.items()}


def random_tokens(rows, generator):
    """A full row, padded rows, and the empty text."""
    tokens = torch.zeros(rows, CONTEXT_LENGTH, dtype=torch.long)
    for row, words in zip(tokens, [CONTEXT_LENGTH - 2, 9, 4][: rows - 1] + [0]):
        ids = torch.randint(4, VOCABULARY, (words,), generator=generator)
        row[: words + 2] = torch.cat([torch.tensor([CLS]), ids, torch.tensor([SEP])])
    return tokens


def random_images(rows, side, generator):
    """Blotches and noise: a network that averages over a picture would make one feature of pure noise."""
    blotches = torch.randn(rows, 3, 4, 4, generator=generator).repeat_interleave(side // 4 + 1, 2)
    blotches = blotches.repeat_interleave(side // 4 + 1, 3)[..., :side, :side]
    return blotches + 0.5 * torch.randn(rows, 3, side, side, generator=generator)


def example(config, seed):
    """A model with random weights and a batch for it."""
    generator = torch.Generator().manual_seed(seed)
    model = build(config)
    randomize(model, generator)
    rows, side = 3, config["vision"]["image_resolution"]
    if config["name"] == "rn50":
        rows = 4
        randomize_batch_norms(model, generator)
        settle_statistics(model, side, generator)
    return model, random_images(rows, side, generator), random_tokens(rows, generator)


def write_model(config, model, images, tokens):
    """Weights, shape, and what the reference makes of the batch; the gradients of RN50 are a file of their own."""
    name, weights = config["name"], snapshot(model)
    expected = {"images": images, "tokens": tokens}
    with torch.no_grad():
        model.eval()
        expected["image_features"], expected["text_features"] = model.encode_image(images), model.encode_text(tokens)
        expected["logits_per_image"] = model.get_similarity(images, tokens)[0]
    loss = reference_loss(model.train(), images, tokens)
    loss.backward()
    expected["loss"] = loss.detach()
    expected.update({f"after.{k}": v for k, v in snapshot(model).items() if ".running_" in k})
    gradients = {f"grad.{k}": p.grad for k, p in model.named_parameters()}
    print(name, "loss", loss.item(), "logits", expected["logits_per_image"].tolist())

    (ZOO / f"{name}_config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(weights, ZOO / f"{name}.safetensors")
    if name == "rn50":
        save_file(gradients, ZOO / f"{name}_grads.safetensors")
    else:
        expected.update(gradients)
    save_file({k: v.contiguous() for k, v in expected.items()}, ZOO / f"{name}_expected.safetensors")


def write_transformers(weights, expected):
    """The layout of the Hugging Face hub, new and old."""
    model = transformers_model(weights).eval()
    tokens = expected["tokens"]
    with torch.no_grad():
        image_features = model.get_image_features(expected["images"])
        text_features = model.get_text_features(tokens, attention_mask=tokens.ne(0).long())
    assert difference(image_features, expected["image_features"]) < 1e-5
    assert difference(text_features, expected["text_features"]) < 1e-5
    model.save_pretrained(ZOO / "hf", safe_serialization=True)

    old = ZOO / "hf_bin"
    old.mkdir(exist_ok=True)
    (old / "config.json").write_bytes((ZOO / "hf/config.json").read_bytes())
    state = model.state_dict()
    for tower, table in (("text_model", "position_embeddings"), ("vision_model", "position_embedding")):
        positions = len(state[f"{tower}.embeddings.{table}.weight"])
        state[f"{tower}.embeddings.position_ids"] = torch.arange(positions).expand((1, -1))
    torch.save(state, old / "pytorch_model.bin")


def trainer(model):
    """The model wrapped as in the trainer, which puts `module.` before every name and `_metadata` on the state dict."""
    return torch.nn.DataParallel(model)


def write_flash(model):
    """The names of a model built with flash attention, from the reference's own conversion."""
    plain, flash = trainer(model).state_dict(), convert_state_dict(trainer(model).state_dict())
    assert "module.visual.transformer.resblocks.0.attn.Wqkv.weight" in flash
    again = convert_state_dict(flash.copy())
    assert set(again) == set(plain) and all(torch.equal(again[k], plain[k]) for k in plain)
    torch.save({"epoch": 2, "step": 6, "name": "flash", "state_dict": flash}, ZOO / "flash.pt")


def write_optimizer(model, images, tokens):
    """What the trainer saves after one step."""
    wrapped = trainer(model.train())
    optimizer = adamw(wrapped)
    reference_loss(wrapped, images, tokens).backward()
    optimizer.step()
    torch.save({"epoch": 1, "step": 1, "name": "optimizer", "state_dict": wrapped.state_dict(),
                "optimizer": optimizer.state_dict()}, ZOO / "optimizer.pt")


class Numbering:
    """Stands in for the module `pickle`: the format before zip names storages by their address, here by a number."""

    __name__ = "pickle"

    def __init__(self):
        self.numbers = {}

    def Pickler(self, file, protocol):
        """A pickler whose storages are numbered as they come."""
        pickler = SimpleNamespace()

        def persistent_id(value):
            found = pickler.persistent_id(value)
            if found is None:
                return None
            kind, storage, key, *rest = found
            return kind, storage, self.numbers.setdefault(key, f"{len(self.numbers):03}"), *rest

        def dump(value):
            inner = pickle.Pickler(file, protocol)
            inner.persistent_id = persistent_id
            inner.dump(value)

        pickler.dump = dump
        return pickler

    def dump(self, value, file, protocol):
        """The list of storages, put in order of number, as the storages that follow it are then."""
        if isinstance(value, list):
            value.sort(key=self.numbers.get)
            value = [self.numbers[key] for key in value]
        pickle.dump(value, file, protocol)


def save_legacy(value, name):
    """The format of torch before 1.6."""
    torch.save(value, ZOO / name, pickle_module=Numbering(), _use_new_zipfile_serialization=False)


class Hostile:
    """Runs a command when unpickled."""

    def __reduce__(self):
        return os.system, ("touch /tmp/tuwen_hostile_ran",)


def write_hostile():
    """State dicts with one harmless tensor and one value that runs a command. Never load them with torch."""
    state = OrderedDict({"module.logit_scale": torch.tensor(2.0), "module.visual.proj": Hostile()})
    value = {"epoch": 1, "step": 1, "name": "hostile", "state_dict": state}
    torch.save(value, ZOO / "hostile.pt")
    save_legacy(value, "hostile_legacy.pt")


def write_positions():
    """Position embeddings of a grid of four, resized by the reference for grids of six, three and seven."""
    before = torch.randn(17, 8, generator=torch.Generator().manual_seed(7))
    tensors = {"before_4": before}
    for side in (6, 3, 7):
        state = {"visual.positional_embedding": before}
        resize_pos_embed(state, SimpleNamespace(visual=SimpleNamespace(grid_size=(side, side))))
        tensors[f"after_{side}"] = state["visual.positional_embedding"].contiguous()
    save_file(tensors, ZOO / "positions.safetensors")


def main():
    """Writes the folder `zoo`."""
    torch.manual_seed(20240607)
    torch.set_num_threads(1)
    ZOO.mkdir(exist_ok=True)
    for seed, shape in enumerate(CONFIGS):
        write_model(shape, *example(shape, seed))
        if shape["name"] == "vit_l":
            model, images, tokens = example(shape, seed)
            save_legacy(snapshot(model), "legacy.pt")
            write_optimizer(model, images, tokens)

    weights = load_file(OUT / "tiny_clip.safetensors")
    write_transformers(weights, load_file(OUT / "tiny_clip_expected.safetensors"))
    tiny = CLIP(**make_model.CONFIG)
    tiny.load_state_dict(weights)
    write_flash(tiny)
    torch.save(OrderedDict((k, v.half()) for k, v in tiny.state_dict().items()), ZOO / "no_module.pt")
    write_hostile()
    write_positions()


if __name__ == "__main__":
    main()
