"""The command line on libsvm, libffm and JSON lines: the same rows in every format give the same model; bad rows are sentences."""

import array
import gzip
import json
import math
import os
import random

from _cli import FOLDER, SMALL, check, contains, fails, main, path, read, run, succeeds, write
from _formats import Ids, to_csv, to_jsonl, to_libffm, to_libsvm

N = 1500


def make(with_weights, n=N, seed=5):
    """Rows and labels; `hobbies` is a list, with weights or without."""
    draw = random.Random(seed)
    rows, labels = [], []
    for _ in range(n):
        user, item = draw.randrange(30), draw.randrange(50)
        hobbies = [f"h{h}" for h in draw.sample(range(9), draw.randrange(1, 4))]
        if with_weights:
            hobbies = [(h, draw.choice([1.0, 0.5, 0.1, 2.25])) for h in hobbies]
        rows.append({"user": f"u{user}", "item": f"i{item}", "hobbies": hobbies})
        labels.append(int(draw.random() < 0.2 + 0.5 * (user % 3 == 0) + 0.2 * (item % 2)))
    return rows, labels


def file_of(name, lines):
    return write(name, "\n".join(lines) + "\n")


def ffm_file():
    rows, labels = make(True)
    return file_of("rows.ffm", to_libffm(rows, labels))


def ffm_schema():
    succeeds("schema", ffm_file(), "-o", path("ffm.yaml"))
    return path("ffm.yaml")


def probabilities(model, rows):
    return [float(line) for line in succeeds("predict", model, rows).out.split()]


def train(rows, model, *settings):
    succeeds("train", rows, "-o", path(model), "-q", "--epochs", "2", *SMALL, *settings)
    return path(model)


def same(a, b, tolerance=0.0):
    check(len(a) == len(b) and len(a) > 0, f"{len(a)} and {len(b)} rows")
    worst = max(abs(x - y) for x, y in zip(a, b))
    check(worst <= tolerance, f"probabilities differ by {worst}")


# ---- the same rows in every format. Rows of tables start from their values' texts, so the texts must be the same.


def ids_as_texts(rows):
    """The rows with each value written as the number that libsvm and libffm have for it."""
    ids = Ids()
    return [
        {
            column: str(ids.of(column, cell))
            if isinstance(cell, str)
            else [(str(ids.of(column, v)), w) for v, w in cell]
            for column, cell in row.items()
        }
        for row in rows
    ]


def test_libffm_is_delimited_text_with_lists():
    rows, labels = make(True)
    named = [{str(f): cell for f, cell in enumerate(row.values())} for row in ids_as_texts(rows)]
    text = file_of("same.csv", to_csv(named, labels))
    with open(ffm_schema()) as file:
        schema = write("same.yaml", file.read().replace("format: libffm", "header: true"))
    for model in "lr", "fm", "ffm", "deepfm":
        a = train(text, "csv.model", "--model", model, "--schema", schema)
        b = train(ffm_file(), "ffm.model", "--model", model)
        same(probabilities(a, text), probabilities(b, ffm_file()))


def test_libsvm_is_one_list():
    rows, labels = make(True)
    lines = list(to_libsvm(rows, labels))
    svm = file_of("rows.libsvm", lines)
    cells = [{"features": "|".join(line.split()[1:])} for line in lines]
    text = file_of("svm.csv", to_csv(cells, labels))
    settings = [
        x for s in ("kind=list", "weights=:", "pool=sum", "within=true") for x in ("--set", f"fields.features.{s}")
    ]
    for model in "lr", "fm", "ffm", "deepfm":
        a, b = train(text, "a.model", "--model", model, *settings), train(svm, "b.model", "--model", model)
        same(probabilities(a, text), probabilities(b, svm))


def test_json_lines_are_delimited_text():
    rows, labels = make(False)
    for i, row in enumerate(rows):
        row["price"] = None if i % 11 == 0 else round(0.37 * (i % 97) + 0.01, 2)
    text, lines = file_of("j.csv", to_csv(rows, labels)), file_of("j.jsonl", to_jsonl(rows, labels))
    a, b = train(text, "a.model", "--set", "fields.hobbies.kind=list"), train(lines, "b.model")
    same(probabilities(a, text), probabilities(b, lines))


class Weights:
    """A model file's tensors and the rows of its values."""

    def __init__(self, model):
        content = read(model)
        size = int.from_bytes(content[:8], "little")
        self.header, self.data = json.loads(content[8 : 8 + size]), content[8 + size :]
        self.bias = [self.tensor(name, "f")[0] for name in self.header if name.endswith("bias")]

    def tensor(self, name, kind):
        begin, end = self.header[name]["data_offsets"]
        return array.array(kind, self.data[begin:end])

    def rows(self, field):
        """value -> its row of weights"""
        table, (V, n) = self.tensor(f"table.{field}", "f"), self.header[f"table.{field}"]["shape"]
        offsets = self.tensor(f"vocabulary.{field}.offsets", "Q")
        values = self.tensor(f"vocabulary.{field}.bytes", "B").tobytes()
        names = [values[offsets[i] : offsets[i + 1]].decode() for i in range(len(offsets) - 1)]
        return {name: table[(i + V - len(names)) * n : (i + V - len(names) + 1) * n] for i, name in enumerate(names)}


def check_formula(model, file, logit_of):
    for line, probability in zip(open(file), probabilities(model, file)):
        logit = logit_of(line.split()[1:])
        check(abs(1 / (1 + math.exp(-logit)) - probability) < 2e-5, f"{line}: {probability}")


def test_fm_is_libfm_s():
    """One list whose items interact, against the formula on the weights in the file."""
    rows, labels = make(True, n=300)
    svm = file_of("fm.libsvm", to_libsvm(rows, labels))
    model = train(svm, "fm.model", "--model", "fm")
    weights = Weights(model)
    table = weights.rows("features")

    def logit_of(words):
        logit, vectors = sum(weights.bias), []
        for index, value in (word.split(":") for word in words):
            logit += table[index][0] * float(value)
            vectors.append([v * float(value) for v in table[index][1:]])
        pairs = ((x, y) for i, x in enumerate(vectors) for y in vectors[:i])
        return logit + sum(a * b for x, y in pairs for a, b in zip(x, y))

    check_formula(model, svm, logit_of)


def test_ffm_is_libffm_s():
    """Each pair of features by the factors that each has for the other's field, real values and several features of a field among them; beside
    libffm's formula a bias and a first-order weight for each feature."""
    rows, labels = make(True, n=300)
    ffm = file_of("pairs.ffm", to_libffm(rows, labels))
    model = train(ffm, "pairs.model", "--model", "ffm", "--embedding-init-scale", "0.3")
    weights, K = Weights(model), 4
    tables = {field: weights.rows(field) for field in "012"}

    def logit_of(words):
        logit, features = sum(weights.bias), [word.split(":") for word in words]
        for i, (field, index, value) in enumerate(features):
            row = tables[field][index]
            logit += row[0] * float(value)
            for other, other_index, other_value in features[:i]:
                mine = row[1 + int(other) * K : 1 + (int(other) + 1) * K]
                its = tables[other][other_index][1 + int(field) * K : 1 + (int(field) + 1) * K]
                logit += sum(x * y for x, y in zip(mine, its)) * float(value) * float(other_value)
        return logit

    check_formula(model, ffm, logit_of)


# ---- labels, names, guesses


def test_labels():
    for labels, says in (
        (("+1", "-1"), 'negative: ["-1"]'),
        (("1", "0"), "{column: label}"),
        (("1", "-1"), 'negative: ["-1"]'),
        (("5", "2"), "above: 3.5"),
    ):
        lines = [f"{labels[i % 2]} {i % 7}:1 {7 + i % 3}:0.5" for i in range(60)]
        contains(succeeds("schema", file_of("labels.libsvm", lines)).out, "format: libsvm", says)
    lines = [f"{1 + i % 5} {i % 7}:1" for i in range(60)]
    contains(succeeds("schema", file_of("stars.libsvm", lines)).out, "above: 3")


def test_formats_are_found():
    rows, labels = make(True, n=50)
    texts = {"libsvm": to_libsvm(rows, labels), "libffm": to_libffm(rows, labels), "jsonl": to_jsonl(rows, labels)}
    for name, lines in texts.items():
        content = ("\n".join(lines) + "\n").encode()
        for file in (write("text", content), write("text.gz", gzip.compress(content))):
            contains(succeeds("schema", file).out, f"format: {name}\n")
        contains(succeeds("schema", "-", stdin=content).out, f"format: {name}\n")
    for ending, name in ("svm", "libsvm"), ("ffm", "libffm"), ("ndjson.gz", "jsonl"):
        broken = gzip.compress(b"?\n") if ending.endswith("gz") else b"1 x y\n"
        fails("schema", write(f"broken.{ending}", broken), parts=[f"broken.{ending}:1"]) if name != "libsvm" else None
    contains(succeeds("schema", write("times.txt", "label a\n1 12:30\n0 13:40\n")).out, "separator:")
    contains(succeeds("schema", write("x.txt", "1 1:2 3:4\n0 5:6 7:8\n"), "--format", "delimited", "--label", "1").out, "separator: \" \"")
    fails("schema", write("x.txt", "1 1:2\n"), "--format", "xml", code=2, parts=["--format is 'xml'", "delimited | libsvm | libffm | jsonl"])
    fails("schema", write("one.txt", "a\nb\nc\n"), parts=["one.txt has a single column", "libsvm, libffm or JSON lines"])


def test_guess_of_libffm():
    lines = ["1 0:1:1 1:2:1 2:3:0.5 4:9:1", "0 0:1:1 1:2:1 1:5:1 2:3:1"]
    out = succeeds("schema", file_of("g.ffm", lines)).out
    for part in (
        '{name: "0",              kind: category}',
        '{name: "1",              kind: list, weights: ":", pool: sum, within: true}',
        '{name: "2",              kind: list, weights: ":", pool: sum}',
        '{name: "4",              kind: list, weights: ":", pool: sum}',
    ):
        contains(out, part)


def test_guess_of_json():
    lines = ['{"b": {"c": "x", "d": [1, 2]}, "label": true, "n": 1.5}', '{"label": false, "z": [[1]], "b": {"c": null}, "n": 2}']
    out = succeeds("schema", file_of("g.jsonl", lines * 20)).out
    order = [out.index(f"name: {name}") for name in ('"b.c"', '"b.d"', "label", '"n"', "z")]
    check(order == sorted(order), out)
    contains(out, 'positive: ["true"]', "kind: list}", "kind: ignore}", "kind: number")


def test_schemas_of_formats():
    base = "format: {}\ncolumns:\n  - {{name: label, kind: label}}\n"
    for text, parts in (
        (base.format("libsvm"), ["one list of pairs", "one column the kind list"]),
        (base.format("libsvm") + "  - {name: a, kind: category}\n", ["one list of pairs"]),
        (base.format("libffm") + "  - {name: a, kind: category}\n", [":4:", "column 'a' is no field of libffm rows"]),
        (base.format("libffm") + '  - {name: "01", kind: category}\n', ["column '01' is no field"]),
        (base.format("libffm") + '  - {name: "1", kind: category}\n  - {name: w, kind: weight}\n', ["have no weights"]),
        ("header: true\n" + base.format("jsonl"), [":1:1:", "header says how delimited text is written", "jsonl"]),
        (base.format("xml"), [":1:9:", "format is 'xml'"]),
    ):
        fails("train", ffm_file(), "--schema", write("bad.yaml", text), "-o", path("no.model"), parts=parts)
    fails("train", ffm_file(), "--schema", ffm_schema(), "--format", "libffm", code=2, parts=["--format and --schema"])


# ---- bad rows

FFM = "format: libffm\nlabel: {column: label}\ncolumns:\n  - {name: label, kind: label}\n  - {name: \"0\", kind: category}\n  - {name: \"1\", kind: list}\n  - {name: \"2\", kind: number}\n"
SVM = "format: libsvm\nlabel: {column: label}\ncolumns:\n  - {name: label, kind: label}\n  - {name: features, kind: list, weights: \":\"}\n"
JSON = "format: jsonl\nlabel: {column: label}\ncolumns:\n  - {name: label, kind: label}\n  - {name: c, kind: category}\n  - {name: n, kind: number}\n  - {name: l, kind: list}\n"

BAD = [
    (SVM, "1 5:1 \r 1 7:1", 7, "'\\x0D' is no index:value"),
    (SVM, "1 a:1", 3, "'a:1' is no index:value"),
    (SVM, "1 1:1 -2:1", 7, "'-2:1' is no index:value"),
    (SVM, "1 1:x", 3, "'1:x' has a value that is no finite number"),
    (SVM, "1 1:", 3, "'1:' has a value that is no finite number"),
    (SVM, "1 1:nan", 3, "'1:nan' has a value that is no finite number"),
    (SVM, "1 1:2:3", 3, "'1:2:3' has a value"),
    (SVM, "7 1:1", 1, "has a label that is neither 0 nor 1: '7'"),
    (SVM, "1:1 2:1", None, "the row has no label 'label'"),
    (SVM.replace(', weights: ":"', ""), "1 1:2", 3, "has a value other than 1: '1:2'"),
    (FFM, "1 0:1", 3, "'0:1' is no field:feature:value"),
    (FFM, "1 0:1:1 x:1:1", 9, "'x:1:1' is no field:feature:value"),
    (FFM, "1 0:1:1 7:1:1", 9, "the schema has no field 7"),
    (FFM, "1 0:1:1 0:2:1", 9, "column '0' has a second feature in this row: '0:2:1'"),
    (FFM, "1 0:1:2", 3, "column '0' has a value other than 1: '0:1:2'"),
    (FFM, "1 1:1:2", 3, "column '1' has a value other than 1: '1:1:2'"),
    (FFM, "1 0:1:1 2:9:inf", 9, "'2:9:inf' has a value that is no finite number"),
    (JSON, '{"label": 1, "c": "x"', 22, "the row ends where it needs a comma or }"),
    (JSON, '{"label": 1, "c": "x", "c": "y"}', 24, "column 'c' is twice in this row"),
    (JSON, '{"label": 1, "n": "x"}', 19, "column 'n' is numeric but has text: 'x'"),
    (JSON, '{"label": 1, "n": 1e99}', 19, "column 'n' has a number too large"),
    (JSON, '{"label": 1, "n": [1]}', 14, "column 'n' holds an array here"),
    (JSON, '{"label": 1, "l": ["a", {}]}', 25, "column 'l' has an item that is an array or object"),
    (JSON, '{"label": 2}', 11, "has a label that is neither 0 nor 1: '2'"),
    (JSON, '{"c": "x"}', None, "the row has no label 'label'"),
    (JSON, "[1]", 1, "one object a line"),
]
GOOD = {
    SVM: "{y} {i}:1 {j}:0.5 # text",
    FFM: "{y} 0:{i}:1 1:{j}:1 2:77:{j}.5",
    JSON: '{{"label": {y}, "c": "{i}", "n": {j}.5, "l": ["a", {j}]}}',
}
GOOD[SVM.replace(', weights: ":"', "")] = "{y} {i}:1 qid:3 {j}"


def test_bad_rows():
    for number, (schema, row, column, says) in enumerate(BAD):
        good = [GOOD[schema].format(y=i % 2, i=i % 5, j=9 + i % 3) for i in range(40)]
        lines = good[:30] + [row] + good[30:]
        file, yaml = file_of(f"bad{number}.txt", lines), write(f"bad{number}.yaml", schema)
        place = f"bad{number}.txt:31:" + (f"{column}: " if column else " ")
        train = ["train", file, "--schema", yaml, "-o", path("bad.model"), "--epochs", "1", *SMALL]
        fails(*train, parts=[place, says], output=path("bad.model"))
        result = succeeds(*train, "--skip-bad-rows", "1")
        contains(result.err, "Left out 1 with", says)
        os.remove(path("bad.model"))


def test_unknown_values_have_their_place():
    for schema, row, says in (
        (SVM, "1 1:1 0888:1", "txt:2:7: column 'features' has a value that the vocabulary lacks: '888'"),
        (FFM, "1 1:10:1 0:777:1", "txt:2:12: column '0' has a value that the vocabulary lacks: '777'"),
        (JSON, '{"l": ["a", "b\\u00e9"], "c": "1", "label": 0}', "txt:2:13: column 'l' has a value that the vocabulary lacks: 'bé'"),
    ):
        good = [GOOD[schema].format(y=i % 2, i=i % 5, j=9 + i % 3) for i in range(40)]
        yaml = write("unknown.yaml", schema.replace("kind: list", "kind: list, unknown: error").replace("kind: category", "kind: category, unknown: error"))
        model = train(file_of("good.txt", good), "unknown.model", "--schema", yaml, "--valid-fraction-random", "0")
        fails("predict", model, file_of("unknown.txt", [good[0], row]), parts=[says])


# ---- the same bytes, and rows to score


def test_same_bytes_whatever_threads_and_source():
    rows, labels = make(True, n=3000)
    for name, lines in (
        ("t.libsvm", to_libsvm(rows, labels)),
        ("t.ffm", to_libffm(rows, labels)),
        ("t.jsonl", to_jsonl(rows, labels)),
    ):
        content = ("\n".join(lines) + "\n").encode()
        file, packed = write(name, content), write(name + ".gz", gzip.compress(content))
        options = ["-o", path("t.model"), "-q", "--epochs", "1", *SMALL[:-2]]

        def bytes_of(data, threads, stdin=b""):
            succeeds("train", data, *options, "--threads", str(threads), stdin=stdin)
            return read(path("t.model"))

        first = bytes_of(file, 1)
        for threads in 2, 3, 8:
            check(bytes_of(file, threads) == first, f"{name}: {threads} threads")
        check(bytes_of(packed, 2) == first, f"{name}: gzip")
        check(bytes_of("-", 2, stdin=content) == first, f"{name}: standard input")
        half = content.index(b"\n", len(content) // 2) + 1
        write("part-1-" + name, content[:half])
        write("part-2-" + name, content[half:])
        check(bytes_of(os.path.join(FOLDER, "part-?-" + name), 3) == first, f"{name}: two files")
        succeeds("encode", file, "-o", path("t.dataset"), "-q")
        check(bytes_of(path("t.dataset"), 2) == first, f"{name}: dataset file")


def test_rows_without_labels_are_scored():
    rows, labels = make(True)
    for name, write_rows in ("u.libsvm", to_libsvm), ("u.ffm", to_libffm):
        ids = Ids()
        labelled = file_of(name, write_rows(rows, labels, ids))
        bare = file_of("bare-" + name, write_rows(rows, [None] * len(rows), ids))
        model = train(labelled, "u.model")
        same(probabilities(model, labelled), probabilities(model, bare))
        fails("eval", model, bare, parts=["the row has no label 'label'"])
    lines = file_of("u.jsonl", to_jsonl(rows, labels))
    bare = file_of("bare.jsonl", to_jsonl(rows, [None] * len(rows)))
    model = train(lines, "u.model")
    same(probabilities(model, lines), probabilities(model, bare))


def test_json_keys_and_values():
    """Order of keys, unknown ones, nesting, escapes and null say nothing of their own."""
    train_rows = [f'{{"label": {i % 2}, "u": {{"c": "é{i % 3}"}}, "n": {i % 7}.5, "l": ["a{i % 4}", "b"]}}' for i in range(60)]
    model = train(file_of("keys.jsonl", train_rows), "keys.model")
    a = ['{"label": 1, "u": {"c": "é1"}, "n": 2.5, "l": ["a2", "b"]}', '{"u": {"c": null}, "n": null, "l": []}', '{"u.c": "x"}']
    b = [
        ' {"other": [{"x": "\\ud83d\\ude00"}], "l" : ["\\u0061\\u0032", null, "", "b"], "n": "2.5", "u": {"y": {}, "c": "\\u00E91"}} ',
        '{"n": ""}',
        '{"u": {"c": "x"}, "l": null}',
    ]
    same(probabilities(model, file_of("a.jsonl", a)), probabilities(model, file_of("b.jsonl", b)))


# ---- the README's commands, and conversions, on real data


def shared(name):
    root = os.environ.get("DFM_DATA") or os.path.join(os.environ.get("DFM_SOURCE_DIR", "."), "..", "shared", "data")
    file = os.path.join(root, name)
    if os.path.exists(file):
        return file
    check(os.environ.get("DFM_REQUIRE_DATA") != "1", f"{file} is missing and DFM_REQUIRE_DATA=1")
    print(f"skipped: {file} is not there")
    return None


def head_of(file, n):
    with (gzip.open if file.endswith(".gz") else open)(file, "rt") as lines:
        return [line.rstrip("\n") for _, line in zip(range(n), lines)]


def test_original_files():
    adult = os.path.join(os.environ.get("DFM_SOURCE_DIR", "."), "examples", "adult.yaml")
    for name, rows, options in (
        ("criteo_kaggle_head/train.txt.gz", 10109, ["--label", "1"]),
        ("frappe_x1/test.csv.gz", 28860, []),
        ("flights_nyc13/flights_delay15.csv.gz", 327346, []),
        ("adult/adult.data.gz", 32561, ["--schema", adult]),
        ("movielens_sample/movielens_sample.txt", 200, ["--label", "rating", "--set", "fields.genres.kind=list"]),
    ):
        file = shared(name)
        if not file:
            return
        model = train(file, "original.model", *options, "--model", "lr", "--batch-size", "4096")
        if name.startswith("adult"):
            file, rows = shared("adult/adult.test.gz"), 16281
        result = json.loads(succeeds("eval", model, file, "--json").out)
        check(result["metrics"]["rows"] == rows, f"{name}: {result}")


def test_adult_is_solved_exactly():
    """Logistic regression on the 8 categorical columns: the optimum that any correct solver reaches (the data's README)."""
    file = shared("adult/adult.data.gz")
    if not file:
        return
    schema = os.path.join(os.environ.get("DFM_SOURCE_DIR", "."), "examples", "adult.yaml")
    numbers = ("age", "education-num", "capital-gain", "capital-loss", "hours-per-week")
    options = [f"fields.{name}.kind=ignore" for name in numbers]
    options += [f"l2.linear={1 / 32561}", "validation.random=0", "optimizer.name=lbfgs"]
    options += ["optimizer.lbfgs_iterations=1000", "optimizer.lbfgs_tolerance=1e-9"]
    options = [part for option in options for part in ("--set", option)]
    output = path("adult.safetensors")
    done = json.loads(succeeds("train", file, "-o", output, "--schema", schema, "--model", "lr", "--json", *options).out)
    check(abs(done["objective"] / 11673.522086 - 1) < 1e-6, done["objective"])
    found = json.loads(succeeds("eval", output, shared("adult/adult.test.gz"), "--json").out)["metrics"]
    check(abs(found["logloss"] - 0.358241) < 2e-6 and abs(found["auc"] - 0.878422) < 5e-6, found)


def real_rows(name, n=3000):
    """Cells and labels of a data set's first rows."""
    lines = head_of(shared(name), n)
    if name.startswith("adult"):
        table = [line.split(", ") for line in lines if line.count(",") == 14]
        columns, label = [f"c{i}" for i in range(14)] + ["label"], lambda row: int(row["label"].startswith(">"))
    elif name.startswith("criteo"):
        table, columns = [line.split("\t") for line in lines], ["label"] + [f"c{i}" for i in range(39)]
        label = lambda row: int(row["label"])
    elif name.startswith("movielens"):
        table, columns = [line.split(",") for line in lines[1:] if line.count(",") == 9], lines[0].split(",")
        label = lambda row: int(int(row["rating"]) > 3)
    else:
        table, columns = [line.split(",") for line in lines[1:]], lines[0].split(",")
        label = lambda row: int(row["label"])
    rows = [dict(zip(columns, cells)) for cells in table]
    labels = [label(row) for row in rows]
    names = [column for column in columns if column not in ("label", "rating")]
    rows = [{c: row[c].split("|") if c == "genres" else row[c] or None for c in names} for row in rows]
    return rows, labels


def test_conversions_of_real_data():
    for name in (
        "frappe_x1/test.csv.gz",
        "flights_nyc13/flights_delay15.csv.gz",
        "adult/adult.data.gz",
        "criteo_kaggle_head/train.txt.gz",
        "movielens_sample/movielens_sample.txt",
    ):
        if not shared(name):
            return
        rows, labels = real_rows(name)
        got = {}
        for kind, write_rows in ("libsvm", to_libsvm), ("libffm", to_libffm), ("jsonl", to_jsonl):
            file = file_of(f"real.{kind}", write_rows(rows, labels))
            settings = [x for c in rows[0] if c != "genres" for x in ("--set", f"fields.{c}.kind=category")]
            model = train(file, "real.model", "--model", "lr", *(settings if kind == "jsonl" else []))
            got[kind] = probabilities(model, file)
            check(len(got[kind]) == len(rows), f"{name} as {kind}: {len(got[kind])} rows")
        if all(cell is not None for row in rows for cell in row.values()):
            same(got["libsvm"], got["libffm"], 1e-5)
            if "genres" not in rows[0]:
                same(got["jsonl"], got["libffm"], 1e-5)


if __name__ == "__main__":
    raise SystemExit(main("cli_formats", globals()))
