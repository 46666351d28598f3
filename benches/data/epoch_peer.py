"""A shuffled epoch of the reference's data set: `epoch_peer.py LMDB`, the folder with `imgs` and `pairs`. Prints one line of JSON.

cn_clip's LMDBDataset under torch's DataLoader, with 0, 1 and 2 workers. `full` is what it trains on: bytes, base64, JPEG, transform, tokens;
`image` leaves out the tokens; `raw` stops at the header of the picture. CPU seconds are those of the process and its workers. torch computes on
one thread in each of them, as it does in workers anyway: with more, threads that wait for each other take most of the time of so small tensors.
"""
import argparse
import base64
import io
import json
import pickle
import resource
import time
from pathlib import Path

import torch
from cn_clip.training.data import LMDBDataset
from PIL import Image
from torch.utils.data import DataLoader, RandomSampler

BLOCK = 1 << 20


class Images(LMDBDataset):
    """As the reference reads them, without the text."""

    def opened(self, index):
        image_id, _, _ = pickle.loads(self.txn_pairs.get(str(index).encode()).tobytes())
        encoded = self.txn_imgs.get(str(image_id).encode()).tobytes().decode(encoding="utf8", errors="ignore")
        return Image.open(io.BytesIO(base64.urlsafe_b64decode(encoded)))

    def __getitem__(self, index):
        return self.transform(self.opened(index))


class Raw(Images):
    def __getitem__(self, index):
        return self.opened(index).width


MODES = {"full": LMDBDataset, "image": Images, "raw": Raw}


def cpu_s():
    """Of this process and of the workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def epoch(dataset, workers, options):
    generator = torch.Generator().manual_seed(options.seed)
    sampler = RandomSampler(dataset, num_samples=options.pairs, generator=generator)
    loader = DataLoader(dataset, batch_size=options.batch, sampler=sampler, num_workers=workers)
    cpu, began, count = cpu_s(), time.perf_counter(), 0
    batches = iter(loader)
    for batch in batches:
        count += len(batch[0] if isinstance(batch, list) else batch)
    wall = time.perf_counter() - began
    # Ends the workers, whose time counts only then.
    del batches
    return count, wall, cpu_s() - cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lmdb", type=Path)
    parser.add_argument("--pairs", type=int, help="stop after so many; without it, all")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--augment", action="store_true", help="the reference's --use-augment")
    parser.add_argument("--rounds", type=int, default=2, help="the fastest counts")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for path in options.lmdb.glob("*/data.mdb"):
        with open(path, "rb", buffering=0) as file:
            while file.read(BLOCK):
                pass
    runs = []
    for mode in options.modes:
        dataset = MODES[mode](str(options.lmdb), split="train", max_txt_length=52, use_augment=options.augment)
        for workers in options.workers:
            count, wall, cpu = min((epoch(dataset, workers, options) for _ in range(options.rounds)), key=lambda run: run[1])
            runs.append({
                "mode": mode, "workers": workers, "images": count, "wall_s": round(wall, 2), "images_per_s": round(count / wall, 1),
                "cpu_s": round(cpu, 2), "cpu_us_per_image": round(cpu / count * 1e6, 1),
            })
    print(json.dumps({"peer": "cn_clip LMDBDataset", "torch": torch.__version__, "augment": options.augment, "runs": runs}))


if __name__ == "__main__":
    main()
