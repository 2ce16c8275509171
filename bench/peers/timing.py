"""What every peer's process does: read its request, build, train and predict in repeats, print one JSON object.

A peer is an object with `modes` (names of ways to run it, of which the fastest counts), `use(mode)`, `train(n)` and `predict(n)`, which take the next n
batches, `held_out()`, which returns the probabilities of the rows held out, and `versions`.
"""
import json
import math
import resource
import statistics
import sys
import time

import numpy as np


def read_request():
    """The request, with the rows' arrays: category (N, F), number (N, D), label (N)."""
    from rows import read_dataset
    from shapes import SHAPES

    request = json.loads(sys.argv[1])
    shape = SHAPES[request["shape"]]
    category, number, label = read_dataset(request["data"])
    return request, shape, category, number, label


def repeat(work, rows, request):
    """rows/s of `request["repeats"]` spans of about `request["seconds"]` each. What comes first, compiling included, is not counted."""
    start, warm = time.perf_counter(), 0
    while warm < 3 or (time.perf_counter() - start < request["seconds"] / 2 and warm < 1000):
        work(1)
        warm += 1
    start = time.perf_counter()
    work(2)
    one = (time.perf_counter() - start) / 2
    batches = max(1, round(request["seconds"] / one))
    rates = []
    for _ in range(request["repeats"]):
        start = time.perf_counter()
        work(batches)
        rates.append(batches * rows / (time.perf_counter() - start))
    return rates


def best_mode(peer, work, rows, request):
    """(mode, rates) of the mode with the highest median."""
    found = []
    for mode in peer.modes:
        try:
            peer.use(mode)
            found.append((mode, repeat(work, rows, request)))
        except Exception as error:  # a mode that this machine cannot run leaves the others
            print(f"{mode}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
    if not found:
        raise RuntimeError("no mode runs here")
    return max(found, key=lambda item: statistics.median(item[1]))


def log_loss(probability, label):
    p = np.clip(np.asarray(probability, np.float64).ravel(), 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(np.asarray(label) > 0.5, np.log(p), np.log1p(-p))))


class Counted:
    """Counts the rows that a peer has trained on."""

    def __init__(self, peer, batch):
        self.peer, self.batch, self.rows = peer, batch, 0

    def __call__(self, n):
        self.peer.train(n)
        self.rows += n * self.batch


def run(build):
    """Times the peer that build(request, shape, category, number, label) makes."""
    request, shape, category, number, label = read_request()
    peer = build(request, shape, category, number, label)
    train = Counted(peer, shape.batch)
    peer.use(peer.modes[0])
    train(1)
    start_up = time.time() - request["started"]
    mode, rates = best_mode(peer, train, shape.batch, request)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    predict_mode, predict_rates = best_mode(peer, peer.predict, peer.predict_batch, request)
    loss = log_loss(peer.held_out(), label[shape.rows :])
    if not math.isfinite(loss):
        raise RuntimeError("the probabilities of the rows held out are not finite")
    result = {
        "train": rates,
        "predict": predict_rates,
        "mode": mode if mode == predict_mode else f"{mode}; predicts {predict_mode}",
        "memory": memory,
        "start_up": start_up,
        "log_loss": loss,
        "rows_seen": train.rows,
        "versions": peer.versions,
    }
    print(json.dumps(result))


def batches(n_rows, size):
    """Slices of `size` rows, round and round; rows that do not fill the last one are left out."""
    while True:
        for first in range(0, n_rows - size + 1, size):
            yield slice(first, first + size)
