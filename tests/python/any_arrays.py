"""Save arrays of every kind that NumPy has, for `verifier inspect` to show.

any_arrays.py FOLDER
"""

import pathlib
import sys

import numpy as np
from numpy.lib import format

folder = pathlib.Path(sys.argv[1])
matrix = np.arange(6.0).reshape(2, 3)
arrays = {
    "fortran": np.asfortranarray(matrix.astype("<f4")),
    "big": matrix.astype(">f4"),
    "half": np.array([0.5, -2, 65504], "<f2"),
    "mask": np.array([True, False]),
    "record": np.array([(7, [0.5, 1.5])], [("index", "<i2"), ("point", "<f4", (2,))]),
    "text": np.array(["cat", "dog"]),
    "scalar": np.float64(0.1),
    "date": np.array(["2000-02-29T12:00:00.000000007", "NaT"], "M8[ns]"),
    "long": np.arange(3, dtype=np.longdouble),
    # The second value in C order is the last 200 kB of the data.
    "far": np.asfortranarray(np.arange(400_000).astype("u1").reshape(2000, 100, 2)),
}
for name, array in arrays.items():
    np.save(folder / f"{name}.npy", array)
np.save(folder / "objects.npy", np.array([{}], object), allow_pickle=True)
for version in ((2, 0), (3, 0)):
    with (folder / f"version_{version[0]}.npy").open("wb") as file:
        format.write_array(file, matrix, version)
np.savez_compressed(folder / "some.npz", **arrays)
print("saved")
