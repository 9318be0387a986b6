#!/usr/bin/env python3
"""Measures `verifier check` against a plain PyTorch script that runs the same attention and compares its outputs.

Whole processes in turn, on the CPU with the same number of threads; medians are compared. Ours checks the bundle's hashes
first. Exit status: 0 every bound met, 1 some not, 2 could not measure.
"""

import json
import sys
import tempfile
from pathlib import Path
from statistics import median

from common import MET, NOT_MET, ROOT, Comparison, fail, flags, machine, run, table, write

PYTORCH = ROOT / ".deps/bench"
REPORT = ROOT / "reports/bench_verify.json"
MODEL, BATCH_SIZE, SAMPLES, MORE_SAMPLES = "base", 64, 512, 4096
# Wall time over that of ONNX Runtime's own calls, and memory with more samples over that with fewer.
OVERHEAD_BOUND, MEMORY_FLAT = 1.15, 1.05


def main():
    parser = flags(__doc__.splitlines()[0])
    parser.add_argument("--no-memory", action="store_true", help=f"leave out the check of {MORE_SAMPLES} samples (5 GB)")
    options = parser.parse_args()
    if not PYTORCH.is_dir():
        fail(f"{PYTORCH}: no PyTorch there\nhint: `python3 scripts/setup.py bench` installs it")
    environment = {"OMP_NUM_THREADS": str(options.threads), "PYTHONPATH": str(PYTORCH)}

    with tempfile.TemporaryDirectory(dir=ROOT / "target") as scratch:
        scratch = Path(scratch)
        run([options.programs / "trainer", "train", "--model", MODEL, "--epochs", 0, "--data", options.data,
             "--device", "cpu", "--out", scratch], environment)

        def bundle(samples):
            out = scratch / f"bundle_{samples}"
            run([options.programs / "exporter", "bundle", "--weights", scratch / f"vit_{MODEL}_cifar10.safetensors",
                 "--out", out, "--samples", samples, "--parts", "submodel", "--data", options.data], environment)
            return out

        def ours(folder):
            report = scratch / "report.json"
            child = run([options.programs / "verifier", "check", folder, "--device", "cpu", "--batch-size", BATCH_SIZE,
                         "--threads", options.threads, "--report", report], environment)
            report = json.loads(report.read_text())
            return child, report["runtime"]["load_seconds"] + report["result"]["seconds"]["running"], report

        folder = bundle(SAMPLES)
        dataset = scratch / "dataset.pt"
        run([sys.executable, "-c", "import sys, numpy, torch\n"
             "load = lambda name: torch.from_numpy(numpy.load(f'{sys.argv[1]}/npy/submodel_{name}.npy'))\n"
             "torch.save({'inputs': load('input'), 'targets': load('output')}, sys.argv[2])", folder, dataset], environment)
        measured = {"ours": [], "eager": []}
        overheads = []
        for number in range(1, max(1, options.rounds) + 1):
            child, own, report = ours(folder)
            measured["ours"].append(child)
            overheads.append(child.seconds / own)
            measured["eager"].append(run([sys.executable, ROOT / "bench/pytorch_attention.py", "--model", MODEL, "--weights",
                                          folder / "weights/submodel.safetensors", "--dataset", dataset], environment))
            print(f"round {number} of {options.rounds}   ours {child.seconds:.2f} s, of which ONNX Runtime {own:.2f} s   "
                  f"eager {measured['eager'][-1].seconds:.2f} s", flush=True)
        result = json.loads(measured["eager"][-1].stdout.splitlines()[-1])
        if result != {"outside": 0, "samples": SAMPLES, "torch": result["torch"]}:
            fail(f"the PyTorch script found {result}")
        rows = [
            Comparison("checking base (1/time)", "1/s", 3.5, True,
                       {who: [1 / child.seconds for child in children] for who, children in measured.items()}),
            Comparison("checking base, peak memory", "MiB", 1 / 5, False,
                       {who: [child.peak_mib for child in children] for who, children in measured.items()}),
        ]
        memory = [median(child.peak_mib for child in measured["ours"])]
        if not options.no_memory:
            memory.append(ours(bundle(MORE_SAMPLES))[0].peak_mib)
    overhead = median(overheads)
    flat = memory[-1] <= memory[0] * MEMORY_FLAT
    report = {"machine": machine(), "torch": result["torch"], "onnxruntime": report["runtime"]["version"],
              "threads": options.threads, "rounds": options.rounds, "comparisons": [row.as_json() for row in rows],
              "overhead": overheads, "memory_mib": memory}
    write(REPORT, report)
    on = report["machine"]
    print(f"\n{on['cpu']}, {on['cores']} cores, {on['memory_gib']} GiB; threads of each: {options.threads}; "
          f"torch {report['torch']}, ONNX Runtime {report['onnxruntime']}\nmedian (least–most), rounds: {options.rounds}\n")
    print(table(rows))
    print(f"\nwall time of ours over ONNX Runtime's own: {overhead:.3f}× ({min(overheads):.3f}–{max(overheads):.3f}), "
          f"bound ≤ {OVERHEAD_BOUND}×: {verdict(overhead <= OVERHEAD_BOUND)}")
    if len(memory) > 1:
        print(f"peak memory of ours: {memory[0]:.0f} MiB for {SAMPLES} samples, {memory[1]:.0f} MiB for {MORE_SAMPLES:,}, "
              f"bound ≤ {MEMORY_FLAT}×: {verdict(flat)}")
    print(f"report: {REPORT.relative_to(ROOT)}")
    return MET if flat and overhead <= OVERHEAD_BOUND and all(row.met for row in rows) else NOT_MET


def verdict(met):
    return "met" if met else "NOT MET"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        fail("interrupted")
