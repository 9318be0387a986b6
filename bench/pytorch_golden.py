"""Records a module's inputs and outputs as the Python repository does: a hook, a DataLoader, one
file at the end."""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from torchvision import transforms

from configuration import MEAN, PRESETS, ROOT, STD, RECORD_BYTES, ViT
from pytorch_eager import Cifar10

BATCH_SIZE = 100


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=PRESETS, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--samples", type=int, required=True)
    parser.add_argument("--data", type=Path, default=ROOT / "data")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    has_files = (options.data / "test_batch.bin").is_file()
    folder = options.data if has_files else options.data / "cifar-10-batches-bin"
    records = np.fromfile(folder / "test_batch.bin", np.uint8).reshape(-1, RECORD_BYTES)
    records = records[:options.samples]
    config = PRESETS[options.model]
    size = config["image_size"]
    transform = transforms.Compose([
        transforms.Resize((size, size)), transforms.ToTensor(), transforms.Normalize(MEAN, STD),
    ])
    dataset = Cifar10(records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0], transform)
    loader = DataLoader(dataset, BATCH_SIZE, num_workers=2)

    model = ViT(config).eval()
    model.load_state_dict(load_file(options.weights))
    inputs, outputs, logits = [], [], []

    def keep(_, arguments, output):
        inputs.append(arguments[0].clone())
        outputs.append(output.clone())

    model.transformer.layers[0][0].fn.register_forward_hook(keep)
    started = time.monotonic()
    with torch.no_grad():
        for images, _ in loader:
            logits.append(model(images))
    torch.save({"inputs": torch.cat(inputs), "targets": torch.cat(outputs)}, options.out)
    seconds = time.monotonic() - started
    golden = torch.cat(outputs).numpy()
    np.save(options.out.with_suffix(".npy"), golden[:8])
    version = torch.__version__.split("+")[0]
    print(json.dumps({"images_per_second": options.samples / seconds, "torch": version}))


if __name__ == "__main__":
    main()
