"""The dump and the reports in every format of one check with two faults say the same.

reports_agree.py BUNDLE FOLDER
"""

import csv
import json
import pathlib
import sys
import xml.etree.ElementTree

import numpy

# What a faulty sample has of its own, and the array that it stands in.
RECORDED = {"label": "labels", "prediction": "predictions", "confidence": "confidence"}
CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()

bundle, folder = map(pathlib.Path, sys.argv[1:])

golden = numpy.load(bundle / "npy/submodel_output.npy")
dumped = folder / "dump/sample_000005"
assert numpy.load(dumped / "submodel_output_index.npy").tolist() == [[64, 95]]
corrupted = numpy.load(dumped / "submodel_output_golden.npy")
assert numpy.isnan(corrupted[64, 95]) and (corrupted != golden[5]).sum() == 1
actual = numpy.load(dumped / "submodel_output_actual.npy")
assert numpy.isclose(actual, golden[5], atol=5e-6, rtol=1e-5).all()

result = json.loads((folder / "r.json").read_text())["result"]
assert [sample["pattern"] for sample in result["faulty"]] == ["single", "single"]
assert [fault["outcome"] for fault in result["faults"]] == ["detected", "detected"]
for name, array in RECORDED.items():
    recorded = numpy.load(bundle / f"npy/{array}.npy")
    for sample in result["faulty"]:
        expected = recorded[sample["sample"]]
        assert numpy.float32(sample[name]) == numpy.float32(expected), (name, sample)

with open(folder / "r.csv", newline="") as lines:
    rows = list(csv.DictReader(lines))
names = ("sample", "worst_index", "pattern", "run_verdict")
cells = [tuple(row[name] for name in names) for row in rows]
assert cells == [("5", "5 64 95", "single", "fail"), ("6", "6 1 2", "single", "fail")], cells

suites = xml.etree.ElementTree.parse(folder / "r.xml").getroot()
counts = tuple(suites.get(name) for name in ("tests", "failures", "errors"))
assert counts == ("4", "1", "0"), suites.attrib

page = (folder / "r.md").read_text()
assert "# Verification: FAIL" in page, page
rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines()]
arrays = (numpy.load(bundle / f"npy/{array}.npy") for array in RECORDED.values())
label, prediction, confidence = (array[5] for array in arrays)
classes = [f"{number} {CLASSES[number]}" for number in (label, prediction)]
row = ["5", "5", *classes, f"{confidence:.4f}", "submodel_output", "0", "1", "single"]
assert any(cells[:9] == row for cells in rows), page
print("all agree")
