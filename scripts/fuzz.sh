#!/usr/bin/env bash
# Seconds come in; every fuzz target has run for so long, from the saved inputs on, when it ends. What was found stands in build/fuzz/found, to be
# put into tests/fuzz/corpus/ with the fix.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
scripts/build.sh fuzz >/dev/null
mkdir -p build/fuzz/found
passed=0
for target in build/fuzz/tests/fuzz_*; do
  [ -x "$target" ] && [ -f "$target" ] || continue
  name=$(basename "$target")
  mkdir -p "build/fuzz/corpus/$name"
  echo "==== $name, $seconds s"
  DFM_KERNEL=generic "$target" -max_total_time="$seconds" -rss_limit_mb=4096 -timeout=20 -print_final_stats=1 -verbosity=0 \
    -artifact_prefix="build/fuzz/found/$name-" "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name"
  passed=$((passed + 1))
done
echo "$passed passed, 0 failed"
