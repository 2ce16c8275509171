#!/usr/bin/env python3
"""Times `deepfm encode` (parse, vocabularies, write) beside pyarrow's and polars' CSV readers, which merely read the same text.

usage: bench/encode.py [--rows 1000000] [--repeats 5] [--deepfm build/release/deepfm] [--output bench/results/encode.md]

All sides run in one run, in turns, each time in a process of its own; import and start-up are not counted, files are in the system's cache. The
table has the medians and the spread of each. pyarrow and polars must be there for the Python that runs this (pip install pyarrow polars).
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

READERS = {
    "pyarrow": """
import sys, time, pyarrow as pa, pyarrow.csv as csv
pa.set_cpu_count(int(sys.argv[2]))
start = time.perf_counter()
table = csv.read_csv(sys.argv[1])
print(time.perf_counter() - start, table.num_rows)
""",
    "polars": """
import os, sys, time
os.environ["POLARS_MAX_THREADS"] = sys.argv[2]
import polars as pl
start = time.perf_counter()
frame = pl.read_csv(sys.argv[1])
print(time.perf_counter() - start, frame.height)
""",
}


def time_reader(name, text, threads):
    command = [sys.executable, "-c", READERS[name], text, str(threads)]
    if threads == 1:
        command = ["taskset", "-c", "0", *command]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(out.split()[0])


def time_encode(deepfm, text, output, threads):
    if os.path.exists(output):
        os.remove(output)
    command = [deepfm, "encode", text, "-o", output, "--threads", str(threads), "--json", "-q"]
    if threads == 1:
        command = ["taskset", "-c", "0", *command]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out)["seconds"]


def cpu_name():
    with open("/proc/cpuinfo") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def measure(arguments, text, output):
    times = {}
    for _ in range(arguments.repeats):
        for threads in (1, 2):
            times.setdefault(("deepfm encode", threads), []).append(time_encode(arguments.deepfm, text, output, threads))
            for name in READERS:
                times.setdefault((f"{name}, reading alone", threads), []).append(time_reader(name, text, threads))
    return times


def report(arguments, times, megabytes):
    lines = [
        f"# Encoding {arguments.rows:,} rows of 39 columns ({megabytes:,.0f} MB)",
        "",
        f"{cpu_name()}; {arguments.repeats} repeats in turns, medians (least to most). Made by bench/encode.py.",
        "",
        "| what | threads | rows/s | MB/s | least - most rows/s | encode is faster by |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for (what, threads), seconds in sorted(times.items(), key=lambda item: (item[0][1], item[0][0])):
        middle = statistics.median(seconds)
        ours = statistics.median(times[("deepfm encode", threads)])
        spread = f"{arguments.rows / max(seconds):,.0f} - {arguments.rows / min(seconds):,.0f}"
        ratio = "" if what == "deepfm encode" else f"{middle / ours:.2f}"
        lines.append(f"| {what} | {threads} | {arguments.rows / middle:,.0f} | {megabytes / middle:,.0f} | {spread} | {ratio} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--deepfm", default=os.path.join(ROOT, "build", "release", "deepfm"))
    parser.add_argument("--output", help="also write the table here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = os.path.join(folder, "rows.csv")
        subprocess.run([arguments.deepfm, "synth", "--rows", str(arguments.rows), "-o", text], check=True)
        times = measure(arguments, text, os.path.join(folder, "rows.safetensors"))
        table = report(arguments, times, os.path.getsize(text) / 1e6)
    print(table, end="")
    if arguments.output:
        with open(arguments.output, "w") as file:
            file.write(table)


if __name__ == "__main__":
    main()
