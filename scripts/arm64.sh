#!/usr/bin/env bash
# Nothing comes in. The tree built for arm64 with warnings as errors, in build/arm64, and the verdict of its C tests under qemu go out.
# On Debian or Ubuntu with gcc-aarch64-linux-gnu and qemu-user-static; the libraries are unpacked beside the build and not installed.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$PWD/build/arm64
root=$build/root
libraries=$root/usr/lib/aarch64-linux-gnu
packages=(libjansson-dev libjansson4 libyaml-dev libyaml-0-2 libxxhash-dev libxxhash0 libzstd-dev libzstd1 zlib1g-dev zlib1g
  libcmocka-dev libcmocka0 liblbfgs-dev liblbfgs0)
for tool in aarch64-linux-gnu-gcc qemu-aarch64-static; do
  command -v $tool >/dev/null || { echo "arm64: $tool is missing; install gcc-aarch64-linux-gnu and qemu-user-static" >&2; exit 1; }
done

if [ ! -d "$root" ]; then
  mkdir -p "$build"/apt/{lists/partial,cache/archives/partial,packages}
  options=(-q -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User=root -o Dir::State="$build/apt"
    -o Dir::State::status=/dev/null -o Dir::Cache="$build/apt/cache")
  apt-get "${options[@]}" update
  (cd "$build/apt/packages" && apt-get "${options[@]}" download "${packages[@]}")
  for package in "$build"/apt/packages/*.deb; do dpkg -x "$package" "$root.new"; done
  cp -a "$root.new/lib/." "$root.new/usr/lib/" # zlib's links point there
  ln -sf libz.so.1 "$root.new/usr/lib/aarch64-linux-gnu/libz.so"
  mv "$root.new" "$root"
fi

PKG_CONFIG_LIBDIR=$libraries cmake -S . -B "$build" -G Ninja -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
  -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_BUILD_TYPE=RelWithDebInfo -DDFM_WERROR=ON -DDFM_ONEDNN=OFF \
  -DCMAKE_FIND_ROOT_PATH="$root" -DCMAKE_LIBRARY_ARCHITECTURE=aarch64-linux-gnu -DCMAKE_FIND_ROOT_PATH_MODE_PROGRAM=NEVER \
  -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY -DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY \
  "-DCMAKE_CROSSCOMPILING_EMULATOR=qemu-aarch64-static;-L;/usr/aarch64-linux-gnu;-E;LD_LIBRARY_PATH=$libraries"
cmake --build "$build" --parallel "${JOBS:-$(nproc)}"

# Scripts start the program, which the system itself cannot run. So do the two left out, or they count qemu's memory areas too.
ctest --test-dir "$build" --output-on-failure --parallel "${JOBS:-$(nproc)}" -LE long -R '^test_[a-z0-9_]*$' -E '^test_(base|file)$'
