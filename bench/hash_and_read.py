"""Reads every file of a bundle, and outputs from files, once, and hashes them with BLAKE3."""

import argparse
import json
import time
from pathlib import Path

from blake3 import blake3

CHUNK_BYTES = 4 << 20


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--outputs", type=Path, required=True, help="a folder")
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    listed = json.loads((options.bundle / "manifest.json").read_text())["files"]
    started = time.perf_counter()
    for name, file in listed.items():
        found = digest(options.bundle / name, options.threads)
        assert found == file["blake3"], f"{name}: {found}"
    for path in options.outputs.iterdir():
        digest(path, options.threads)
    print(json.dumps({"seconds": time.perf_counter() - started}))


def digest(path, threads):
    hasher = blake3(max_threads=threads)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest()


if __name__ == "__main__":
    main()
