"""The rules by which the Python repository's `confidence.py` and `data_subset.py` choose samples,
as its description has them, line for line, on float32 confidences."""

import numpy

BOUNDS = {4: [0.25, 0.5, 0.75, 1], 5: [0.2, 0.4, 0.6, 0.8, 1]}


def tiers_of(bundle, count):
    """The correctly classified samples of each tier."""
    confidence, labels, predictions = (
        numpy.load(f"{bundle}/npy/{name}.npy") for name in ("confidence", "labels", "predictions")
    )
    bounds = [numpy.float32(bound) for bound in BOUNDS[count]]
    groups = [[] for _ in bounds]
    for index in range(len(confidence)):
        if predictions[index] == labels[index]:
            for group, bound in zip(groups, bounds):
                if confidence[index] <= bound:
                    group.append(index)
                    break
    return groups
