#!/usr/bin/env python3
"""Measures the exporter against PyTorch: writing models, and recording golden tensors.

Whole processes in turn, on the CPU with the same number of threads; medians are compared. Writing:
all four models of `base` and their hashes by ours, the full model alone by torch.onnx.export.
Recording: images a second of a whole process less what its start and end take, and peak memory.
Exit status: 0 every bound met, 1 some not, 2 could not measure.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from common import (
    MET, NOT_MET, ROOT, Comparison, fail, flags, heading, installed, machine, run, table, verdict,
    write,
)

REPORT = ROOT / "reports/bench_export.json"
GOLDEN_SAMPLES = 400
# Peak memory of ours must not depend on the samples, nor exceed this.
MEMORY_SAMPLES, MEMORY_BOUND_MIB, MEMORY_FLAT = (2000, 10000), 1229, 1.05
ERROR_BOUND = 1e-6
# The largest difference between the first rows of two arrays.
COMPARE = """
import sys, numpy
a, b = (numpy.load(file, mmap_mode="r")[:8] for file in sys.argv[1:])
print(abs(a.astype("float64") - b).max())
"""


def main():
    parser = flags(__doc__.splitlines()[0])
    parser.add_argument("--no-memory", action="store_true", help="leave out the long recordings")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=ROOT / "target") as scratch:
        bench = Bench(options, Path(scratch))
        bench.prepare()
        for number in range(1, max(1, options.rounds) + 1):
            bench.round(number)
        error = bench.largest_error()
        memory = [] if options.no_memory else [
            bench.ours("tiny", samples, "--parts", "submodel").peak_mib
            for samples in MEMORY_SAMPLES
        ]
    return judge(bench, error, memory)


class Bench:
    """The processes that are measured, and what they came to."""

    def __init__(self, options, scratch):
        self.options, self.scratch = options, scratch
        names = ("OMP_NUM_THREADS", "RAYON_NUM_THREADS")
        self.environment = {name: str(options.threads) for name in names}
        self.environment["PYTHONPATH"] = str(installed("bench"))
        self.written = {"ours": [], "eager": []}
        self.recorded = {"ours": [], "eager": []}

    def prepare(self):
        for model in ("tiny", "base"):
            run([self.options.programs / "trainer", "train", "--model", model, "--epochs", 0,
                 "--data", self.options.data, "--device", "cpu", "--out", self.scratch],
                self.environment)

    def weights(self, model):
        return self.scratch / f"vit_{model}_cifar10.safetensors"

    def ours(self, model, samples, *rest):
        out = self.scratch / "bundle"
        shutil.rmtree(out, ignore_errors=True)
        return run([self.options.programs / "exporter", "bundle", "--weights", self.weights(model),
                    "--out", out, "--samples", samples, "--data", self.options.data,
                    "--device", "cpu", *rest], self.environment)

    def theirs(self, script, model, *rest):
        return run([sys.executable, ROOT / "bench" / script, "--model", model,
                    "--weights", self.weights(model), *rest], self.environment)

    def round(self, number):
        """Everything once, in turn."""
        self.written["ours"].append(self.ours("base", 0))
        child = self.theirs("pytorch_export.py", "base", "--out", self.scratch / "model.onnx")
        self.written["eager"].append(child)
        start = self.ours("tiny", 0)
        child = self.ours("tiny", GOLDEN_SAMPLES)
        self.recorded["ours"].append(GOLDEN_SAMPLES / (child.seconds - start.seconds))
        child = self.theirs("pytorch_golden.py", "tiny", "--samples", GOLDEN_SAMPLES,
                            "--data", self.options.data, "--out", self.scratch / "golden.pt")
        result = json.loads(child.stdout.splitlines()[-1])
        self.torch = result["torch"]
        self.recorded["eager"].append(result["images_per_second"])
        print(f"round {number} of {self.options.rounds}   "
              f"base written in {self.written['ours'][-1].seconds:.2f} s, "
              f"eager {self.written['eager'][-1].seconds:.2f} s   "
              f"tiny recorded {self.recorded['ours'][-1]:.1f} images/s, "
              f"eager {self.recorded['eager'][-1]:.1f}", flush=True)

    def largest_error(self):
        """Between the first golden outputs of both, whose inputs come through each one's own
        preprocessing and layers."""
        arrays = [self.scratch / "bundle/npy/submodel_output.npy", self.scratch / "golden.npy"]
        return float(run([sys.executable, "-c", COMPARE, *arrays], self.environment).stdout)


def judge(bench, error, memory):
    """Writes and prints all, and gives the exit status."""
    rows = comparisons(bench)
    report = {
        "machine": machine(), "torch": bench.torch, "threads": bench.options.threads,
        "rounds": bench.options.rounds, "comparisons": [row.as_json() for row in rows],
        "golden_largest_difference": error, "memory_mib": dict(zip(MEMORY_SAMPLES, memory)),
    }
    write(REPORT, report)
    print(heading(report, f"torch {report['torch']}"))
    print(table(rows))
    print(f"\ngolden outputs differ from eager's by at most {error:.2e}, bound ≤ {ERROR_BOUND:g}: "
          f"{verdict(error <= ERROR_BOUND)}")
    flat = True
    if memory:
        few, many = memory
        flat = max(memory) <= MEMORY_BOUND_MIB and many <= few * MEMORY_FLAT
        print(f"peak memory of ours: {few:.0f} MiB for {MEMORY_SAMPLES[0]:,} samples, "
              f"{many:.0f} MiB for {MEMORY_SAMPLES[1]:,}; "
              f"bounds ≤ {MEMORY_BOUND_MIB} MiB and ≤ {MEMORY_FLAT}×: {verdict(flat)}")
    print(f"report: {REPORT.relative_to(ROOT)}")
    met = flat and error <= ERROR_BOUND and all(row.met for row in rows)
    return MET if met else NOT_MET


def comparisons(bench):
    seconds = {who: [1 / child.seconds for child in children]
               for who, children in bench.written.items()}
    memory = {who: [child.peak_mib for child in children]
              for who, children in bench.written.items()}
    return [
        Comparison("writing base (1/time)", "1/s", 5, True, seconds),
        Comparison("writing base, peak memory", "MiB", 1 / 3, False, memory),
        Comparison("recording tiny", "images/s", 1.4, True, bench.recorded),
    ]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        fail("interrupted")
