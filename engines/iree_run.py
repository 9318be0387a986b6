"""IREE: ONNX to MLIR to machine code of this CPU, then its runtime."""

import subprocess
import sys
import tempfile

from common import run


def load(part):
    from iree import compiler, runtime

    with tempfile.TemporaryDirectory() as folder:
        mlir = f"{folder}/part.mlir"
        subprocess.run([sys.executable, "-m", "iree.compiler.tools.import_onnx", part.model,
                        "-o", mlir], check=True, stdout=sys.stderr)
        code = compiler.tools.compile_file(mlir, input_type="onnx", extra_args=[
            "--iree-hal-target-device=local", "--iree-hal-local-target-device-backends=llvm-cpu",
            "--iree-llvmcpu-target-cpu=host"])
    driver = "local-sync"
    if part.threads > 1:
        runtime.flags.parse_flags(f"--task_topology_group_count={part.threads}")
        driver = "local-task"
    config = runtime.Config(driver)
    module = runtime.load_vm_module(
        runtime.VmModule.copy_buffer(config.vm_instance, code), config)
    function = module[next(name for name in module.vm_module.function_names
                           if not name.startswith("__") and not name.endswith("$async"))]

    def compute(batch):
        outputs = function(*batch)
        several = outputs if isinstance(outputs, (tuple, list)) else [outputs]
        return [values.to_host() for values in several]

    return compute


run("IREE", "iree-base-compiler", load)
