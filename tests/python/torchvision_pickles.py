"""Writes CIFAR-10 as torchvision keeps it, from the official binary files: pickles as Python 2
wrote them, instruction by instruction.

torchvision_pickles.py BINARY_FOLDER OUT
"""

import pathlib
import pickle
import struct
import sys
import tarfile

import numpy

RECORD_BYTES = 3073
FILES = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]


def text(value):
    """SHORT_BINSTRING, which Python 3 no longer writes."""
    value = value.encode()
    return b"U" + bytes([len(value)]) + value


def python2_pickle(labels, pixels, name):
    """Protocol 2, without the numbers that remember values."""
    array = b"".join([
        b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy\nndarray\n", b"K\x00\x85", text("b"),
        b"\x87R", b"(K\x01M", struct.pack("<HB", len(pixels), ord("M")), b"\x00\x0c\x86",
        b"cnumpy\ndtype\n", text("u1"), b"K\x00K\x01\x87R", b"(K\x03", text("|"),
        b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb", b"\x89T",
        struct.pack("<I", pixels.size), pixels.tobytes(), b"tb",
    ])
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    names = b"](" + b"".join(text(f"image_{index}.png") for index in range(len(labels))) + b"e"
    return b"".join([
        b"\x80\x02}(", text("batch_label"), text(name), text("labels"), numbers, text("data"),
        array, text("filenames"), names, b"u.",
    ])


def main():
    source, out = map(pathlib.Path, sys.argv[1:])
    folder = out / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name in FILES:
        records = numpy.fromfile(source / f"{name}.bin", "uint8").reshape(-1, RECORD_BYTES)
        labels, pixels = records[:, 0], numpy.ascontiguousarray(records[:, 1:])
        path = folder / name
        path.write_bytes(python2_pickle(labels, pixels, name))
        # As torchvision reads it.
        with path.open("rb") as file:
            entry = pickle.load(file, encoding="latin1")
        assert entry["labels"] == labels.tolist() and (entry["data"] == pixels).all()
    (folder / "readme.html").write_text("<!-- -->")
    archives = out / "archives"
    archives.mkdir()
    with tarfile.open(archives / "cifar-10-python.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(folder, folder.name)
    with tarfile.open(archives / "cifar-10-binary.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(source, "cifar-10-batches-bin")
    print("written")


main()
