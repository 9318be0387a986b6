#!/usr/bin/env python3
"""Measures the exporter against PyTorch: writing models, and recording golden tensors.

Whole processes in turn, on the CPU with the same number of threads; medians are compared. Writing: all four models of
`base` and their hashes by ours, the full model alone by torch.onnx.export. Recording: images a second of a whole process
less what its start and end take, and peak memory.
Exit status: 0 every bound met, 1 some not, 2 could not measure.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from common import MET, NOT_MET, ROOT, Comparison, fail, flags, machine, run, table, write

PYTORCH = ROOT / ".deps/bench"
REPORT = ROOT / "reports/bench_export.json"
GOLDEN_SAMPLES = 400
# Peak memory of ours must not depend on the samples, nor exceed this.
MEMORY_SAMPLES, MEMORY_BOUND_MIB, MEMORY_FLAT = (2000, 10000), 1229, 1.05


def main():
    parser = flags(__doc__.splitlines()[0])
    parser.add_argument("--no-memory", action="store_true", help="leave out the long recordings")
    options = parser.parse_args()
    if not PYTORCH.is_dir():
        fail(f"{PYTORCH}: no PyTorch there\nhint: `python3 scripts/setup.py bench` installs it")
    environment = {name: str(options.threads) for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS")}
    environment |= {"PYTHONPATH": str(PYTORCH)}

    with tempfile.TemporaryDirectory(dir=ROOT / "target") as scratch:
        scratch = Path(scratch)
        for model in ("tiny", "base"):
            run([options.programs / "trainer", "train", "--model", model, "--epochs", 0, "--data", options.data,
                 "--device", "cpu", "--out", scratch], environment)
        weights = {model: scratch / f"vit_{model}_cifar10.safetensors" for model in ("tiny", "base")}

        def ours(model, samples, *rest):
            out = scratch / "bundle"
            shutil.rmtree(out, ignore_errors=True)
            return run([options.programs / "exporter", "bundle", "--weights", weights[model], "--out", out, "--samples",
                        samples, "--data", options.data, "--device", "cpu", *rest], environment)

        def theirs(script, model, *rest):
            return run([sys.executable, ROOT / "bench" / script, "--model", model, "--weights", weights[model],
                        *rest], environment)

        written = {"ours": [], "eager": []}
        recorded = {"ours": [], "eager": []}
        for number in range(1, max(1, options.rounds) + 1):
            written["ours"].append(ours("base", 0))
            child = theirs("pytorch_export.py", "base", "--out", scratch / "model.onnx")
            written["eager"].append(child)
            start = ours("tiny", 0)
            child = ours("tiny", GOLDEN_SAMPLES)
            recorded["ours"].append(GOLDEN_SAMPLES / (child.seconds - start.seconds))
            child = theirs("pytorch_golden.py", "tiny", "--samples", GOLDEN_SAMPLES, "--data", options.data, "--out",
                           scratch / "golden.pt")
            result = json.loads(child.stdout.splitlines()[-1])
            recorded["eager"].append(result["images_per_second"])
            print(f"round {number} of {options.rounds}   base written in {written['ours'][-1].seconds:.2f} s, eager "
                  f"{written['eager'][-1].seconds:.2f} s   tiny recorded {recorded['ours'][-1]:.1f} images/s, eager "
                  f"{recorded['eager'][-1]:.1f}", flush=True)
        error = largest_error(scratch)
        rows = [
            Comparison("writing base (1/time)", "1/s", 5, True,
                       {who: [1 / child.seconds for child in children] for who, children in written.items()}),
            Comparison("writing base, peak memory", "MiB", 1 / 3, False,
                       {who: [child.peak_mib for child in children] for who, children in written.items()}),
            Comparison("recording tiny", "images/s", 1.4, True, recorded),
        ]
        memory = [] if options.no_memory else [ours("tiny", samples, "--parts", "submodel").peak_mib
                                               for samples in MEMORY_SAMPLES]
    report = {"machine": machine(), "torch": result["torch"], "threads": options.threads, "rounds": options.rounds,
              "comparisons": [row.as_json() for row in rows], "golden_largest_difference": error,
              "memory_mib": dict(zip(MEMORY_SAMPLES, memory))}
    flat = not memory or (max(memory) <= MEMORY_BOUND_MIB and memory[1] <= memory[0] * MEMORY_FLAT)
    write(REPORT, report)
    on = report["machine"]
    print(f"\n{on['cpu']}, {on['cores']} cores, {on['memory_gib']} GiB; threads of each: {options.threads}; "
          f"torch {report['torch']}\nmedian (least–most), rounds: {options.rounds}\n")
    print(table(rows))
    print(f"\ngolden outputs differ from eager's by at most {error:.2e}, bound ≤ 1e-6: {verdict(error <= 1e-6)}")
    if memory:
        print(f"peak memory of ours: {memory[0]:.0f} MiB for {MEMORY_SAMPLES[0]:,} samples, {memory[1]:.0f} MiB for "
              f"{MEMORY_SAMPLES[1]:,}; bounds ≤ {MEMORY_BOUND_MIB} MiB and ≤ {MEMORY_FLAT}×: {verdict(flat)}")
    print(f"report: {REPORT.relative_to(ROOT)}")
    return MET if flat and error <= 1e-6 and all(row.met for row in rows) else NOT_MET


def verdict(met):
    return "met" if met else "NOT MET"


def largest_error(scratch):
    """Between the first golden outputs of both, whose inputs come through each one's own preprocessing and layers."""
    script = ("import sys, numpy; a, b = (numpy.load(f, mmap_mode='r')[:8] for f in sys.argv[1:]); "
              "print(abs(a.astype('float64') - b).max())")
    arrays = [scratch / "bundle/npy/submodel_output.npy", scratch / "golden.npy"]
    return float(run([sys.executable, "-c", script, *arrays], {"PYTHONPATH": str(PYTORCH)}).stdout)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        fail("interrupted")
