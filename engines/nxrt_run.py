"""nxrt, an ONNX runtime in Rust."""

from common import run


def load(part):
    import nxrt

    session = nxrt.InferenceSession(part.model)
    return lambda batch: session.run(list(part.outputs), dict(zip(part.inputs, batch)))


run("nxrt", "nxrt", load)
