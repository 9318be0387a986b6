"""Writes the test data of each part as Polygraphy's files, once as it is and once changed.

polygraphy_files.py BUNDLE FOLDER
"""

import pathlib
import sys

from polygraphy.comparator import IterationResult, RunResults
from polygraphy.json import save_json

from test_data import PARTS, tensors

bundle, folder = map(pathlib.Path, sys.argv[1:])
for part in PARTS:
    data_set = bundle / "onnx" / part / "test_data_set_0"
    save_json([tensors(data_set, "input")], f"{folder}/{part}_inputs.json")
    for name, change in (("golden", 0), ("changed", 1e-3)):
        outputs = tensors(data_set, "output")
        last = list(outputs)[-1]
        outputs[last] = outputs[last].copy()
        outputs[last].flat[7] += change
        results = RunResults()
        results.add([IterationResult(outputs)], runner_name=name)
        results.save(f"{folder}/{part}_{name}.json")
