"""nxrt, an ONNX runtime in Rust."""

import os

from common import run


def load(part):
    os.environ["RAYON_NUM_THREADS"] = str(part.threads)
    import nxrt

    session = nxrt.InferenceSession(part.model)
    return lambda batch: session.run(list(part.outputs), dict(zip(part.inputs, batch)))


run("nxrt", "nxrt", load)
