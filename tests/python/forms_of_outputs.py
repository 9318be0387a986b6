"""Writes a part's golden outputs in every form in which other environments give outputs back, once
as they are and once with one bit flipped; prints a line for each: form, path, flags.

forms_of_outputs.py BUNDLE FOLDER
"""

import pathlib
import sys

import numpy
from onnx import numpy_helper
from polygraphy.comparator import IterationResult, RunResults

NAME, SAMPLE, ELEMENT, BIT = "submodel_output", 5, (2, 3), 29


def main():
    bundle, folder = map(pathlib.Path, sys.argv[1:])
    golden = numpy.load(bundle / f"npy/{NAME}.npy")
    flipped = golden.copy()
    flipped.view(numpy.uint32)[(SAMPLE, *ELEMENT)] ^= numpy.uint32(1 << BIT)
    for kind, outputs in (("golden", golden), ("flipped", flipped)):
        place = folder / kind
        place.mkdir()
        for form, path, *flags in forms(outputs, place):
            print(kind, form, path, *flags)


def forms(outputs, folder):
    """Every form, with the flags that it needs."""
    batches = [outputs[first:first + 3] for first in range(0, len(outputs), 3)]
    padded = [batch if len(batch) == 3 else
              numpy.concatenate([batch, numpy.zeros_like(outputs[:3 - len(batch)])])
              for batch in batches]
    path = folder / "some.npy"
    numpy.save(path, outputs)
    yield "npy", path
    path = folder / "big_endian.npy"
    numpy.save(path, outputs.astype(">f4"))
    yield "big-endian", path
    path = folder / "float64.npy"
    numpy.save(path, outputs.astype(numpy.float64))
    yield "float64", path
    path = folder / "fortran.npy"
    numpy.save(path, numpy.asfortranarray(outputs))
    yield "fortran", path
    path = folder / "transposed.npy"
    numpy.save(path, numpy.ascontiguousarray(outputs.transpose(0, 2, 1)))
    yield "transposed", path, "--transpose", "0,2,1"
    path = folder / "named.npz"
    numpy.savez(path, **{NAME: outputs, "other": outputs[:1]})
    yield "npz", path
    path = folder / "compressed.npz"
    numpy.savez_compressed(path, outputs)
    yield "compressed", path
    path = folder / "tract.npz"
    numpy.savez(path, **{f"turn_0/{NAME}": outputs})
    yield "tract", path
    path = folder / "raw.bin"
    outputs.tofile(path)
    yield "raw", path, "--dtype", "float32"
    path = folder / "outputs.json"
    results = RunResults()
    results.add([IterationResult({NAME: batch}) for batch in padded], runner_name="trt")
    results.save(path)
    yield "polygraphy", path
    path = folder / "batches"
    path.mkdir()
    for number, batch in enumerate(padded):
        numpy.save(path / f"out_{number + 8}.npy", batch)
    yield "batches", path
    path = folder / "net_run"
    for number, sample in enumerate(outputs):
        result = path / f"Result_{number}"
        result.mkdir(parents=True)
        sample.tofile(result / f"{NAME}.raw")
    yield "net-run", path, "--dtype", "float32"
    path = folder / "data_sets"
    for number, batch in enumerate(batches):
        data_set = path / f"test_data_set_{number}"
        data_set.mkdir(parents=True)
        (data_set / "input_0.pb").write_bytes(b"no concern of this")
        tensor = numpy_helper.from_array(batch, NAME)
        (data_set / "output_0.pb").write_bytes(tensor.SerializeToString())
    yield "data-sets", path
    path = folder / "trtexec.json"
    values = ", ".join(f"{value:g}" for value in outputs.ravel())
    shape = "x".join(map(str, outputs.shape))
    path.write_text(f'[\n  {{ "name" : "{NAME}"\n  , "dimensions" : "{shape}"\n'
                    f'  , "values" : [ {values} ]\n  }}\n]\n')
    yield "trtexec", path
    for name, shift in (("bfloat16", 16),):
        path = folder / f"{name}.npy"
        numpy.save(path, (outputs.view(numpy.uint32) >> shift).astype("<u2"))
        yield name, path
    path = folder / "float16.npy"
    with numpy.errstate(over="ignore"):
        numpy.save(path, outputs.astype(numpy.float16))
    yield "float16", path


if __name__ == "__main__":
    main()
