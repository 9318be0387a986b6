"""tract, on one thread; the batch axis stays a symbol."""

from common import run


def load(part):
    import tract

    part.threads = 1
    model = tract.onnx().load(part.model).into_model().into_runnable()
    return lambda batch: [value.to_numpy() for value in model.run(batch)]


run("tract", "tract", load)
