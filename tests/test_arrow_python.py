#!/usr/bin/env python3
"""Tables of pyarrow come in, through the shared library; that a model trained from them is byte for byte the one that the
command line trains from the same rows as CSV is checked. Skipped where pyarrow is not installed."""

import ctypes
import datetime
import decimal
import os
import re
import sys

sys.dont_write_bytecode = True
from _cli import CLI, check, main, path, read, rows_text, succeeds, write  # noqa: E402

try:
    import pyarrow
    import pyarrow.compute
    import pyarrow.csv
    import pyarrow.parquet
except ImportError:
    print("skipped: pyarrow is not installed")
    sys.exit(77)

LIBRARY = os.path.join(os.path.dirname(os.path.abspath(CLI)), "libdeepfm.so")
SETTINGS = {"train.epochs": "2", "dnn.hidden": "8", "embedding.width": "4", "train.batch_size": "64"}
FLAGS = ["--epochs", "2", "--hidden", "8", "--width", "4", "--batch-size", "64", "-q"]

if b"__asan_init" in read(LIBRARY) or b"__tsan_init" in read(LIBRARY):
    print("skipped: a library under a sanitizer does not load into a plain python")
    sys.exit(77)


class Stream(ctypes.Structure):
    """struct ArrowArrayStream."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("get_schema", "get_next", "get_last_error", "release", "private_data")]


class Error(ctypes.Structure):
    """dfm_error."""

    _fields_ = [
        ("code", ctypes.c_int),
        ("line", ctypes.c_longlong),
        ("column", ctypes.c_longlong),
        ("message", ctypes.c_char * 1024),
    ]


class RunOptions(ctypes.Structure):
    """dfm_run_options."""

    _fields_ = [
        ("model_path", ctypes.c_char_p),
        ("checkpoint_path", ctypes.c_char_p),
        ("checkpoint_every", ctypes.c_int64),
        ("history_path", ctypes.c_char_p),
        ("init_path", ctypes.c_char_p),
        ("resume_path", ctypes.c_char_p),
        ("from", ctypes.c_void_p),
        ("keep_state", ctypes.c_bool),
        ("is_progressive", ctypes.c_bool),
        ("window", ctypes.c_int64),
        ("eval_every", ctypes.c_int64),
        ("threads", ctypes.c_int),
        ("on_progress", ctypes.c_void_p),
        ("context", ctypes.c_void_p),
    ]


library = ctypes.CDLL(LIBRARY)


def call(name, *arguments):
    """A function that takes a dfm_error last."""
    error = Error()
    status = getattr(library, name)(*arguments, ctypes.byref(error))
    check(status == 0, f"{name}: {error.message.decode()}")


def made(name, *arguments):
    """What such a function hands out: the last argument before the error."""
    out = ctypes.c_void_p()
    call(name, *arguments, ctypes.byref(out))
    return out


def input_of(reader):
    stream = Stream()
    reader._export_to_c(ctypes.addressof(stream))
    out = made("dfm_input_from_arrow", ctypes.byref(stream), b"frame")
    check(stream.release is None, "the stream was not taken over")
    return out


def train(reader, name):
    """Trains on a RecordBatchReader; the model's path."""
    rows, valid = ctypes.c_void_p(), ctypes.c_void_p()
    data = input_of(reader)
    schema = made("dfm_schema_guess", data, None)
    recipe = made("dfm_recipe_create")
    for key, value in SETTINGS.items():
        call("dfm_recipe_set", recipe, key.encode(), value.encode())
    call("dfm_dataset_read_train", data, None, schema, recipe, None, ctypes.byref(rows), ctypes.byref(valid))
    trainer = made("dfm_trainer_create", recipe, rows, valid)
    options = RunOptions(model_path=path(name).encode(), threads=2)
    result = ctypes.create_string_buffer(4096)
    call("dfm_trainer_run", trainer, ctypes.byref(options), result)
    library.dfm_trainer_free(trainer)
    library.dfm_dataset_free(rows)
    library.dfm_dataset_free(valid)
    library.dfm_recipe_free(recipe)
    library.dfm_schema_free(schema)
    library.dfm_input_free(data)
    return path(name)


def table_of(name):
    return pyarrow.csv.read_csv(name, convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True))


def test_a_table_gives_the_model_of_its_csv():
    rows = write("rows.csv", rows_text(1500))
    succeeds("train", rows, "-o", path("text.model"), *FLAGS)
    table = table_of(rows)
    expected = read(path("text.model"))
    check(read(train(table.to_reader(), "table.model")) == expected, "one table, another model than from its CSV")
    check(read(train(table.to_reader(max_chunksize=100), "chunks.model")) == expected, "chunks give another model")
    pyarrow.parquet.write_table(table, path("rows.parquet"), row_group_size=400)
    file = pyarrow.parquet.ParquetFile(path("rows.parquet"))
    reader = pyarrow.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches(batch_size=333))
    check(read(train(reader, "parquet.model")) == expected, "parquet gives another model")


def test_dictionaries_and_views_are_text():
    table = table_of(write("rows.csv", rows_text(1500)))
    expected = read(train(table.to_reader(), "plain.model"))
    kinds = [pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), pyarrow.large_string()]
    if hasattr(pyarrow, "string_view"):
        kinds.append(pyarrow.string_view())
    for kind in kinds:
        columns = [
            column.dictionary_encode() if pyarrow.types.is_dictionary(kind) else column.cast(kind)
            for column in table.columns
            if pyarrow.types.is_string(column.type)
        ]
        names = [field.name for field in table.schema if pyarrow.types.is_string(field.type)]
        other = table
        for name, column in zip(names, columns):
            other = other.set_column(other.schema.get_field_index(name), name, column)
        check(read(train(other.to_reader(), "other.model")) == expected, f"{kind} gives another model")


def test_dates_and_decimals_are_what_a_csv_has_of_them():
    n = 600
    start = datetime.datetime(1999, 12, 30, 22, 15, 1)
    days = [(start + datetime.timedelta(days=i * 7 % 61)).date() for i in range(n)]
    table = pyarrow.table({
        "label": [i % 3 == 0 for i in range(n)],
        "day": pyarrow.array([None if i % 50 == 7 else days[i] for i in range(n)], pyarrow.date32()),
        "midnight": pyarrow.array(days, pyarrow.date64()),
        "hour": pyarrow.array([start + datetime.timedelta(hours=i % 40) for i in range(n)], pyarrow.timestamp("s")),
        "price": pyarrow.array([decimal.Decimal(i * 37 % 500 - 100).scaleb(-2) for i in range(n)], pyarrow.decimal128(9, 2)),
    })
    pyarrow.csv.write_csv(table, path("times.csv"))
    succeeds("train", path("times.csv"), "-o", path("times.text.model"), *FLAGS)
    check(read(train(table.to_reader(), "times.model")) == read(path("times.text.model")), "another model than from its CSV")
    check(len(re.findall(r"name: (?:day|midnight|hour), +kind: category", succeeds("schema", path("times.csv")).out)) == 3, "their kinds")
    finer = table.set_column(3, "hour", table.column("hour").cast(pyarrow.timestamp("ns")))
    check(read(train(finer.to_reader(), "finer.model")) == read(path("times.model")), "another unit, another model")


def test_a_real_parquet_file_trains():
    root = os.environ.get("DFM_DATA") or os.path.join(os.environ["DFM_SOURCE_DIR"], "..", "shared", "data")
    name = os.path.join(root, "flights_3m", "flights-3m.parquet")
    if not os.path.exists(name):
        print(f"skipped: {name} is not there")
        return
    table = pyarrow.Table.from_batches([next(pyarrow.parquet.ParquetFile(name).iter_batches(batch_size=5000))])
    late = pyarrow.compute.greater(table.column("delay"), 15)
    table = table.append_column("label", late).drop_columns(["delay"])
    succeeds("inspect", train(table.to_reader(), "flights.model"))


if __name__ == "__main__":
    sys.exit(main("arrow_python", globals()))
