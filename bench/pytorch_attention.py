"""Runs the first attention on a recorded dataset and compares every batch, as the Python repository does."""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader, TensorDataset

from contestant import PRESETS, Attention


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=PRESETS, required=True)
    parser.add_argument("--weights", type=Path, required=True, help="the submodel's, as .safetensors")
    parser.add_argument("--dataset", type=Path, required=True, help="inputs and targets, written by torch.save")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--atol", type=float, default=5e-6)
    parser.add_argument("--rtol", type=float, default=1e-5)
    options = parser.parse_args()
    model = Attention(PRESETS[options.model]).eval()
    model.load_state_dict(load_file(options.weights))
    recorded = torch.load(options.dataset, weights_only=True)
    loader = DataLoader(TensorDataset(recorded["inputs"], recorded["targets"]), options.batch_size)
    outside = 0
    with torch.no_grad():
        for inputs, targets in loader:
            close = torch.isclose(model(inputs), targets, rtol=options.rtol, atol=options.atol)
            outside += (~close).sum().item()
    print(json.dumps({"outside": outside, "samples": len(recorded["inputs"]), "torch": torch.__version__.split("+")[0]}))


if __name__ == "__main__":
    main()
