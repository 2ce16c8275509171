#!/usr/bin/env python3
"""Rows with one thing wrong with them come in; that `deepfm doctor` names it, and names nothing where nothing is wrong,
is checked."""

import json
import random
import sys

sys.dont_write_bytecode = True
from _cli import check, contains, fails, main, path, run, succeeds, write  # noqa: E402

ROWS = 4000


def clean(n=ROWS, seed=1):
    """Columns by name: a label that two of them tell something about, and values that come back."""
    draw = random.Random(seed)
    columns = {
        "label": [],
        "site": [f"s{min(int(draw.expovariate(0.3)), 15)}" for _ in range(n)],
        "device": [draw.choice(["phone", "tablet", "desk"]) for _ in range(n)],
        "price": [f"{draw.lognormvariate(2, 0.7):.2f}" for _ in range(n)],
        "views": [str(int(draw.expovariate(0.1))) for _ in range(n)],
        "speed": [f"{draw.random():.6f}" for _ in range(n)],
    }
    columns["label"] = [
        str(int(draw.random() < (0.4 if site in ("s0", "s2") else 0.2) + (0.1 if device == "phone" else 0)))
        for site, device in zip(columns["site"], columns["device"])
    ]
    return columns


def save(name, columns):
    rows = zip(*columns.values())
    return write(name, "\n".join([",".join(columns)] + [",".join(row) for row in rows]) + "\n")


def findings(columns, *arguments, name="rows.csv"):
    return json.loads(succeeds("doctor", save(name, columns), "--json", *arguments).out)["findings"]


def is_alone(found, code, severity, field, *parts):
    """One finding and no other."""
    check([(f["code"], f["severity"], f["field"]) for f in found] == [(code, severity, field)], found)
    contains(found[0]["message"], *parts)
    check(found[0]["remedy"], found)


def changed(field, change):
    """The clean rows with cell i of a field replaced by change(i, cell, label)."""
    columns = clean()
    old = columns.get(field, [""] * ROWS)
    columns[field] = [change(i, cell, columns["label"][i]) for i, cell in enumerate(old)]
    return columns


def test_clean_rows_have_no_findings():
    check(findings(clean()) == [], "clean rows")
    contains(succeeds("doctor", path("rows.csv"), "--strict").out, "4,000 rows: nothing found")
    succeeds("synth", "--rows", "20000", "--seed", "3", "-o", path("synth.csv"))
    found = json.loads(succeeds("doctor", path("synth.csv"), "--json").out)["findings"]
    check([f for f in found if f["severity"] == "warning"] == [], found)


def test_constant():
    is_alone(findings(changed("site", lambda i, cell, y: "s1")), "constant", "warning", "site", "'s1'", "4000 rows")
    is_alone(findings(changed("price", lambda i, cell, y: "7.5")), "constant", "warning", "price", "7.5")
    is_alone(findings(changed("site", lambda i, cell, y: "")), "constant", "warning", "site", "empty")


def test_unique_and_rare():
    found = findings(changed("key", lambda i, cell, y: f"k{i * 7919 % 10007}x"))
    is_alone(found, "unique", "warning", "key", "4000 values in 4000 rows", "100.0 %")
    found = findings(changed("key", lambda i, cell, y: f"k{i if i % 3 else i % 11}"))
    is_alone(found, "rare", "note", "key", "66.5 %")


def test_numbers_written_as_text():
    for write_as, example in ((lambda cell: f'"{cell[:-1]}"'.replace(".", ","), ","), (lambda cell: "$" + cell[:-1], "'$"), (lambda cell: cell[:-1] + " €", " €'"),
                              (lambda cell: f'"{int(float(cell) * 1000):,}.5"', ".5'")):
        found = findings(changed("price", lambda i, cell, y: write_as(cell)))
        found = [f for f in found if f["code"] == "text_number"]
        is_alone(found, "text_number", "warning", "price", "decimal comma", example)
    for no_number in (lambda cell: cell.replace(".", "-"), lambda cell: f"1.{cell}", lambda cell: f"{cell}kg", lambda cell: f'"{cell[:1]},{cell[-1]},{cell[-1]}"'):
        found = findings(changed("price", lambda i, cell, y: no_number(cell)))
        check("text_number" not in [f["code"] for f in found], found)


def test_leak():
    # a copy of the label in disguise; of the last category a tenth of a percent is wrong
    found = findings(changed("status", lambda i, cell, y: ("paid", "open")[y == "0"] + str(i % 5)))
    is_alone(found, "leak", "warning", "status", "AUC 1.0000")
    found = findings(changed("spent", lambda i, cell, y: f"{i * 7919 % 10007 / 10007 + (i % 1000 != 5) * float(y):.4f}"))
    is_alone(found, "leak", "warning", "spent", "by its order")
    # empty cells tell as much as values
    found = findings(changed("spent", lambda i, cell, y: f"{i % 37}.5" if y == "1" else ""))
    check("leak" in [f["code"] for f in found], found)
    # each value in one row: its own label must not count
    found = findings(changed("key", lambda i, cell, y: f"k{i}x"))
    check("leak" not in [f["code"] for f in found], found)


def test_numbers_that_are_names():
    schema = write(
        "numbers.yaml",
        "label: {column: label}\ncolumns:\n  - {name: label, kind: label}\n"
        + "".join(f"  - {{name: {c}, kind: category}}\n" for c in ("site", "device"))
        + "".join(f"  - {{name: {c}, kind: number}}\n" for c in ("price", "views", "speed", "n")),
    )
    found = findings(changed("n", lambda i, cell, y: str(1000 + 3 * i)), "--schema", schema)
    is_alone(found, "id_number", "warning", "n", "rising from row to row")
    found = findings(changed("n", lambda i, cell, y: str(i * 7919 % 100003)), "--schema", schema)
    is_alone(found, "id_number", "warning", "n", "like an id")
    # 200 shops, each with a label rate of its own that has nothing to do with its number
    shop = lambda i, cell, y: str(random.Random(i).randrange(100) * 2 + (random.Random(-i).random() < 0.75) * int(y))
    found = findings(changed("n", lambda i, cell, y: str(int(shop(i, cell, y)) * 7)), "--schema", schema)
    is_alone(found, "id_number", "note", "n", "more as names than as amounts")


def test_outliers():
    found = findings(changed("price", lambda i, cell, y: "1e9" if i == 77 else f"-{i % 89}.5"))
    is_alone(found, "outliers", "warning", "price", "reaches 1e+09", "between -66.5 and -22.5")


def test_missing():
    is_alone(findings(changed("price", lambda i, cell, y: cell if i % 5 == 0 else "")), "missing", "note", "price", "80.0 %")
    found = findings(changed("price", lambda i, cell, y: cell if i % 50 == 0 else ""))
    is_alone(found, "missing", "warning", "price", "98.0 %")


def test_new_values_and_drift():
    found = findings(changed("month", lambda i, cell, y: f"m{i * 12 // ROWS}"))
    is_alone(found, "new_values", "warning", "month", "the last tenth", "0.0 % would if the rows were shuffled")
    found = findings(changed("device", lambda i, cell, y: "phone" if i > 0.9 * ROWS and i % 2 else cell))
    is_alone(found, "drift", "note", "device", "the last tenth", "PSI")
    found = findings(changed("price", lambda i, cell, y: str(9 + i % 100 / 100) if i < 400 else cell))
    is_alone(found, "drift", "note", "price", "tenth 1 ", "PSI")
    # many new values everywhere are no change
    found = findings(changed("key", lambda i, cell, y: f"k{i if i % 3 == 0 else i % 11}"))
    check(found == [], found)


def test_label_drift():
    columns = clean()
    columns["label"] = [str(int(i % 10 < (6 if i >= 3600 else 3))) for i in range(ROWS)]
    is_alone(findings(columns), "label_drift", "warning", None, "60.00 %", "30.00 %")
    columns["label"] = [str(int(i % 10 < (6 if i < 400 else 3))) for i in range(ROWS)]
    is_alone(findings(columns), "label_drift", "note", None, "60.00 % in tenth 1")
    # drawn rows are put back into the order of the text
    columns["label"] = [str(int(i % 10 < (6 if i >= 3600 else 3))) for i in range(ROWS)]
    succeeds("encode", save("drawn.csv", columns), "-o", path("drawn.safetensors"), "-q")
    found = json.loads(succeeds("doctor", path("drawn.safetensors"), "--json").out)["findings"]
    is_alone(found, "label_drift", "warning", None, "60.00 %", "30.00 %")


def test_repeats():
    columns = clean()
    columns["page"] = ["/" + site[::-1] for site in columns["site"]]
    columns["cost"] = columns["price"]
    found = findings(columns)
    check([(f["code"], f["field"]) for f in found] == [("repeats", "page"), ("repeats", "cost")], found)
    contains(found[0]["message"], "'site'", "4000 rows")


def test_one_class_and_imbalance():
    columns = clean()
    columns["label"] = ["0"] * ROWS
    is_alone(findings(columns), "one_class", "warning", None, "all 4000 rows have label 0")
    columns["label"] = [str(int(i % 400 == 7)) for i in range(ROWS)]
    is_alone(findings(columns), "imbalance", "warning", None, "only 10 of 4000 rows (0.25 %) have label 1")
    columns = clean(20000)
    columns["label"] = [str(int(i % 200 != 7)) for i in range(20000)]
    is_alone(findings(columns), "imbalance", "note", None, "(0.5 %) have label 0")


def test_duplicates_and_contradictions():
    columns = clean()
    for cells in columns.values():  # a twentieth of the rows comes again, far behind
        cells[3000:3200] = cells[:200]
    found = findings(columns)
    is_alone(found, "duplicates", "warning", None, "5.0 % of the rows")
    columns = clean()
    for name, cells in columns.items():  # the row behind each twentieth becomes its like, but for the label
        cells[1::20] = [str(1 - int(cell)) for cell in cells[::20]] if name == "label" else cells[::20]
    is_alone(findings(columns), "contradictions", "note", None, "10.0 % of the rows")
    few = {name: cells for name, cells in clean().items() if name in ("label", "site", "device")}
    found = findings(few)  # rows that are equal by nature
    check([(f["code"], f["severity"]) for f in found] == [("duplicates", "note"), ("contradictions", "note")], found)
    contains(found[0]["message"], "9", "rows of their own")


def test_the_file_counts_not_how_it_came():
    columns = changed("month", lambda i, cell, y: f"m{i * 12 // ROWS}")
    data = save("same.csv", columns)
    for i, arguments in enumerate((["--valid-fraction-random", "0"], [], ["--valid-split", "0.2"])):
        succeeds("encode", data, "-o", path("same.safetensors"), "-q", *arguments)
        for threads in ("1", "3"):
            found = json.loads(succeeds("doctor", path("same.safetensors"), "--json", "--threads", threads).out)
            check(found["rows"] == found["rows_by_field"] == ROWS, found)
            # rows held out at the end have no ids for the last months: they are one unknown value
            code = "drift" if "--valid-split" in arguments else "new_values"
            check([f["code"] for f in found["findings"]] == [code], (arguments, found))
            if i == 0:
                check(found == json.loads(succeeds("doctor", data, "--json").out), found)


def schema_of(columns, **kinds):
    """The clean columns as they are guessed, and others with settings in YAML."""
    plain = {"label": "kind: label", "site": "kind: category", "device": "kind: category"}
    text = "".join(f"  - {{name: {c}, {kinds.get(c, plain.get(c, 'kind: number'))}}}\n" for c in columns)
    return write("kinds.yaml", "label: {column: label}\ncolumns:\n" + text)


def test_lists():
    tags = lambda i, draw: "|".join(draw.choice("abcdefgh") * 3 for _ in range(i % 4 + 1))
    draw = random.Random(2)

    def found_with(change):
        columns = changed("tags", change)
        return findings(columns, "--schema", schema_of(columns, tags="kind: list"))

    check(found_with(lambda i, cell, y: tags(i, draw)) == [], "lists that tell nothing")
    is_alone(found_with(lambda i, cell, y: "a|a"[: 1 + 2 * (i % 2)]), "constant", "warning", "tags", "'a'", "4000 rows")
    is_alone(found_with(lambda i, cell, y: ""), "constant", "warning", "tags", "empty")
    sparse = found_with(lambda i, cell, y: tags(i, draw) if i % 5 == 0 else "")
    is_alone(sparse, "missing", "note", "tags", "80.0 %")
    is_alone(found_with(lambda i, cell, y: f"k{i}x|k{i}y"), "unique", "warning", "tags", "8000 values in 4000 rows", "items")
    leak = found_with(lambda i, cell, y: tags(i, draw) + "|told" * int(y))
    is_alone(leak, "leak", "warning", "tags", "AUC 1.0000")
    later = found_with(lambda i, cell, y: f"m{i * 12 // ROWS}|" + tags(i, draw))
    is_alone(later, "new_values", "warning", "tags", "of the items in the last tenth")


def test_shared_hashed_and_bucketed_fields():
    columns = changed("key", lambda i, cell, y: f"k{i * 7919 % 2000}")
    columns["copy"] = columns["key"]
    found = findings(columns, "--schema", schema_of(columns, key="kind: category", copy="kind: category, share: key"))
    check([(f["code"], f["field"]) for f in found] == [("repeats", "copy")], found)
    hashed = schema_of(columns, key="kind: category, hash: 100000", copy="kind: ignore")
    check(findings(columns, "--schema", hashed) == [], "a hashed key")
    columns["key"] = ["same"] * ROWS
    is_alone(findings(columns, "--schema", hashed), "constant", "warning", "key", "is bucket ", "4000 rows")
    columns["key"] = [""] * ROWS
    is_alone(findings(columns, "--schema", hashed), "constant", "warning", "key", "empty")
    columns["key"] = ["" if i % 5 else f"k{i % 9}" for i in range(ROWS)]
    is_alone(findings(columns, "--schema", hashed), "missing", "note", "key", "80.0 %")
    only = {"label": columns["label"], "amount": [str(i) for i in range(ROWS)]}
    found = findings(only, "--schema", schema_of(only, amount="kind: category, buckets: 10"))
    by_code = {f["code"]: f for f in found}
    check("unique" not in by_code and by_code["duplicates"]["severity"] == "note", found)
    contains(by_code["duplicates"]["message"], "once they are in buckets")


def test_bad_rows_are_left_out_and_said():
    columns = clean(100)
    schema = schema_of(columns)
    data = save("bad.csv", columns)
    with open(data, "a") as file:
        file.write("1,too,few\n")
    fails("doctor", data, "--schema", schema, parts=["bad.csv:102", "3 cells"])
    for command in ("doctor", "inspect"):
        result = succeeds(command, data, "--schema", schema, "--skip-bad-rows", "1", "--threads", "2")
        contains(result.err, "Left out 1 with a wrong number of cells", "bad.csv:102")


def test_lines_and_exit_codes():
    data = save("lines.csv", changed("site", lambda i, cell, y: "s1"))
    out = succeeds("doctor", data).out.splitlines()
    contains(out[0], "warning  site: is 's1' in all 4000 rows; ", "[constant]")
    check(out[-1] == "4,000 rows: 1 warning, 0 notes", out)
    check(run("doctor", data, "--strict").code == 1, "--strict")
    check(run("doctor", "-", "--strict", stdin=open(data, "rb").read()).code == 1, "standard input")
    fails("doctor", path("nothing.csv"), parts=["nothing.csv"])
    fails("doctor", data, "--strikt", code=2, parts=["did you mean '--strict'"])


if __name__ == "__main__":
    sys.exit(main("cli_doctor", globals()))
