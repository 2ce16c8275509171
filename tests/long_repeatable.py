#!/usr/bin/env python3
"""DeepFM on synth rows with everything that sums over rows: the same sha256 at 1, 2, 3 and 8 threads, in a second run, and however often one evaluates."""

import hashlib
import sys

from _cli import check, main, path, read, succeeds

# 90 % of 60,000 rows in batches of 4096: the last one of an epoch is ragged. Hot ids: C9 has three values.
RECIPE = ["--batch-size", "4096", "--epochs", "2", "--dropout", "0.3", "--batch-norm", "--hidden", "256,128", "--patience", "0", "--quiet"]


def digest(name, *words):
    model = path(name)
    succeeds("train", path("rows.csv"), *RECIPE, "-o", model, *words, seconds=600)
    return hashlib.sha256(read(model)).hexdigest()


def test_same_bytes():
    succeeds("synth", "--rows", "60000", "--seed", "1", "-o", path("rows.csv"))
    first = digest("1.safetensors", "--threads", "1")
    print(f"sha256 {first}")
    for words in (["--threads", "2"], ["--threads", "3"], ["--threads", "8"], ["--threads", "1"], ["--threads", "2", "--eval-every", "5"]):
        check(digest("other.safetensors", *words) == first, f"{' '.join(words)} gives other bytes")


if __name__ == "__main__":
    sys.exit(main("long_repeatable", globals()))
