"""onnx.reference: ONNX's own evaluator, each operator in NumPy."""

from common import run


def load(part):
    from onnx.reference import ReferenceEvaluator

    model = ReferenceEvaluator(part.model)
    return lambda batch: model.run(None, dict(zip(part.inputs, batch)))


run("onnx.reference", "onnx", load)
