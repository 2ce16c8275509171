#!/usr/bin/env python3
"""Installs the peers: one virtual environment for each requirements-*.txt, since their needs exclude each other.

usage: bench/peers/install.py DIRECTORY [NAME ...]

NAME: torch (1.2 GB and the CUDA libraries that its package asks for, 5 GB in all), keras, wide; left out: all. What does not install is said in
one line, and the rest goes on; bench/peers/peers.py then leaves it out.
"""
import glob
import os
import subprocess
import sys
import venv

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = sorted(os.path.basename(path)[len("requirements-") : -len(".txt")] for path in glob.glob(f"{HERE}/requirements-*.txt"))


def install(name, folder):
    """Whether all packages of requirements-NAME.txt are in folder/NAME now; each by itself, so that one that fails does not keep the others away."""
    environment = os.path.join(folder, name)
    if not os.path.exists(os.path.join(environment, "bin", "pip")):
        venv.create(environment, with_pip=True)
    requirements = f"{HERE}/requirements-{name}.txt"
    with open(requirements) as lines:
        packages = [line.strip() for line in lines if line.strip()]
    is_whole = True
    for package in packages:
        command = [os.path.join(environment, "bin", "pip"), "install", "-q", "-c", requirements, package]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            why = [line for line in done.stderr.splitlines() if "rror" in line] or done.stderr.splitlines() or ["no reason given"]
            print(f"{name}: {package} does not install: {why[-1].strip()}")
            is_whole = False
    return is_whole


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-") or not set(sys.argv[2:]) <= set(NAMES):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    results = [install(name, sys.argv[1]) for name in sys.argv[2:] or NAMES]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
