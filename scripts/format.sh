#!/usr/bin/env bash
# "check" or "write" comes in; a list of lines that clang-format would lay out otherwise, or the files laid out, go out.
# Other major versions than 14 lay out differently, so they are not asked.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:?usage: format.sh check|write}

major=$(clang-format --version 2>/dev/null | sed -n 's/.*version \([0-9]*\).*/\1/p' || true)
if [ "$major" != 14 ]; then
  echo "format: skipped, clang-format is ${major:-absent} and the layout is that of version 14"
  exit 0
fi
folders=()
for folder in include src cli server tests bench examples cmake; do [ -d $folder ] && folders+=($folder); done
mapfile -d '' files < <(find "${folders[@]}" -name '*.[ch]' -print0 | sort -z)
case $mode in
  check) clang-format --dry-run -Werror "${files[@]}" && echo "format: ${#files[@]} files are laid out" ;;
  write) clang-format -i "${files[@]}" ;;
  *) echo "format: unknown mode '$mode'; use check or write" >&2; exit 2 ;;
esac
