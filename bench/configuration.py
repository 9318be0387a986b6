"""What the PyTorch scripts share: arguments, presets, images, and the last line of their output."""

import argparse
import json
import resource
import sys
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "trainer/tests/fixtures"))
from make_fixtures import (  # noqa: E402, F401
    CROP_PADDING, MEAN, RECORD_BYTES, STD, TINY, Attention, ViT,
)

# The numbers of `proto::config::Preset`.
PRESETS = {
    "tiny": TINY,
    "base": TINY | {"dim": 768, "heads": 12, "mlp_dim": 3072},
    "nano": TINY | {
        "image_size": 32, "patch_size": 4, "dim": 96, "layers": 4, "dim_head": 32, "mlp_dim": 192,
        "pool": "mean", "dropout": 0.0, "embedding_dropout": 0.0,
    },
}
# `trainer::recipe::Recipe` has `nano` flip its images only.
CROPPED = {"tiny": True, "nano": False}
LEARNING_RATE = 1e-4


def arguments(description):
    """The flags that every training script is given, as `trainer train` spells them."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", choices=PRESETS, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--train-samples", type=int, default=50_000)
    parser.add_argument("--data", type=Path, default=ROOT / "data")
    return parser


def training_images(data, samples):
    """The first images [samples, 3, 32, 32] and their labels [samples], both u8, from the official
    binary files."""
    has_files = (data / "data_batch_1.bin").is_file()
    folder = data if has_files else data / "cifar-10-batches-bin"
    files = [np.fromfile(folder / f"data_batch_{i}.bin", np.uint8) for i in range(1, 6)]
    records = np.concatenate(files).reshape(-1, RECORD_BYTES)
    return records[:samples, 1:].reshape(-1, 3, 32, 32), records[:samples, 0]


def finish(images_per_second, loss, imports_mib):
    """Prints what the runner reads, as the last line."""
    result = {"images_per_second": images_per_second, "loss": loss, "imports_mib": imports_mib}
    print(json.dumps(result | {"torch": torch.__version__.split("+")[0]}))


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
