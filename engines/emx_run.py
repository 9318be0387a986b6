"""emx-onnx-cgen writes C for one sample, or for the batch that the model fixes, and the C compiler
makes a library of it.

Sums are in the order of the source, without fused multiply-add.
"""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile

from common import cannot_run, run

COMPILER = os.environ.get("CC", "cc")


def load(part):
    import numpy

    if not shutil.which(COMPILER):
        cannot_run(f"emx-onnx-cgen: no C compiler `{COMPILER}`; hint: set CC")
    part.threads = 1
    with tempfile.TemporaryDirectory() as folder:
        source, library = f"{folder}/part.c", f"{folder}/part.so"
        write = [sys.executable, "-m", "emx_onnx_cgen", "compile", part.model, source,
                 "--model-name", "part", "--large-weight-threshold", "0"]
        if not part.fixed_batch:
            write += ["--input-dim", "batch=1"]
        subprocess.run(write, check=True, stdout=sys.stderr)
        subprocess.run([COMPILER, "-O3", "-march=native", "-ffp-contract=off", "-shared", "-fPIC",
                        source, "-o", library, "-lm"], check=True, stdout=sys.stderr)
        function = ctypes.CDLL(library).part

    def compute(batch):
        outputs = [numpy.empty((len(batch[0]), *row), "f4") for row in part.outputs.values()]
        for first in range(0, len(batch[0]), part.fixed_batch or 1):
            views = [values[first:] for values in (*batch, *outputs)]
            function(*[ctypes.c_void_p(values.ctypes.data) for values in views])
        return outputs

    return compute


run("emx-onnx-cgen", "emx-onnx-cgen", load)
