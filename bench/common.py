"""What the benchmarks share: child processes measured, medians with their spread, a table, and the
verdict."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
# Everything met, something not met, could not measure: as in the three programs.
MET, NOT_MET, FAILED = 0, 1, 2


@dataclass
class Child:
    """What a child process came to."""

    stdout: str
    seconds: float
    # ru_maxrss, the largest resident set of the process or of a child of its own: not their sum.
    peak_mib: float


@dataclass
class Comparison:
    """One row: the values of each configuration, one a round. The bound is for the first
    configuration over the second."""

    what: str
    unit: str
    bound: float
    more_is_better: bool
    values: dict[str, list[float]]

    @property
    def ratio(self):
        ours, reference, *_ = self.values.values()
        return median(ours) / median(reference)

    @property
    def met(self):
        return self.ratio >= self.bound if self.more_is_better else self.ratio <= self.bound

    def as_json(self):
        spread = {name: {"median": median(values), "min": min(values), "max": max(values),
                         "values": values}
                  for name, values in self.values.items()}
        comparison = ">=" if self.more_is_better else "<="
        return {"what": self.what, "unit": self.unit, **spread, "ratio": self.ratio,
                "bound": f"{comparison} {self.bound:g}", "met": self.met}

    def cells(self):
        spread = [f"{number(median(values))} ({number(min(values))}–{number(max(values))})"
                  for values in self.values.values()]
        sign = "≥" if self.more_is_better else "≤"
        return [f"{self.what}, {self.unit}", *spread, f"{self.ratio:.2f}×",
                f"{sign} {self.bound:.2f}×", verdict(self.met)]


def verdict(met):
    return "met" if met else "NOT MET"


def absolute(path):
    """Of a path that the user names: children run in the project's folder."""
    return Path(path).resolve()


def flags(description):
    """The flags that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=5, metavar="N",
                        help="runs of each configuration [default: 5]")
    parser.add_argument("--threads", type=int, default=cores(), metavar="N",
                        help="each [default: one a core]")
    parser.add_argument("--data", type=absolute, default=ROOT / "data",
                        help="folder that holds CIFAR-10")
    parser.add_argument("--programs", type=absolute, default=ROOT / "target/release",
                        help="folder of the programs")
    return parser


def installed(component):
    """The folder of Python packages that `setup.py` makes; ends the benchmark if it is missing."""
    folder = ROOT / ".deps" / component
    if not folder.is_dir():
        fail(f"{folder}: no such folder\nhint: `python3 scripts/setup.py {component}` makes it")
    return folder


def run(command, environment):
    """Runs a command to its end, in the project's folder; ends the benchmark when it fails."""
    command = [str(word) for word in command]
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        try:
            child = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, text=True,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=errors)
        except OSError as error:
            fail(f"{command[0]}: {error.strerror}")
        with child.stdout:
            stdout = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            errors.seek(0)
            fail(f"{command[0]}: exit status {child.returncode}\ncommand: {' '.join(command)}\n"
                 f"--- stdout\n{stdout}--- stderr\n{errors.read()}")
    return Child(stdout, time.monotonic() - started, usage.ru_maxrss / 1024)


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def heading(report, versions):
    """What the numbers below it were measured on."""
    on = report["machine"]
    return (f"\n{on['cpu']}, {on['cores']} cores, {on['memory_gib']} GiB; "
            f"threads of each: {report['threads']}; {versions}\n"
            f"median (least–most), rounds: {report['rounds']}\n")


def table(comparisons):
    """The comparisons, all of the same configurations, as lines of text with columns aligned."""
    configurations = list(comparisons[0].values)
    header = ["", *configurations, "/".join(configurations[:2]), "bound", ""]
    rows = [header, *(comparison.cells() for comparison in comparisons)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def machine():
    """The machine as far as it decides how fast things run."""
    models = [line.split(":")[1].strip()
              for line in Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cpu = models[0] if models else platform.machine()
    return {"cpu": cpu, "cores": cores(), "memory_gib": round(memory / 2**30)}


def cores():
    return len(os.sched_getaffinity(0))


def write(path, report):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")


def fail(message):
    print(f"bench: error: {message}", file=sys.stderr)
    sys.exit(FAILED)
