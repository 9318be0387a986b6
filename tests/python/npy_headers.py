"""NumPy writes the same headers. `shapes` has a shape a line, file N the header of line N.

npy_headers.py FOLDER
"""

import ast
import io
import pathlib
import sys

from numpy.lib import format

folder = pathlib.Path(sys.argv[1])
for number, line in enumerate((folder / "shapes").read_text().splitlines()):
    shape = tuple(ast.literal_eval(line))
    header = io.BytesIO()
    description = {"descr": "<f4", "fortran_order": False, "shape": shape}
    format.write_array_header_1_0(header, description)
    assert (folder / str(number)).read_bytes() == header.getvalue(), shape
print("same")
