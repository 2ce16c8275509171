#!/usr/bin/env bash
# A preset's name comes in; its build in build/PRESET goes out. The configure step talks only when it fails.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:?usage: build.sh PRESET}

for tool in cmake ninja; do
  command -v $tool >/dev/null || { echo "deepfm: $tool is not installed; 'make deps' installs it." >&2; exit 1; }
done
version=$(cmake --version | sed -n 's/^cmake version //p')
if ! printf '3.25\n%s\n' "$version" | sort -C -V; then
  echo "deepfm: CMake is $version and must be 3.25 or newer; a newer one comes with 'pip install cmake' or from cmake.org." >&2
  exit 1
fi
cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset" --parallel "${JOBS:-$(nproc)}"
