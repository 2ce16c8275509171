#!/usr/bin/env python3
"""Trains DeepFM on real data in float32 and in bf16 with the same seeds and holds the two mean test AUCs against each other. Ends with
"N passed, N failed".

usage: tests/long_precision.py [--keep FILE [--seconds N]] [DATA ...]      frappe, flights; both without one
--keep: runs that FILE has are not made again, and those made are added to it. --seconds: starts no run after so long, and says how many are left.
Needs what long_quality.py needs. Where the CPU has no bf16 the emulation trains, which multiplies by the same definition.
"""
import argparse
import json
import os
import statistics
import sys
import tempfile
import time

import long_quality as quality

SEEDS = 5
LIMIT = 0.0005  # of the mean over seeds of the difference in AUC
PRECISIONS = ("float32", "bf16")

# The recipes of long_quality.py, but for what lets chance decide: a run's length is fixed instead of picked on validation rows, which a random split
# draws anew for each seed, and its learning rate is small enough for the last step not to matter.
FIXED = ["--set", "train.patience=0", "--set", "optimizer.plateau_factor=1", "--set", "optimizer.learning_rate=3e-4"]
LENGTH = {"flights": ["--set", "train.epochs=10", "--set", "validation.random=0"], "frappe": ["--set", "train.epochs=10"]}


def read_kept(path):
    """{(data, seed, precision): AUC} of the runs in the file; none where there is no file yet."""
    if not path or not os.path.exists(path):
        return {}
    with open(path) as file:
        rows = [json.loads(line) for line in file]
    return {(row["data"], row["seed"], row["precision"]): row["auc"] for row in rows}


def make(run, files, folder, path):
    data, seed, precision = run
    more = [*FIXED, *LENGTH[data], "--precision", precision]
    auc = quality.one_run(f"{data}_deepfm.yaml", files, seed, folder, more=more)["auc"]
    if path:
        with open(path, "a") as file:
            print(json.dumps({"data": data, "seed": seed, "precision": precision, "auc": auc}), file=file)
    return auc


def check(data, auc):
    differences = []
    for seed in range(1, SEEDS + 1):
        float32, bf16 = (auc[data, seed, precision] for precision in PRECISIONS)
        differences.append(bf16 - float32)
        print(f"{data} seed {seed}: AUC {float32:.6f} in float32, {bf16:.6f} in bf16, {differences[-1]:+.6f}", flush=True)
    mean, error = statistics.mean(differences), statistics.stdev(differences) / SEEDS**0.5
    good = abs(mean) < LIMIT
    print(f"{'ok    ' if good else 'FAILED'} {data}: bf16 - float32 in AUC {mean:+.6f} +- {error:.6f}, within {LIMIT}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--keep", metavar="FILE")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("data", nargs="*", metavar="DATA", help=f"of {', '.join(LENGTH)}; all without any")
    options = parser.parse_args()
    unknown = [name for name in options.data if name not in LENGTH]
    if unknown:
        parser.error(f"DATA '{unknown[0]}' is none of {', '.join(LENGTH)}")
    names = options.data or sorted(LENGTH)
    if not os.path.isdir(quality.DATA):
        print(f"skipped: {quality.DATA} is not there")
        return 0
    start = time.monotonic()
    auc = read_kept(options.keep)
    wanted = [(data, seed, precision) for data in names for seed in range(1, SEEDS + 1) for precision in PRECISIONS]
    missing = [run for run in wanted if run not in auc]
    with tempfile.TemporaryDirectory() as folder:
        files = {data: (lambda made: (made[0], None, made[2]))(quality.MAKERS[data](folder)) for data in {run[0] for run in missing}}
        for i, run in enumerate(missing):
            if time.monotonic() - start > options.seconds:
                print(f"{len(missing) - i} of {len(wanted)} runs are left; the same command goes on")
                return 2
            auc[run] = make(run, files[run[0]], folder, options.keep)
    results = [check(data, auc) for data in names]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
