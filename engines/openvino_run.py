"""OpenVINO on the CPU, in float32; the environment may ask for less, as controls that must fail.

OPENVINO_PRECISION=bf16 computes in bfloat16, OpenVINO's own default where the CPU has it.
OPENVINO_WEIGHTS=f16 stores the weights as float16, its converter's own default, on any CPU.
"""

import os
import tempfile

from common import cannot_run, run

PRECISIONS = {"f32": "float32", "bf16": "bfloat16"}
PRECISION = os.environ.get("OPENVINO_PRECISION", "f32")
SMALL_WEIGHTS = os.environ.get("OPENVINO_WEIGHTS") == "f16"


def load(part):
    import openvino

    core = openvino.Core()
    with tempfile.TemporaryDirectory() as folder:
        model = core.read_model(part.model)
        if SMALL_WEIGHTS:
            openvino.save_model(model, f"{folder}/part.xml", compress_to_fp16=True)
            model = core.read_model(f"{folder}/part.xml")
        compiled = core.compile_model(model, "CPU", {
            "INFERENCE_PRECISION_HINT": PRECISION, "INFERENCE_NUM_THREADS": part.threads,
        })
    used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if used != PRECISION:
        cannot_run(f"OpenVINO: asked for {PRECISION}, this CPU would compute in {used}")
    return lambda batch: [compiled(batch)[output] for output in compiled.outputs]


run("OpenVINO", "openvino", load,
    precision=PRECISIONS[PRECISION] + (", weights in float16" if SMALL_WEIGHTS else ""))
