#!/usr/bin/env python3
"""The whole pipeline on real CIFAR-10: data, train, export, verify, inject; then one screen that
sums it up.

Leaves data/, trained_models/vit_nano_cifar10.safetensors, bundles/nano/ and reports/.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

BINARIES = Path("target/release")
WEIGHTS = Path("trained_models/vit_nano_cifar10.safetensors")
BUNDLE = Path("bundles/nano")
REPORTS = Path("reports")
# A run that is under way, or complete.
STATE = WEIGHTS.with_suffix("") / "state.safetensors"
# Of nano's own recipe.
EPOCHS = 3
INJECTED_SAMPLES = [150, 200, 201, 300]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", default="data",
                        help="folder that holds CIFAR-10, or that it goes to")
    data = parser.parse_args().data
    REPORTS.mkdir(exist_ok=True)
    clean_report, fault_report = REPORTS / "nano.json", REPORTS / "nano_faults.json"
    check = ["verifier", "check", BUNDLE, "--device", os.environ.get("DEVICE") or "cpu",
             "--atol", "5e-6", "--rtol", "1e-5"]

    seconds = {}
    seconds["data"] = step("CIFAR-10", ["trainer", "data", "--data", data])
    device = os.environ.get("DEVICE")
    for found in (WEIGHTS, STATE):
        if found.exists() and not made_by_the_demo(found):
            sys.exit(f"demo: {found} is there, and not from this demo: move it away first")
    train = ["trainer", "train", "--model", "nano", "--data", data, "--device", device or "auto",
             "--force"]
    seconds["train"] = step("training", train)
    export = ["exporter", "bundle", "--weights", WEIGHTS, "--out", BUNDLE, "--data", data,
              "--force"]
    seconds["export"] = step("export", export)
    seconds["verify"] = step("verification", [*check, "--report", clean_report])
    inject = [*check, "--inject", "--report", fault_report]
    seconds["inject"] = step("fault injection", inject, expected=1)

    manifest = json.loads((BUNDLE / "manifest.json").read_text())
    clean = json.loads(clean_report.read_text())
    faults = json.loads(fault_report.read_text())
    failures = failed_expectations(faults)
    print(summary(manifest, clean, faults, seconds, failures))
    return 1 if failures else 0


def step(title, command, expected=0):
    """Runs one program in view of the user; ends the demo if it ends otherwise than expected."""
    command = [str(BINARIES / command[0]), *map(str, command[1:])]
    print(f"\n── {title}\n$ {' '.join(command)}", flush=True)
    started = time.monotonic()
    status = subprocess.run(command).returncode
    if status != expected:
        sys.exit(f"demo: {title} ended with exit status {status}, expected {expected}; "
                 "its message is above")
    return time.monotonic() - started


def made_by_the_demo(path):
    """Whether a file comes from the command below: training it again gives nothing new up."""
    try:
        with open(path, "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        metadata = header["__metadata__"]
        if "vit_part_state" in metadata:
            plan = json.loads(metadata["vit_part_state"])["plan"]
        else:
            plan = json.loads(metadata["vit_part"])["training"]
        made = (plan["seed"], plan["train_samples"], plan["recipe"]["epochs"])
        return made == (0, 50_000, EPOCHS)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError):
        return False


def was_detected(fault):
    return fault["outcome"] == "detected"


def failed_expectations(faults):
    """What the exit statuses do not say: an empty list is a successful demo."""
    flagged = [sample["sample"] for sample in faults["result"]["faulty"]]
    checks = {
        f"the injected errors lie in samples {INJECTED_SAMPLES}, flagged were {flagged}":
            flagged == INJECTED_SAMPLES,
        "an injected error was missed":
            all(was_detected(fault) for fault in faults["result"]["faults"]),
    }
    return [failure for failure, holds in checks.items() if not holds]


def summary(manifest, clean, faults, seconds, failures):
    accuracy, result, options = manifest["accuracy"], clean["result"], clean["options"]
    injected = faults["result"]["faults"]
    detected = sum(was_detected(fault) for fault in injected)
    flagged = ", ".join(str(sample["sample"]) for sample in faults["result"]["faulty"])
    times = {**seconds, "in all": sum(seconds.values())}
    steps = " · ".join(f"{name} {value:.0f} s" for name, value in times.items())
    runtime = clean["runtime"]
    counts = runtime["nodes"].items()
    nodes = ", ".join(f"{count} nodes on {provider}" for provider, count in counts)
    correct = 100 * accuracy["correct"] / accuracy["samples"]
    rows = [
        ("accuracy", f"{correct:.2f} % of {accuracy['samples']:,} test images"),
        ("samples", f"{result['samples']:,} compared, {result['faulty_samples']:,} faulty "
                    f"(atol {options['atol']:g}, rtol {options['rtol']:g})"),
        ("largest error", f"{result['max_abs_error']['value']:.2e}"),
        ("ran on", f"{options['device']}: {nodes}, ONNX Runtime {runtime['version']}"),
        ("injected", f"{len(injected)} errors, {detected} detected, in samples {flagged}"),
        ("time", steps),
        ("weights", WEIGHTS),
        ("bundle", f"{BUNDLE}/"),
        ("reports", f"{REPORTS}/nano.json, {REPORTS}/nano_faults.json"),
    ]
    lines = [f"  {name:<14} {text}" for name, text in rows]
    lines += [f"  FAILED         {failure}" for failure in failures]
    return "\n".join([
        "", "━" * 78, f"  vit-part demo  {'FAILED' if failures else 'succeeded'}", "", *lines, "",
        "  next           target/release/verifier inspect bundles/nano",
        "  with a GPU     target/release/verifier check bundles/nano --device cuda",
        "                 target/release/trainer train --model base --epochs 100",
        "━" * 78,
    ])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("demo: interrupted")
