"""NumPy reads every array of a bundle, would write the same bytes, and finds the values right.

numpy_arrays.py BUNDLE IMAGES
"""

import io
import pathlib
import sys

import numpy

import cifar10

folder = pathlib.Path(sys.argv[1]) / "npy"
files = sorted(folder.glob("*.npy"))
for file in files:
    array = numpy.load(file)
    mapped = numpy.load(file, mmap_mode="r")
    assert array.shape[0] == 30 and (array == mapped).all(), file
    again = io.BytesIO()
    numpy.save(again, array)
    assert again.getvalue() == file.read_bytes(), file
print(len(files), "arrays")

labels, logits, confidence, predictions, sample_index = (
    numpy.load(folder / f"{name}.npy")
    for name in ("labels", "logits", "confidence", "predictions", "sample_index")
)
assert labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1], labels[:10]
logits = logits.astype("float64")
shares = numpy.exp(logits - logits.max(1, keepdims=True))
shares /= shares.sum(1, keepdims=True)
shares.sort(1)
assert abs(confidence - (shares[:, -1] - shares[:, -2])).max() < 1e-6
assert (predictions == logits.argmax(1)).all()
assert (sample_index == numpy.arange(30)).all()
pixels = numpy.load(folder / "pixels.npy")
assert pixels.dtype == "uint8" and (pixels == cifar10.pixels(sys.argv[2])[:30]).all()
