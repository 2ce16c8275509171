#!/usr/bin/env python3
"""Training with --cache, or on long text without it: what is kept, when it is taken, and when it is made anew; the models are those
without a cache."""

import glob
import json
import os
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from _cli import CLI, check, contains, fails, has_nameless_files, main, path, read, rows_text, succeeds, write  # noqa: E402

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


def test_a_killed_run_leaves_nothing():
    """Killed while it keeps the rows: no file, or the dataset whole under its name, and the next run makes both."""
    text = data("killed.csv", 20000)
    command = [CLI, "train", text, "--cache", path("killed"), *TRAIN, "-q", "-o", path("killed.model")]
    for tenths in range(1, 12):
        run = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        time.sleep(tenths / 100)
        run.kill()
        run.wait()
        kept = os.listdir(path("killed")) if os.path.exists(path("killed")) else []
        check(not has_nameless_files() or not [name for name in kept if name.endswith(".tmp")], kept)
        shutil.rmtree(path("killed"), ignore_errors=True)
    contains(cached(text, "killed"), "Kept the rows")
    check(len(os.listdir(path("killed"))) == 2, os.listdir(path("killed")))


def test_two_at_once():
    text = data("shared.csv", 20000)
    command = [CLI, "train", text, "--cache", path("shared"), *TRAIN, "-q", "-o"]
    runs = [subprocess.Popen([*command, path(f"shared{i}.model")]) for i in range(4)]
    check([run.wait() for run in runs] == [0] * 4, "a run failed")
    models = {read(path(f"shared{i}.model")) for i in range(4)}
    check(len(models) == 1 and len(os.listdir(path("shared"))) == 2, os.listdir(path("shared")))
    contains(cached(text, "shared"), "Took the rows")


# ---- by default: long text, one file for each beside the output


def long_text(folder, megabytes=65):
    """A column of five long values brings few rows to that size."""
    os.mkdir(path(folder))
    header, *rows = rows_text(megabytes * 100).splitlines()
    return write(f"{folder}/long.csv", "\n".join([header + ",long"] + [f"{row},{'abcde'[i % 5] * 10500}" for i, row in enumerate(rows)]) + "\n")


def beside(text, ending=".safetensors"):
    return sorted(glob.glob(f"{text}-*{ending}"))


def trained(text, *arguments):
    """The model beside the text, and what was said of the cache."""
    model = os.path.join(os.path.dirname(text), "m.model")
    said = succeeds("train", text, "-o", model, *TRAIN, *arguments).err.splitlines()[0]
    return read(model), said if "cache" in said else None


def test_long_text_is_kept_beside_the_output():
    text = long_text("default")
    folder = os.path.dirname(text)
    plain = trained(text, "--no-cache")
    check(plain[1] is None and sorted(os.listdir(folder)) == ["long.csv", "m.model"], (plain[1], os.listdir(folder)))
    model, said = trained(text)
    contains(said, "Kept the rows in the cache", beside(text)[0], "MB); --no-cache does without")
    check(model == plain[0], "another model")
    model, said = trained(text)
    contains(said, "Took the rows from the cache", beside(text)[0])
    check(model == plain[0], "another model")
    check(trained(text, "--no-cache")[1] is None, "taken though it was not to be")
    contains(trained(text, "--min-count", "40")[1], "anew", "settings that shape rows have changed")
    contains(trained(text)[1], "anew", "settings that shape rows have changed")
    check(len(beside(text)) == 1 and len(os.listdir(folder)) == 4, os.listdir(folder))
    check(succeeds("train", text, "-o", path("default/m.model"), *TRAIN, "-q").err == "", "quiet")


def test_what_is_not_kept_by_default():
    text = long_text("least", 63)
    check(trained(text)[1] is None and not beside(text), "a shorter text was kept")
    text = long_text("unkept")
    succeeds("train", text, "-o", "/dev/null", *TRAIN)
    with open(text, "rb") as rows:
        done = subprocess.run([CLI, "train", "-", "-o", path("unkept/m.model"), *TRAIN], stdin=rows, capture_output=True, check=True)
    check(b"cache" not in done.stderr, done.stderr)
    check(not beside(text), os.listdir(path("unkept")))


def test_what_cannot_be_kept_trains_all_the_same():
    text = long_text("blocked")
    model, _ = trained(text)
    for blocked in (beside(text)[0], beside(text, ".json")[0]):
        os.remove(blocked)
        os.mkdir(blocked)
        again, said = trained(text)
        contains(said, "The rows are not kept in a cache: cannot write", blocked, "Is a directory", "; --no-cache")
        check(again == model, "another model")
        os.rmdir(blocked)
        contains(trained(text)[1], "the rows" if blocked.endswith(".json") else "anew")
    check(len(os.listdir(path("blocked"))) == 4, os.listdir(path("blocked")))


def test_runs_that_replace_each_others_file():
    text, seeds = long_text("raced"), range(4)
    plain = [trained(text, "--seed", str(seed), "--no-cache")[0] for seed in seeds]
    command = [CLI, "train", text, *TRAIN, "-q"]
    for _ in range(8):
        runs = [subprocess.Popen([*command, "--seed", str(seed), "-o", path(f"raced/{seed}.model")]) for seed in seeds]
        check([run.wait() for run in runs] == [0] * 4, "a run failed")
        check([read(path(f"raced/{seed}.model")) for seed in seeds] == plain, "another model")
    check(len(beside(text)) == 1, os.listdir(path("raced")))


if __name__ == "__main__":
    sys.exit(main("cli_cache", globals()))
