#!/usr/bin/env python3
"""Command lines come in; exit codes, results, files and help of the built program are checked."""

import gzip
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from _cli import (
    CLI,
    SMALL,
    check,
    contains,
    fails,
    leftovers,
    main,
    model_file,
    path,
    read,
    rows_file,
    rows_text,
    run,
    schema_file,
    succeeds,
    write,
    zst_of,
)  # noqa: E402

SOURCE = os.environ.get("DFM_SOURCE_DIR", os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))


# ---- the happy path


def test_end_to_end():
    data, model = write("all.csv", rows_text(2000)), path("all.safetensors")
    result = succeeds("train", data, "-o", model, "--epochs", "4", "--history", path("h.jsonl"), "--json", *SMALL)
    contains(
        result.err,
        "rows to train on",
        "to validate with",
        "2 category and 1 number fields",
        "Epoch 1/4",
        "val_auc",
        "Kept epoch",
        f"deepfm eval {model}",
        f"deepfm predict {model} {data} -o predictions.txt",
        "deepfm summary",
        "deepfm inspect",
    )
    done = json.loads(result.out)
    check(done["model"] == model and done["train_rows"] + done["valid_rows"] == 2000, done)
    check(100 < done["valid_rows"] < 300, done)
    check(0.5 < done["valid"]["auc"] <= 1, done)
    check(1 <= done["best_epoch"] <= done["epochs"] <= 4, done)
    history = [json.loads(line) for line in read(path("h.jsonl")).decode().splitlines()]
    check(len(history) == done["epochs"], history)

    text = succeeds("eval", model, data).out
    contains(text, "rows", "2,000", "log loss", "AUC", "accuracy", "mean predicted", "mean observed")
    measured = json.loads(succeeds("eval", model, data, "--json").out)["metrics"]
    check(measured["rows"] == 2000 and measured["auc"] > 0.6, measured)
    check(abs(measured["mean_predicted"] - measured["mean_observed"]) < 0.1, measured)

    predictions = [float(line) for line in succeeds("predict", model, data).out.splitlines()]
    check(len(predictions) == 2000 and all(0 <= p <= 1 for p in predictions), len(predictions))
    labels = [int(line.split(",")[0]) for line in rows_text(2000).splitlines()[1:]]
    mean = sum(predictions) / 2000
    check(abs(mean - measured["mean_predicted"]) < 1e-6, mean)
    order = sorted(zip(predictions, labels))
    pairs = sum(1 for y in labels if y) * sum(1 for y in labels if not y)
    wins, negatives = 0, 0
    for _, y in order:
        negatives += not y
        wins += negatives if y else 0
    check(abs(wins / pairs - measured["auc"]) < 1e-3, (wins / pairs, measured["auc"]))

    contains(succeeds("summary", model).out, "dnn", "Validation: log loss 0.", "AUC 0.")
    contains(succeeds("summary", model, "--recipe").out, "batch_size: 64", "hidden: [8]")
    contains(succeeds("summary", model, "--schema").out, "C1", "label")
    contains(succeeds("inspect", model).out, "field", "C1", "category", "I1", "number", "shift")


def test_first_run_needs_no_options():
    folder = path("first")
    os.mkdir(folder)
    write("first/rows.csv", rows_text())
    result = succeeds("train", "rows.csv", cwd=folder)
    contains(result.err, "Saved model.safetensors", "  deepfm eval model.safetensors rows.csv")
    check(sorted(os.listdir(folder)) == ["model.safetensors", "rows.csv"], os.listdir(folder))


def test_quiet_says_nothing():
    result = succeeds("train", rows_file(), "-o", path("quiet.safetensors"), "--epochs", "1", "--quiet", *SMALL)
    check(result.out == "" and result.err == "", result.err)


def test_same_bytes_at_any_number_of_threads():
    for threads in ("1", "3"):
        succeeds(
            "train",
            rows_file(),
            "-o",
            path(f"t{threads}"),
            "--epochs",
            "2",
            "--dropout",
            "0.2",
            "--hidden",
            "8",
            "--threads",
            threads,
        )
    check(read(path("t1")) == read(path("t3")), "the models differ")


def test_recipe_and_flags_lie_over_each_other():
    recipe = write(
        "r.yaml",
        "train:\n  batch_size: 32\n  epochs: 1\ndnn: {hidden: [4, 4], dropout: [0.1, 0.2]}\nembedding.width: 2\n",
    )
    output = path("r.safetensors")
    succeeds(
        "train",
        rows_file(),
        "--batch-size=16",
        "--recipe",
        recipe,
        "--set",
        "fields.C2.min_count=3",
        "--no-shuffle",
        "-o",
        output,
    )
    text = succeeds("summary", output, "--recipe").out
    contains(
        text,
        "batch_size: 16",
        "epochs: 1",
        "hidden: [4, 4]",
        "dropout: [0.1, 0.2]",
        "width: 2",
        "shuffle: false",
        "min_count: 3",
    )


def test_validation_file():
    valid = write("valid.csv", rows_text(100, seed=5))
    result = succeeds("train", rows_file(), "--valid", valid, "-o", path("v.safetensors"), "--epochs", "1", *SMALL)
    contains(result.err, "400 rows to train on, 100 to validate with", f"deepfm eval {path('v.safetensors')} {valid}")
    fails(
        "train",
        rows_file(),
        "--valid",
        valid,
        "--valid-split",
        "0.2",
        "-o",
        path("no"),
        code=2,
        parts=["--valid and validation.split"],
    )


def test_valid_split_turns_random_off():
    result = succeeds(
        "train", rows_file(), "--valid-split", "0.3", "-o", path("s.safetensors"), "--epochs", "1", *SMALL
    )
    contains(result.err, "280 rows to train on, 120 to validate with")
    fails(
        "train",
        rows_file(),
        "--valid-split",
        "0.3",
        "--valid-fraction-random",
        "0.1",
        "-o",
        path("no"),
        parts=["validation.split is 0.3 and validation.random is 0.1"],
    )


def test_checkpoint_and_resume():
    data = rows_file()
    common = ["--epochs", "4", "--patience", "0", *SMALL]
    succeeds("train", data, "-o", path("whole"), *common)
    succeeds("train", data, "-o", path("part"), "--checkpoint", path("ck"), *common)
    succeeds("train", data, "-o", path("part"), "--resume", path("ck"), *common)
    check(read(path("whole")) == read(path("part")), "a resumed run ends elsewhere")


def test_same_model_from_every_kind_of_text():
    lines = rows_text(3000).splitlines(keepends=True)
    text = "".join(lines).encode()
    plain, gz, zst = write("kind.csv", text), write("kind.a", gzip.compress(text)), write("kind.b", zst_of(text))
    named_so = write("plain.csv.gz", text)
    parts = []
    for i in range(7):
        part = "".join(lines[:1] + lines[1 + i * 3000 // 7 : 1 + (i + 1) * 3000 // 7]).encode()
        parts.append(write(f"part-{i}.csv", gzip.compress(part) if i % 2 else part))
    cases = [[plain], [gz], [zst], [named_so], parts, [path("part-*.csv")], [path("part-[0-2].csv"), *parts[3:]]]
    inputs = [text, gzip.compress(text), zst_of(text)]
    common = ["--epochs", "2", *SMALL]
    models = set()
    for i, case in enumerate(cases):
        succeeds("train", *case, "-o", path(f"kind{i}"), *common)
        models.add(read(path(f"kind{i}")))
    for i, bytes_in in enumerate(inputs):
        for schema in ([], ["--schema", schema_file()]):
            result = succeeds("train", "-", "-o", path("kind-"), *schema, *common, stdin=bytes_in)
            contains(result.err, "Read standard input: ", "eval " + path("kind-") + " DATA")
            models.add(read(path("kind-")))
    check(len(models) == 1, f"{len(models)} different models")

    model = path("kind0")
    expected = succeeds("predict", model, plain).out
    check(expected == succeeds("predict", model, *parts).out, "predictions of parts")
    check(expected == succeeds("predict", model, "-", stdin=zst_of(text)).out, "predictions of standard input")
    measured = json.loads(succeeds("eval", model, gz, gz, "--json").out)
    check(measured["metrics"]["rows"] == 6000 and measured["data"] == f"{gz} and 1 more file", measured)
    check(succeeds("schema", "-", stdin=gzip.compress(text)).out == succeeds("schema", plain).out, "schemas")
    check(succeeds("schema", "--head", "2", "-", stdin=text).out.count("C1=") == 2, "head of standard input")


def test_validation_by_a_pattern():
    for i in range(2):
        write(f"valid-{i}.csv", rows_text(100, seed=i))
    result = succeeds(
        "train", rows_file(), "--valid", path("valid-?.csv"), "-o", path("v.st"), "--epochs", "1", *SMALL
    )
    contains(result.err, "400 rows to train on, 200 to validate with")


def test_eval_with_truth():
    data = path("synth.csv")
    succeeds("synth", "--rows", "3000", "--with-truth", "-o", data)
    output = path("synth.safetensors")
    succeeds("train", data, "-o", output, "--epochs", "1", "--set", "fields.truth.kind=ignore", *SMALL)
    contains(succeeds("eval", output, data, "--truth", "truth").out, "best possible")
    done = json.loads(succeeds("eval", output, data, "--truth", "truth", "--json").out)
    check(
        done["best_possible"]["auc"] > 0.7 and done["best_possible"]["logloss"] < done["metrics"]["logloss"] + 0.2,
        done,
    )


def test_eval_reports_unknown_values():
    strange = write("strange.csv", rows_text(50).replace("v1", "new"))
    contains(succeeds("eval", model_file(), strange).out, "unknown values in field", "C1", " %")
    fields = {f["name"]: f for f in json.loads(succeeds("eval", model_file(), strange, "--json").out)["fields"]}
    check(fields["C1"]["unknown"] > 0 and fields["C2"]["unknown"] == 0, fields)
    check(fields["I1"]["missing"] > 0, fields)


def test_predict_needs_no_label_and_finds_columns_by_name():
    lines = [line.split(",") for line in rows_text().splitlines()]
    other = write("other.csv", "\n".join(",".join([c2, "x", i1, c1]) for _, c1, c2, i1 in lines) + "\n")
    first = succeeds("predict", model_file(), rows_file()).out
    check(first == succeeds("predict", model_file(), other).out, "the order of columns matters")
    output = path("p.txt")
    succeeds("predict", model_file(), rows_file(), "-o", output)
    check(read(output).decode() == first and leftovers(output) == ["p.txt"], leftovers(output))


def test_unknown_values_are_warned_of_where_they_are_far_more_than_in_training():
    usual = succeeds("eval", model_file(), write("again.csv", rows_text(300, seed=5)))
    check("warning" not in usual.err, usual.err)
    lines = rows_text(300, seed=5).splitlines()
    changed = [lines[0]] + [line.replace(",w", ",W") if i % 2 else line for i, line in enumerate(lines[1:])]
    data = write("changed.csv", "\n".join(changed) + "\n")
    for command in ("eval", "predict"):
        result = succeeds(command, model_file(), data)
        warnings = [line for line in result.err.splitlines() if "warning" in line]
        check(len(warnings) == 1, warnings)
        contains(warnings[0], "field 'C2'", "50.0 %", "0% were to be expected")
    contains(succeeds("eval", model_file(), data).out, "unknown values in field", "expected")
    fields = {f["name"]: f for f in json.loads(succeeds("eval", model_file(), data, "--json").out)["fields"]}
    check(fields["C2"]["unknown_share"] == 0.5 and fields["C1"]["unknown_share"] == 0, fields)
    check(fields["C2"]["train"]["unknown_share"] == 0 and fields["C2"]["train"]["expected_unknown_share"] < 0.01, fields)
    check(abs(fields["I1"]["missing_share"] - fields["I1"]["train"]["missing_share"]) < 0.02, fields)
    few = succeeds("predict", model_file(), write("few.csv", "\n".join(changed[:3]) + "\n"))
    check("warning" not in few.err, few.err)


def test_many_unknown_fields_are_warned_of_in_few_lines():
    names = [f"C{i}" for i in range(9)]

    def text(prefix):
        rows = [",".join([str(i % 2)] + [f"{prefix}{(i + f) % 4}" for f in range(9)]) for i in range(200)]
        return "\n".join([",".join(["label"] + names)] + rows) + "\n"

    succeeds("train", write("nine.csv", text("a")), "-o", path("nine.safetensors"), "--epochs", "1", *SMALL, "-q")
    result = succeeds("predict", path("nine.safetensors"), write("new.csv", text("b")))
    warnings = result.err.splitlines()
    check(len(warnings) == 6, warnings)
    contains(warnings[0], "'C0'", "100.0 %")
    contains(warnings[5], "and 4 more fields")


def test_inspect_a_field_and_a_value():
    done = json.loads(succeeds("inspect", model_file(), "--json").out)
    fields = {f["name"]: f for f in done["fields"]}
    check(fields["C1"]["vocabulary"] == 5 and fields["I1"]["kind"] == "number" and done["parameters"] > 100, done)
    counts = [value["rows"] for value in fields["C2"]["values"]]
    check(counts == sorted(counts, reverse=True) and len(counts) == 10, counts)
    contains(succeeds("inspect", model_file(), "--field", "C1", "--top", "2").out, "value", "rows", "share")
    value = json.loads(succeeds("inspect", model_file(), "--field", "C1", "--value", "v1", "--json").out)
    check(len(value["factors"]) == 4 and not value["unknown"] and isinstance(value["first_order"], float), value)
    check(
        json.loads(succeeds("inspect", model_file(), "--field", "C1", "--value", "??", "--json").out)["unknown"],
        "known",
    )
    contains(
        succeeds("inspect", model_file(), "--field", "C1", "--value", "v1").out,
        "C1 = v1",
        "first-order weight",
        "factors",
    )
    fails("inspect", model_file(), "--field", "C3", parts=["no field 'C3'", "did you mean 'C"])
    fails("inspect", model_file(), "--value", "v1", code=2, parts=["--value needs --field"])


def test_schema_prints_reasons_and_encoded_rows():
    text = succeeds("schema", rows_file()).out
    contains(text, "C1", "category", "I1", "number", "#")
    rows = succeeds("schema", rows_file(), "--head", "3").out.splitlines()
    check(len(rows) == 3 and all("C1=" in row and "I1=" in row for row in rows), rows)
    check(
        len(succeeds("schema", rows_file(), "--head", "1000", "--valid-split", "0.5").out.splitlines()) == 400,
        "rows are missing",
    )
    fails("schema", rows_file(), "--schema", schema_file(), "--label", "label", code=2, parts=["exclude each other"])


def test_synth_is_the_same_for_any_number_of_threads():
    one = succeeds("synth", "--rows", "20000", "--threads", "1").out
    check(one == succeeds("synth", "--rows", "20000", "--threads", "3").out, "threads change the rows")
    check(len(one.splitlines()) == 20001 and one.startswith("label,I1,"), one[:100])
    check(one != succeeds("synth", "--rows", "20000", "--seed", "2").out, "the seed changes nothing")
    check(one.startswith(succeeds("synth", "--rows", "10").out), "a longer file does not begin with a shorter one")
    check(succeeds("synth", "--rows", "0", "--with-truth").out.strip().endswith("truth"), "header")


def test_truth_is_not_learned():
    succeeds("synth", "--rows", "500", "--with-truth", "-o", path("truth.csv"))
    contains(succeeds("schema", path("truth.csv")).out, "{name: truth,            kind: ignore}")


def test_first_run_on_numbers_alone():
    lines = [f"{i % 3 == 0:d},{i * 7 % 31}.5,{i * 11 % 17}.25" for i in range(300)]
    rows = write("numbers.csv", "\n".join(["click,a,b", *lines]) + "\n")
    succeeds("train", rows, "-o", path("numbers.safetensors"), *SMALL)


def test_schema_as_the_settings_correct_it():
    text = succeeds("schema", rows_file(), "--set", "fields.I1.kind=category").out
    line = next(line for line in text.splitlines() if "name: I1" in line)
    contains(line, "kind: category")
    check("number" not in line, f"the guess's reason is kept: {line}")
    fails("schema", rows_file(), "--set", "fields.I9.kind=category", parts=["there is no column 'I9'", "'I1'"])


def test_bench():
    small = ["--hidden", "16,8", "--batch", "64", "--ids", "1000", "--width", "4", "--repeats", "1", "--milliseconds", "1"]
    contains(succeeds("bench", "--shape", "S", "--model", "deepfm", *small).out, "training step", "matrix multiply", "part: forward", "scoring", "kernel: Adam")
    done = json.loads(succeeds("bench", "--shape", "S", "--json", *small).out)
    check(done["cpu"] and done["kernel"], done)
    step = {m["model"]: m for m in done["measures"] if m["what"] == "training step"}
    check({"lr", "fm", "deepfm"} <= set(step) and all(m["median"] > 0 and m["shape"] == "S" for m in step.values()), step)
    check(step["deepfm"]["bound"] == "matrix multiply" and step["lr"]["bound"] == "random rows", step)
    parts = [m for m in done["measures"] if m["model"] == "deepfm" and m["what"].startswith("part: ")]
    check(abs(sum(m["share_of_time"] for m in parts) - 1) < 1e-6, "the parts are the whole step")
    bf16 = {m["what"]: m["median"] for m in done["measures"] if m["model"] == "deepfm" and "bf16" in m["what"]}
    check(("bf16 / float32" in bf16 and bf16["training step, bf16"] > 0) != any("not here" in what for what in bf16), bf16)
    wide = json.loads(succeeds("bench", "--shape", "W", "--model", "fm", "--json", *small).out)["measures"]
    check(not any("lazy" in m["what"] for m in wide), "only Adam has a lazy twin")
    fails("bench", "--hidden", "16,x", code=2, parts=["--hidden is '16,x'", "up to 16 whole numbers"])
    check(run("bench", "--shape", "XXL").out == "", "a head without a table")
    fails("bench", "--shape", "XXL", code=2, parts=["no shape 'XXL'", "S, M, L, XL"])
    fails("bench", "--shape", "W", "--model", "deepfm", code=2, parts=["shape W is not for model deepfm"])
    fails("bench", "--model", "depfm", code=2, parts=["did you mean 'deepfm'"])


# ---- help and usage


def test_help():
    contains(succeeds("--help").out, "Usage: deepfm COMMAND", "train", "predict")
    check(succeeds("help").out == succeeds("--help").out, "deepfm help and --help differ")
    text = succeeds("train", "--help").out
    check(text == succeeds("help", "train").out, "two kinds of help")
    contains(text, "--batch-size", "default 0", "--valid", "\noptimizer\n")
    check(all(len(line) <= 100 for line in text.splitlines()), "wider than 100 columns")
    contains(succeeds("help", "recipe").out, "--learning-rate VALUE")
    contains(succeeds("--version").out, "deepfm 0.")
    check(run().code == 2, "no command is no success")
    for command in ("eval", "predict", "summary", "inspect", "doctor", "schema", "synth", "bench", "help"):
        contains(succeeds(command, "--help").out, f"Usage: deepfm {command} ")


def test_docs_are_current():
    for page in ("cli", "recipe"):
        file = os.path.join(SOURCE, "docs", page + ".md")
        check(
            read(file).decode() == succeeds("help", "--markdown", page).out,
            f"docs/{page}.md is out of date: deepfm help --markdown {page} > docs/{page}.md",
        )


def test_usage_errors_suggest():
    fails("trian", code=2, parts=["no command 'trian'", "did you mean 'train'?"])
    fails("train", rows_file(), "--batchsize", "3", code=2, parts=["'--batchsize'", "did you mean '--batch-size'?"])
    fails("train", rows_file(), "--learning_rate", "3", code=2, parts=["did you mean '--learning-rate'?"])
    fails("eval", "m", "d", "--theads", "3", code=2, parts=["did you mean '--threads'?"])
    fails("train", code=2, parts=["an argument is missing", "deepfm train DATA..."])
    fails("summary", "a", "b", code=2, parts=["'b' is one argument too many"])
    fails("train", "a", "--epochs", code=2, parts=["--epochs needs a value"])
    fails("train", "a", "--threads", "many", code=2, parts=["--threads is 'many'", "[0, 1024]"])
    fails("train", "a", "--quiet=yes", code=2, parts=["--quiet takes no value"])
    fails("train", "a", "--set", "epochs", code=2, parts=["NAME=VALUE"])
    fails("train", "a", "--epochs", "0", code=2, parts=["train.epochs is '0'", "[1, 100000]"])
    fails(
        "train",
        "a",
        "--set",
        "train.epoch=3",
        code=2,
        parts=["no setting 'train.epoch'", "did you mean 'train.epochs'?"],
    )
    fails("eval", "m", "d", "--missing-columns", "x", code=2, parts=["--missing-columns is 'x'"])
    fails("train", "a", "--schema", "s", "--label", "l", code=2, parts=["--label and --schema exclude each other"])
    fails("train", "-", "--valid", "-", code=2, parts=["DATA and --valid are both the standard input"])
    fails("help", "nothing", code=2, parts=["no help on 'nothing'"])


def test_solved_at_once():
    data = write("solved.csv", rows_text(500))
    for more in ([], ["--valid-split", "0.2"]):
        err = succeeds("train", data, "-o", path("solved.safetensors"), "--model", "lr", "--optimizer", "lbfgs", *more).err
        contains(err, "Solved: objective ")
        check("undefined" not in err and "Epoch" not in err, err)
        check(("val_auc" in err) == bool(more) or not more, err)


def test_recipe_errors():
    output = path("bad.safetensors")
    train = ["train", rows_file(), "-o", output, "--recipe"]
    fails(
        *train,
        write("bad.yaml", "train:\n  batch_sise: 3\n"),
        output=output,
        parts=["bad.yaml:2:3: ", "no setting 'train.batch_sise'", "did you mean 'train.batch_size'?"],
    )
    fails(
        *train,
        write("bad.yaml", "train:\n  batch_size: -1\n"),
        output=output,
        parts=["bad.yaml:2:15: ", "train.batch_size is '-1'", "[0, 1048576]"],
    )
    fails(*train, write("bad.yaml", "train: [\n"), output=output, parts=["bad.yaml:", "not YAML"])
    fails(*train, path("absent.yaml"), output=output, parts=["absent.yaml"])
    fails(
        "train",
        rows_file(),
        "-o",
        output,
        "--model",
        "deepfn",
        code=2,
        output=output,
        parts=["deepfn", "did you mean 'deepfm'?"],
    )
    fails("train", rows_file(), "-o", output, "--optimizer", "lbfgs", output=output, parts=["lbfgs", "model lr"])
    fails("train", rows_file(), "-o", output, "--set", "fields.C9.kind=number", output=output, parts=["C9"])


# ---- signals and terminals


def long_run(stderr):
    return subprocess.Popen(
        [
            CLI,
            "train",
            rows_file(),
            "-o",
            path("stopped.safetensors"),
            "--epochs",
            "100000",
            "--patience",
            "0",
            *SMALL,
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        env={**os.environ, "TERM": "xterm"},
    )


def test_signals_stop_and_save():
    for number in (signal.SIGINT, signal.SIGTERM):
        process = long_run(subprocess.PIPE)
        text = b""
        while b"Epoch 2/" not in text:
            line = process.stderr.readline()
            check(line, f"ended too soon: {text.decode()}")
            text += line
        process.send_signal(number)
        text += process.stderr.read()
        check(process.wait(timeout=60) == 0, text.decode())
        contains(text.decode(), "Stopped on request", "Saved")
        contains(succeeds("eval", path("stopped.safetensors"), rows_file()).out, "AUC")
        os.unlink(path("stopped.safetensors"))


def test_bar_on_a_terminal():
    try:
        master, terminal = pty.openpty()
    except OSError as error:
        print(f"skipped: no terminal to be had: {error}")
        return
    process = long_run(terminal)
    os.close(terminal)
    text, end = b"", time.monotonic() + 60
    while b" left  " not in text or b"rows/s  loss " not in text:
        check(time.monotonic() < end, f"no bar within a minute: {text.decode()}")
        if select.select([master], [], [], 1)[0]:
            text += os.read(master, 65536)
    process.send_signal(signal.SIGINT)
    while process.poll() is None and time.monotonic() < end:
        if select.select([master], [], [], 0.1)[0]:
            try:
                os.read(master, 65536)
            except OSError:
                break
    check(process.wait(timeout=60) == 0, "the run failed")
    os.close(master)
    contains(text.decode(), "rows/s  loss ", " left", "[")


if __name__ == "__main__":
    sys.exit(main("cli", globals()))
