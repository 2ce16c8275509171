#!/usr/bin/env bash
# A build folder comes in; the difference between what libdeepfm.so exports and what deepfm.h marks DFM_API goes out, and every global
# name of libdeepfm.a that does not start with dfm_.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:?usage: check-symbols.sh BUILD-FOLDER}

declared=$(${CC:-cc} -E -P -D'__attribute__(x)=MARK x' include/deepfm.h | tr '\n' ' ' | tr ';{}' '\n\n\n' |
  sed -n 's/.*MARK (visibility("default")) .*[ *]\(dfm_[a-z0-9_]*\) *(.*/\1/p' | sort -u)
exported=$(nm -D --defined-only "$build/libdeepfm.so" | awk '{ print $NF }' | sort -u)
foreign=$(nm -g --defined-only "$build/libdeepfm.a" | awk 'NF == 3 && $3 !~ /^dfm_/ && $3 !~ /^__(asan|odr_asan|tsan|ubsan)/ { print $3 }' | sort -u)

status=0
complain() { # SENTENCE NAMES
  if [ -n "$2" ]; then
    printf 'symbols: %s: %s\n' "$1" "$(echo $2)"
    status=1
  fi
}
complain "declared in deepfm.h but not exported" "$(comm -23 <(echo "$declared") <(echo "$exported"))"
complain "exported but not declared in deepfm.h" "$(comm -13 <(echo "$declared") <(echo "$exported"))"
complain "global names without the prefix dfm_" "$foreign"
if [ $status -eq 0 ]; then echo "symbols: $(echo "$exported" | wc -l) exported, all of them deepfm.h's"; fi
exit $status
