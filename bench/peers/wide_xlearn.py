"""xLearn from its own parsed file: the seconds that it prints for each epoch, without reading, and its log loss after one pass."""
import json
import os
import re
import resource
import sys

import xlearn

from timing import log_loss


def create(kind):
    return {"lr": xlearn.create_linear, "fm": xlearn.create_fm, "ffm": xlearn.create_ffm}[kind]()


def fit(request, epochs, model):
    learner = create(request["kind"])
    learner.setTrain(request["train"])
    learner.disableEarlyStop()
    settings = {"task": "binary", "opt": "adagrad", "lr": 0.2, "lambda": 0.00002, "k": request["width"], "epoch": epochs}
    learner.fit({**settings, "nthread": request["threads"] or os.cpu_count()}, model)
    return learner


def seconds_of_epochs(log):
    """The last column of xLearn's table: percentage, epoch, log loss, seconds."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", log)
    return [float(found) for found in re.findall(r"%\s*\]\s*\d+\s+[\d.]+\s+([\d.]+)", plain)]


def main():
    request = json.loads(sys.argv[1])
    out, log_path = os.dup(1), os.path.join(request["folder"], "xlearn.log")
    log = os.open(log_path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.dup2(log, 1)  # what the C++ part prints
    model, predicted = (os.path.join(request["folder"], name) for name in ("xlearn.model", "xlearn.out"))
    learner = fit(request, 1, model)
    learner.setTest(request["held_out"])
    learner.setSigmoid()
    learner.predict(model, predicted)
    fit(request, request["repeats"], model)
    os.dup2(out, 1)
    with open(log_path) as file:
        seconds = seconds_of_epochs(file.read())
    if len(seconds) != 1 + request["repeats"]:
        sys.exit(f"xLearn's table of epochs is not as expected: {seconds}")
    with open(predicted) as file, open(request["held_out"]) as truth:
        loss = log_loss([float(line) for line in file], [int(line.split(" ", 1)[0]) for line in truth])
    result = {"train": [request["rows"] / s for s in seconds[1:]], "log_loss": loss, "versions": {"xlearn": "0.40a1"}}
    result["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(result))


if __name__ == "__main__":
    main()
