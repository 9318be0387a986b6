"""MNN: its converter, then its module interface. Its fused GELU is not the exact one."""

import subprocess
import sys
import tempfile

from common import run

# The converter without `MNN.tools.mnnconvert` around it, which installs a package with pip and sends
# what was converted to its maker.
CONVERT = "import sys, _tools; _tools.mnnconvert(sys.argv)"


def load(part):
    import MNN
    from MNN import expr, nn

    with tempfile.TemporaryDirectory() as folder:
        converted = f"{folder}/part.mnn"
        subprocess.run([sys.executable, "-c", CONVERT, "-f", "ONNX", "--modelFile", part.model,
                        "--MNNModel", converted, "--bizCode", "vit-part",
                        "--keepInputFormat=1"], check=True, stdout=sys.stderr)
        options = {"backend": "CPU", "precision": "high", "numThread": part.threads}
        manager = nn.create_runtime_manager((options,))
        model = nn.load_module_from_file(
            converted, list(part.inputs), list(part.outputs), runtime_manager=manager)

    def variable(values):
        holder = expr.placeholder(list(values.shape), expr.NCHW, expr.float)
        holder.write(values)
        return holder

    def compute(batch):
        outputs = model.onForward([variable(values) for values in batch])
        return [expr.convert(values, expr.NCHW).read() for values in outputs]

    return compute


run("MNN", "MNN", load)
