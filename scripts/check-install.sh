#!/usr/bin/env bash
# A build folder comes in; it is installed to a temporary prefix, and programs of somebody else's are built against that with
# find_package(deepfm) and with pkg-config, shared and static, and run.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:?usage: check-install.sh BUILD-FOLDER}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
prefix=$folder/prefix
version=$(sed -n 's/^#define DFM_VERSION "\(.*\)"/\1/p' include/deepfm.h)

quietly() { # COMMAND ...: its output only where it fails
  "$@" >"$folder/log" 2>&1 || { cat "$folder/log"; echo "install: failed: $*"; exit 1; }
}
expect_version() { # WHAT COMMAND ...
  local what=$1 answer
  shift
  answer=$("$@") || { echo "install: $what failed"; exit 1; }
  [ "$answer" = "$version" ] || { echo "install: $what says '$answer', deepfm.h says '$version'"; exit 1; }
}

quietly cmake --install "$build" --prefix "$prefix"
quietly cmake -S cmake/consumer -B "$folder/consumer" -G Ninja -DCMAKE_PREFIX_PATH="$prefix"
quietly cmake --build "$folder/consumer"
expect_version "find_package, shared" "$folder/consumer/consumer_shared"
expect_version "find_package, static" "$folder/consumer/consumer_static"

pc=$(find "$prefix" -name deepfm.pc)
export PKG_CONFIG_PATH=${pc%/*}
libdir=$(pkg-config --variable=libdir deepfm)
expect_version "pkg-config --modversion" pkg-config --modversion deepfm
quietly ${CC:-cc} cmake/consumer/main.c -o "$folder/shared" $(pkg-config --cflags --libs deepfm)
quietly ${CC:-cc} cmake/consumer/main.c -o "$folder/static" $(pkg-config --cflags deepfm) "$libdir/libdeepfm.a" \
  $(pkg-config --static --libs-only-l deepfm | sed 's/-ldeepfm//')
expect_version "pkg-config, shared" env LD_LIBRARY_PATH="$libdir" "$folder/shared"
expect_version "pkg-config, static" "$folder/static"
quietly "$prefix/bin/deepfm" --help
echo "install: find_package and pkg-config programs run, shared and static, version $version"
