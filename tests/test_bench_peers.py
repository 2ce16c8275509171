#!/usr/bin/env python3
"""bench/peers/peers.py at a tiny size comes in: that deepfm and the PyTorch loop train on the same rows, learn, and stand in one table is checked. Skipped
where torch is not installed."""

import importlib.util
import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
from _cli import CLI, check, contains, main, path, read  # noqa: E402

if importlib.util.find_spec("torch") is None or importlib.util.find_spec("numpy") is None:
    print("skipped: torch is not installed")
    sys.exit(77)

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench", "peers", "peers.py")

if b"__asan_init" in read(CLI) or b"__tsan_init" in read(CLI):
    print("skipped: a library under a sanitizer does not load into a plain python")
    sys.exit(77)


def peers(*arguments):
    command = [sys.executable, SCRIPT, "--deepfm", CLI, "--repeats", "1", "--seconds", "0.05", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=500)


def test_both_sides_learn_and_stand_in_one_table():
    done = peers("--shapes", "tiny", "--peers", "deepfm,torch-exact", "--output", path("p.md"), "--json", path("p.json"))
    check(done.returncode == 0, done.stderr)
    contains(done.stdout, "| deepfm, exact Adam |", "| PyTorch loop, exact Adam |")
    check(read(path("p.md")).decode() + "\n" == done.stdout, "the file is not what was printed")
    results = dict(json.loads(read(path("p.json")))[0]["results"])
    check(set(results) == {"deepfm", "torch-exact"}, results.keys())
    for name, result in results.items():
        check(all(rate > 0 for rate in result["train"] + result["predict"]), f"{name}: {result}")
        check(result["memory"] > 0 and result["start_up"] > 0, f"{name}: {result}")
        check(0.4 < result["log_loss"] < 0.692, f"{name} has not learnt: {result['log_loss']}")


def test_a_table_is_made_part_by_part():
    """Runs of other sides stand beside each other, the same run again takes its place; rows are made once."""
    rows, results = path("rows"), path("parts.json")
    peers("--shapes", "tiny", "--rows", rows, "--prepare")
    made = os.stat(os.path.join(rows, "tiny.safetensors")).st_mtime_ns
    for sides, sections in (("deepfm", 1), ("deepfm,deepfm-bf16", 2), ("deepfm", 2)):
        done = peers("--shapes", "tiny", "--rows", rows, "--peers", sides, "--json", results)
        check(done.returncode == 0 and done.stdout.count("## tiny:") == sections, (sides, done.stdout, done.stderr))
    check("| deepfm, exact Adam, bf16 |" in done.stdout and len(json.loads(read(results))) == 2, done.stdout)
    check(os.stat(os.path.join(rows, "tiny.safetensors")).st_mtime_ns == made, "the rows were made again")


def test_what_was_measured_stays_when_it_is_stopped():
    results = path("stopped.json")
    command = [sys.executable, SCRIPT, "--deepfm", CLI, "--repeats", "1", "--seconds", "60", "--shapes", "tiny", "--peers", "deepfm,torch-exact", "--json", results]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    check("tiny: deepfm:" in started.stderr.readline(), "deepfm is not first")
    started.terminate()
    out, err = started.communicate(timeout=60)
    contains(err, "stopped; the table has what was measured so far")
    contains(out, "| deepfm, exact Adam |")
    check([name for name, _ in json.loads(read(results))[0]["results"]] == ["deepfm"], read(results))


def test_a_name_that_is_unknown_is_said():
    done = peers("--peers", "caffe")
    check(done.returncode == 2, done.returncode)
    contains(done.stderr, "there is no peer 'caffe'; there are deepfm,")


if __name__ == "__main__":
    sys.exit(main("bench_peers", globals()))
