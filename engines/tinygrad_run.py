"""tinygrad on the CPU: kernels in C for the batch size asked for, compiled by clang."""

import os
import shutil

from common import cannot_run, run


def load(part):
    if not shutil.which("clang"):
        cannot_run("tinygrad: no `clang`, which compiles its kernels")
    os.environ.update(DEV="CPU", NUM_CPU_THREADS=str(part.threads), PARALLEL="0")
    from tinygrad import Tensor, TinyJit
    from tinygrad.nn.onnx import OnnxRunner

    model = OnnxRunner(part.model)

    @TinyJit
    def kernels(*batch):
        outputs = model(dict(zip(part.inputs, batch)))
        return [outputs[name].realize() for name in part.outputs]

    def compute(batch):
        tensors = [Tensor(values).realize() for values in batch]
        return [values.numpy() for values in kernels(*tensors)]

    return compute


run("tinygrad", "tinygrad", load, fixed=True)
