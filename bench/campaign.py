#!/usr/bin/env python3
"""Measures `verifier campaign` against PyTorchFI and against ONNX Runtime's own runs of the tail.

Whole processes of ours and loops of the others take turns, on the CPU with the same number of
threads; medians of faults a second are compared. PyTorchFI puts the very same flips of single bits
into the same PyTorch network, one fault a forward and one in each sample of a batch; the classes
that it comes to are compared with ours. The limit is what ONNX Runtime does with the tail alone: it
is held against a campaign whose faults all go through it.
Exit status: 0 every bound met, 1 some not, 2 could not measure.
"""

import csv
import json
import sys
import tempfile
from pathlib import Path
from statistics import median

from common import (
    MET, NOT_MET, ROOT, Comparison, fail, flags, heading, installed, machine, run, table, write,
)

REPORT = ROOT / "reports/bench_campaign.json"
SAMPLES = 256
# What PyTorchFI reaches as well: the output of a module. Products of attention are none.
SITE, MODULE = "edge:qkv", "transformer.layers.0.0.fn.to_qkv"
# Beyond the tolerance wherever it is put.
CERTAIN = "value:100"
# Of each model: faults of ours in a round, of PyTorchFI one a forward, and in batches.
FAULTS = {"nano": (40_000, 400, 4_096), "tiny": (6_000, 60, 256)}
# PyTorchFI's batches, the fastest of which counts; and ONNX Runtime's, which are tried on a tenth
# of the samples and measured at the fastest.
BATCHES, TAIL_BATCHES = (16, 64), (1, 4, 16, 64)
# Ours over each, at least.
BOUNDS = {"nano": (25, 3), "tiny": (4, 2)}
TAIL_BOUND = 0.85
# Classes of faults that PyTorch has to agree on with ours: rounding decides on a few.
AGREEMENT = 0.99


def main():
    parser = flags(__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=FAULTS, default=list(FAULTS))
    options = parser.parse_args()
    rows, details = [], {}
    (ROOT / "target").mkdir(exist_ok=True)
    for model in options.models:
        with tempfile.TemporaryDirectory(dir=ROOT / "target") as scratch:
            bench = Bench(options, model, Path(scratch))
            bench.prepare()
            for number in range(1, max(1, options.rounds) + 1):
                bench.round(number)
            rows += bench.comparisons()
            details[model] = bench.details()
            versions = bench.versions
    return judge(options, rows, details, versions)


class Bench:
    """The processes that are measured on one model, and the rates that they came to."""

    def __init__(self, options, model, scratch):
        self.options, self.model, self.scratch = options, model, scratch
        self.ours_faults, self.one_faults, self.batched_faults = FAULTS[model]
        threads = {"OMP_NUM_THREADS": str(options.threads)}
        self.pytorch = threads | {"PYTHONPATH": str(installed("bench"))}
        self.runtime = threads | {"PYTHONPATH": str(installed("python-tools"))}
        self.rates = {name: [] for name in ("ours", "ours, all through the tail", "one", "tail")}
        self.rates |= {batch: [] for batch in BATCHES}
        self.versions, self.campaigns, self.agreement = {}, 0, []

    def prepare(self):
        run([self.options.programs / "trainer", "train", "--model", self.model, "--epochs", 0,
             "--data", self.options.data, "--device", "cpu", "--out", self.scratch], self.pytorch)
        self.weights = self.scratch / f"vit_{self.model}_cifar10.safetensors"
        self.bundle = self.scratch / "bundle"
        run([self.options.programs / "exporter", "bundle", "--weights", self.weights, "--out",
             self.bundle, "--samples", SAMPLES, "--data", self.options.data], self.pytorch)
        self.images = self.scratch / "images.npy"
        self.tails = self.tail_runs(self.ours_faults // 10, TAIL_BATCHES, "--save-images",
                                    self.images)
        self.tail_batch = max(self.tails, key=self.tails.get)
        self.faults = self.scratch / "faults.csv"
        _, out = self.campaign("bit")
        self.reported(out, self.faults)

    def round(self, number):
        """Everything in turn."""
        self.rates["ours"].append(self.campaign("bit")[0])
        seconds, out = self.campaign(CERTAIN)
        self.check_all_beyond(out)
        self.rates["ours, all through the tail"].append(seconds)
        tail = self.tail_runs(self.ours_faults, [self.tail_batch])
        self.rates["tail"].append(tail[self.tail_batch])
        self.rates["one"].append(self.pytorchfi(1, self.one_faults))
        for batch in BATCHES:
            self.rates[batch].append(self.pytorchfi(batch, self.batched_faults))
        last = "   ".join(f"{name} {rates[-1]:.0f}/s" for name, rates in self.rates.items())
        print(f"{self.model}, round {number} of {self.options.rounds}   {last}", flush=True)

    def campaign(self, faults):
        """Faults a second of a whole process, and the folder of the campaign."""
        self.campaigns += 1
        out = self.scratch / f"campaign_{self.campaigns}"
        child = run([self.options.programs / "verifier", "campaign", "run", self.bundle,
                     "--device", "cpu", "--threads", self.options.threads, "--sites", SITE,
                     "--faults", faults, "--count", self.ours_faults, "--out", out], self.runtime)
        return self.ours_faults / child.seconds, out

    def reported(self, out, path):
        run([self.options.programs / "verifier", "campaign", "report", out, "--report", path],
            self.runtime)

    def check_all_beyond(self, out):
        """A campaign that is held against the tail has to send it every fault."""
        path = self.scratch / "certain.csv"
        self.reported(out, path)
        with open(path, newline="") as lines:
            within = sum(line["class"] == "" for line in csv.DictReader(lines))
        if within > 0.01 * self.ours_faults:
            fail(f"{within} of {self.ours_faults} faults did not go through the tail")

    def tail_runs(self, samples, batches, *rest):
        """Samples a second of the tail alone, by batch."""
        child = run([sys.executable, ROOT / "bench/onnxruntime_tail.py", "--bundle", self.bundle,
                     "--samples", samples, "--threads", self.options.threads, "--batch-sizes",
                     *batches, *rest], self.runtime)
        result = json.loads(child.stdout.splitlines()[-1])
        self.versions["onnxruntime"] = result["onnxruntime"]
        return {int(batch): rate for batch, rate in result["samples_per_second"].items()}

    def pytorchfi(self, batch_size, faults):
        """Faults a second of the loop alone."""
        child = run([sys.executable, ROOT / "bench/pytorchfi_faults.py", "--model", self.model,
                     "--weights", self.weights, "--images", self.images, "--faults", self.faults,
                     "--module", MODULE, "--batch-size", batch_size, "--count", faults],
                    self.pytorch)
        result = json.loads(child.stdout.splitlines()[-1])
        self.versions["torch"] = result["torch"]
        self.agreement.append(result["agreement"])
        if result["agreement"] < AGREEMENT:
            fail(f"the PyTorch network does not do the same: {result}")
        return result["faults_per_second"]

    def comparisons(self):
        ours = self.rates["ours"]
        batch = max(BATCHES, key=lambda batch: median(self.rates[batch]))
        one_bound, batched_bound = BOUNDS[self.model]
        row = lambda what, bound, ours, other: Comparison(  # noqa: E731
            f"{self.model}, {what}", "faults/s", bound, True, {"ours": ours, "other": other})
        return [
            row("PyTorchFI, one fault a forward", one_bound, ours, self.rates["one"]),
            row(f"PyTorchFI, batches of {batch}", batched_bound, ours, self.rates[batch]),
            row(f"all through the tail, and it alone in batches of {self.tail_batch}", TAIL_BOUND,
                self.rates["ours, all through the tail"], self.rates["tail"]),
        ]

    def details(self):
        return {"faults": FAULTS[self.model], "samples": SAMPLES,
                "faults_per_second": {str(name): rates for name, rates in self.rates.items()},
                "tail_samples_per_second_by_batch": self.tails,
                "least_agreement_of_classes": min(self.agreement)}


def judge(options, rows, details, versions):
    """Writes and prints all, and gives the exit status."""
    report = {"machine": machine(), **versions, "pytorchfi": "0.6.0", "threads": options.threads,
              "rounds": options.rounds, "comparisons": [row.as_json() for row in rows],
              "models": details}
    write(REPORT, report)
    print(heading(report, f"torch {report['torch']}, PyTorchFI {report['pytorchfi']}, ONNX Runtime "
                          f"{report['onnxruntime']}"))
    print(table(rows))
    for model, own in details.items():
        print(f"{model}: PyTorch has the same class after at least "
              f"{100 * own['least_agreement_of_classes']:.1f} % of the faults")
    print(f"report: {REPORT.relative_to(ROOT)}")
    return MET if all(row.met for row in rows) else NOT_MET


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        fail("interrupted")
