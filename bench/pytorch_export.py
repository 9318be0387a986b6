"""Writes a model as ONNX the way a PyTorch user does: load the weights, torch.onnx.export, end."""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from configuration import PRESETS, ViT


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=PRESETS, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    config = PRESETS[options.model]
    model = ViT(config).eval()
    model.load_state_dict(load_file(options.weights))
    size = config["image_size"]
    # By tracing, the one of its two exporters that needs no package besides onnx.
    image = torch.zeros(1, 3, size, size)
    torch.onnx.export(model, (image,), options.out, opset_version=17, dynamo=False,
                      input_names=["image"], output_names=["logits"],
                      dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}})
    print(json.dumps({"bytes": options.out.stat().st_size, "torch": torch.__version__.split("+")[0]}))


if __name__ == "__main__":
    main()
