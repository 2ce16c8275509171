#!/usr/bin/env python3
"""Trains the recipes on real data and holds their test metrics against published or exact figures. Ends with "N passed, N failed".

usage: tests/long_quality.py [NAME ...]      names as printed; all without one
Needs $DFM_CLI and the data (../shared/data or $DFM_DATA): without the data it says so and passes nothing. Standard library only.
"""
import gzip
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile

ROOT = os.environ.get("DFM_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEEPFM = os.environ.get("DFM_CLI") or os.path.join(ROOT, "build", "release", "deepfm")
DATA = os.environ.get("DFM_DATA") or os.path.join(ROOT, "..", "shared", "data")

# name, recipe, data set, seeds, {metric: (lowest, highest)}; metrics are means over the seeds.
CASES = [
    ("flights lr", "flights_lr.yaml", "flights", 1,
     {"objective": (136235.779841 * (1 - 1e-6), 136235.779841 * (1 + 1e-6)), "auc": (0.7412, 0.7414), "logloss": (0.4784, 0.4787)}),
    ("flights lr adam", "flights_lr_adam.yaml", "flights", 1,
     {"objective": (136235.779841 * (1 - 1e-6), 136235.779841 * (1 + 1e-3)), "auc": (0.7403, 0.7423)}),
    ("flights fm", "flights_fm.yaml", "flights", 3, {"auc": (0.809, 0.82)}),
    ("flights deepfm", "flights_deepfm.yaml", "flights", 3, {"auc": (0.817, 0.83), "logloss": (0.40, 0.4170)}),
    ("frappe lr", "frappe_lr.yaml", "frappe", 1, {"auc": (0.9335, 0.940)}),
    ("frappe fm", "frappe_fm.yaml", "frappe", 3, {"auc": (0.966, 0.98)}),
    ("frappe deepfm", "frappe_deepfm.yaml", "frappe", 3, {"auc": (0.983, 0.99), "logloss": (0.13, 0.156)}),
]


def make_flights(folder):
    """Row i (from 0) is a test row when i % 10 == 0."""
    paths = [os.path.join(folder, f"flights_{part}.csv") for part in ("train", "test")]
    with gzip.open(os.path.join(DATA, "flights_nyc13/flights_delay15.csv.gz"), "rt") as rows, open(paths[0], "w") as train, open(paths[1], "w") as test:
        header = next(rows)
        train.write(header)
        test.write(header)
        for i, row in enumerate(rows):
            (test if i % 10 == 0 else train).write(row)
    return paths[0], None, paths[1]


def make_frappe(folder):
    return tuple(os.path.join(DATA, f"frappe_x1/{part}.csv.gz") for part in ("train", "valid", "test"))


def run(*words):
    result = subprocess.run([DEEPFM, *words], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"deepfm {' '.join(words)}: {result.stderr.strip()}")
    return json.loads(result.stdout)


def squared_weights(model):
    """Sum of squares of all table weights in a model file."""
    with open(model, "rb") as file:
        data = file.read()
    (length,) = struct.unpack("<Q", data[:8])
    total = 0.0
    for name, tensor in json.loads(data[8 : 8 + length]).items():
        if name.startswith("table."):
            start, end = tensor["data_offsets"]
            total += sum(w * w for w in struct.unpack(f"<{(end - start) // 4}f", data[8 + length + start : 8 + length + end]))
    return total


def objective(model, train):
    """Sum of log losses over the training rows + 1/2 |w|^2, from the model file alone."""
    metrics = run("eval", model, train, "--json")["metrics"]
    return metrics["rows"] * metrics["logloss"] + 0.5 * squared_weights(model)


def one_run(recipe, files, seed, folder, wants_objective=False, more=()):
    train, valid, test = files
    model = os.path.join(folder, "model.safetensors")
    words = ["train", train, "--recipe", os.path.join(ROOT, "recipes", recipe), "--seed", str(seed), "-o", model, "--quiet", "--json", *more]
    run(*words, *(["--valid", valid] if valid else []))
    metrics = run("eval", model, test, "--json")["metrics"]
    if wants_objective:
        metrics["objective"] = objective(model, train)
    return metrics


def check(name, recipe, files, seeds, bounds, folder):
    runs = [one_run(recipe, files, seed, folder, "objective" in bounds) for seed in range(1, seeds + 1)]
    good = True
    words = []
    for metric, (low, high) in bounds.items():
        values = [result[metric] for result in runs]
        mean = statistics.mean(values)
        spread = f" +- {statistics.stdev(values):.5f}" if seeds > 1 else ""
        inside = low <= mean <= high
        good = good and inside
        words.append(f"{metric} {mean:.9g}{spread} in [{low:.9g}, {high:.9g}]{'' if inside else '  <- OUTSIDE'}")
    print(f"{'ok    ' if good else 'FAILED'} {name}: {'; '.join(words)}", flush=True)
    return good


MAKERS = {"flights": make_flights, "frappe": make_frappe}


def main():
    if not os.path.isdir(DATA):
        print(f"skipped: {DATA} is not there")
        return 0
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        made = {}
        for name, recipe, data, seeds, bounds in CASES:
            if len(sys.argv) > 1 and name not in sys.argv[1:]:
                continue
            files = made.setdefault(data, MAKERS[data](folder)) if data not in made else made[data]
            good = check(name, recipe, files, seeds, bounds, folder)
            passed += good
            failed += not good
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
