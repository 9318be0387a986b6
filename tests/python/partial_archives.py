"""Writes archives of torchvision's name in which CIFAR-10's pickles are missing, each in a folder.

partial_archives.py OUT
"""

import io
import pathlib
import sys
import tarfile

FOLDER = "cifar-10-batches-py"
FILES = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]


def add(archive, name, content):
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def add_link(archive, name):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
    archive.addfile(entry)


def written(out, case, fill):
    path = out / case / "cifar-10-python.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        fill(archive)
    return path


def links(archive):
    for name in FILES:
        add_link(archive, f"{FOLDER}/{name}")


def main():
    out = pathlib.Path(sys.argv[1])
    inner = written(out, "without_any", lambda archive: add(archive, f"{FOLDER}/readme.html", b""))
    written(out, "archive_in_archive", lambda archive: archive.add(inner, inner.name))
    written(out, "links", links)
    written(out, "broken", lambda archive: add(archive, f"{FOLDER}/test_batch", b"\x80\x02}"))


main()
