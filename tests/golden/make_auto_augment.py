"""The policy of the reference's `--use-augment`, and what timm and Pillow make of small pictures with each of its operations."""
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from cn_clip.training.data import LMDBDataset
from make_augment import picture
from PIL import Image
from timm.data import auto_augment as timm

OUT = Path(__file__).parent / "auto_augment"
# timm's function: our name, and the name of its argument.
OPERATIONS = {
    timm.auto_contrast: ("auto_contrast", None),
    timm.color: ("color", "factor"),
    timm.contrast: ("contrast", "factor"),
    timm.equalize: ("equalize", None),
    timm.invert: ("invert", None),
    timm.posterize: ("posterize", "bits"),
    timm.rotate: ("rotate", "degrees"),
    timm.sharpness: ("sharpness", "factor"),
    timm.shear_x: ("shear_x", "factor"),
    timm.solarize: ("solarize", "threshold"),
}
# Beyond the policy: the other ends of its scales, and what has a path of its own in Pillow.
FURTHER = [
    ("color", 1.9), ("contrast", 0.1), ("posterize", 4), ("rotate", 3.0), ("rotate", 90.0), ("rotate", -180.0),
    ("sharpness", 0.1), ("sharpness", 1.9), ("shear_x", -0.3), ("solarize", 0), ("solarize", 256),
]


def reference():
    """The training transform, as the reference builds it, without its data."""
    settings = SimpleNamespace(split="train", use_augment=True)
    return LMDBDataset._build_transform(settings, 224)


def sources(rng):
    pale = np.asarray(picture(24, 17, rng)).astype(int) // 3 + np.array([90, 40, 0])
    pale[..., 2] = 77
    return {
        "wide.png": picture(36, 25, rng),
        "square.png": picture(26, 26, rng),
        # Little contrast, and one value only in the last channel.
        "pale.png": Image.fromarray(pale.astype(np.uint8)),
        # So few pixels that equalizing overflows, and none inside the border.
        "thin.png": picture(200, 2, rng),
        "dot.png": picture(1, 1, rng),
    }


def arguments(op):
    """What an operation may be called with, each as likely as the others."""
    if op.level_fn is None:
        return [()]
    return sorted({op.level_fn(op.magnitude, op.hparams) for _ in range(100)})


def params(function, values):
    name = OPERATIONS[function][1]
    return {} if name is None else dict(zip([name], values, strict=True))


def check(transform, policy):
    names = [getattr(step, "__name__", type(step).__name__) for step in transform.transforms]
    assert names == [
        "RandomResizedCropAndInterpolation", "RandomHorizontalFlip", "_convert_to_rgb", "AutoAugment", "ToTensor",
        "Normalize",
    ], names
    for op in (op for sub_policy in policy for op in sub_policy):
        assert op.kwargs == {"fillcolor": (123, 117, 104), "resample": Image.Resampling.BICUBIC}, op.kwargs
        assert op.magnitude_std == 0 and 0 <= op.magnitude <= 10, op


def cases(policy):
    """(source, operation, its argument, name of the expected picture)"""
    calls = {(op.aug_fn, values) for sub_policy in policy for op in sub_policy for values in arguments(op)}
    functions = {name: function for function, (name, _) in OPERATIONS.items()}
    for source in ("wide", "square"):
        for function, values in sorted(calls, key=lambda call: (call[0].__name__, call[1])):
            yield source, function, values
    for name, value in FURTHER:
        yield "square", functions[name], (value,)
    for source in ("pale", "thin", "dot"):
        for name, values in [
            ("auto_contrast", ()), ("contrast", (1.54,)), ("equalize", ()), ("sharpness", (1.36,)), ("rotate", (24.0,)),
            ("shear_x", (0.15,)),
        ]:
            yield source, functions[name], values


def main():
    OUT.mkdir(exist_ok=True)
    for name, image in sources(np.random.default_rng(20240608)).items():
        image.save(OUT / name, optimize=True)
    transform = reference()
    policy = transform.transforms[3].policy
    check(transform, policy)
    kwargs = policy[0][0].kwargs

    listed = []
    for source, function, values in cases(policy):
        result = function(Image.open(OUT / f"{source}.png"), *values, **kwargs)
        op = OPERATIONS[function][0]
        expected = "_".join([source, op, *(f"{value:g}" for value in values)]) + ".png"
        assert result.mode == "RGB" and not any(case["expected"] == expected for case in listed), expected
        result.save(OUT / expected, optimize=True)
        listed.append(
            {"source": f"{source}.png", "op": op, "params": params(function, values), "expected": expected}
        )

    def step(op):
        choices = [params(op.aug_fn, values) for values in arguments(op)]
        return {"op": OPERATIONS[op.aug_fn][0], "probability": op.prob, "params": choices}

    sub_policies = [[step(op) for op in sub_policy] for sub_policy in policy]
    for name, rows in (("cases.json", listed), ("policy.json", sub_policies)):
        lines = ",\n".join("  " + json.dumps(row) for row in rows)
        (OUT / name).write_text(f"[\n{lines}\n]\n")
    print(f"{len(listed)} cases, {len(sub_policies)} sub-policies")


if __name__ == "__main__":
    main()
