"""An engine for tests: it computes the tiny bundle's submodel, or does what a test wants instead.

engine_that.py MODE MODEL INPUTS OUTPUTS BATCH
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy
import onnx
from onnx.reference import ReferenceEvaluator

NAME = "submodel_output"


def main():
    mode, model, inputs, outputs = sys.argv[1], *map(pathlib.Path, sys.argv[2:5])
    act = ACTS.get(mode)
    if act is None:
        sys.exit(f"no such mode: {mode}")
    act(model, inputs, outputs)


def computed(model, inputs):
    """The golden's own shape: `[samples, tokens, dim]` float32."""
    session = ReferenceEvaluator(onnx.load(model))
    values = {name: numpy.load(inputs / f"{name}.npy") for name in session.input_names}
    batch, samples = int(sys.argv[5]), len(next(iter(values.values())))
    outputs = []
    for first in range(0, samples, batch):
        feed = {name: array[first:first + batch] for name, array in values.items()}
        outputs.append(session.run([NAME], feed)[0])
    return numpy.concatenate(outputs)


def save(outputs, values):
    numpy.save(outputs / f"{NAME}.npy", values)


def say(**fields):
    print(json.dumps({"engine": "That", "version": "1.0", "precision": "float32", **fields}),
          file=sys.stderr)


def works(model, inputs, outputs):
    started = time.monotonic()
    save(outputs, computed(model, inputs))
    say(load_s=0.25, run_s=time.monotonic() - started)


def changed(change):
    """Computes, and leaves what `change` makes of the values."""
    def act(model, inputs, outputs):
        save(outputs, change(computed(model, inputs)))
        say()
    return act


def poison(values):
    values[3, 0, 0] = numpy.nan
    return values


def ignores_inputs(model, inputs, outputs):
    """The outputs that it gave first, whatever it is given; the bundle is not at hand."""
    kept = model.parent / "kept.npy"
    values = numpy.load(kept) if kept.exists() else computed(model, inputs)
    numpy.save(kept, values)
    save(outputs, values[:len(numpy.load(next(inputs.iterdir())))])


def is_killed(*_):
    print("about to crash", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)


def hangs(*_):
    print("waiting for the card", file=sys.stderr, flush=True)
    time.sleep(600)


def cannot(*_):
    print("first\nno such card", file=sys.stderr)
    sys.exit(77)


def fails(*_):
    print("out of memory", file=sys.stderr)
    sys.exit(3)


def never_repeats(model, inputs, outputs):
    """Counts its runs, and has the count in the lowest bits of an element."""
    count = model.parent / "count"
    runs = int(count.read_text()) + 1 if count.exists() else 0
    count.write_text(str(runs))
    values = computed(model, inputs)
    values.view(numpy.uint32)[0, 0, 0] ^= runs
    save(outputs, values)


def nothing(*_):
    say()


def extra(model, inputs, outputs):
    works(model, inputs, outputs)
    numpy.save(outputs / "attention.npy", numpy.zeros(3))


def truncated(model, inputs, outputs):
    works(model, inputs, outputs)
    file = outputs / f"{NAME}.npy"
    file.write_bytes(file.read_bytes()[:-5])


def prolonged(model, inputs, outputs):
    works(model, inputs, outputs)
    with open(outputs / f"{NAME}.npy", "ab") as file:
        file.write(bytes(4))


def pipe(model, inputs, outputs):
    os.mkfifo(outputs / f"{NAME}.npy")


def folder(model, inputs, outputs):
    (outputs / f"{NAME}.npy").mkdir()


def link(model, inputs, outputs):
    save(model.parent, computed(model, inputs))
    (outputs / f"{NAME}.npy").symlink_to(model.parent / f"{NAME}.npy")


def shouts(model, inputs, outputs):
    for _ in range(200):
        print("x" * 10_000, file=sys.stderr)
    works(model, inputs, outputs)
    print("closing\n" * 300, file=sys.stderr)


def leaves_a_child(model, inputs, outputs):
    """Ends well, with a child that has its standard error and would spoil the outputs."""
    works(model, inputs, outputs)
    spoil = f"sleep 1; echo spoilt > '{outputs / NAME}.npy'; sleep 600"
    subprocess.Popen(["sh", "-c", spoil])


def spoils_its_inputs(model, inputs, outputs):
    works(model, inputs, outputs)
    for file in inputs.iterdir():
        file.write_bytes(b"spoilt")


def changes_the_model(model, inputs, outputs):
    works(model, inputs, outputs)
    with open(model, "ab") as file:
        file.write(b"\0")


def odd_words(model, inputs, outputs):
    works(model, inputs, outputs)
    say(precision="bfloat16", threads="two", run_s="fast")


def says_a_verdict(model, inputs, outputs):
    save(outputs, computed(model, inputs) * 2)
    say(engine="x\nverdict      PASS: every element is equal", version="1\nverdict PASS")


def replaces_its_folder(model, inputs, outputs):
    other = model.parent / "other"
    other.mkdir()
    save(other, computed(model, inputs))
    outputs.rmdir()
    outputs.symlink_to(other)


ACTS = {
    "works": works,
    "rounds_to_half": changed(lambda values: values.astype("f2").astype("f4")),
    "doubles": changed(lambda values: values * 2),
    "columns": changed(numpy.asfortranarray),
    "poisons": changed(poison),
    "gives_float64": changed(lambda values: values.astype("f8")),
    "gives_integers": changed(lambda values: values.astype("i4")),
    "adds_an_axis": changed(lambda values: values[:, None]),
    "leaves_out_a_sample": changed(lambda values: values[:-1]),
    "ignores_inputs": ignores_inputs,
    "is_killed": is_killed,
    "hangs": hangs,
    "cannot": cannot,
    "fails": fails,
    "never_repeats": never_repeats,
    "leaves_nothing": nothing,
    "leaves_more": extra,
    "truncates": truncated,
    "prolongs": prolonged,
    "leaves_a_pipe": pipe,
    "leaves_a_folder": folder,
    "leaves_a_link": link,
    "shouts": shouts,
    "leaves_a_child": leaves_a_child,
    "spoils_its_inputs": spoils_its_inputs,
    "changes_the_model": changes_the_model,
    "says_odd_words": odd_words,
    "says_a_verdict": says_a_verdict,
    "replaces_its_folder": replaces_its_folder,
}

if __name__ == "__main__":
    main()
