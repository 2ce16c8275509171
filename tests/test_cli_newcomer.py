#!/usr/bin/env python3
"""What a first user brings comes in: other programs' files and options, rows as spreadsheets write them; that it works, or is told in one sentence how to
make it work, is checked."""

import os
import sys

sys.dont_write_bytecode = True
from _cli import SMALL, check, contains, fails, main, model_file, path, read, rows_file, rows_text, run, succeeds, write  # noqa: E402

ONE = ["--epochs", "1", *SMALL]


def test_labels_of_all_kinds_train():
    """1/2, -1/1, words and decimals mean what 0/1 means, to the byte of the predictions."""
    wanted = None
    for name, zero, one in (("01", "0", "1"), ("12", "1", "2"), ("pm", "-1", "1"), ("yes", "no", "yes"), ("true", "False", "True"), ("real", "0.0", "1.0")):
        lines = rows_text().splitlines()
        data = write(f"{name}.csv", "\n".join([lines[0], *((one if line[0] == "1" else zero) + line[1:] for line in lines[1:])]) + "\n")
        model = path(f"{name}.safetensors")
        succeeds("train", data, "-o", model, *ONE)
        predictions = succeeds("predict", model, data).out
        wanted = wanted or predictions
        check(predictions == wanted, f"{name}: other predictions")


def test_rows_as_spreadsheets_write_them():
    """Windows' line ends, a byte order mark and Excel's first line change nothing."""
    plain = path("plain.safetensors")
    succeeds("train", rows_file(), "-o", plain, *ONE)
    wanted = succeeds("predict", plain, rows_file()).out
    for name, content in (
        ("windows.csv", rows_text().replace("\n", "\r\n")),
        ("mark.csv", "\ufeff" + rows_text()),
        ("semicolons.csv", "sep=;\n" + rows_text().replace(",", ";")),
        ("commas.csv", "\ufeffsep=,\r\n" + rows_text().replace("\n", "\r\n")),
        ("carets.csv", "sep=^\n" + rows_text().replace(",", "^")),
    ):
        data, model, schema = write(name, content), path(name + ".safetensors"), path(name + ".yaml")
        succeeds("train", data, "-o", model, *ONE)
        check(succeeds("predict", model, data).out == wanted, name)
        check(len(succeeds("predict", model, data, data).out.splitlines()) == 800, name)
        succeeds("schema", data, "-o", schema)
        succeeds("train", data, "--schema", schema, "-o", model, *ONE)
        check(succeeds("predict", model, data).out == wanted, name)
    check(succeeds("predict", plain, path("commas.csv")).out == wanted, "a model of rows without that line")
    check(len(succeeds("predict", plain, rows_file(), path("commas.csv")).out.splitlines()) == 800, "the second file has it")
    fails("predict", plain, path("semicolons.csv"), parts=["semicolons.csv:2: ", "separated by ','", "';'"])


def test_only_the_first_line_is_for_excel():
    header, *rows = rows_text().splitlines()
    text = "\n".join([f"tag,{header}"] + [f"sep={'ab;'[i % 3]},{row}" for i, row in enumerate(rows)]) + "\n"
    plain, marked = write("tags.csv", text), write("tags_marked.csv", "sep=,\n" + text)
    for data in (plain, marked):
        succeeds("train", data, "-o", data + ".safetensors", *ONE)
        check(len(succeeds("predict", data + ".safetensors", data).out.splitlines()) == 400, data)
        contains(succeeds("schema", data).out, "name: tag")
        check("comment:" not in succeeds("schema", data).out, "a comment")
    check(read(plain + ".safetensors") == read(marked + ".safetensors"), "another model")


def test_files_that_are_no_rows_of_text():
    for content, parts in (
        (b"PAR1" + bytes(60), ["Parquet", "pyarrow", "docs/arrow.md"]),
        (b"ARROW1\0\0" + bytes(60), ["Arrow file", "pyarrow", "docs/arrow.md"]),
        (b"PK\3\4" + bytes(60), ["zip archive", "(.xlsx)", "(.npz)", "CSV"]),
        (b"\x93NUMPY\1\0" + bytes(60), ["numpy", "savetxt"]),
        (b"\x80\x04\x95" + bytes(60), ["pickle", "to_csv"]),
        (b"\x89HDF\r\n\x1a\n" + bytes(60), ["HDF5", "CSV"]),
        (b"SQLite format 3\0" + bytes(60), ["SQLite", "sqlite3 -csv"]),
        (b"\xd0\xcf\x11\xe0" + bytes(60), ["Excel", "CSV"]),
        (b"<!DOCTYPE html>\n<html></html>\n", ["web page"]),
        (b"<?xml version='1.0'?>\n", ["XML"]),
        (rows_text().encode("utf-16"), ["UTF-16", "iconv"]),
        (rows_text().replace("\n", "\r").encode(), ["carriage return", "tr '\\r' '\\n'"]),
        (rows_text().replace(",", ":").encode(), ["single column", "separator", "docs/schema.md"]),
        (b"{\n  \"label\": 1,\n  \"C1\": 2\n}\n", ["each object on one line", "jq -c"]),
        (b"[\n  {\"label\": 1}\n]\n", ["one object a line", "jq -c"]),
    ):
        name, output = "foreign.json" if content[:1] in b"{[" else "foreign.csv", path("no.safetensors")
        fails("train", write(name, content), "-o", output, output=output, parts=[name, *parts])
    folder = os.path.dirname(rows_file())
    fails("train", folder, parts=["is a folder", f"'{folder}/*.csv'"])
    fails("predict", model_file(), folder + "/", parts=["is a folder", f"'{folder}/*.csv'"])


def test_labels_that_are_not_found():
    two = write("two.csv", rows_text().replace("label", "bought?").replace("v1", "x").replace("\n1,", "\nyes,").replace("\n0,", "\nno,"))
    fails("train", two, parts=["no column is named label", "(--label bought?, which has two values)"])
    fails("train", write("named.csv", rows_text().replace("label", "bought")), parts=["(--label bought, which holds only 0 and 1)"])
    gap = write("gap.csv", rows_text() + ",v1,w1,2\n")
    fails("train", gap, "-o", path("no.safetensors"), parts=["gap.csv:402:1: ", "has no label", "--skip-bad-rows"])
    succeeds("train", gap, "-o", path("gap.safetensors"), "--skip-bad-rows", "1", *ONE)
    words, model = write("words.csv", rows_text().replace("\n1,", "\nyes,").replace("\n0,", "\nno,")), path("words.safetensors")
    succeeds("train", words, "-o", model, *ONE)
    fails("eval", model, write("maybe.csv", rows_text().replace("\n1,", "\nmaybe,")), parts=["'maybe'", "none of the schema's texts", "positive or negative"])


def test_arguments_the_wrong_way_round():
    for command in ("predict", "eval"):
        fails(command, rows_file(), model_file(), code=2, parts=["rows.csv is no model", f"deepfm {command} {model_file()} {rows_file()}"])
    fails("predict", rows_file(), rows_file(), parts=["no valid safetensors file"])


def test_options_of_other_libraries():
    for words, parts in (
        (["--lr", "0.1"], ["did you mean '--learning-rate'?"]),
        (["--batch_size", "9"], ["did you mean '--batch-size'?"]),
        (["--valid", "0.2"], ["must be a file", "--valid-fraction-random 0.2"]),
        (["--help=1"], ["no option '--help=1'"]),
    ):
        fails("train", rows_file(), *words, code=2, parts=parts)
    message = fails("train", rows_file(), "--test", rows_file(), code=2, parts=["no option '--test'"])
    check("did you mean" not in message, message)
    fails("train", rows_file(), "-o", os.path.dirname(rows_file()), parts=["--output", "is a folder"])


def test_advice_and_help():
    err = succeeds("train", rows_file(), "-o", path("advice.safetensors"), *ONE).err
    contains(err, f"deepfm eval {path('advice.safetensors')} {rows_file()}\n", "rows that training has not seen", "2 categories with 45 values, 1 number\n")
    check("better" not in succeeds("train", rows_file(), "--valid", rows_file(), "-o", path("advice.safetensors"), *ONE).err, "advice")
    for command in ("schema", "inspect", "doctor", "encode"):
        text = succeeds(command, "--help").out
        contains(text, "Settings that shape rows", "--min-count", "--valid-split")
        check("--learning-rate" not in text, command)
    contains(succeeds("train", "--help").out, "--learning-rate", "--min-count")
    check(read(rows_file()) == rows_text().encode() and run("--version").code == 0, "rows stay")


if __name__ == "__main__":
    sys.exit(main("cli_newcomer", globals()))
