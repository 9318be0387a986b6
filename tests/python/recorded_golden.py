"""Save a bundle's golden as the Python repository's `test.py` saves its own.

recorded_golden.py BUNDLE FOLDER

Writes what `torch.save` writes, without PyTorch: `dataset.pt` with the first samples,
`shuffled.pt` with some of them in another order, `near.pt` with values a little off, `other.pt`
with one value far off, `nan.pt` with one that is none, `logits.pt`; and `inputs.npy`,
`targets.npy`, `logits.npy`.
"""

import collections
import io
import pathlib
import pickle
import sys
import types
import zipfile

import numpy as np

bundle, folder = map(pathlib.Path, sys.argv[1:])
FIRST = 6
ORDER = [5, 2, 7]


def module(name, **members):
    sys.modules[name] = types.ModuleType(name)
    for key, member in members.items():
        member.__module__, member.__qualname__ = name, key
        setattr(sys.modules[name], key, member)


class FloatStorage:
    pass


def _rebuild_tensor_v2(*arguments):
    raise NotImplementedError


module("torch", FloatStorage=FloatStorage)
module("torch._utils", _rebuild_tensor_v2=_rebuild_tensor_v2)


class Tensor:
    def __init__(self, array):
        self.array = np.ascontiguousarray(array, "<f4")


class Storage:
    def __init__(self, array):
        self.array = array


class Pickler(pickle.Pickler):
    def __init__(self, file):
        super().__init__(file, protocol=2)
        self.storages = []

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        self.storages.append(value.array)
        key = str(len(self.storages) - 1)
        return ("storage", FloatStorage, key, "cuda:0", value.array.size)

    def reducer_override(self, value):
        if not isinstance(value, Tensor):
            return NotImplemented
        array = value.array
        strides = tuple(stride // 4 for stride in array.strides)
        hooks = collections.OrderedDict()
        return _rebuild_tensor_v2, (Storage(array), 0, array.shape, strides, False, hooks)


def save(value, name):
    file = io.BytesIO()
    pickler = Pickler(file)
    pickler.dump(value)
    with zipfile.ZipFile(folder / f"{name}.pt", "w") as archive:
        archive.writestr(f"{name}/data.pkl", file.getvalue())
        archive.writestr(f"{name}/byteorder", "little")
        for key, storage in enumerate(pickler.storages):
            archive.writestr(f"{name}/data/{key}", storage.tobytes())
        archive.writestr(f"{name}/version", "3\n")


def dataset(name, inputs, targets):
    save({"inputs": Tensor(inputs), "targets": Tensor(targets)}, name)


def array(name):
    return np.load(bundle / f"npy/{name}.npy")


inputs, targets, logits = map(array, ("submodel_input", "submodel_output", "logits"))
dataset("dataset", inputs[:FIRST], targets[:FIRST])
dataset("shuffled", inputs[ORDER], targets[ORDER])
near = targets[:FIRST].copy()
near[3, 1, 2] += 3e-5
dataset("near", inputs[:FIRST], near)
other = targets[:FIRST].copy()
other[3, 1, 2] += 0.5
dataset("other", inputs[:FIRST], other)
other[3, 1, 2] = np.nan
dataset("nan", inputs[:FIRST], other)
dataset("short", inputs[:FIRST], targets[: FIRST - 1])
dataset("foreign", inputs[:FIRST] + 1, targets[:FIRST])
save(Tensor(logits[:FIRST]), "logits")
np.save(folder / "inputs.npy", inputs[:FIRST])
np.save(folder / "targets.npy", targets[:FIRST])
np.save(folder / "logits.npy", logits[:FIRST])
np.save(folder / "no_inputs.npy", inputs[:0])
np.save(folder / "no_targets.npy", targets[:0])
save([ORDER[:1], [], ORDER[1:]], "tiers")
print("saved")
