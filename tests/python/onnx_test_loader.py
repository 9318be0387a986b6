"""ONNX's own test loader finds the test data sets, and they pass as its runner would judge.

onnx_test_loader.py BUNDLE
"""

import json
import pathlib
import shutil
import sys
import tempfile

import numpy
import onnxruntime
from onnx.backend.test.loader import load_model_tests

from test_data import PARTS, tensors

TOLERANCES = {"test_preprocess": (1e-6, 1e-6), "test_submodel": (5e-6, 1e-5)}


def judge(case):
    """As onnx.backend.test.runner does it."""
    tolerance = (case.atol, case.rtol)
    assert tolerance == TOLERANCES.get(case.name, (1e-4, 1e-4)), case
    folder = pathlib.Path(case.model_dir)
    model = folder / "model.onnx"
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    data_sets = sorted(path for path in folder.iterdir() if path.is_dir())
    assert len(data_sets) * samples_per_set in (3, 4), data_sets
    for data_set in data_sets:
        assert all(file.suffix == ".pb" for file in data_set.iterdir())
        inputs = tensors(data_set, "input").values()
        feed = dict(zip([x.name for x in session.get_inputs()], inputs, strict=True))
        golden = tensors(data_set, "output").values()
        for expected, actual in zip(golden, session.run(None, feed), strict=True):
            numpy.testing.assert_allclose(expected, actual, rtol=case.rtol, atol=case.atol)
    config = dict(line.split(":") for line in (folder / "config.txt").read_text().split())
    names = ("per_sample_tolerance", "relative_per_sample_tolerance")
    assert tuple(float(config[name]) for name in names) == tolerance


bundle = pathlib.Path(sys.argv[1])
manifest = json.loads((bundle / "manifest.json").read_text())
samples_per_set = manifest.get("deployment", {}).get("fixed_batch", 1)
with tempfile.TemporaryDirectory() as data:
    for part in PARTS:
        shutil.copytree(bundle / "onnx" / part, pathlib.Path(data) / "simple" / f"test_{part}")
    cases = load_model_tests(data_dir=data, kind="simple")
    names = sorted(case.name for case in cases)
    assert names == sorted(f"test_{part}" for part in PARTS)
    for case in cases:
        judge(case)
        print("passed", case.name)
