#!/usr/bin/env python3
"""Trains the tutorial's model twenty times from Keras's own initial weights, with dropout and without, and prints our means beside Keras's.

usage: scripts/keras_parity.py [--runs 20] [--deepfm build/release/deepfm] [--data ../shared/data]

Only shuffling and dropout differ between runs, so the spread is small and an error shows. z is the difference of the means in standard errors of that
difference; the table passes where every |z| is at most 3. Keras's AUC is an approximation by 200 thresholds, up to .01 off the exact one, so our
validation AUC is computed in the same way for the comparison (val_auc), from the probabilities that each epoch's model gives; the exact one is
printed beside it. Keras's training AUC is of the same kind and is shown, not judged. Standard library only.
"""
import argparse
import json
import math
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "tools"))
from npz_to_safetensors import convert, read_npy, write_safetensors  # noqa: E402

METRICS = [("loss", "train", "logloss"), ("auc", "train", "auc"), ("val_loss", "valid", "logloss"), ("exact_val_auc", "valid", "auc")]
SHOWN = ("loss", "auc", "val_loss", "val_auc")
JUDGED = ("loss", "val_loss", "val_auc")
VALID_ROWS = 60


def floats(arrays, name):
    raw = arrays[name][2]
    return struct.unpack(f"<{len(raw) // 4}f", raw)


def pack(values):
    return struct.pack(f"<{len(values)}f", *values)


def initial_weights(npz, path):
    """Keras's w0 under this project's names: (out, in) matrices, table rows as first-order weight and factors."""
    with zipfile.ZipFile(npz) as archive:
        arrays = {entry.removesuffix(".npy"): convert(*read_npy(archive.read(entry))) for entry in archive.namelist()}
    first, factors = floats(arrays, "w0/lin_emb"), floats(arrays, "w0/emb")
    sizes = struct.unpack("<26I", arrays["vocab"][2])
    tensors, row = {}, 0
    for field, size in enumerate(sizes):
        table = []
        for i in range(row, row + size):
            table += [first[i], *factors[4 * i : 4 * i + 4]]
        tensors[f"table.C{field + 1}"] = ("F32", [size, 5], pack(table))
        row += size
    tensors["linear.number.weight"] = ("F32", [13], pack(floats(arrays, "w0/linear_dense_w")))
    tensors["linear.bias"] = ("F32", [1], pack(floats(arrays, "w0/linear_dense_b")))
    for ours, keras in [("dnn.0", "dnn_0"), ("dnn.1", "dnn_1"), ("dnn.2", "dnn_2"), ("dnn.out", "dnn_out")]:
        w, bias = floats(arrays, f"w0/{keras}_w"), floats(arrays, f"w0/{keras}_b")
        n_out, n_in = len(bias), len(w) // len(bias)
        transposed = [w[i * n_out + o] for o in range(n_out) for i in range(n_in)]
        tensors[f"{ours}.weight"] = ("F32", [n_out, n_in], pack(transposed))
        tensors[f"{ours}.bias"] = ("F32", [n_out], pack(bias))
    write_safetensors(path, tensors)


def keras_auc(probabilities, labels):
    """tf.keras.metrics.AUC with its defaults: true and false positive rates at 200 thresholds, trapezoids between them."""
    thresholds = [-1e-7, *(i / 199 for i in range(1, 199)), 1 + 1e-7]
    positives = sum(labels)
    negatives = len(labels) - positives
    rates = []
    for threshold in thresholds:
        above = [label for p, label in zip(probabilities, labels) if p > threshold]
        rates.append((sum(above) / positives, (len(above) - sum(above)) / negatives))
    return sum((x0 - x1) * (y0 + y1) / 2 for (y0, x0), (y1, x1) in zip(rates, rates[1:]))


def valid_auc(deepfm, command, epoch, valid, labels, folder):
    """Keras's AUC of the model after `epoch` epochs of the run."""
    model = os.path.join(folder, "model.safetensors")
    subprocess.run([*command, "--epochs", str(epoch), "--keep", "last", "-o", model], check=True)
    lines = subprocess.run([deepfm, "predict", model, valid], check=True, capture_output=True, text=True).stdout
    return keras_auc([float(line) for line in lines.split()], labels)


def train(deepfm, rows, valid, labels, init, folder, seed, dropout):
    """Metrics by epoch of one run: {name: [10 values]}. The same seed gives the same run, so it is made again for each epoch's model."""
    history = os.path.join(folder, "history.jsonl")
    recipe = os.path.join(ROOT, "recipes", "criteo_sample.yaml")
    command = [deepfm, "train", rows, "--recipe", recipe, "--init", init, "--seed", str(seed), "--dropout", dropout, "--threads", "1", "--quiet"]
    subprocess.run([*command, "--history", history], check=True)
    with open(history) as file:
        epochs = [json.loads(line) for line in file]
    metrics = {name: [epoch[part][key] for epoch in epochs] for name, part, key in METRICS}
    metrics["val_auc"] = [valid_auc(deepfm, command, epoch, valid, labels, folder) for epoch in range(1, 11)]
    return metrics


def write_valid(rows, folder):
    """The last 60 rows as a file of their own, and their labels."""
    with open(rows) as file:
        lines = file.read().splitlines()
    path = os.path.join(folder, "valid.txt")
    with open(path, "w") as file:
        file.write("\n".join([lines[0], *lines[-VALID_ROWS:]]) + "\n")
    return path, [int(line.split(",")[0]) for line in lines[-VALID_ROWS:]]


def compare(runs, keras):
    """Prints the table; returns whether all judged means agree."""
    agrees = True
    print(f"{'epoch':>5} {'metric':<9}{'ours':>9}{'+-':>8}{'Keras':>9}{'+-':>8}{'z':>7}")
    for epoch in range(10):
        for name in SHOWN:
            ours = [run[name][epoch] for run in runs]
            mean, sd = statistics.mean(ours), statistics.stdev(ours)
            other = {key: keras["summary"][name][key][epoch] for key in ("mean", "sd")}
            error = math.sqrt(sd**2 / len(ours) + other["sd"] ** 2 / keras["n_seeds"])
            z = (mean - other["mean"]) / error if error > 0 else 0.0
            bad = name in JUDGED and abs(z) > 3
            agrees = agrees and not bad
            note = "  <- apart" if bad else ""
            if name == "val_auc":
                note += f"  (exact {statistics.mean(run['exact_val_auc'][epoch] for run in runs):.5f})"
            print(f"{epoch + 1:>5} {name:<9}{mean:>9.5f}{sd:>8.5f}{other['mean']:>9.5f}{other['sd']:>8.5f}{z:>7.2f}{note}")
    return agrees


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--deepfm", default=os.path.join(ROOT, "build", "release", "deepfm"))
    parser.add_argument("--data", default=os.path.join(ROOT, "..", "shared", "data"))
    options = parser.parse_args()
    rows = os.path.join(options.data, "criteo_sample", "criteo_sample.txt")
    with open(os.path.join(options.data, "parity", "keras_from_w0.json")) as file:
        keras = json.load(file)
    agrees = True
    with tempfile.TemporaryDirectory() as folder:
        init = os.path.join(folder, "w0.safetensors")
        initial_weights(os.path.join(options.data, "parity", "keras_parity.npz"), init)
        valid, labels = write_valid(rows, folder)
        for case in keras:
            dropout = "0.5,0.3,0.1" if "." in case else "0"
            print(f"\n{case}: {options.runs} runs of ours, {keras[case]['n_seeds']} of Keras")
            runs = [train(options.deepfm, rows, valid, labels, init, folder, seed, dropout) for seed in range(1, options.runs + 1)]
            agrees = compare(runs, keras[case]) and agrees
    print("\nall judged means agree within three standard errors" if agrees else "\nsome means are apart")
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
