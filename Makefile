# The menu: one word in, one job done. The work is in CMakeLists.txt, CMakePresets.json and scripts/; this file only names it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
export JOBS

.PHONY: help deps build demo test test-long ci asan tsan arm64 fuzz bench format check-format check-includes check-symbols check-install \
  check-readme install clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

deps: ## install what the build needs (Debian, Ubuntu, Fedora); silent when it is there
	@scripts/deps.sh

build: ## library and program, optimised, in build/release
	@scripts/build.sh release

demo: deps build ## train, judge and use a first model
	@scripts/demo.sh

test: deps build ## all tests but the long ones
	@scripts/run-tests.sh release

test-long: deps build ## the long tests alone
	@scripts/run-tests.sh long

ci: ## everything that must hold before a change goes in
	@scripts/ci.sh

asan: ## all tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@scripts/build.sh asan
	@scripts/run-tests.sh asan

tsan: ## the tests that use threads under ThreadSanitizer
	@scripts/build.sh tsan
	@scripts/run-tests.sh tsan

arm64: ## build for arm64 and run the C tests under qemu (Debian, Ubuntu)
	@scripts/arm64.sh

fuzz: ## every fuzz target for a minute (ARGS=SECONDS), with clang's libFuzzer
	@scripts/fuzz.sh $(or $(ARGS),60)

bench: build ## training speed on this machine; ARGS="--help" shows what can be set
	@build/release/deepfm bench $(ARGS)

format: ## lay out the C sources with clang-format 14
	@scripts/format.sh write

check-format: ## are they?
	@scripts/format.sh check

check-includes: ## do includes point the right way (base <- data; base <- kernel <- optim; ...)?
	@scripts/check-includes.sh

check-symbols: build ## does the shared library export what deepfm.h declares, and nothing else?
	@scripts/check-symbols.sh build/release

check-install: build ## install to a temporary prefix, then build and run programs against it
	@scripts/check-install.sh build/release

check-readme: ## run the README's commands in a fresh copy
	@scripts/check-readme.sh

install: build ## to PREFIX (/usr/local), DESTDIR is respected
	@cmake --install build/release --prefix $(PREFIX)
	@[ -n "$${DESTDIR:-}" ] || ldconfig 2>/dev/null || true

clean: ## remove build/
	@rm -rf build
