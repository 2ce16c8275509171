#!/usr/bin/env python3
"""Rows as text and as dataset files come in; that models, predictions and messages agree is checked, and that the file
reads by the safetensors layout alone."""

import array
import collections
import csv
import gzip
import json
import math
import struct
import sys

sys.dont_write_bytecode = True
from _cli import SMALL, check, contains, fails, main, path, read, rows_text, succeeds, write  # noqa: E402

TRAIN = ["--epochs", "2", "--hidden", "8", "--width", "4", "--batch-size", "64", "-q"]


def rows():
    return write("rows.csv", rows_text(1500))


def encode(name, *arguments, data=None):
    succeeds("encode", data or rows(), "-o", path(name), "-q", *arguments)
    return path(name)


def tensors(name):
    """Header, metadata and tensors of a safetensors file, by its layout."""
    content = read(name)
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    metadata, data, found = header.pop("__metadata__"), content[8 + length :], {}
    codes = {"U64": "Q", "U32": "I", "F32": "f", "U8": "B"}
    for key, entry in header.items():
        begin, end = entry["data_offsets"]
        found[key] = array.array(codes[entry["dtype"]], data[begin:end])
        size = 1
        for n in entry["shape"]:
            size *= n
        check(len(found[key]) == size, (key, entry))
    return metadata, found


def same_model(arguments, encoding=None):
    """Text and dataset file give one model, at 1, 2 and 3 threads."""
    dataset = encode("same.safetensors", *(arguments if encoding is None else encoding))
    succeeds("train", rows(), "-o", path("text.model"), *TRAIN, *arguments, "--threads", "2")
    for threads in ("1", "2", "3"):
        succeeds("train", dataset, "-o", path("file.model"), *TRAIN, *arguments, "--threads", threads)
        check(read(path("text.model")) == read(path("file.model")), f"{arguments} at {threads} threads")


def test_same_model_random_split():
    same_model([])


def test_same_model_last_rows_and_settings():
    same_model(["--valid-split", "0.2", "--min-count", "40", "--vocabulary-order", "sorted", "--unknown", "zero"])


def test_same_model_buckets_and_few_values():
    same_model(["--max-vocabulary", "5", "--set", "fields.C1.hash=7", "--set", "fields.C1.max_vocabulary=0"])
    same_model(["--set", "fields.I1.kind=category", "--set", "fields.I1.buckets=6"])
    same_model(["--hash", "20", "--unknown", "zero"])


def test_same_model_vocabulary_from_all():
    same_model(["--vocabulary-from", "all", "--set", "fields.C1.min_count=2", "--seed", "5"])


def test_same_model_when_only_training_asks_for_it():
    same_model(["--transform", "log", "--set", "fields.C2.into=linear"], encoding=[])


def test_same_model_valid_file():
    valid = write("valid.csv", rows_text(300, seed=3))
    dataset = encode("with_valid.safetensors", "--valid", valid)
    succeeds("train", rows(), "--valid", valid, "-o", path("text.model"), *TRAIN)
    succeeds("train", dataset, "-o", path("file.model"), *TRAIN)
    check(read(path("text.model")) == read(path("file.model")), "with a file of validation rows")
    alone = encode("alone.safetensors", "--valid-fraction-random", "0")
    succeeds("train", alone, "--valid", valid, "-o", path("file.model"), *TRAIN)
    check(read(path("text.model")) == read(path("file.model")), "with validation rows beside the dataset file")


def test_both_parts_in_one_block():
    text = "label,x\n" + "".join(f"{i % 2},{i}.5\n" for i in range(40))
    _, found = tensors(encode("few.safetensors", "--valid-fraction-random", "0.5", data=write("few.csv", text)))
    check([x - 0.5 for x in found["number"]] == list(found["row"]), "rows of one part stand in the other's place")
    check(sorted(found["row"]) == list(range(40)) and list(found["row"]) != list(range(40)), found["row"])


def test_settings_are_taken_from_the_file():
    dataset = encode("settings.safetensors", "--min-count", "40", "--valid-split", "0.2")
    succeeds("train", rows(), "-o", path("text.model"), *TRAIN, "--min-count", "40", "--valid-split", "0.2")
    succeeds("train", dataset, "-o", path("file.model"), *TRAIN)
    check(read(path("text.model")) == read(path("file.model")), "settings of the file")


def test_ids_decode_to_the_text():
    dataset = encode("decode.safetensors", "--min-count", "30")
    metadata, found = tensors(dataset)
    text = list(csv.DictReader(rows_text(1500).splitlines()))
    check(metadata["deepfm.dataset"] == "1", metadata)
    parts = json.loads(metadata["dataset"])["parts"]
    check([part["name"] for part in parts] == ["train", "valid"], parts)
    check(sorted(found["row"]) == list(range(1500)), "rows")
    unknown = 0
    for i, at in enumerate(found["row"]):
        row = text[at]
        check(found["label"][i] == float(row["label"]), (i, row))
        number = found["number"][i]
        check(number != number if row["I1"] == "" else abs(number - float(row["I1"])) < 1e-4, (i, row, number))
        for f, name in enumerate(["C1", "C2"]):
            id_, offsets = found["category"][2 * i + f], found[f"vocabulary.{name}.offsets"]
            if id_ == 0:
                unknown += 1
                continue
            value = found[f"vocabulary.{name}.bytes"][offsets[id_ - 1] : offsets[id_]].tobytes().decode()
            check(value == row[name], (i, value, row))
    check(unknown == sum(sum(part["unknown_cells"]) for part in parts) and unknown > 0, unknown)


def predictions(*arguments):
    return [float(line) for line in succeeds("predict", *arguments).out.splitlines()]


def test_scores_are_those_of_the_text():
    dataset, model = encode("own.safetensors"), path("own.model")
    succeeds("train", dataset, "-o", model, *TRAIN)
    like = path("like.safetensors")
    unlabelled = write("new.csv", "C2,C1,I1\nw1,v3,4\nw9,never,\n")
    succeeds("encode", rows(), "--like", model, "-o", like, "-q")
    expected = predictions(model, rows())
    for file in (dataset, like):
        got = predictions(model, file)
        check(len(got) == 1500 and max(abs(a - b) for a, b in zip(expected, got)) < 1e-6, file)
        metrics = [json.loads(succeeds("eval", model, data, "--json").out) for data in (rows(), file)]
        check(metrics[0]["fields"] == metrics[1]["fields"], metrics)
        check(abs(metrics[0]["metrics"]["auc"] - metrics[1]["metrics"]["auc"]) < 1e-6, metrics)
    succeeds("encode", unlabelled, "--like", model, "-o", like, "-q")
    check(predictions(model, like) == predictions(model, unlabelled), "rows without label")
    fails("eval", model, like, parts=["like.safetensors", "has no labels"])
    fails("train", like, "-o", path("no.model"), parts=["was encoded like a model"], output=path("no.model"))


def quantile(values, share):
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def test_statistics():
    result = json.loads(succeeds("encode", rows(), "-o", path("stats.safetensors"), "--json").out)
    text = list(csv.DictReader(rows_text(1500).splitlines()))
    check(result["train_rows"] + result["valid_rows"] == 1500 and 0 < result["memory_anonymous_peak"] <= result["memory_peak"], result)
    c1, c2, number = result["fields"]
    check(c1["name"] == "C1" and c1["vocabulary"] == c1["distinct"] == 5 and c2["vocabulary"] == 40, result)
    for field in (c1, c2):
        counts = collections.Counter(row[field["name"]] for row in text)
        check([top["rows"] for top in field["top"]] == [n for _, n in counts.most_common(3)], field)
        for top in field["top"]:
            of_top = [row["label"] for row in text if row[field["name"]] == top["value"]]
            check(top["rows"] == len(of_top), field)
            check(abs(top["label_rate"] - of_top.count("1") / len(of_top)) < 1e-9, field)
    values = [float(row["I1"]) for row in text if row["I1"]]
    check(number["missing"] == 1500 - len(values) and abs(number["maximum"] - max(values)) < 1e-4, number)
    check(abs(number["mean"] - sum(values) / len(values)) < 1e-4, number)
    for share, found in zip((0.05, 0.25, 0.5, 0.75, 0.95), number["quantiles"]):
        check(abs(found - quantile(values, share)) < 1e-4, (share, number))
    top = ["--top", "3"]
    for shown in (path("stats.safetensors"), rows()):
        shown = json.loads(succeeds("inspect", shown, "--json", *top).out)
        check(shown["fields"] == result["fields"], shown)
    contains(succeeds("inspect", path("stats.safetensors")).out, "C1", "label rate", "median", "1,500 rows")


def test_statistics_count_what_min_count_drops():
    text = "".join(f"{i % 2},{'often' if i < 60 else 'once' + str(i)},{i}\n" for i in range(100))
    data = write("rare.csv", "label,C1,I1\n" + text)
    options = ["--min-count", "2", "--valid-fraction-random", "0"]
    (field, _) = json.loads(succeeds("inspect", data, "--json", *options).out)["fields"]
    expected = {"distinct": 41, "vocabulary": 1, "unknown": 40, "valid_unknown": 0, "missing": 0}
    check(expected.items() <= field.items() and field["top"][0]["rows"] == 60, field)
    succeeds("encode", data, "-o", path("rare.safetensors"), "-q", *options)
    table = succeeds("inspect", path("rare.safetensors")).out
    contains(table, "with id", "40.0%", "often: 60 50.0%")
    check(all(len(line) <= 100 for line in table.splitlines()), table)
    one = succeeds("inspect", data, "--field", "C1", "--top", "2").out
    contains(one, "value", "label rate", "once")
    fails("inspect", data, "--field", "C2", parts=["no field 'C2'", "did you mean 'C1'"])
    fails("inspect", data, "--field", "C1", "--value", "x", parts=["--value is for models"], code=2)
    fails("inspect", path("rare.safetensors"), "--min-count", "1", parts=["leave out the settings"], code=2)


def test_statistics_do_not_depend_on_the_order_of_rows():
    lines = rows_text(5000).splitlines()
    turned = write("turned.csv", "\n".join(lines[:1] + lines[:0:-1]) + "\n")
    results = []
    for data in (write("straight.csv", "\n".join(lines) + "\n"), turned):
        results.append(json.loads(succeeds("inspect", data, "--json", "--valid-fraction-random", "0").out)["fields"])
        for field in results[-1]:
            field.pop("mean", None)
            field.get("top", []).sort(key=lambda value: (-value["rows"], value["value"]))
    check(results[0] == results[1], results)


def test_statistics_of_lists_shared_tables_and_buckets():
    schema = write(
        "kinds.yaml",
        "label: {column: y}\ncolumns:\n  - {name: y, kind: label}\n  - {name: tags, kind: list}\n"
        "  - {name: tag, kind: category, share: tags}\n  - {name: key, kind: category, hash: 64}\n"
        "  - {name: price, kind: category, buckets: 4}\n",
    )

    def text(prefix, n=1200):
        rows = (f"{i * 7 % 3 % 2},{prefix}{i % 4}|{'x' * (i % 5 > 2)},{prefix}{i % 6},k{i},{i % 50}" for i in range(n))
        return "y,tags,tag,key,price\n" + "\n".join(rows) + "\n1,,,,\n"

    data, file = write("kinds.csv", text("t")), path("kinds.safetensors")
    made = json.loads(succeeds("encode", data, "--schema", schema, "-o", file, "--json", "--top", "10").out)["fields"]
    for arguments in ((file, "--threads", "1"), (file, "--threads", "3"), (data, "--schema", schema)):
        check(json.loads(succeeds("inspect", *arguments, "--json").out)["fields"] == made, (arguments, made))
    tags, tag, key, price = made
    check((tags["kind"], tags["cells"], tags["missing"], tags["distinct"]) == ("list", 1200 + 480, 1, 8), tags)
    check([v["rows"] for v in tags["top"]] == [480] + [300] * 4 and tags["top"][0]["value"] == "x", tags)
    check(tag["cells"] == 1201 and tag["missing"] == 1 and [v["rows"] for v in tag["top"]] == [200] * 6 + [1], tag)
    check(key["distinct"] is None and key["vocabulary"] == 64 and key["top"][0]["value"].startswith("bucket "), key)
    check(price["distinct"] == 51 and price["vocabulary"] == 5, price)
    check(sum(v["rows"] for v in price["top"]) == 1201 and any(v["value"].startswith("(-inf, ") for v in price["top"]), price)
    doctored = [json.loads(succeeds("doctor", *a, "--json").out)["findings"] for a in ((file,), (data, "--schema", schema))]
    check(doctored[0] == doctored[1], doctored)
    # a model made of them warns of items, by their number
    succeeds("train", file, "-o", path("kinds.model"), "--epochs", "1", "--width", "2", "--hidden", "2", "-q")
    warnings = succeeds("predict", path("kinds.model"), write("other.csv", text("other"))).err.splitlines()
    check(len(warnings) == 2, warnings)
    contains(warnings[0], "'tag'", "99.9 % of the rows")
    contains(warnings[1], "'tags'", f"{100 * 1200 / 1680:.1f} % of the items")


def test_messages():
    dataset, output = encode("messages.safetensors"), path("bad.model")
    succeeds("train", dataset, "-o", path("messages.model"), *TRAIN)
    model = path("messages.model")

    def train_fails(*arguments, parts, code=1):
        fails("train", *arguments, "-o", output, *SMALL, parts=parts, code=code, output=output)

    train_fails(dataset, "--min-count", "3", parts=["messages.safetensors", "another min_count"])
    train_fails(dataset, "--max-vocabulary", "3", parts=["messages.safetensors", "another max_vocabulary"])
    train_fails(dataset, "--hash", "3", parts=["messages.safetensors", "another hash"])
    train_fails(dataset, "--valid-split", "0.3", parts=["messages.safetensors", "another validation."])
    train_fails(dataset, "--valid", rows(), parts=["messages.safetensors", "another validation.random"])
    train_fails(dataset, "--label", "C1", parts=["leave out --label"], code=2)
    train_fails(model, parts=["messages.model", "no dataset"])
    fails("encode", dataset, "-o", output, parts=["encoded"], code=2, output=output)
    fails("encode", rows(), "--like", model, "--min-count", "3", "-o", output, parts=["--like"], code=2, output=output)
    fails("eval", dataset, rows(), parts=["no deepfm model"])
    other = encode("other.safetensors", data=write("other.csv", rows_text(700, seed=9).replace("v1", "x1")))
    check(succeeds("eval", model, other).out == succeeds("eval", model, path("other.csv")).out, "values were not read as values")
    lossy = encode("lossy.safetensors", "--min-count", "200", data=path("other.csv"))
    fails("eval", model, lossy, parts=["lossy.safetensors has lost the values of", "data.min_count=1", "--like and the model"])
    fails("eval", model, dataset, "--truth", "truth", parts=["--truth truth"])
    fails("schema", dataset, parts=["deepfm inspect"])


def test_inputs():
    """Several files, compressed ones and the standard input are encoded as one file of the same rows; one dataset file
    is DATA, several files of which one is a dataset file are not."""
    expected = read(encode("whole.safetensors"))
    lines = rows_text(1500).splitlines(keepends=True)
    first, second = write("a.csv", "".join(lines[:700])), write("b.csv", lines[0] + "".join(lines[700:]))
    packed = write("a.csv.gz", gzip.compress("".join(lines[:700]).encode()))
    pieces = path("pieces.safetensors")
    for data in ([first, second], [packed, second], [path("[ab].csv")]):
        succeeds("encode", *data, "-o", pieces, "-q")
        check(read(pieces) == expected, data)
    succeeds("encode", "-", "-o", pieces, "-q", stdin="".join(lines).encode())
    check(read(pieces) == expected, "standard input")
    output = path("bad.model")
    fails("train", pieces, rows(), "-o", output, *SMALL, parts=["pieces.safetensors"], output=output)
    fails("train", rows(), pieces, "-o", output, *SMALL, parts=["pieces.safetensors"], output=output)
    fails("encode", rows(), pieces, "-o", output, parts=["pieces.safetensors is encoded"], code=2, output=output)
    fails("encode", "-", "--valid", "-", "-o", output, parts=["both the standard input"], code=2, output=output)


def test_output_destroys_no_input():
    data, own, schema = rows(), model(), path("schema.yaml")
    succeeds("schema", data, "-o", schema)
    valid = write("valid.csv", rows_text(300, seed=3))
    cases = [
        (["-o", data], data),
        (["-o", valid, "--valid", valid], valid),
        (["-o", schema, "--schema", schema], schema),
        (["-o", own, "--like", own], own),
    ]
    for arguments, target in cases:
        before = read(target)
        fails("encode", data, *arguments, parts=["--output"], code=2)
        check(read(target) == before, arguments)
    fails("encode", data, "-o", path("nowhere/rows.safetensors"), parts=["cannot write --output"])


def test_damaged():
    good, output = read(encode("good.safetensors")), path("bad.model")
    text_model = model()
    flip = bytearray(good)
    flip[len(good) // 2] ^= 4
    header = bytearray(good)
    header[40] ^= 1
    for content in (good[:100], good[: len(good) // 2], good[:-1], bytes(flip), bytes(header), good + b"x"):
        damaged = write("damaged.safetensors", content)
        fails("train", damaged, "-o", output, *SMALL, parts=["damaged.safetensors"], output=output)
        fails("eval", text_model, damaged, parts=["damaged.safetensors"])


def model():
    succeeds("train", rows(), "-o", path("text.model"), *TRAIN)
    return path("text.model")


def rewritten(good, name, change):
    """The file with a tensor's bytes changed and without checksums, which a foreign program may leave out."""
    (length,) = struct.unpack("<Q", good[:8])
    header = json.loads(good[8 : 8 + length])
    checksum = header.pop("checksum")
    data = bytearray(good[8 + length : 8 + length + checksum["data_offsets"][0]])
    at = header[name]["data_offsets"][0]
    data[at : at + len(change)] = change
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    return struct.pack("<Q", len(text)) + text + bytes(data)


def test_wrong_contents():
    own, output = encode("own.safetensors"), path("bad.model")
    succeeds("train", own, "-o", path("own.model"), *TRAIN)
    good = read(own)
    cases = [
        ("category", struct.pack("<I", 1000), "row 0"),
        ("label", struct.pack("<f", 0.5), "row 0"),
        ("number", struct.pack("<f", float("inf")), "row 0"),
    ]
    for name, change, message in cases:
        wrong = write("wrong.safetensors", rewritten(good, name, change))
        fails("train", wrong, "-o", output, *SMALL, parts=["wrong.safetensors", message], output=output)
        for command in (["inspect"], ["inspect", "--verify"], ["doctor"]):
            fails(*command, wrong, parts=["wrong.safetensors", message])
    for number in (0, 5, 10**9):
        order = write("order.safetensors", rewritten(good, "row", struct.pack("<Q", number)))
        if tensors(own)[1]["row"][0] != number:
            fails("predict", path("own.model"), order, parts=["order.safetensors", "of its text"])
            fails("inspect", order, "--verify", parts=["order.safetensors", "of its text"])
    counted = write("counted.safetensors", rewritten(good, "label", struct.pack("<f", 1.0 - tensors(own)[1]["label"][0])))
    fails("inspect", counted, "--verify", parts=["counted.safetensors", "counts do not fit"])
    fine = write("fine.safetensors", rewritten(good, "label", b""))
    succeeds("train", fine, "-o", path("fine.model"), *TRAIN)
    succeeds("inspect", fine, "--verify")


def test_rows_are_checked_when_they_are_first_read():
    """A bit that flips far into the rows: the file opens, and whatever reads the row says where the damage is."""
    data = write("many.csv", rows_text(20000))
    succeeds("encode", data, "-o", path("many.safetensors"), "-q", "--valid-split", "0.5")
    succeeds("train", path("many.safetensors"), "-o", path("many.model"), *TRAIN, "--epochs", "1")
    content = bytearray(read(path("many.safetensors")))
    (length,) = struct.unpack("<Q", content[:8])
    at = json.loads(content[8 : 8 + length])["category"]["data_offsets"][1] - 16  # of the last validation rows
    content[8 + length + at] ^= 1
    damaged, message = write("flipped.safetensors", bytes(content)), ["flipped.safetensors is damaged", "'category'"]
    fails("train", damaged, "-o", path("bad.model"), *TRAIN, parts=message, output=path("bad.model"))
    for command in (["eval"], ["predict"]):
        fails(*command, path("many.model"), damaged, parts=message)
    for command in (["inspect"], ["inspect", "--verify"], ["doctor"]):
        fails(*command, damaged, parts=message)


def test_scores_of_many_rows():
    """More rows than are scored at a time, in the order of the text although the file has another."""
    data = write("most.csv", rows_text(140000))
    succeeds("encode", data, "-o", path("most.safetensors"), "-q")
    succeeds("train", path("most.safetensors"), "-o", path("most.model"), *TRAIN, "--max-steps", "20")
    expected = succeeds("predict", path("most.model"), data, "--threads", "1").out
    for threads in ("1", "3"):
        got = succeeds("predict", path("most.model"), path("most.safetensors"), "--threads", threads).out
        check(got == expected, f"{threads} threads")
    of_file, of_text = [
        json.loads(succeeds("eval", path("most.model"), name, "--json").out)["metrics"]
        for name in (path("most.safetensors"), data)
    ]
    check(of_file["rows"] == of_text["rows"] == 140000 and of_file["auc_error"] == 0, of_file)
    check(abs(of_file["auc"] - of_text["auc"]) < 1e-9, (of_file, of_text))


def test_threads_change_no_byte():
    one, three = encode("one.safetensors", "--threads", "1"), encode("three.safetensors", "--threads", "3")
    check(read(one) == read(three), "the dataset file depends on the threads")


LISTS = [
    "--set",
    "fields.G.kind=list",
    "--set",
    "fields.G.weights=:",
    "--set",
    "fields.H.kind=list",
    "--set",
    "fields.H.share=C1",
    "--set",
    "fields.H.separator=;",
    "--set",
    "fields.C1.kind=category",
]


def list_rows(n=900, seed=0):
    """label, C1, G (weighted items, some lists empty), H (values of C1)."""
    lines = ["label,C1,G,H"]
    for i in range(n):
        h = (i * 2654435761 + seed * 97) % 2**32
        g = "|".join(f"g{(h >> 4) % 7 + k}:{k - 0.5}" for k in range(h % 4))
        lines.append(f"{int(h % 5 in (1, 3))},v{h % 5},{g},{';'.join('v' + str((h >> k) % 6) for k in range(i % 3))}")
    return "\n".join(lines) + "\n"


def list_file(name, *arguments):
    return encode(name, *LISTS, *arguments, data=write("lists.csv", list_rows()))


def test_lists_give_the_model_of_the_text():
    for split in (["--valid-split", "0.3"], ["--valid-fraction-random", "0.25"], ["--valid-fraction-random", "0"]):
        dataset = list_file("lists.safetensors", *split)
        succeeds("train", path("lists.csv"), "-o", path("text.model"), *TRAIN, *LISTS, *split)
        for threads in ("1", "3"):
            succeeds("train", dataset, "-o", path("file.model"), *TRAIN, *LISTS, *split, "--threads", threads)
            check(read(path("text.model")) == read(path("file.model")), f"{split} at {threads} threads")
        expected = predictions(path("text.model"), path("lists.csv"))
        got = predictions(path("text.model"), dataset)
        check(max(abs(a - b) for a, b in zip(expected, got)) < 1e-6, split)


def test_lists_decode_to_the_text():
    metadata, found = tensors(list_file("decode.safetensors"))
    text = list(csv.DictReader(list_rows().splitlines()))
    check("vocabulary.H.bytes" not in found and "list.H.weights" not in found, sorted(found))
    for name, owner, separator in (("G", "G", "|"), ("H", "C1", ";")):
        starts, ids = found[f"list.{name}.offsets"], found[f"list.{name}.ids"]
        offsets, values = found[f"vocabulary.{owner}.offsets"], found[f"vocabulary.{owner}.bytes"].tobytes()
        check(len(starts) == 901 and starts[0] == 0 and starts[900] == len(ids), starts)
        for i, at in enumerate(found["row"]):
            items = [item for item in text[at][name].split(separator) if item]
            here = range(starts[i], starts[i + 1])
            check(len(items) == len(here), (name, i, items))
            for k, item in zip(here, items):
                value, _, weight = item.partition(":")
                if ids[k] > 0:
                    check(values[offsets[ids[k] - 1] : offsets[ids[k]]].decode() == value, (name, i, item))
                if name == "G":
                    check(found["list.G.weights"][k] == float(weight), (i, item))


def test_lists_with_wrong_contents():
    good, output = read(list_file("good.safetensors")), path("bad.model")
    cases = [
        ("list.G.offsets", struct.pack("<Q", 1), "items do not fit"),
        ("list.G.offsets", struct.pack("<QQ", 0, 10**6), "items that cannot be"),
        ("list.H.ids", struct.pack("<I", 1000), "cannot be"),
        ("list.G.weights", struct.pack("<f", float("nan")), "cannot be"),
        ("category", struct.pack("<III", 1, 1, 1), "row 0"),
    ]
    for name, change, message in cases:
        wrong = write("wrong.safetensors", rewritten(good, name, change))
        fails("train", wrong, "-o", output, *SMALL, parts=["wrong.safetensors", message], output=output)
    for setting in ("fields.G.separator=;", "fields.G.weights=none", "fields.H.kind=category"):
        other = ["--set", setting]
        fails("train", path("good.safetensors"), "-o", output, *other, parts=["another schema"], output=output)
    pooled = ["--set", "fields.G.pool=sum", "--set", "fields.G.within=true"]
    succeeds("train", path("good.safetensors"), "-o", path("pooled.model"), *TRAIN, *pooled)


def test_a_pattern_may_name_a_dataset_file():
    encode("only.safetensors")
    succeeds("train", path("onl?.safetensors"), "-o", path("pattern.model"), *TRAIN)
    succeeds("train", path("only.safetensors"), "-o", path("name.model"), *TRAIN)
    check(read(path("pattern.model")) == read(path("name.model")), "a pattern and a name give different models")


if __name__ == "__main__":
    sys.exit(main("cli_dataset", globals()))
