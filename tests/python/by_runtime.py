"""An ONNX Runtime computes the golden of bundles, part by part.

by_runtime.py VERSION BUNDLE...

VERSION is what the runtime must be. Nothing but numpy and onnxruntime is needed, and Python 3.6
will do, so that an old runtime can be tried by hand. Images come from the part `preprocess`.
"""

import json
import pathlib
import sys

import numpy
import onnxruntime

LARGEST = 1e-6
# Trained logits, such as nano's, reach 5, where neighbouring float32 are 4.8e-7 apart: they may be
# 8 such steps off instead. Other engines are up to 2.1e-6 off, which is 4.4 (engines/README.md).
LARGEST_STEPS = 8


class Bundle:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        manifest = json.loads((self.folder / "manifest.json").read_text())
        self.fixed_batch = manifest.get("deployment", {}).get("fixed_batch")

    def recorded(self, name):
        return numpy.load(str(self.folder / "npy" / (name + ".npy")))

    def run(self, part, *inputs):
        """The outputs, in the order of the graph; a fixed batch is filled up with zeros."""
        model = str(self.folder / "onnx" / part / "model.onnx")
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        names = [x.name for x in session.get_inputs()]
        samples = len(inputs[0])
        step = self.fixed_batch or samples
        pieces = []
        for start in range(0, samples, step):
            batch = [whole[start : start + step] for whole in inputs]
            short = step - len(batch[0])
            batch = [numpy.pad(x, [(0, short)] + [(0, 0)] * (x.ndim - 1)) for x in batch]
            pieces.append(session.run(None, dict(zip(names, batch))))
        return [numpy.concatenate(whole)[:samples] for whole in zip(*pieces)]

    def limit(self, part):
        """The largest error that a part may have."""
        if part not in ("full", "tail"):
            return LARGEST
        step = numpy.spacing(abs(self.recorded("logits")).max())
        return max(LARGEST, LARGEST_STEPS * step)

    def errors(self):
        """The largest error of each part; that of `head` is also one of `preprocess`."""
        x, golden = self.recorded("submodel_input"), self.recorded("submodel_output")
        logits = self.recorded("logits")
        (image,) = self.run("preprocess", self.recorded("pixels"))
        residual, computed = self.run("head", image)
        return {
            "head": abs(computed - x).max(),
            "submodel": abs(self.run("submodel", x)[0] - golden).max(),
            "tail": abs(self.run("tail", residual, golden)[0] - logits).max(),
            "full": abs(self.run("full", image)[0] - logits).max(),
        }


if __name__ == "__main__":
    version, *folders = sys.argv[1:]
    assert onnxruntime.__version__ == version, onnxruntime.__version__
    for folder in folders:
        bundle = Bundle(folder)
        errors = bundle.errors()
        row = " ".join("{} {:.1e}".format(part, error) for part, error in errors.items())
        print(version, pathlib.Path(folder).name, row)
        assert all(error <= bundle.limit(part) for part, error in errors.items()), row
    print("same golden")
