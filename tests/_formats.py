"""Converter: rows of named columns come in; the same rows as delimited text, libsvm, libffm and JSON lines go out.

A cell is a text (category), a number (float or None), a list of texts, or a list of (text, weight). As a program:
_formats.py FORMAT LABEL < rows.csv > rows.FORMAT, where every column but the label is a category, or, called NAME|, a list
divided by bars.
"""

import csv
import json
import sys


class Ids:
    """Whole numbers for the values of columns, from 1 on, by first appearance; a number is one feature of its own."""

    def __init__(self):
        self.ids = {}

    def of(self, column, value=None):
        return self.ids.setdefault((column, value), len(self.ids) + 1)


def features(ids, column, cell):
    """(id, value) of what a cell has."""
    if cell is None:
        return []
    if isinstance(cell, float):
        return [(ids.of(column), repr(cell))]
    if isinstance(cell, str):
        return [(ids.of(column, cell), "1")]
    pairs = [item if isinstance(item, tuple) else (item, 1) for item in cell]
    return [(ids.of(column, value), repr(weight)) for value, weight in pairs]


def to_libsvm(rows, labels, ids=None):
    ids = ids or Ids()
    for row, label in zip(rows, labels):
        pairs = [f"{i}:{v}" for column, cell in row.items() for i, v in features(ids, column, cell)]
        yield " ".join([str(label)] * (label is not None) + pairs)


def to_libffm(rows, labels, ids=None):
    ids = ids or Ids()
    for row, label in zip(rows, labels):
        triples = [f"{f}:{i}:{v}" for f, (column, cell) in enumerate(row.items()) for i, v in features(ids, column, cell)]
        yield " ".join([str(label)] * (label is not None) + triples)


def to_jsonl(rows, labels):
    for row, label in zip(rows, labels):
        plain = {c: [x[0] if isinstance(x, tuple) else x for x in v] if isinstance(v, list) else v for c, v in row.items()}
        yield json.dumps({"label": label, **plain} if label is not None else plain)


def as_cell(cell):
    if isinstance(cell, list):
        return "|".join(f"{x[0]}:{x[1]!r}" if isinstance(x, tuple) else x for x in cell)
    return "" if cell is None else cell if isinstance(cell, str) else repr(cell)


def to_csv(rows, labels):
    for i, (row, label) in enumerate(zip(rows, labels)):
        if i == 0:
            yield ",".join(["label"] * (label is not None) + list(row))
        yield ",".join([str(label)] * (label is not None) + [as_cell(cell) for cell in row.values()])


def main():
    write = {"libsvm": to_libsvm, "libffm": to_libffm, "jsonl": to_jsonl}[sys.argv[1]]
    table = list(csv.DictReader(sys.stdin))
    labels = [row.pop(sys.argv[2]) for row in table]
    rows = [{c.rstrip("|"): v.split("|") if c.endswith("|") else v for c, v in row.items()} for row in table]
    for line in write(rows, labels):
        print(line)


if __name__ == "__main__":
    main()
