"""Times ONNX Runtime's own run calls on a bundle's recorded inputs, without all that goes round
them."""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import onnxruntime


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    model = options.bundle / "onnx/submodel/model.onnx"
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    inputs, golden = (
        np.load(options.bundle / f"npy/submodel_{name}.npy", mmap_mode="r")
        for name in ("input", "output")
    )
    seconds = 0.0
    for start in range(0, len(inputs), options.batch_size):
        # In memory, as ours has it when it calls.
        batch = np.array(inputs[start:start + options.batch_size])
        started = time.perf_counter()
        (outputs,) = session.run(None, {"submodel_input": batch})
        seconds += time.perf_counter() - started
    error = float(abs(outputs - golden[start:]).max())
    result = {"seconds": seconds, "last_error": error, "onnxruntime": onnxruntime.__version__}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
