#!/usr/bin/env python3
"""Damaged, foreign and wrong inputs and places come in; one sentence, the exit code, and no output file are checked."""

import gzip
import json
import os
import resource
import struct
import subprocess
import sys
import zlib

sys.dont_write_bytecode = True
from _cli import (
    CLI,
    FOLDER,
    SMALL,
    check,
    contains,
    fails,
    insert_line,
    leftovers,
    main,
    model_file,
    path,
    read,
    rows_file,
    rows_text,
    schema_file,
    succeeds,
    write,
    zst_of,
)  # noqa: E402


def train_fails(name, content, *parts):
    data, output = write(name, content), path("bad.safetensors")
    return fails("train", data, "--schema", schema_file(), "-o", output, *SMALL, parts=parts, output=output)


# ---- bad data


def test_missing_file():
    output = path("bad.safetensors")
    fails("train", path("absent.csv"), "-o", output, output=output, parts=["absent.csv", "No such file"])
    fails("eval", model_file(), path("absent.csv"), parts=["absent.csv", "No such file"])
    fails("predict", path("absent.safetensors"), rows_file(), parts=["absent.safetensors", "No such file"])


def test_directory():
    output = path("bad.safetensors")
    fails("train", FOLDER, "-o", output, output=output, parts=[FOLDER, "folder"])
    fails("predict", FOLDER, rows_file(), parts=[FOLDER, "folder"])


def test_empty_file():
    output, data = path("bad.safetensors"), write("empty.csv", "")
    fails("train", data, "-o", output, output=output, parts=["empty.csv", "empty"])
    fails("summary", data, parts=["empty.csv"])


def test_header_only():
    output, data = path("bad.safetensors"), write("header.csv", "label,C1,C2,I1\n")
    fails("train", data, "-o", output, output=output, parts=["header.csv", "header", "no rows"])
    train_fails("header.csv", "label,C1,C2,I1\n", "header.csv", "no rows")
    fails("predict", model_file(), data, parts=["header.csv", "no rows"])


def test_unknown_column_in_the_schema():
    schema = write("wrong.yaml", read(schema_file()).decode().replace("C2", "C7"))
    output = path("bad.safetensors")
    fails("train", rows_file(), "--schema", schema, "-o", output, output=output, parts=["C7"])
    fails("schema", rows_file(), "--label", "clik", parts=["clik", "label"])


def test_too_few_and_too_many_cells():
    train_fails("few.csv", insert_line(11, b"1,v1,w1"), "few.csv:11:", "3", "4")
    train_fails("many.csv", insert_line(11, b"1,v1,w1,2,9"), "many.csv:11:", "5", "4")


def test_label_neither_0_nor_1():
    train_fails("label.csv", insert_line(11, b"2,v1,w1,2"), "label.csv:11:1:", "'2'", "label")
    train_fails("label.csv", insert_line(11, b",v1,w1,2"), "label.csv:11:", "label")


def test_one_class_only():
    data = write("one.csv", rows_text(200, label=0))
    result = succeeds("train", data, "-o", path("one.safetensors"), "--epochs", "1", *SMALL)
    contains(result.err, "deepfm: warning: ", "label 0", "AUC is undefined", "val_auc undefined")
    result = succeeds("eval", path("one.safetensors"), data)
    contains(result.err, "deepfm: warning: ")
    contains(result.out, "undefined")
    check(
        json.loads(succeeds("eval", path("one.safetensors"), data, "--json").out)["metrics"]["auc"] is None,
        "AUC of one class",
    )


def test_text_in_a_number_field():
    train_fails("text.csv", insert_line(11, b"1,v1,w1,abc"), "text.csv:11:9:", "I1", "'abc'")
    fails(
        "predict",
        model_file(),
        write("text.csv", insert_line(11, b"1,v1,w1,abc")),
        parts=["text.csv:11:9:", "I1", "'abc'"],
    )


def test_numbers_that_are_not_finite():
    for word in (b"nan", b"inf", b"-Infinity"):
        train_fails("finite.csv", insert_line(11, b"1,v1,w1," + word), "finite.csv:11:9:", "I1", word.decode())
    train_fails("overflow.csv", insert_line(11, b"1,v1,w1,1e999"), "overflow.csv:11:9:", "I1", "1e999")


def test_unterminated_quote():
    message = train_fails("quote.csv", insert_line(11, b'1,"v1,w1,2'), "quote.csv:")
    contains(message, "quote", "11")


def test_very_long_line():
    data = path("long.csv")
    with open(data, "wb") as file:
        file.write(b"label,C1,C2,I1\n1,v1,w1,2\n1,")
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b",w1,2\n")
    output = path("bad.safetensors")
    fails("train", data, "--schema", schema_file(), "-o", output, output=output, parts=["long.csv:3", "64 MB"])
    os.unlink(data)


def test_compressed_files_that_are_wrong():
    text = rows_text(3000).encode()
    packed = gzip.compress(text)
    for content, parts in (
        (packed[:-1], ["ends early", "gzip", "get the whole file again"]),
        (packed[: len(packed) // 2], ["ends early", "gzip"]),
        (packed[:-8] + b"abcdefgh", ["is damaged", "gzip", "incorrect data check"]),
        (packed + b"trailing", ["has bytes behind its gzip data"]),
        (zst_of(text)[:-1], ["ends early", "zstd"]),
        (zst_of(text) + b"trailing", ["is damaged", "zstd"]),
        (b"", ["is empty"]),
        (gzip.compress(b""), ["is empty"]),
    ):
        train_fails("wrong.gz", content, "wrong.gz", *parts)
        fails("schema", path("wrong.gz"), parts=["wrong.gz", *parts])


def test_errors_in_compressed_text_have_places():
    wrong = insert_line(11, b"1,v1,w1,abc")
    train_fails("text.csv.gz", gzip.compress(wrong), "text.csv.gz:11:9:", "I1", "'abc'")
    fails("predict", model_file(), "-", stdin=wrong, parts=["standard input:11:9:", "I1", "'abc'"])


def test_a_line_without_end_in_a_small_file():
    """1 GB of one line: refused, in bounded memory."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    bomb = packer.compress(b"label,C1,C2,I1\n1,v1,w1,2\n1,")
    for _ in range(1024):
        bomb += packer.compress(b"x" * (1 << 20))
    data = write("bomb.csv.gz", bomb + packer.flush())
    limits = f"ulimit -v $((1 << 20)); exec '{CLI}' train '{data}' --schema '{schema_file()}' --threads 1 -o '{path('no')}'"
    environment = {**os.environ, "DFM_KERNEL": "generic"}
    command = ["bash", "-c", limits if "asan" not in CLI and "tsan" not in CLI else limits.split("; ", 1)[1]]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, timeout=120)
    check(done.returncode == 1, done.stderr.decode())
    contains(done.stderr.decode(), "bomb.csv.gz:3: line is longer than 64 MB")
    fails("schema", data, parts=["bomb.csv.gz:3: line is longer than 64 MB"])


def test_lists_of_files():
    good, absent = rows_file(), path("absent.csv")
    output = path("bad.safetensors")
    fails("train", good, absent, "-o", output, output=output, parts=["absent.csv", "No such file"])
    fails("train", good, path("absent-*.csv"), "-o", output, output=output, parts=["no file matches", "absent-*.csv"])
    fails("train", good, FOLDER, "-o", output, output=output, parts=[FOLDER, "folder"])
    fails("train", "-", "-", "-o", output, output=output, parts=["standard input is given twice"])
    other = write("other.csv", rows_text().replace("C2", "C3", 1))
    fails("train", good, other, "-o", output, output=output, parts=["other.csv:1:10: ", "'C3'", "'C2'", good])
    wide = write("wide.csv", "label,C1,C2,I1,I2\n1,a,b,2,3\n")
    fails("train", good, wide, "-o", output, output=output, parts=["wide.csv:1: ", "5 columns", "4 in"])
    few = write("few.csv", insert_line(11, b"1,v1,w1"))
    fails("train", good, few, "-o", output, output=output, parts=["few.csv:11: "])
    fails("train", good, write("empty.csv", ""), "-o", output, output=output, parts=["empty.csv is empty"])
    header = write("header.csv", "label,C1,C2,I1\n")
    fails("predict", model_file(), header, header, parts=["header.csv and 1 more file have headers but no rows"])
    check(len(succeeds("predict", model_file(), header, good, good).out.splitlines()) == 800, "rows are missing")


def test_odd_bytes_in_a_category_are_kept():
    odd = insert_line(11, b"1,\xff\xfe\x00z,w1,2") + b"0,\xff\xfe\x00z,w2,3\n1,\xff\xfe\x00z,w1,1\n"
    output = path("odd.safetensors")
    succeeds(
        "train",
        write("odd.csv", odd),
        "--schema",
        schema_file(),
        "-o",
        output,
        "--epochs",
        "1",
        "--valid-fraction-random",
        "0",
        *SMALL,
    )
    fields = {f["name"]: f for f in json.loads(succeeds("inspect", output, "--json").out)["fields"]}
    check(fields["C1"]["vocabulary"] == 6, fields["C1"])
    contains(json.dumps(fields["C1"]["values"]), "\\\\xFF\\\\xFE\\\\x00z")
    eval_fields = {
        f["name"]: f for f in json.loads(succeeds("eval", output, path("odd.csv"), "--json").out)["fields"]
    }
    check(eval_fields["C1"]["unknown"] == 0, eval_fields)


def test_a_column_missing_at_prediction():
    data = write("narrow.csv", "\n".join(",".join(line.split(",")[:2]) for line in rows_text().splitlines()) + "\n")
    output = path("bad.txt")
    fails(
        "predict",
        model_file(),
        data,
        "-o",
        output,
        output=output,
        parts=["narrow.csv", "C2", "--missing-columns unknown"],
    )
    lines = succeeds("predict", model_file(), data, "--missing-columns", "unknown").out.splitlines()
    check(len(lines) == 400, len(lines))
    fails(
        "eval",
        model_file(),
        write("nolabel.csv", rows_text().replace("label", "other")),
        parts=["nolabel.csv", "label"],
    )


# ---- bad places to write


def test_disk_full():
    fails("train", rows_file(), "-o", "/dev/full", "--epochs", "1", *SMALL, parts=["/dev/full", "No space left"])
    fails("predict", model_file(), rows_file(), "-o", "/dev/full", parts=["/dev/full", "No space left"])
    fails("synth", "--rows", "50000", "-o", "/dev/full", parts=["/dev/full", "No space left"])
    with open("/dev/full", "wb") as full:
        for arguments in (
            ["synth", "--rows", "50000"],
            ["predict", model_file(), rows_file()],
            ["eval", model_file(), rows_file()],
            ["eval", model_file(), rows_file(), "--json"],
            ["help"],
            ["schema", rows_file()],
        ):
            fails(*arguments, stdout=full, parts=["standard output", "No space left"])


def test_unwritable_folder():
    under = os.path.join(rows_file(), "model.safetensors")
    fails("train", rows_file(), "-o", under, "--epochs", "1", *SMALL, parts=[under, "Not a directory"])
    fails("predict", model_file(), rows_file(), "-o", under, parts=[under, "Not a directory"])
    fails("synth", "--rows", "10", "-o", os.path.join(path("absent"), "x.csv"), parts=["absent", "No such file"])


def test_an_old_file_survives_a_failure():
    output = write("old.safetensors", "old")
    fails(
        "train",
        write("few.csv", insert_line(390, b"1,v1")),
        "--schema",
        schema_file(),
        "-o",
        output,
        parts=["few.csv:390:"],
    )
    check(read(output) == b"old" and leftovers(output) == ["old.safetensors"], leftovers(output))


def test_what_is_read_is_not_overwritten():
    def refused(kept, *arguments):
        before = read(kept)
        message = fails(*arguments, code=2, parts=["would overwrite", os.path.basename(kept), "give --"])
        check(read(kept) == before, f"{arguments} changed {kept}")
        return message

    data, valid = write("own.csv", rows_text()), write("own_valid.csv", rows_text(seed=1))
    model, link, fresh = write("own.safetensors", read(model_file())), path("own_link.csv"), path("own_fresh")
    os.symlink(data, link)
    for flag in ("--output", "--history", "--checkpoint"):
        refused(data, "train", data, flag, data)
        refused(data, "train", data, flag, link)
        refused(valid, "train", data, "--valid", valid, flag, valid)
    refused(model, "train", data, "--resume", model, "-o", model)
    refused(data, "predict", model, data, "-o", data)
    refused(model, "predict", model, data, "-o", model)
    refused(data, "schema", data, "-o", data)
    fails("train", data, "-o", fresh, "--history", fresh, code=2, parts=["--history", "the model"], output=fresh)
    fails("train", data, "--checkpoint", fresh, "--history", fresh, code=2, parts=["the checkpoint"], output=fresh)


def test_limit_on_file_sizes():
    output = path("limited.safetensors")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    for arguments in (
        ["train", rows_file(), "-o", output, "--epochs", "1", *SMALL],
        ["predict", model_file(), rows_file(), "-o", output],
    ):
        done = subprocess.run([CLI, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limit)
        contains(done.stderr.decode(), "deepfm: cannot write", "File too large", "raise the limit on file sizes")
        check(done.returncode == 1, done.returncode)
        left = [name for name in os.listdir(FOLDER) if "limited" in name]
        check(not left, left)


def test_output_to_a_pipe_by_name():
    done = subprocess.run(
        [CLI, "predict", model_file(), rows_file(), "-o", "/dev/stdout"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    check(done.returncode == 0 and len(done.stdout.splitlines()) == 400, done.stderr)


def test_dataset_to_standard_output():
    """It is all that goes there, under either name."""
    succeeds("encode", rows_file(), "-o", path("piped.safetensors"), "-q")
    for name in ("-", "/dev/stdout"):
        done = subprocess.run([CLI, "encode", rows_file(), "-o", name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        check(done.returncode == 0 and done.stdout == read(path("piped.safetensors")), done.stderr)
        fails("encode", rows_file(), "-o", name, "--json", code=2, parts=["--json and --output both"])
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([CLI, "encode", rows_file(), "-o", "-"], stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    check(done.returncode == 1, done.returncode)
    contains(done.stderr.decode(), "cannot write /dev/stdout: Broken pipe; what reads it must read to the end")


def test_standard_output_is_not_replaced():
    """Redirected to a file, it is written from where it is: what stands there stays."""
    target = path("redirected")
    commands = (["encode", rows_file(), "-q"], ["predict", model_file(), rows_file()])
    for command in commands:
        expected = path("apart")
        succeeds(*command, "-o", expected)
        for name in ("-", "/dev/stdout"):
            for mode in ("ab", "wb"):  # as by >> and by >, where something was written before
                write("redirected", "kept\n")
                with open(target, mode) as stdout:
                    stdout.write(b"a\n")
                    stdout.flush()
                    succeeds(*command, "-o", name, stdout=stdout)
                kept = b"kept\na\n" if mode == "ab" else b"a\n"
                check(read(target) == kept + read(expected), (command, name, mode))


def test_what_is_written_more_than_once_is_a_file():
    for flag in ("--output", "--checkpoint", "--history"):
        fails("train", rows_file(), flag, "-", code=2, parts=[flag, "standard output", "name a file"])


def test_numbers_that_overflow_in_the_model():
    model = path("numbers.safetensors")
    settings = ["--number-into", "linear,fm,dnn", "--transform", "standard", "--epochs", "1"]
    succeeds("train", rows_file(), "-o", model, *settings, *SMALL)
    data, output = write("far.csv", "label,C1,C2,I1\n0,v1,w1,3\n1,v1,w1,3e38\n"), path("far.txt")
    fails("predict", model, data, "-o", output, parts=["row 2", "overflow", "correct the row"], output=output)
    fails("eval", model, data, parts=["row 2", "overflow"])


def test_reader_that_leaves():
    shell = f"'{CLI}' synth --rows 200000 | head -n 2; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    lines = done.stdout.decode().splitlines()
    check(len(lines) == 3 and lines[2] == "0" and done.stderr == b"", (lines[-1], done.stderr))


# ---- damaged models


def damaged(name, content):
    output = path("bad.txt")
    return fails("predict", write(name, content), rows_file(), "-o", output, parts=[name], output=output)


def test_truncated_model():
    whole = read(model_file())
    for n in (0, 4, 8, 100, len(whole) // 2, len(whole) - 1):
        damaged("truncated.safetensors", whole[:n])
    damaged("long.safetensors", whole + b"x")


def test_bit_flipped_model():
    whole = read(model_file())
    for i in range(24):
        at = i * (len(whole) - 1) // 23
        damaged("flipped.safetensors", whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])


def rewrite_header(whole, change):
    """The model with a changed header, and without the checksum that would give the change away."""
    n = struct.unpack("<Q", whole[:8])[0]
    header, data = json.loads(whole[8 : 8 + n]), whole[8 + n :]
    checksum = header.pop("checksum", None)
    if checksum:
        data = data[: checksum["data_offsets"][0]]
    change(header)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 64)
    return struct.pack("<Q", len(text)) + text + data


def test_newer_format_version():
    def change(header):
        check(header["__metadata__"]["deepfm.format"] == "1", header["__metadata__"])
        header["__metadata__"]["deepfm.format"] = "99"

    contains(damaged("newer.safetensors", rewrite_header(read(model_file()), change)), "99", "newer")


def test_foreign_model():
    header = b'{"weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    damaged("foreign.safetensors", struct.pack("<Q", len(header)) + header + bytes(8))
    damaged("text.safetensors", b"this is no model, but it is long enough to have a length in front of it\n" * 10)


def test_deep_yaml():
    deep = write("deep.yaml", "train: " + "[" * 100000)
    fails("train", rows_file(), "--recipe", deep, parts=["deep.yaml:1:", "nested deeper than 32 levels"])
    deep = write("deep2.yaml", "label: " + "{column: " * 50000)
    fails("train", rows_file(), "--schema", deep, parts=["deep2.yaml:1:", "nested deeper than 32 levels"])


def test_places_that_cannot_be_written_are_said_at_once():
    for flag in ("--output", "--checkpoint", "--history"):
        place = path(os.path.join("nowhere", "file"))
        fails("train", rows_file(), flag, place, parts=[f"cannot write {flag} to {place}", "make its folder"])


def test_empty_names_of_files_are_usage_errors():
    for flag, what in (("-o", "--output"), ("--output=", "--output"), ("--cache", "--cache"), ("--from", "--from"), ("--schema", "--schema")):
        words = [flag] if flag.endswith("=") else [flag, ""]
        fails("train", rows_file(), *words, parts=[f"{what} is empty; it must be the name of a"], code=2)
    fails("encode", rows_file(), "-o", "", parts=["--output is empty"], code=2)
    succeeds("inspect", model_file(), "--field", "C1", "--value", "")  # an empty cell is a value


def test_skipping_rows_of_a_dataset_file_is_said_to_do_nothing():
    dataset = path("settled.safetensors")
    succeeds("encode", rows_file(), "-o", dataset, "-q")
    says = f"deepfm: warning: --skip-bad-rows does nothing here: the rows of {dataset}"
    for words in (["train", dataset, "-o", path("settled.model"), "--epochs", "1"], ["eval", path("settled.model"), dataset],
                  ["inspect", dataset], ["doctor", dataset]):
        contains(succeeds(*words, "--skip-bad-rows", "5").err, says)
        check("--skip-bad-rows" not in succeeds(*words).err, words)


def test_what_cannot_be_trained_is_said_before_rows_are_read():
    """The last row is wrong: whoever reads it says so."""
    data = write("wrong_end.csv", rows_text(400) + "2,v1,w1,3\n")
    schema = write("fields.yaml", "columns:\n  - {name: label, kind: label}\n  - {name: C1, kind: CATEGORY}\n"
                   "  - {name: C2, kind: category}\n  - {name: I1, kind: number}\n")
    category = write("plain.yaml", read(schema).decode().replace("CATEGORY", "category"))
    listed = write("list.yaml", read(schema).decode().replace("CATEGORY", "list, pool: max"))
    initial = write("initial.yaml", read(schema).decode().replace("CATEGORY", f"category, initial: {path('no.txt')}"))
    missing, lbfgs = path("missing.safetensors"), ["--model", "lr", "--optimizer", "lbfgs"]
    ways = [
        (category, ["--init", missing], ["missing.safetensors"]),
        (category, ["--init", category], ["plain.yaml", "no valid safetensors"]),
        (category, ["--resume", missing], ["missing.safetensors"]),
        (category, ["--resume", model_file()], ["is no checkpoint"]),
        (category, [*lbfgs, "--keep-state"], ["has no state to keep"]),
        (category, [*lbfgs, "--progressive"], ["leave progressive validation out"]),
        (category, [*lbfgs, "--init", model_file()], ["do not change what lbfgs finds"]),
        (listed, lbfgs, ["list 'C1' is pooled by max"]),
        (category, ["--set", "fields.C1.width=3"], ["field 'C2' has embedding width"]),
        (category, ["--set", "data.category_into=linear", "--set", "data.number_into=linear"], ["no field goes into"]),
        (initial, [], ["no.txt"]),
    ]
    for yaml, words, parts in ways:
        fails("train", data, "--schema", yaml, "-o", path("no.safetensors"), *words, parts=parts, output=path("no.safetensors"))
    fails("train", data, "--schema", category, "-o", path("no.safetensors"), parts=["wrong_end.csv:402:"], output=path("no.safetensors"))


if __name__ == "__main__":
    sys.exit(main("cli_bad_input", globals()))
