"""Apache TVM: its ONNX frontend for the batch size asked for, then LLVM code of this CPU."""

import os

from common import run


def load(part):
    os.environ["TVM_NUM_THREADS"] = str(part.threads)
    import onnx
    import tvm
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    shapes = {name: [part.batch, *row] for name, row in part.inputs.items()}
    module = from_onnx(onnx.load(part.model), shapes, keep_params_in_input=False)
    module = relax.transform.DecomposeOpsForInference()(module)
    module = relax.get_pipeline("zero")(module)
    cpu = tvm.get_global_func("target.llvm_get_system_cpu")()
    target = tvm.target.Target({"kind": "llvm", "mcpu": cpu, "num-cores": part.threads})
    machine = relax.VirtualMachine(tvm.compile(module, target=target), tvm.cpu())

    def compute(batch):
        outputs = machine["main"](*[tvm.runtime.tensor(values) for values in batch])
        several = [outputs] if hasattr(outputs, "numpy") else outputs
        return [values.numpy() for values in several]

    return compute


run("TVM", "apache-tvm", load, fixed=True)
