"""The peers of `benches/images/main.rs`, one thread each: `peers.py PEER FOLDER ROUNDS` prints one JSON object.

PEER is pillow (with torchvision's v1 transforms), torchvision (v2 and decode_jpeg), opencv (with albumentations) or dali.
CPU microseconds per image, the median over rounds; every picture ends as normalised [3, 224, 224] f32. OpenCV and
albumentations shrink without antialiasing, which is less work than the others do.
"""
import io
import json
import os
import statistics
import sys
import time
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", NO_ALBUMENTATIONS_UPDATE="1")

SIDE = 224
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
JITTER = 0.2


def pillow(files):
    import torch
    from PIL import Image
    from torchvision import transforms as t

    torch.set_num_threads(1)
    finish = [t.ToTensor(), t.Normalize(MEAN, STD)]
    train = t.Compose([t.RandomResizedCrop(SIDE), t.RandomHorizontalFlip(), t.ColorJitter(JITTER, JITTER, JITTER), *finish])
    evaluate = t.Compose([t.Resize((SIDE, SIDE), interpolation=t.InterpolationMode.BICUBIC), *finish])

    def decode(data):
        return Image.open(io.BytesIO(data)).convert("RGB")

    return {
        "training": lambda: [train(decode(data)) for data in files],
        "evaluation": lambda: [evaluate(decode(data)) for data in files],
    }


def torchvision(files):
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg
    from torchvision.transforms import v2

    torch.set_num_threads(1)
    buffers = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in files]
    finish = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    crop = v2.RandomResizedCrop(SIDE, antialias=True)
    train = v2.Compose([crop, v2.RandomHorizontalFlip(), v2.ColorJitter(JITTER, JITTER, JITTER), *finish])
    resize = v2.Resize((SIDE, SIDE), interpolation=v2.InterpolationMode.BICUBIC, antialias=True)
    evaluate = v2.Compose([resize, *finish])

    def decode(buffer):
        return decode_jpeg(buffer, mode=ImageReadMode.RGB)

    return {
        "training": lambda: [train(decode(buffer)) for buffer in buffers],
        "evaluation": lambda: [evaluate(decode(buffer)) for buffer in buffers],
    }


def opencv(files):
    import albumentations as a
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    buffers = [np.frombuffer(data, np.uint8) for data in files]
    jitter = a.ColorJitter(
        brightness=(1 - JITTER, 1 + JITTER), contrast=(1 - JITTER, 1 + JITTER), saturation=(1 - JITTER, 1 + JITTER), hue=(0, 0), p=1.0
    )
    finish = a.Normalize(MEAN, STD)
    train = a.Compose([a.RandomResizedCrop(size=(SIDE, SIDE)), a.HorizontalFlip(p=0.5), jitter, finish])
    evaluate = a.Compose([a.Resize(SIDE, SIDE, interpolation=cv2.INTER_CUBIC), finish])

    def pixels(transform, buffer):
        image = cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB)
        return np.ascontiguousarray(transform(image=image)["image"].transpose(2, 0, 1))

    # The leanest way to the same pixels: no class of transforms in between.
    mean, std = np.float32(MEAN) * 255, 1 / (np.float32(STD) * 255)

    def lean(buffer):
        image = cv2.resize(cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        return (cv2.dnn.blobFromImage(image)[0] - mean[:, None, None]) * std[:, None, None]

    return {
        "training": lambda: [pixels(train, buffer) for buffer in buffers],
        "evaluation": lambda: [pixels(evaluate, buffer) for buffer in buffers],
        "evaluation_lean": lambda: [lean(buffer) for buffer in buffers],
    }


def dali(files):
    import numpy as np
    from nvidia.dali import fn, pipeline_def, types

    batch = 64
    buffers = [np.frombuffer(data, np.uint8) for data in files]
    mean, std = [255 * x for x in MEAN], [255 * x for x in STD]
    output = {"dtype": types.FLOAT, "output_layout": "CHW", "mean": mean, "std": std}

    def source(info):
        return buffers[info.idx_in_epoch % len(buffers)]

    options = {"batch_size": batch, "num_threads": 1, "device_id": None, "prefetch_queue_depth": 1}

    @pipeline_def(exec_async=False, exec_pipelined=False, **options)
    def train():
        data = fn.external_source(source=source, batch=False, dtype=types.UINT8)
        image = fn.decoders.image_random_crop(data, device="cpu", random_area=[0.08, 1.0], random_aspect_ratio=[3 / 4, 4 / 3])
        image = fn.resize(image, size=[SIDE, SIDE], interp_type=types.INTERP_LINEAR, antialias=True)
        factors = {name: fn.random.uniform(range=[1 - JITTER, 1 + JITTER]) for name in ("brightness", "contrast", "saturation")}
        return fn.crop_mirror_normalize(fn.color_twist(image, **factors), mirror=fn.random.coin_flip(), **output)

    @pipeline_def(exec_async=False, exec_pipelined=False, **options)
    def evaluate():
        data = fn.external_source(source=source, batch=False, dtype=types.UINT8)
        image = fn.decoders.image(data, device="cpu")
        image = fn.resize(image, size=[SIDE, SIDE], interp_type=types.INTERP_CUBIC, antialias=True)
        return fn.crop_mirror_normalize(image, **output)

    def rounds(pipeline):
        pipeline.build()
        # Whole batches only: the folder's size is a multiple of the batch.
        return lambda: [pipeline.run() for _ in range(len(files) // batch)]

    return {"training": rounds(train()), "evaluation": rounds(evaluate())}


PEERS = {"pillow": pillow, "torchvision": torchvision, "opencv": opencv, "dali": dali}


def main(peer, folder, rounds):
    files = [file.read_bytes() for file in sorted(Path(folder).glob("*.jpg"))]
    medians = {}
    for pipeline, run in PEERS[peer](files).items():
        run()
        seconds = []
        for _ in range(rounds):
            # Of the whole process, because DALI works in a thread of its own.
            started = time.process_time()
            run()
            seconds.append(time.process_time() - started)
        medians[pipeline] = statistics.median(seconds) / len(files) * 1e6
    print(json.dumps({"us_per_image": medians, "files": len(files)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
