"""A subset of a bundle with a float64 golden has its own error, and names where it comes from.

subset_of_float64.py SUBSET
"""

import json
import pathlib
import sys

import numpy

subset = pathlib.Path(sys.argv[1])
exact = numpy.load(subset / "npy/submodel_output_f64.npy")
golden = numpy.load(subset / "npy/submodel_output.npy")
manifest = json.loads((subset / "manifest.json").read_text())
assert len(golden) == 2
assert manifest["golden"]["float64"]["largest_error"] == abs(exact - golden).max()
text = (subset / "README.md").read_text()
assert manifest["selection"]["subset"]["of"] in text, text
assert "images [0, 1, 2] of the test split" in text, text
print("its own")
