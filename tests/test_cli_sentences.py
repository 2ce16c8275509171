#!/usr/bin/env python3
"""Mistakes come in; that the one sentence names the setting and the remedy that helps here, and shows nothing that a terminal obeys, is checked."""

import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
from _cli import CLI, SMALL, check, contains, fails, main, model_file, path, read, rows_file, rows_text, schema_file, succeeds, write  # noqa: E402


def without_column(name, text, i):
    return write(name, "\n".join(",".join(c for at, c in enumerate(line.split(",")) if at != i) for line in text.splitlines()) + "\n")


def test_columns_missing_where_one_trains():
    narrow, output = without_column("narrow.csv", rows_text(), 2), path("no.safetensors")
    for words in (["--valid", narrow], ["--from", model_file(), "--valid", narrow]):
        message = fails("train", rows_file(), *words, "-o", output, output=output, parts=["narrow.csv:1: ", "no column 'C2'", "add it to the file"])
        check("--missing-columns" not in message, message)
    for command in ("eval", "predict"):
        fails(command, model_file(), narrow, parts=["add it to the file, or read it with --missing-columns unknown"])


def test_wrong_words_are_usage_errors():
    for words, parts in (
        (["--format", ""], ["--format is ''", "delimited | libsvm | libffm | jsonl"]),
        (["--format", "csv"], ["--format is 'csv'", "delimited | libsvm | libffm | jsonl"]),
        (["--recipe", ""], ["--recipe is empty", "the name of a file"]),
        (["--label", ""], ["--label is empty", "the name of a column"]),
        (["--model", "FFM"], ["no model 'FFM'", "lr, fm, ffm, deepfm", "did you mean 'ffm'?"]),
        (["--model="], ["no model ''", "lr, fm, ffm, deepfm"]),
        (["--seed", "9007199254740993"], ["train.seed", "[0, 9007199254740991]"]),
        (["--missing", "1e300"], ["data.missing", "32-bit float"]),
    ):
        fails("train", rows_file(), *words, "-o", path("no.safetensors"), code=2, parts=parts)
    fails("predict", "m", "d", "--precision", "bf61", code=2, parts=["--precision is 'bf61'", "float32 | bf16 | auto"])
    fails("eval", "m", "d", "--missing-columns", "x", code=2, parts=["--missing-columns is 'x'", "error | unknown"])
    recipe = write("wrong.yaml", "model: FFM\n")
    fails("train", rows_file(), "--recipe", recipe, parts=["wrong.yaml:1:8: ", "no model 'FFM'", "did you mean 'ffm'?"])


def test_what_does_not_fit_names_setting_and_remedy():
    check_file, model = path("check.safetensors"), path("checked.safetensors")
    words = ["train", rows_file(), "--epochs", "2", "-o", model, *SMALL]
    succeeds(*words, "--checkpoint", check_file)
    for changed, parts in (
        (["--learning-rate", "0.5"], ["optimizer.learning_rate is 0.5, but 0.001 in the run of checkpoint", "check.safetensors", "summary --recipe"]),
        (["--set", "fields.C1.min_count=2"], ["fields.C1.min_count is 2, but not set"]),
    ):
        fails(*words, "--resume", check_file, *changed, parts=parts)
    fails(*words, "--init", model_file(), "--width", "8", parts=["tensor 'dnn.0.weight' is ", "embedding.width", "leave this tensor out"])
    fails(*words, "--init", check_file, "--hidden", "9", parts=["tensor 'dnn.0.weight' is ", "dnn.hidden"])


def test_endless_schemas_and_recipes():
    fails("train", rows_file(), "--schema", "/dev/zero", parts=["/dev/zero has more than 256 MiB, too many for a schema"])
    fails("train", rows_file(), "--recipe", "/dev/zero", parts=["/dev/zero has more than 1 MiB, too many for a recipe"])


def test_patterns_are_kept_apart_from_outputs():
    for i in range(2):
        write(f"part-{i}.csv", rows_text(seed=i))
    pattern, part = path("part-*.csv"), path("part-1.csv")
    before = read(part)
    for words in (
        ["train", pattern, "-o", part],
        ["train", rows_file(), "--valid", pattern, "-o", part],
        ["train", pattern, "--history", part],
        ["encode", pattern, "-o", part],
        ["predict", model_file(), pattern, "-o", part],
        ["schema", pattern, "-o", part],
    ):
        fails(*words, code=2, parts=["would overwrite", "part-1.csv", "another name"])
        check(read(part) == before, words)


def test_large_results_into_closed_pipes_and_full_devices():
    long = write("long.csv", "label," + ",".join(f"a_column_with_a_long_name_{i}" for i in range(400)) + "\n" + ("0" + ",1" * 400 + "\n1" + ",2" * 400 + "\n") * 20)
    for words in (["inspect", long, "--json"], ["inspect", long], ["schema", long], ["doctor", long, "--json"]):
        with open("/dev/full", "wb") as full:
            fails(*words, stdout=full, parts=["standard output", "No space left", "free some space"])
        end, start = os.pipe()
        os.close(end)
        done = subprocess.run([CLI, *words], stdout=start, stderr=subprocess.PIPE, timeout=60)
        os.close(start)
        check(done.returncode == 0 and b"deepfm: " not in done.stderr, (words, done.returncode, done.stderr))


def test_places_that_cannot_be_written_have_a_remedy():
    for place, parts in (
        (path("nowhere/out.txt"), ["No such file", "make its folder"]),
        (os.path.join(rows_file(), "out.txt"), ["Not a directory", "must be a folder"]),
        (path("x" * 300), ["File name too long", "shorter name"]),
        (os.path.dirname(rows_file()), ["Is a directory", "name a file"]),
    ):
        fails("predict", model_file(), rows_file(), "-o", place, parts=parts)


def test_rows_with_another_separator():
    data = write("semicolons.csv", rows_text().replace(",", ";"))
    for command in ("eval", "predict"):
        fails(command, model_file(), data, parts=["semicolons.csv:1: ", "one cell, 'label;C1;C2;I1'", "separated by ','", "instead of ';'"])
    schema = write("bare.yaml", read(schema_file()).decode().replace("header: true", "header: false"))
    check(b"header" in read(schema), "the schema has no header")
    bare = write("bare.csv", rows_text(header=False).replace(",", "\t"))
    fails("train", bare, "--schema", schema, parts=["bare.csv:1: ", "one cell", "separate its cells by ','"])


def test_nothing_that_a_terminal_obeys_is_printed():
    red, bell, c1 = "\x1b[31mred", "n\x1b]0;x\x07", "c\x9b31m"
    rows = [f"{i % 2},\x1b[3{i % 5}m,{i % 97 / 7},{i % 9}" for i in range(600)]
    data, model = write("escapes.csv", "\n".join([f"label,{red},{bell},{c1}", *rows]) + "\n"), path("escapes.safetensors")
    new = write("new.csv", "\n".join([f"label,{red},{bell},{c1}", *(f"{i % 2},v{i},1,2" for i in range(600))]) + "\n")
    results = [succeeds("train", data, "-o", model, "--epochs", "1", *SMALL)]
    results += [succeeds(*words) for words in (
        ["eval", model, new], ["predict", model, new], ["summary", model], ["summary", model, "--recipe"], ["inspect", model],
        ["inspect", model, "--field", red, "--value", "\x1b[1m"], ["inspect", data], ["doctor", data], ["schema", data], ["schema", data, "--head", "2"],
        ["encode", data, "-o", path("\x1b[1mescapes")],
    )]
    for words in (["train", data, "--label", red + "x"], ["inspect", model, "--field", red[:-1] + "x"], [red], ["train", data, "--" + red], ["train", data, "--set", red],
                  ["train", path(red)], ["predict", model, path("\x9bred")]):
        done = subprocess.run([CLI, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        check(done.returncode in (1, 2), (words, done))
        check(not any(byte in done.stderr for byte in (b"\x1b", b"\x07", b"\xc2\x9b")), (words, done.stderr))
    for result in results:
        shown = result.out + result.err
        check(not any(c in shown for c in "\x1b\x07\x9b"), shown.encode())
    contains(results[3].out, "\\x1B[31mred (Embedding)")
    check(json.loads(succeeds("inspect", model, "--json").out)["fields"][0]["name"] == red, "JSON keeps names")


if __name__ == "__main__":
    sys.exit(main("cli_sentences", globals()))
