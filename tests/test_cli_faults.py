#!/usr/bin/env python3
"""Writes that fail and processes that are killed: a model file is the old one or a whole new one, and what was interrupted can be resumed."""

import os
import random
import resource
import signal
import subprocess
import sys
import time

from _cli import CLI, SMALL, check, contains, has_nameless_files, main, path, read, succeeds

SOURCE = os.environ.get("DFM_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROWS = os.path.join(SOURCE, "examples", "clicks.csv")
SHIM = os.path.join(os.environ.get("DFM_PRELOAD_DIR", ""), "preload_fault.so")
SHORT = [*SMALL, "--epochs", "1", "--quiet"]  # one save a run


def is_sanitized():
    """A preloaded shim and the sanitizers' own runtime do not mix."""
    return b"__asan_init" in read(CLI) or b"__tsan_init" in read(CLI)


def train_with_fault(fault, action, *words):
    environment = {**os.environ, "LD_PRELOAD": SHIM, "DFM_FAULT": fault, "DFM_FAULT_ACTION": action}
    return subprocess.run([CLI, "train", ROWS, *SHORT, *words], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def temporaries(folder):
    return [name for name in os.listdir(folder) if name.endswith(".tmp")]


def each_fault(kind, action):
    """Fails the first, second, ... call of a kind until the run makes fewer; yields what is left after each."""
    folder = path(f"{kind}-{action}")
    os.mkdir(folder)
    model = os.path.join(folder, "m.safetensors")
    succeeds("train", ROWS, *SHORT, "--seed", "9", "-o", model)
    old = read(model)
    for nth in range(1, 200):
        result = train_with_fault(f"{kind}:{nth}", action, "-o", model)
        if result.returncode == 0 and action == "fail":
            check(nth > 1, f"the shim failed no {kind}")
            return
        yield nth, result, model, old
        if result.returncode == 0:
            return
        with open(model, "wb") as file:
            file.write(old)
    raise AssertionError(f"200 calls of {kind} and no end")


def test_each_write_fsync_and_rename_fails():
    if not os.path.exists(SHIM) or is_sanitized():
        print("skipped: the fault shim is not there, or a sanitizer is")
        return
    for kind in ("write", "fsync", "rename", *(["linkat"] if has_nameless_files() else [])):
        for nth, result, model, old in each_fault(kind, "fail"):
            where = f"{kind} {nth}"
            check(result.returncode == 1, f"{where}: exit {result.returncode}: {result.stderr}")
            check(len(result.stderr.strip().splitlines()) == 1, f"{where}: {result.stderr}")
            contains(result.stderr, model)
            succeeds("summary", model)
            folder = os.path.dirname(model)
            check(not temporaries(folder), f"{where}: left {temporaries(folder)}")
            # The last sync, of the folder, fails after the new file has appeared; before it the old one must stand.
            check(read(model) == old or kind == "fsync", f"{where}: the old model is gone")


def test_death_at_each_write_fsync_and_rename():
    if not os.path.exists(SHIM) or is_sanitized():
        print("skipped: the fault shim is not there, or a sanitizer is")
        return
    for kind in ("write", "fsync", "rename"):
        for nth, result, model, _ in each_fault(kind, "exit"):
            left = temporaries(os.path.dirname(model))
            if result.returncode != 0:
                check(result.returncode == 99, f"{kind} {nth}: exit {result.returncode}: {result.stderr}")
            if has_nameless_files():
                check(len(left) == (kind == "rename" and result.returncode != 0), f"{kind} {nth}: left {left}")
            for name in left:
                os.remove(path(f"{kind}-exit/{name}"))
            succeeds("summary", model)
        check(nth > 1, f"the shim ended no {kind}")


def kill_after(seconds, number, words):
    process = subprocess.Popen([CLI, "train", ROWS, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    time.sleep(seconds)
    process.send_signal(number)
    process.wait(timeout=60)
    return process.returncode


def test_ended_writers_leave_nothing():
    """Ctrl-C, a closed terminal, a stopping service: what was written so far goes, and what is ignored stays ignored."""
    folder = path("ended")
    os.makedirs(folder)
    words = [CLI, "synth", "--rows", "100000000", "-o", os.path.join(folder, "rows.csv")]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while not os.listdir(folder):
            check(time.monotonic() < end, "nothing is written within a minute")
            time.sleep(0.01)
        process.send_signal(number)
        check(process.wait(timeout=60) == -number, f"signal {number}: exit {process.returncode}")
        check(not os.listdir(folder), f"signal {number} leaves {os.listdir(folder)}")
    ignoring = subprocess.Popen(["nohup", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    while not os.listdir(folder):
        time.sleep(0.01)
    ignoring.send_signal(signal.SIGHUP)
    time.sleep(0.1)
    check(ignoring.poll() is None, "nohup does not help")
    ignoring.terminate()
    ignoring.wait(timeout=60)
    check(not os.listdir(folder), "something is left")


def test_killed_at_random_moments():
    """Fifty kills: the model file is always whole, and going on from the last checkpoint ends with the bytes of the run that nobody killed."""
    whole, model, checkpoint = path("whole.safetensors"), path("killed.safetensors"), path("check.safetensors")
    words = [*SMALL, "--epochs", "6", "--patience", "0", "--dropout", "0.2", "--quiet"]
    start = time.monotonic()
    succeeds("train", ROWS, *words, "-o", whole)
    length = time.monotonic() - start
    dice = random.Random(7)
    kills = resumed = 0
    while kills < 50:
        going_on = ["--resume", checkpoint] if os.path.exists(checkpoint) else []
        resumed += len(going_on) > 0
        code = kill_after(dice.uniform(0, length), signal.SIGKILL,
                          [*words, "-o", model, "--checkpoint", checkpoint, "--checkpoint-every", "3", *going_on])
        if os.path.exists(model):
            succeeds("summary", model)
        if code == 0:
            check(read(model) == read(whole), f"after {kills} kills the resumed run ends with other bytes")
            os.remove(model)
            os.remove(checkpoint)
        else:
            kills += 1
    going_on = ["--resume", checkpoint] if os.path.exists(checkpoint) else []
    succeeds("train", ROWS, *words, "-o", model, *going_on)
    check(read(model) == read(whole), "after all kills the resumed run ends with other bytes")
    check(resumed > 0, "no run was resumed")
    if has_nameless_files():
        # One that died between a file's naming and its renaming leaves a name, which the next that takes that file's place removes.
        succeeds("train", ROWS, *words, "-o", model, "--checkpoint", checkpoint)
        succeeds("train", ROWS, *words, "-o", model, "--checkpoint", checkpoint)
        check(not temporaries(path(".")), f"left {temporaries(path('.'))}")


def test_interrupt_saves_and_resumes():
    whole, model, checkpoint = path("whole2.safetensors"), path("stopped.safetensors"), path("check2.safetensors")
    words = [*SMALL, "--epochs", "40", "--patience", "0", "--quiet"]
    start = time.monotonic()
    succeeds("train", ROWS, *words, "-o", whole)
    length = time.monotonic() - start
    code = kill_after(length / 2, signal.SIGINT, [*words, "-o", model, "--checkpoint", checkpoint])
    check(code == 0, f"exit {code} after an interrupt")
    succeeds("summary", model)
    succeeds("train", ROWS, *words, "-o", model, "--resume", checkpoint)
    check(read(model) == read(whole), "the resumed run ends with other bytes")


def test_encoding_in_too_little_memory():
    """Whatever it is that finds no memory: the file is the old one, or the new one is there and the exit code says so."""
    if is_sanitized():
        print("skipped: a sanitizer takes more address space than it may")
        return
    rows, output = path("many.csv"), path("encoded.safetensors")
    succeeds("synth", "--rows", "300000", "-o", rows)
    succeeds("encode", ROWS, "-q", "-o", output)
    old, codes = read(output), set()
    for limit in range(150 << 20, 250 << 20, 4 << 20):
        result = subprocess.run([CLI, "encode", rows, "-q", "--threads", "2", "-o", output], capture_output=True, text=True,
                                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
        codes.add(result.returncode)
        is_old = read(output) == old
        check((result.returncode, is_old) in ((0, False), (1, True)), f"{limit >> 20} MB: {result.returncode}, {is_old}: {result.stderr}")
        with open(output, "wb") as file:
            file.write(old)
    check(codes == {0, 1}, f"all of them ended with {codes}")


if __name__ == "__main__":
    sys.exit(main("cli_faults", globals()))
