#!/usr/bin/env python3
"""Trains DeepFM on real data in float32 and in bf16 with the same seeds and holds the two mean test AUCs against each other. Ends with
"N passed, N failed".

usage: tests/long_precision.py [DATA ...]      frappe, flights; both without one
Needs what long_quality.py needs. Where the CPU has no bf16 the emulation trains, which multiplies by the same definition.
"""
import os
import statistics
import sys
import tempfile

import long_quality as quality

SEEDS = 5
LIMIT = 0.0005  # of the mean over seeds of the difference in AUC

# The recipes of long_quality.py, but for what lets chance decide: a run's length is fixed instead of picked on validation rows, which a random split
# draws anew for each seed, and its learning rate is small enough for the last step not to matter.
FIXED = ["--set", "train.patience=0", "--set", "optimizer.plateau_factor=1", "--set", "optimizer.learning_rate=3e-4"]
LENGTH = {"flights": ["--set", "train.epochs=10", "--set", "validation.random=0"], "frappe": ["--set", "train.epochs=10"]}


def check(data, folder):
    files = quality.MAKERS[data](folder)
    files = (files[0], None, files[2])
    differences = []
    for seed in range(1, SEEDS + 1):
        auc = {}
        for precision in ("float32", "bf16"):
            more = [*FIXED, *LENGTH[data], "--precision", precision]
            auc[precision] = quality.one_run(f"{data}_deepfm.yaml", files, seed, folder, more=more)["auc"]
        differences.append(auc["bf16"] - auc["float32"])
        print(f"{data} seed {seed}: AUC {auc['float32']:.6f} in float32, {auc['bf16']:.6f} in bf16, {differences[-1]:+.6f}", flush=True)
    mean, error = statistics.mean(differences), statistics.stdev(differences) / SEEDS**0.5
    good = abs(mean) < LIMIT
    print(f"{'ok    ' if good else 'FAILED'} {data}: bf16 - float32 in AUC {mean:+.6f} +- {error:.6f}, within {LIMIT}", flush=True)
    return good


def main():
    if not os.path.isdir(quality.DATA):
        print(f"skipped: {quality.DATA} is not there")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        results = [check(data, folder) for data in sys.argv[1:] or ("frappe", "flights")]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
