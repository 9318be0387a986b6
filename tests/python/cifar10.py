"""CIFAR-10's binary files as the network's input: what the exporter's preprocessing must equal."""

import numpy

RECORD_BYTES = 3073
MEAN = numpy.array((0.4914, 0.4822, 0.4465), "float32").reshape(3, 1, 1)
STD = numpy.array((0.2023, 0.1994, 0.2010), "float32").reshape(3, 1, 1)


def pixels(path):
    """All images of a file, uint8 [count, 32, 32, 3]: row, column, channel."""
    records = numpy.fromfile(path, "uint8").reshape(-1, RECORD_BYTES)
    planes = records[:, 1:].reshape(-1, 3, 32, 32)
    return numpy.ascontiguousarray(planes.transpose(0, 2, 3, 1))


def images(path, count, size):
    """The first images of a file, float32 [count, 3, size, size]; `size` is 32 or 224."""
    records = numpy.fromfile(path, "uint8").reshape(-1, RECORD_BYTES)[:count]
    pixels = records[:, 1:].reshape(-1, 3, 32, 32).astype("int64")
    if size == 224:
        pixels = seven_times_as_large(pixels)
    scaled = pixels.astype("float32") / numpy.float32(255)
    return ((scaled - MEAN) / STD).astype("float32")


def seven_times_as_large(pixels):
    """Bilinear from 32 to 224: between neighbours a and b at phase k it is ((7 - k)a + kb + 3) / 7,
    rounded to whole numbers after the rows and again after the columns."""
    at = (numpy.arange(224) - 3).clip(0, 7 * 31)
    low, k = at // 7, at % 7
    high = (low + 1).clip(max=31)
    wide = ((7 - k) * pixels[..., low] + k * pixels[..., high] + 3) // 7
    k = k[:, None]
    return ((7 - k) * wide[:, :, low] + k * wide[:, :, high] + 3) // 7
