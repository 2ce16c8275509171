"""Helpers of the tests of the command line: a case's arguments come in; what the built program ($DFM_CLI) did goes out.

A test program's functions test_* are its cases: `--list` names them, `NAME` runs one; the closing line
is "PROGRAM: N passed, N failed".
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import traceback

CLI = os.environ.get("DFM_CLI", "")
FOLDER = tempfile.mkdtemp(prefix="deepfm-test-")
atexit.register(shutil.rmtree, FOLDER, True)
SMALL = ["--hidden", "8", "--width", "4", "--batch-size", "64", "--threads", "2"]


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


def path(name):
    return os.path.join(FOLDER, name)


def write(name, content):
    with open(path(name), "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return path(name)


def read(name):
    with open(name, "rb") as file:
        return file.read()


def zst_of(content):
    """A zstd frame of stored blocks, so that no compressor is needed."""
    frame = b"\x28\xb5\x2f\xfd" + bytes([0x00, 0x58])  # no checksum, no size; a window of 2 MB
    for at in range(0, len(content) or 1, 1 << 17):
        block = content[at : at + (1 << 17)]
        is_last = at + len(block) >= len(content)
        frame += (is_last | len(block) << 3).to_bytes(3, "little") + block
    return frame


def run(*arguments, stdin=b"", stdout=subprocess.PIPE, cwd=None, seconds=120):
    done = subprocess.run(
        [CLI, *arguments], input=stdin, stdout=stdout, stderr=subprocess.PIPE, cwd=cwd, timeout=seconds
    )
    return Result(done.returncode, (done.stdout or b"").decode(), done.stderr.decode())


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def contains(text, *parts):
    for part in parts:
        check(part in text, f"{part!r} is not in: {text}")


def succeeds(*arguments, **options):
    result = run(*arguments, **options)
    check(result.code == 0, f"{arguments}: exit {result.code}: {result.err}")
    return result


def errors_of(result):
    return [
        line
        for line in result.err.splitlines()
        if line.startswith("deepfm: ") and not line.startswith("deepfm: warning: ")
    ]


def leftovers(output):
    """What stands where `output` should not be, its temporaries included."""
    folder = os.path.dirname(output)
    return (
        [name for name in os.listdir(folder) if name.startswith(os.path.basename(output))]
        if os.path.isdir(folder)
        else []
    )


def fails(*arguments, parts=(), code=1, output=None, **options):
    """One sentence on standard error that holds `parts`, the exit code, and no output file."""
    result = run(*arguments, **options)
    check(result.code == code, f"{arguments}: exit {result.code} instead of {code}: {result.err}")
    errors = errors_of(result)
    check(len(errors) == 1, f"not one sentence: {result.err}")
    contains(errors[0], *parts)
    if output:
        check(not leftovers(output), f"left behind: {leftovers(output)}")
    return errors[0]


def rows_text(n=400, label=None, header=True, seed=0):
    """label, C1 (5 values), C2 (40 values), I1 (decimals, some missing); the label depends on C1 and I1."""
    lines = ["label,C1,C2,I1"] if header else []
    for i in range(n):
        h = (i * 2654435761 + seed * 97) % 2**32
        c1, c2, number = h % 5, (h >> 8) % 40, ((h >> 16) % 1000) / 10
        y = int((c1 in (1, 3)) != (number > 80 and c2 % 2 == 0)) if label is None else label
        lines.append(f"{y},v{c1},w{c2},{'' if i % 17 == 3 else number}")
    return "\n".join(lines) + "\n"


_made = {}


def rows_file():
    if "rows" not in _made:
        _made["rows"] = write("rows.csv", rows_text())
    return _made["rows"]


def schema_file():
    """A schema that does not depend on what a damaged file looks like."""
    if "schema" not in _made:
        succeeds("schema", rows_file(), "-o", path("schema.yaml"))
        _made["schema"] = path("schema.yaml")
    return _made["schema"]


def model_file():
    if "model" not in _made:
        succeeds("train", rows_file(), "-o", path("model.safetensors"), "--epochs", "3", *SMALL)
        _made["model"] = path("model.safetensors")
    return _made["model"]


def insert_line(number, line):
    """The good rows with `line` (bytes) as line `number` (1-based)."""
    lines = rows_text().encode().splitlines(keepends=True)
    lines.insert(number - 1, line + b"\n")
    return b"".join(lines)


# ---- the runner


def has_nameless_files():
    """Whether this file system has files without a name, so that a killed process leaves nothing."""
    try:
        os.close(os.open(path("."), os.O_WRONLY | os.O_TMPFILE))
        return True
    except OSError:
        return False


def main(program, names):
    tests = {name[5:]: value for name, value in names.items() if name.startswith("test_")}
    wanted = sys.argv[1:]
    if wanted == ["--list"]:
        print("\n".join(tests))
        return 0
    for name in wanted:
        if name not in tests:
            print(f"{program}: no test called '{name}'; --list names them", file=sys.stderr)
            return 2
    if not CLI:
        print("DFM_CLI must be the path of the program", file=sys.stderr)
        return 2
    passed, failed = 0, 0
    for name in wanted or tests:
        try:
            tests[name]()
            passed += 1
            print(f"ok      {name}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
    print(f"{program}: {passed} passed, {failed} failed")
    return 1 if failed else 0
