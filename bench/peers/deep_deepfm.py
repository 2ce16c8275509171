"""Our side: `deepfm train` on the dataset file, epoch by epoch; prediction through the library (dfm_scorer_score), so that no program start is in it."""
import ctypes
import json
import os
import subprocess
import tempfile
import time

ROWS_AT_ONCE = 1 << 17


class Error(ctypes.Structure):
    """dfm_error."""

    _fields_ = [
        ("code", ctypes.c_int),
        ("line", ctypes.c_longlong),
        ("column", ctypes.c_longlong),
        ("message", ctypes.c_char * 1024),
    ]


class Library:
    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.library.dfm_dataset_rows.restype = ctypes.c_int64
        self.library.dfm_dataset_rows.argtypes = [ctypes.c_void_p]

    def call(self, name, *arguments):
        """A function that takes a dfm_error last."""
        error = Error()
        if getattr(self.library, name)(*arguments, ctypes.byref(error)) != 0:
            raise RuntimeError(f"{name}: {error.message.decode()}")

    def made(self, name, *arguments):
        """What such a function hands out: the last argument before the error."""
        out = ctypes.c_void_p()
        self.call(name, *arguments, ctypes.byref(out))
        return out


def predict(deepfm, model_path, data_path, precision, repeats):
    """rows/s of scoring all rows of the dataset file, once not counted and then `repeats` times."""
    lib = Library(os.path.join(os.path.dirname(os.path.abspath(deepfm)), "libdeepfm.so"))
    model = lib.made("dfm_model_load", model_path.encode())
    paths = (ctypes.c_char_p * 1)(data_path.encode())
    rows = lib.made("dfm_dataset_read", lib.made("dfm_input_create", paths, ctypes.c_size_t(1)), model, None)
    n = lib.library.dfm_dataset_rows(rows)
    scorer = lib.made("dfm_scorer_create", model, 0)
    lib.call("dfm_scorer_set_precision", scorer, precision.encode(), None)
    probability = (ctypes.c_float * ROWS_AT_ONCE)()
    rates = []
    for _ in range(1 + repeats):
        start = time.perf_counter()
        for first in range(0, n, ROWS_AT_ONCE):
            span = min(ROWS_AT_ONCE, n - first)
            lib.call("dfm_scorer_score", scorer, rows, ctypes.c_int64(first), ctypes.c_int64(span), probability)
        rates.append(n / (time.perf_counter() - start))
    return rates[1:]


def train(deepfm, data, arguments):
    """(the result of `deepfm train --json`, its epochs)"""
    history = arguments[arguments.index("--history") + 1]
    command = [deepfm, "train", data, *arguments, "--json", "-q", "--keep", "last", "--patience", "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    with open(history) as lines:
        return json.loads(done.stdout), [json.loads(line) for line in lines]


def measure(request, shape):
    """The same result as the peers' processes print. The first epoch also touches every table row for the first time, and is the warm-up."""
    deepfm, data, repeats = request["deepfm"], request["data"], request["repeats"]
    with tempfile.TemporaryDirectory(dir=os.path.dirname(data)) as folder:
        model = os.path.join(folder, "model.safetensors")
        settings = ["--width", str(shape.width), "--hidden", ",".join(map(str, shape.hidden)), "--batch-size", str(shape.batch)]
        settings += ["--update", request["update"], "--precision", request["precision"], "--epochs", str(1 + repeats), "-o", model]
        result, epochs = train(deepfm, data, [*settings, "--history", os.path.join(folder, "history.jsonl")])
        rates = predict(deepfm, model, data, request["precision"], repeats)
    return {
        "train": [epoch["rows_per_second"] for epoch in epochs[1:]],
        "predict": rates,
        "mode": f"{request['update']} Adam",
        "memory": result["memory_peak"],
        "start_up": result["first_step_seconds"],
        "log_loss": epochs[0]["valid"]["logloss"],
        "rows_seen": epochs[0]["train"]["rows"],
        "versions": {},
    }
