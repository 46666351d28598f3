"""Trains on an exported LMDB with the reference's own program: `train_on_export.py DIR`, a folder with `train` and, if it is there, `valid`.

cn_clip/training/main.py runs as it is, with its data set, loader, loop, validation and checkpoint, except that it wants CUDA and NCCL: here moving to a
device does nothing, processes talk over gloo, and the model has the widths of tests/golden's tiny one. Prints the losses as JSON.
"""
import argparse
import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from unittest import mock

import torch
import torch.distributed as dist
from cn_clip.training import data, logger, train
from cn_clip.training import main as reference

CONFIG = Path(__file__).resolve().parent.parent / "golden" / "tiny_clip_config.json"
CONTEXT_LENGTH = 52


def tiny_model(clip):
    """The tiny shape, but for the reference's tokenizer: its vocabulary and length."""
    shape = json.loads(CONFIG.read_text())["model"]
    shape |= {"text_max_position_embeddings": CONTEXT_LENGTH, "image_resolution": 32}
    return lambda vocab_size, use_flash_attention, **_: clip(**{**shape, "vocab_size": vocab_size, "use_flash_attention": False})


def on_cpu(stack, scratch, losses):
    def group(backend):
        assert backend == "nccl"
        return init("gloo", init_method=f"file://{scratch}/rendezvous", rank=0, world_size=1)

    def get_loss(*args, **options):
        loss, accuracy = original_loss(*args, **options)
        losses.append(round(loss.item(), 6))
        return loss, accuracy

    def listener(*args):
        """Stopped at the end; the reference leaves it to wait on a queue that is gone."""
        started = original_listener(*args)
        stack.callback(started.stop)
        return started

    original_listener = logger.QueueListener
    init, original_loss, parallel = dist.init_process_group, train.get_loss, torch.nn.parallel.DistributedDataParallel
    for owner, name, stand_in in (
        (torch.cuda, "set_device", lambda device: None),
        (torch.Tensor, "cuda", lambda tensor, *_, **__: tensor),
        (torch.nn.Module, "cuda", lambda module, *_: module),
        (torch.nn.parallel, "DistributedDataParallel", lambda model, device_ids, **options: parallel(model, **options)),
        (dist, "init_process_group", group),
        (reference, "CLIP", tiny_model(reference.CLIP)),
        (data, "fetch_resolution", lambda name: 32),
        (train, "get_loss", get_loss),
        (logger, "QueueListener", listener),
    ):
        stack.enter_context(mock.patch.object(owner, name, stand_in))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lmdb", type=Path)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--augment", action="store_true", help="the reference's --use-augment")
    options = parser.parse_args()
    losses = []
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        on_cpu(stack, scratch, losses)
        arguments = [
            "main.py", f"--train-data={options.lmdb}/train", f"--batch-size={options.batch}", f"--max-epochs={options.epochs}", "--num-workers=0",
            "--valid-num-workers=0", "--precision=fp32", "--vision-model=ViT-B-16", f"--context-length={CONTEXT_LENGTH}", "--warmup=2",
            "--lr=1e-3", "--log-interval=1", f"--logs={scratch}", "--name=run",
        ]
        if (options.lmdb / "valid").is_dir():
            arguments += [f"--val-data={options.lmdb}/valid", f"--valid-batch-size={options.batch}"]
        if options.augment:
            arguments.append("--use-augment")
        stack.enter_context(mock.patch.object(sys, "argv", arguments))
        stack.enter_context(mock.patch.dict(os.environ, LOCAL_RANK="0"))
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        torch.manual_seed(1)
        reference.main()
        kept = torch.load(Path(scratch) / "run" / "checkpoints" / "epoch_latest.pt", weights_only=False)
        dist.destroy_process_group()
    print(json.dumps({"torch": torch.__version__, "steps": kept["step"], "losses": losses}))


if __name__ == "__main__":
    main()
