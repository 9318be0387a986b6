"""Judges manifests by their schema; then each with a name misspelt, a field taken out, and one of
another type, which must not be valid.

judge_manifests.py SCHEMA MANIFEST...
"""

import copy
import json
import sys

from jsonschema import Draft202012Validator

CORRUPTIONS = (
    lambda manifest: manifest.update(modul="transformer.layers.0"),
    lambda manifest: manifest["model"]["config"].update(head=3),
    lambda manifest: manifest["golden"].pop("libtorch"),
    lambda manifest: manifest["accuracy"].update(samples="8"),
    lambda manifest: manifest["files"]["README.md"].pop("blake3"),
    lambda manifest: manifest["selection"].update(subset={"of": "", "of_samples": 8, "mode": "best"}),
)


def read(path):
    with open(path) as file:
        return json.load(file)


schema = read(sys.argv[1])
Draft202012Validator.check_schema(schema)
judge = Draft202012Validator(schema)
for path in sys.argv[2:]:
    manifest = read(path)
    for error in judge.iter_errors(manifest):
        sys.exit(f"{path}: {error.json_path}: {error.message}")
    corruptions = list(CORRUPTIONS)
    if "subset" in manifest["selection"]:
        corruptions.append(lambda manifest: manifest["selection"]["subset"].update(first=3))
    for corrupt in corruptions:
        corrupted = copy.deepcopy(manifest)
        corrupt(corrupted)
        if judge.is_valid(corrupted):
            sys.exit(f"{path}: a corrupted manifest is valid")
    print("valid", manifest["selection"].get("subset", {}).get("mode", "whole"))
