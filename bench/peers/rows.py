#!/usr/bin/env python3
"""Random rows of a shape as text (`rows.py SHAPE FILE`) with their schema (FILE.yaml), and the way back: a dataset file of `deepfm encode` as arrays, so that all sides see the same ids.

A field's values are drawn by a power law, P(rank) about 1 / rank, as in `deepfm bench`; numbers are uniform in [0, 1). The label depends on three numbers
and on the values of three fields, so that there is something to learn and a side that does not train shows in its log loss.
"""
import json
import struct
import sys

import numpy as np

from shapes import CATEGORIES, NUMBERS, SHAPES

ROWS_AT_ONCE = 1 << 16
ID_DIGITS, NUMBER_DIGITS = 7, 4


def digits(values, n):
    """(...) whole numbers -> (..., n) bytes, their last n decimal digits."""
    powers = 10 ** np.arange(n - 1, -1, -1)
    return (values[..., None] // powers % 10 + ord("0")).astype(np.uint8)


def text_of(ranks, numbers, label):
    """Rows as the bytes of delimited text: label, 26 values, 13 numbers 0.dddd."""
    rows = len(label)
    comma = np.full((rows, CATEGORIES + NUMBERS, 1), ord(","), np.uint8)
    point = np.broadcast_to(np.frombuffer(b"0.", np.uint8), (rows, NUMBERS, 2))
    categories = np.concatenate([comma[:, :CATEGORIES], digits(ranks, ID_DIGITS)], axis=2).reshape(rows, -1)
    reals = np.concatenate([comma[:, CATEGORIES:], point, digits(numbers, NUMBER_DIGITS)], axis=2).reshape(rows, -1)
    end = np.full((rows, 1), ord("\n"), np.uint8)
    return np.concatenate([digits(label, 1), categories, reals, end], axis=1).tobytes()


def draw(random, n, values):
    """n rows: ranks (n, 26) below `values`, numbers (n, 13) below 10^4, labels (n)."""
    ranks = np.minimum((values + 1.0) ** random.random((n, CATEGORIES)) - 1, values - 1).astype(np.int64)
    numbers = random.integers(0, 10**NUMBER_DIGITS, (n, NUMBERS))
    x = numbers[:, :3] / 10**NUMBER_DIGITS
    logit = 3 * (x[:, 0] - x[:, 1]) * np.sign(x[:, 2] - 0.5) - 1.2 + np.cos(2.4 * ranks[:, :3]).sum(axis=1)
    return ranks, numbers, (random.random(n) < 1 / (1 + np.exp(-logit))).astype(np.int64)


def column_names():
    return [f"C{f + 1}" for f in range(CATEGORIES)], [f"I{d + 1}" for d in range(NUMBERS)]


def schema_of(shape):
    """Hashed ids, so that tables have the shape's size whatever the rows hold; numbers as they are, for the linear part and the net."""
    categories, numbers = column_names()
    lines = ["label: label", "columns:", "  - {name: label, kind: label}"]
    lines += [f"  - {{name: {name}, kind: category, hash: {shape.buckets}}}" for name in categories]
    lines += [f"  - {{name: {name}, kind: number, transform: none, into: [linear, dnn]}}" for name in numbers]
    return "\n".join(lines) + "\n"


def write_text(shape, path):
    random = np.random.default_rng(1)
    categories, numbers = column_names()
    left = shape.rows + shape.held_out
    with open(path, "wb") as file:
        file.write(("label," + ",".join(categories + numbers) + "\n").encode())
        while left > 0:
            n = min(left, ROWS_AT_ONCE)
            file.write(text_of(*draw(random, n, shape.buckets)))
            left -= n


def read_dataset(path):
    """A dataset file's category (N, F) uint32, number (N, D) float32 and label (N) float32, mapped."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
    types = {"U32": np.uint32, "F32": np.float32}

    def tensor(name):
        about = header[name]
        return np.memmap(path, types[about["dtype"]], "r", 8 + size + about["data_offsets"][0], tuple(about["shape"]))

    return tensor("category"), tensor("number") if "number" in header else None, tensor("label")


if __name__ == "__main__":
    write_text(SHAPES[sys.argv[1]], sys.argv[2])
    with open(sys.argv[2] + ".yaml", "w") as schema:
        schema.write(schema_of(SHAPES[sys.argv[1]]))
