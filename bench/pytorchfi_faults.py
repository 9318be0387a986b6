"""Puts faults of a campaign into the same network with PyTorchFI, and times it.

Each fault is a flip of a bit in one element of a module's output, as a line of `--report FILE.csv`
has it. PyTorchFI sets values: what the element becomes is computed before, and not timed. Classes
are compared where PyTorch's logits are finite: at the largest values its LayerNorm overflows, and
ONNX Runtime's does not.
"""

import argparse
import csv
import json
import re
import time
from pathlib import Path

import numpy as np
import torch
from pytorchfi.core import fault_injection
from safetensors.torch import load_file

from configuration import PRESETS, ViT

# edge:qkv[sample,token,feature]^bit
FAULT = re.compile(r"\[(\d+),(\d+),(\d+)\]\^(\d+)$")


def read_faults(path, count):
    """Sample, token, feature and bit of the first faults, and the class that each led to; -1 where
    nothing went beyond the tolerance."""
    with open(path, newline="") as lines:
        rows = [row for row, _ in zip(csv.DictReader(lines), range(count))]
    faults = [tuple(map(int, FAULT.search(row["fault"]).groups())) for row in rows]
    return faults, np.array([int(row["class"] or -1) for row in rows])


def fault_free(model, module, images, batch_size=64):
    """What the module gives for every image, [samples, tokens, features]."""
    outputs = []
    handle = module.register_forward_hook(lambda *call: outputs.append(call[2].clone()))
    for start in range(0, len(images), batch_size):
        model(images[start:start + batch_size])
    handle.remove()
    return torch.cat(outputs).numpy()


def flipped(values, faults):
    """What the faults make of their elements."""
    old = np.array([values[fault[:3]] for fault in faults], np.float32)
    masks = np.array([1 << bit for *_, bit in faults], np.uint32)
    return (old.view(np.uint32) ^ masks).view(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=PRESETS, required=True)
    for flag in ("--weights", "--images", "--faults"):
        parser.add_argument(flag, type=Path, required=True)
    parser.add_argument("--module", required=True, help="its output has the faults")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    model = ViT(PRESETS[options.model]).eval()
    model.load_state_dict(load_file(options.weights))
    images = torch.from_numpy(np.load(options.images))
    faults, expected = read_faults(options.faults, options.count)
    linear = [name for name, module in model.named_modules()
              if isinstance(module, torch.nn.Linear)]
    layer = linear.index(options.module)
    values = flipped(fault_free(model, model.get_submodule(options.module), images), faults)
    injector = fault_injection(model, options.batch_size, input_shape=list(images.shape[1:]),
                               layer_types=[torch.nn.Linear])

    def logits(faults, values):
        """Of one batch, a fault in each sample."""
        samples, tokens, features, _ = zip(*faults)
        corrupted = injector.declare_neuron_fi(
            batch=list(range(len(faults))), layer_num=[layer] * len(faults), dim1=list(tokens),
            dim2=list(features), dim3=[None] * len(faults), value=values.tolist())
        return corrupted(images[list(samples)])

    logits(faults[:options.batch_size], values[:options.batch_size])
    found = []
    started = time.perf_counter()
    for start in range(0, len(faults), options.batch_size):
        end = start + options.batch_size
        found.append(logits(faults[start:end], values[start:end]))
    seconds = time.perf_counter() - started
    found = torch.cat(found).numpy()
    known = (expected >= 0) & np.isfinite(found).all(1)
    agreement = float((found.argmax(1) == expected)[known].mean()) if known.any() else 0.0
    result = {"faults_per_second": len(faults) / seconds, "agreement": agreement}
    print(json.dumps(result | {"torch": torch.__version__.split("+")[0]}))


if __name__ == "__main__":
    main()
