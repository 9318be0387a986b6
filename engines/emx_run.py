"""emx-onnx-cgen writes C for one sample, and the C compiler makes a library of it.

Sums are in the order of the source, without fused multiply-add: CFLAGS may ask for others.
"""

import ctypes
import os
import shlex
import shutil
import subprocess
import sys
import tempfile

from common import cannot_run, run

COMPILER = os.environ.get("CC", "cc")
FLAGS = shlex.split(os.environ.get("CFLAGS", "-march=native -ffp-contract=off"))


def load(part):
    import numpy

    if not shutil.which(COMPILER):
        cannot_run(f"emx-onnx-cgen: no C compiler `{COMPILER}`; hint: set CC")
    part.threads = 1
    with tempfile.TemporaryDirectory() as folder:
        source, library = f"{folder}/part.c", f"{folder}/part.so"
        call(sys.executable, "-m", "emx_onnx_cgen", "compile", part.model, source,
             "--model-name", "part", "--large-weight-threshold", "0", "--input-dim", "batch=1")
        call(COMPILER, "-O3", *FLAGS, "-shared", "-fPIC", source, "-o", library, "-lm")
        function = ctypes.CDLL(library).part

    def compute(batch):
        count = len(batch[0])
        outputs = [numpy.empty((count, *row), numpy.float32) for row in part.outputs.values()]
        for sample in range(count):
            arrays = [values[sample] for values in batch + outputs]
            function(*[ctypes.c_void_p(values.ctypes.data) for values in arrays])
        return outputs

    return compute


def call(*command):
    subprocess.run(command, check=True, stdout=sys.stderr)


run("emx-onnx-cgen", "emx-onnx-cgen", load)
