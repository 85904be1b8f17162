# SPDX-License-Identifier: Apache-2.0
# Meson builds; this file is the short way to say what.
#
#   make            build            make check      every test; installs what is missing first
#   make asan       the same under AddressSanitizer and UndefinedBehaviorSanitizer
#   make demo       the main job step by step on the screen (KEEP=1 leaves the server running)
#   make bench      measurements     make man        man pages into $(BUILD)/man
#   make install    DESTDIR and PREFIX as usual      make clean

BUILD ?= build
PREFIX ?= /usr/local
PYTHON ?= /usr/bin/python3
MESON_FLAGS ?=
man = $(DESTDIR)$(PREFIX)/share/man/man
completions = $(DESTDIR)$(PREFIX)/share/bash-completion/completions

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup $(BUILD) --prefix $(PREFIX) $(MESON_FLAGS)

deps:
	tools/install-deps

check: deps
	$(MAKE) all
	BUILD=$(BUILD) PYTHON=$(PYTHON) tools/check

# The unit tests look for leaks; roles are not dumpable, and no leak checker can look into them.
asan: deps
	test -f $(BUILD)-asan/build.ninja || meson setup $(BUILD)-asan -Db_sanitize=address,undefined -Db_lundef=false
	ninja -C $(BUILD)-asan
	BUILD=$(BUILD)-asan PYTHON=$(PYTHON) ESTUARY_PATIENCE=90 ESTUARY_CPU_LIMIT_MS=50 ESTUARY_SANITIZED=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 tools/check

demo:
	tools/install-deps demo
	$(MAKE) all
	BUILD=$(BUILD) tools/demo

bench: all
	BUILD=$(BUILD) $(PYTHON) bench/run; server=$$?; BUILD=$(BUILD) $(PYTHON) bench/device && exit $$server
	BUILD=$(BUILD) $(PYTHON) bench/provision

man: all
	$(BUILD)/src/cli/estuary --man $(BUILD)/man
	$(BUILD)/src/device/agent/estuary-agent --man $(BUILD)/man
	$(BUILD)/src/server/estuaryd/estuaryd --man $(BUILD)/man

# What is built may have been set up for another prefix: the units name it.
install: $(BUILD)/build.ninja
	grep -qsF '"name": "prefix", "value": "$(PREFIX)"' $(BUILD)/meson-info/intro-buildoptions.json || \
		meson configure $(BUILD) --prefix "$(PREFIX)"
	ninja -C $(BUILD)
	meson install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir "$(abspath $(DESTDIR))")
	install -d "$(man)1" "$(man)8" "$(completions)"
	for p in cli/estuary device/agent/estuary-agent; do \
		$(BUILD)/src/$$p --man "$(man)1" && $(BUILD)/src/$$p --completion >"$(completions)/$${p##*/}" || exit 1; \
	done
	$(BUILD)/src/server/estuaryd/estuaryd --man "$(man)8"

clean:
	rm -rf $(BUILD) $(BUILD)-asan

.PHONY: all deps check asan demo bench man install clean
