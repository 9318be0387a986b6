#!/usr/bin/env python3
"""Measures training against PyTorch: images a second of the second epoch, and peak memory.

Three configurations take turns, each a process of its own, on the CPU with the same number of
threads: `ours` is `trainer train`, `eager` what the Python repository does, `tuned` what a good
PyTorch user does. Medians are compared.
Exit status: 0 every bound met, 1 some not, 2 could not measure.
"""

import json
import platform
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from common import (
    MET, NOT_MET, ROOT, Comparison, fail, flags, heading, installed, machine, run, table, verdict,
    write,
)

REPORT = ROOT / "reports/bench_training.json"
CONFIGURATIONS = ("ours", "eager", "tuned")
QUICK_SHARE = 5


@dataclass(frozen=True)
class Workload:
    """What is trained, and for how many steps in each of two epochs; the first is the warm-up."""

    model: str
    precision: str
    batch_size: int
    steps: int

    @property
    def name(self):
        return f"{self.model} {self.precision}"


TINY = Workload("tiny", "f32", 32, 4)
TINY_BF16 = Workload("tiny", "bf16", 32, 6)
# The images are small enough that loading and augmenting them counts.
NANO = Workload("nano", "f32", 128, 60)

# The same work for all: every patch, and Adam. `nano`'s own recipe leaves out half of the patches.
SAME_WORK = ["--optimizer", "adam", "--weight-decay", "0", "--patch-dropout", "0"]

# Memory at the end of the first and the last of these epochs: steps 100 and 2,000.
FLAT_EPOCHS, FLAT_STEPS, FLAT_BATCH, FLAT_BOUND = 20, 100, 16, 1.01


def main():
    parser = flags(__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true",
                        help="one round of few steps: too short to judge by")
    parser.add_argument("--compile", action="store_true",
                        help="let `tuned` use torch.compile (needs a C++ compiler)")
    options = parser.parse_args()
    installed("bench")
    rounds = 1 if options.quick else max(1, options.rounds)
    workloads = [TINY, TINY_BF16, NANO] if has_bfloat16() else [TINY, NANO]
    if TINY_BF16 not in workloads:
        print("bf16 is left out: this CPU has no instructions for it", flush=True)
    runs = {}
    for round_number in range(1, rounds + 1):
        for workload in workloads:
            for configuration in CONFIGURATIONS:
                if (workload, configuration) == (TINY_BF16, "eager"):
                    continue  # the Python repository knows float32 alone
                result = measure(configuration, workload, options)
                runs.setdefault((workload, configuration), []).append(result)
                print(f"round {round_number} of {rounds}   {workload.name:<9}   "
                      f"{configuration:<5}   {result['images_per_second']:8.1f} images/s   "
                      f"{result['peak_mib']:6.0f} MiB", flush=True)
        # Rewritten after every round, so that an interrupted measurement is not lost.
        report, rows = summary(runs, options), comparisons(runs)
        write(REPORT, report | {"comparisons": [row.as_json() for row in rows]})

    growth = memory_growth(options)
    found = {"comparisons": [row.as_json() for row in rows], "memory_growth": growth}
    write(REPORT, report | found)
    print(screen(report, rows, growth))
    return MET if growth["met"] and all(row.met for row in rows) else NOT_MET


def measure(configuration, workload, options):
    """One run of one configuration: its second epoch, and the peak memory of the whole process."""
    steps = max(1, workload.steps // QUICK_SHARE) if options.quick else workload.steps
    arguments = ["--model", workload.model, "--batch-size", workload.batch_size, "--epochs", 2,
                 "--train-samples", steps * workload.batch_size, "--data", options.data]
    precision = ["--precision", workload.precision]
    threads = {name: str(options.threads) for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS")}
    if configuration == "ours":
        with tempfile.TemporaryDirectory() as out:
            rest = ["--test-samples", workload.batch_size, "--device", "cpu", "--out", out]
            program = [options.programs / "trainer", "train"]
            child = run([*program, *arguments, *precision, *rest, *SAME_WORK], threads)
            metrics = Path(out) / f"vit_{workload.model}_cifar10" / "metrics.jsonl"
            result = json.loads(metrics.read_text().splitlines()[-1])
        result = {"images_per_second": result["images_per_second"],
                  "libtorch": libtorch_version(child.stdout)}
    else:
        own = [] if configuration == "eager" else precision + ["--compile"] * options.compile
        script = ROOT / "bench" / f"pytorch_{configuration}.py"
        child = run([sys.executable, script, *arguments, *own],
                    threads | {"PYTHONPATH": str(installed("bench"))})
        result = json.loads(child.stdout.splitlines()[-1])
    return result | {"peak_mib": child.peak_mib, "seconds": child.seconds}


def has_bfloat16():
    """Whether the CPU multiplies bfloat16; elsewhere libraries emulate it, a hundred times slower."""
    words = set(Path("/proc/cpuinfo").read_text().split())
    return bool(words & {"avx512_bf16", "amx_bf16", "bf16"})


def memory_growth(options):
    """What `trainer train` holds in memory after 100 steps, and after 2,000."""
    with tempfile.TemporaryDirectory() as out:
        arguments = ["--model", "nano", "--batch-size", FLAT_BATCH, "--epochs", FLAT_EPOCHS,
                     "--train-samples", FLAT_STEPS * FLAT_BATCH, "--test-samples", 100,
                     "--data", options.data, "--device", "cpu", "--out", out]
        threads = {"OMP_NUM_THREADS": str(options.threads)}
        run([options.programs / "trainer", "train", *arguments], threads)
        lines = (Path(out) / "vit_nano_cifar10/metrics.jsonl").read_text().splitlines()
    first, last = (json.loads(line)["resident_bytes"] for line in (lines[0], lines[-1]))
    return {"step_100_bytes": first, "step_2000_bytes": last, "ratio": last / first,
            "bound": f"<= {FLAT_BOUND}", "met": last / first <= FLAT_BOUND}


def libtorch_version(stdout):
    """From the line that begins with `device`."""
    found = re.search(r"libtorch (\S+)", stdout)
    return found.group(1) if found else "unknown"


def comparisons(runs):
    def values(what, ours, eager, tuned):
        taken = {"ours": runs[ours, "ours"], "eager": runs[eager, "eager"],
                 "tuned": runs[tuned, "tuned"]}
        return {name: [result[what] for result in results] for name, results in taken.items()}

    def speed(what, bound, *workloads):
        return Comparison(what, "images/s", bound, True, values("images_per_second", *workloads))

    has_bf16 = (TINY_BF16, "ours") in runs
    return [
        speed("tiny f32", 1.4, TINY, TINY, TINY),
        *([speed("tiny bf16 (eager f32)", 2.5, TINY_BF16, TINY, TINY_BF16)] if has_bf16 else []),
        speed("nano f32", 1.5, NANO, NANO, NANO),
        Comparison("tiny f32 peak memory", "MiB", 0.75, False,
                   values("peak_mib", TINY, TINY, TINY)),
    ]


def summary(runs, options):
    """What the numbers were measured on, with and how."""
    ours, eager = runs[TINY, "ours"][-1], runs[TINY, "eager"][-1]
    return {
        "machine": machine(),
        "versions": {"torch": eager["torch"], "libtorch": ours["libtorch"],
                     "python": platform.python_version()},
        "threads": options.threads,
        "rounds": len(runs[TINY, "ours"]),
        "quick": options.quick,
        "compiled": options.compile,
        "pytorch_imports_mib": eager["imports_mib"],
    }


def screen(report, rows, growth):
    versions = report["versions"]
    described = (f"torch {versions['torch']} (PyTorch's), libtorch {versions['libtorch']} (ours), "
                 f"Python {versions['python']}")
    first, last = (growth[name] / 2**20 for name in ("step_100_bytes", "step_2000_bytes"))
    return "\n".join([
        heading(report, described),
        *["quick: too short to judge by\n"] * report["quick"],
        table(rows),
        "",
        f"memory of ours after 100 steps {first:.0f} MiB, after 2,000 {last:.0f} MiB: "
        f"{growth['ratio']:.3f}×, bound ≤ {FLAT_BOUND}×, {verdict(growth['met'])}",
        "memory: the largest process; PyTorch's imports alone take "
        f"{report['pytorch_imports_mib']:.0f} MiB of theirs",
        f"report: {REPORT.relative_to(ROOT)}",
    ])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        fail("interrupted")
