"""OpenCV's dnn module, with the engine that is new in OpenCV 5."""

from common import run


def load(part):
    import cv2

    cv2.setNumThreads(part.threads)
    net = cv2.dnn.readNetFromONNX(part.model, engine=cv2.dnn.ENGINE_NEW)

    def compute(batch):
        for name, values in zip(part.inputs, batch):
            net.setInput(values, name)
        return net.forward(list(part.outputs))

    return compute


run("OpenCV", "opencv-python-headless", load)
