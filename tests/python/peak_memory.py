"""Runs a command and prints the largest resident size of its process, in KiB, as the kernel has it.

peak_memory.py PROGRAM ARGUMENT...
"""

import resource
import subprocess
import sys

quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
subprocess.run(sys.argv[1:], check=True, **quiet)
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
