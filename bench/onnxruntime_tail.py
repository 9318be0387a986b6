"""Times ONNX Runtime's own runs of a bundle's tail, at several batch sizes."""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import onnxruntime


def session(bundle, part, threads):
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    model = bundle / f"onnx/{part}/model.onnx"
    return onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])


def in_batches(session, name, values, batch_size=16):
    """The first output for all samples."""
    batches = range(0, len(values), batch_size)
    outputs = [session.run(None, {name: values[start:start + batch_size]})[0] for start in batches]
    return np.concatenate(outputs)


def timed(tail, inputs, batch_size, samples):
    """Samples a second, of so many that are taken from the inputs again and again."""
    starts = range(0, len(inputs["residual"]) - batch_size + 1, batch_size)
    batches = [{name: value[start:start + batch_size].copy() for name, value in inputs.items()}
               for start in starts]
    tail.run(None, batches[0])
    calls = max(1, samples // batch_size)
    started = time.perf_counter()
    for call in range(calls):
        tail.run(None, batches[call % len(batches)])
    return calls * batch_size / (time.perf_counter() - started)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--samples", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--batch-sizes", type=int, nargs="+", required=True)
    parser.add_argument("--save-images", type=Path, help="write the preprocessed images (NPY)")
    options = parser.parse_args()
    pixels = np.load(options.bundle / "npy/pixels.npy")
    images = in_batches(session(options.bundle, "preprocess", options.threads), "pixels", pixels)
    if options.save_images:
        np.save(options.save_images, images)
    head = session(options.bundle, "head", options.threads)
    names = [output.name for output in head.get_outputs()]
    assert names[0] == "residual", names
    inputs = {"residual": in_batches(head, "image", images),
              "submodel_output": np.load(options.bundle / "npy/submodel_output.npy")}
    tail = session(options.bundle, "tail", options.threads)
    rates = {size: timed(tail, inputs, size, options.samples) for size in options.batch_sizes}
    print(json.dumps({"samples_per_second": rates, "onnxruntime": onnxruntime.__version__}))


if __name__ == "__main__":
    main()
