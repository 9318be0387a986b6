"""Runs the first attention on recorded samples and compares every batch, in plain PyTorch.

As the Python repository does, with a DataLoader over tensors that torch.save wrote; or with less in
the way, in slices of the bundle's mapped arrays.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader, TensorDataset

from configuration import PRESETS, Attention


def loaded(path, batch_size):
    """Batches of inputs and targets, each [batch, tokens, dim], by a DataLoader."""
    recorded = torch.load(path, weights_only=True)
    return DataLoader(TensorDataset(recorded["inputs"], recorded["targets"]), batch_size)


def sliced(folder, batch_size):
    """The same batches as slices of mapped arrays; copy-on-write, since PyTorch has no read-only
    tensors."""
    inputs, targets = (
        torch.from_numpy(np.load(folder / f"npy/submodel_{name}.npy", mmap_mode="c"))
        for name in ("input", "output")
    )
    for start in range(0, len(inputs), batch_size):
        yield inputs[start:start + batch_size], targets[start:start + batch_size]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=PRESETS, required=True)
    parser.add_argument("--weights", type=Path, required=True, help="the submodel's (.safetensors)")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--dataset", type=Path, help="inputs and targets, written by torch.save")
    source.add_argument("--bundle", type=Path, help="a bundle, whose arrays are mapped")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--atol", type=float, default=5e-6)
    parser.add_argument("--rtol", type=float, default=1e-5)
    options = parser.parse_args()
    model = Attention(PRESETS[options.model]).eval()
    model.load_state_dict(load_file(options.weights))
    if options.dataset:
        batches = loaded(options.dataset, options.batch_size)
    else:
        batches = sliced(options.bundle, options.batch_size)
    outside = samples = 0
    with torch.no_grad():
        for inputs, targets in batches:
            close = torch.isclose(model(inputs), targets, rtol=options.rtol, atol=options.atol)
            outside += (~close).sum().item()
            samples += len(inputs)
    version = torch.__version__.split("+")[0]
    print(json.dumps({"outside": outside, "samples": samples, "torch": version}))


if __name__ == "__main__":
    main()
