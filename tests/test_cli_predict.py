#!/usr/bin/env python3
"""Rows that come bit by bit go into `deepfm predict`; its answers, their bits and what is left after errors are checked."""

import gzip
import select
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
from _cli import CLI, check, contains, leftovers, main, path, read, rows_text, run, succeeds, write  # noqa: E402

_made = {}


def wide_model():
    """Layers that are wide enough for the multiplies that real models run."""
    if "model" not in _made:
        data = write("wide.csv", rows_text(3000))
        succeeds("train", data, "-o", path("wide.st"), "--epochs", "1", "--hidden", "120,70", "--width", "8")
        _made["model"] = path("wide.st")
    return _made["model"]


def answer(process, seconds=30):
    """The next line that the process prints, without its end."""
    check(select.select([process.stdout], [], [], seconds)[0], "no answer came")
    return process.stdout.readline().decode().strip()


def open_predict():
    return subprocess.Popen([CLI, "predict", wide_model(), "-"], bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_a_pipe_is_answered_as_rows_come():
    """Each row has its answer before the next one is written, and it is the one that the whole file gives."""
    lines = rows_text(300).encode().splitlines(keepends=True)
    expected = succeeds("predict", wide_model(), write("whole.csv", b"".join(lines))).out.split()
    process = open_predict()
    process.stdin.write(lines[0])
    for i, line in enumerate(lines[1:41]):
        process.stdin.write(line[:5])
        process.stdin.write(line[5:])
        got = answer(process)
        check(got == expected[i], f"row {i}: {got}, not {expected[i]}")
    process.stdin.write(b"".join(lines[41:]))
    process.stdin.close()
    got = process.stdout.read().decode().split()
    check(got == expected[40:], "the rest")
    check(process.wait() == 0, "exit code")


def test_a_row_has_the_same_probability_in_any_company():
    lines = rows_text(5000).splitlines(keepends=True)
    expected = succeeds("predict", wide_model(), write("all.csv", "".join(lines))).out
    for first, n in ((0, 1), (0, 15), (7, 17), (100, 127), (3, 129), (50, 2100), (1, 4999)):
        part = write("part.csv", "".join(lines[:1] + lines[1 + first : 1 + first + n]))
        for threads in ("1", "2", "3", "8"):
            got = succeeds("predict", wide_model(), part, "--threads", threads).out.split()
            check(got == expected.split()[first : first + n], f"{n} rows from {first} by {threads} threads")
    packed = gzip.compress("".join(lines).encode())
    check(expected == succeeds("predict", wide_model(), "-", stdin=packed).out, "compressed rows through a pipe")


def test_an_error_ends_the_answers_and_leaves_no_file():
    """What came before the row that is wrong was answered on standard output; a file appears whole or not at all."""
    lines = rows_text(40000).encode().splitlines(keepends=True)
    lines[39000] = b"1,v1,w1,abc\n"
    wrong = write("wrong.csv", b"".join(lines))
    result = run("predict", wide_model(), wrong)
    check(result.code == 1, result.code)
    contains(result.err, "wrong.csv:39001:9:", "'abc'")
    del lines[39000]
    expected = succeeds("predict", wide_model(), write("right.csv", b"".join(lines))).out
    check(0 < len(result.out) < len(expected) and expected.startswith(result.out), "the rows before")
    output = write("kept.txt", "old\n")
    check(run("predict", wide_model(), wrong, "-o", output).code == 1, "exit code")
    check(read(output) == b"old\n" and leftovers(output) == ["kept.txt"], leftovers(output))


def peak_after(rows):
    """The process's largest resident memory in KB once it has answered so many rows, of a pipe that is still open."""
    process = open_predict()
    piece = rows_text(20000, header=False).encode()

    def give():
        process.stdin.write(rows_text(0).encode())
        for _ in range(rows // 20000):
            process.stdin.write(piece)

    giver = threading.Thread(target=give)
    giver.start()
    answers = 0
    while answers < rows:
        lines = process.stdout.read(1 << 16)
        check(lines, "fewer answers than rows")
        answers += lines.count(b"\n")
    giver.join()
    with open(f"/proc/{process.pid}/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    process.stdin.close()
    check(process.wait() == 0, "exit code")
    return peak


def test_memory_does_not_grow_with_the_rows():
    """Of a million rows ids, numbers and labels alone would be 16 MB; buffers fill as it happens, some MB."""
    few, many = peak_after(200000), peak_after(1200000)
    check(many < few + 6000, f"{few} KB with 200,000 rows, {many} KB with 1,200,000")


if __name__ == "__main__":
    sys.exit(main("cli_predict", globals()))
