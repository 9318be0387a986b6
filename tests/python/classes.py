"""Recomputes the classes of a report's faulty samples with ONNX's reference evaluator.

classes.py BUNDLE REPORT
"""

import json
import pathlib
import re
import sys

import numpy
import onnx
from onnx.reference import ReferenceEvaluator

bundle, report = map(pathlib.Path, sys.argv[1:])
record = json.loads(report.read_text())
part = {name: ReferenceEvaluator(onnx.load(bundle / f"onnx/{name}/model.onnx"))
        for name in ("preprocess", "head", "tail")}


def load(name):
    return numpy.load(bundle / f"npy/{name}.npy")


(image,) = part["preprocess"].run(["image"], {"pixels": load("pixels")})
(residual,) = part["head"].run(["residual"], {"image": image})
golden = load("submodel_output")
faulty = golden.copy()
for fault in record["options"]["faults"]:
    index, value = re.fullmatch(r"output\[(.*)\]=(.*)", fault).groups()
    faulty[tuple(int(number) for number in index.split(","))] = float(value)


def logits(outputs):
    inputs = {"residual": residual, "submodel_output": outputs}
    return part["tail"].run(["logits"], inputs)[0]


before, after = logits(golden), logits(faulty)
assert (before.argmax(1) == load("predictions")).all()


def confidence(logits):
    weights = numpy.exp(logits.astype("float64") - logits.max())
    second, first = numpy.sort(weights / weights.sum())[-2:]
    return first - second


seen = 0
for entry in record["result"]["faulty"]:
    sample, found = entry["sample"], entry["class"]
    assert found["before"]["class"] == before[sample].argmax(), entry
    if not numpy.isfinite(after[sample]).all():
        assert found["outcome"] == "non-finite" and "after" not in found, entry
    else:
        changes = after[sample].argmax() != before[sample].argmax()
        assert found["outcome"] == ("critical" if changes else "tolerable"), entry
        assert found["after"]["class"] == after[sample].argmax(), entry
        expected = confidence(after[sample])
        assert abs(found["after"]["confidence"] - expected) < 1e-4, (entry, expected)
    seen += 1
assert seen == len(golden), seen
print(f"{seen} classes")
