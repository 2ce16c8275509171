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
LIMIT = 0.0005  # of the difference of the means; single runs differ by as much from seed to seed


def check(data, folder):
    files = quality.MAKERS[data](folder)
    means = {}
    for precision in ("float32", "bf16"):
        runs = [quality.one_run(f"{data}_deepfm.yaml", files, seed, folder, more=("--precision", precision)) for seed in range(1, SEEDS + 1)]
        for metric in ("auc", "logloss"):
            values = [result[metric] for result in runs]
            means[precision, metric] = statistics.mean(values)
            print(f"{data} {precision}: {metric} {means[precision, metric]:.6f} +- {statistics.stdev(values):.6f}", flush=True)
    difference = means["bf16", "auc"] - means["float32", "auc"]
    good = abs(difference) < LIMIT
    print(f"{'ok    ' if good else 'FAILED'} {data}: bf16 - float32 in AUC {difference:+.6f}, within {LIMIT}", flush=True)
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
