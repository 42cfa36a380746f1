# SPDX-License-Identifier: MIT
# The one front door.  Each part has its own build (Meson, Kbuild, QEMU's); this file knows their order.
#
# KERNEL=6.12       the guest kernel of demo, vm, driver and e2e (see scripts/kernel --help)
# IMAGE=sdk         the guest of vm is the one of docs/sdk.md; VMFLAGS=--help for more
# V=1               show commands
# CONFORMANCE_MISSING=java,curl   clients that "make conformance" may do without

KERNEL ?= 6.12
IMAGE ?=
MAKEFLAGS += --no-print-directory
Q := $(if $(V),,@)
export KERNEL IMAGE

.DEFAULT_GOAL := help
.PHONY: help deps build build-asan emulator emulator-lint emulator-test driver driver-lint demo vm check \
	unit relay-test e2e kunit lint bench conformance durability fault fuzz \
	fresh-check install clean

help:
	@echo "azblob-vmbus: Azure Blob requests over VMBus, all of it"
	@echo
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
		awk -F'|' '{ printf "%-21s %s\n", $$1, $$2 }'

deps: ## install the Debian packages that are missing (apt, as root or by sudo)
	$(Q)scripts/install-deps

build: build/build.ninja ## backend, library and programs, in build/
	$(Q)meson compile -C build

build-asan: build-asan/build.ninja ## the same with AddressSanitizer and UBSan, in build-asan/
	$(Q)meson compile -C build-asan

build/build.ninja:
	$(Q)meson setup build

build-asan/build.ninja:
	$(Q)meson setup build-asan -Db_sanitize=address,undefined

emulator: ## QEMU with our device, from Debian's source package, into the cache
	$(Q)emulator/build

driver: ## hv_azure_blob.ko for the guest kernel
	$(Q)scripts/kernel get $(KERNEL) >/dev/null && scripts/kernel make $(KERNEL) -C driver

emulator-lint: emulator ## QEMU's checkpatch over our files and patches
	$(Q)emulator/lint

emulator-test: emulator ## bare guests against Hyper-V and the device, the device's fence included
	$(Q)/usr/bin/python3 -m pytest tests/emulator

.PHONY: emulator-asan
emulator-asan: ## the same, with QEMU under AddressSanitizer and UBSan
	$(Q)QEMU=$$(emulator/build --asan) && export QEMU && \
		ASAN_OPTIONS=detect_leaks=0:exitcode=99 \
		UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:exitcode=99 \
		/usr/bin/python3 -m pytest tests/emulator

durability: build ## power cuts and kills of the backend, many
	$(Q)AZBLOB_CUTS=20000 AZBLOB_SEED=$$(date +%s) build/tests/unit/store_power_test
	$(Q)AZBLOB_KILLS=100 AZBLOB_SEED=$$(date +%s) AZBLOB_VSPD=$(CURDIR)/build/vsp-backend/azblob-vspd \
		/usr/bin/python3 -m pytest tests/durability

fault: build emulator driver ## a host and a backend that go wrong: all in the debug kernel, what is long in a stock one
	$(Q)scripts/debug-kernel >/dev/null
	$(Q)/usr/bin/python3 -m pytest -rs --durations=20 tests/fault --long --guest-kernel debug
	$(Q)/usr/bin/python3 -m pytest -rs --durations=20 tests/fault --long -m long

FUZZ_SECONDS ?= 600
fuzz: fuzz-parsers ## random bytes for all that parses, then a hostile guest against QEMU; FUZZ_SECONDS each (600)
	$(Q)QEMU=$$(emulator/build --asan) && export QEMU && \
		/usr/bin/python3 tests/emulator/vsp/fuzz.py --seconds $(FUZZ_SECONDS)

.PHONY: powercut
powercut: build emulator ## the daemon in a guest whose disk loses power at any flush, and between (as root)
	$(Q)AZBLOB_CUTS=$${AZBLOB_CUTS:-200} AZBLOB_SEED=$${AZBLOB_SEED:-$$(date +%s)} \
		AZBLOB_VSPD=$(CURDIR)/build/vsp-backend/azblob-vspd /usr/bin/python3 -m pytest tests/powercut

.PHONY: container-test
container-test: ## the image by vsp-backend/Containerfile, built by buildah without a registry, and run (as root)
	$(Q)scripts/container-test

.PHONY: fuzz-parsers
fuzz-parsers: ## random bytes for all that parses, in backend and emulator, FUZZ_SECONDS (600) in all
	$(Q)tests/fuzz/run --seconds $$(( $(FUZZ_SECONDS) / 13 + 1 ))

driver-lint: ## checkpatch --strict, sparse and W=1 over the driver
	$(Q)dir=$$(scripts/kernel get $(KERNEL)) && . "$$dir/env" && driver/lint "$$KDIR"

demo: deps build emulator driver ## a blob through the driver of a stock guest, and a table
	$(Q)scripts/demo

vm: deps build emulator driver ## a guest with a shell, driver, CLI and this folder at /host; IMAGE=sdk: with SDKs
	$(Q)$(if $(filter sdk,$(IMAGE)),scripts/install-deps sdk && )scripts/vm $(VMFLAGS)

.PHONY: libvirt
libvirt: deps build emulator driver ## a domain with the device under libvirt's own daemon, from define to undefine (as root)
	$(Q)scripts/install-deps libvirt && scripts/libvirt

check: deps ## everything that CI runs
	$(Q)ci/check

unit: build-asan ## unit tests of the host programs, with sanitizers
	$(Q)meson test -C build-asan --suite unit --print-errorlogs

relay-test: build-asan ## the azure store, with Azurite from npm as the other side too
	$(Q)scripts/install-deps relay && RELAY_UPSTREAMS=vspd,azurite /usr/bin/python3 -m pytest tests/relay

e2e: build emulator driver ## the end-to-end suite in a stock guest
	$(Q)/usr/bin/python3 -m pytest tests/e2e

.PHONY: matrix dkms-test
matrix: build emulator ## the driver on every kernel: built for each, the suite or a smoke test on each, arm64
	$(Q)tests/matrix/run

.PHONY: e2e-debug e2e-kcsan
e2e-debug: build emulator ## the end-to-end suite in the debug kernel, which may complain of nothing and leak nothing
	$(Q)scripts/debug-kernel >/dev/null
	$(Q)/usr/bin/python3 -m pytest tests/e2e --guest-kernel debug

e2e-kcsan: build emulator ## threads against each other in a kernel that finds data races
	$(Q)/usr/bin/python3 -m pytest tests/e2e --guest-kernel kcsan -m concurrency && \
		/usr/bin/python3 -m pytest tests/fault/test_host.py --guest-kernel kcsan -k rescind

.PHONY: lifecycle
lifecycle: build emulator driver ## devices that come and go under load, a thousand rounds (AZBLOB_ROUNDS): hours
	$(Q)export AZBLOB_ROUNDS=$${AZBLOB_ROUNDS:-1000} AZBLOB_TEST_LIMIT=$${AZBLOB_TEST_LIMIT:-14400} && \
		/usr/bin/python3 -m pytest tests/e2e/test_lifecycle.py && \
		/usr/bin/python3 -m pytest tests/fault/test_host.py -k rescind

.PHONY: upstream upstream-check
upstream: ## the driver as a series of kernel patches, in build/upstream/
	$(Q)scripts/upstream

upstream-check: ## the series: checkpatch, git am onto a fresh source, a build with W=1
	$(Q)tests/upstream/check

dkms-test: ## dkms add, build, install and remove, in a Debian of its own
	$(Q)tests/dkms/run

kunit: emulator ## the driver's KUnit tests in the debug kernel; prints KTAP
	$(Q)tests/kunit/run

lint: ## style and static analysis of everything but driver and emulator
	$(Q)ci/lint

conformance: build emulator driver ## real SDKs and tools, unmodified: against the daemon, and in a guest by the driver
	$(Q)scripts/install-deps conformance && \
		export AZBLOB_VSPD=$(CURDIR)/build/vsp-backend/azblob-vspd && status=0 && \
		{ /usr/bin/python3 -m pytest -q -rs tests/conformance || status=1; } && \
		{ /usr/bin/python3 -m pytest -q -rs tests/conformance --door gateway || status=1; } && \
		exit $$status

bench: build emulator driver ## measure beside the peers: all, or "make bench P6 P7" (BENCHFLAGS=--help for more)
	$(Q)scripts/install-deps bench && tests/bench/bench $(BENCHFLAGS) $(filter P%,$(MAKECMDGOALS))

# The names of measurements are goals only beside this one.
ifneq ($(filter bench,$(MAKECMDGOALS)),)
P%: ; @:
endif

fresh-check: ## the README's two commands in a bare Debian 12 (as root)
	$(Q)scripts/fresh-check

install: build ## backend, library, programs and their pages (DESTDIR is honoured)
	$(Q)meson install -C build

clean: ## everything built in the tree; the cache outside it stays
	$(Q)rm -rf build build-asan test-results
	$(Q)$(MAKE) -C driver clean
