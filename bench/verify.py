#!/usr/bin/env python3
"""Measures `verifier check` against plain PyTorch and against ONNX Runtime's own run calls.

Whole processes take turns, on the CPU with the same number of threads; medians are compared. Plain
PyTorch runs the same attention and compares its outputs, in three ways; the fastest one counts.
Ours has its default batch size, and checks the bundle's hashes first. Outputs from files are judged
beside a script that reads and hashes the same files.
Exit status: 0 every bound met, 1 some not, 2 could not measure.
"""

import json
import sys
import tempfile
from pathlib import Path
from statistics import median

from common import (
    MET, NOT_MET, ROOT, Comparison, fail, flags, heading, installed, machine, run, table, verdict,
    write,
)

REPORT = ROOT / "reports/bench_verify.json"
MODEL, SAMPLES, MORE_SAMPLES = "base", 512, 4096
# Ways to read the recorded samples in plain PyTorch: the batch size, and whether by a DataLoader.
PEERS = {"loader 64": (64, True), "slices 8": (8, False), "slices 64": (64, False)}
# ONNX Runtime's own calls are tried at each of these so many times, and measured at the fastest.
BATCH_SIZES, TRIES = (1, 2, 4, 8, 16, 64), 3
# Ours and ONNX Runtime's calls take turns so often in a round: both are short, and the machine's
# speed changes from minute to minute.
PAIRS = 3
# Ours over the fastest peer: time and peak memory of the whole process.
TIME_BOUND, MEMORY_BOUND = 1 / 2, 1 / 10
# The whole process over ONNX Runtime's calls at its best batch size.
OVERHEAD_BOUND = 1.3
# Judging outputs from files over reading and hashing them and the bundle once.
FILES_BOUND = 1.3
# Peak memory with more samples over that with fewer.
MEMORY_FLAT = 1.05
# What PyTorch needs to load a bundle's arrays and save them as the Python repository has them.
SAVE_DATASET = """
import sys, numpy, torch
bundle, out = sys.argv[1:]
load = lambda name: torch.from_numpy(numpy.load(f"{bundle}/npy/submodel_{name}.npy"))
torch.save({"inputs": load("input"), "targets": load("output")}, out)
"""


def main():
    parser = flags(__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=SAMPLES, help=f"[default: {SAMPLES}]")
    parser.add_argument("--no-memory", action="store_true",
                        help=f"leave out the check of {MORE_SAMPLES} samples (5 GB)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=ROOT / "target") as scratch:
        bench = Bench(options, Path(scratch))
        bench.prepare()
        for number in range(1, max(1, options.rounds) + 1):
            bench.round(number)
        more = None if options.no_memory else bench.memory(bench.bundle(MORE_SAMPLES))
    return judge(bench, more)


class Bench:
    """The processes that are measured, and what they came to."""

    def __init__(self, options, scratch):
        self.options, self.scratch = options, scratch
        threads = {"OMP_NUM_THREADS": str(options.threads)}
        self.pytorch = threads | {"PYTHONPATH": str(installed("bench"))}
        self.runtime = threads | {"PYTHONPATH": str(installed("python-tools"))}
        self.children = {name: [] for name in ("ours", *PEERS)}
        self.calls, self.beside_calls = [], []
        self.files, self.beside_files = [], []
        self.versions = {}

    def prepare(self):
        run([self.options.programs / "trainer", "train", "--model", MODEL, "--epochs", 0,
             "--data", self.options.data, "--device", "cpu", "--out", self.scratch], self.pytorch)
        self.folder = self.bundle(self.options.samples)
        self.dataset = self.scratch / "dataset.pt"
        run([sys.executable, "-c", SAVE_DATASET, self.folder, self.dataset], self.pytorch)
        self.outputs = self.saved(self.folder)
        tries = [{size: self.runtime_calls(size) for size in BATCH_SIZES} for _ in range(TRIES)]
        self.calls_by_batch = {size: median(t[size] for t in tries) for size in BATCH_SIZES}
        self.best_batch = min(self.calls_by_batch, key=self.calls_by_batch.get)

    def bundle(self, samples):
        out = self.scratch / f"bundle_{samples}"
        weights = self.scratch / f"vit_{MODEL}_cifar10.safetensors"
        run([self.options.programs / "exporter", "bundle", "--weights", weights, "--out", out,
             "--samples", samples, "--parts", "submodel", "--data", self.options.data],
            self.pytorch)
        return out

    def round(self, number):
        """Everything in turn."""
        for _ in range(PAIRS):
            self.beside_calls.append(self.ours(self.folder).seconds)
            self.calls.append(self.runtime_calls(self.best_batch))
            self.beside_files.append(self.judged(self.folder, self.outputs))
            self.files.append(self.hashed())
        self.children["ours"].append(self.ours(self.folder))
        for name in PEERS:
            self.children[name].append(self.peer(name))
        times = [f"{name} {children[-1].seconds:.2f} s" for name, children in self.children.items()]
        print(f"round {number} of {self.options.rounds}   {'   '.join(times)}   "
              f"ONNX Runtime's calls {self.calls[-1]:.2f} s", flush=True)

    def saved(self, folder):
        """The outputs of a check, as files."""
        out = self.scratch / f"outputs_of_{folder.name}"
        self.ours(folder, "--save-outputs", out)
        return out

    def judged(self, folder, outputs):
        return run([self.options.programs / "verifier", "check", folder, "--outputs", outputs],
                   self.runtime | {"RAYON_NUM_THREADS": str(self.options.threads)})

    def hashed(self):
        child = run([sys.executable, ROOT / "bench/hash_and_read.py", "--bundle", self.folder,
                     "--outputs", self.outputs, "--threads", self.options.threads], self.pytorch)
        return json.loads(child.stdout.splitlines()[-1])["seconds"]

    def memory(self, folder):
        """MiB of a check, and of judging its outputs from files."""
        outputs = self.saved(folder)
        return self.ours(folder).peak_mib, self.judged(folder, outputs).peak_mib

    def ours(self, folder, *rest):
        report = self.scratch / "report.json"
        child = run([self.options.programs / "verifier", "check", folder, "--device", "cpu",
                     "--threads", self.options.threads, "--report", report, *rest], self.runtime)
        report = json.loads(report.read_text())
        self.versions["onnxruntime"] = report["runtime"]["version"]
        self.batch_size = report["options"]["batch_size"]
        return child

    def peer(self, name):
        batch_size, by_loader = PEERS[name]
        source = ["--dataset", self.dataset] if by_loader else ["--bundle", self.folder]
        child = run([sys.executable, ROOT / "bench/pytorch_attention.py", "--model", MODEL,
                     "--weights", self.folder / "weights/submodel.safetensors",
                     "--batch-size", batch_size, *source], self.pytorch)
        result = json.loads(child.stdout.splitlines()[-1])
        if (result["outside"], result["samples"]) != (0, self.options.samples):
            fail(f"the PyTorch script came to {result}")
        self.versions["torch"] = result["torch"]
        return child

    def runtime_calls(self, batch_size):
        child = run([sys.executable, ROOT / "bench/onnxruntime_calls.py", "--bundle", self.folder,
                     "--batch-size", batch_size, "--threads", self.options.threads], self.runtime)
        result = json.loads(child.stdout.splitlines()[-1])
        if result["onnxruntime"] != self.versions["onnxruntime"] or result["last_error"] > 1e-4:
            fail(f"ONNX Runtime {self.versions['onnxruntime']} is measured, its script came to "
                 f"{result}")
        return result["seconds"]


def judge(bench, more_mib):
    """Writes and prints all, and gives the exit status."""
    rows = comparisons(bench.children)
    overhead = Pairs("ours over ONNX Runtime's own calls at their best batch",
                     bench.beside_calls, bench.calls, OVERHEAD_BOUND)
    files = Pairs("outputs from files over reading and hashing all once",
                  [child.seconds for child in bench.beside_files], bench.files, FILES_BOUND)
    fewer_mib = (median(child.peak_mib for child in bench.children["ours"]),
                 median(child.peak_mib for child in bench.beside_files))
    flat = more_mib is None or all(
        more <= fewer * MEMORY_FLAT for fewer, more in zip(fewer_mib, more_mib))
    report = {
        "machine": machine(), **bench.versions, "threads": bench.options.threads,
        "rounds": bench.options.rounds, "samples": bench.options.samples,
        "batch_size": bench.batch_size, "comparisons": [row.as_json() for row in rows],
        "runtime_calls_by_batch_seconds": bench.calls_by_batch,
        "pairs": [overhead.as_json(), files.as_json()],
        "memory_mib": {bench.options.samples: fewer_mib, MORE_SAMPLES: more_mib},
    }
    write(REPORT, report)
    print(heading(report, f"torch {report['torch']}, ONNX Runtime {report['onnxruntime']}"))
    print(table(rows))
    print(f"\ndefault batch of ours {bench.batch_size}, best of ONNX Runtime's own calls "
          f"{bench.best_batch}")
    print(overhead.screen())
    print(files.screen())
    times = ", ".join(f"{batch_size}: {seconds:.2f} s"
                      for batch_size, seconds in bench.calls_by_batch.items())
    print(f"ONNX Runtime's own calls by batch: {times}")
    if more_mib is not None:
        for what, fewer, more in zip(("ours", "outputs from files"), fewer_mib, more_mib):
            print(f"peak memory, {what}: {fewer:.0f} MiB for {bench.options.samples} samples, "
                  f"{more:.0f} MiB for {MORE_SAMPLES:,}; bound ≤ {MEMORY_FLAT}×: "
                  f"{verdict(more <= fewer * MEMORY_FLAT)}")
    print(f"report: {REPORT.relative_to(ROOT)}")
    met = flat and overhead.met and files.met and all(row.met for row in rows)
    return MET if met else NOT_MET


class Pairs:
    """Two processes that took turns, the first of which may take so much longer."""

    def __init__(self, what, ours, peer, bound):
        self.what, self.ours, self.peer, self.bound = what, ours, peer, bound
        self.ratio = median(ours) / median(peer)
        self.met = self.ratio <= bound

    def as_json(self):
        return {"what": self.what, "ours_seconds": self.ours, "peer_seconds": self.peer,
                "ratio": self.ratio, "bound": self.bound, "met": self.met}

    def screen(self):
        ratios = [ours / peer for ours, peer in zip(self.ours, self.peer)]
        return (f"{self.what}: {self.ratio:.3f}× ({median(self.ours):.2f} s and "
                f"{median(self.peer):.2f} s; pairs {min(ratios):.3f}–{max(ratios):.3f}); bound ≤ "
                f"{self.bound}×: {verdict(self.met)}")


def comparisons(children):
    """Ours against the fastest peer, which stands second."""
    peers = sorted(PEERS, key=lambda name: median(child.seconds for child in children[name]))
    order = ["ours", *peers]
    seconds = {name: [child.seconds for child in children[name]] for name in order}
    memory = {name: [child.peak_mib for child in children[name]] for name in order}
    return [
        Comparison(f"checking {MODEL}", "s", TIME_BOUND, False, seconds),
        Comparison(f"checking {MODEL}, peak memory", "MiB", MEMORY_BOUND, False, memory),
    ]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        fail("interrupted")
