#!/usr/bin/env python3
"""oneDNN that fails: what runs is settled at the start, so a run either makes the bytes that it always makes or ends with one sentence."""

import os
import subprocess
import sys

from _cli import CLI, check, contains, main, path, read, succeeds
from test_cli_faults import ROWS, is_sanitized

SHIM = os.path.join(os.environ.get("DFM_PRELOAD_DIR", ""), "preload_onednn.so")
TRAIN = ["train", ROWS, "--epochs", "1", "--quiet"]
NEVER = 10**9


def run(fault, *words):
    environment = {**os.environ, "LD_PRELOAD": SHIM, "DFM_FAULT": fault}
    return subprocess.run([CLI, *words], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def uses_onednn(*words):
    """The shim ends the process where a primitive is run for the first time."""
    return run("exit", *TRAIN, *words, "-o", path("tried.safetensors")).returncode == 99


def is_skipped():
    if not os.path.exists(SHIM) or is_sanitized() or not uses_onednn():
        print("skipped: the fault shim or oneDNN is not there, or a sanitizer is")
        return True
    return False


def fails(nth, model, *words):
    result = run(f"execute:{nth}", *words)
    where = f"run {nth} of {' '.join(words)}"
    check(result.returncode == 1, f"{where}: exit {result.returncode}: {result.stderr}")
    check(len(result.stderr.strip().splitlines()) == 1, f"{where}: {result.stderr}")
    contains(result.stderr, "oneDNN could not multiply matrices", "DFM_KERNEL=generic")
    check(not os.path.exists(model), f"{where}: left a model")


def test_a_failed_multiply_ends_training():
    if is_skipped():
        return
    model = path("failed.safetensors")
    for precision in ("float32", "bf16"):
        words = [*TRAIN, "--threads", "2", "--precision", precision, "-o", model]
        if not uses_onednn("--precision", precision):  # bfloat16 that the CPU has not
            continue
        for nth in range(1, 60):
            fails(nth, model, *words)


def test_a_failed_multiply_ends_scoring():
    if is_skipped():
        return
    model = path("scored.safetensors")
    succeeds(*TRAIN, "-o", model)
    for nth in range(1, 8):
        result = run(f"execute:{nth}", "eval", model, ROWS)
        check(result.returncode == 1, f"run {nth}: exit {result.returncode}: {result.stderr}")
        contains(result.stderr, "oneDNN could not multiply matrices")


def test_a_multiply_that_is_not_there_is_made_plainly():
    """The same bytes at any number of threads, though the plain multiplies may give others than oneDNN's."""
    if is_skipped():
        return
    for precision in ("float32", "bf16"):
        models = []
        for threads in ("1", "2", "3"):
            model = path(f"plain-{precision}-{threads}.safetensors")
            result = run("describe", *TRAIN, "--threads", threads, "--precision", precision, "-o", model)
            check(result.returncode == 0, result.stderr)
            models.append(read(model))
        check(models[0] == models[1] == models[2], f"{precision}: models differ")
        check(run("describe", "eval", model, ROWS).returncode == 0, "scoring fails")
    check(run(f"execute:{NEVER}", *TRAIN, "-o", path("usual.safetensors")).returncode == 0, "the shim alone fails a run")


if __name__ == "__main__":
    sys.exit(main("cli_onednn", globals()))
