#!/usr/bin/env python3
"""Brings the native libraries into .deps/, once: python3 scripts/setup.py COMPONENT...

A component is installed into a temporary sibling and renamed when complete, so a folder under
.deps/ is whole or absent. The renamed folder holds complete.json, which says what it was made from;
a component made from anything else (another version, another flavour) is made again.

A library that the user has set up, LIBTORCH or ORT_DYLIB_PATH, is used instead.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEPS = ROOT / ".deps"

# tch 0.26 accepts exactly this libtorch.
TORCH = "torch==2.13.0"
# The wheel's libtorch_cpu.so is linked against these two also on a machine without a GPU.
TORCH_CPU_NEEDS = ["nvidia-cuda-cupti==13.0.85", "nvidia-cuda-runtime==13.0.96"]
# What only CUDA or Python needs; without the CUDA files torch-sys links for the CPU alone.
TORCH_CPU_TRIM = ["libtorch_cuda*.so", "libtorch_nvshmem.so", "libc10_cuda.so",
                  "libtorch_python.so"]

ONNXRUNTIME_VERSION = "1.31.1"
# An old one, whose wheel takes the NumPy below: models of opset 13 are for older tools.
OLDER_ONNXRUNTIME = "onnxruntime==1.20.1"
# A second, real execution provider on machines without a GPU; the device rules are tested with it.
OPENVINO = "onnxruntime-openvino==1.24.1"
# What training is measured against. A CPU needs all of PyPI's PyTorch but triton and cuSOLVER,
# 2.4 GB: the rest is linked.
BENCH = [TORCH, "torchvision==0.28.0", "pillow==13.0.0", "numpy==2.4.6", "einops==0.8.2",
         "safetensors==0.8.0", "onnx==1.23.2", "blake3==1.0.11", "pytorchfi==0.6.0"]
PYTHON_TOOLS = ["numpy==2.4.6", "onnx==1.23.2", "safetensors==0.8.0",
                f"onnxruntime=={ONNXRUNTIME_VERSION}", "openvino==2026.4.1", "polygraphy==0.53.6",
                "jsonschema==4.26.0"]
# Engines other than ONNX Runtime, which engines/ has adapters for: the small ones, and all.
ENGINES_CI = ["numpy==2.4.6", "onnx==1.23.2", "tract==0.23.9",
                 "opencv-python-headless==5.0.0.93", "emx-onnx-cgen==1.4.0"]
ENGINES = [*ENGINES_CI, "openvino==2026.4.1", "iree-base-compiler[onnx]==3.13.0",
           "iree-base-runtime==3.13.0", "apache-tvm==0.27.0.post1", "nxrt==0.1.0.dev6",
           "tinygrad==0.14.0", "MNN==3.6.1"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("components", nargs="+", choices=sorted(COMPONENTS), metavar="COMPONENT",
                        help=", ".join(sorted(COMPONENTS)))
    arguments = parser.parse_args()
    DEPS.mkdir(exist_ok=True)
    with open(DEPS / ".lock", "w") as lock:
        # Two setups at once take turns; the lock goes with the process.
        fcntl.flock(lock, fcntl.LOCK_EX)
        for component in arguments.components:
            COMPONENTS[component](flavour())


def flavour():
    """cuda when the user asks for it or a driver answers, else cpu."""
    asked = os.environ.get("DEVICE", "")
    if asked not in ("", "cpu", "cuda"):
        fail(f"DEVICE={asked}: expected cpu or cuda")
    if asked:
        return asked
    try:
        asked = subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=30)
        answers = asked.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        answers = False
    return "cuda" if answers else "cpu"


def libtorch(kind):
    own = os.environ.get("LIBTORCH")
    if own:
        if not (Path(own) / "lib" / "libtorch_cpu.so").is_file():
            fail(f"LIBTORCH={own}: no lib/libtorch_cpu.so in it\n"
                 "hint: unset LIBTORCH to have one fetched")
        return say(f"libtorch: yours, LIBTORCH={own}")

    def trim(folder):
        if kind == "cpu":
            for pattern in TORCH_CPU_TRIM:
                for library in (folder / "torch" / "lib").glob(pattern):
                    library.unlink()

    flavours = {"cpu": ["--no-deps", TORCH, *TORCH_CPU_NEEDS], "cuda": [TORCH]}
    size = {"cpu": "526 MB", "cuda": "4 to 5 GB"}[kind]
    install("py", f"libtorch ({TORCH}, {kind}, {size} to download)", kind, flavours, trim)


def onnxruntime(kind):
    own = os.environ.get("ORT_DYLIB_PATH")
    if own:
        if not Path(own).is_file():
            fail(f"ORT_DYLIB_PATH={own}: no such file\n"
                 "hint: unset ORT_DYLIB_PATH to have one fetched")
        return say(f"ONNX Runtime: yours, ORT_DYLIB_PATH={own}")
    flavours = {
        "cpu": ["--no-deps", f"onnxruntime=={ONNXRUNTIME_VERSION}"],
        "cuda": ["--no-deps", f"onnxruntime-gpu=={ONNXRUNTIME_VERSION}"],
    }
    size = {"cpu": "24 MB", "cuda": "256 MB"}[kind]
    what = f"ONNX Runtime ({flavours[kind][-1]}, {size} to download)"
    install("onnxruntime", what, kind, flavours)


def openvino(_):
    what = f"OpenVINO provider ({OPENVINO}, 84 MB to download)"
    install("openvino", what, "cpu", {"cpu": ["--no-deps", OPENVINO]})


def python_tools(_):
    what = f"tools that the tests compare with ({', '.join(PYTHON_TOOLS)})"
    install("python-tools", what, "cpu", {"cpu": PYTHON_TOOLS})
    what = f"older ONNX Runtime ({OLDER_ONNXRUNTIME}, 13 MB to download)"
    install("onnxruntime-1.20", what, "cpu", {"cpu": ["--no-deps", OLDER_ONNXRUNTIME]})


def bench(_):
    what = f"PyTorch to measure against ({', '.join(BENCH[:2])}, 2.8 GB to download)"
    install("bench", what, "cpu", {"cpu": BENCH})


def engines_ci(_):
    what = f"small engines ({', '.join(ENGINES_CI)}, 120 MB to download)"
    engine_packages(what, "ci")


def engines(_):
    what = f"engines ({', '.join(ENGINES)}, 420 MB to download)"
    engine_packages(what, "all")


def engine_packages(what, kind):
    flavours = {"ci": ENGINES_CI, "all": ENGINES}
    install("engines", what, kind, flavours, largest="all", fetch=into_environment)
    sources = ROOT / "engines" / "rten"
    files = [sources / "Cargo.toml", sources / "Cargo.lock", *sorted(sources.glob("src/*.rs"))]
    made_from = [f"{file.relative_to(sources)} {sha256(file)}" for file in files]
    install("rten", "rten (a crate: minutes to build)", "cpu", {"cpu": made_from}, fetch=crate)


COMPONENTS = {"libtorch": libtorch, "onnxruntime": onnxruntime, "openvino": openvino,
              "python-tools": python_tools, "bench": bench, "engines": engines,
              "engines-ci": engines_ci}


def pip(folder, packages):
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
               "--no-warn-conflicts", "--no-compile", "--target", str(folder), *packages]
    quiet_about_root = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    return subprocess.run(command, env=quiet_about_root).returncode == 0


def install(folder, what, kind, flavours, finish=lambda folder: None, largest="cuda", fetch=pip):
    """Installs packages into .deps/FOLDER unless the very same are there already.

    The largest flavour also serves where a smaller one is wanted: it is never taken away again.
    """
    final, partial = DEPS / folder, DEPS / f".{folder}.partial"
    packages = flavours[kind]
    wanted = {"packages": packages, "flavour": kind}
    if recorded(final) in (wanted, {"packages": flavours.get(largest), "flavour": largest}):
        return say(f"{what.split(' (')[0]}: ready in {final.relative_to(ROOT)}")
    say(f"{what} → {final.relative_to(ROOT)} …")
    started = time.monotonic()
    shutil.rmtree(partial, ignore_errors=True)
    if not fetch(partial, packages):
        shutil.rmtree(partial, ignore_errors=True)
        fail(f"could not install {what}\n"
             "hint: see the message above; run the same command again to resume, "
             "finished parts are kept")
    finish(partial)
    (partial / "complete.json").write_text(json.dumps(wanted) + "\n")
    if final.exists():
        shutil.rmtree(final)
    partial.rename(final)
    say(f"{what.split(' (')[0]}: done in {time.monotonic() - started:.0f} s")


def into_environment(folder, packages):
    """As pip, but FOLDER is an environment with its own bin/python; it may be renamed."""
    made = subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    if made.returncode != 0:
        return False
    (site_packages,) = folder.glob("lib/python*/site-packages")
    return pip(site_packages, packages)


def crate(folder, _):
    """Builds engines/rten into FOLDER/bin."""
    if not shutil.which("cargo"):
        fail("no cargo, which builds rten\nhint: https://rustup.rs installs it")
    command = ["cargo", "install", "--quiet", "--locked", "--no-track", "--path", "engines/rten",
               "--root", str(folder), "--target-dir", "target/engines"]
    return subprocess.run(command, cwd=ROOT).returncode == 0


def recorded(folder):
    try:
        return json.loads((folder / "complete.json").read_text())
    except (OSError, ValueError):
        return None


def sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def say(message):
    print(f"setup: {message}", flush=True)


def fail(message):
    sys.exit(f"setup: error: {message}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        fail("interrupted; run the same command again to resume")
