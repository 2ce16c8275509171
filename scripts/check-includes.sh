#!/usr/bin/env bash
# The sources come in; every #include that points where it must not goes out, as "file:line: sentence".
# A folder of src/ may only include folders to its left; programs see the public header alone; one folder knows the CPU.
set -euo pipefail
cd "$(dirname "$0")/.."

folders=()
for folder in src cli server tests examples cmake; do [ -d $folder ] && folders+=($folder); done
mapfile -d '' files < <(find "${folders[@]}" -name '*.[ch]' -print0 | sort -z)
awk '
  BEGIN {
    may["base"] = "base"
    may["data"] = "base data"
    may["kernel"] = "base kernel"
    may["optim"] = "base kernel optim"
    may["table"] = "base data kernel optim table"
    may["layer"] = "base data kernel optim table layer"
    may["model"] = "base data kernel optim table layer model"
    may["train"] = "base data kernel optim table layer model train"
    may["score"] = "base data kernel optim table layer model score"
  }

  function complain(why) {
    printf "%s:%d: includes \"%s\": %s\n", FILENAME, FNR, target, why
    wrong++
  }
  function is_beside(name) { # in the folder of the file itself
    path = FILENAME
    sub(/[^\/]*$/, name, path)
    if ((getline line < path) < 0) return 0
    close(path)
    return 1
  }
  function check_src(from, to) {
    if (!(from in may)) return complain("src/" from "/ has no place in the order of folders; give it one in scripts/check-includes.sh")
    if (target == "deepfm.h" || (target !~ /\// && is_beside(target))) return
    to = target
    sub(/\/.*/, "", to)
    if (!(to in may)) return complain("neither deepfm.h nor FOLDER/FILE.h of src/")
    if (index(" " may[from] " ", " " to " ") == 0) complain("src/" from "/ may include only " may[from])
  }
  function check_program(own) {
    if (target == "deepfm.h" || target == own "/" file_of(target) || (target !~ /\// && is_beside(target))) return
    complain("programs see deepfm.h and their own folder alone")
  }
  function file_of(path) { sub(/.*\//, "", path); return path }

  /^[ \t]*#[ \t]*include[ \t]*[<"]/ {
    target = $0
    sub(/^[^<"]*[<"]/, "", target)
    sub(/[>"].*/, "", target)
    split(FILENAME, part, "/")
    if ($0 ~ /</) {
      is_cpu = target ~ /^(oneapi\/)?dnnl|^(immintrin|x86intrin|cpuid|arm_neon|arm_sve)\.h$/
      if (is_cpu && FILENAME ~ /^src\// && part[2] != "kernel") complain("only src/kernel/ knows the CPU and oneDNN")
      next
    }
    if (part[1] == "src") check_src(part[2])
    else if (part[1] == "cli" || part[1] == "server") check_program(part[1])
    else if (part[1] == "examples" || part[1] == "cmake") check_program(part[1])
    else if (FILENAME ~ /^tests\/test_(api|cli)[^\/]*$/) check_program("tests")
  }
  END {
    if (wrong) { printf "includes: %d point the wrong way\n", wrong; exit 1 }
    printf "includes: %d files point the right way\n", ARGC - 1
  }' "${files[@]}"
