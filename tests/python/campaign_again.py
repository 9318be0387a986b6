"""Recomputes the faults of a campaign, every single bit that flips in the submodel, in plain NumPy
or PyTorch: the attention step by step, the fault where it strikes, and the rest of the network.

campaign_again.py BUNDLE FAULTS.csv numpy|torch

FAULTS.csv is what `verifier campaign report --report FAULTS.csv` writes, of faults of weights on
all samples. Prints how many outcomes are the same, and each one that is not: at a boundary, where
rounding decides, or different. Exit status 1 if one is different.
"""

import csv
import re
import sys
from math import erf
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

ATOL, RTOL = 5e-6, 1e-5
# Further from a boundary than this, rounding does not decide.
CLOSE_OUTPUT, CLOSE_LOGITS = 2e-6, 1e-5
# Squares of larger values overflow, in a LayerNorm that computes its variance in float32.
OVERFLOW = 1e15
OUTCOMES = ("masked", "within_tolerance", "tolerable_sdc", "critical_sdc", "non_finite")
SDC = {"tolerable_sdc", "critical_sdc", "non_finite"}
FAULT = re.compile(r"(\w+):(\w+)\[([\d,]*)\]\^(\d+)$")


class Numpy:
    """Operators on float32 arrays."""

    def of(self, array):
        return array.copy()

    def array(self, tensor):
        return tensor

    def permuted(self, tensor, *axes):
        return np.ascontiguousarray(tensor.transpose(axes))

    def softmax(self, tensor):
        shares = np.exp(tensor - tensor.max(-1, keepdims=True))
        return shares / shares.sum(-1, keepdims=True)

    def layer_norm(self, tensor, weight, bias, epsilon):
        centred = tensor - tensor.mean(-1, keepdims=True)
        variance = (centred * centred).mean(-1, keepdims=True)
        return centred / np.sqrt(variance + np.float32(epsilon)) * weight + bias

    def gelu(self, tensor):
        inner = (tensor / np.float32(2 ** 0.5)).astype(np.float64)
        return (tensor * 0.5 * (1 + np.vectorize(erf)(inner))).astype(np.float32)


class Torch:
    """The same operators of PyTorch."""

    def __init__(self):
        import torch

        self.torch = torch
        torch.set_grad_enabled(False)

    def of(self, array):
        return self.torch.from_numpy(array.copy())

    def array(self, tensor):
        return tensor.numpy()

    def permuted(self, tensor, *axes):
        return tensor.permute(axes).contiguous()

    def softmax(self, tensor):
        return self.torch.softmax(tensor, -1)

    def layer_norm(self, tensor, weight, bias, epsilon):
        return self.torch.nn.functional.layer_norm(tensor, weight.shape, weight, bias, epsilon)

    def gelu(self, tensor):
        return self.torch.nn.functional.gelu(tensor)


class Network:
    """The submodel, and the rest of the network behind it, of one sample at a time."""

    def __init__(self, bundle, ops):
        self.ops = ops
        models = {part: onnx.load(bundle / f"onnx/{part}/model.onnx")
                  for part in ("preprocess", "head", "submodel", "tail")}
        self.weights = {}
        for part in ("submodel", "tail"):
            for tensor in models[part].graph.initializer:
                self.weights[tensor.name] = numpy_helper.to_array(tensor)
        self.heads = int(self.weights["query_by_token_shape"][-2])
        layers = [int(name.split("_")[2]) for name in self.weights
                  if name.startswith("transformer_layers_")]
        self.layers = 1 + max(layers)
        self.pools_mean = any(node.op_type == "ReduceMean" for node in models["tail"].graph.node)
        pixels = np.load(bundle / "npy/pixels.npy")
        (image,) = ReferenceEvaluator(models["preprocess"]).run(["image"], {"pixels": pixels})
        (self.residuals,) = ReferenceEvaluator(models["head"]).run(["residual"], {"image": image})
        self.inputs = np.load(bundle / "npy/submodel_input.npy")

    def attention(self, x, weights, touch=lambda name, tensor: tensor):
        """x [tokens, dim], with what `touch` makes of each tensor → [tokens, dim]."""
        ops, of = self.ops, self.ops.of
        x = touch("submodel_input", x)
        qkv = touch("qkv", x @ of(weights["to_qkv_weight"]))
        tokens, width = len(x), qkv.shape[1] // 3
        dim_head = width // self.heads
        parts = {}
        for number, name in enumerate(("query", "key", "value")):
            own = of(ops.array(qkv)[:, number * width:(number + 1) * width])
            own = touch(name, own).reshape(tokens, self.heads, dim_head)
            own = touch(f"{name}_by_token", own)
            axes = (1, 2, 0) if name == "key" else (1, 0, 2)
            parts[name] = touch(f"{name}_by_head", ops.permuted(own, *axes))
        products = touch("products", parts["query"] @ parts["key"])
        scores = touch("scores", products * of(np.asarray(weights["scale"])))
        softmax = touch("softmax", ops.softmax(scores))
        mixed = touch("mixed_by_head", softmax @ parts["value"])
        mixed = touch("mixed_by_token", ops.permuted(mixed, 1, 0, 2))
        mixed = touch("mixed", mixed.reshape(tokens, width))
        product = touch("submodel_output_product", mixed @ of(weights["to_out_0_weight"]))
        return touch("submodel_output", product + of(weights["to_out_0_bias"]))

    def submodel(self, sample, fault=None):
        """The output [tokens, dim] of a sample, with a fault (kind, name, index, bit)."""
        weights, touch = self.weights, lambda name, tensor: tensor
        if fault and fault[0] == "weight":
            weights = weights | {fault[1]: self.flipped(weights[fault[1]], *fault[2:])}
        elif fault:
            def touch(name, tensor):
                if name != fault[1]:
                    return tensor
                return self.ops.of(self.flipped(self.ops.array(tensor), *fault[2:]))
        output = self.attention(self.ops.of(self.inputs[sample]), weights, touch)
        return self.ops.array(output)

    @staticmethod
    def flipped(array, index, bit):
        flipped = np.array(array, np.float32, order="C")
        position = np.ravel_multi_index(index, flipped.shape) if index else 0
        flipped.reshape(-1).view(np.uint32)[position] ^= np.uint32(1 << bit)
        return flipped

    def tail(self, sample, output):
        """The logits [classes] of an output of the submodel."""
        ops, weights = self.ops, {k: self.ops.of(np.asarray(v)) for k, v in self.weights.items()}
        x = ops.of(self.residuals[sample]) + ops.of(output)

        def norm(name, x):
            return ops.layer_norm(x, weights[f"{name}_weight"], weights[f"{name}_bias"], 1e-5)

        for layer in range(self.layers):
            if layer > 0:
                name = f"transformer_layers_{layer}_0"
                own = {key.removeprefix(f"{name}_fn_"): value
                       for key, value in self.weights.items() if key.startswith(f"{name}_fn_")}
                x = x + self.attention(norm(f"{name}_norm", x), own)
            name = f"transformer_layers_{layer}_1"
            linear = [(weights[f"{name}_fn_net_{i}_weight"], weights[f"{name}_fn_net_{i}_bias"])
                      for i in (0, 3)]
            inner = ops.gelu(norm(f"{name}_norm", x) @ linear[0][0] + linear[0][1])
            x = x + (inner @ linear[1][0] + linear[1][1])
        x = x.mean(0, keepdims=True) if self.pools_mean else x[:1]
        logits = norm("mlp_head_0", x) @ weights["mlp_head_1_weight"] + weights["mlp_head_1_bias"]
        return ops.array(logits)[0]


def outcome(network, sample, fault):
    """What the fault does, and what else rounding could make of it."""
    before, after = network.submodel(sample), network.submodel(sample, fault)
    change = np.abs(after - before)
    excess = np.where(np.isfinite(change), change - (ATOL + RTOL * np.abs(before)), np.inf).max()
    is_close, could = abs(excess) < CLOSE_OUTPUT, set()
    if excess <= 0:
        if change.max() < CLOSE_OUTPUT:
            could |= {"masked", "within_tolerance"}
        if is_close:
            could |= SDC
        is_same = (before.view(np.uint32) == after.view(np.uint32)).all()
        return ("masked" if is_same else "within_tolerance"), could
    if is_close:
        could.add("within_tolerance")
    if np.abs(after).max() > OVERFLOW:
        could |= SDC
    of_golden, logits = network.tail(sample, before), network.tail(sample, after)
    if not np.isfinite(logits).all():
        return "non_finite", could
    second, first = np.sort(logits)[-2:]
    if first - second < CLOSE_LOGITS * max(1, abs(first)):
        could |= SDC
    changed = logits.argmax() != of_golden.argmax()
    return ("critical_sdc" if changed else "tolerable_sdc"), could


def main():
    bundle, faults, backend = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    network = Network(bundle, {"numpy": Numpy, "torch": Torch}[backend]())
    np.seterr(all="ignore")
    same = near = different = 0
    for row in csv.DictReader(open(faults, newline="")):
        kind, name, index, bit = FAULT.match(row["fault"]).groups()
        index = tuple(int(number) for number in index.split(",") if number)
        samples = range(len(network.inputs)) if kind == "weight" else index[:1]
        fault = (kind, name, index if kind == "weight" else index[1:], int(bit))
        found = [outcome(network, sample, fault) for sample in samples]
        counts = {name: sum(own == name for own, _ in found) for name in OUTCOMES}
        theirs = {name: int(row[name]) for name in OUTCOMES}
        if counts == theirs:
            same += 1
            continue
        moved = sum(abs(counts[name] - theirs[name]) for name in OUTCOMES) // 2
        others = [name for name in OUTCOMES if theirs[name] > counts[name]]
        could = sum(not possible.isdisjoint(others) for _, possible in found)
        where = "at a boundary" if could >= moved else "DIFFERENT"
        near, different = near + (could >= moved), different + (could < moved)
        print(f"{where}: {row['fault']}: {counts}, the campaign has {theirs}")
    print(f"{same + near + different} faults: {same} the same, {near} at a boundary, "
          f"{different} different")
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
