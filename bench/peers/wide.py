"""LR, FM (k 8) and FFM (k 4) with AdaGrad on the same Criteo-like rows of 39 fields: `deepfm train` on a dataset file beside xLearn and Vowpal Wabbit, which
have parsed the rows before; on one core and on all. One pass of each is judged by its log loss on rows held out."""
import os
import re
import statistics
import subprocess
import sys

import deep_deepfm

N_TRAIN, N_HELD_OUT = 1_000_000, 200_000
WIDTH = {"lr": 1, "fm": 8, "ffm": 4}


class Peer:
    def __init__(self, title, script=None, kinds=("lr", "fm", "ffm"), threads=(1, 0), text=None):
        self.title, self.script, self.kinds, self.threads, self.text = title, script, kinds, threads, text


# Vowpal Wabbit learns on one thread (another one parses). It has nothing that shares a value's factors as an FM does; its nearest to an FFM, --lrqfa, learns
# 6,000 such rows a second and diverges at its default rate, so it is left out.
PEERS = {
    "wide-deepfm": Peer("deepfm"),
    "xlearn": Peer("xLearn", "wide_xlearn.py", text="ffm"),
    "vw": Peer("Vowpal Wabbit", "wide_vw.py", kinds=("lr",), threads=(1,), text="vw"),
}


def schema_text():
    """All 39 columns as categories, the numbers by Criteo's floor(ln(x)^2)."""
    lines = ["label: label", "columns:", "  - {name: label, kind: label}"]
    lines += [f"  - {{name: I{d + 1}, kind: category, transform: log2}}" for d in range(13)]
    lines += [f"  - {{name: C{f + 1}, kind: category}}" for f in range(26)]
    return "\n".join(lines) + "\n"


def make_rows(arguments, folder, rows=N_TRAIN, held_out=N_HELD_OUT):
    """The dataset file, where it is not there."""
    text, schema, data = (os.path.join(folder, name) for name in ("wide.csv", "wide.yaml", "wide.safetensors"))
    if os.path.exists(data):
        return data
    with open(schema, "w") as file:
        file.write(schema_text())
    subprocess.run([arguments.deepfm, "synth", "--rows", str(rows + held_out), "-o", text], check=True)
    share = repr(held_out / (rows + held_out))
    command = [arguments.deepfm, "encode", text, "--schema", schema, "--valid-split", share, "-o", data, "-q"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    os.remove(text)
    return data


def time_deepfm(arguments, kind, threads, data, folder):
    settings = ["--model", kind, "--optimizer", "adagrad", "--learning-rate", "0.05" if kind == "lr" else "0.03"]
    settings += ["--batch-size", "256", "--epochs", str(1 + arguments.repeats), "--threads", str(threads)]
    settings += ["--width", str(WIDTH[kind]), "-o", os.path.join(folder, "wide.model")]
    result, epochs = deep_deepfm.train(arguments.deepfm, data, [*settings, "--history", os.path.join(folder, "wide.jsonl")])
    rates = [epoch["rows_per_second"] for epoch in epochs[1:]]
    return {"train": rates, "log_loss": epochs[0]["valid"]["logloss"], "memory": result["memory_peak"], "versions": {}}


def knows(arguments, kind):
    text = subprocess.run([arguments.deepfm, "train", "--help"], check=True, capture_output=True, text=True).stdout
    return kind in re.findall(r"\w+", re.search(r"--model VALUE[^(]*\(([^;]*);", text).group(1))


class Texts:
    """The rows as the peers read them, each form written once, when it is first asked for and not there."""

    def __init__(self, folder, data, rows, python):
        self.folder, self.data, self.rows, self.python, self.made = folder, data, rows, python, {}

    def of(self, form):
        if form not in self.made:
            stem = os.path.join(self.folder, "wide-" + form)
            script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wide_text.py")
            self.made[form] = (stem + ".train", stem + ".held-out")
            if not all(os.path.exists(path) for path in self.made[form]):
                subprocess.run([self.python, script, form, self.data, str(self.rows), stem], check=True)
        return self.made[form]


def prepare(arguments, python_of):
    """The dataset file and the peers' texts, in the folder of --rows."""
    texts = Texts(arguments.rows, make_rows(arguments, arguments.rows), N_TRAIN, python_of(arguments, "wide"))
    for name in arguments.peers:
        if name in PEERS and PEERS[name].text:
            texts.of(PEERS[name].text)


def measure(arguments, run_script, python_of, folder, results, rows=N_TRAIN, held_out=N_HELD_OUT):
    """Adds ("name kind threads", result) for each side, without those that do not run."""
    data = make_rows(arguments, folder, rows, held_out)
    texts = None
    for name in [name for name in arguments.peers if name in PEERS]:
        for kind in PEERS[name].kinds:
            for threads in PEERS[name].threads:
                try:
                    if not PEERS[name].script:
                        if not knows(arguments, kind):
                            raise RuntimeError(f"this deepfm has no model '{kind}'")
                        result = time_deepfm(arguments, kind, threads, data, folder)
                    else:
                        python = python_of(arguments, "wide")
                        texts = texts or Texts(folder, data, rows, python)
                        train, test = texts.of(PEERS[name].text)
                        request = {"train": train, "held_out": test, "kind": kind, "threads": threads, "width": WIDTH[kind], "rows": rows}
                        result = run_script(python, PEERS[name].script, {**request, "repeats": arguments.repeats, "folder": folder})
                except RuntimeError as error:
                    print(f"wide: {name} {kind} is left out: {error}", file=sys.stderr)
                    continue
                results.append((f"{name} {kind} {threads}", result))
                print(f"wide: {name} {kind}, {threads or 'all'} threads: {statistics.median(result['train']):,.0f} rows/s", file=sys.stderr)


def table_of(results, rows=N_TRAIN, held_out=N_HELD_OUT):
    lines = [
        f"## Wide models: {rows:,} Criteo-like rows of 39 fields, AdaGrad; FM k 8, FFM k 4",
        "",
        "| model | what | threads | training rows/s | deepfm / this | one pass: log loss on held-out rows | peak memory |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    found = dict(results)
    for key, result in sorted(results, key=lambda item: list(WIDTH).index(item[0].split()[1])):
        name, kind, threads = key.split()
        rates, ours = result["train"], found.get(f"wide-deepfm {kind} {threads}")
        ratio = f"{statistics.median(ours['train']) / statistics.median(rates):.2f}" if ours and ours is not result else ""
        speed = f"{statistics.median(rates):,.0f} ({min(rates):,.0f} - {max(rates):,.0f})"
        lines.append(
            f"| {kind} | {PEERS[name].title} | {'all' if threads == '0' else threads} | {speed} | {ratio} | {result['log_loss']:.4f} | {result['memory'] / 1e9:.2f} GB |"
        )
    return lines + [""]
