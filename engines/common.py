"""What the adapters share: arguments, batches, output files, the line of JSON, exit status 77.

An adapter calls `run` with a function that loads the part and returns another one, which computes
one batch: a list of arrays in the order of the graph's inputs to one in the order of its outputs.
Arguments are MODEL INPUTS OUTPUTS BATCH THREADS; without any, the environment's VIT_PART_MODEL,
VIT_PART_INPUTS, VIT_PART_OUTPUTS, VIT_PART_BATCH and VIT_PART_THREADS are taken.
"""

import importlib.metadata
import json
import os
import sys
import time
from pathlib import Path

CANNOT_RUN = 77
WORDS = ["MODEL", "INPUTS", "OUTPUTS", "BATCH", "THREADS"]


class Part:
    """An ONNX file, its inputs and outputs by name and row shape, and how it is to be run."""

    def __init__(self, model, inputs, outputs, batch, threads):
        import onnx

        self.model, self.folder = model, Path(outputs)
        self.batch, self.threads = number("BATCH", batch), number("THREADS", threads)
        graph = onnx.load(model, load_external_data=False).graph
        self.inputs = {value.name: row_shape(value) for value in graph.input}
        self.outputs = {value.name: row_shape(value) for value in graph.output}
        # 0 where the model leaves its batch free.
        self.fixed_batch = graph.input[0].type.tensor_type.shape.dim[0].dim_value
        self.batch = self.fixed_batch or self.batch
        self.arrays = [array(Path(inputs) / f"{name}.npy", row)
                       for name, row in self.inputs.items()]
        self.samples = len(self.arrays[0])
        if len({len(values) for values in self.arrays}) != 1:
            fail(f"{inputs}: the inputs have different numbers of samples")


def run(engine, package, load, precision="float32", fixed=False):
    """Computes all samples and ends the process.

    `package` is the distribution whose version is reported. `fixed` pads the last batch to the
    batch size for an engine that is bound to one shape, and cuts the padding off its outputs. A
    model that fixes its batch always has that done.
    """
    started = time.monotonic()
    words = sys.argv[1:] or [os.environ.get(f"VIT_PART_{word}", "") for word in WORDS]
    if len(words) != len(WORDS):
        fail(f"expected {' '.join(WORDS)}, found {len(words)} words")
    # NumPy's libraries read them when they are loaded, which is below.
    os.environ.update(OMP_NUM_THREADS=words[-1], OPENBLAS_NUM_THREADS=words[-1])
    try:
        version = importlib.metadata.version(package)
        part = Part(*words)
        compute = load(part)
    except ImportError as error:
        cannot_run(f"{engine}: {error}; hint: `make engines` installs it")
    loaded = time.monotonic()
    write_all(part, compute, fixed)
    print(json.dumps({
        "engine": engine, "version": version, "precision": precision, "threads": part.threads,
        "load_s": round(loaded - started, 3), "run_s": round(time.monotonic() - loaded, 3),
    }), file=sys.stderr, flush=True)


def write_all(part, compute, fixed):
    """Every output gets its name when all samples of all outputs are written."""
    import numpy

    partial = {name: part.folder / f".{name}.partial" for name in part.outputs}
    files = [numpy.lib.format.open_memmap(partial[name], "w+", "<f4", (part.samples, *row))
             for name, row in part.outputs.items()]
    for first in range(0, part.samples, part.batch):
        rows = slice(first, min(first + part.batch, part.samples))
        count = rows.stop - first
        given = part.batch if fixed or part.fixed_batch else count
        batch = [padded(numpy.array(values[rows]), given) for values in part.arrays]
        outputs = [numpy.asarray(values) for values in compute(batch)]
        for (name, row), file, values in zip(part.outputs.items(), files, outputs, strict=True):
            expected = (given, *row)
            if values.shape != expected or values.dtype != numpy.float32:
                fail(f"output `{name}`: expected float32 {expected}, "
                     f"found {values.dtype} {values.shape}")
            file[rows] = values[:count]
    for name, file in zip(part.outputs, files):
        file.flush()
        partial[name].rename(part.folder / f"{name}.npy")


def padded(values, count):
    """`values` with its last sample repeated until there are `count`."""
    import numpy

    return numpy.concatenate([values, values[-1:].repeat(count - len(values), 0)])


def array(file, row):
    """The float32 array of a file, `[samples, row…]`, not yet in memory."""
    import numpy

    values = numpy.load(file, mmap_mode="r")
    if values.shape[1:] != row or values.dtype != numpy.float32:
        fail(f"{file}: expected float32 [samples, {', '.join(map(str, row))}], "
             f"found {values.dtype} {list(values.shape)}")
    if len(values) == 0:
        fail(f"{file}: no samples")
    return values


def row_shape(value):
    """The shape of one sample of a graph's input or output."""
    return tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim[1:])


def number(word, text):
    if not text.isdecimal() or int(text) == 0:
        fail(f"{word}: expected a whole number from 1, found `{text}`")
    return int(text)


def cannot_run(reason):
    """Ends the process: this part cannot be run here. The reason is a single line."""
    print(" ".join(str(reason).split()), file=sys.stderr, flush=True)
    sys.exit(CANNOT_RUN)


def fail(message):
    sys.exit(f"error: {message}")
