#!/usr/bin/env python3
"""Times `deepfm train` beside what its user would take instead, on the same encoded rows in one run, and prints a Markdown table.

usage: bench/peers/peers.py [--envs DIRECTORY] [--peers deepfm,torch-lazy,...] [--shapes S,M,L,wide] [--repeats 3] [--seconds 1.5]
                            [--deepfm build/release/deepfm] [--rows DIRECTORY] [--json FILE] [--output bench/results/peers.md]

With --json one table may be made part by part, a shape or some peers at a time: FILE keeps the results of all runs, and the table has a section for each. Ratios
are taken within a run. --rows keeps the rows, so that they need not be made again; --prepare makes them and times nothing. The environments' DIRECTORY is where bench/peers/install.py has put the peers; without it they must be there for the Python that runs this. Each side runs in a process of its own, one behind the other; see bench/README.md for what is
counted. What does not run is said in one line and left out of the table. `--list` names peers and shapes.
"""
import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)

import deep_deepfm  # noqa: E402
import wide  # noqa: E402
from shapes import SHAPES  # noqa: E402


class Peer:
    def __init__(self, title, environment=None, script=None, update="exact", precision="float32"):
        self.title, self.environment, self.script, self.update, self.precision = title, environment, script, update, precision


PEERS = {
    "deepfm": Peer("deepfm, exact Adam"),
    "deepfm-bf16": Peer("deepfm, exact Adam, bf16", precision="bf16"),
    "deepfm-lazy": Peer("deepfm, lazy Adam", update="lazy"),
    "torch-lazy": Peer("PyTorch loop, lazy Adam", "torch", "deep_torch.py", update="lazy"),
    "torch-bf16": Peer("PyTorch loop, lazy Adam, bf16", "torch", "deep_torch.py", update="lazy", precision="bf16"),
    "torch-exact": Peer("PyTorch loop, exact Adam", "torch", "deep_torch.py"),
    "deepctr": Peer("DeepCTR (Keras), exact Adam", "keras", "deep_deepctr.py"),
    "deepctr-torch": Peer("DeepCTR-Torch, exact Adam", "torch", "deep_deepctr_torch.py"),
}
SECONDS_AT_MOST = 170  # of one peer at one shape
BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")


def has_bf16():
    """Whether the CPU multiplies bfloat16; where it does not, PyTorch emulates it at a twentieth of the speed."""
    with open("/proc/cpuinfo") as lines:
        words = {word for line in lines if line.startswith(("flags", "Features")) for word in line.split()}
    return any(flag in words for flag in BF16_FLAGS)


def default_peers():
    """All but lazy Adam on our side, which `deepfm bench` compares, and what this CPU only emulates."""
    left_out = ["deepfm-lazy"] + ([] if has_bf16() else ["deepfm-bf16", "torch-bf16"])
    return [name for name in [*PEERS, *wide.PEERS] if name not in left_out]


def python_of(arguments, environment):
    if not arguments.envs:
        return sys.executable
    path = os.path.join(arguments.envs, environment, "bin", "python")
    if not os.path.exists(path):
        raise RuntimeError(f"{path} is not there; install it with bench/peers/install.py {arguments.envs} {environment}")
    return path


def any_python(arguments):
    """One that has numpy: that of any environment, else the one that runs this."""
    for environment in ("torch", "keras", "wide"):
        try:
            return python_of(arguments, environment)
        except RuntimeError:
            continue
    return sys.executable


def child_environment():
    """The libraries' own choice of threads and processor; xLearn dies without a user's name."""
    return {"USER": "user", **os.environ, "PYTHONDONTWRITEBYTECODE": "1"}


def run_script(python, script, request, seconds=SECONDS_AT_MOST):
    """What a peer's process prints as its last line, as JSON."""
    request = {**request, "started": time.time()}
    command = [python, os.path.join(HERE, script), json.dumps(request)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=child_environment())
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"took more than {seconds} s") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        raise RuntimeError(lines[-1][:300])
    return json.loads(done.stdout.strip().splitlines()[-1])


def make_rows(arguments, shape, folder):
    """The shape's dataset file, where it is not there; validation rows are its last."""
    text, data = os.path.join(folder, f"{shape.name}.csv"), os.path.join(folder, f"{shape.name}.safetensors")
    if os.path.exists(data):
        return data
    subprocess.run([any_python(arguments), os.path.join(HERE, "rows.py"), shape.name, text], check=True, env=child_environment())
    share = shape.held_out / (shape.rows + shape.held_out)
    command = [arguments.deepfm, "encode", text, "--schema", text + ".yaml", "--valid-split", repr(share), "-o", data, "-q"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    os.remove(text)
    return data


def time_peer(arguments, peer, shape, data):
    request = {"shape": shape.name, "data": data, "update": peer.update, "precision": peer.precision}
    request.update(seconds=arguments.seconds, repeats=arguments.repeats, deepfm=arguments.deepfm)
    if not peer.script:
        return deep_deepfm.measure(request, shape)
    return run_script(python_of(arguments, peer.environment), peer.script, request)


def time_shape(arguments, shape, folder, results):
    """Adds (name, result) for each side, without those that do not run."""
    data = make_rows(arguments, shape, folder)
    for name in arguments.peers:
        if name not in PEERS:
            continue
        start = time.time()
        try:
            results.append((name, time_peer(arguments, PEERS[name], shape, data)))
        except RuntimeError as error:
            print(f"{shape.name}: {name} is left out: {error}", file=sys.stderr)
            continue
        print(f"{shape.name}: {name}: {statistics.median(results[-1][1]['train']):,.0f} rows/s, in {time.time() - start:.0f} s", file=sys.stderr)


def cpu_name():
    with open("/proc/cpuinfo") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def spread(rates):
    return f"{statistics.median(rates):,.0f} ({min(rates):,.0f} - {max(rates):,.0f})"


def table_of(shape, results):
    lines = [
        f"## {shape.title()}",
        "",
        "| what | training rows/s | deepfm / this | deepfm bf16 / this | prediction rows/s | deepfm / this | peak memory | first step after | log loss after rows | how |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    found = dict(results)

    def ratio(ours, name, rates):
        if ours not in found or ours == name:
            return ""
        return f"{statistics.median(found[ours][rates]) / statistics.median(found[name][rates]):.2f}"

    for name, result in results:
        lines.append(
            f"| {PEERS[name].title} | {spread(result['train'])} | {ratio('deepfm', name, 'train')} | {ratio('deepfm-bf16', name, 'train')} "
            f"| {spread(result['predict'])} | {ratio('deepfm', name, 'predict')} "
            f"| {result['memory'] / 1e9:.2f} GB | {result['start_up']:.2f} s | {result['log_loss']:.4f} after {result['rows_seen']:,} | {result['mode']} |"
        )
    return lines + [""]


def report(runs):
    """The table of runs, each {"shape", "cpu", "repeats", "results": [[name, result], ...]}; all sides of a section were in one run."""
    versions = {}
    for run in runs:
        for _, result in run["results"]:
            versions.update(result["versions"])
    named = "".join(f"; {name} {version}" for name, version in sorted(versions.items()))
    spans = " or ".join(str(n) for n in sorted({run["repeats"] for run in runs}))
    lines = [
        "# deepfm beside its peers",
        "",
        f"{'; '.join(sorted({run['cpu'] for run in runs}))}{named}. Medians (least - most) of {spans} spans; the sides of a section in one run, one behind the other, on the",
        "same encoded rows: 26 category and 13 number fields. Warm-up and compilation are not counted. Made by bench/peers/peers.py; bench/README.md says how.",
        "",
    ]
    for run in runs:
        lines += wide.table_of(run["results"]) if run["shape"] == "wide" else table_of(SHAPES[run["shape"]], run["results"])
    return "\n".join(lines)


def add_runs(path, runs):
    """Those that the file at `path` has, but for what was run again, and `runs`, in the order of shapes; the file then holds them all."""
    kept = []
    if os.path.exists(path):
        with open(path) as file:
            kept = json.load(file)
    again = [(run["shape"], [name for name, _ in run["results"]]) for run in runs]
    kept = [run for run in kept if (run["shape"], [name for name, _ in run["results"]]) not in again]
    runs = sorted(kept + runs, key=lambda run: [*SHAPES, "wide"].index(run["shape"]))
    with open(path, "w") as file:
        json.dump(runs, file)
    return runs


def parse():
    known = [*PEERS, *wide.PEERS]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--envs", help="where bench/peers/install.py has put the peers (default: this Python has them)")
    parser.add_argument("--peers", default=",".join(default_peers()), help="which sides (default: %(default)s)")
    parser.add_argument("--shapes", default="S,M,L,wide")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each span of a peer")
    parser.add_argument("--deepfm", default=os.path.join(ROOT, "build", "release", "deepfm"))
    parser.add_argument("--output", help="also write the table here")
    parser.add_argument("--json", help="keep all results here, beside those of earlier runs, which the table then has too")
    parser.add_argument("--rows", help="make rows in this folder, where they are not there, and keep them")
    parser.add_argument("--prepare", action="store_true", help="make the rows (--rows), and time nothing")
    parser.add_argument("--list", action="store_true", help="names peers and shapes")
    arguments = parser.parse_args()
    if arguments.list:
        print("peers: " + " ".join(known) + "\nshapes: " + " ".join(SHAPES) + " wide")
        sys.exit(0)
    if arguments.prepare and not arguments.rows:
        parser.error("--prepare makes rows to keep; say where by --rows")
    arguments.peers, arguments.shapes = arguments.peers.split(","), arguments.shapes.split(",")
    for what, given, names in (("peer", arguments.peers, known), ("shape", arguments.shapes, [*SHAPES, "wide"])):
        for name in given:
            if name not in names:
                parser.error(f"there is no {what} '{name}'; there are {', '.join(names)}")
    return arguments


class Stopped(BaseException):
    """By a signal, such as that of a time limit."""


def stop(*_):
    raise Stopped


def measure(arguments, folder):
    """The runs of all shapes asked for; what was measured of them where they are stopped."""
    runs = []
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        for name in arguments.shapes:
            runs.append({"shape": name, "cpu": cpu_name(), "repeats": arguments.repeats, "results": []})
            if name == "wide":
                wide.measure(arguments, run_script, python_of, folder, runs[-1]["results"])
            else:
                time_shape(arguments, SHAPES[name], folder, runs[-1]["results"])
    except Stopped:
        print(f"{name}: stopped; the table has what was measured so far", file=sys.stderr)
    return runs


def prepare(arguments):
    for name in arguments.shapes:
        if name == "wide":
            wide.prepare(arguments, python_of)
        else:
            make_rows(arguments, SHAPES[name], arguments.rows)


def main():
    arguments = parse()
    if arguments.rows:
        os.makedirs(arguments.rows, exist_ok=True)
    if arguments.prepare:
        prepare(arguments)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        runs = measure(arguments, arguments.rows or folder)
    is_whole = all(run["results"] for run in runs)
    runs = [run for run in runs if run["results"]]
    text = report(add_runs(arguments.json, runs) if arguments.json else runs)
    print(text)
    if arguments.output:
        os.makedirs(os.path.dirname(os.path.abspath(arguments.output)), exist_ok=True)
        with open(arguments.output, "w") as file:
            file.write(text)
    return 0 if is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
