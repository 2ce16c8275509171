#!/usr/bin/env bash
# The demo: makes click data whose true probabilities are known, trains logistic regression and DeepFM on it, and shows both beside the best possible.
set -euo pipefail

cd "$(dirname "$0")/.."
deepfm=build/release/deepfm
out=build/demo
train_rows=300000
test_rows=50000
mkdir -p "$out"

bold=$([ -t 1 ] && tput bold 2>/dev/null || true)
plain=$([ -t 1 ] && tput sgr0 2>/dev/null || true)
say() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }

say "1. Data: $train_rows rows to train on, $test_rows to test with, 13 numbers and 26 categories in Criteo's shape"
"$deepfm" synth --rows $((train_rows + test_rows)) --seed 1 --with-truth -o "$out/all.csv"
# The last column is the true probability: training must not see it.
head -n $((train_rows + 1)) "$out/all.csv" | cut -d, -f1-40 > "$out/train.csv"
{ head -n 1 "$out/all.csv"; tail -n "$test_rows" "$out/all.csv"; } > "$out/test.csv"
rm "$out/all.csv"
head -n 3 "$out/train.csv"

say "2. Logistic regression"
"$deepfm" train "$out/train.csv" --model lr --epochs 4 -o "$out/lr.safetensors" --quiet
"$deepfm" eval "$out/lr.safetensors" "$out/test.csv" --truth truth --json > "$out/lr.json"

say "3. DeepFM"
"$deepfm" train "$out/train.csv" --epochs 4 -o "$out/deepfm.safetensors"
"$deepfm" eval "$out/deepfm.safetensors" "$out/test.csv" --truth truth --json > "$out/deepfm.json"

say "4. On $test_rows rows that neither has seen"
python3 - "$out/lr.json" "$out/deepfm.json" <<'PY'
import json
import sys

lr, deepfm = (json.load(open(path)) for path in sys.argv[1:])
rows = [("logistic regression", lr["metrics"]), ("DeepFM", deepfm["metrics"]), ("best possible", deepfm["best_possible"])]
print(f"{'model':<22}{'AUC':>8}{'log loss':>10}")
for name, result in rows:
    print(f"{name:<22}{result['auc']:>8.4f}{result['logloss']:>10.4f}")
PY

say "5. Five rows, scored"
head -n 6 "$out/test.csv" > "$out/five.csv"
"$deepfm" predict "$out/deepfm.safetensors" "$out/five.csv" | paste -d' ' - <(tail -n 5 "$out/five.csv" | cut -d, -f1,41 | tr ',' ' ') |
  awk '{ printf "probability %.4f   clicked %s   truth %.4f\n", $1, $2, $3 }'

say "Go on with"
cat <<EOF
  $deepfm inspect $out/deepfm.safetensors                              what the model knows of each field
  $deepfm eval    $out/deepfm.safetensors $out/test.csv --truth truth
  $deepfm schema  YOUR.csv --label CLICKED                             how your own columns are understood
  $deepfm train   YOUR.csv --label CLICKED -o yours.safetensors
  $deepfm train   --help
EOF
