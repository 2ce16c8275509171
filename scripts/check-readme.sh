#!/usr/bin/env bash
# README.md comes in; its ```sh blocks are run one after the other, in one shell, in a fresh copy of the tree; the output of the commands
# goes out. A block whose line before is "<!-- not run -->" is left out.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ ! -f README.md ]; then
  echo "readme: there is no README.md to check"
  exit 0
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/deepfm"
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    if [ -e "$file" ]; then printf '%s\0' "$file"; fi
  done | tar -c --null -T - | tar -x -C "$folder/deepfm"
else
  tar -c --exclude=./build . | tar -x -C "$folder/deepfm"
fi

# `deepfm` alone is the program just built, as it is after `make install`. What a block leaves running ends with the script.
{
  echo 'set -euo pipefail'
  echo 'trap '\''status=$?; kill $(jobs -p) 2>/dev/null || true; [ $status -eq 0 ] || echo "README.md:$line: the block failed"; exit $status'\'' EXIT'
  echo 'PATH=$PWD/build/release:$PATH'
  awk '
    in_block && /^```[ \t]*$/ { in_block = 0; next }
    in_block { print; next }
    /^```sh[ \t]*$/ && before !~ /^<!-- not run -->[ \t]*$/ {
      in_block = 1
      printf "line=%d; echo \"== README.md:%d\"\n", NR, NR
      blocks++
      next
    }
    { before = $0 }
    END { printf "echo \"readme: %d blocks ran\"\n", blocks }' README.md
} >"$folder/blocks.sh"
cd "$folder/deepfm"
# The example from C is what a main() does.
{
  printf '#include <stdio.h>\n#include <stdlib.h>\n#include <deepfm.h>\nint main(void) {\n'
  awk 'in_block && /^```/ { exit } in_block && !/^#include/ { print } /^```c$/ { in_block = 1 }' README.md
  printf 'return 0;\n}\n'
} >"$folder/example.c"
"${CC:-cc}" -std=c17 -Wall -Wextra -Werror -Iinclude -fsyntax-only "$folder/example.c"
echo "readme: the example from C compiles"
env -u DFM_REQUIRE_DATA -u MAKEFLAGS -u MAKELEVEL timeout 900 bash "$folder/blocks.sh" </dev/null
