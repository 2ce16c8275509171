#!/usr/bin/env python3
"""Training with --cache: what is kept, when it is taken, and when it is made anew; the models are those without one."""

import glob
import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
from _cli import CLI, check, contains, fails, main, path, read, rows_text, succeeds, write  # noqa: E402

TRAIN = ["--epochs", "1", "--hidden", "8", "--width", "4", "--batch-size", "64"]


def data(name, n=1500, seed=0):
    return write(name, rows_text(n, seed=seed))


def cached(text, folder, *arguments):
    """Trains through the cache, checks that the model is the one without it, and gives what was said."""
    said = succeeds("train", text, "--cache", path(folder), "-o", path("cached.model"), *TRAIN, *arguments).err
    succeeds("train", text, "-o", path("plain.model"), *TRAIN, *arguments, "-q")
    check(read(path("cached.model")) == read(path("plain.model")), (text, arguments))
    return said.splitlines()[0]


def files(folder, ending=".safetensors"):
    return sorted(glob.glob(path(folder) + "/*" + ending))


def test_taken_the_second_time():
    text = data("rows.csv")
    contains(cached(text, "first"), "Kept the rows in the cache", files("first")[0])
    before = os.stat(files("first")[0])
    contains(cached(text, "first"), "Took the rows from the cache", files("first")[0])
    check(os.stat(files("first")[0]).st_mtime_ns == before.st_mtime_ns, "written again")
    contains(cached(text, "first", "--width", "2", "--seed", "1"), "Took the rows")
    result = json.loads(succeeds("train", text, "--cache", path("first"), "-o", path("m"), *TRAIN, "--json", "-q").out)
    contains(result["cache"], "Took the rows")
    check(len(os.listdir(path("first"))) == 2, os.listdir(path("first")))
    check(0 < result["memory_anonymous_peak"] <= result["memory_peak"], result)
    check(0 < result["first_step_seconds"] <= 60, result)


def test_settings_and_schema_have_files_of_their_own():
    text = data("shaped.csv")
    for i, arguments in enumerate(([], ["--min-count", "40"], ["--set", "fields.C1.min_count=9"], ["--seed", "3"])):
        contains(cached(text, "shaped", *arguments), "Kept the rows")
        contains(cached(text, "shaped", *arguments), "Took the rows")
        check(len(files("shaped")) == i + 1, files("shaped"))


def test_validation_file_and_several_files():
    text, more, valid = data("a.csv"), data("b.csv", seed=5), data("valid.csv", 300, 3)
    said = [
        succeeds("train", text, more, "--valid", valid, "--cache", path("many"), "-o", path(name), *TRAIN).err
        for name in ("1.model", "2.model")
    ]
    contains(said[0], "Kept the rows")
    contains(said[1], "Took the rows")
    succeeds("train", text, more, "--valid", valid, "-o", path("3.model"), *TRAIN)
    check(read(path("1.model")) == read(path("2.model")) == read(path("3.model")), "models differ")
    data("valid.csv", 300, 4)
    said = succeeds("train", text, more, "--valid", valid, "--cache", path("many"), "-o", path("4.model"), *TRAIN).err
    contains(said, "anew, since the data have changed")


def test_changed_data():
    text = data("changing.csv")
    cached(text, "changing")
    data("changing.csv", seed=1)
    contains(cached(text, "changing"), "anew, since the data have changed")
    stat, content = os.stat(text), read(text).decode()
    changed = content[:-3].rsplit("\n", 1)[0] + "\n" + content[:-3].rsplit("\n", 1)[1].replace("v", "u", 1) + content[-3:]
    check(len(changed) == len(content) and changed != content, "no change")
    write("changing.csv", changed)
    os.utime(text, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    contains(cached(text, "changing"), "anew, since the data have changed")
    os.utime(text, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    contains(cached(text, "changing"), "anew, since the data have changed")
    contains(cached(text, "changing"), "Took the rows")
    check(len(files("changing")) == 1, files("changing"))


def test_damaged_caches_are_made_anew():
    text = data("damaged.csv")
    cached(text, "damaged")
    dataset, description = files("damaged")[0], files("damaged", ".json")[0]
    good, good_description = read(dataset), read(description)
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    for content in (bytes(flipped), good[: len(good) // 2], b"", b"label\n1\n"):
        write(dataset, content)
        contains(cached(text, "damaged"), "anew, since it was damaged")
        check(read(dataset) == good and read(description) == good_description, "not made as before")
    for content in (b"", b"{", good_description.replace(b'"dataset"', b'"else"'), None):
        os.remove(description) if content is None else write(description, content)
        contains(cached(text, "damaged"), "anew, since it was damaged")
        check(read(description) == good_description, "not made as before")
    os.remove(dataset)
    contains(cached(text, "damaged"), "anew, since it was damaged")
    other = data("other.csv", seed=9)
    cached(other, "damaged")
    wrong = [name for name in files("damaged") if "other.csv" in name][0]
    write(dataset, read(wrong))
    contains(cached(text, "damaged"), "anew, since it was damaged")


def test_what_is_not_cached():
    text, dataset = data("piped.csv"), path("own.safetensors")
    arguments = ["--cache", path("none"), "-o", path("piped.model"), *TRAIN]
    contains(succeeds("train", "-", *arguments, stdin=read(text)).err, "not cached", "standard input")
    succeeds("encode", text, "-o", dataset, "-q")
    contains(succeeds("train", dataset, *arguments).err, "dataset file already")
    check(not os.path.exists(path("none")), "a folder was made")
    check(succeeds("train", text, *arguments, "-q").err == "", "quiet")


def test_places_that_cannot_be():
    text, output = data("places.csv"), path("bad.model")
    for folder in (text, text + "/cache", path("no/where")):
        fails("train", text, "--cache", folder, "-o", output, *TRAIN, "-q", parts=[folder], output=output)


def test_two_at_once():
    text = data("shared.csv", 20000)
    command = [CLI, "train", text, "--cache", path("shared"), *TRAIN, "-q", "-o"]
    runs = [subprocess.Popen([*command, path(f"shared{i}.model")]) for i in range(4)]
    check([run.wait() for run in runs] == [0] * 4, "a run failed")
    models = {read(path(f"shared{i}.model")) for i in range(4)}
    check(len(models) == 1 and len(os.listdir(path("shared"))) == 2, os.listdir(path("shared")))
    contains(cached(text, "shared"), "Took the rows")


if __name__ == "__main__":
    sys.exit(main("cli_cache", globals()))
