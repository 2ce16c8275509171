#!/usr/bin/env python3
"""A dataset file as the text that wide peers read: `wide_text.py ffm|vw DATASET N_TRAIN STEM` writes STEM.train and STEM.held-out.

ffm: `label field:feature:1 ...` with features numbered through all fields; vw: `-1 |a id |b id ...`, a namespace for each field.
"""
import string
import sys

import numpy as np

from rows import read_dataset


def tokens(form, category):
    """Per field the text of each of its ids."""
    first = 0
    for f in range(category.shape[1]):
        n = int(category[:, f].max()) + 1
        if form == "ffm":
            yield [f" {f}:{first + i}:1" for i in range(n)]
        else:
            yield [f" |{string.ascii_letters[f]} {i}" for i in range(n)]
        first += n


def main():
    form, data, n_train, stem = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    category, _, label = read_dataset(data)
    if form not in ("ffm", "vw"):
        sys.exit(f"there is no form '{form}'; there are ffm and vw")
    category = np.where(category == 2**32 - 1, 0, category)  # an empty cell where there is no row for it
    names = ("0", "1") if form == "ffm" else ("-1", "1")
    texts = list(tokens(form, category))
    for name, first, last in (("train", 0, n_train), ("held-out", n_train, len(label))):
        with open(f"{stem}.{name}", "w") as file:
            for start in range(first, last, 1 << 16):
                rows = slice(start, min(start + (1 << 16), last))
                cells = [map(text.__getitem__, ids) for text, ids in zip(texts, category[rows].T.tolist())]
                labels = (names[int(y)] for y in label[rows])
                file.writelines(y + "".join(row) + "\n" for y, row in zip(labels, zip(*cells)))


if __name__ == "__main__":
    main()
