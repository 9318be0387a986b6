"""Makes checkpoints of one of torch.save that leave open what is meant, without PyTorch.

unclear_checkpoints.py CHECKPOINT FOLDER
"""

import collections
import io
import json
import pathlib
import pickle
import sys
import zipfile

source, folder = map(pathlib.Path, sys.argv[1:])


class FloatStorage:
    """Stands for the class of that name in torch."""


class DoubleStorage:
    """As the other."""


def _rebuild_tensor_v2(*arguments):
    return arguments


for known in (FloatStorage, DoubleStorage):
    known.__module__, known.__qualname__ = "torch", known.__name__
_rebuild_tensor_v2.__module__ = "torch._utils"
for module in ("torch", "torch._utils"):
    sys.modules[module] = sys.modules[__name__]


class Storage:
    def __init__(self, fields):
        self.fields = fields


class Tensor:
    def __init__(self, storage, offset, shape, strides):
        self.storage, self.shape = storage, shape
        self.arguments = (storage, offset, shape, strides, False, collections.OrderedDict())

    def __reduce__(self):
        return _rebuild_tensor_v2, self.arguments


class Reader(pickle.Unpickler):
    def find_class(self, module, name):
        known = {"_rebuild_tensor_v2": lambda *fields: Tensor(*fields[:4])}
        return known.get(name) or getattr(collections, name, FloatStorage)

    def persistent_load(self, fields):
        return Storage(fields)


class Writer(pickle.Pickler):
    def persistent_id(self, value):
        return value.fields if isinstance(value, Storage) else None


archive = zipfile.ZipFile(source)
root = next(name for name in archive.namelist() if name.endswith("/data.pkl"))[: -len("data.pkl")]
weights = Reader(io.BytesIO(archive.read(root + "data.pkl"))).load()


def save(state, name, storages=()):
    file = io.BytesIO()
    Writer(file, 2).dump(state)
    with zipfile.ZipFile(folder / name, "w") as written:
        for entry in archive.namelist():
            data = file.getvalue() if entry.endswith("/data.pkl") else archive.read(entry)
            written.writestr(entry, data)
        for key, data in storages:
            written.writestr(f"{root}data/{key}", data)


def new(key, shape, kind=FloatStorage):
    count = 1
    for axis in shape:
        count *= axis
    strides = tuple(shape[1:]) + (1,) if shape else ()
    return Tensor(Storage(("storage", kind, key, "cpu", count)), 0, shape, strides)


def prefixed(prefix):
    return {prefix(name) + name: tensor for name, tensor in weights.items()}


other = [("other", bytes(4 * 10))]
head, bias = "mlp_head.1.weight", "mlp_head.1.bias"
save(prefixed(lambda name: "module.") | {bias: new("other", (10,))}, "second.pth", other)
is_head = lambda name: name.startswith("mlp_head")
save(prefixed(lambda name: "head." if is_head(name) else "backbone."), "parts.pth")
matrix = weights[head]
turned = Tensor(matrix.storage, 0, matrix.shape[::-1], (1, matrix.shape[1]))
save(weights | {head: turned}, "transposed.pth")
save(weights | {"extra.weight": new("other", (3,))}, "extra.pth", other)
counts = {name: new("other", (1,)) for name in ("total_ops", "total_params")}
save(weights | counts, "profiled.pth", other)
large = bytes(8 * 9) + b"\x9c\x75\x00\x88\x3c\xe4\x37\x7e"  # 1e300
save(weights | {bias: new("large", (10,), DoubleStorage)}, "large.pth", [("large", large)])
first = dict(list(weights.items())[:10])
save(first, "vit-00001-of-00002.bin")
files = {name: "model-00001-of-00002.safetensors" for name in weights}
index = {"metadata": {"total_size": 1}, "weight_map": files}
(folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))
print("saved")
