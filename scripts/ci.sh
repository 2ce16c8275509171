#!/usr/bin/env bash
# The tree comes in; every check that must hold goes out, a heading and a time each, all of them even after one has failed. The last line is
# "N passed, N failed": tests over all runs, where a failed stage that has no tests of its own counts as one failure.
set -euo pipefail
cd "$(dirname "$0")/.."
logs=build/ci
mkdir -p $logs
rm -f $logs/count
passed=0
failed=0
failed_stages=()

stage() { # NAME COMMAND ...
  local name=$1 log start=$SECONDS status=0 count p f
  shift
  log=$logs/${name// /-}.log
  printf '\n==== %s\n' "$name"
  "$@" 2>&1 | tee "$log" || status=$?
  p=0 f=0
  count=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1 || true)
  if [ -n "$count" ]; then read -r p _ f _ <<<"$count"; fi
  if [ $status -ne 0 ]; then
    failed_stages+=("$name")
    if [ "$f" -eq 0 ]; then f=1; fi
  fi
  passed=$((passed + p))
  failed=$((failed + f))
  printf -- '---- %s: %s in %d s\n' "$name" "$([ $status -eq 0 ] && echo done || echo FAILED)" $((SECONDS - start))
}

stage "dependencies" scripts/deps.sh --dev
stage "includes" scripts/check-includes.sh
stage "format" scripts/format.sh check
stage "build gcc" scripts/build.sh gcc
stage "build clang" scripts/build.sh clang
stage "tests" env DFM_REQUIRE_DATA=1 make --no-print-directory test
stage "symbols" scripts/check-symbols.sh build/release
stage "install" scripts/check-install.sh build/release
stage "address and undefined behaviour sanitizer" env DFM_REQUIRE_DATA=1 make --no-print-directory asan
stage "thread sanitizer" env DFM_REQUIRE_DATA=1 make --no-print-directory tsan
stage "readme" scripts/check-readme.sh

printf '\n%d s in all\n' "$SECONDS"
if [ ${#failed_stages[@]} -gt 0 ]; then printf 'failed stage: %s\n' "${failed_stages[@]}"; fi
echo "$passed passed, $failed failed" | tee $logs/count
[ "$failed" -eq 0 ]
