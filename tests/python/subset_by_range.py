"""A subset of rows 8 to 23 of 40 holds them in every array, and the same models.

subset_by_range.py BUNDLE SUBSET
"""

import json
import pathlib
import sys

import numpy

bundle, subset = map(pathlib.Path, sys.argv[1:])
for file in (bundle / "npy").iterdir():
    assert (numpy.load(subset / "npy" / file.name) == numpy.load(file)[8:24]).all(), file
selection = json.loads((subset / "manifest.json").read_text())["selection"]["subset"]
rows = tuple(selection[name] for name in ("start", "end", "of_samples"))
assert (selection["mode"], rows) == ("range", (8, 24, 40))
model = "onnx/full/model.onnx"
assert (subset / model).read_bytes() == (bundle / model).read_bytes()
print("same rows")
