"""A subset by confidence holds the rows that the Python repository would take, tier after tier.

subset_by_confidence.py BUNDLE SUBSET SIZE...
"""

import json
import pathlib
import sys

import numpy

from tiers import tiers_of

bundle, subset = map(pathlib.Path, sys.argv[1:3])
sizes = [int(size) for size in sys.argv[3:]]
groups = tiers_of(bundle, len(sizes))
rows = [index for group, size in zip(groups, sizes) for index in group[:size]]
assert len(rows) == sum(sizes)
for file in sorted((bundle / "npy").iterdir()):
    assert (numpy.load(subset / "npy" / file.name) == numpy.load(file)[rows]).all(), file
tiers = [tier for tier, size in enumerate(sizes) for _ in range(size)]
assert numpy.load(subset / "npy/tier.npy").tolist() == tiers

manifest = json.loads((subset / "manifest.json").read_text())
selection = manifest["selection"]["subset"]
assert selection["group_sizes"] == sizes and selection["mode"] == "conf"
assert manifest["tiers"]["correct"] == sizes
assert manifest["accuracy"] == {"samples": len(rows), "correct": len(rows)}
for file in (subset / "npy").iterdir():
    array = numpy.load(file)
    raw = numpy.fromfile(subset / f"raw/{file.stem}.bin", array.dtype)
    assert (raw == array.ravel()).all(), file
print("same rows")
