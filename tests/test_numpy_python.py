#!/usr/bin/env python3
"""A dataset file and model files come in through the safetensors package, as numpy arrays; that ids decode to the cells of the text, and that weights
looked up by them give the program's probabilities, is checked. Skipped where numpy or safetensors is not installed."""

import collections
import csv
import os
import sys

sys.dont_write_bytecode = True
from _cli import check, main, path, succeeds  # noqa: E402

try:
    import numpy as np
    from safetensors.numpy import load_file
except ImportError:
    print("skipped: numpy or safetensors is not installed")
    sys.exit(77)

SOURCE = os.environ.get("DFM_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROWS = os.path.join(SOURCE, "examples", "clicks.csv")
CATEGORIES, NUMBERS, MIN_COUNT = ["city", "device", "ad", "hour"], ["age", "price"], 40


def text_rows():
    with open(ROWS, newline="") as file:
        return list(csv.DictReader(file))


def vocabulary(tensors, field):
    """The values of a field by id - 1; row 0 is the unknown one."""
    text, offsets = tensors[f"vocabulary.{field}.bytes"].tobytes(), tensors[f"vocabulary.{field}.offsets"]
    return [text[start:end].decode() for start, end in zip(offsets[:-1], offsets[1:])]


def test_dataset_decodes_to_the_text():
    rows, file = text_rows(), path("rows.safetensors")
    succeeds("encode", ROWS, "--min-count", str(MIN_COUNT), "-o", file, "-q")
    tensors, n = load_file(file), len(rows)
    shapes = {"category": (n, len(CATEGORIES)), "number": (n, len(NUMBERS)), "label": (n,), "row": (n,)}
    for name, shape in shapes.items():
        check(tensors[name].shape == shape, (name, tensors[name].shape))
    order = tensors["row"].astype(int)
    check(sorted(order) == list(range(n)), "the rows are not those of the text, each once")
    for at, cells in zip(range(n), (rows[i] for i in order)):
        check(tensors["label"][at] == float(cells["click"]), (at, cells))
        for j, name in enumerate(NUMBERS):
            want, seen = cells[name], tensors["number"][at, j]
            check(np.isnan(seen) if want == "" else seen == np.float32(want), (at, name, want, seen))
    n_unknown = 0
    for j, field in enumerate(CATEGORIES):
        values, seen, unknown = vocabulary(tensors, field), set(), set()
        for id_, cells in zip(tensors["category"][:, j], (rows[i] for i in order)):
            (seen if id_ else unknown).add(cells[field])
            check(id_ == 0 or values[id_ - 1] == cells[field], (field, id_, cells))
        check(seen == set(values) and not seen & unknown, (field, "a value has an id here and none there"))
        total = collections.Counter(cells[field] for cells in rows)
        check(all(total[value] >= MIN_COUNT for value in seen), (field, "a rare value has an id"))
        n_unknown += len(unknown)
    check(n_unknown > 0, "no value was rare, so nothing was unknown")


def test_model_is_read():
    file = path("deep.safetensors")
    succeeds("train", ROWS, "--width", "4", "--hidden", "8,6", "--epochs", "1", "-o", file, "-q")
    tensors = load_file(file)
    for field in CATEGORIES:
        check(tensors[f"table.{field}"].shape == (1 + len(vocabulary(tensors, field)), 1 + 4), field)
    inputs = 4 * len(CATEGORIES) + len(NUMBERS)
    shapes = {"dnn.0.weight": (8, inputs), "dnn.0.bias": (8,), "dnn.1.weight": (6, 8), "dnn.out.weight": (1, 6), "linear.bias": (1,)}
    for name, shape in shapes.items():
        check(tensors[name].shape == shape and np.isfinite(tensors[name]).all(), (name, tensors[name].shape))


def test_weights_looked_up_by_value_give_the_probabilities():
    """Logistic regression over the categories alone, in three lines of numpy."""
    rows, text, file, out = text_rows(), path("categories.csv"), path("lr.safetensors"), path("lr.txt")
    with open(text, "w", newline="") as to:
        writer = csv.DictWriter(to, ["click", *CATEGORIES], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    kinds = [word for field in CATEGORIES for word in ("--set", f"fields.{field}.kind=category")]
    succeeds("train", text, *kinds, "--model", "lr", "--epochs", "3", "--min-count", str(MIN_COUNT), "-o", file, "-q")
    succeeds("predict", file, text, "-o", out)
    tensors = load_file(file)
    logit = np.full(len(rows), tensors["linear.bias"][0], dtype=np.float64)
    for field in CATEGORIES:
        id_of = {value: i + 1 for i, value in enumerate(vocabulary(tensors, field))}
        logit += tensors[f"table.{field}"][[id_of.get(cells[field], 0) for cells in rows], 0]
    seen = np.loadtxt(out)
    check(np.abs(seen - 1 / (1 + np.exp(-logit))).max() < 1e-6, "other probabilities")
    check(seen.std() > 0.01, "all probabilities are alike")


if __name__ == "__main__":
    sys.exit(main("numpy_python", globals()))
