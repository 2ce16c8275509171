#!/usr/bin/env bash
# Nothing (or --dev: the checkers as well) comes in; the packages that the build needs, installed, go out. Silent and quick when they are there.
set -euo pipefail
is_dev=0
case ${1:-} in
  '') ;;
  --dev) is_dev=1 ;;
  *) echo "usage: deps.sh [--dev]" >&2; exit 2 ;;
esac

say_what_to_do() { # COMMAND ...
  echo "deepfm: packages are missing and cannot be installed from here; as root, run: $*" >&2
  exit 1
}
as_root() { # COMMAND ...
  if [ "$(id -u)" -eq 0 ]; then "$@" </dev/null; elif command -v sudo >/dev/null; then sudo "$@" </dev/null; else return 1; fi
}
# A tool that is there by other means than a package needs no package.
tools() { # COMMAND:PACKAGE ... -> packages of the commands that are absent
  local pair
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || echo "${pair#*:}"
  done
}

# ---- Debian, Ubuntu
apt_missing() { # PACKAGE ... -> those that are not installed
  local package
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
  done
}
apt_known() { apt-cache show "$1" 2>/dev/null | grep -q '^Package:'; }
apt_install() { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; }
# clang's sanitizer libraries: a package of the release's default version, of a named version, or part of libclang-common.
apt_clang_runtime() {
  local major package
  major=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
  for package in libclang-rt-dev "libclang-rt-$major-dev" "libclang-common-$major-dev"; do
    if apt_known "$package"; then echo "$package"; return 0; fi
  done
  return 1
}
deps_apt() {
  local missing log runtime
  missing=$(tools cc:build-essential make:build-essential cmake:cmake ninja:ninja-build pkg-config:pkg-config python3:python3 | sort -u)
  missing+=" $(apt_missing libjansson-dev libyaml-dev libxxhash-dev libzstd-dev zlib1g-dev libcmocka-dev liblbfgs-dev)"
  # Elsewhere oneDNN has no package and the build does without.
  case $(dpkg --print-architecture) in amd64 | arm64) missing+=" $(apt_missing libdnnl-dev)" ;; esac
  if [ $is_dev -eq 1 ]; then
    missing+=" $(tools gcc:gcc clang:clang clang-format:clang-format)"
    ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.asan* >/dev/null 2>&1 || missing+=" libclang-rt-dev"
  fi
  missing=$(echo $missing)
  if [ -z "$missing" ]; then return; fi

  install_missing() {
    local packages=$missing
    if [[ $packages == *libclang-rt-dev* ]]; then
      runtime=$(apt_clang_runtime) || return 1
      packages=${packages/libclang-rt-dev/$runtime}
    fi
    apt_install $packages
  }
  # apt's lists may be absent (a fresh container) or old: one more try with new ones.
  log=$(mktemp)
  if ! install_missing >"$log" 2>&1 && ! { as_root apt-get update -q && install_missing; } >>"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    say_what_to_do "apt-get update && apt-get install -y $missing"
  fi
  rm -f "$log"
  echo "deepfm: installed $missing"
}

# ---- Fedora and its kin
deps_dnf() {
  local wanted missing
  wanted="jansson-devel libyaml-devel xxhash-devel libzstd-devel zlib-devel libcmocka-devel liblbfgs-devel onednn-devel"
  if [ $is_dev -eq 1 ]; then wanted+=" libasan libubsan libtsan compiler-rt"; fi
  missing="$(tools gcc:gcc make:make cmake:cmake ninja:ninja-build pkg-config:pkgconf-pkg-config python3:python3)"
  if [ $is_dev -eq 1 ]; then missing+=" $(tools clang:clang clang-format:clang-tools-extra)"; fi
  for package in $wanted; do
    rpm -q --whatprovides "$package" >/dev/null 2>&1 || missing+=" $package"
  done
  missing=$(echo $missing)
  if [ -z "$missing" ]; then return; fi
  as_root dnf install -y -q $missing >&2 || say_what_to_do "dnf install -y $missing"
  echo "deepfm: installed $missing"
}

if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
  deps_apt
elif command -v dnf >/dev/null && command -v rpm >/dev/null; then
  deps_dnf
else
  # The build itself names what is missing, so somebody who has it all by other means goes on.
  echo "deepfm: neither apt-get nor dnf is here; install a C17 compiler, CMake 3.25, Ninja, pkg-config, Python 3, oneDNN, jansson, libyaml," \
    "xxHash, zstd, zlib, cmocka and libLBFGS with your system's packages." >&2
fi
