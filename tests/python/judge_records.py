"""Judges records by their schema; then each with a name misspelt, a field taken out, and one of
another type, which must not be valid.

judge_records.py SCHEMA RECORD...
"""

import copy
import json
import sys

from jsonschema import Draft202012Validator

CORRUPTIONS = (
    lambda record: record.update(verdct="pass"),
    lambda record: record["options"].update(atoll=1.0),
    lambda record: record.pop("exit_status"),
    lambda record: record["host"].pop("cpu"),
    lambda record: record.update(exit_status="0"),
)


def read(path):
    with open(path) as file:
        return json.load(file)


schema = read(sys.argv[1])
Draft202012Validator.check_schema(schema)
judge = Draft202012Validator(schema)
for path in sys.argv[2:]:
    record = read(path)
    for error in judge.iter_errors(record):
        sys.exit(f"{path}: {error.json_path}: {error.message}")
    for corrupt in CORRUPTIONS:
        corrupted = copy.deepcopy(record)
        corrupt(corrupted)
        if judge.is_valid(corrupted):
            sys.exit(f"{path}: a corrupted record is valid")
    print("valid", record["verdict"])
