"""Saved outputs have the golden's shape and type, and differ by nothing but rounding.

saved_outputs.py SAVED BUNDLE
"""

import sys

import numpy

saved, bundle = sys.argv[1:]
saved = numpy.load(f"{saved}/submodel_output.npy")
golden = numpy.load(f"{bundle}/npy/submodel_output.npy")
assert saved.shape == golden.shape and saved.dtype == golden.dtype
assert abs(saved - golden).max() < 1e-5
