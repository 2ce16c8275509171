"""Vowpal Wabbit from its cache of parsed rows, with its default update (adaptive, normalised, invariant); the time of a run over one row is taken off, so that
the program's start is not in it."""
import json
import os
import resource
import subprocess
import sys
import time
from importlib.metadata import version

from timing import log_loss

def vw(*arguments):
    """Seconds that it takes."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "vowpalwabbit", *arguments, "--quiet"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit((done.stderr or done.stdout).strip().splitlines()[-1])
    return time.perf_counter() - start


def main():
    request = json.loads(sys.argv[1])
    folder, train = request["folder"], request["train"]
    model, cache, predicted, one = (os.path.join(folder, name) for name in ("vw.model", "vw.cache", "vw.out", "one.vw"))
    settings = ["--loss_function", "logistic", "-b", "24", "--random_seed", "1"]
    with open(train) as rows, open(one, "w") as file:
        file.write(rows.readline())
    start = min(vw("-d", one, *settings) for _ in range(3))
    vw("-d", train, "--cache_file", cache, "-k", *settings, "-f", model)  # parses, and is the pass that is judged
    rates = [request["rows"] / (vw("-d", train, "--cache_file", cache, *settings) - start) for _ in range(request["repeats"])]
    if min(rates) <= 0:
        sys.exit("too few rows to time Vowpal Wabbit with")
    vw("-d", request["held_out"], "-t", "-i", model, "-p", predicted, "--link", "logistic")
    with open(predicted) as file, open(request["held_out"]) as truth:
        loss = log_loss([float(line) for line in file], [float(line.split(" ", 1)[0]) > 0 for line in truth])
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(json.dumps({"train": rates, "log_loss": loss, "memory": memory, "versions": {"vowpalwabbit": version("vowpalwabbit")}}))


if __name__ == "__main__":
    main()
