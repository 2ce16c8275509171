#!/usr/bin/env python3
"""Rows of one time and of a later one come in; that a model which goes on is the model of one run, that every row is scored before it is learnt from,
and that wrong calls are explained, is checked."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from _cli import (  # noqa: E402
    CLI, SMALL, check, contains, fails, main, model_file, path, read, rows_file, rows_text, run, succeeds, write)

ROOT = os.environ.get("DFM_SOURCE_DIR") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
DATA = os.environ.get("DFM_DATA") or os.path.join(ROOT, "..", "shared", "data")
FLIGHTS = os.path.join(DATA, "flights_nyc13", "flights_delay15.csv.gz")
BATCH = 1024


def later_rows():
    """Values v5 to v9 are new, v0 to v4 gone; C2 is as it was."""
    return write("later.csv", rows_text(600, seed=3).replace(",v", ",u"))


def stateful_model():
    succeeds("train", rows_file(), "-o", path("kept.safetensors"), "--keep-state", "--epochs", "2", *SMALL)
    return path("kept.safetensors")


def test_flights_by_time():
    """The first half of a year, then the second: the model that sees all at once, whose vocabulary is known up front."""
    if not os.path.exists(FLIGHTS):
        check(os.environ.get("DFM_REQUIRE_DATA") != "1", f"{FLIGHTS} is missing and DFM_REQUIRE_DATA=1")
        print(f"skipped: {FLIGHTS} is not there")
        return
    with gzip.open(FLIGHTS, "rt") as file:
        header, *rows = file.read().splitlines()
    at = [header.split(",").index(name) for name in ("month", "day", "hour")]
    rows.sort(key=lambda row: [int(row.split(",")[i]) for i in at])
    # The file's months come as 1, 10, 11, 12, 2 ...; a whole number of batches, so that the halves' batches are those of the whole.
    half = len(rows) // 2 // BATCH * BATCH
    parts = {"all": rows, "first": rows[:half], "second": rows[half:]}
    files = {name: write(f"{name}.csv", "\n".join([header, *part]) + "\n") for name, part in parts.items()}
    # log1p is not fitted to rows, so that the first half's is that of all.
    how = ["--progressive", "--model", "fm", "--batch-size", str(BATCH), "--transform", "log", "--json", "-q"]
    succeeds("train", files["first"], "--keep-state", "-o", path("half.safetensors"), *how)
    two = json.loads(
        succeeds("train", files["second"], "--from", path("half.safetensors"), "--admit", "1", "--progressive",
                 "--json", "-q", "-o", path("two.safetensors")).out)
    one = json.loads(succeeds("train", files["all"], "-o", path("one.safetensors"), *how).out)
    check(two["growth"]["admitted"] > 500 and two["growth"]["expired"] == 0, two["growth"])
    print(f"progressive AUC of the second half {two['progressive']['auc']:.4f}, of all {one['progressive']['auc']:.4f}")
    check(two["progressive"]["rows"] == len(parts["second"]), two["progressive"])
    check(two["progressive"]["auc"] > 0.68, two["progressive"])
    scores = [
        succeeds("predict", path(f"{name}.safetensors"), files["second"]).out.split() for name in ("one", "two")]
    furthest = max(abs(float(a) - float(b)) for a, b in zip(*scores))
    check(furthest < 1e-5, f"the two runs' probabilities are {furthest} apart")


def test_progressive_is_printed():
    history = path("history.jsonl")
    done = succeeds("train", rows_file(), "--progressive", "--window", "100", "--history", history, "--json", "-o",
                    path("p.safetensors"), *SMALL)
    contains(done.err, "  rows to 128  loss ", "predicted / observed", "Progressive validation of 400 rows: log loss ",
             "none to validate with")
    lines = [json.loads(line) for line in read(history).splitlines()]
    windows = [line for line in lines if "window" in line]
    check([line["window_end"] for line in windows] == [128, 256, 384, 400], windows)
    check(sum(line["window"]["rows"] for line in windows) == 400, windows)
    whole = json.loads(done.out)["progressive"]
    check(lines[-1]["progressive"]["rows"] == 400 and abs(lines[-1]["progressive"]["auc"] - whole["auc"]) < 1e-6, whole)
    # What it implies may be said otherwise, and it changes no byte.
    words = ["--epochs", "2", "--set", "train.shuffle=true", "--valid-fraction-random", "0.2", "-q", *SMALL]
    succeeds("train", rows_file(), "--progressive", "-o", path("a.safetensors"), *words)
    succeeds("train", rows_file(), "-o", path("b.safetensors"), *words)
    check(read(path("a.safetensors")) == read(path("b.safetensors")), "--progressive changes the model")


def test_growing_is_said():
    said = succeeds("train", later_rows(), "--from", stateful_model(), "-o", path("grown.safetensors")).err
    contains(said, "Going on from", "with its optimizer's state after 12 steps", "45 values kept, 5 admitted, 0 expired")
    contains(succeeds("train", later_rows(), "--from", model_file(), "-o", path("grown.safetensors")).err,
             "keeps no optimizer state (--keep-state), so the optimizer starts anew")
    done = succeeds("train", later_rows(), "--from", model_file(), "--expire-after", "600", "--epochs", "1",
                    "--learning-rate", "0.01", "-o", path("young.safetensors"), "-q", "--json")
    check(json.loads(done.out)["growth"] == {"kept": 45, "admitted": 5, "expired": 0}, done.out)
    done = succeeds("train", later_rows(), "--from", model_file(), "--expire-after", "500", "-q", "--json", "-o",
                    path("young.safetensors"))
    check(json.loads(done.out)["growth"] == {"kept": 40, "admitted": 5, "expired": 5}, done.out)
    contains(succeeds("inspect", path("young.safetensors"), "--field", "C1", "--value", "v1").out, "not in the vocabulary")
    contains(succeeds("summary", path("young.safetensors")).out, "45 values")
    contains(succeeds("summary", stateful_model()).out, "Keeps the optimizer's state after 12 steps")


def test_killed_and_resumed():
    """Kills at random moments: going on from the last checkpoint ends with the bytes of the run that nobody killed."""
    start_from, whole, model, checkpoint = stateful_model(), path("whole.st"), path("killed.st"), path("check.st")
    words = ["train", later_rows(), "--from", start_from, "--progressive", "--epochs", "30", "--keep-state", "-q",
             "--threads", "2"]
    start = time.monotonic()
    succeeds(*words, "-o", whole)
    length, dice, kills = time.monotonic() - start, random.Random(3), 0
    going_on = []
    while kills < 8:
        process = subprocess.Popen(
            [CLI, *words, "-o", model, "--checkpoint", checkpoint, "--checkpoint-every", "3", *going_on])
        time.sleep(dice.uniform(0, length))
        process.send_signal(signal.SIGKILL)
        kills += process.wait(timeout=60) != 0
        going_on = ["--resume", checkpoint] if os.path.exists(checkpoint) else []
    succeeds(*words, "-o", model, *going_on)
    check(read(model) == read(whole), "the resumed run ends with other bytes")


def test_wrong_calls():
    model, later, output = stateful_model(), later_rows(), path("never.safetensors")
    calls = [
        (["--from", model, "--schema", "s.yaml"], 2, ["--schema and --from exclude each other"]),
        (["--from", model, "--label", "label"], 2, ["--label and --from exclude each other"]),
        (["--from", model, "--init", model], 2, ["--init and --from exclude each other"]),
        (["--from", model, "--cache", "kept"], 2, ["--cache keeps rows as a new model encodes them"]),
        (["--admit", "2"], 2, ["--admit is for --from"]),
        (["--expire-after", "2"], 2, ["--expire-after is for --from"]),
        (["--window", "2"], 2, ["--window is for --progressive"]),
        (["--from", model, "--width", "5"], 1, ["embedding.width is 5, but 4 in the model to go on from"]),
        (["--from", model, "--set", "fields.C1.min_count=2"], 1, ["fields.C1.min_count is 2, but not set"]),
        (["--from", model, "--optimizer", "sgd"], 1, ["optimizer.name is not adam, whose state"]),
        (["--from", later], 1, [later, "no valid safetensors file"]),
        (["--progressive", "--model", "lr", "--optimizer", "lbfgs"], 1, ["leave progressive validation out"]),
        (["--keep-state", "--model", "lr", "--optimizer", "lbfgs"], 1, ["has no state to keep"]),
    ]
    for words, code, parts in calls:
        fails("train", later, *words, "-q", "-o", output, code=code, parts=parts, output=output)
    before = read(model)
    fails("train", later, "--from", model, "-o", model, code=2, parts=["--output would overwrite the model of --from"])
    check(read(model) == before, "the model of --from was touched")


def test_wrong_rows():
    model, output = stateful_model(), path("never.safetensors")
    rows = [
        (write("empty.csv", "label,C1,C2,I1\n"), ["empty.csv has a header but no rows"]),
        (write("other.csv", "label,C1,I1\n0,v1,3\n"), ["other.csv:1:", "no column 'C2'"]),
        (write("unlabelled.csv", "C1,C2,I1\nv1,w1,3\n"), ["no column 'label'"]),
        (write("nothing.csv", ""), ["nothing.csv"]),
    ]
    for file, parts in rows:
        fails("train", file, "--from", model, "-q", "-o", output, parts=parts, output=output)
    bad = write("bad.csv", read(later_rows()).decode() + "2,v1,w1,3\n1,v1,w1,cheap\n0,v77,w1,1\n")
    fails("train", bad, "--from", model, "-q", "-o", output, parts=["bad.csv:602:"], output=output)
    done = succeeds("train", bad, "--from", model, "--skip-bad-rows", "2", "--admit", "1", "--json", "-o", path("s.safetensors"))
    contains(done.err, "Left out ")
    check(json.loads(done.out)["train_rows"] + json.loads(done.out)["valid_rows"] == 601, done.out)
    check(json.loads(done.out)["growth"]["kept"] == 45, done.out)


# Everything that turns cells into values: lists with weights, a shared table, buckets, hashes, logarithms, gaps.
MANY_SCHEMA = """missing: ["?"]
label: {positive: ["yes"], negative: ["no"]}
columns:
  - {name: label, kind: label}
  - {name: a, kind: category}
  - {name: b, kind: category, share: a}
  - {name: tags, kind: list, separator: "|", weights: ":"}
  - {name: price, kind: category, PRICE}
  - {name: word, kind: category, WORD}
  - {name: count, kind: category, transform: log2}
  - {name: x, kind: number}
  - {name: w, kind: weight}
"""
KEPT = ["--set", "data.vocabulary_from=all"]


def many_rows(name, rows, seed, low):
    """Values of a and b rise with `low`."""
    dice, lines = random.Random(seed), ["label,a,b,tags,price,word,count,x,w"]
    for _ in range(rows):
        a, b = low + int(dice.expovariate(0.2)), low + int(dice.expovariate(0.3))
        tags = "|".join(f"t{dice.randrange(low, low + 9)}:{dice.randrange(1, 9) / 4}" for _ in range(dice.randrange(4)))
        cells = [["yes", "no", "0", "1"][dice.randrange(4)], f"value number {a}", dice.choice(["?", "", f"value number {b}"]), tags,
                 dice.choice(["", f"{dice.randrange(999) / 7:.3f}"]), dice.choice(["", "?", f"w{dice.randrange(low, 99)}"]),
                 dice.choice(["", str(dice.randrange(5000))]), dice.choice(["?", f"{dice.uniform(-9, 9):.4f}"]), "0.5"]
        lines.append(",".join(cells))
    return write(name, "\n".join(lines) + "\n")


def test_dataset_file_goes_on_as_its_text():
    """A file's values get the ids that its text's would: however both runs split their rows, the models are the same."""
    monday, tuesday, later = many_rows("mon.csv", 900, 1, 0), many_rows("tue.csv", 700, 2, 6), many_rows("wed.csv", 300, 3, 8)
    with_buckets = write("buckets.yaml", MANY_SCHEMA.replace("PRICE", "buckets: 8").replace("WORD", "hash: 50"))
    plain = write("plain.yaml", MANY_SCHEMA.replace(", PRICE", "").replace(", WORD", ""))
    model, encoded, valid = path("mon.safetensors"), path("tue.safetensors"), path("wed.safetensors")
    succeeds("train", monday, "--schema", with_buckets, "--keep-state", "-o", model, "-q", "--min-count", "2", *SMALL)
    succeeds("encode", later, "--schema", plain, "-o", valid, "-q", *KEPT)
    ways = [[], ["--valid-split", "0.3"], ["--progressive"], ["--admit", "1", "--expire-after", "400", "--threads", "3"]]
    for split in (["--valid-fraction-random", "0"], ["--valid-fraction-random", "0.3"], ["--valid-split", "0.2"]):
        succeeds("encode", tuesday, "--schema", plain, "-o", encoded, "-q", *KEPT, *split)
        for way in ways:
            succeeds("train", tuesday, "--from", model, "-q", "-o", path("text.safetensors"), *way)
            succeeds("train", encoded, "--from", model, "-q", "-o", path("file.safetensors"), *way)
            check(read(path("text.safetensors")) == read(path("file.safetensors")), f"{split} {way} make another model")
        check(succeeds("predict", model, encoded).out == succeeds("predict", model, tuesday).out, "other probabilities")
    succeeds("train", tuesday, "--valid", later, "--from", model, "-q", "-o", path("text.safetensors"))
    for data, held in ((encoded, valid), (tuesday, valid), (encoded, later)):
        succeeds("train", data, "--valid", held, "--from", model, "-q", "-o", path("file.safetensors"))
        check(read(path("text.safetensors")) == read(path("file.safetensors")), f"{data} and {held} make another model")


def test_long_dataset_file_goes_on_at_any_number_of_threads():
    """More rows than are read at once, in another order than the text's."""
    plain = write("plain.yaml", MANY_SCHEMA.replace(", PRICE", "").replace(", WORD", ""))
    model, encoded, tuesday = path("mon.safetensors"), path("long.safetensors"), many_rows("long.csv", 20000, 2, 6)
    succeeds("train", many_rows("mon.csv", 900, 1, 0), "--schema", plain, "-o", model, "-q", *SMALL)
    succeeds("encode", tuesday, "--schema", plain, "-o", encoded, "-q", *KEPT)
    succeeds("train", tuesday, "--from", model, "-q", "-o", path("text.safetensors"), "--epochs", "1", "--batch-size", "512")
    for threads in ("1", "2", "3", "8"):
        succeeds("train", encoded, "--from", model, "-q", "-o", path("file.safetensors"), "--epochs", "1", "--batch-size", "512",
                 "--threads", threads)
        check(read(path("text.safetensors")) == read(path("file.safetensors")), f"{threads} threads make another model")
    check(succeeds("predict", model, encoded).out == succeeds("predict", model, tuesday).out, "other probabilities")


def test_dataset_file_with_labels_of_another_schema():
    """Numbers alone have no vocabulary that could tell the schemas apart."""
    rows = write("n.csv", "y,x\n" + "".join(f"{i % 4 // 3},{i * 37 % 101}\n" for i in range(400)))
    schema, turned = write("n.yaml", "label: y\ncolumns:\n  - {name: y, kind: label}\n  - {name: x, kind: number}\n"), path("turned.safetensors")
    other = write("t.yaml", "label: {column: y, positive: ['0'], negative: ['1']}\ncolumns:\n  - {name: y, kind: label}\n  - {name: x, kind: number}\n")
    model, same = path("m.safetensors"), path("same.safetensors")
    succeeds("train", rows, "--schema", schema, "-o", model, "-q", "--model", "lr", "--epochs", "1")
    succeeds("encode", rows, "--schema", schema, "-o", same, "-q")
    succeeds("eval", model, same)
    succeeds("encode", rows, "--schema", other, "-o", turned, "-q")
    for command in ("eval", "predict"):
        fails(command, model, turned, parts=["other missing words, spaces or labels"])


def test_dataset_file_that_has_lost_values():
    tuesday, model, encoded, output = many_rows("tue.csv", 700, 2, 6), path("m.safetensors"), path("t.safetensors"), path("n.safetensors")
    plain = write("plain.yaml", MANY_SCHEMA.replace(", PRICE", "").replace(", WORD", ""))
    succeeds("train", many_rows("mon.csv", 900, 1, 0), "--schema", plain, "-o", model, "-q", *SMALL)
    schema = read(plain).decode()
    other = write("other.csv", read(tuesday).decode().replace(",a,", ",other,"))
    ways = [
        (tuesday, schema, [], ["has lost the values of", "cells of column 'a'", "data.vocabulary_from=all"]),
        (tuesday, schema, [*KEPT, "--min-count", "2"], ["has lost the values of", "data.min_count=1"]),
        (tuesday, schema, [*KEPT, "--set", "fields.word.hash=50"], ["has buckets in place of values in column 'word'"]),
        (tuesday, schema, [*KEPT, "--set", "fields.price.buckets=5"], ["has buckets in place of values in column 'price'"]),
        (tuesday, schema.replace('"?"', '"?", "none"'), KEPT, ["other missing words, spaces or labels"]),
        (tuesday, schema.replace("x, kind: number", "x, kind: category"), KEPT, ["another schema", "column 'x'"]),
        (tuesday, schema.replace("price, kind: category", "price, kind: number"), KEPT, ["another schema", "column 'price'"]),
        (tuesday, schema.replace(', weights: ":"', ""), KEPT, ["another schema", "column 'tags'"]),
        (other, schema.replace("name: a,", "name: other,").replace("share: a", "share: other"), KEPT, ["has no column 'a'"]),
        (tuesday, schema, [*KEPT, "--valid", tuesday], ["has validation rows of another text"]),
    ]
    for data, yaml, words, parts in ways:
        succeeds("encode", data, "--schema", write("way.yaml", yaml), "-o", encoded, "-q", *words)
        fails("train", encoded, "--from", model, "-q", "-o", output, parts=["t.safetensors", *parts], output=output)
    succeeds("encode", tuesday, "--schema", write("text.yaml", schema.replace("count, kind: category, transform: log2", "count, kind: category")),
             "-o", encoded, "-q", *KEPT)
    succeeds("train", encoded, "--from", model, "-q", "-o", output)
    strict = write("strict.yaml", schema.replace("name: word,", "name: word, unknown: error,"))
    succeeds("train", tuesday, "--schema", strict, "-o", model, "-q", "--valid-fraction-random", "0", *SMALL)
    bad = write("bad.csv", read(tuesday).decode() + "1,,,,,never seen,,,1\n")
    succeeds("encode", bad, "--schema", plain, "-o", encoded, "-q", *KEPT)
    fails("train", encoded, "--from", model, "-q", "-o", path("strict.st"), "--valid-split", "0.01", output=path("strict.st"),
          parts=["t.safetensors, row 701: column 'word' has a value that the vocabulary lacks: 'never seen'"])


def test_progressive_does_as_told():
    """One epoch without validation rows is a default; what is asked for comes on top, and the rows scored are the first epoch's."""
    common = [rows_file(), "--progressive", "--json", "-q", "-o", path("told.safetensors"), *SMALL]
    plain = json.loads(succeeds("train", *common).out)
    check((plain["epochs"], plain["valid"], plain["progressive"]["rows"]) == (1, None, 400), plain)
    more = json.loads(succeeds("train", *common, "--epochs", "2", "--valid", rows_file()).out)
    check((more["epochs"], more["valid"]["rows"], more["progressive"]["rows"]) == (2, 400, 400), more)
    check(more["progressive"] == plain["progressive"], "the second epoch's rows were scored too")


if __name__ == "__main__":
    sys.exit(main("cli_grow", globals()))
