#!/usr/bin/env python3
"""Synth rows with one fixed set of values come in, 1, 5 and 20 million of them, and are encoded and trained on; their peaks of memory are shown and compared.
Where memory can be limited for a process (a memory cgroup that this user may make), a file of several times the limit trains nearly as fast as without."""

import json
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from _cli import CLI, check, main, path  # noqa: E402

MILLION = 1000000
TRAIN = ["--width", "8", "--hidden", "16", "--epochs", "1", "--batch-size", "4096", "-q", "--json"]
MB = 1 << 20


def once():
    """A million rows, made once."""
    if not os.path.exists(path("once.csv")):
        subprocess.run([CLI, "synth", "--rows", str(MILLION), "-o", path("once.csv")], check=True)
    return path("once.csv")


def piped(times, *arguments, **options):
    """What a command that reads the standard input makes of the million rows, `times` times over: no more values than once."""
    process = subprocess.Popen([CLI, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)
    for i in range(times):
        with open(once(), "rb") as text:
            header = text.readline()
            if i == 0:
                process.stdin.write(header)
            while piece := text.read(MB):
                process.stdin.write(piece)
    process.stdin.close()
    result = json.loads(process.stdout.read())
    check(process.wait() == 0, f"{arguments} failed")
    return result


def encode(times):
    output = path(f"{times}.safetensors")
    return output, piped(times, "encode", "-", "-o", output, "-q", "--json")


def train(dataset, **options):
    done = subprocess.run([CLI, "train", dataset, "-o", path("m.safetensors"), *TRAIN], stdout=subprocess.PIPE, check=True, **options)
    return json.loads(done.stdout)


def test_memory_does_not_grow():
    figures = []
    print("rows        encode: anonymous  total   train: tables  anonymous  total   MB")
    for times in (1, 5, 20):
        dataset, encoded = encode(times)
        trained = train(dataset)
        sizes = [encoded["memory_anonymous_peak"], encoded["memory_peak"], trained["memory_tables"],
                 trained["memory_anonymous_peak"], trained["memory_peak"]]
        print(f"{times * MILLION:<11,} {sizes[0] // MB:>17} {sizes[1] // MB:>6} {sizes[2] // MB:>15} {sizes[3] // MB:>10} {sizes[4] // MB:>6}", flush=True)
        figures.append(sizes)
        check(sizes[0] < 200 * MB + 40 * 750000, "encoding holds more than its budget")
        check(sizes[3] < 200 * MB + sizes[2], "training holds more than its budget")
        check(sizes[4] < 500 * MB + sizes[2], "training maps more than its budget")
    first, middle, last = figures
    # Rows lie in memory up to 64 MB, then in a file: 5 million are past that. What is kept of each row (of its chunk) is under a byte: 6 MB from 20 to 40 million.
    check(last[0] - middle[0] < 32 * MB, "encoding's memory grows with the rows")
    # 4 bytes a row for exact metrics, up to 64 MB, and the window's row numbers: both end.
    check(last[3] - last[2] - (first[3] - first[2]) < 88 * MB, "training's memory grows with the rows")


def encode_values(rows, values, output):
    """Rows of synth with a column of `values` values beside, through a pipe."""
    column = f"NR == 1 {{ print $0 \",id\"; next }} {{ print $0 \",u\" (NR * 2654435761) % {values} }}"
    synth = subprocess.Popen([CLI, "synth", "--rows", str(rows)], stdout=subprocess.PIPE)
    wider = subprocess.Popen(["awk", column], stdin=synth.stdout, stdout=subprocess.PIPE)
    done = subprocess.run([CLI, "encode", "-", "-o", output, "-q", "--json"], stdin=wider.stdout, stdout=subprocess.PIPE, check=True)
    synth.stdout.close(), wider.stdout.close()
    check(synth.wait() == 0 and wider.wait() == 0, "the rows were not made")
    return json.loads(done.stdout)


def test_memory_of_ten_million_values():
    """20 million rows with some 10^7 values, 4 GB of disk and some minutes: with DFM_MEMORY_TEST_VALUES=1."""
    if not os.environ.get("DFM_MEMORY_TEST_VALUES"):
        print("skipped: DFM_MEMORY_TEST_VALUES is not set")
        return
    dataset = path("values.safetensors")
    encoded = encode_values(20 * MILLION, 7000003, dataset)
    values = sum(field["distinct"] for field in encoded["fields"] if field["kind"] == "category")
    trained = train(dataset)
    os.remove(dataset)
    budgets = {"encode": (encoded, 200 * MB + (40 + 8) * values), "train": (trained, 200 * MB + trained["memory_tables"])}
    for name, (result, budget) in budgets.items():
        anonymous, total = result["memory_anonymous_peak"], result["memory_peak"]
        print(f"{values:,} values, {name}: anonymous {anonymous // MB} of {budget // MB} MB, total {total // MB}", flush=True)
        check(anonymous < budget, f"{name} holds more than its budget")
        check(total < 300 * MB + budget, f"{name} maps more than its budget")
    check(values > 10 * MILLION, "too few values to tell")


# ---- a file larger than memory


def make_group(limit):
    """A folder that limits who is in it, and the file that names its members; None where this machine has none to give."""
    for folder, knob in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = f"{folder}/deepfm-test-{os.getpid()}"
        try:
            os.mkdir(group)
        except OSError:
            continue
        try:
            with open(f"{group}/{knob}", "w") as file:
                file.write(str(limit))
            return group
        except OSError:
            os.rmdir(group)
    return None


def entering(group):
    """What has a process enter the group."""

    def enter():
        with open(f"{group}/cgroup.procs", "w") as file:
            file.write(str(os.getpid()))

    return enter if group else None


def speed_of(dataset, group):
    """Rows a second, from a cold file."""
    with open(dataset, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    result = train(dataset, preexec_fn=entering(group))
    return result["train_rows"] / result["seconds"]


def speed_of_text(times, group):
    """The same of rows that lie in files without a name."""
    result = piped(times, "train", "-", "-o", path("m.safetensors"), *TRAIN, preexec_fn=entering(group))
    return result["train_rows"] / result["seconds"]


def test_file_larger_than_memory():
    limit = 560 * MB
    group = make_group(limit)
    if not group:
        print("skipped: no memory cgroup can be made here")
        return
    try:
        times = int(os.environ.get("DFM_MEMORY_TEST_MILLIONS", "12"))
        dataset, _ = encode(times)
        size = os.path.getsize(dataset)
        turns = [(speed_of(dataset, None), speed_of(dataset, group)) for _ in range(3)]
        free, limited = sorted(turns, key=lambda turn: turn[1] / turn[0])[1]
        print(f"{size / MB:,.0f} MB file: {free:,.0f} rows/s, with {limit // MB} MB of memory {limited:,.0f} ({limited / free:.0%})")
        check(limited > 0.7 * free, "training from a file larger than memory is slow")
        os.remove(dataset)
        spilled = speed_of_text(times, group)
        print(f"rows of text, with as much memory: {spilled:,.0f} rows/s ({spilled / free:.0%})")
        check(spilled > 0.6 * free, "training from rows of text larger than memory is slow")
    finally:
        for _ in range(50):
            try:
                os.rmdir(group)
                break
            except OSError:
                time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main("long_memory", globals()))
