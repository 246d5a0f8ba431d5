# `make run` builds and starts a server; `make test` proves it. Both install
# what is missing on a Debian 12 machine first.

# Build products stay outside the checkout, so that a fresh clone builds quickly.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/plenum/target
# The built web app, which cargo embeds.
export PLENUM_WEBAPP_DIST ?= $(CARGO_TARGET_DIR)/webapp/dist
# Where rustup puts cargo, for a shell that was started before it did.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

# Standard output of `make run` is the server's: its one line of JSON.
.PHONY: run test build webapp lint unit ui e2e install-build install-test

run: build
	@exec "$(CARGO_TARGET_DIR)/release/plenum" serve

build: webapp
	@cargo build --release --locked -p plenum

webapp: install-build
	@scripts/webapp.sh build

test: install-test
	@scripts/test.sh

lint: install-test
	@scripts/test.sh lint

unit: install-test
	@scripts/test.sh unit

ui: install-test
	@scripts/test.sh ui

e2e: install-test
	@scripts/test.sh e2e

install-build:
	@scripts/install-missing.sh build
	@scripts/own-target.sh

install-test:
	@scripts/install-missing.sh build test
	@scripts/own-target.sh
