#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks JSON Lines against the incident schema (docs/incident.schema.json).

usage: validate_incidents.py [--schema FILE] [--at-least N] [FILE...]

Reads the files, or stdin where none is named. Beyond the schema, a line must be UTF-8 and strict JSON: no repeated
name, no NaN. Exit code 0: every line is an incident (and there are at least N), their count is printed; 1: one is not,
its line, field and reason go to stderr; 2: wrong usage, an unreadable file or an invalid schema.
"""
import argparse
import json
import os
import sys

import jsonschema

DEFAULT_SCHEMA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "incident.schema.json")
SHOWN = 200  # characters of a reason; it may quote the whole incident


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("--schema", default=DEFAULT_SCHEMA)
    parser.add_argument("--at-least", type=int, default=0, metavar="N")
    parser.add_argument("files", nargs="*", metavar="FILE")
    return parser.parse_args(arguments)


def refuse_duplicates(pairs):
    names = [name for name, _ in pairs]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ValueError(f"repeated name {sorted(repeated)[0]!r}")
    return dict(pairs)


def refuse_constant(name):
    raise ValueError(f"{name} is not JSON")


def is_integer(_checker, value):
    # The library takes 1.0 for an integer, as the standard does; a typed reader of our lines would not.
    return isinstance(value, int) and not isinstance(value, bool)


def load_validator(path):
    with open(path, encoding="utf-8") as file:
        schema = json.load(file)
    base = jsonschema.Draft202012Validator
    base.check_schema(schema)
    strict = jsonschema.validators.extend(base, type_checker=base.TYPE_CHECKER.redefine("integer", is_integer))
    return strict(schema)


def complaints(line, validator):
    try:
        incident = json.loads(line.decode("utf-8"), object_pairs_hook=refuse_duplicates, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        return [f"not JSON: {error}"]
    errors = sorted(validator.iter_errors(incident), key=lambda error: list(map(str, error.absolute_path)))
    return [f"{'.'.join(map(str, error.absolute_path)) or 'incident'}: {error.message[:SHOWN]}" for error in errors]


def check(name, data, validator):
    """Number of lines, and whether all of them hold."""
    count = 0
    good = True
    # By bytes: another line end inside a line would be the writer's mistake, and must not be hidden here.
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line:
            continue
        count += 1
        for complaint in complaints(line, validator):
            good = False
            print(f"{name}line {number}: {complaint}", file=sys.stderr)
    return count, good


def main(arguments):
    options = parse_arguments(arguments)
    try:
        validator = load_validator(options.schema)
    except (OSError, ValueError, jsonschema.SchemaError) as error:
        print(f"{options.schema}: {error}", file=sys.stderr)
        return 2
    total = 0
    good = True
    for path in options.files or [None]:
        try:
            if path is None:
                data = sys.stdin.buffer.read()
            else:
                with open(path, "rb") as file:
                    data = file.read()
        except OSError as error:
            print(error, file=sys.stderr)
            return 2
        count, fine = check(f"{path}: " if path else "", data, validator)
        total += count
        good = good and fine
    if total < options.at_least:
        good = False
        print(f"{total} incidents, at least {options.at_least} expected", file=sys.stderr)
    if good:
        print(total)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
