#!/usr/bin/env python3
"""Text as it comes: rows that are wrong are left out and counted, odd line ends and wide rows are read, and the same
rows give the same bytes however they are cut into files, compressed and shared among threads."""

import gzip
import sys

sys.dont_write_bytecode = True
from _cli import SMALL, check, contains, fails, main, path, read, rows_text, succeeds, write, zst_of  # noqa: E402

BAD = ["1,v0,w0", "maybe,v0,w0,1", "1,v0,w0,much", '0,"v0"x,w0,2', "1,v0,w0,1e99"]  # one cell short, label, number, quote


def with_bad_rows(n=2000, every=150):
    lines = rows_text(n).splitlines()
    for k, at in enumerate(range(every, n, every)):
        lines.insert(at + k, BAD[k % len(BAD)])
    return "\n".join(lines) + "\n", len(range(every, n, every))


def encode(data, name, *arguments):
    result = succeeds("encode", data, "-o", path(name), "--schema", schema(), *arguments)
    return read(path(name)), result


def schema():
    good = write("good.csv", rows_text(2000))
    succeeds("schema", good, "-o", path("text.yaml"))
    return path("text.yaml")


def test_bad_rows_are_left_out_and_counted():
    text, n_bad = with_bad_rows()
    bad = write("bad.csv", text)
    expected, _ = encode(write("good.csv", rows_text(2000)), "good.safetensors")
    for threads in ("1", "2", "5"):
        content, result = encode(bad, "bad.safetensors", "--skip-bad-rows", str(n_bad), "--threads", threads)
        check(content == expected, f"left out rows change what stays, {threads} threads")
        contains(result.err, "a wrong number of cells or broken syntax", "a bad label", "a bad number", "The first: ")
        contains(result.err, "bad.csv:151:", "the row has 3 cells")


def test_bad_rows_need_known_columns():
    bad = write("guess.csv", "label,a,b\n" + "0,x,1\n1,y,2\n" * 50 + "1,y\n")
    fails("encode", bad, "-o", path("guess.safetensors"), "--skip-bad-rows", "3", parts=["guess.csv:102: ", "give a --schema"])
    missing = fails("encode", path("absent.csv"), "-o", path("guess.safetensors"), "--skip-bad-rows", "3", parts=["absent.csv"])
    check("--schema" not in missing, missing)
    succeeds("schema", write("good.csv", "label,a,b\n" + "0,x,1\n1,y,2\n" * 50), "-o", path("guess.yaml"))
    contains(succeeds("encode", bad, "-o", path("guess.safetensors"), "--skip-bad-rows", "3", "--schema", path("guess.yaml")).err, "Left out 1 ")


def test_one_bad_row_too_many_is_an_error():
    text, n_bad = with_bad_rows()
    bad, output = write("bad.csv", text), path("many.safetensors")
    settings = ["--schema", schema()]
    fails("encode", bad, "-o", output, *settings, parts=["bad.csv:151: the row has 3 cells"], output=output)
    few = ["--skip-bad-rows", "4"]
    message = fails("encode", bad, "-o", output, *settings, *few, parts=["bad.csv:755:"], output=output)
    contains(message, "too large for 32-bit floats", "4 bad rows were left out before it")
    fails("train", bad, "-o", output, *settings, *few, *SMALL, parts=["bad.csv:755:"], output=output)
    all_bad = write("all.csv", "label,C1,C2,I1\n" + "1,a\n" * 9)
    fails("encode", all_bad, "-o", output, *settings, "--skip-bad-rows", "99", parts=["no row that can be read", "9 bad"])


def test_eval_leaves_out_and_train_does_too():
    text, n_bad = with_bad_rows()
    bad, skip = write("bad.csv", text), ["--skip-bad-rows", str(n_bad)]
    train = ["--schema", schema(), "--epochs", "1", *SMALL]
    good_model = succeeds("train", write("good.csv", rows_text(2000)), "-o", path("good.model"), *train)
    bad_model = succeeds("train", bad, "-o", path("bad.model"), *train, *skip)
    check(read(path("good.model")) == read(path("bad.model")), "bad rows change the model")
    contains(bad_model.err, "Left out")
    check("Left out" not in good_model.err, good_model.err)
    fails("eval", path("good.model"), bad, parts=["bad.csv:151:"])
    contains(succeeds("eval", path("good.model"), bad, *skip).err, "Left out")


def test_each_text_has_its_own_bad_rows():
    """Whether rows are written or trained on: those of either text are told of, and of both."""
    text, n_bad = with_bad_rows()
    skip = ["--schema", schema(), "--skip-bad-rows", str(n_bad)]
    for rows, valid in (("bad", "fine"), ("fine", "bad"), ("bad", "worse")):
        names = {name: write(f"{name}.csv", rows_text(2000) if name == "fine" else text) for name in (rows, valid)}
        words = [names[rows], "--valid", names[valid], *skip]
        for command in (["encode"], ["train", "--no-cache", "--epochs", "1", *SMALL]):
            said = succeeds(command[0], *words, *command[1:], "-o", path("own.safetensors")).err
            for name in names:
                check((f"{name}.csv:151:" in said) == (name != "fine"), said)


def test_line_ends_and_marks():
    text = rows_text(300)
    expected, _ = encode(write("unix.csv", text), "unix.safetensors")
    lines = text.splitlines()
    mixed = "".join(line + ("\r\n" if i % 3 else "\n") for i, line in enumerate(lines))
    cases = {
        "crlf": text.replace("\n", "\r\n"),
        "mixed": mixed,
        "bom": "\ufeff" + text,
        "no newline at the end": text[:-1],
        "empty lines": text.replace("\n", "\n\n", 50) + "\n\n",
    }
    for name, content in cases.items():
        data = write("ends.csv", content.encode())
        check(encode(data, "ends.safetensors")[0] == expected, name)


def test_pieces_and_threads():
    text = rows_text(3000)
    lines = text.splitlines(keepends=True)
    expected, _ = encode(write("whole.csv", text), "whole.safetensors", "--threads", "1")
    pieces = [write(f"piece-{k}.csv", lines[0] + "".join(lines[1 + k * 429 : 1 + (k + 1) * 429])) for k in range(7)]
    packed, zst = write("whole.csv.gz", gzip.compress(text.encode())), write("whole.csv.zst", zst_of(text.encode()))
    for threads in ("1", "2", "3", "8"):
        for data in ([path("whole.csv")], pieces, [packed], [zst]):
            succeeds("encode", *data, "-o", path("again.safetensors"), "--schema", schema(), "--threads", threads, "-q")
            check(read(path("again.safetensors")) == expected, (data, threads))


def long_rows(n=30000):
    """Rows of lengths from 10 to 800 bytes, with blank lines; many pieces' worth."""
    lines = []
    for i in range(n):
        lines.append(f"{i % 3 == 0:d},v{i * i % 977},{'w' * (i * 7919 % 40 * (20 if i // 5000 % 2 else 1))}{i % 11},{i % 257 + 0.5}")
        if i % 997 == 0:
            lines.append("")
    return lines


def test_quotes_anywhere_change_nothing():
    """Lines are rows until there is a quote: the same rows, where some or all of them are quoted, have the same bytes."""
    lines = long_rows()
    all_quoted = [line and '"' + line.replace(",", '",', 1) for line in lines]
    some = [quoted if i in (3, 9001, 9002, 20000, len(lines) - 1) or 15000 < i < 15100 else line
            for i, (line, quoted) in enumerate(zip(lines, all_quoted))]
    expected = None
    for name, rows in ("none", lines), ("some", some), ("all", all_quoted):
        text = write(f"quotes_{name}.csv", "\n".join(["label,a,b,n"] + rows) + "\n")
        for threads in ("1", "3"):
            succeeds("encode", text, "-o", path("quotes.safetensors"), "--label", "label", "--threads", threads)
            content = read(path("quotes.safetensors"))
            expected = expected or content
            check(content == expected, f"rows of which {name} are quoted differ, {threads} threads")


def test_wrong_rows_are_told_by_their_lines():
    """Far from the text's start, among lines that are no rows, and behind rows left out."""
    lines = long_rows()
    succeeds("schema", write("lines.csv", "\n".join(["label,a,b,n"] + lines) + "\n"), "-o", path("lines.yaml"))
    for number in (7, 12345, 29000):
        wrong = lines[: number - 2] + ["1,x,y,many"] + lines[number - 2 :]
        text = write("wrong.csv", "\n".join(["label,a,b,n"] + wrong) + "\n")
        for threads in ("1", "3"):
            options = ["-o", path("lines.safetensors"), "--schema", path("lines.yaml"), "--threads", threads]
            fails("encode", text, *options, parts=[f"wrong.csv:{number}:7: column 'n' is numeric but has text: 'many'"])
            contains(succeeds("encode", text, *options, "--skip-bad-rows", "1").err, "Left out 1 ", f"wrong.csv:{number}:7:")


def test_wide_rows():
    """100,000 columns: the guess, the split and the table of fields stand it."""
    n = 100000
    names = ",".join(["label", *(f"c{i}" for i in range(1, n))])
    lines = [names] + [",".join([str(i % 2), *("7" if (i + k) % 3 else "" for k in range(1, n))]) for i in range(3)]
    wide = write("wide.csv", "\n".join(lines) + "\n")
    contains(succeeds("schema", wide).out, "name: c99999")
    cut = write("cut.csv", "\n".join(lines[:2]) + "\n1,2\n")
    fails("train", cut, "-o", path("w.model"), *SMALL, parts=["cut.csv:3: this row has 2 cells"])


if __name__ == "__main__":
    sys.exit(main("cli_text", globals()))
