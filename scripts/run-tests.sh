#!/usr/bin/env bash
# A test preset's name comes in; ctest's output, then the line "N passed, N failed", go out. Further arguments go to ctest.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:?usage: run-tests.sh PRESET [CTEST-ARGUMENT ...]}
shift

# ThreadSanitizer of gcc 12 and clang 14 does not start under wide address space randomisation; where switching it off is allowed, do.
runner=()
if [ "$preset" = tsan ] && setarch "$(uname -m)" -R true 2>/dev/null; then runner=(setarch "$(uname -m)" -R); fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
"${runner[@]}" ctest --preset "$preset" --parallel "${JOBS:-$(nproc)}" "$@" 2>&1 | tee "$log" || status=$?

# ctest's summary is "P% tests passed, F tests failed out of N"; skipped tests are among its passed ones.
read -r passed failed skipped < <(awk '
  /tests passed, [0-9]+ tests failed out of [0-9]+/ { failed = $4; total = $NF }
  /\*\*\*Skipped/ { skipped++ }
  END { print total - failed - skipped, failed + 0, skipped + 0 }' "$log")
if [ "$skipped" -gt 0 ]; then echo "$skipped skipped"; fi
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi # nothing ran: that is a failure, not zero of them
echo "$passed passed, $failed failed"
exit "$status"
